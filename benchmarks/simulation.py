"""Neural posterior estimation from 10,000 simulations: pushforward and sbi, their posteriors and their times.

Three tasks of the study `sbi-benchmark` whose priors are uniform, and two problems that no setting of pushforward was
chosen on: octiles of 1,000 draws of a g-and-k law (4 parameters), quantiles of 50 times between departures from a queue
(3 parameters). Both get the same pairs; pushforward its defaults of `infer`, sbi those of its `NPE` with the density
estimator that is named. Log-densities are of the parameters of 2,000 fresh pairs given their data, in nats; sbi's are
not divided by the mass that it has within the prior. C2ST is that of the study, the mean over observations. Training is
timed from the pairs to the posterior, compilation included; sampling is that of 10,000 draws given one observation, the
median over observations. sbi runs in an interpreter of its own, since PyTorch and a current JAX want different ones;
they take turns.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from common import TORCH_PYTHON, Row, at_least, at_most, report
from pushforward.devices import use_all_cores

TASKS = ("two-moons", "slcp", "gaussian-mixture")
OTHERS = ("g-and-k", "queue")
DRAWS, FRESH = 10_000, 2_000


@dataclass(frozen=True)
class Problem:
    """A simulator whose parameters are uniform in a box."""

    law: Any
    simulate: Callable[..., Any]

    @property
    def prior(self) -> Any:
        from pushforward.inference import simulation

        return simulation.prior({"theta": self.law})

    @property
    def simulator(self) -> Any:
        from pushforward.inference import simulation

        return simulation.Simulator(self.simulate)


def problem(name: str) -> Problem:
    """A task or another problem by name."""
    import jax
    import jax.numpy as jnp

    from pushforward.distributions import Uniform
    from pushforward.studies.sbi_benchmark import tasks

    def g_and_k(key, theta):
        a, b, g, k = theta
        z = jax.random.normal(key, (1_000,))
        draws = a + b * (1 + 0.8 * jnp.tanh(g * z / 2)) * (1 + z**2) ** k * z
        return jnp.quantile(draws, jnp.arange(1, 8) / 8)

    def queue(key, theta):
        shortest, range_, rate = theta
        key_service, key_arrival = jax.random.split(key)
        service = shortest + range_ * jax.random.uniform(key_service, (50,))
        arrivals = jnp.cumsum(jax.random.exponential(key_arrival, (50,)) / rate)

        def served(before, each):
            departure = each[0] + jnp.maximum(before, each[1])
            return departure, departure - before

        _, between = jax.lax.scan(served, 0.0, (service, arrivals))
        return jnp.log(jnp.quantile(between, jnp.linspace(0, 1, 5)))

    match name:
        case "g-and-k":
            return Problem(Uniform(jnp.array([0.0, 0.1, 0.0, 0.0]), jnp.array([5.0, 5.0, 5.0, 1.0])), g_and_k)
        case "queue":
            return Problem(Uniform(jnp.array([0.0, 0.0, 0.02]), jnp.array([10.0, 10.0, 0.33])), queue)
        case _:
            return Problem(tasks.TASKS[name].law(), tasks.TASKS[name].simulate)


def pairs_of(name: str, simulations: int, observations: int, seed: int, path: Path) -> None:
    """Write simulated pairs, fresh ones, and the observations."""
    import jax

    from pushforward.inference.simulation import simulate
    from pushforward.studies.sbi_benchmark import tasks

    given = problem(name)
    key_pairs, key_fresh = jax.random.split(jax.random.key(seed))
    pairs = simulate(given.prior, given.simulator, key_pairs, simulations)
    fresh = simulate(given.prior, given.simulator, key_fresh, FRESH)
    thetas = [np.asarray(jax.jit(given.prior.constrain)(each.z)["theta"]) for each in (pairs, fresh)]
    if name in OTHERS:
        observed = fresh.x[:observations]
    else:
        observed = np.stack([tasks.TASKS[name].observation(number) for number in range(1, observations + 1)])
    np.savez(
        path,
        z=pairs.z,
        theta=thetas[0],
        x=pairs.x,
        fresh_z=fresh.z,
        fresh_theta=thetas[1],
        fresh_x=fresh.x,
        observed=observed,
        low=given.law.low,
        high=given.law.high,
    )


def with_pushforward(name: str, seed: int, path: Path) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    from pushforward.inference.simulation import Settings, Simulations, estimate

    prior, saved = problem(name).prior, np.load(path)
    began = time.perf_counter()
    estimator = estimate(prior, Simulations(saved["z"], saved["x"]), jax.random.key(seed), Settings(test=0.0))
    training = time.perf_counter() - began
    draws, seconds = [], []
    for index, x in enumerate(saved["observed"]):
        began = time.perf_counter()
        draws.append(estimator.sample(jax.random.key(index), DRAWS, x)["theta"])
        seconds.append(time.perf_counter() - began)
    # In the parameters' own units, where the prior is uniform: its density in its coordinates has the change of units.
    z, x = (jnp.asarray(saved[f"fresh_{each}"], float) for each in "zx")
    units = prior.log_densities(z) + np.log(saved["high"] - saved["low"]).sum()
    log_q = estimator.model.log_prob(x.reshape(len(x), -1), z) - units
    return {"draws": np.stack(draws), "training": training, "sampling": np.array(seconds), "log_q": np.asarray(log_q)}


def with_sbi(interpreter: str, estimator: str, seed: int, path: Path) -> dict[str, Any]:
    script, out = Path(__file__).resolve().with_name("sbi_peer.py"), path.with_name("sbi.npz")
    # There, since sbi writes its logs where it runs.
    subprocess.run(
        [interpreter, str(script), str(path), str(out), estimator, str(seed), str(DRAWS)], check=True, cwd=path.parent
    )
    with np.load(out) as saved:
        return dict(saved)


def scored(name: str, draws: np.ndarray) -> list[float]:
    from pushforward.evaluation import c2st
    from pushforward.studies.sbi_benchmark import tasks

    return [
        c2st(tasks.TASKS[name].reference(number + 1), np.asarray(each, np.float64)) for number, each in enumerate(draws)
    ]


def main(
    sbi_python: str = TORCH_PYTHON or sys.executable,
    estimator: str = "nsf",
    tasks: tuple[str, ...] = (*TASKS, *OTHERS),
    simulations: int = 10_000,
    observations: int = 10,
    seed: int = 0,
) -> None:
    """Train on the same simulations, and write `results/benchmarks/simulation.md`.

    Args:
        sbi_python: an interpreter that has sbi.
        estimator: of sbi's `NPE`.
        tasks: two-moons, slcp, gaussian-mixture, g-and-k, queue.
        simulations: pairs.
        observations: of the ten of a task, or fresh ones.
        seed: of simulations and training.
    """
    use_all_cores()  # before JAX is imported, as the command line does
    rows: list[Row] = []
    faster, quicker, nearer, likelier = [], [], [], []
    version = ""
    for name in tasks:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pairs.npz"
            pairs_of(name, simulations, observations, seed, path)
            ours, theirs = with_pushforward(name, seed, path), with_sbi(sbi_python, estimator, seed, path)
        version = str(theirs["version"])
        sampling = [float(np.median(each["sampling"])) for each in (ours, theirs)]
        gains = np.asarray(ours["log_q"], np.float64) - theirs["log_q"]
        faster.append(float(theirs["training"]) / ours["training"])
        quicker.append(sampling[1] / sampling[0])
        likelier.append(float(gains.mean()))
        scores = ["—", "—"]
        if name not in OTHERS:
            mine, others = (scored(name, each["draws"]) for each in (ours, theirs))
            nearer.append(float(np.mean(mine) - np.mean(others)))
            scores = [f"{np.mean(mine):.3f}", f"{np.mean(others):.3f}"]
        rows.append(
            {
                "problem": name,
                "pushforward C2ST": scores[0],
                "sbi C2ST": scores[1],
                "log-density over sbi's": f"{gains.mean():.3f} ± {gains.std(ddof=1) / np.sqrt(FRESH):.3f}",
                "pushforward training / s": float(ours["training"]),
                "sbi training / s": float(theirs["training"]),
                "pushforward sampling / s": sampling[0],
                "sbi sampling / s": sampling[1],
            }
        )
        print(rows[-1], flush=True)
    report(
        "simulation",
        f"Neural posterior estimation, {simulations:,} simulations, {observations} observations: sbi {version} "
        f"({estimator})",
        rows,
        [
            *([at_most("largest C2ST above sbi's", max(nearer), 0.0)] if nearer else []),
            at_least("log-density above sbi's, the least of all", min(likelier), 0.0),
            at_least("training, times as fast as sbi", min(faster), 3.0),
            at_least("sampling, times as fast as sbi", min(quicker), 5.0),
        ],
        notes=__doc__.split("\n\n", 1)[1].strip(),
    )


if __name__ == "__main__":
    tyro.cli(main)
