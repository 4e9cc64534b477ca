"""The Ray cluster that a command line names."""

from typing import TYPE_CHECKING

from pushforward.errors import UserError

if TYPE_CHECKING:
    from pushforward.experiments.cluster import Cluster

Address = tuple[str, ...] | None
"""What follows `--ray`: nothing, or an address; None without it."""


def cluster_of(ray: Address, cpus_per_run: int, gpus_per_run: float, retries: int) -> "Cluster | None":
    """The cluster, where one is asked for.

    Raises:
        UserError: Ray is not installed, the address does not answer, or a setting is out of its range.
    """
    from pushforward.experiments.cluster import Cluster

    for flag, value, least in (
        ("--cpus-per-run", cpus_per_run, 1),
        ("--gpus-per-run", gpus_per_run, 0),
        ("--retries", retries, 0),
    ):
        if not value >= least:
            raise UserError(f"{flag} must be {least} or more, got {value}")
    if ray is None:
        return None
    if len(ray) > 1:
        raise UserError(f"--ray takes one address, got {' '.join(ray)}")
    cluster = Cluster(next(iter(ray), None), cpus_per_run, gpus_per_run, retries)
    cluster.check()
    return cluster
