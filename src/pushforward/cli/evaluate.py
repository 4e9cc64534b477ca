"""`pushforward evaluate`."""

import tyro

from pushforward.errors import UserError
from pushforward.experiments.dlgm.config import EvaluateConfig


def evaluate(config: tyro.conf.OmitArgPrefixes[EvaluateConfig]) -> None:
    """Estimate log p(x) of a trained deep latent Gaussian model, and add it to the result and the report."""
    from pushforward.experiments.dlgm.evaluation import run_evaluation
    from pushforward.experiments.dlgm.run import DlgmRun
    from pushforward.experiments.locks import locked
    from pushforward.experiments.runs import open_run

    config.check()
    run = open_run(config.run)
    if not isinstance(run, DlgmRun):
        raise UserError(f"{config.run} is not a run of a deep latent Gaussian model; its result has its likelihood")
    with locked(config.run):
        run_evaluation(run, config)
    evaluated = open_run(config.run)
    evaluated.show(evaluated.write_report())
