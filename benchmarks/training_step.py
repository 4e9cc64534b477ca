"""One training step of a planar flow, K = 32, batch 256, on the energy U4: pushforward beside its peers.

All minimise the reverse KL by Adam from a trained normal base, each by the loop that its own documentation offers;
beside them C, with the loss and its gradient alone, which must be those of pushforward. Each contender has a process of
its own and a first round to warm up, which is not counted; then they take turns, so that whatever else the machine does
falls on all of them alike. Ratios are taken within a round; their median is reported.
"""

import ctypes
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tyro

from common import LEARNING_RATE, TARGET, Row, at_least, flowjax_fit, installed, pushforward_fit, report, spread, worker

LENGTH = 32
BATCH = 256
REQUIRED_RATIO, REQUIRED_RESTARTS = 10, 12
REQUIRED_MEMBERS, REQUIRED_IN_TURN = 1.8, 1.0
COMPILE = ("gcc", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")
NOISE = 64  # batches of it, for C
SAME = 1e-4


@dataclass(frozen=True)
class Timing:
    """Steps a second, those of all members together, and the mean loss in nats over the last twentieth of them."""

    rate: float
    loss: float | None


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


def c_loop(steps: int) -> Timing:
    """Loss and gradient of one batch after another in C, without random numbers, Adam or records."""
    library, noise, parameters, gradient = _c_problem()
    start = time.perf_counter()
    library.many(steps, LENGTH, NOISE, *map(_pointer, (noise, parameters, gradient)))
    return Timing(steps / (time.perf_counter() - start), None)


@cache
def _c_problem() -> tuple[ctypes.CDLL, np.ndarray, np.ndarray, np.ndarray]:
    """The compiled library and its arrays.

    Raises:
        AssertionError: its loss and gradient are not those of pushforward.
    """
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    from pushforward import flows, targets

    with TemporaryDirectory() as folder:
        built = Path(folder) / "planar.so"
        subprocess.run([*COMPILE, str(Path(__file__).with_name("planar.c")), "-o", str(built), "-lm"], check=True)
        library = ctypes.CDLL(str(built))
    library.loss_and_gradient.restype = ctypes.c_float
    noise = np.random.default_rng(0).normal(size=(NOISE, 2, BATCH)).astype(np.float32)
    flat, unravel = ravel_pytree(flows.planar(jax.random.key(0), 2, LENGTH))
    target = targets.make(TARGET)

    def loss(flat: Any) -> Any:
        flow = unravel(flat)
        z = flow.base.loc + jnp.exp(flow.base.log_scale) * noise[0].T
        x, log_det = jax.vmap(flow.bijection.forward_and_log_det)(z)
        return jnp.mean(jax.vmap(flow.base.log_prob)(z) - log_det - jax.vmap(target.log_density)(x))

    parameters, gradient = np.array(flat), np.zeros(len(flat), np.float32)
    found = library.loss_and_gradient(LENGTH, *map(_pointer, (noise, parameters, gradient)))
    expected, expected_gradient = jax.value_and_grad(loss)(flat)
    difference = np.linalg.norm(gradient - expected_gradient) / np.linalg.norm(expected_gradient)
    assert abs(found - expected) < SAME * abs(expected), (found, expected)
    assert difference < SAME, difference
    return library, noise, parameters, gradient


def _pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


OURS = "pushforward, 1 member"
TOGETHER = "pushforward, 16 members on 2 devices"
IN_TURN = "pushforward, 16 members on 1 device"
C = "C, loss and gradient alone"
CONTENDERS = (
    Contender(OURS, "pushforward", partial(pushforward_loop, 1), 1.0),
    Contender(IN_TURN, "pushforward", partial(pushforward_loop, 16), 0.0625),
    Contender(TOGETHER, "pushforward", partial(pushforward_loop, 16), 0.125, devices=2),
    Contender(C, "gcc", c_loop, 4.0),
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
    contenders = [contender for contender in CONTENDERS if _there(contender.package)]
    for contender in CONTENDERS:
        if contender not in contenders:
            print(f"skipped {contender.name}: {contender.package} is not installed")

    timings: dict[str, list[Timing]] = {contender.name: [] for contender in contenders}
    with ExitStack() as stack:
        calls = [stack.enter_context(worker(each.devices, package=each.package)) for each in contenders]
        for round_number in range(rounds + 1):
            for contender, call in zip(contenders, calls):
                timing = call(contender.run, max(20, int(steps * contender.share)))
                print(f"round {round_number}: {contender.name}: {timing.rate:,.0f} steps/s")
                if round_number:
                    timings[contender.name].append(timing)

    def ratio(faster: str, slower: str) -> float | None:
        """How many times the rate of the second one that of the first is."""
        if faster not in timings or slower not in timings:
            return None
        return statistics.median(a.rate / b.rate for a, b in zip(timings[faster], timings[slower]))

    rows: list[Row] = []
    for contender in contenders:
        low, middle, high = spread([timing.rate for timing in timings[contender.name]])
        rows.append(
            {
                "contender": contender.name,
                "steps/s, median": middle,
                "lowest": low,
                "highest": high,
                "us a step": 1e6 / middle,
                "1 member is faster by": ratio(OURS, contender.name),
                "loss at the end": timings[contender.name][-1].loss,
            }
        )
    peers = [contender.name for contender in contenders if contender.package == "flowjax"]
    least = {ours: min((ratio(ours, peer) or 0.0 for peer in peers), default=None) for ours in (OURS, TOGETHER)}
    report(
        "training_step",
        f"One training step: planar flow, K = {LENGTH}, batch {BATCH}, {TARGET}, reverse KL, Adam",
        rows,
        [
            at_least(f"{OURS}, against FlowJAX's faster model, at least {REQUIRED_RATIO}", least[OURS], REQUIRED_RATIO),
            at_least(
                f"{TOGETHER}, against FlowJAX's faster model, at least {REQUIRED_RESTARTS}",
                least[TOGETHER],
                REQUIRED_RESTARTS,
            ),
            at_least(f"{TOGETHER}, against 1, at least {REQUIRED_MEMBERS}", ratio(TOGETHER, OURS), REQUIRED_MEMBERS),
            at_least(f"{IN_TURN}, against 1, at least {REQUIRED_IN_TURN:g}", ratio(IN_TURN, OURS), REQUIRED_IN_TURN),
        ],
        "Sixteen members count as sixteen steps. C is compiled for this machine with fast mathematics, has its random "
        "numbers beforehand, and no optimiser: it tells how much of a step XLA's small operations are. The losses tell "
        "that each loop trains, not which one trains better: contenders start from initial values of their own and "
        "take different numbers of steps.",
    )


def _there(package: str) -> bool:
    return shutil.which("gcc") is not None if package == "gcc" else installed(package)


if __name__ == "__main__":
    tyro.cli(main)
