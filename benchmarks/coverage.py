"""How often the check of coverage is right on eight schools, centred and not, under a coupling spline of 6 layers.

Both parametrisations have the same log Z. The spline is trained as the ladder trains its flows, and lacks the neck of
the centred funnel, which k-hat does not see; a cry is right there, and wrong on the non-centred model. Rates with
Wilson's intervals at 95%.
"""

import jax
import numpy as np
import tyro

from common import Row, at_least, at_most, report
from pushforward import flows, posteriors
from pushforward.bijections import Chain
from pushforward.devices import double_precision
from pushforward.distributions import Pushforward
from pushforward.evaluation.coverage import wilson
from pushforward.inference import Posterior
from pushforward.inference.ladder import judged
from pushforward.inference.posterior import draw
from pushforward.inference.starts import best_start
from pushforward.objectives import free_energy
from pushforward.training import adam, ensemble, fit, member

MODELS = ("centered", "noncentered")


def main(seeds: int = 20, steps: int = 3_000, check_seconds: float = 60.0) -> None:
    """Fit, check, and write `results/benchmarks/coverage.md`.

    Args:
        seeds: fits of each model.
        steps: of each fit.
        check_seconds: of each check.
    """
    rows: list[Row] = []
    cries = dict.fromkeys(MODELS, 0)
    with double_precision():
        for model in MODELS:
            target = posteriors.make(f"eight_schools-eight_schools_{model}")
            start = best_start(target, jax.random.key(0))

            def make(key, start=start):
                made = flows.nsf_coupling(key, 10, 6)
                return Pushforward(made.base, Chain((made.bijection, start.standard)))

            def loss(flow, key, step, target=target):
                return free_energy(flow, target.log_densities, key, 256, stick_the_landing=True)

            for seed in range(seeds):
                keys = jax.random.split(jax.random.key(seed), 5)
                trained = fit(ensemble(make, keys[0], 1), loss, key=keys[1], steps=steps, optimizer=adam(2e-3, steps))
                flow = member(trained.model, 0)
                rung = judged("spline", target, flow, keys[2], 0.0)
                posterior = Posterior(target, [rung], *draw(target, flow, keys[3], 20_000))
                found = posterior.checked(keys[4], seconds=check_seconds).coverage
                cries[model] += found is not None and found.contradicts
                rows.append(_row(model, seed, rung, found))
                print(rows[-1], flush=True)
    report(
        "coverage",
        "The check of coverage on eight schools",
        rows,
        [
            at_least(f"cries on the centred model{_rate(cries['centered'], seeds)}", cries["centered"], seeds),
            at_most(f"cries on the non-centred model{_rate(cries['noncentered'], seeds)}", cries["noncentered"], 0),
        ],
        notes=__doc__.split("\n\n", 1)[1].strip(),
    )


def _row(model: str, seed: int, rung, found) -> Row:
    estimate = rung.estimate
    return {
        "model": model,
        "seed": seed,
        "log Z": f"{estimate.log_z:.4f} ± {estimate.log_z_std_error:.4f}",
        "ESS": f"{estimate.ess_fraction:.1%}",
        "k-hat": estimate.k_hat,
        "outside, weighted": f"{found.weighted:.2%}",
        "outside, from a wide start": f"{found.outside:.2%} [{found.low:.2%}, {found.high:.2%}]",
        "its ESS": float(np.round(found.ess)),
        "cries": str(found.contradicts),
    }


def _rate(count: int, seeds: int) -> str:
    low, high = wilson(count / seeds, seeds)
    return f", of {seeds}: a rate in [{low:.0%}, {high:.0%}]"


if __name__ == "__main__":
    tyro.cli(main)
