"""Steps a second of an ensemble on all cores, as `pushforward` uses them: on each its members in turn, or side by side.

Both ways, and one member alone, take turns in one process, so that a busy machine slows them alike; compiling is not
counted.
"""

import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import tyro

from common import TARGET, Row, at_least, at_most, report, worker

CASES: dict[str, tuple[str, int, int, int, int]] = {
    "planar, K = 32": ("planar", 2, 256, 8, 2_000),
    "planar, K = 32, 16 members": ("planar", 2, 256, 16, 1_000),
    "coupling splines": ("nsf_coupling", 10, 256, 8, 40),
    "MAF": ("maf", 10, 256, 8, 100),
    "Real NVP": ("real_nvp", 10, 256, 8, 100),
    "NICE, batch 32, 100 members": ("nice", 36, 32, 100, 60),
}
"""The recipe, D, batch, members and steps of each."""
COST = 5.0  # of eight members, in that of one


def make_fit(recipe: str, dim: int, batch: int, members: int) -> Callable[..., Any]:
    """`training.fit` of an ensemble; planar flows are fitted to a target, others to 2,000 rows, with 5 layers."""
    import jax

    from pushforward import flows, objectives, targets, training

    optimizer = training.adam(1e-3, 1_000)
    if recipe == "planar":
        log_densities = targets.make(TARGET).log_densities
        models = training.ensemble(lambda key: flows.planar(key, dim, 32), jax.random.key(1), members)

        def free_energy(flow: Any, key: Any, _: Any) -> Any:
            return objectives.free_energy(flow, log_densities, key, batch)

        return partial(training.fit, models, free_energy, key=jax.random.key(2), optimizer=optimizer)
    rows = jax.random.normal(jax.random.key(0), (2_000, dim))
    models = training.ensemble(lambda key: flows.RECIPES[recipe](key, dim, 5), jax.random.key(1), members)
    loss = objectives.ForwardKL(rows, batch)
    return partial(training.fit, models, loss, key=jax.random.key(2), optimizer=optimizer)


def rates(recipe: str, dim: int, batch: int, members: int, steps: int) -> tuple[float, float, float]:
    """Steps a second of all members together: in turn, side by side, and of one alone."""
    from pushforward.devices import use_all_cores

    use_all_cores()
    fit = make_fit(recipe, dim, batch, members)
    module: Any = sys.modules["pushforward.training.members"]
    found = []
    for side_by_side in (False, True):
        module._side_by_side = lambda members, side_by_side=side_by_side: side_by_side
        found.append(fit(steps=steps).steps_per_second)
    return found[0], found[1], make_fit(recipe, dim, batch, 1)(steps=4 * steps).steps_per_second


def main(rounds: int = 5) -> None:
    """Measure both ways.

    Args:
        rounds: of all cases.
    """
    measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CASES}
    with worker(devices=None) as call:
        for index in range(rounds):
            for name, case in CASES.items():
                measured[name].append(call(rates, *case))
                print(f"round {index}: {name}: {measured[name][-1]}")
    rows: list[Row] = []
    for name, (_, dim, batch, members, _) in CASES.items():
        in_turn, side_by_side, alone = (max(each) for each in zip(*measured[name]))
        rows.append(
            {
                "flow": name.split(", batch")[0].split(", 16")[0],
                "D": dim,
                "batch": batch,
                "members": members,
                "steps/s in turn, highest": in_turn,
                "side by side": side_by_side,
                "one alone": alone,
                "in turn over side by side": statistics.median(a / b for a, b, _ in measured[name]),
                "members cost, in one": statistics.median(members * c / a for a, _, c in measured[name]),
            }
        )
    sixteen, eight = rows[1]["in turn over side by side"], rows[2]["members cost, in one"]
    assert isinstance(sixteen, float)
    assert isinstance(eight, float)
    report(
        "members",
        "Members of an ensemble in turn or side by side, steps of all together, on all cores",
        rows,
        [
            at_least("sixteen planar flows, in turn over side by side, at least 2", sixteen, 2.0),
            at_most(f"eight flows of coupling splines, in the time of one, at most {COST:g}", eight, COST),
        ],
    )


if __name__ == "__main__":
    tyro.cli(main)
