"""Records of training for other programs: TensorBoard, Weights & Biases, trackio, a CSV file."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float

from pushforward.errors import imported
from pushforward.experiments.config import TrackerName, values_of
from pushforward.experiments.runs import Run
from pushforward.training import Record

AnyRun = TypeVar("AnyRun", bound=Run)

PROJECT = "pushforward"


@runtime_checkable
class Tracker(Protocol):
    """What takes records."""

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of training by name, after so many steps."""

    def close(self, result: Mapping[str, float]) -> None:
        """The numbers of the result, none where training ended early."""


class Table:
    """`metrics.csv` in the folder of a run; training that goes on from a checkpoint goes on after its step."""

    def __init__(self, run: Run) -> None:
        self.path = run.folder / "metrics.csv"
        if self.path.is_file():
            heading, *lines = self.path.read_text().splitlines(keepends=True)
            last = max(run.checkpoints.steps(), default=0)
            self.path.write_text("".join([heading, *(each for each in lines if int(each.partition(",")[0]) <= last)]))

    def record(self, step: int, values: Mapping[str, float]) -> None:
        fresh = not self.path.is_file()
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", *values])
            writer.writerow([step, *values.values()])

    def close(self, result: Mapping[str, float]) -> None:
        pass


class TensorBoard:
    """Event files in the folder `tensorboard` of a run."""

    def __init__(self, run: Run) -> None:
        module = imported("tensorboardX", "pip install 'pushforward[tensorboard]'")
        self.writer = module.SummaryWriter(str(run.folder / "tensorboard"))

    def record(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self, result: Mapping[str, float]) -> None:
        for name, value in result.items():
            self.writer.add_scalar(f"result/{name}", value)
        self.writer.close()


class WeightsAndBiases:
    """A run of the project `pushforward`, in the way that wandb's own settings and `WANDB_MODE` say."""

    def __init__(self, run: Run) -> None:
        module = imported("wandb", "pip install 'pushforward[wandb]'")
        settings = module.Settings(silent=True)
        self.run = module.init(
            project=PROJECT, name=run.folder.name, dir=str(run.folder), config=values_of(run.config), settings=settings
        )

    def record(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self, result: Mapping[str, float]) -> None:
        self.run.summary.update(dict(result))
        self.run.finish()


class Trackio:
    """A run of the project `pushforward` in trackio's own folder, `TRACKIO_DIR`."""

    def __init__(self, run: Run) -> None:
        self.module = imported("trackio", "pip install 'pushforward[trackio]'")
        config = {name: value for name, value in values_of(run.config).items() if value is not None}
        self.module.init(project=PROJECT, name=run.folder.name, config=config, embed=False)

    def record(self, step: int, values: Mapping[str, float]) -> None:
        self.module.log(dict(values), step=step)

    def close(self, result: Mapping[str, float]) -> None:
        if result:
            self.module.log({f"result/{name}": value for name, value in result.items()})
        self.module.finish()


TRACKERS: dict[TrackerName, Callable[[Run], Tracker]] = {
    "csv": Table,
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "trackio": Trackio,
}


@contextmanager
def tracked(run: AnyRun, names: Sequence[TrackerName]) -> Iterator[AnyRun]:
    """Within it, what a run records goes to these trackers too.

    Args:
        run: to be trained.
        names: of the trackers.

    Raises:
        UserError: the package of one is not installed.
    """
    trackers = [TRACKERS[name](run) for name in dict.fromkeys(names)]

    def record(each: Record) -> None:
        for tracker in trackers:
            tracker.record(each.step, numbers_of(each))

    with ExitStack() as stack:
        for tracker in trackers:
            stack.callback(_close, tracker, run)
        yield replace(run, on_record=record) if trackers else run


def numbers_of(record: Record) -> dict[str, float]:
    """The lowest loss and validation loss of all restarts and, where there are several, those of each."""
    found = {"loss": _lowest(record.loss), "seconds": record.seconds}
    if record.validation is not None:
        found["validation"] = _lowest(record.validation)
    if len(record.loss) > 1:
        for name, values in (("loss", record.loss), ("validation", record.validation)):
            found |= {f"{name}/{index}": float(each) for index, each in enumerate(() if values is None else values)}
    return found


def _lowest(values: Float[np.ndarray, " members"]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.min()) if len(finite) else float("nan")


def _close(tracker: Tracker, run: Run) -> None:
    result = run.result if run.finished else {}
    tracker.close({name: float(value) for name, value in result.items() if isinstance(value, int | float)})
