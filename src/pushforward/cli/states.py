"""`pushforward states`."""

from pathlib import Path
from typing import Literal

import tyro

from pushforward.errors import UserError


def states(
    action: tyro.conf.Positional[Literal["show", "compare", "advise"]],
    of: tyro.conf.Positional[tuple[str, ...]],
    dim: int | None = None,
    samples: int = 2**17,
    tolerance: float = 0.05,
    steps: int = 5_000,
    seed: int = 0,
    out: Path = Path("density-of-states.png"),
    run: Path | None = None,
    force: bool = False,
) -> None:
    """Show a density of states, compare two, or advise whether a volume-preserving flow will do for some data.

    `show` and `compare` take runs, .npy files of log-densities, and distributions or targets by name; `advise`
    takes one table, fits a flow of varying volume to it, and says in nats what a volume-preserving one must lose.

    Args:
        of: one for show and advise, two for compare.
        dim: dimensions D behind a file of log-densities, or of a distribution.
        samples: to draw where there is no closed form.
        tolerance: advise: nats that may be lost.
        steps: advise: of training.
        seed: of every random number.
        out: the picture.
        run: advise: folder of the fitted flow; a fresh one under runs/ unless given.
        force: advise: overwrite the run that --run holds.
    """
    from pushforward.experiments.advise.advice import advise
    from pushforward.experiments.advise.named import named_states
    from pushforward.experiments.advise.terminal import print_advice, print_comparison, print_states

    expected = 2 if action == "compare" else 1
    if len(of) != expected:
        raise UserError(f"states {action} takes {expected}, got {len(of)}")
    if action == "advise":
        print_advice(advise(of[0], tolerance, steps, seed, run, force), out)
        return
    named = [named_states(name, dim, samples, seed) for name in of]
    if action == "show":
        print_states(named[0], out)
        return
    first, second = named
    if first.dim is None or second.dim is None:
        raise UserError("give --dim, the dimensions D of both")
    if first.dim != second.dim:
        raise UserError(f"D differs: {first.dim} and {second.dim}")
    print_comparison(first, second, first.dim, seed, out)
