"""`pushforward infer` from the command line: runs, what reads them, and what is refused."""

import json
import shlex

import jax
import numpy as np
import pytest

import pushforward
from pushforward.experiments.runs import open_run
from tests.test_cli import run

SMALL = shlex.split("--members 2 --layers 2 --width 16 --steps 400 --draws 2000")
SIMULATORS = """
import jax, jax.numpy as jnp, numpy as np
from pushforward.distributions import Normal, Uniform

prior = {"theta": Normal.standard(2)}
narrow = {"theta": Uniform(-jnp.ones(2), jnp.ones(2))}
number = 3.0

def simulator(key, theta):
    return theta + 0.5 * jax.random.normal(key, (2,))

def fragile(rng, theta):
    if theta[0] > 1.5:
        raise ValueError("too large a theta")
    return theta + 0.5 * rng.standard_normal(2)

def shapes(rng, theta):
    return np.zeros(2 if theta[0] > 0 else 3)

def nan(key, theta):
    return theta * jnp.nan

def broken(rng, theta):
    raise RuntimeError("never works")

def other(key, mu):
    return mu

def unnamed(theta):
    return theta
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with simulators, observations and a finished run, in `run`."""
    folder = tmp_path_factory.mktemp("infer")
    (folder / "sim.py").write_text(SIMULATORS)
    (folder / "x.json").write_text("[0.5, -1.0]")
    (folder / "far.json").write_text("[50.0, -1.0]")
    (folder / "three.json").write_text("[0.5, -1.0, 0.0]")
    (folder / "words.json").write_text('["a"]')
    rng = np.random.default_rng(0)
    theta = rng.standard_normal((600, 2))
    np.savez(folder / "pairs.npz", theta=theta, x=theta + 0.5 * rng.standard_normal((600, 2)))
    np.savez(folder / "lacking.npz", x=theta)
    return folder


@pytest.fixture(scope="module")
def finished(folder):
    from pushforward.cli import main

    out = ["--observation", str(folder / "x.json"), "--out", str(folder / "run")]
    main(["infer", f"{folder / 'sim.py'}:simulator", "--simulations", "2500", *SMALL, *out])
    return folder


@pytest.fixture
def here(finished, monkeypatch):
    """It, as the current folder."""
    monkeypatch.chdir(finished)
    return finished


def test_the_posterior_is_written(here):
    result = json.loads((here / "run/result.json").read_text())
    assert result["simulations"] == 2500
    assert result["failures"] == {}
    assert "calibrat" in result["calibration"]
    assert result["local_p_value"] > 0.01
    assert "posterior of this observation" in result["local"]
    assert "data like those observed" in result["predictive"]
    rows = {row["name"]: row for row in result["summary"]}
    for name, x in (("theta[0]", 0.5), ("theta[1]", -1.0)):
        assert rows[name]["mean"] == pytest.approx(0.8 * x, abs=0.25)
        assert rows[name]["sd"] == pytest.approx(np.sqrt(0.2), rel=0.25)
    for name in ("marginals", "pairs", "ranks", "coverage", "predictive", "loss"):
        assert (here / f"run/figures/{name}.png").is_file()
    assert "Parameters of sim.py:simulator" in (here / "run/report.html").read_text()
    assert len(list((here / "run/simulations/round-0").iterdir())) == 3
    flow = pushforward.load(here / "run")
    assert flow(np.array([0.5, -1.0])).sample(jax.random.key(0), (5,)).shape == (5, 2)


def test_draws_given_the_observation_and_another(here, capsys):
    code, _, err = run(capsys, "sample", "run", "-n", "500", "--out", "own.csv")
    assert code == 0, err
    lines = (here / "own.csv").read_text().splitlines()
    assert lines[0] == "theta[0],theta[1]"
    assert np.array([line.split(",") for line in lines[1:]], float).shape == (500, 2)
    (here / "other.json").write_text("[2.0, 2.0]")
    code, _, err = run(capsys, "sample", "run", "--given", "other.json", "-n", "2000", "--out", "other.npz")
    assert code == 0, err
    with np.load(here / "other.npz") as draws:
        assert np.abs(draws["samples"].mean(axis=0) - 1.6).max() < 0.4
    reread = open_run(here / "run")
    assert reread.calibration is not None
    assert reread.draws["theta"].shape == (2000, 2)


def test_pairs_that_exist_already(here, capsys):
    code, out, err = run(
        capsys, "infer", "sim.py:simulator", "--pairs", "pairs.npz", "--observation", "x.json", *SMALL, "--out", "pairs"
    )
    assert code == 0, err
    assert "600 simulations" in out
    assert not (here / "pairs/simulations").exists()


@pytest.mark.slow
def test_rounds_near_an_observation(here, capsys):
    words = "infer sim.py:simulator --simulations 1500 --rounds 2 --observation x.json --out rounds"
    code, _, err = run(capsys, *words.split(), *SMALL)
    assert code == 0, err
    result = json.loads((here / "rounds/result.json").read_text())
    assert result["simulations"] == 1500
    assert "calibration" not in result
    code, _, err = run(capsys, "sample", "rounds", "--given", "far.json")
    assert code == 2
    assert "were near its own observation" in err


@pytest.mark.slow
def test_a_likelihood_with_chains_behind(here, capsys):
    words = "infer sim.py:simulator --method nle --simulations 2500 --observation x.json --out nle"
    code, out, err = run(capsys, *words.split(), *SMALL)
    assert code == 0, err
    assert "agree" in out
    result = json.loads((here / "nle/result.json").read_text())
    assert result["agreed"]
    rows = {row["name"]: row for row in result["summary"]}
    for name, x in (("theta[0]", 0.5), ("theta[1]", -1.0)):
        assert rows[name]["mean"] == pytest.approx(0.8 * x, abs=0.25)
        assert rows[name]["sd"] == pytest.approx(np.sqrt(0.2), rel=0.25)
    assert run(capsys, "sample", "nle", "-n", "300", "--out", "chains.npz")[0] == 0
    with np.load(here / "chains.npz") as draws:
        assert draws["samples"].shape == (300, 2)
    code, _, err = run(capsys, "sample", "nle", "--given", "far.json")
    assert code == 2
    assert "given its own observation alone" in err


def test_failures_are_told(here, capsys):
    words = "infer sim.py:fragile --simulations 600 --observation far.json --out fragile"
    code, out, err = run(capsys, *words.split(), *SMALL)
    assert code == 0, err
    text = " ".join(out.split())
    assert "simulations failed and are left out; most often: ValueError: too large a theta" in text
    assert "x[0] 50 lies outside what was trained on" in text


REFUSED = {
    "no simulator": ("infer", "give a simulator as file.py:name"),
    "no file": ("infer none.py:simulator", "none.py is not there"),
    "no name": ("infer sim.py:simulater", "did you mean 'simulator'"),
    "no function": ("infer sim.py:number", "is a float, no function"),
    "no prior": ("infer sim.py:simulator --prior number", "is a float: give distributions by name"),
    "unnamed": ("infer sim.py:unnamed", "must take `key` first"),
    "other parameters": ("infer sim.py:other", "takes the parameters mu, the prior has theta"),
    "shapes": ("infer sim.py:shapes --simulations 200", "returns arrays of different shapes"),
    "nan": ("infer sim.py:nan --simulations 200", "fails on every one of 200 draws: its output is not finite"),
    "broken": ("infer sim.py:broken --simulations 200", "RuntimeError: never works"),
    "wrong shape": (
        "infer sim.py:simulator --simulations 200 --observation three.json",
        "three.json has the shape (3,), simulator returns (2,)",
    ),
    "words": ("infer sim.py:simulator --observation words.json", "words.json holds no array of numbers"),
    "no observation file": ("infer sim.py:simulator --observation none.json", "none.json is not there"),
    "rounds without": ("infer sim.py:simulator --rounds 2", "give it by --observation"),
    "likelihood without": ("infer sim.py:simulator --method nle", "give it by --observation"),
    "likelihood of a set": (
        "infer sim.py:simulator --method nle --observation x.json --embedding set",
        "knows neither --rounds nor --embedding",
    ),
    "pairs lacking": ("infer sim.py:simulator --pairs lacking.npz", "lacks theta; it needs theta, and the data as x"),
    "pairs outside": ("infer sim.py:simulator --prior narrow --pairs pairs.npz", "outside of the prior's support"),
    "set": ("infer sim.py:simulator --simulations 200 --embedding set", "a set has two axes"),
    "there already": ("infer sim.py:simulator --out run", "run holds another run"),
    "another shape": ("sample run --given three.json", "the observation has the shape (3,), simulated ones (2,)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line(here, capsys, case):
    words, message = REFUSED[case]
    before = sorted(path.name for path in here.iterdir())
    code, _, err = run(capsys, *words.split())
    assert code == 2
    lines = [line for line in err.strip().splitlines() if line.startswith("pushforward:")]
    assert len(lines) == 1
    assert message in lines[0]
    left = {path.name for path in here.iterdir()} - set(before) - {"runs", "__pycache__"}
    assert left == set()
