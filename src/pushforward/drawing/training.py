"""The losses of training as curves."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pushforward.drawing.panels import WIDTH, legend_above, panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.text import MINUS, number


def loss_curve(
    steps: Int[np.ndarray, " records"],
    losses: Float[np.ndarray, "records members"],
    best: int,
    log_z: float | None,
    name: str = "free energy",
) -> Drawing:
    """The loss of every restart over training; of a free energy with its lower bound `-log Z` where that is known.

    A restart that diverged has NaN from there on. Huge values of the first steps are left outside the axis.
    """

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, WIDTH - 1.25, 2.7, left=0.9, right=0.35)
        others = np.delete(losses, best, axis=1)
        if others.shape[1]:
            lines = axes.plot(steps, others, color=style.muted, alpha=0.45, linewidth=0.9)
            lines[0].set_label("other restarts")
        axes.plot(steps, losses[:, best], color=style.flow, linewidth=1.8, label="best restart")
        if log_z is not None:
            axes.axhline(
                -log_z, color=style.target, linewidth=1.4, linestyle="--", label=f"{MINUS}log Z = {number(-log_z)}"
            )
        axes.set(ylabel=f"{name} / nats", ylim=_loss_limits(losses, log_z))
        _finish_over_steps(axes, steps)
        return figure

    return Drawing(draw)


def training_curve(
    steps: Int[np.ndarray, " records"],
    training: Float[np.ndarray, "records members"],
    validation: Float[np.ndarray, "records members"],
    best: int,
    best_step: int,
    name: str = f"{MINUS}log-likelihood",
    settled: int = 0,
) -> Drawing:
    """The training and validation loss of every restart, with a mark where the validation loss was lowest.

    What is not finite is left out. Huge values of the first steps are left outside the axis, and so is what training
    has up to the step `settled` where that exceeds the axis of the rest.
    """
    lowest = validation[steps == best_step, best]
    counted = steps > (settled if settled < steps[-1] else 0)
    scale = np.concatenate([training[counted], validation])

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, WIDTH - 1.25, 2.7, left=0.9, right=0.35)
        for part, losses, colour in (("training", training, style.flow), ("validation", validation, style.target)):
            axes.plot(steps, np.delete(losses, best, axis=1), color=colour, alpha=0.35, linewidth=0.9)
            axes.plot(steps, losses[:, best], color=colour, linewidth=1.8, label=part)
        label = f"best step: {best_step:,}"
        mark = {"color": style.text, "marker": "o", "markersize": 6, "linestyle": "none", "zorder": 3}
        axes.plot(np.full(len(lowest), best_step), lowest, clip_on=False, label=label, **mark)
        axes.set(ylabel=f"{name} / nats", ylim=_loss_limits(scale, None))
        _finish_over_steps(axes, steps)
        return figure

    return Drawing(draw)


def _loss_limits(losses: Float[np.ndarray, "records members"], log_z: float | None) -> tuple[float, float]:
    finite = losses[np.isfinite(losses)]
    low = min(finite.min(), np.inf if log_z is None else -log_z)
    high = min(finite.max(), low + 2 * (np.quantile(finite, 0.95) - low))
    margin = 0.05 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _finish_over_steps(axes: Axes, steps: Int[np.ndarray, " records"]) -> None:
    axes.set(xlabel="step", xlim=(0, steps[-1]))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y")
    axes.spines[["top", "right"]].set_visible(False)
    legend_above(axes)
