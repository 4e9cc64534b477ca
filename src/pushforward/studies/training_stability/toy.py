"""The scale of one dimension alone, in pictures: its loss, its curvature, and what optimisers make of it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from matplotlib.figure import Figure

from pushforward import stability, training
from pushforward.drawing.panels import panel_grid
from pushforward.drawing.style import Drawing, Style

STEPS = 400
STARTS = (2.0, -2.0)
RATES = (0.01, 0.1, 0.5, 1.2)
OPTIMISERS: dict[str, Callable[[float], optax.GradientTransformation]] = {
    "descent at 0.1": lambda clip: optax.chain(
        optax.clip_by_global_norm(clip) if clip else optax.identity(), optax.sgd(0.1)
    ),
    "Adam at 0.01": lambda clip: training.adam(0.01, STEPS, schedule="constant", gradient_clip=clip),
}


def toy() -> Drawing:
    """The loss and its curvature, and what optimisers make of it from both sides of the optimum."""
    distances = np.linspace(-3, 3, 121)
    places = jnp.asarray(distances)
    loss, curvature, rate = (
        np.asarray(function(places, jnp.ones_like(places)))
        for function in (stability.scale_loss, stability.scale_curvature, stability.largest_stable_rate)
    )
    dots = distances[::10]
    second_derivative = jax.grad(jax.grad(lambda u: stability.scale_loss(u, jnp.ones(()))))
    hessian = np.asarray(jax.vmap(second_derivative)(jnp.asarray(dots)))
    moments = jnp.ones(STEPS)
    descents = {
        f"rate {rate:g}": [np.asarray(stability.descend_scale(jnp.asarray(e), moments, rate)) for e in STARTS]
        for rate in RATES
    }
    clipped = {
        f"{name}, {'clipped at 1' if clip else 'not clipped'}": [
            np.asarray(stability.minimise_scale(jnp.asarray(STARTS[0]), moments, make(clip)))
        ]
        for name, make in OPTIMISERS.items()
        for clip in (0.0, 1.0)
    }

    def draw(style: Style) -> Figure:
        figure, grid = panel_grid(2, 3, *(2.6, 1.9), left=0.75, top=0.45, bottom=0.6, row_gap=0.85, column_gap=0.75)
        (left, middle, right), below = grid
        left.plot(distances, loss, color=style.flow)
        left.set(title="loss", ylabel="nats", ylim=(0, 20))
        middle.plot(distances, curvature, color=style.flow, label="2 exp(2e)")
        middle.plot(dots, hessian, "o", color=style.target, markersize=4, label="autodiff")
        middle.set(title="curvature", yscale="log")
        right.plot(distances, rate, color=style.flow)
        right.plot([0], [1], "o", color=style.target, markersize=4)
        right.set(title="largest stable rate", yscale="log")
        for axes in grid[0]:
            axes.set_xlabel("e, from the optimum", fontsize=9)
        middle.legend(fontsize=8)
        colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
        panels = (
            (descents, 0, "descent, steep side"),
            (descents, 1, "descent, flat side"),
            (clipped, 0, "clipping, steep side"),
        )
        for axes, (trajectories, side, title) in zip(below, panels):
            for colour, (label, each) in zip(colours, trajectories.items()):
                axes.plot(each[side], ".", color=colour, markersize=2.5, label=label)
            axes.set_yscale("symlog", linthresh=0.1)
            axes.set(title=title, xlim=(-5, STEPS), ylim=(-1000, 5))
            axes.set_xlabel("step", fontsize=9)
            axes.axhline(0, color=style.muted, linewidth=0.8)
            axes.legend(fontsize=7, loc="lower right", markerscale=3)
        below[0].set_ylabel("e")
        for axes in grid.ravel():
            axes.tick_params(labelsize=7)
            axes.title.set_fontsize(9)
            axes.spines[["top", "right"]].set_visible(False)
        return figure

    return Drawing(draw)
