"""Conditional densities from the command line: train, sample, density, and what is refused."""

import json
import shlex

import jax.numpy as jnp
import numpy as np
import pytest

import pushforward
from pushforward.experiments.runs import open_run
from tests.test_cli import run

SMALL = shlex.split("--flow maf --length 2 --width 8 --depth 1 --steps 400 --batch-size 64 --validate-every 100")


def write_houses(path, n=600):
    """Prices whose mean and spread depend on the rooms, and whose mean depends on the city."""
    rng = np.random.default_rng(0)
    rooms, city = rng.integers(1, 8, n), rng.choice(["Oslo", "Rome"], n)
    price = 2.0 * rooms + 3.0 * (city == "Rome") + 0.2 * rooms * rng.standard_normal(n)
    area = 20.0 * rooms + rng.gamma(3.0, 5.0, n)
    lines = [f"{a},{b},{c},{d}" for a, b, c, d in zip(rooms, city, price, area)]
    path.write_text("\n".join(["rooms,city,price,area", *lines]) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a finished run on 600 houses, in `run`."""
    folder = tmp_path_factory.mktemp("conditional")
    from pushforward.cli import main

    write_houses(folder / "houses.csv")
    main(["train", str(folder / "houses.csv"), "--given", "rooms", "city", *SMALL, "--out", str(folder / "run")])
    return folder


@pytest.fixture
def trained(folder, monkeypatch):
    """It, as the current one."""
    monkeypatch.chdir(folder)
    return folder


def test_the_result_says_what_contexts_are_worth(trained):
    result = json.loads((trained / "run/result.json").read_text())
    assert result["gain_over_unconditional"] > 5 * result["gain_over_unconditional_std_error"]
    assert result["gain_over_regression"] > 0
    difference = result["test_log_likelihood"] - result["regression_log_likelihood"]
    assert result["gain_over_regression"] == pytest.approx(difference, abs=1e-6)
    assert "calibrat" in result["calibration"]
    assert "--given rooms city" in result["command"]
    assert (trained / "run/report.html").is_file()
    for name in ("samples", "ranks", "coverage", "loss"):
        assert (trained / f"run/figures/{name}.png").is_file()


def test_what_is_loaded_takes_a_context(trained):
    flow = pushforward.load(trained / "run")
    reread = open_run(trained / "run")
    given = reread.dataset.given
    assert given is not None
    mean = flow.log_prob(jnp.asarray(given.test), jnp.asarray(reread.dataset.test)).mean()
    assert float(mean) == pytest.approx(reread.result["test_log_likelihood"], abs=1e-4)
    context = jnp.asarray(flow.encoder.context({"rooms": 4, "city": "Rome"}))
    assert flow(context).shape == (2,)


def test_draws_given_values_and_a_table(trained, capsys):
    code, _, err = run(capsys, "sample", "run", "--given", "rooms=4", "city=Rome", "-n", "500", "--out", "one.csv")
    assert code == 0, err
    lines = (trained / "one.csv").read_text().splitlines()
    assert lines[0] == "rooms,city,price,area,log_prob"
    assert all(line.startswith("4,Rome,") for line in lines[1:])
    prices = np.array([float(line.split(",")[2]) for line in lines[1:]])
    assert abs(np.median(prices) - 11) < 1
    (trained / "contexts.csv").write_text("city,rooms\nOslo,1\nRome,7\n")
    code, _, err = run(capsys, "sample", "run", "--given", "contexts.csv", "-n", "3", "--out", "two.npz")
    assert code == 0, err
    with np.load(trained / "two.npz") as draws:
        assert draws["samples"].shape == (6, 2)
        assert draws["context"].tolist() == [[1, 0]] * 3 + [[7, 1]] * 3
        flow = pushforward.load(trained / "run")
        log_prob = flow.log_prob(jnp.asarray(draws["context"]), jnp.asarray(draws["samples"]))
        np.testing.assert_allclose(log_prob, draws["log_prob"], atol=1e-3)


def test_densities_of_points(trained, capsys):
    code, out, err = run(capsys, "density", "run", "houses.csv", "--out", "found.npz")
    assert code == 0, err
    assert "mean log-density of 600 points" in out
    rows = [line.split(",") for line in (trained / "houses.csv").read_text().splitlines()[1:]]
    flow = pushforward.load(trained / "run")
    contexts = np.array([[float(row[0]), ["Oslo", "Rome"].index(row[1])] for row in rows])
    points = np.array([[float(row[2]), float(row[3])] for row in rows])
    with np.load(trained / "found.npz") as found:
        np.testing.assert_allclose(
            found["log_prob"], flow.log_prob(jnp.asarray(contexts), jnp.asarray(points)), atol=1e-3
        )
    (trained / "points.csv").write_text("price,area\n11,90\n")
    code, out, err = run(capsys, "density", "run", "points.csv", "--given", "rooms=40", "city=Rome")
    assert code == 0
    assert "rooms 40 lies outside what was trained on, 1 to 7" in err
    assert (trained / "run/densities.csv").read_text().splitlines()[0] == "price,area,log_prob"


REFUSED = {
    "no context": ("sample run", "name its contexts, --given rooms=... city=..."),
    "one missing": ("sample run --given rooms=3", "the context lacks city"),
    "twice": ("sample run --given rooms=3 rooms=4 city=Rome", "names 'rooms' twice"),
    "no value": ("sample run --given rooms", "--given takes COLUMN=VALUE, or a file, got 'rooms'"),
    "unknown word": ("sample run --given bad.csv", "row 2: 'city' has no category 'Roma'; did you mean 'Rome'"),
    "no file": ("sample run --given none.csv", "none.csv: No such file"),
    "none wanted": ("sample run --given rooms=3 city=Rome -n 0", "-n must be 1 or more"),
    "a column less": ("density run bad.csv", "has no column 'price'"),
    "every column": ("train houses.csv --given rooms city price area", "--given leaves no column to model"),
    "unknown column": ("train houses.csv --given rooms citi", "did you mean 'city'"),
    "no networks": (
        "train houses.csv --given rooms city --flow planar --conditioning condition",
        "planar has no networks that could see a context; use --conditioning amortize",
    ),
    "no contexts": ("train moons --size 300 --conditioning amortize", "name some columns by --given"),
    "no table": ("train moons --given x1", "columns, rows and the form of a text can be chosen for a file"),
    "there already": ("train houses.csv --given rooms city --out run", "run holds another run"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line(trained, case, capsys):
    words, message = REFUSED[case]
    (trained / "bad.csv").write_text("rooms,city\n3,Rome\n3,Roma\n")
    code, _, err = run(capsys, *words.split())
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_density_of_an_unconditional_run(trained, capsys):
    code, _, err = run(capsys, "train", "moons", "--size", "300", *SMALL, "--steps", "20", "--out", "moons")
    assert code == 0, err
    np.save(trained / "points.npy", np.array([[0.0, 0.5], [1.0, 0.0]]))
    code, _, err = run(capsys, "density", "moons", "points.npy", "--out", "moons.csv")
    assert code == 0, err
    found = np.loadtxt(trained / "moons.csv", delimiter=",", skiprows=1)
    flow = pushforward.load(trained / "moons")
    np.testing.assert_allclose(found[:, 2], flow.log_prob(jnp.asarray(found[:, :2])), atol=1e-4)
    code, _, err = run(capsys, "density", "moons", "points.npy", "--given", "a=1")
    assert code == 2
    assert "holds no conditional density" in err


def test_few_rows_of_logarithms_get_no_noise(trained, capsys):
    """Noise on positive rows would lead out of the logarithms; without them so few rows are smoothed."""
    lines = (trained / "houses.csv").read_text().splitlines()[:41]
    (trained / "few.csv").write_text("\n".join(lines) + "\n")
    for log, expected in (((), 0.3), (("--log", "price", "area"), 0.0)):
        words = ["few.csv", "--given", "rooms", "city", *log, *SMALL, "--steps", "40", "--out", f"few-{len(log)}"]
        code, _, err = run(capsys, "train", *words)
        assert code == 0, err
        reread = open_run(trained / f"few-{len(log)}")
        assert reread.config.smoothing == expected
        assert reread.result["test_log_likelihood"] is not None
