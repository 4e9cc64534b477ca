"""Figures draw what they are given, whatever that is, and leave Matplotlib as it was."""

import io
import math

import jax
import matplotlib
import numpy as np
import pytest
from PIL import Image

from pushforward import flows, targets
from pushforward.drawing.flows import densities, layers
from pushforward.drawing.style import DARK, LIGHT
from pushforward.drawing.surfaces import (
    flow_density,
    highest_density_level,
    plot_box,
    sample,
    target_density,
    trajectory,
)
from pushforward.drawing.text import number
from pushforward.drawing.training import loss_curve
from pushforward.quadrature import Grid
from pushforward.studies.energies.page import StudyFit, StudyRow, study_grid


def gaussian(half: float) -> targets.Target:
    """N(0, I) in two dimensions with a square box."""
    box = ((-half, half), (-half, half))
    return targets.Target("gaussian", 2, lambda z: -0.5 * (z**2).sum(), math.log(2 * math.pi), box)


def test_loss_curve_leaves_out_what_is_not_finite_and_what_is_huge():
    losses = np.linspace(5, -2, 100)[:, None] * np.ones(3)
    losses[0] = 1e9
    losses[40:, 1] = np.nan
    axes = loss_curve(np.arange(1, 101), losses, 2, 2.5).figure().axes[0]
    low, high = axes.get_ylim()
    assert -3.5 < low < -2.5
    assert 4 < high < 20
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "other restarts",
        "best restart",
        "\N{MINUS SIGN}log Z = \N{MINUS SIGN}2.500",
    ]


def test_loss_curve_of_one_restart_and_one_record():
    axes = loss_curve(np.array([10]), np.array([[1.5]]), 0, None).figure().axes[0]
    assert axes.get_ylim() == (0.5, 2.5)


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_density_zero_has_the_colour_of_the_page(style):
    assert matplotlib.colors.to_hex(style.density(0.0)) == style.page
    drawing = densities(targets.make("u1"), flows.planar(jax.random.key(0), 2, 2))
    with Image.open(io.BytesIO(drawing.png(style))) as image:
        assert "#{:02x}{:02x}{:02x}".format(*image.convert("RGB").getpixel((0, 0))) == style.page


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_density_colours_go_one_way_in_lightness(style):
    luminance = style.density(np.linspace(0, 1, 256))[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    steps = np.diff(luminance)
    assert np.all(steps < 1e-3) or np.all(steps > -1e-3)


def test_matplotlib_is_left_as_it_was():
    before = dict(matplotlib.rcParams)
    layers(flows.planar(jax.random.key(0), 2, 1), jax.random.key(1)).png(DARK)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("length", "panels"), [(0, 1), (3, 4), (20, 8)])
def test_layers_shows_at_most_eight_panels(length, panels):
    axes = layers(flows.radial(jax.random.key(0), 2, length), jax.random.key(1)).figure().axes
    titles = [ax.get_title() for ax in axes if ax.get_visible()]
    assert len(titles) == panels
    assert titles[0] == "base"
    assert length == 0 or titles[-1] == f"layer {length}"


def test_pictures_of_densities_are_for_two_dimensions():
    flow = flows.planar(jax.random.key(0), 3, 1)
    assert densities(targets.make("correlated-gaussian", 3), flow) is None
    assert layers(flow, jax.random.key(1)) is None


@pytest.mark.parametrize(
    "flow",
    [flows.planar(jax.random.key(0), 2, 5), flows.nice(jax.random.key(0), 2, 5, mixing="permutation", width=4)],
    ids=["planar", "nice"],
)
def test_trajectory_goes_from_the_base_to_the_flow(flow):
    points = trajectory(flow, jax.random.key(1))
    assert points.shape == (6, 5000, 2)
    np.testing.assert_allclose(points[0], flow.base.sample(jax.random.key(1), (5000,)), rtol=1e-6)
    np.testing.assert_allclose(points[-1], jax.vmap(flow.bijection.forward)(points[0]), rtol=1e-4, atol=1e-5)


def test_trajectory_of_no_layers_is_the_base():
    flow = flows.planar(jax.random.key(0), 2, 0)
    assert trajectory(flow, jax.random.key(1)).shape == (1, 5000, 2)
    assert sample(flow, jax.random.key(1)).shape == (5000, 2)


def test_level_of_a_gaussian():
    density = target_density(gaussian(5.0), Grid(((-5.0, 5.0), (-5.0, 5.0)), 200))
    # A share m of a 2-D Gaussian lies above (1 - m) times its peak.
    assert highest_density_level(density, 0.5) == pytest.approx(0.5 * density.max(), rel=0.02)


def test_unknown_log_z_is_normalised_on_the_grid():
    target = targets.from_callable(lambda z: 3 - (z**2).sum(), 2, name="unnormalised")
    grid = Grid(((-5.0, 5.0), (-5.0, 5.0)), 200)
    assert np.sum(target_density(target, grid) * np.exp(grid.log_weights)) == pytest.approx(1)


@pytest.mark.parametrize("subpixels", [1, 3])
def test_flow_density_integrates_to_one(subpixels):
    grid = Grid(((-8.0, 8.0), (-8.0, 8.0)), 160)
    density = flow_density(flows.planar(jax.random.key(0), 2, 3), grid, subpixels)
    assert np.sum(density * np.exp(grid.log_weights)) == pytest.approx(1, abs=1e-3)


def test_box_of_a_plot():
    flow = flows.planar(jax.random.key(0), 2, 1)
    full = targets.make("u4")
    assert plot_box(full, flow) == full.box
    assert np.allclose(plot_box(gaussian(30.0), flow), 1.2 * 2.878 * np.array([-1, 1]), atol=0.2)
    assert all(-15 < low < 0 < high < 15 for low, high in plot_box(targets.make("funnel"), flow))


def test_study_grid_with_holes():
    flow = flows.planar(jax.random.key(0), 2, 2)
    rows = [
        StudyRow(
            targets.make("u1"),
            [StudyFit("planar", 2, flow, 0.5), StudyFit("planar", 8, flow, 0.03)],
        ),
        StudyRow(
            targets.make("u2"),
            [StudyFit("planar", 2, flow, None), StudyFit("radial", 2, flow, 1.25)],
        ),
    ]
    figure = study_grid(rows).figure()
    assert len(figure.axes) == 2 + 4
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("planar") == texts.count("radial") == 1
    assert {"K = 2", "K = 8", "KL 0.50", "KL 0.03", "KL 1.25", "KL \N{EM DASH}", "u1", "u2"} <= set(texts)
    (best,) = [text for text in figure.texts if text.get_text() == "KL 0.03"]
    assert best.get_weight() == "bold"


@pytest.mark.parametrize(
    ("value", "std_error", "expected"),
    [
        (1.23456, 0.0123, "1.235 ± 0.012"),
        (-0.5, 0.25, "\N{MINUS SIGN}0.50 ± 0.25"),
        (12345.6, 321.0, "12346 ± 321"),
        (0.284, None, "0.2840"),
        (0.0123, None, "0.0123"),
        (2.0, 0.0, "2.000"),
        (0.0, None, "0"),
        (4e-5, None, "4e\N{MINUS SIGN}05"),
        (None, 0.1, None),
        (float("nan"), None, None),
        (float("inf"), 1.0, None),
    ],
)
def test_number(value, std_error, expected):
    assert number(value, std_error) == expected
