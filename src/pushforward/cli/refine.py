"""`pushforward refine`."""

from pathlib import Path
from typing import Literal

import tyro


def refine(
    run: tyro.conf.Positional[Path],
    method: Literal["nuts", "imh", "smc"] = "nuts",
    ess: float = 1000,
    seconds: float = 120,
) -> None:
    """Run Markov chains behind the flow of a fitted posterior until they agree; again, it goes on with them.

    Args:
        run: folder of the run.
        method: how the chains move, in the coordinates of the flow's base. nuts: the no-U-turn sampler and proposals
            drawn from the flow, in turn; imh: such proposals only; smc: populations tempered from the flow to the
            posterior, which find log Z too. Chains of another method than those before start anew.
        ess: bulk and tail ESS that every parameter must reach, with an R-hat of 1.01 at most.
        seconds: after which it stops, and says which parameter is not there yet.
    """
    from pushforward.errors import UserError
    from pushforward.experiments.config import check_positive_values
    from pushforward.experiments.locks import locked
    from pushforward.experiments.posterior.run import PosteriorRun
    from pushforward.experiments.posterior.training import run_refinement
    from pushforward.experiments.runs import open_run

    check_positive_values(ess=ess, seconds=seconds)
    opened = open_run(run)
    if not isinstance(opened, PosteriorRun):
        raise UserError(f"{run} is not the fit of a posterior; {opened.config.KIND} runs have nothing to refine")
    with locked(run):
        run_refinement(opened, method, ess, seconds)
    refined = open_run(run)
    refined.show(refined.write_report())
