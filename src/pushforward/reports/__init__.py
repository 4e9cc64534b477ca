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
    from pushforward.reports.dlgm import write_report as write_dlgm
    from pushforward.reports.fit import write_report as write_fit
    from pushforward.reports.train import write_report as write_train

    kinds: dict[type[Any], Callable[[Any], Path]] = {
        FitRun: write_fit,
        TrainRun: write_train,
        DlgmRun: write_dlgm,
    }
    return kinds[type(run)](run)


__all__ = ["write_report"]
