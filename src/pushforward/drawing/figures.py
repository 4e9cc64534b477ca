"""The figures of reports, for users: each function returns a Matplotlib figure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pushforward.distributions import Pushforward
from pushforward.drawing import flows, states
from pushforward.drawing import training as curves
from pushforward.drawing.style import DARK, LIGHT, Drawing
from pushforward.states import DensityOfStates
from pushforward.targets import Target
from pushforward.training import Fit
from pushforward.types import PRNGKeyArray


def densities(target: Target, flow: Pushforward, *, dark: bool = False) -> Figure:
    """The density of a target in the plane and that of a flow beside each other, on one colour scale.

    The scale ends at the density above which 2% of the target's mass lies, so that one spike does not hide the rest.

    Args:
        target: what the flow was fitted to, of two dimensions.
        flow: of two dimensions.
        dark: whether the figure is for a dark page.

    Raises:
        ValueError: the target or the flow has not two dimensions.

    Example:
        >>> target = pushforward.targets.make("u1")
        >>> pushforward.drawing.densities(target, flow).savefig("u1.png")
    """
    _check_dim(target, flow)
    return _figure(flows.densities(target, flow), flow, dark)


def samples(target: Target, flow: Pushforward, key: PRNGKeyArray, *, dark: bool = False) -> Figure:
    """Samples of a flow against its target.

    In one dimension a histogram and the target's density; in two, points over the regions of highest density that hold
    50%, 90% and 99% of the target; else each pair of the first four dimensions, with exact samples where there are any.

    Args:
        target: what the flow was fitted to.
        flow: of as many dimensions.
        key: for the samples.
        dark: whether the figure is for a dark page.

    Raises:
        ValueError: the flow has another number of dimensions than the target.
    """
    _check_dim(target, flow)
    return _figure(flows.samples(target, flow, key), flow, dark)


def layers(flow: Pushforward, key: PRNGKeyArray, *, dark: bool = False) -> Figure:
    """Samples of the base of a flow in the plane, pushed layer by layer; at most eight panels.

    Each point keeps the colour of its place in the base, so that one sees how space is folded.

    Args:
        flow: of two dimensions.
        key: for the samples.
        dark: whether the figure is for a dark page.

    Raises:
        ValueError: the flow has not two dimensions.
    """
    return _figure(flows.layers(flow, key), flow, dark)


def losses(fit: Fit[Any], *, best: int = 0, log_z: float | None = None, dark: bool = False) -> Figure:
    """The loss of every member over training, and the validation loss where there is one.

    Args:
        fit: what `training.fit` returned.
        best: index of the member that stands out.
        log_z: log normaliser of the target in nats, for the line that free energies cannot fall below.
        dark: whether the figure is for a dark page.

    Raises:
        ValueError: training has left no record.
    """
    if not fit.records:
        raise ValueError("there is no record of this training to draw")
    steps = np.array([record.step for record in fit.records])
    training = np.array([record.loss for record in fit.records])
    if fit.best_steps is None:
        return _styled(curves.loss_curve(steps, training, best, log_z), dark)
    validation = np.array([record.validation for record in fit.records])
    return _styled(curves.training_curve(steps, training, validation, best, int(fit.best_steps[best])), dark)


def densities_of_states(laws: Mapping[str, DensityOfStates], *, dark: bool = False) -> Figure:
    """Densities of states by name: continuous parts as areas, atoms as stems with a dot at their mass.

    Args:
        laws: one or two.
        dark: whether the figure is for a dark page.

    Raises:
        ValueError: there are more than two, or none.
    """
    if not 1 <= len(laws) <= 2:
        raise ValueError(f"expected one or two densities of states, got {len(laws)}")
    return _styled(states.curves(list(laws.items())), dark)


def _check_dim(target: Target, flow: Pushforward) -> None:
    if flow.shape != (target.dim,):
        raise ValueError(f"the flow has event shape {flow.shape}, the target {target.name} has ({target.dim},)")


def _figure(drawing: Drawing | None, flow: Pushforward, dark: bool) -> Figure:
    if drawing is None:
        raise ValueError(f"this figure is of two dimensions, the flow has event shape {flow.shape}")
    return _styled(drawing, dark)


def _styled(drawing: Drawing, dark: bool) -> Figure:
    return drawing.figure(DARK if dark else LIGHT)
