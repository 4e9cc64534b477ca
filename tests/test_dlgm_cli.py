"""`pushforward train dlgm-...`, `evaluate`, and what reads their runs, with real, small data."""

import json
import shlex
import shutil

import numpy as np
import pytest

from pushforward.cli import main
from tests.test_cli import contents, folder, run

__all__ = ["folder"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dlgm-cli")]  # its runs are made once

SMALL = shlex.split("--hidden 16 --latents 3 --steps 40 --validate-every 20 --test-draws 5")
EVALUATE = shlex.split("--points 12 --chains 3 --temperatures 5 --leapfrog-steps 2 --draws 20")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a finished run on the digits, evaluated in every way, in `run`."""
    folder = tmp_path_factory.mktemp("dlgm")
    main(["train", "dlgm-digits", "--flow.name", "planar", "--flow.length", "2", *SMALL, "--out", str(folder / "run")])
    for estimator in ("iwae", "ais", "bdmc"):
        main(["evaluate", str(folder / "run"), "--estimator", estimator, *EVALUATE])
    return folder


def test_the_result_has_every_number_with_its_standard_error(trained):
    result = json.loads((trained / "run/result.json").read_text())
    assert result["binarisation"] == "dynamic"
    for name in ("free_energy", "nll_iwae", "nll_ais", "bdmc_gap", "kl_posterior"):
        assert np.isfinite(result[name])
        assert result[f"{name}_std_error"] > 0
    assert result["free_energy"] == pytest.approx(result["reconstruction"] + result["divergence_from_prior"], rel=1e-4)
    assert set(result["evaluations"]) == {"iwae", "ais", "bdmc"}
    assert result["kl_posterior_by"] == "ais"
    points = np.load(trained / "run/points/free-energy.npz")["free_energy"]
    nll = np.load(trained / "run/points/ais.npz")["nll"]
    assert result["kl_posterior"] == pytest.approx(np.mean(points[:12] - nll))
    assert points.mean() == pytest.approx(result["free_energy"])


def test_the_report_and_the_pictures_are_there(trained):
    page = (trained / "run/report.html").read_text()
    result = json.loads((trained / "run/result.json").read_text())
    assert f"{result['free_energy']:.2f}"[:4] in page
    assert len(list((trained / "run/figures").glob("*.png"))) >= 3


def test_an_error_asked_for_chooses_how_many_images(trained, tmp_path):
    whole, few = tmp_path / "whole", tmp_path / "few"
    for copy, words in ((whole, []), (few, ["--error", "1000"])):
        shutil.copytree(trained / "run", copy)
        main(["evaluate", str(copy), "--draws", "20", *words])
    each, first = (np.load(copy / "points/iwae.npz")["nll"] for copy in (whole, few))
    evaluation = json.loads((few / "result.json").read_text())["evaluations"]["iwae"]
    assert (len(first), evaluation["points"], evaluation["likelihood_evaluations"]) == (32, 32, 640)
    np.testing.assert_allclose(first, each[:32], rtol=1e-5)


def test_samples_are_images_with_their_latents(trained, capsys):
    code, out, _ = run(capsys, "sample", trained / "run", "-n", 7)
    assert code == 0
    arrays = np.load(out.strip())
    assert arrays["samples"].shape == (7, 8, 8, 1)
    assert arrays["latents"].shape == (7, 3)
    assert set(np.unique(arrays["samples"])) <= {0, 1}


def test_a_refusal_is_one_line_and_writes_nothing(folder, trained, capsys):
    before = contents(folder)
    for words, expected in (
        ("train dlgm-mnst", "did you mean 'dlgm-mnist'"),
        ("train dlgm-digits --binarisation static", "must be dynamic or thresholded"),
        ("train dlgm-digits --data silhouettess", "unknown data set"),
        ("train dlgm-digits --likelihood logistic", "--binarisation is for"),
        ("train dlgm-digits --flow planr", "did you mean 'planar'"),
        ("train dlgm-digits --amortised context", "no network"),
        ("train dlgm-digits --emission-rank 0", "--emission-rank must be 1 or more"),
        ("train dlgm-digits --length 2 --emission-rank 4 --amortised none", "--emission-rank is for flows whose"),
        ("train dlgm-digits --length 0 --emission-rank 4", "--emission-rank is for flows whose"),
        ("train dlgm-digits --gradient doubly-reparameterised", "does not suit"),
        ("train dlgm-digits --latents 0", "--latents must be 1 or more"),
        (f"evaluate {trained}/run --points 100000", "--points must be"),
        (f"evaluate {trained}/run --error 0", "--error must be positive"),
        (f"evaluate {trained}/run --temperatures 1", "--temperatures must be 2 or more"),
        (f"evaluate {folder}/nothing", "is not a run"),
        ("reproduce rezende-mohamed-figure-44", "did you mean"),
    ):
        code, _, err = run(capsys, *shlex.split(words))
        assert code == 2, words
        assert expected in err, err
        assert len(err.strip().splitlines()) == 1, err
    assert contents(folder) == before


def test_images_of_the_users_own(folder, capsys):
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4), np.uint8)
    np.save(folder / "faces.npy", images)
    words = f"train dlgm-digits --data {folder}/faces.npy --binarisation thresholded --length 0 --out {folder}/own"
    code, _, _ = run(capsys, *shlex.split(words), *SMALL)
    assert code == 0
    result = json.loads((folder / "own/result.json").read_text())
    assert result["binarisation"] == "thresholded"
    np.save(folder / "floats.npy", images / 255)
    code, _, err = run(capsys, "train", "dlgm-digits", "--data", folder / "floats.npy", "--out", folder / "none")
    assert code == 2
    assert "uint8" in err
    assert not (folder / "none").exists()
