"""Figures, animations and the HTML report of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pushforward.experiments.runs import DlgmRun, FitRun, TrainRun


def write_report(run: Any) -> Path:
    """Write the figures and `report.html` of a finished run of any kind into its folder.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: the run is not finished, or its data have changed.
    """
    from pushforward.reports import dlgm, fit, train

    kinds: dict[type[Any], Callable[[Any], Path]] = {
        FitRun: fit.write_report,
        TrainRun: train.write_report,
        DlgmRun: dlgm.write_report,
    }
    return kinds[type(run)](run)


__all__ = ["write_report"]
