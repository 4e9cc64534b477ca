"""`pushforward export`."""

from pathlib import Path

import tyro


def export(run: tyro.conf.Positional[Path], out: Path | None = None, n: int = 1000, seed: int = 0) -> None:
    """Write a trained flow for NumPy: every parameter, and samples with their log-densities and base samples.

    Args:
        run: folder of the run.
        out: a file that ends in .npz; RUN/flow.npz unless given.
        n: samples.
        seed: of the samples.
    """
    from pushforward.experiments.export import write_export
    from pushforward.experiments.runs import open_run

    print(write_export(open_run(run), n, out, seed))
