"""Settings chosen by the rows and columns of the data, and where a flow starts by them."""

import json
import shlex

import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import data
from pushforward.cli import main
from pushforward.data import TableOptions
from pushforward.evaluation.gaussian import gaussian_log_likelihoods
from pushforward.experiments.families import Splines
from pushforward.experiments.runs import open_run
from pushforward.experiments.train.config import TrainConfig
from pushforward.experiments.train.suited import suited, tail_gains
from pushforward.experiments.train.training import _no_better

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
CHOSEN = "base", "start", "smoothing", "learning_rate", "validate_every", "patience", "average_decay"
QUICK = shlex.split("--width 4 --length 1 --depth 1 --steps 1 --learning-rate 1e-30")


def table(folder, rows, **options):
    path = folder / "mine.npy"
    np.save(path, rows)
    return data.load(str(path), options=TableOptions(**options))


@pytest.mark.parametrize(
    ("n", "dim", "law", "expected"),
    [
        (100_000, 2, "normal", ("nsf_autoregressive", "normal", "whitened", 0, 1e-3, 100, 3000)),
        (1_000, 6, "normal", ("nsf_autoregressive", "normal", "whitened", 0, 3e-4, 15, 500)),
        (200, 10, "normal", ("nsf_autoregressive", "normal", "whitened", 0.3, 3e-4, 10, 500)),
        (40, 10, "normal", ("nsf_autoregressive", "normal", "standardised", 0.3, 3e-4, 10, 500)),
        (2_000, 4, "standard_cauchy", ("maf", "student-t", "whitened", 0, 1e-3, 31, 930)),
    ],
)
def test_by_rows_columns_and_tails(tmp_path, n, dim, law, expected):
    rows = RNG.normal(size=(n, dim)) if law == "normal" else RNG.standard_cauchy((n, dim))
    config = suited(TrainConfig(data="mine.npy"), table(tmp_path, rows))
    names = "flow", "base", "start", "smoothing", "learning_rate", "validate_every", "patience"
    assert tuple(getattr(config, name) for name in names) == expected
    assert config.average_decay == 0.99


def test_what_is_given_stays(tmp_path):
    given = {
        "flow": "planar",
        "base": "trained-normal",
        "start": "standardised",
        "smoothing": 0.0,
        "learning_rate": 0.1,
        "validate_every": 7,
        "patience": 0,
        "average_decay": 0.0,
    }
    config = TrainConfig(data="mine.npy", **given)
    assert suited(config, table(tmp_path, RNG.standard_cauchy((100, 5)))) == config


def test_settings_of_splines_choose_splines(tmp_path):
    dataset = table(tmp_path, RNG.standard_cauchy((1_000, 2)))
    assert suited(TrainConfig(data="mine.npy", settings=Splines(bins=4)), dataset).flow == "nsf_autoregressive"
    assert suited(TrainConfig(data="mine.npy", settings=Splines(width=4)), dataset).flow == "maf"


def test_images_start_as_they_are():
    config = suited(TrainConfig(data="digits"), data.load("digits"))
    assert [getattr(config, name) for name in CHOSEN] == ["normal", "standardised", 0, 1e-3, 28, 840, 0.99]


def test_no_noise_is_added_to_logarithms_and_no_dependence_is_whitened(tmp_path):
    rows = np.exp(RNG.normal(size=(200, 10)))
    assert suited(TrainConfig(data="mine.npy"), table(tmp_path, rows, log=("x1",))).smoothing == 0
    rows[:, 9] = rows[:, 0] + 1e-5 * rows[:, 1]
    assert suited(TrainConfig(data="mine.npy"), table(tmp_path, rows, allow_degenerate=True)).start == "standardised"


def test_tails_are_told_from_lumps():
    assert tail_gains(RNG.normal(size=(2_000, 3))).max() < 0.005
    assert tail_gains(RNG.uniform(size=(2_000, 3))).max() < 0.005
    # The entropy of t with 5 degrees of freedom is 1.627, the cross-entropy of the best Normal 1.674.
    np.testing.assert_allclose(tail_gains(RNG.standard_t(5, size=(10_000, 1))), 1.674 - 1.627, atol=0.03)
    assert tail_gains(RNG.standard_cauchy(size=(2_000, 1))).min() > 1


def trained(folder, rows, *arguments):
    np.save(folder / "mine.npy", rows)
    main(["train", str(folder / "mine.npy"), *QUICK, *arguments, "--out", str(folder / "run")])
    return open_run(folder / "run")


@pytest.mark.parametrize("start", ["whitened", "standardised"])
def test_a_flow_starts_at_the_gaussian_of_its_rows(tmp_path, start):
    mixing = np.array([[1000.0, 0, 0], [900, 100, 0], [1e-3, 2e-3, 1e-4]])
    run = trained(tmp_path, RNG.normal(size=(800, 3)) @ mixing.T + [1e4, 0, 1], "--start", start)
    train, test = run.dataset.train, run.dataset.test
    if start == "standardised":
        standard = np.random.default_rng(1).normal(size=(100_000, 3))
        standard = (standard - standard.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(standard.T))).T
        train = standard * train.astype(np.float64).std(axis=0) + train.astype(np.float64).mean(axis=0)
    right = gaussian_log_likelihoods(train, test)
    np.testing.assert_allclose(run.flow.log_prob(jnp.asarray(test)), right, atol=0.05)
    assert run.result["best_step"] in (0, 1)


def test_the_gaussian_is_said_beside_the_flow_and_a_flow_that_is_no_better_is_named(tmp_path, capsys):
    run = trained(tmp_path, RNG.normal(size=(800, 3)))
    result = run.result
    right = gaussian_log_likelihoods(run.dataset.train, run.dataset.test)
    np.testing.assert_allclose(result["gaussian_log_likelihood"], right.mean(), rtol=1e-9)
    gain = result["test_log_likelihood"] - result["gaussian_log_likelihood"]
    np.testing.assert_allclose(result["gain_over_gaussian"], gain, atol=1e-6)
    assert abs(gain) < 0.02
    assert any("no better than a Gaussian" in warning for warning in result["warnings"])
    assert "Gaussian of the same rows" in capsys.readouterr().out


def test_of_logged_columns_the_gaussian_is_that_of_the_logarithms(tmp_path):
    rows = np.exp(RNG.normal(size=(800, 2)))
    run = trained(tmp_path, rows, "--log", "x1", "x2")
    assert abs(run.result["gain_over_gaussian"]) < 0.02
    # Of exp(e) with e from N(0, 1), the entropy is that of e plus its mean, 0.
    np.testing.assert_allclose(run.result["gaussian_log_likelihood"], -2.838, atol=0.4)


@pytest.mark.long
def test_noise_on_the_rows_keeps_a_flow_from_spikes(tmp_path):
    """Two values in a column: without noise the density there grows as the flow is trained."""
    rows = np.column_stack([RNG.normal(size=400), RNG.integers(2, size=400) + 1e-6 * RNG.normal(size=400)])
    settings = shlex.split("--flow nsf_autoregressive --width 8 --steps 1500 --learning-rate 1e-2 --patience 0")
    results = []
    for smoothing in ("0", "0.3"):
        np.save(tmp_path / "mine.npy", rows)
        folder = tmp_path / smoothing
        main(["train", str(tmp_path / "mine.npy"), *settings, "--smoothing", smoothing, "--out", str(folder)])
        results.append(json.loads((folder / "result.json").read_text())["train_log_likelihood"])
    assert results[0] > results[1] + 1


@pytest.mark.parametrize(
    ("gains", "warned"),
    [
        (RNG.normal(1, 1, 100), False),
        (RNG.normal(0, 1, 100), True),
        (RNG.normal(-1, 1, 100), True),
        (np.append(np.full(99, 0.5), 5_000.0), False),  # one far row of a heavy tail
        (np.append(np.full(99, 0.5), -5_000.0), True),  # an overfitted flow that rules out a row
        (np.array([1.0]), False),
    ],
)
def test_no_better_than_a_gaussian(gains, warned):
    assert bool(_no_better(gains)) == warned
