"""Neural posterior estimation from 10,000 simulations: C2ST, training and sampling time of pushforward and sbi.

Tasks of the study `sbi-benchmark` whose priors are uniform. Both get the same pairs; pushforward its defaults of
`infer`, sbi those of its `NPE` with the density estimator that is named. Training is timed from the pairs to the
posterior, compilation included; sampling is that of 10,000 draws given one observation, the median over observations.
C2ST is that of the study, the mean over observations. sbi runs in an interpreter of its own, since PyTorch and a
current JAX want different ones; the two take turns.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from common import Row, at_least, at_most, report
from pushforward.devices import use_all_cores

TASKS = ("two-moons", "slcp", "gaussian-mixture")
DRAWS = 10_000


def pairs_of(name: str, simulations: int, observations: int, seed: int, path: Path) -> None:
    """Write simulated pairs and the observations."""
    import jax

    from pushforward.inference.simulation import simulate
    from pushforward.studies.sbi_benchmark.tasks import TASKS

    task = TASKS[name]
    pairs = simulate(task.prior, task.simulator, jax.random.key(seed), simulations)
    theta = np.asarray(jax.jit(task.prior.constrain)(pairs.z)["theta"])
    observed = np.stack([task.observation(number) for number in range(1, observations + 1)])
    law = task.law()
    np.savez(path, z=pairs.z, theta=theta, x=pairs.x, observed=observed, low=law.low, high=law.high)


def with_pushforward(name: str, seed: int, path: Path) -> dict[str, Any]:
    import jax

    from pushforward.inference.simulation import Settings, Simulations, estimate
    from pushforward.studies.sbi_benchmark.tasks import TASKS

    prior, saved = TASKS[name].prior, np.load(path)
    began = time.perf_counter()
    estimator = estimate(prior, Simulations(saved["z"], saved["x"]), jax.random.key(seed), Settings(test=0.0))
    training = time.perf_counter() - began
    draws, seconds = [], []
    for index, x in enumerate(saved["observed"]):
        began = time.perf_counter()
        draws.append(estimator.sample(jax.random.key(index), DRAWS, x)["theta"])
        seconds.append(time.perf_counter() - began)
    return {"draws": np.stack(draws), "training": training, "sampling": np.array(seconds)}


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
    from pushforward.studies.sbi_benchmark.tasks import TASKS

    return [c2st(TASKS[name].reference(number + 1), np.asarray(each, np.float64)) for number, each in enumerate(draws)]


def main(
    sbi_python: str = sys.executable,
    estimator: str = "nsf",
    tasks: tuple[str, ...] = TASKS,
    simulations: int = 10_000,
    observations: int = 10,
    seed: int = 0,
) -> None:
    """Train on the same simulations, and write `results/benchmarks/simulation.md`.

    Args:
        sbi_python: an interpreter that has sbi.
        estimator: of sbi's `NPE`.
        tasks: two-moons, slcp, gaussian-mixture.
        simulations: pairs.
        observations: of the ten.
        seed: of simulations and training.
    """
    use_all_cores()  # before JAX is imported, as the command line does
    rows: list[Row] = []
    faster, quicker, nearer = [], [], []
    version = ""
    for name in tasks:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pairs.npz"
            pairs_of(name, simulations, observations, seed, path)
            ours, theirs = with_pushforward(name, seed, path), with_sbi(sbi_python, estimator, seed, path)
        version = str(theirs["version"])
        mine, others = (np.array(scored(name, each["draws"])) for each in (ours, theirs))
        sampling = [float(np.median(each["sampling"])) for each in (ours, theirs)]
        faster.append(float(theirs["training"]) / ours["training"])
        quicker.append(sampling[1] / sampling[0])
        nearer.append(float(mine.mean() - others.mean()))
        rows.append(
            {
                "task": name,
                "pushforward C2ST": f"{mine.mean():.3f}",
                "sbi C2ST": f"{others.mean():.3f}",
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
            at_most("largest C2ST above sbi's", max(nearer), 0.0),
            at_least("training, times as fast as sbi", min(faster), 3.0),
            at_least("sampling, times as fast as sbi", min(quicker), 5.0),
        ],
        notes=__doc__.split("\n\n", 1)[1].strip(),
    )


if __name__ == "__main__":
    tyro.cli(main)
