"""Pictures of a deep latent Gaussian model: what it makes of the data, and its posteriors among the latents."""

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.cluster.vq import kmeans2

from pushforward.drawing import images, panels
from pushforward.drawing.data import labels
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.surfaces import GRID_SIZE, quantile_box
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.models import DLGM
from pushforward.quadrature import Box, Grid
from pushforward.types import PRNGKeyArray

PAIRS_A_ROW = 8
CLUSTERS = 3
IMAGES = 4
DRAWS = 2000
PRIOR_BOX: Box = ((-6.0, 6.0), (-6.0, 6.0))
ZOOMS = 2
DOT = 1.6
THUMBNAIL = 0.9


def pictures(run: DlgmRun, observations: Float[Array, "n D"]) -> Float[np.ndarray, "n H W C"]:
    """Observations as images: 0 is black and 1 is white."""
    observation = run.observation
    scale = observation.levels - 1 if observation.kind == "levels" else 1
    return np.asarray(observations, np.float64).reshape(-1, *run.dataset.shape) / scale


def reconstructions(
    run: DlgmRun, key: PRNGKeyArray, n: int
) -> tuple[Float[np.ndarray, "n H W C"], Float[np.ndarray, "n H W C"]]:
    """The first test images as the model sees them, and the centre of `p(x | z)` for one draw `z` of each posterior."""
    x = run.test_observations[:n]
    return pictures(run, x), _shaped(run, _centres(run.model, _posterior_sample(run.model, x, key)))


def samples(run: DlgmRun, key: PRNGKeyArray, n: int) -> Float[np.ndarray, "n *event"]:
    """Draws of the model: images as the centres of `p(x | z)`, other data as samples of `p(x)`."""
    model = run.model
    if run.dataset.levels is None:
        drawn = eqx.filter_jit(lambda model, keys: jax.vmap(model.sample)(keys)[0])(model, jax.random.split(key, n))
        return _shaped(run, drawn)
    return _shaped(run, _centres(model, model.prior.sample(key, (n,))))


def pairs(left: Float[np.ndarray, "n H W C"], right: Float[np.ndarray, "n H W C"]) -> Drawing:
    """Each image of one kind with that of the other to its right, in a mosaic."""
    height = left.shape[1]
    side = np.zeros((len(left), height, images.gap_of(height), 4))
    joined = np.concatenate([images.tiles(left), side, images.tiles(right)], axis=2)
    mosaic = images.arranged(joined, PAIRS_A_ROW, -(-len(joined) // PAIRS_A_ROW), gaps=3)

    def draw(style: Style) -> Figure:
        width = panels.WIDTH - 0.2
        figure, ((axes,),) = panels.panel_grid(
            1, 1, width, width * mosaic.shape[0] / mosaic.shape[1], left=0.1, right=0.1, top=0.1, bottom=0.1
        )
        axes.imshow(mosaic, aspect="auto")
        axes.set_axis_off()
        return figure

    return Drawing(draw)


@dataclass(frozen=True)
class View:
    """The posterior of one observation in the plane of two latents.

    Attributes:
        observation: as a picture, or as a point among `others`.
        plane: the two latents, counted from 0.
        draws: of the Normal before the flow, if there is one, and of `q(z | x)`.
        truth: the density of `p(z | x)` on a grid over the box; None unless these are all latents.
        box: what is shown of the plane.
    """

    observation: Float[np.ndarray, "..."]
    plane: tuple[int, int]
    draws: list[Float[np.ndarray, "n 2"]]
    truth: Float[np.ndarray, "n1 n2"] | None
    box: Box


@dataclass(frozen=True)
class Views:
    """Posteriors of a few observations.

    Attributes:
        views: of each.
        others: rows in 2-D that the observations are shown among; None where they are pictures or have no picture.
    """

    views: list[View]
    others: Float[np.ndarray, "n 2"] | None


def views(run: DlgmRun, key: PRNGKeyArray) -> Views | None:
    """The posteriors of the first test images, or of a row in each of three clusters; None of a single latent.

    The plane is that of the two latents whose law the flow changes the most, or, without a flow, of the narrowest ones.
    """
    model, tests = run.model, run.test_observations
    if model.latents < 2:
        return None
    others = np.asarray(tests[:DRAWS], np.float64) if run.dataset.shape == (2,) else None
    x = tests[slice(IMAGES) if others is None else _middles(np.asarray(tests, np.float64))]
    shown = pictures(run, x) if others is None else np.asarray(x, np.float64)
    before, after = (np.asarray(z, np.float64) for z in _around_flow(model, x, key))
    found = [_view(model, *parts) for parts in zip(x, shown, before, after)]
    return Views(found, others)


def _view(
    model: DLGM,
    x: Float[Array, " D"],
    observation: Float[np.ndarray, "..."],
    before: Float[np.ndarray, "n latents"],
    after: Float[np.ndarray, "n latents"],
) -> View:
    i, j = plane = _narrowest(after) if model.posterior.flow is None else _most_changed(before, after)
    draws = [after[:, plane]] if model.posterior.flow is None else [before[:, plane], after[:, plane]]
    exact = [_true_draws(model, x)] if model.latents == 2 else []
    box = _square(quantile_box(np.concatenate([*draws, *exact])))
    truth = _true_posterior(model, x, box) if exact else None
    return View(observation, (i, j), draws, truth, box)


def posteriors(shown: Views) -> Drawing:
    """A row for each observation: itself, its posterior before and after the flow, and the true one if known."""
    first = shown.views[0]
    titles = ["before the flow", "after the flow"] if len(first.draws) == 2 else ["q(z|x), Normal"]
    if first.truth is not None:
        titles.append("true posterior")
    pictured = shown.others is not None or first.observation.ndim == 3
    left = THUMBNAIL + 0.85 if pictured else 0.7
    width = min(1.75, (panels.WIDTH - left - 0.1 * len(titles)) / len(titles))

    def draw(style: Style) -> Figure:
        figure, grid = panels.panel_grid(
            len(shown.views), len(titles), width, width, left=left, right=0.1, top=0.35, bottom=0.5, row_gap=0.55
        )
        for axes, title in zip(grid[0], titles):
            axes.set_title(title)
        for view, row in zip(shown.views, grid):
            _draw_view(view, list(row), style)
            if pictured:
                edge, (across, up) = row[0].get_position(), THUMBNAIL / figure.get_size_inches()
                axes = figure.add_axes((across / 12, (edge.y0 + edge.y1 - up) / 2, across, up))
                _draw_observation(axes, view.observation, shown.others, style)
        return figure

    return Drawing(draw)


def latent_map(run: DlgmRun, key: PRNGKeyArray) -> Drawing | None:
    """The test set among the data and among the latents, each point in one colour; None unless of two latents."""
    model = run.model
    if model.latents != 2:
        return None
    x = run.test_observations[:DRAWS]
    z = np.asarray(_posterior_sample(model, x, key), np.float64)
    places = np.asarray(x, np.float64)
    names: Sequence[str] = labels(run.dataset)
    if places.shape[1] != 2:
        places, names = _principal_components(places), ("first principal component", "second")

    def draw(style: Style) -> Figure:
        width = (panels.WIDTH - 1.6) / 2
        figure, ((left, right),) = panels.panel_grid(1, 2, width, width, column_gap=0.75)
        colours = panels.place_colours(places, style)
        for axes, title, points, (across, up) in (
            (left, "data", places, names),
            (right, "latents", z, panels.PLANE),
        ):
            axes.scatter(points[:, 0], points[:, 1], c=colours, s=panels.dot_size(len(points)), linewidths=0)
            (xlim, ylim) = _square(quantile_box(points))
            panels.few_ticks(axes)
            axes.set(title=title, xlabel=across, ylabel=up, xlim=xlim, ylim=ylim)
        return figure

    return Drawing(draw)


def _draw_view(view: View, row: Sequence[Axes], style: Style) -> None:
    colours = [style.muted, style.flow][-len(view.draws) :]
    for axes, points, colour in zip(row, view.draws, colours):
        axes.scatter(points[:, 0], points[:, 1], color=colour, s=DOT, alpha=0.5, linewidths=0, rasterized=True)
    if view.truth is not None:
        panels.show_density(row[-1], view.truth, view.box, panels.colour_limit(view.truth), style)
    across, up = (panels.coordinate(latent) for latent in view.plane)
    for axes in row:
        panels.few_ticks(axes)
        axes.set(xlim=view.box[0], ylim=view.box[1], xlabel=across, aspect="auto")
        axes.tick_params(labelleft=axes is row[0])
    row[0].set_ylabel(up)


def _draw_observation(
    axes: Axes, observation: Float[np.ndarray, "..."], others: Float[np.ndarray, "n 2"] | None, style: Style
) -> None:
    axes.set(xticks=[], yticks=[])
    if others is None:
        axes.imshow(images.tiles(observation[None])[0])
        return
    axes.scatter(others[:, 0], others[:, 1], color=style.muted, s=DOT, alpha=0.3, linewidths=0)
    axes.scatter(observation[0], observation[1], color=style.target, s=30, zorder=3)
    xlim, ylim = _square(quantile_box(others))
    axes.set(xlim=xlim, ylim=ylim)


def _shaped(run: DlgmRun, rows: Float[Array, "n D"]) -> Float[np.ndarray, "n *event"]:
    return np.asarray(rows, np.float64).reshape(-1, *run.dataset.shape)


@eqx.filter_jit
def _centres(model: DLGM, z: Float[Array, "n latents"]) -> Float[Array, "n D"]:
    return jax.vmap(lambda z: model.decoder.likelihood.picture(model.decoder.parameters(z)))(z)


@eqx.filter_jit
def _posterior_sample(model: DLGM, x: Float[Array, "n D"], key: PRNGKeyArray) -> Float[Array, "n latents"]:
    return jax.vmap(lambda x, key: model.posterior(x).sample(key))(x, jax.random.split(key, len(x)))


@eqx.filter_jit
def _around_flow(
    model: DLGM, x: Float[Array, "n D"], key: PRNGKeyArray
) -> tuple[Float[Array, "n draws latents"], Float[Array, "n draws latents"]]:
    """Draws of each Normal, and where the flow moves them."""

    def one(x: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
        features = model.posterior.encoder(x)
        noise = model.prior.sample(key, (DRAWS,))
        before = jax.vmap(model.posterior.affine(features).resolve().forward)(noise)
        if model.posterior.flow is None:
            return before, before
        return before, jax.vmap(model.posterior.flow(features).resolve().forward)(before)

    return jax.vmap(one)(x, jax.random.split(key, len(x)))


def _most_changed(before: Float[np.ndarray, "n latents"], after: Float[np.ndarray, "n latents"]) -> list[int]:
    """The two latents whose sorted draws, less their means, the flow moves the most, in standard deviations."""
    start, end = (np.sort(z - z.mean(axis=0), axis=0) for z in (before, after))
    return sorted(np.argsort(np.abs(end - start).mean(axis=0) / before.std(axis=0))[-2:].tolist())


def _narrowest(draws: Float[np.ndarray, "n latents"]) -> list[int]:
    return sorted(np.argsort(draws.std(axis=0))[:2].tolist())


def _middles(rows: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, " clusters"]:
    """The rows nearest to the means of three clusters, which grow from rows that are far from each other."""
    far = [int(np.argmax(np.sum((rows - rows.mean(axis=0)) ** 2, axis=1)))]
    while len(far) < CLUSTERS:
        far.append(int(np.argmax(_squared_distances(rows, rows[far]).min(axis=1))))
    means, _ = kmeans2(rows, rows[far], minit="matrix")
    return np.argmin(_squared_distances(rows, means), axis=0)


def _squared_distances(rows: Float[np.ndarray, "n 2"], means: Float[np.ndarray, "m 2"]) -> Float[np.ndarray, "n m"]:
    return np.sum((rows[:, None] - means) ** 2, axis=2)


def _true_posterior(model: DLGM, x: Float[Array, " D"], box: Box) -> Float[np.ndarray, "n1 n2"]:
    """The density of `p(z | x)` on a grid over the box, normalised there."""
    grid = Grid(box, GRID_SIZE)
    log_joint = np.asarray(_log_joint(model, x, jnp.asarray(grid.points, x.dtype)), np.float64)
    return np.exp(log_joint - grid.log_integral(log_joint))


def _true_draws(model: DLGM, x: Float[Array, " D"]) -> Float[np.ndarray, "n 2"]:
    """Points of `p(z | x)` on a grid around its mass."""
    generator, box = np.random.default_rng(0), PRIOR_BOX
    for _ in range(1 + ZOOMS):
        density = _true_posterior(model, x, box)
        cells = generator.choice(density.size, DRAWS, p=density.ravel() / density.sum())
        points = Grid(box, GRID_SIZE).points.reshape(-1, 2)[cells]
        box = quantile_box(points)
    return points


@eqx.filter_jit
def _log_joint(model: DLGM, x: Float[Array, " D"], z: Float[Array, "n1 n2 2"]) -> Float[Array, "n1 n2"]:
    return jax.vmap(jax.vmap(lambda z: model.log_joint(x, z)))(z)


def _principal_components(rows: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n 2"]:
    centred = rows - rows.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return centred @ directions[:2].T


def _square(box: Box) -> Box:
    """The box widened to a square, unless its sides are too unlike."""
    if panels.aspect(box) == "auto":
        return box
    half = max(high - low for low, high in box) / 2
    middles = [(low + high) / 2 for low, high in box]
    return tuple((middle - half, middle + half) for middle in middles)
