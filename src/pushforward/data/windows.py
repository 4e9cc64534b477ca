"""Rows that are too many for memory, seen through windows."""

import os
import weakref
from dataclasses import dataclass, field, replace
from typing import IO, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int, Shaped

from pushforward.errors import UserError

__all__ = ["RowFile", "Rows", "Windows"]

BLOCK = 1024
NUMBERS = 2**23


@runtime_checkable
class Rows(Protocol):
    """What windows are cut from: an array, a memory map, or a `RowFile`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many rows and columns there are."""
        ...

    def __getitem__(self, rows: slice, /) -> Shaped[np.ndarray, "n columns"]:
        """The rows of a slice."""
        ...


@dataclass(frozen=True, eq=False)
class RowFile:
    """Rows of a file, read anew whenever they are asked for: a memory map would count as memory of this process.

    Attributes:
        file: open for reading; it is closed with this.
        start: where in the file the first row begins, in bytes.
        dtype: of the numbers.
        shape: how many rows and columns there are; the numbers of a row lie together.
    """

    file: IO[bytes]
    start: int
    dtype: np.dtype
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        weakref.finalize(self, self.file.close)

    def __getitem__(self, rows: slice) -> Shaped[np.ndarray, "n columns"]:
        first, stop, _ = rows.indices(self.shape[0])
        width = self.shape[1] * self.dtype.itemsize
        read = os.pread(self.file.fileno(), (stop - first) * width, self.start + first * width)
        if len(read) != (stop - first) * width:
            raise UserError(f"{self.file.name} has become shorter while it was read")
        return np.frombuffer(read, self.dtype).reshape(-1, self.shape[1])


@dataclass(frozen=True, eq=False)
class Windows:
    """Random windows on rows: blocks of 1,024 neighbours, all blocks once in random order, then in another one.

    Every window has the same number of rows, as many as make `numbers` numbers. Rows of a window that are held out are
    replaced by others of it.

    Attributes:
        rows: all of them, of any real type.
        columns: indices of the columns that are modelled.
        given: indices of those that are contexts.
        held_out: indices of rows that no window shows, sorted.
        seed: of the order.
        numbers: that a window holds at most, unless a single block holds more.

    Example:
        >>> windows = Windows(np.load("big.npy", mmap_mode="r"), columns=range(8))
        >>> windows(0)[0].shape
        (1048576, 8)
    """

    rows: Rows
    columns: tuple[int, ...] | range
    given: tuple[int, ...] = ()
    held_out: Int[np.ndarray, " _"] = field(default_factory=lambda: np.zeros(0, int))
    seed: int = 0
    numbers: int = NUMBERS

    def __len__(self) -> int:
        """How many rows there are, without those held out."""
        return self.rows.shape[0] - len(self.held_out)

    @property
    def size(self) -> int:
        """The rows of a window."""
        return min(self._blocks_each * BLOCK, len(self))

    def __call__(
        self, number: int
    ) -> tuple[Float32[np.ndarray, "size D"], Float32[np.ndarray, "size contexts"] | None]:
        """The rows of a window, and their contexts where there are some.

        Args:
            number: of the window, from 0 on; there is no last one.

        Raises:
            ValueError: all rows that it could show are held out.
        """
        chosen = [*self.columns, *self.given]
        seen = np.concatenate([self._block(block) for block in self._order(number)])
        if not len(seen):
            raise ValueError(f"all rows of window {number} are held out")
        window = np.resize(seen[:, chosen].astype(np.float32), (self.size, len(chosen)))
        split = len(self.columns)
        return window[:, :split], window[:, split:] if self.given else None

    def of_rows(self, least: int) -> "Windows":
        """The same with so many rows in a window, at least.

        Args:
            least: rows, where there are so many.
        """
        numbers = -(-least // BLOCK) * BLOCK * (len(self.columns) + len(self.given))
        return replace(self, numbers=max(self.numbers, numbers))

    @property
    def _blocks(self) -> int:
        return -(-self.rows.shape[0] // BLOCK)

    @property
    def _blocks_each(self) -> int:
        width = len(self.columns) + len(self.given)
        return min(max(1, self.numbers // (BLOCK * width)), self._blocks)

    def _order(self, number: int) -> list[int]:
        places = np.arange(number * self._blocks_each, (number + 1) * self._blocks_each)
        passes = (places // self._blocks).tolist()
        orders = {each: np.random.default_rng([self.seed, each]).permutation(self._blocks) for each in set(passes)}
        return [int(orders[each][place % self._blocks]) for each, place in zip(passes, places)]

    def _block(self, number: int) -> Shaped[np.ndarray, "n columns"]:
        first = number * BLOCK
        rows = self.rows[first : first + BLOCK]
        hidden = slice(*np.searchsorted(self.held_out, [first, first + len(rows)]))
        return np.delete(rows, self.held_out[hidden] - first, axis=0)
