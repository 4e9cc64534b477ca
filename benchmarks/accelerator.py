"""Training steps on whatever device JAX chooses: planar members, deep latent Gaussian models, density estimation.

In this process, on its first device, each case for some seconds after its compilation. Where PyTorch of this
environment sees a GPU, the deep latent Gaussian model in eager PyTorch on it goes beside. The paper's size on the same
device is `dlgm_members.py`.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from typing import Any

import tyro

import dlgm_step
from common import LEARNING_RATE, Row, installed, pushforward_fit, report
from density import FAMILIES, Family, pushforward_flow

LENGTH, BATCH, MEMBERS = 32, 256, (1, 16, 1024)
DLGM_LENGTHS = (0, 80)
DIM, BATCHES = 10, (256, 4096)

Fit = Callable[..., Any]


class Enough(Exception):
    """A case has had its time."""


def dlgm(length: int) -> Fit:
    import jax

    from pushforward import training

    models = training.ensemble(lambda key: dlgm_step.make_model(length, key), jax.random.key(0), 1)
    optimizer = training.adam(dlgm_step.LEARNING_RATE, 1, schedule="constant", flat=False)
    return lambda **options: training.fit(
        models, dlgm_step.make_loss(), key=jax.random.key(1), optimizer=optimizer, **options
    )


def density(family: Family, batch: int) -> Fit:
    import jax
    import optax

    from pushforward import objectives, training

    models = training.ensemble(lambda key: pushforward_flow(family, DIM, key), jax.random.key(0), 1)
    loss = objectives.ForwardKL(jax.random.normal(jax.random.key(2), (4 * batch, DIM)), batch)
    optimizer = optax.adam(LEARNING_RATE)
    return lambda **options: training.fit(models, loss, key=jax.random.key(1), optimizer=optimizer, **options)


def measured(fit: Fit, members: int, seconds: float) -> tuple[float, float]:
    """Steps a second of all members, by the clock and without the first chunk, and the seconds before that ended."""
    start = time.perf_counter()
    clock: list[tuple[int, float]] = []

    def tick(step: int, _: Any) -> None:
        clock.append((step, time.perf_counter()))
        if clock[-1][1] - clock[0][1] > seconds:
            raise Enough

    with suppress(Enough):
        fit(steps=10**9, on_progress=tick)
    (first, then), (last, now) = clock[0], clock[-1]
    return members * (last - first) / (now - then), then - start


def eager_torch(length: int, seconds: float) -> float:
    """Steps a second of the deep latent Gaussian model of `dlgm_step.py` on a GPU."""
    import torch

    torch.manual_seed(0)
    model = dlgm_step.torch_model(length).cuda()
    optimizer = torch.optim.Adam(model.parameters(), dlgm_step.LEARNING_RATE, fused=True)
    data = torch.from_numpy(dlgm_step.images()).cuda()

    def step() -> None:
        x = data[torch.randint(len(data), (dlgm_step.BATCH,), device="cuda")].float()
        value = model(x, torch.randn(dlgm_step.BATCH, dlgm_step.LATENTS, device="cuda"))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    for _ in range(20):
        step()
    torch.cuda.synchronize()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(20):
            step()
        torch.cuda.synchronize()
        count += 20
    return count / (time.perf_counter() - start)


def has_cuda() -> bool:
    if not installed("torch"):
        return False
    import torch

    return bool(torch.cuda.is_available())


def main(seconds: float = 10.0, members: tuple[int, ...] = MEMBERS) -> None:
    """Measure on the device that JAX chooses.

    Args:
        seconds: of each case.
        members: of the planar ensembles.
    """
    import jax

    device = jax.devices()[0].device_kind
    cases: list[tuple[str, int, int, Fit]] = [
        *((f"planar, K = {LENGTH}", BATCH, count, pushforward_fit(LENGTH, BATCH, count)) for count in members),
        *((f"DLGM, K = {length}", dlgm_step.BATCH, 1, dlgm(length)) for length in DLGM_LENGTHS),
        *((f"{family}, D = {DIM}", batch, 1, density(family, batch)) for family, batch in product(FAMILIES, BATCHES)),
    ]
    rows: list[Row] = []
    for what, batch, count, fit in cases:
        rate, first = measured(fit, count, seconds)
        rows.append(line("pushforward", what, batch, count, rate, first))
    for length in DLGM_LENGTHS if has_cuda() else ():
        rate = eager_torch(length, seconds)
        rows.append(line("PyTorch, eager", f"DLGM, K = {length}", dlgm_step.BATCH, 1, rate, None))
    report(f"accelerator-{device.lower().replace(' ', '-')}", f"Training steps on {device}", rows, [])


def line(by: str, what: str, batch: int, members: int, rate: float, first: float | None) -> Row:
    row: Row = {
        "what": what,
        "by": by,
        "batch": batch,
        "members": members,
        "steps/s of all members": rate,
        "us a step": 1e6 / rate,
        "s to the first steps": first,
    }
    print(row, flush=True)
    return row


if __name__ == "__main__":
    tyro.cli(main)
