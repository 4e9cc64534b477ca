"""Posteriors of users' models: fitted by flows, judged by importance weights, repaired by chains."""

from pushforward.inference.chains import Chains, Diagnosis
from pushforward.inference.ladder import Rung, climb
from pushforward.inference.posterior import Posterior, fit
from pushforward.inference.summary import Row, Summary

__all__ = ["Chains", "Diagnosis", "Posterior", "Row", "Rung", "Summary", "climb", "fit"]


def __dir__() -> list[str]:
    return __all__
