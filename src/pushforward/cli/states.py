"""`pushforward states show`, `compare` and `advise`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from pushforward.errors import UserError

if TYPE_CHECKING:
    from pushforward.experiments.advise.named import Named

PICTURE = Path("density-of-states.png")


@dataclass(frozen=True)
class Look:
    """What is looked at, and how."""

    of: tyro.conf.Positional[tuple[str, ...]]
    """runs, .npy files of log-densities, distributions or targets: one to show, two to compare"""

    dim: int | None = None
    """dimensions D behind a file of log-densities, or of a distribution"""

    samples: int = 2**17
    """to draw where there is no closed form"""

    seed: int = 0
    """of every random number"""

    out: Path = PICTURE
    """the picture"""

    def states(self, action: str, count: int) -> "list[Named]":
        """As many densities of states as the action takes."""
        from pushforward.experiments.advise.named import named_states

        return [named_states(name, self.dim, self.samples, self.seed) for name in _expected(action, self.of, count)]


@dataclass(frozen=True)
class Show(Look):
    """Show a density of states: of a run, an .npy file of log-densities, a distribution or a target by name."""

    def run(self) -> None:
        from pushforward.experiments.advise.terminal import print_states

        (law,) = self.states("show", 1)
        print_states(law, self.out)


@dataclass(frozen=True)
class Compare(Look):
    """Compare two densities of states: distances in nats with intervals."""

    def run(self) -> None:
        from pushforward.experiments.advise.terminal import print_comparison

        first, second = self.states("compare", 2)
        if first.dim is None or second.dim is None:
            raise UserError("give --dim, the dimensions D of both")
        if first.dim != second.dim:
            raise UserError(f"D differs: {first.dim} and {second.dim}")
        print_comparison(first, second, first.dim, self.seed, self.out)


@dataclass(frozen=True)
class Advise:
    """Fit a flow of varying volume to a table, and say in nats what a volume-preserving one must lose."""

    of: tyro.conf.Positional[tuple[str, ...]]
    """a table, as `pushforward train` takes it"""

    tolerance: float = 0.05
    """nats that may be lost"""

    steps: int = 5_000
    """of training"""

    seed: int = 0
    """of every random number"""

    out: Path = PICTURE
    """the picture"""

    run_folder: Annotated[Path | None, tyro.conf.arg(name="run")] = None
    """folder of the fitted flow; a fresh one under runs/ unless given"""

    force: bool = False
    """overwrite the run that --run holds"""

    def run(self) -> None:
        from pushforward.experiments.advise.advice import advise
        from pushforward.experiments.advise.terminal import print_advice

        (table,) = _expected("advise", self.of, 1)
        print_advice(advise(table, self.tolerance, self.steps, self.seed, self.run_folder, self.force), self.out)


def states(
    action: tyro.conf.OmitSubcommandPrefixes[
        tyro.conf.OmitArgPrefixes[
            Annotated[Show, tyro.conf.subcommand("show")]
            | Annotated[Compare, tyro.conf.subcommand("compare")]
            | Annotated[Advise, tyro.conf.subcommand("advise")]
        ]
    ],
) -> None:
    """Show a density of states, compare two, or advise whether a volume-preserving flow will do for some data."""
    action.run()


def _expected(action: str, given: tuple[str, ...], count: int) -> tuple[str, ...]:
    if len(given) != count:
        raise UserError(f"states {action} takes {count}, got {len(given)}")
    return given
