"""Advice in words and numbers."""

from pushforward.drawing.states import curves
from pushforward.drawing.style import Drawing
from pushforward.drawing.text import DASH, number
from pushforward.experiments.advise.advice import Advice
from pushforward.states import Bound, Estimate


def verdict(advice: Advice) -> str:
    """What to use, and why."""
    return f"{advice.verdict}: {' '.join(advice.reasons)}"


def numbers(advice: Advice) -> list[tuple[str, str]]:
    """Every number behind the verdict, in nats, after what it is."""
    of_flow, of_rows = advice.bounds
    base = f"from a Student-t base of {advice.df:g} degrees of freedom"
    return [
        ("volume-preserving bound, the flow's own", interval(of_flow)),
        ("volume-preserving bound, held-out rows", interval(of_rows)),
        (f"{base}, the flow's own", interval(advice.matched[0])),
        (f"{base}, held-out rows", interval(advice.matched[1])),
        ("log-likelihood of the flow, held-out rows", number(advice.log_likelihood) or DASH),
        ("log-likelihood of a Normal, held-out rows", number(advice.normal_log_likelihood) or DASH),
    ]


def saving(advice: Advice) -> str:
    """What another base would do for a volume-preserving flow."""
    gain = advice.bounds[0].nats - advice.matched[0].nats
    if gain > 0:
        return f"A base that matches, Student-t, would save a volume-preserving flow {gain:.3f} nats at most."
    return "A Student-t base would save a volume-preserving flow nothing."


def picture(advice: Advice) -> Drawing:
    """Both densities of states."""
    return curves([("held-out rows", advice.held_out), ("draws of the flow", advice.own)])


def interval(bound: Bound) -> str:
    """A bound with its interval."""
    return estimate(Estimate(bound.nats, bound.low, bound.high))


def estimate(estimated: Estimate) -> str:
    """A number with its interval, if it has one."""
    if estimated.low == estimated.high == estimated.value:
        return f"{estimated.value:.4f}"
    return f"{estimated.value:.4f} [{estimated.low:.4f}, {estimated.high:.4f}]"
