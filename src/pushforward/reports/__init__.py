"""Figures, animations and the HTML report of a run."""

from pushforward.reports.fit import FitRun, write_report

__all__ = ["FitRun", "write_report"]
