"""A loss whose data do not fit on the device."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from pushforward.objectives.base import Loss


class Windowed:
    """A loss of one window of the data after another, each read while the device computes with that before.

    Which window a step sees depends on its number alone, so that a run that is resumed equals an uninterrupted one.

    Args:
        loss: from the number of a window, from 0 on, to the loss with its data; of one structure, and arrays of one
            shape, for all windows. It is called in a thread of its own.
        steps: with each window.

    Raises:
        ValueError: `steps` is less than 1.

    Example:
        >>> windows = Windows(np.load("big.npy", mmap_mode="r"), columns=range(8))
        >>> loss = Windowed(lambda number: ForwardKL(jnp.asarray(windows(number)[0]), 256), windows.size // 256)
    """

    def __init__(self, loss: Callable[[int], Loss], steps: int) -> None:
        if steps < 1:
            raise ValueError(f"steps must be 1 or more, got {steps}")
        self._loss = loss
        self._steps = steps
        self._reader = ThreadPoolExecutor(1, "windows")
        self._ahead: tuple[int, Future[Loss]] | None = None

    def at(self, step: int) -> Loss:
        """The loss of a step.

        Args:
            step: counted from 0.
        """
        number = step // self._steps
        if self._ahead is None or self._ahead[0] != number:
            self._read(number)
        assert self._ahead is not None
        found = self._ahead[1].result()
        self._read(number + 1)
        return found

    def end(self, step: int) -> int:
        """The first step that sees another window.

        Args:
            step: counted from 0.
        """
        return (step // self._steps + 1) * self._steps

    def _read(self, number: int) -> None:
        self._ahead = number, self._reader.submit(self._loss, number)
