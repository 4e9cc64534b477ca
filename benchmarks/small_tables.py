"""Small tables: what `pushforward train` reaches with no flag, beside the Gaussian and flows tuned by hand.

Four of scikit-learn's data sets and draws of five known densities. Every setting is trained through the path of the
command line, on the same rows; a seed divides or draws them and starts the flow. The known densities are judged by
20,000 fresh draws, the others by their test rows. The best setting by hand is the best by the mean over the seeds of
what it is judged by, so that it is the luckiest of its table too. Gains and losses are means over rows and seeds of
differences of log-likelihoods of the same rows, with their standard errors.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from common import Row, at_least, at_most, report, worker

TABLES = ("wine", "breast-cancer", "diabetes", "digits")
DRAWN = {
    "banana": (2, 1_000),
    "moons": (2, 1_000),
    "correlated-gaussian": (6, 1_000),
    "student-t-mixture": (4, 2_000),
    "funnel": (6, 4_000),
}
FRESH = 20_000
SPLINES = "--flow nsf_autoregressive --start whitened"
BY_HAND = (
    "--flow maf --width 32 --base normal --start standardised --smoothing 0 --learning-rate 1e-3",
    "--flow maf --width 32 --base normal --start whitened --smoothing 0.1 --learning-rate 3e-4",
    "--flow maf --width 32 --base student-t --start whitened --smoothing 0 --learning-rate 1e-3",
    "--flow maf --width 32 --base student-t --start whitened --smoothing 0.3 --learning-rate 1e-3",
    f"{SPLINES} --base normal --smoothing 0 --learning-rate 1e-3",
    f"{SPLINES} --base normal --smoothing 0.3 --learning-rate 3e-4",
    f"{SPLINES} --width 32 --length 3 --base normal --smoothing 0.1 --learning-rate 3e-4",
    f"{SPLINES} --width 32 --length 3 --base student-t --smoothing 0 --learning-rate 1e-3",
)
IMAGES_BY_HAND = ("--flow glow --length 8 --steps 4000 --batch-size 128 --patience 1000",)


@dataclass(frozen=True)
class Judged:
    """Log-likelihoods of rows: of the flow, of the Gaussian, and of the truth where it is known."""

    flow: np.ndarray
    gaussian: np.ndarray
    truth: np.ndarray | None
    chosen: str
    seconds: float


def judged(table: str, flags: str, seed: int) -> Judged:
    """One training through the command line's path, judged row by row."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from pushforward import targets
    from pushforward.evaluation.gaussian import gaussian_log_likelihoods
    from pushforward.experiments.runs import start_run
    from pushforward.experiments.train.config import TrainConfig
    from pushforward.experiments.train.training import on_device, run_train
    from pushforward.objectives import HeldOut

    with tempfile.TemporaryDirectory() as folder:
        name, target = table, None
        if table in DRAWN:
            dim, rows = DRAWN[table]
            target = targets.make(table, dim)
            drawn = np.asarray(target.sample(jax.random.key(1_000 + seed), rows + FRESH), np.float32)
            name = str(Path(folder, f"{table}.npy"))
            np.save(name, drawn[:rows])
        words = [name, *flags.split(), "--seed", str(seed)]
        config = tyro.cli(TrainConfig, args=words, config=(tyro.conf.OmitArgPrefixes,))
        run = start_run(config, Path(folder, "run"), force=False)
        result = run_train(run, quiet=True)
        test = run.dataset.test if target is None else drawn[rows:]
        held_out = HeldOut(on_device(test))
        values = eqx.filter_jit(lambda held_out, model: held_out.each(model, jax.random.key(0)))(held_out, run.model)
        if run.dataset.levels is None:
            gaussian = gaussian_log_likelihoods(run.dataset.train, test)
        else:
            gaussian = np.full(len(test), result["gaussian_log_likelihood"])
        truth = None
        if target is not None:
            truth = np.asarray(jax.vmap(target.log_density)(jnp.asarray(test)), np.float64) - target.log_z
        settled = run.config
        chosen = f"{settled.flow}, {settled.base}, {settled.start}, {settled.smoothing:g}, {settled.learning_rate:g}"
        return Judged(np.asarray(values, np.float64), gaussian, truth, chosen, result["seconds"])


def mean_and_error(differences: list[np.ndarray]) -> tuple[float, float]:
    rows = np.concatenate(differences)
    return float(rows.mean()), float(rows.std(ddof=1) / len(rows) ** 0.5)


def main(seeds: int = 2, tables: tuple[str, ...] = (*TABLES, *DRAWN)) -> None:
    """Train, judge, and write `results/benchmarks/small_tables.md`.

    Args:
        seeds: of each setting.
        tables: which.
    """
    rows: list[Row] = []
    with worker() as call:
        for table in tables:
            by_hand = IMAGES_BY_HAND if table == "digits" else BY_HAND
            runs = {flags: [call(judged, table, flags, seed) for seed in range(seeds)] for flags in ("", *by_hand)}
            means = {flags: np.mean([run.flow.mean() for run in runs[flags]]) for flags in by_hand}
            best = max(means, key=lambda flags: means[flags])
            plain = runs[""]
            gain, gain_error = mean_and_error([run.flow - run.gaussian for run in plain])
            short, short_error = mean_and_error([hand.flow - run.flow for hand, run in zip(runs[best], plain)])
            truth = None
            if plain[0].truth is not None:
                truth = mean_and_error([run.truth - run.flow for run in plain])[0]
            rows.append(
                {
                    "table": table,
                    "flow, base, start, smoothing, rate": plain[0].chosen,
                    "Gaussian": float(np.mean([run.gaussian.mean() for run in plain])),
                    "no flag": float(np.mean([run.flow.mean() for run in plain])),
                    "gain": gain,
                    "± gain": gain_error,
                    "by hand": float(means[best]),
                    "short by": short,
                    "± short": short_error,
                    "KL to truth": truth,
                    "seconds": float(np.mean([run.seconds for run in plain])),
                    "best by hand": best,
                }
            )
            print(rows[-1], flush=True)
    worst = max(row["short by"] for row in rows)
    report(
        "small_tables",
        "Small tables: no flag, the Gaussian, and flows tuned by hand (nats a row)",
        rows,
        [
            at_least(
                "lowest gain over the Gaussian, in its standard errors",
                min(row["gain"] / row["± gain"] for row in rows),
                -1.0,
            ),
            at_most("most that no flag falls short of the best by hand, nats", worst, 0.1),
        ],
        notes=__doc__.split("\n\n", 1)[1].strip(),
    )


if __name__ == "__main__":
    tyro.cli(main)
