"""Annealed importance sampling of a deep latent Gaussian model: likelihoods a second, and peak memory.

784 binary pixels, 40 latents, encoder and decoder of two hidden layers of 400 maxout units with 4 pieces, K planar
layers emitted for every image; the parameters are random, which changes nothing about the work. An evaluation is the
likelihood of one image given one latent vector, with its gradient by the latent vector. "The bare decoder" evaluates
as many at once and does nothing else: no flow, no accept or reject, no random numbers. Both take turns in one process,
and the ratio of neighbours in time is reported.

"Peak RSS" is the most that a fresh process held by the end, Python, JAX and the compiler included. It is measured at
two numbers of temperatures: what the method keeps does not depend on it.
"""

import resource
import time
from typing import Any

import numpy as np
import tyro

from common import Row, at_least, at_most, report, spread, worker
from dlgm_step import HIDDEN, LATENTS, PIXELS, make_model

KIB, MEGABYTE = 1024, 1e6
LEAPFROG_STEPS = 10
OF_DECODER = 0.8
MEMORY_LIMIT = 2000


def images(points: int) -> Any:
    import jax.numpy as jnp

    return jnp.asarray(np.random.default_rng(0).integers(0, 2, (points, PIXELS)), jnp.float32)


def throughput(length: int, points: int, chains: int, temperatures: int, rounds: int) -> dict[str, list[float]]:
    """Likelihoods with gradients a second, of each in each round."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from pushforward.evaluation.ais import sigmoidal_schedule
    from pushforward.models.evaluation import EVALUATIONS_AT_ONCE, Annealing, annealed_bound

    model, x = make_model(length, jax.random.key(0)), images(points)
    annealing = Annealing(sigmoidal_schedule(temperatures), chains, LEAPFROG_STEPS)
    repeats = max(1, points * annealing.evaluations // EVALUATIONS_AT_ONCE)
    at_once = jax.random.normal(jax.random.key(1), (EVALUATIONS_AT_ONCE, LATENTS))
    seen = x[jnp.arange(EVALUATIONS_AT_ONCE) % points]

    @eqx.filter_jit
    def bare(model: Any, z: Any, x: Any) -> Any:
        gradient = jax.vmap(jax.grad(lambda z, x: model.decoder(z).log_prob(x)))
        return jax.lax.fori_loop(0, repeats, lambda _, z: z + 1e-6 * gradient(z, x), z)

    def annealed() -> None:
        annealed_bound(model, x, jax.random.key(2), annealing)

    def decoded() -> None:
        jax.block_until_ready(bare(model, at_once, seen))

    counts = {"ais": points * annealing.evaluations, "decoder": repeats * EVALUATIONS_AT_ONCE}
    rates: dict[str, list[float]] = {"ais": [], "decoder": []}
    annealed(), decoded()
    for _ in range(rounds):
        for name, work in (("ais", annealed), ("decoder", decoded)):
            start = time.perf_counter()
            work()
            rates[name].append(counts[name] / (time.perf_counter() - start))
    return rates


def peak_rss(length: int, points: int, chains: int, temperatures: int) -> float:
    """Megabytes."""
    import jax

    from pushforward.evaluation.ais import sigmoidal_schedule
    from pushforward.models.evaluation import Annealing, annealed_bound

    annealing = Annealing(sigmoidal_schedule(temperatures), chains, LEAPFROG_STEPS)
    annealed_bound(make_model(length, jax.random.key(0)), images(points), jax.random.key(1), annealing)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB / MEGABYTE  # Linux counts in KiB


def main(
    lengths: tuple[int, ...] = (0, 20),
    points: int = 1000,
    chains: int = 16,
    temperatures: tuple[int, int] = (3, 9),
    rounds: int = 3,
) -> None:
    """Time annealed importance sampling and measure its memory.

    Args:
        lengths: planar layers, K.
        points: images.
        chains: for each image.
        temperatures: two numbers of them, for the memory; the larger one is timed.
        rounds: turns of each contender.
    """
    rows: list[Row] = []
    fewer, more = temperatures
    with worker(reused=False) as call:
        for length in lengths:
            rates = call(throughput, length, points, chains, more, rounds)
            row: Row = {"K": length}
            for name, label in (("ais", "AIS"), ("decoder", "bare decoder")):
                row[f"{label}, likelihoods a second"] = spread(rates[name])[1]
            row["AIS over decoder"] = spread([a / b for a, b in zip(rates["ais"], rates["decoder"])])[1]
            for count in temperatures:
                row[f"peak RSS, {count} temperatures, MB"] = call(peak_rss, length, points, chains, count)
            print(row, flush=True)
            rows.append(row)
    peak = max(row[f"peak RSS, {count} temperatures, MB"] for row in rows for count in temperatures)
    growth = max(row[f"peak RSS, {more} temperatures, MB"] / row[f"peak RSS, {fewer} temperatures, MB"] for row in rows)
    report(
        "ais_throughput",
        f"Annealed importance sampling: {points:,} images, {chains} chains, {PIXELS} pixels, {HIDDEN} units",
        rows,
        [
            at_least(
                f"likelihoods a second over those of the bare decoder, at least {OF_DECODER}",
                min(float(row["AIS over decoder"]) for row in rows),
                OF_DECODER,
            ),
            at_most(f"peak RSS in MB, at most {MEMORY_LIMIT:,}", peak, MEMORY_LIMIT),
            at_most(f"peak RSS, {more} temperatures over {fewer}, at most 1.1", growth, 1.1),
        ],
        f"{LEAPFROG_STEPS} leapfrog steps a transition; the pilot chains, which tune the step sizes, count too.",
    )


if __name__ == "__main__":
    tyro.cli(main)
