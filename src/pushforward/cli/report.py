"""`pushforward report`."""

from pathlib import Path

import tyro


def report(run: tyro.conf.Positional[Path]) -> None:
    """Write the report of a finished run again.

    Args:
        run: folder of the run.
    """
    from pushforward.experiments.runs import open_run

    print(open_run(run).write_report())
