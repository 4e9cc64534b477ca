"""`pushforward report`."""

from pathlib import Path

import tyro

from pushforward.errors import UserError


def report(runs: tyro.conf.Positional[tuple[Path, ...]], out: Path | None = None) -> None:
    """Write the report of a finished run again, or a page that compares several.

    Args:
        runs: folders of runs; to be compared, of one kind.
        out: folder of a comparison; runs/comparison unless given.
    """
    from pushforward.experiments.runs import open_run

    if not runs:
        raise UserError("give the folder of a run")
    if len(runs) > 1:
        from pushforward.sweeps.compare import compare

        print(compare([open_run(run) for run in runs], out or Path("runs/comparison")))
        return
    if out is not None:
        raise UserError("--out is for a comparison of several runs")
    print(open_run(runs[0]).write_report())
