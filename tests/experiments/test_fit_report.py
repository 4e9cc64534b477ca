"""The report of a fit is whole, readable on its own, and honest about what is missing."""

import math
import re
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pushforward import flows, targets
from pushforward.distributions import Pushforward, Uniform
from pushforward.experiments.fit.report import write_report
from pushforward.experiments.states import beside_target
from pushforward.objectives import free_energy
from pushforward.targets import Target
from pushforward.training import adam, ensemble, fit, member


@dataclass(frozen=True)
class Config:
    target: str = "u2"
    length: int = 4
    dim: int | None = None


@dataclass(frozen=True)
class FakeRun:
    folder: Path
    config: Config
    result: dict[str, Any]
    metrics: list[dict[str, Any]]
    target: Target
    model: Pushforward
    snapshots: list[tuple[int, Pushforward]]


RESULT = {
    "kl": 0.1234,
    "kl_std_error": 0.0021,
    "kl_estimate": 0.1301,
    "free_energy": -1.9587,
    "reverse_kl_grid": 0.1241,
    "forward_kl_grid": 0.1502,
    "log_z": 2.0821,
    "log_z_estimate": 2.0888,
    "log_z_std_error": 0.0034,
    "ess_fraction": 0.815,
    "k_hat": 0.31,
    "k_hat_verdict": "good: the weights have a finite variance",
    "samples": 131072,
    "warnings": [],
    "seconds": 12.34,
    "steps_per_second": 2345.6,
    "restarts": [0.1234, 0.4567],
    "best_restart": 0,
    "divergences": [None, None],
    "environment": {"jax": jax.__version__, "device": "2 x cpu"},
    "command": "pushforward fit u2 --length 4",
}
NUMBERS = [key for key, value in RESULT.items() if isinstance(value, float) and key != "seconds"]


def make_run(folder: Path, target: Target, flow: Pushforward, **changes: Any) -> FakeRun:
    """A run of `flow` that was recorded twice; `changes` replace entries of its result."""
    metrics = [{"step": step, "loss": [1.0 / step, 2.0 / step], "seconds": 0.1 * step} for step in (1, 2)]
    return FakeRun(folder, Config(target.name), {**RESULT, **changes}, metrics, target, flow, [])


@pytest.fixture(scope="module")
def trained():
    """The best of two planar flows trained on u2 for 200 steps, its records, and snapshots of it."""
    target = targets.make("u2")
    key = jax.random.key(0)
    models = ensemble(lambda key: flows.planar(key, 2, 4), key, 2)
    trained = fit(
        models,
        lambda flow, key, _: free_energy(flow, target.log_densities, key, 128),
        key=key,
        steps=200,
        optimizer=adam(1e-2, 200),
        record_every=20,
    )

    def between(share: float) -> Pushforward:
        mixed = jax.tree.map(lambda a, b: a + share * (b - a) if eqx.is_inexact_array(a) else a, models, trained.model)
        return member(mixed, 0)

    snapshots = [(int(200 * share), between(share)) for share in (0.0, 0.5, 1.0)]
    metrics = [{"step": r.step, "loss": r.loss.tolist(), "seconds": r.seconds} for r in trained.records]
    return target, metrics, snapshots


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    """A finished run whose report is written."""
    target, metrics, snapshots = trained
    run = make_run(tmp_path_factory.mktemp("run"), target, snapshots[-1][1])
    run = replace(run, metrics=metrics, snapshots=snapshots)
    assert write_report(run) == run.folder / "report.html"
    return run


def words(folder: Path) -> str:
    """What a reader sees of a report, without styles and images."""
    page = re.sub(r"<style>.*?</style>", "", (folder / "report.html").read_text(), flags=re.S)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["densities", "samples", "loss", "layers", "states"])
def test_figures_are_not_blank(run, name):
    with Image.open(run.folder / "figures" / f"{name}.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 300
        assert np.asarray(image.convert("L")).std() > 5


@pytest.mark.slow
def test_animation_has_a_frame_for_each_snapshot(run):
    path = run.folder / "figures" / "training.gif"
    assert path.stat().st_size < 1_500_000
    with Image.open(path) as image:
        assert image.n_frames == len(run.snapshots)
        frames = []
        for index in range(image.n_frames):
            image.seek(index)
            frames.append(np.asarray(image.convert("L"), float))
        assert image.info["duration"] > 1000
    assert all(frame.std() > 5 for frame in frames)
    assert np.abs(frames[0] - frames[-1]).max() > 50


def test_page_needs_nothing_else(run):
    page = (run.folder / "report.html").read_text()
    references = re.findall(r"""(?:src|srcset|href)=["']([^"']{0,30})""", page)
    assert len(references) == 12
    assert all(reference.startswith("data:image/") for reference in references)
    assert "url(" not in page
    assert "@import" not in page
    assert len(re.findall(r"<img [^>]*alt=\"[^\"]+\"", page)) == 6
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_page_says_the_numbers(run):
    text = words(run.folder)
    for expected in (
        "0.1234 ± 0.0021",
        "\N{MINUS SIGN}1.9587 ± 0.0021",
        "2.0888 ± 0.0034",
        "0.1502",
        "81.5%",
        "0.31",
        "good: the weights",
        "0.4567",
        "12.34 s",
        "2346 steps/s",
        "131,072 draws",
        RESULT["command"],
        jax.__version__,
    ):
        assert expected in text
    assert "Read this before" not in text


def test_missing_numbers_are_dashes_with_reasons(run):
    absent = dict.fromkeys(NUMBERS)
    changes = {**absent, "restarts": [None, None], "k_hat_verdict": "", "warnings": ["no finite weights"]}
    poor = replace(run, result={**RESULT, **changes}, snapshots=[], metrics=[], folder=run.folder / "poor")
    write_report(poor)
    text = words(poor.folder)
    assert text.count("\N{EM DASH}") == 12 + 2 + 1
    assert "log Z of the target is not known" in text
    assert "no finite weights" in text
    assert not (poor.folder / "figures" / "loss.png").exists()
    assert not re.search(r"\b(nan|None|inf)\b", text)


def test_not_a_number_is_never_shown(run):
    rotten = replace(run, result={**RESULT, **dict.fromkeys(NUMBERS, float("nan"))}, folder=run.folder / "rotten")
    write_report(rotten)
    assert not re.search(r"\bnan\b", words(rotten.folder), flags=re.I)


def test_diverged_restarts_and_missed_mass_are_warned_of(run):
    changes = {
        "restarts": [0.1234, None],
        "divergences": [None, {"step": 1500, "leaf": ".base.loc"}],
        "warnings": ["KL(p‖q) is far above KL(q‖p): the flow misses a part of the target"],
    }
    bad = replace(run, result={**RESULT, **changes}, folder=run.folder / "bad")
    bad.metrics[-1]["loss"][1] = None
    write_report(bad)
    text = words(bad.folder)
    assert "1 of 2 restarts diverged: restart 1 at step 1,500 (.base.loc)" in text
    assert "misses a part of the target" in text


def test_words_of_a_user_are_escaped(run):
    sly = replace(run, result={**RESULT, "command": "<script>alert(1)</script>"}, folder=run.folder / "sly")
    write_report(sly)
    page = (sly.folder / "report.html").read_text()
    assert "<script>alert" not in page
    assert page.count("<script") == 1  # the page's own


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "dim", "pictures"),
    [
        ("student-t-mixture", 1, {"samples", "loss", "states"}),
        ("correlated-gaussian", 3, {"samples", "loss", "states"}),
        ("many-well", 6, {"samples", "marginals", "loss", "states"}),
        ("funnel", 2, {"densities", "samples", "loss", "layers", "states"}),
    ],
)
def test_targets_of_other_dimensions(tmp_path, target, dim, pictures):
    write_report(make_run(tmp_path, targets.make(target, dim), flows.planar(jax.random.key(0), dim, 2)))
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == pictures


def test_unknown_log_z(tmp_path):
    target = targets.from_callable(lambda z: -(z**4).sum(), 2, name="quartic")
    changes = {"log_z": None, "kl": None}
    write_report(make_run(tmp_path, target, flows.planar(jax.random.key(0), 2, 0), **changes))
    assert "KL(q‖p) less log Z of quartic, which is not known" in words(tmp_path)
    assert (tmp_path / "figures" / "layers.png").exists()


def test_densities_of_states_with_atoms(tmp_path):
    """The uniform law of the unit square is an atom at 0; a Normal base brings a volume-preserving flow no nearer to it
    than 0.3069 nats."""
    square = Target(
        "square", 2, lambda x: 0.0 * x.sum(), log_z=0.0, sample=lambda key, n: jax.random.uniform(key, (n, 2))
    )
    flow = flows.nice(jax.random.key(0), 2, 2, base=Uniform(jnp.zeros(2), jnp.full(2, 0.5)), width=4)
    name, _, caption, drawing = beside_target(square, flow, jax.random.key(1))
    assert name == "states"
    assert f"W1 between the two is {math.log(4):.3f} nats, and 0 nats once" in caption
    assert "loses at least 0.3069 nats" in caption
    densities, masses = drawing.figure().axes
    assert not densities.patches
    assert masses.get_visible()
    assert [text.get_text() for text in masses.texts] == ["1.00", "1.00"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in masses.lines], [0, math.log(4)], atol=1e-6)


def test_densities_of_states_that_are_not_numbers_are_not_drawn(run):
    broken = eqx.tree_at(lambda flow: flow.base.loc, run.model, jnp.full(2, jnp.nan))
    assert beside_target(targets.make("funnel", 2), broken, jax.random.key(0))[-1] is None
