"""`pushforward sample`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def sample(
    run: tyro.conf.Positional[Path],
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1000,
    out: Path | None = None,
    seed: int = 0,
    resample: Literal["psis", "none"] = "psis",
) -> None:
    """Draw samples from a fitted flow, with their log-densities; or from a posterior, in the parameters of its model.

    Args:
        run: folder of the run.
        n: how many.
        out: a file that ends in .npz or .csv, of a posterior .nc too; in the folder of the run unless given.
        seed: of the draws.
        resample: of a posterior: by Pareto-smoothed importance weights, or not at all.
    """
    from pushforward.experiments.posterior.run import PosteriorRun
    from pushforward.experiments.posterior.sample import write_draws
    from pushforward.experiments.runs import open_run
    from pushforward.experiments.sample import write_samples

    opened = open_run(run)
    if isinstance(opened, PosteriorRun):
        print(write_draws(opened, n, out, seed, resample))
    else:
        print(write_samples(opened, n, out, seed))
