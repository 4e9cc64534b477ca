"""Figure 4 of Rezende & Mohamed (2015) on one accelerator: how long it takes, and what several seeds reach.

The model of `pushforward train dlgm-mnist` (static MNIST, 40 latents, maxout, batch 100), its seeds trained side by
side in one program. Each cell first runs 500 steps after its compilation, to tell how long it would take; one that does
not fit into what is left of `--seconds` is left out, and said to be. The validation bound chooses the step, as in
`pushforward reproduce rezende-mohamed-figure-4`; then every seed is judged on all test images. A cell is written down
when it is done.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from pushforward import data, training
from pushforward.experiments.dlgm.models import make_model, make_observation
from pushforward.experiments.dlgm.presets import PRESETS
from pushforward.models import HeldOutBound, NegativeBound
from pushforward.models.evaluation import importance_bound, posterior_statistics

PROBE = 500


def main(
    cells: tuple[str, ...] = ("planar-80", "planar-40", "planar-20", "planar-0"),
    *,
    members: int = 3,
    steps: int = 60_000,
    images: int = 10_000,
    draws: int = 500,
    seconds: float = 540.0,
    out: Path = Path("results/benchmarks"),
) -> None:
    """Train and judge the cells, in their order.

    Args:
        cells: a flow and its layers, FLOW-K.
        members: seeds of each, side by side.
        steps: updates.
        images: of the test set that are judged.
        draws: of the importance-weighted bound.
        seconds: for everything.
        out: folder of `dlgm_members.json`.
    """
    start = time.perf_counter()
    device = jax.devices()[0]
    rows: list[dict[str, Any]] = []
    for cell in cells:
        left = seconds - (time.perf_counter() - start)
        rows.append({"cell": cell, **_measured(cell, members, steps, images, draws, left)})
        record = {"device": device.device_kind, "jax": jax.__version__, "members": members, "rows": rows}
        out.mkdir(parents=True, exist_ok=True)
        (out / "dlgm_members.json").write_text(json.dumps(record, indent=2) + "\n")
        print(json.dumps(rows[-1]), flush=True)


def _measured(cell: str, members: int, steps: int, images: int, draws: int, left: float) -> dict[str, Any]:
    family, length = cell.rsplit("-", 1)
    config = dataclasses.replace(PRESETS["dlgm-mnist"], flow=family, length=int(length), steps=steps)
    dataset = data.load(config.data)
    observation = make_observation(config, dataset.levels)
    train, validation, test = (_rows(part) for part in (dataset.train, dataset.validation, dataset.test))
    loss = NegativeBound(
        train,
        observation,
        config.batch_size,
        config.draws,
        config.objective,
        config.gradient,
        config.annealed,
        config.annealing_steps,
        config.free_bits,
    )
    models = training.ensemble(
        lambda key: make_model(config, dataset.shape, dataset.levels, key), jax.random.key(0), members
    )
    common: dict[str, Any] = {
        "key": jax.random.key(1),
        "optimizer": training.adam(
            config.learning_rate,
            steps,
            schedule=config.schedule,
            gradient_clip=config.gradient_clip,
            weight_decay=config.weight_decay,
            flat=False,
        ),
    }
    begun = time.perf_counter()
    clock: list[tuple[int, float]] = []
    training.fit(
        models, loss, steps=2 * PROBE, on_progress=lambda step, _: clock.append((step, time.perf_counter())), **common
    )
    (first, then), (last, now) = clock[len(clock) // 2], clock[-1]
    step_seconds = (now - then) / (last - first)
    spent = time.perf_counter() - begun
    row: dict[str, Any] = {"steps": steps, "milliseconds_a_step": 1e3 * step_seconds, "compile_seconds": spent}
    if 1.15 * step_seconds * steps > left - 2 * spent - 30:
        return {**row, "left_out": "does not fit into the seconds left"}
    trained = training.fit(
        models,
        loss,
        steps=steps,
        record_every=config.validate_every,
        validate=HeldOutBound(validation, observation),
        **common,
    )
    row["training_seconds"] = time.perf_counter() - begun - spent
    row["best_steps"] = np.asarray(trained.best_steps).tolist()
    seen = observation(test, jax.random.key(4))[:images]
    for name in ("free_energy", "nll_iwae"):
        row[name] = []
    judged = time.perf_counter()
    for index in range(members):
        model = training.member(trained.model, index)
        statistics = posterior_statistics(model, seen, jax.random.key(3), draws=config.test_draws)
        bound = importance_bound(model, seen, jax.random.key(5), draws=draws)
        row["free_energy"].append(float(np.mean(statistics.free_energy, dtype=np.float64)))
        row["nll_iwae"].append(float(-np.mean(bound.log_likelihood, dtype=np.float64)))
    return {**row, "test_images": len(seen), "draws": draws, "judging_seconds": time.perf_counter() - judged}


def _rows(images: np.ndarray) -> jax.Array:
    return jnp.asarray(images.reshape(len(images), -1))


if __name__ == "__main__":
    tyro.cli(main)
