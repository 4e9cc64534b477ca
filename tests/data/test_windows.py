"""Windows on rows that stay on disk."""

import numpy as np
import pytest

from pushforward.data import Windows
from pushforward.data.windows import BLOCK, RowFile
from pushforward.errors import UserError

ROWS = np.arange(10 * BLOCK * 3, dtype=np.float64).reshape(-1, 3)


def windows(**options):
    return Windows(ROWS, range(3), **{"numbers": 4 * BLOCK * 3, **options})


def first_column(*numbers, **options):
    return np.concatenate([windows(**options)(number)[0][:, 0] for number in numbers])


def test_a_pass_shows_every_row_once():
    """Windows 0 to 4 are two passes over ten blocks, four blocks each."""
    seen = first_column(*range(5))
    np.testing.assert_array_equal(np.sort(seen), np.sort(np.tile(ROWS[:, 0], 2)))
    assert len(np.unique(first_column(0, 1))) == 8 * BLOCK


def test_blocks_are_in_another_order_in_every_pass_and_by_every_seed():
    whole = {"numbers": 10 * BLOCK * 3}
    orders = [tuple(first_column(number, seed=seed, **whole)) for seed in (0, 1) for number in (0, 1)]
    assert len(set(orders)) == len(orders)
    assert orders[0] == tuple(first_column(0, **whole))


def test_rows_that_are_held_out_are_never_shown():
    held_out = np.sort(np.random.default_rng(0).choice(len(ROWS), 500, replace=False))
    found = windows(held_out=held_out)
    assert len(found) == len(ROWS) - 500
    seen = np.concatenate([found(number)[0][:, 0] for number in range(5)])
    assert len(found(0)[0]) == found.size == 4 * BLOCK
    assert not np.isin(ROWS[held_out, 0], seen).any()
    assert set(seen) == set(np.delete(ROWS, held_out, axis=0)[:, 0])


def test_a_window_of_held_out_rows_alone_is_refused():
    with pytest.raises(ValueError, match="window 0 are held out"):
        Windows(ROWS[:BLOCK], range(3), held_out=np.arange(BLOCK))(0)


def test_a_window_holds_so_many_rows_as_are_asked_for():
    few = Windows(ROWS, (0, 1), (2,), numbers=BLOCK * 3)
    assert [few.of_rows(least).size for least in (1, BLOCK, BLOCK + 1, 5_000, 10**6)] == [
        *(blocks * BLOCK for blocks in (1, 1, 2, 5)),
        len(ROWS),
    ]
    assert windows().of_rows(1).size == windows().size


def test_columns_and_contexts_are_taken_apart():
    rows, contexts = Windows(ROWS, (2, 0), (1,))(0)
    assert rows.dtype == contexts.dtype == np.float32
    np.testing.assert_array_equal(rows[:, 0] - contexts[:, 0], 1)
    np.testing.assert_array_equal(rows[:, 1] - contexts[:, 0], -1)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "i2"])
def test_a_file_of_rows_reads_what_lies_in_it(dtype, tmp_path):
    rows = ROWS[:200].astype(dtype)
    (tmp_path / "rows").write_bytes(b"start" + rows.tobytes())
    with (tmp_path / "rows").open("rb") as file:
        found = RowFile(file, 5, np.dtype(dtype), rows.shape)
        np.testing.assert_array_equal(found[3:50], rows[3:50])
        np.testing.assert_array_equal(found[190:400], rows[190:])
        (tmp_path / "rows").write_bytes(b"start" + rows[:100].tobytes())
        with pytest.raises(UserError, match="has become shorter"):
            found[90:110]
