"""The studies of posteriors: what their pages say of cells, and what is refused."""

import numpy as np
import pytest

from pushforward.errors import UserError
from pushforward.studies.base import Study
from pushforward.studies.posteriordb.cells import GUIDES, METHODS, PAPER, run_posteriordb
from pushforward.studies.posteriordb.config import PosteriordbConfig
from pushforward.studies.posteriordb.page import described
from pushforward.studies.sampling_targets.cells import RECIPES, run_sampling_targets
from pushforward.studies.sampling_targets.config import SamplingTargetsConfig
from tests.test_cli import run

ENVIRONMENT = {"device": "cpu", "processor": "one", "jax": "0", "pushforward": "0"}


def numbers(mean, sd):
    return [{"number": "a", "mean": mean, "sd": sd, "wasserstein": abs(mean)}]


def ours(name, seed, mean, **changed):
    return {
        "posterior": name,
        "method": "pushforward",
        "seed": seed,
        "rung": "6 coupling layers of width 32",
        "dim": 3,
        "ess_fraction": 0.9,
        "k_hat": 0.3,
        "usable": True,
        "log_z": -1.0,
        "log_z_std_error": 0.1,
        "known_log_z": None,
        "unweighted": numbers(2 * mean, 1.0),
        "weighted": numbers(mean, 1.02),
        "refined": numbers(0.01, 1.0),
        "r_hat": 1.001,
        "agreed": True,
        "seconds": 40.0,
        "seconds_to_verdict": 20.0,
        "seconds_of_chains": 10.0,
        "evaluations": 1000,
        "environment": ENVIRONMENT,
        **changed,
    }


def test_the_page_says_how_many_are_within_the_bounds():
    cells = [
        ours("arK-arK", 0, 0.01),
        ours("arK-arK", 1, -0.04),
        ours("nes1972-nes", 0, 0.06, known_log_z=-1.25, log_z=-1.0),
        {
            "posterior": "nes1972-nes",
            "method": "AutoNormal",
            "seed": 0,
            "unweighted": numbers(3.0, 0.1),
            "weighted": numbers(1.5, 0.2),
            "seconds": 5.0,
            "seconds_to_verdict": 4.0,
            "environment": ENVIRONMENT,
        },
        {"posterior": "nes1972-nes", "method": "NUTS", "seed": 0, "failed": "no", "seconds": 5.0, "environment": {}},
    ]
    config = PosteriordbConfig("posteriordb", methods=("pushforward", "NUTS", "AutoNormal"))
    page = described(Study(config, cells))
    assert "2 posteriors" in page.words
    assert "0 unweighted, 1 weighted, 2 after chains" in page.outcome
    assert "largest error 0.25" in page.words
    rows = {row[0]: dict(zip(page.table.columns, row)) for row in page.table.rows}
    assert rows["arK-arK"]["mean, weighted"] == "0.040"
    assert rows["arK-arK"]["log Z error"] == "—"
    assert rows["nes1972-nes"]["AutoNormal"] == "3.00 / 1.50"
    assert rows["nes1972-nes"]["kind"] == "linear regression"
    assert rows["nes1972-nes"]["NUTS, seconds"] == "—"
    assert np.isclose(page.hours, (3 * 40 + 10) / 3600)


def test_the_paper_has_all_posteriors_what_is_no_regression_first():
    assert len(PAPER.posteriors) == 46
    assert PAPER.posteriors[0] == "arK-arK"
    assert PAPER.posteriors[-1] == "sblri-blr"
    assert set(GUIDES) < set(METHODS) == set(PosteriordbConfig().methods)
    assert {"forty-gaussians", "many-well-32", "lgcp", "seeds"} <= set(RECIPES)
    for recipe in RECIPES.values():
        recipe.check()


def test_what_is_refused(capsys, tmp_path):
    with pytest.raises(UserError, match="unknown posterior of posteriordb 'arK'; did you mean 'arK-arK'"):
        run_posteriordb(PosteriordbConfig("posteriordb", posteriors=("arK",), out=tmp_path))
    with pytest.raises(UserError, match="unknown method 'NUT'; did you mean 'NUTS'"):
        run_posteriordb(PosteriordbConfig("posteriordb", methods=("NUT",), out=tmp_path))
    with pytest.raises(UserError, match="unknown target of this study 'seed'; did you mean 'seeds'"):
        run_sampling_targets(SamplingTargetsConfig("sampling-targets", targets=("seed",), out=tmp_path))
    code, _, err = run(capsys, "reproduce", "posteriordb", "--seconds", "0", "--out", str(tmp_path))
    assert (code, len(err.splitlines())) == (2, 1)
    for arguments, message in (
        (
            ("fit", "forty-gaussians", "--objective", "alpha", "--annealing-steps", "10"),
            "are for --objective reverse-kl",
        ),
        (("fit", "u1", "--spread", "0"), "--spread must be positive"),
        (("fit", "u1", "--base", "mixture", "--gradient", "stick-the-landing"), "takes a base that is no mixture"),
        (("fit", "arK-arK", "--dim", "3"), "a number of dimensions of its own: leave --dim out"),
    ):
        code, _, err = run(capsys, *arguments, "--out", str(tmp_path / "run"))
        assert (code, len(err.splitlines())) == (2, 1)
        assert message in err


def test_a_fit_that_failed_counts_against_its_posterior():
    failed = {"posterior": "arK-arK", "method": "pushforward", "seed": 1, "failed": "no start", "seconds": 1.0}
    good = Study(PosteriordbConfig("posteriordb"), [ours("arK-arK", 0, 0.01)])
    bad = Study(PosteriordbConfig("posteriordb"), [ours("arK-arK", 0, 0.01), failed | {"environment": ENVIRONMENT}])
    assert "1 weighted" in described(good).outcome
    assert "0 weighted" in described(bad).outcome


def test_data_that_cannot_be_had_are_no_failure_of_a_method(tmp_path, monkeypatch):
    def missing(_):
        raise UserError("cannot download")

    monkeypatch.setattr("pushforward.studies.posteriordb.cells.reference_draws", missing)
    monkeypatch.setattr("pushforward.studies.posteriordb.cells.posteriors.load", lambda _: (None, {}))
    with pytest.raises(UserError, match="cannot download"):
        run_posteriordb(PosteriordbConfig("posteriordb", posteriors=("arK-arK",), out=tmp_path))
    assert not list(tmp_path.rglob("*.json"))
