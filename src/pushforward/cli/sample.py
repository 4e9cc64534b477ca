"""`pushforward sample`."""

from pathlib import Path
from typing import Annotated

import tyro


def sample(
    run: tyro.conf.Positional[Path],
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1000,
    out: Path | None = None,
    seed: int = 0,
) -> None:
    """Draw samples from a fitted flow, with their log-densities.

    Args:
        run: folder of the run.
        n: how many.
        out: a file that ends in .npz or .csv; RUN/samples.npz unless given.
        seed: of the draws.
    """
    from pushforward.experiments.runs import open_run
    from pushforward.experiments.sample import write_samples

    print(write_samples(open_run(run), n, out, seed))
