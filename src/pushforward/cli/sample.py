"""`pushforward sample`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro


def sample(
    run: tyro.conf.Positional[Path],
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1000,
    out: Path | None = None,
    seed: int = 0,
    resample: Literal["psis", "none"] = "psis",
    given: tuple[str, ...] = (),
) -> None:
    """Draw samples from a fitted flow, with their log-densities; or from a posterior, in the parameters of its model.

    Args:
        run: folder of the run.
        n: how many; of a conditional density, for each context.
        out: a file that ends in .npz or .csv, of a posterior .nc too; in the folder of the run unless given.
        seed: of the draws.
        resample: of a posterior: by Pareto-smoothed importance weights, or not at all.
        given: of a conditional density: COLUMN=VALUE for each context, or a table with a row for each context; of an
            inference from simulations: a .json or .npy file with another observation.
    """
    from pushforward.errors import UserError
    from pushforward.experiments.conditional.run import ConditionalRun
    from pushforward.experiments.infer.run import InferRun, read_observation
    from pushforward.experiments.points import contexts_of
    from pushforward.experiments.posterior.run import PosteriorRun
    from pushforward.experiments.posterior.sample import write_draws
    from pushforward.experiments.runs import open_run
    from pushforward.experiments.sample import write_samples

    opened = open_run(run)
    if isinstance(opened, ConditionalRun) and given:
        contexts = contexts_of(opened.model.encoder, given)
        for warning in opened.model.encoder.outside(contexts):
            print(f"pushforward: warning: {warning}", file=sys.stderr)
        print(write_samples(opened, n * len(contexts), out, seed, opened.sampler_given(contexts, n)))
        return
    if isinstance(opened, InferRun) and given:
        (file, *others) = given
        if others:
            raise UserError("--given takes one file with an observation")
        print(write_samples(opened, n, out, seed, opened.sampler_given(read_observation(Path(file)))))
        return
    if given:
        raise UserError(f"{run} holds no conditional density: leave --given out")
    if isinstance(opened, PosteriorRun):
        print(write_draws(opened, n, out, seed, resample))
    else:
        print(write_samples(opened, n, out, seed))
