"""`pushforward states show`, `compare` and `advise`."""

import shlex

import jax
import numpy as np
import pytest
from PIL import Image

from pushforward.distributions import Normal
from tests.test_cli import folder, run

__all__ = ["folder"]


@pytest.fixture
def files(folder):
    """A folder with log-densities, good and bad, and data."""
    rng = np.random.default_rng(0)
    _, log_densities = Normal.standard(3).sample_and_log_prob(jax.random.key(0), (20_000,))
    values = np.asarray(log_densities)
    np.save("normal.npy", values)
    np.save("nan.npy", np.where(np.arange(20_000) % 5_000 == 7, np.nan, values))
    np.save("inf.npy", np.where(np.arange(20_000) == 3, np.inf, values))
    np.save("zero.npy", np.where(np.arange(20_000) < 5_000, -np.inf, values))
    np.save("empty.npy", values[:0])
    np.save("table.npy", rng.normal(size=(30, 2)))
    np.save("gaussian.npy", (rng.normal(size=(2_000, 2)) @ [[1, 0.5], [0, 0.2]]).astype(np.float32))
    np.save("cube.npy", rng.uniform(size=(2_000, 2)).astype(np.float32))
    (folder / "garbage.npy").write_bytes(b"no array")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("show normal --dim 36", ["-51.08", "4.2426"]),
        ("show smooth-step", ["atom of mass 0.66", "-1.5141"]),
        ("show uniform --dim 2", ["atom of mass 1", "0.3069"]),
        ("show normal.npy --dim 3", ["20,000 samples", "-4.2"]),
        (
            "show zero.npy",
            ["25.000% of the log-densities are -inf: an atom at zero density", "give --dim for the volume-preserving"],
        ),
        ("show clusters --samples 2000", ["2,000 samples"]),
        ("compare normal uniform --dim 2", ["W1 / D", "2.8379"]),
        ("compare normal.npy normal --dim 3", ["W1, both centred"]),
    ],
)
def test_pictures_and_numbers(files, capsys, words, expected):
    code, out, err = run(capsys, "states", *shlex.split(words), "--out", files / "picture.png")
    assert code == 0, err
    for number in expected:
        assert number in out
    with Image.open(files / "picture.png") as image:
        assert image.width > 1000
        assert np.asarray(image.convert("L")).std() > 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("show nan.npy", "4 of 20000 log-densities are NaN, the first is number 7"),
        ("show inf.npy", "1 of 20000 log-densities are +inf, the first is number 3"),
        ("show empty.npy", "there are no log-densities"),
        ("show table.npy", "data go to states advise"),
        ("show garbage.npy", "is not an .npy file"),
        ("show missing.npy", "does not exist"),
        ("show norml", "did you mean 'normal'"),
        ("show normal --dim 0", "positive whole number"),
        ("show normal --samples 0", "--samples must be"),
        ("show u1", "no exact samples"),
        ("compare normal", "takes 2, got 1"),
        ("compare normal.npy normal.npy", "give --dim"),
        ("compare normal.npy normal", "give --dim"),
        ("compare normal smooth-step --dim 0", "positive whole number"),
        ("advise missing.csv", "missing.csv"),
        ("advise digits", "holds images"),
        ("advise cube.npy --tolerance 0", "--tolerance must be positive"),
    ],
)
def test_bad_input_is_one_line(files, capsys, words, message):
    code, _, err = run(capsys, "states", *shlex.split(words))
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (files / "density-of-states.png").exists()
    assert not (files / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "verdict"),
    [
        pytest.param("gaussian.npy", "volume-preserving: The density of states", marks=pytest.mark.long),
        ("cube.npy", "varying volume"),
    ],
)
def test_advice(files, capsys, file, verdict):
    words = f"states advise {file} --steps 300 --run {files}/fit --out {files}/advice.png"
    code, out, err = run(capsys, *shlex.split(words))
    assert code == 0, err
    assert verdict in " ".join(out.split())
    assert (files / "advice.png").stat().st_size > 10_000
    assert (files / "fit/result.json").is_file()
    page = (files / "fit/advice.html").read_text()
    assert verdict in " ".join(page.split())
    assert page.count("data:image/png") == 2
    code, out, _ = run(capsys, "states", "show", files / "fit", "--samples", 1000)
    assert code == 0
    assert "1,000 samples" in out
