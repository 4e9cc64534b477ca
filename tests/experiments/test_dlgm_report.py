"""The report of a deep latent Gaussian model is whole, readable on its own, and says what was not measured."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pushforward.drawing.text import number
from pushforward.experiments.dlgm.config import EvaluateConfig
from pushforward.experiments.dlgm.evaluation import run_evaluation
from pushforward.experiments.dlgm.presets import PRESETS
from pushforward.experiments.dlgm.report import write_report
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.experiments.dlgm.terminal import print_dlgm
from pushforward.experiments.dlgm.training import run_dlgm
from pushforward.experiments.runs import open_run, start_run
from tests.experiments.test_train_report import words

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("dlgm-report")]  # its runs are made once

SMALL = {"hidden": (8,), "steps": 20, "validate_every": 10, "annealing_steps": 5, "test_draws": 4}
RUNS = {
    "clusters": replace(PRESETS["dlgm-clusters"], **SMALL),
    "no flow": replace(PRESETS["dlgm-digits"], latents=(3, 2), length=0, **SMALL),
    "evaluated": replace(PRESETS["dlgm-digits"], latents=(3,), length=2, **SMALL),
}
ESTIMATES = {"nll_iwae", "nll_ais", "bdmc_gap", "kl_posterior"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of each of `RUNS`, trained once, on demand; only the last is evaluated."""
    parent = tmp_path_factory.mktemp("runs")

    def folder(name: str) -> Path:
        path = parent / name
        if not path.exists():
            run_dlgm(start_run(RUNS[name], path, force=False), quiet=True)
            if name == "evaluated":
                for estimator in ("iwae", "ais", "bdmc"):
                    few = EvaluateConfig(
                        run=path, estimator=estimator, points=6, draws=10, chains=2, temperatures=4, leapfrog_steps=1
                    )
                    run_evaluation(opened(path), few, quiet=True)
            write_report(opened(path))
        return path

    return folder


def opened(folder: Path) -> DlgmRun:
    run = open_run(folder)
    assert isinstance(run, DlgmRun)
    return run


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("clusters", {"samples", "posteriors", "latents", "loss"}),
        ("no flow", {"reconstructions", "samples", "posteriors", "loss"}),
        ("evaluated", {"reconstructions", "samples", "posteriors", "loss"}),
    ],
)
def test_pictures_are_there_and_not_blank(folders, name, pictures):
    files = list((folders(name) / "figures").iterdir())
    assert {path.stem for path in files} == pictures
    for path in files:
        with Image.open(path) as image:
            assert 700 < image.width < 1700
            assert 300 < image.height < 2000
            assert np.asarray(image.convert("L")).std() > 5


@pytest.mark.parametrize("name", list(RUNS))
def test_page_says_every_number_and_needs_nothing_else(folders, name):
    folder = folders(name)
    result, text = opened(folder).result, words(folder)
    for key in ("free_energy", "reconstruction", "divergence_from_prior", *(ESTIMATES & result.keys())):
        assert number(result[key], result[f"{key}_std_error"]) in text, key
    assert result["command"] in text
    assert not re.search(r"\b(nan|None|inf)\b", text, flags=re.I)
    page = (folder / "report.html").read_text()
    references = re.findall(r"""(?:src|srcset|href)=["']([^"']{0,30})""", page)
    assert all(reference.startswith("data:image/") for reference in references)


def test_what_was_not_measured_says_how_to(folders):
    assert not ESTIMATES & opened(folders("clusters")).result.keys()
    assert "pushforward evaluate" in words(folders("clusters"))
    assert opened(folders("evaluated")).result.keys() >= ESTIMATES
    for estimator in ("ais", "bdmc"):
        assert f"--estimator {estimator}" in words(folders("evaluated"))


def test_posterior_captions_fit_the_model(folders):
    assert "the true posterior p(z|x)" in words(folders("clusters"))
    assert "before and after the flow" in words(folders("evaluated"))
    assert "before and after the flow" not in words(folders("no flow"))


@pytest.mark.parametrize("name", list(RUNS))
def test_terminal_says_the_free_energy(folders, name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    run = opened(folders(name))
    print_dlgm(run, run.folder / "report.html")
    printed = capsys.readouterr().out
    assert f"{run.result['free_energy']:.2f}"[:-1] in printed
    assert printed.rstrip().endswith(f"report: {run.folder / 'report.html'}")
