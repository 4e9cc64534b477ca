"""One training step of a planar flow, K = 32, batch 256, on the energy U4: pushforward beside its peers.

All minimise the reverse KL by Adam from a trained normal base, each by the loop that its own documentation offers. Each
contender has a process of its own and a first round to warm up, which is not counted; then they take turns, so that
whatever else the machine does falls on all of them alike. Ratios are taken within a round; their median is reported.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import tyro

from common import LEARNING_RATE, TARGET, Row, at_least, flowjax_fit, installed, pushforward_fit, report, spread, worker

LENGTH = 32
BATCH = 256
REQUIRED_RATIO = 10


@dataclass(frozen=True)
class Timing:
    """Steps a second, those of all members together, and the mean loss in nats over the last twentieth of them."""

    rate: float
    loss: float


@dataclass(frozen=True)
class Contender:
    """`run(steps)` in a process that sees `devices` devices, with `share` of the steps that the first one does."""

    name: str
    package: str
    run: Callable[[int], Timing]
    share: float
    devices: int = 1


def pushforward_loop(members: int, steps: int) -> Timing:
    """By the clock on the wall from the first record to the last, so that what Python does between chunks counts."""
    times: list[float] = []
    result = pushforward_fit(LENGTH, BATCH, members)(
        steps=steps, record_every=steps // 20, on_record=lambda _: times.append(time.perf_counter())
    )
    timed = result.records[-1].step - result.records[0].step
    return Timing(members * timed / (times[-1] - times[0]), float(result.records[-1].loss.mean()))


def flowjax_loop(recipe: bool, steps: int) -> Timing:
    fit = _flowjax_fit(recipe)
    start = time.perf_counter()
    _, losses = fit(steps=steps)
    seconds = time.perf_counter() - start
    return Timing(steps / seconds, statistics.mean(losses[-len(losses) // 20 :]))


@cache
def _flowjax_fit(recipe: bool) -> Callable[..., Any]:
    return flowjax_fit(LENGTH, BATCH, recipe=recipe)


def normflows_loop(steps: int) -> Timing:
    """The loop of normflows' own examples: eager PyTorch."""
    import normflows
    import torch

    def log_density(z: torch.Tensor) -> torch.Tensor:
        z1, z2 = z[:, 0], z[:, 1]
        w1, w3 = torch.sin(torch.pi * z1 / 2), 3 * torch.sigmoid((z1 - 1) / 0.3)
        band = torch.logaddexp(-0.5 * ((z2 - w1) / 0.4) ** 2, -0.5 * ((z2 - w1 + w3) / 0.35) ** 2)
        return band - 0.5 * torch.sum((torch.relu(z.abs() - 4) / 0.1) ** 2, dim=1)

    torch.manual_seed(0)
    target = torch.nn.Module()
    target.log_prob = log_density
    layers = [normflows.flows.Planar((2,)) for _ in range(LENGTH)]
    flow = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(2), layers, target)
    optimizer = torch.optim.Adam(flow.parameters(), LEARNING_RATE)
    losses = []
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = flow.reverse_kld(BATCH)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    seconds = time.perf_counter() - start
    return Timing(steps / seconds, statistics.mean(losses[-len(losses) // 20 :]))


OURS = "pushforward, 1 member"
CONTENDERS = (
    Contender(OURS, "pushforward", partial(pushforward_loop, 1), 1.0),
    Contender("pushforward, 8 members on 2 devices", "pushforward", partial(pushforward_loop, 8), 0.25, devices=2),
    Contender("FlowJAX, Planar in a Scan", "flowjax", partial(flowjax_loop, False), 0.1),
    Contender("FlowJAX, planar_flow", "flowjax", partial(flowjax_loop, True), 0.1),
    Contender("normflows, eager PyTorch", "normflows", normflows_loop, 0.01),
)


def main(rounds: int = 7, steps: int = 20_000) -> None:
    """Time a training step of pushforward and of its peers.

    Args:
        rounds: turns of each contender, after one to warm up.
        steps: steps of one turn of pushforward with one member; the slower do a fixed share of it.
    """
    contenders = [contender for contender in CONTENDERS if installed(contender.package)]
    for contender in CONTENDERS:
        if contender not in contenders:
            print(f"skipped {contender.name}: {contender.package} is not installed")

    timings: dict[str, list[Timing]] = {contender.name: [] for contender in contenders}
    with ExitStack() as stack:
        calls = [stack.enter_context(worker(contender.devices)) for contender in contenders]
        for round_number in range(rounds + 1):
            for contender, call in zip(contenders, calls):
                timing = call(contender.run, max(20, int(steps * contender.share)))
                print(f"round {round_number}: {contender.name}: {timing.rate:,.0f} steps/s")
                if round_number:
                    timings[contender.name].append(timing)

    rows: list[Row] = []
    ratios: list[float] = []
    for contender in contenders:
        low, middle, high = spread([timing.rate for timing in timings[contender.name]])
        ratio = statistics.median(
            ours.rate / theirs.rate for ours, theirs in zip(timings[OURS], timings[contender.name])
        )
        if contender.package == "flowjax":
            ratios.append(ratio)
        rows.append(
            {
                "contender": contender.name,
                "steps/s, median": middle,
                "lowest": low,
                "highest": high,
                "us a step": 1e6 / middle,
                "1 member is faster by": ratio,
                "loss at the end": timings[contender.name][-1].loss,
            }
        )
    report(
        "training_step",
        f"One training step: planar flow, K = {LENGTH}, batch {BATCH}, {TARGET}, reverse KL, Adam",
        rows,
        [
            at_least(
                f"pushforward with one member against the faster FlowJAX model, at least {REQUIRED_RATIO}",
                min(ratios, default=None),
                REQUIRED_RATIO,
            )
        ],
        "Eight members count as eight steps. The losses tell that each loop trains, not which one trains better: the "
        "contenders start from their own initial values and take different numbers of steps.",
    )


if __name__ == "__main__":
    tyro.cli(main)
