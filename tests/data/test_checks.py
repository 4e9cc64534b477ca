"""What a user's table is refused for, or warned of; the right values beside each kind."""

import gzip
import shlex
from itertools import combinations

import numpy as np
import pytest

from pushforward.data import TableOptions, TextFormat, load
from pushforward.errors import UserError

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(300, 4))


def write(path, rows, header=None, delimiter=",", fmt="%.9g"):
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        if header is not None:
            file.write(header + "\n")
        np.savetxt(file, rows, fmt=fmt, delimiter=delimiter)
    return str(path)


def count(dataset):
    return len(dataset.train) + len(dataset.validation) + len(dataset.test)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz"])
@pytest.mark.parametrize("names", [("2019", "2020", "2021", "2022"), ("0", "1", "2", "3"), ("1", "2", "3", "4")])
def test_names_that_are_numbers(tmp_path, names, suffix):
    delimiter = "\t" if suffix == ".tsv" else ","
    path = write(tmp_path / f"mine{suffix}", NORMAL, delimiter.join(names), delimiter)
    dataset = load(path)
    assert dataset.columns == names
    assert count(dataset) == 300
    assert any("is taken for names: --header no if not" in warning for warning in dataset.warnings)
    assert count(load(path, options=TableOptions(text=TextFormat(header="no")))) == 301


@pytest.mark.parametrize("names", ["2019,2025,2031,2040", "7,3,5,1"])
def test_numbers_that_may_be_names(tmp_path, names):
    path = write(tmp_path / "mine.csv", NORMAL, names)
    with pytest.raises(UserError, match=f"line 1, '{names}', may hold names or numbers: add --header yes or no"):
        load(path)
    assert count(load(path, options=TableOptions(text=TextFormat(header="yes")))) == 300


@pytest.mark.parametrize("first", ["0.5,1.5,2.5,-1", "0,0,0,0"])
def test_numbers_that_are_no_names(tmp_path, first):
    assert count(load(write(tmp_path / "mine.csv", NORMAL, first))) == 301


def test_equal_rows_go_to_one_part(tmp_path):
    """A Metropolis chain of 4,000 states, of which few are distinct."""
    states = RNG.normal(size=(452, 2))
    chain = states[np.sort(RNG.integers(0, 452, 4000))]
    dataset = load(write(tmp_path / "chain.csv", chain))
    parts = [{tuple(row) for row in part.tolist()} for part in (dataset.train, dataset.validation, dataset.test)]
    assert all(first.isdisjoint(second) for first, second in combinations(parts, 2))
    assert count(dataset) == 4000
    assert 350 < len(dataset.validation) < 450
    assert 350 < len(dataset.test) < 450
    distinct = len(np.unique(chain, axis=0))
    assert f"{4000 - distinct:,} of 4,000 rows repeat another ({distinct} are distinct)" in " ".join(dataset.warnings)


def sums(rows):
    return np.column_stack([rows, rows[:, 0] + rows[:, 1]]), "a,b,c,d,e", {"a", "b", "e"}


def shares(rows):
    parts = np.exp(rows)
    return parts / parts.sum(1, keepdims=True), "a,b,c,d", set("abcd")


def units(rows):
    return np.column_stack([rows, rows[:, 2] * 3.28084]), "a,b,c,d,e", {"c", "e"}


@pytest.mark.parametrize("make", [sums, shares, units])
def test_columns_that_determine_each_other(tmp_path, make):
    rows, header, named = make(NORMAL)
    path = write(tmp_path / "mine.csv", rows, header)
    with pytest.raises(UserError, match=r"determine each other.*--drop, or go on with --allow-degenerate") as error:
        load(path)
    assert {name for name in header.split(",") if f"'{name}'" in str(error.value)} == named
    assert any(
        "determine each other" in text for text in load(path, options=TableOptions(allow_degenerate=True)).warnings
    )
    assert load(path, options=TableOptions(drop=(sorted(named)[0],))).shape == (rows.shape[1] - 1,)


def test_no_more_rows_than_columns(tmp_path):
    path = write(tmp_path / "mine.csv", RNG.normal(size=(20, 18)))
    with pytest.raises(UserError, match="16 rows to train on for 18 columns"):
        load(path)


def test_one_wild_value_is_named_with_a_way_round(tmp_path):
    rows = RNG.normal(size=(2000, 2))
    rows[16, 1] = 1e6
    path = write(tmp_path / "mine.csv", rows, "a,b")
    (warning,) = load(path).warnings
    assert "column 'b' holds 1e+06 in row 17, " in warning
    assert "leave it out with --drop-rows 17, or keep it with --base student-t" in warning
    dropped = load(path, options=TableOptions(drop_rows=(17,)))
    assert dropped.warnings == ()
    assert count(dropped) == 1999


def test_heavy_tails_are_named(tmp_path):
    path = write(tmp_path / "mine.csv", RNG.standard_cauchy(size=(5000, 2)))
    assert all("heavy tails" in warning and "--base student-t" in warning for warning in load(path).warnings)
    assert load(path, options=TableOptions(heavy_tails=True)).warnings == ()


@pytest.mark.parametrize("name", ["id", "Unnamed: 0", "index", "time"])
def test_an_index_is_named(tmp_path, name):
    rows = np.column_stack([np.arange(300), NORMAL])
    path = write(tmp_path / "mine.csv", rows, f"{name},a,b,c,d")
    assert (
        f"column '{name}' looks like an index of the rows: leave it out with --drop {shlex.quote(name)}"
        in load(path).warnings
    )
    assert load(path, options=TableOptions(drop=(name,))).columns == ("a", "b", "c", "d")


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar"), (" ", "space")])
def test_another_separator_is_named(tmp_path, delimiter, name):
    path = write(tmp_path / "mine.csv", NORMAL, delimiter.join("abcd"), delimiter)
    with pytest.raises(UserError, match=f"separated by {name}: add --delimiter {name}"):
        load(path)
    for given in (name, delimiter):
        assert load(path, options=TableOptions(text=TextFormat(given))).shape == (4,)


def test_decimal_commas(tmp_path):
    text = "\n".join(";".join(f"{x:.4f}".replace(".", ",") for x in row) for row in NORMAL)
    path = tmp_path / "mine.csv"
    path.write_text(text)
    semicolon = TextFormat("semicolon")
    with pytest.raises(UserError, match="decimal commas: add --decimal-comma"):
        load(str(path), options=TableOptions(text=semicolon))
    read = load(str(path), options=TableOptions(text=TextFormat("semicolon", decimal_comma=True)))
    assert read.shape == (4,)
    assert abs(read.train).max() < 5
    with pytest.raises(UserError, match="--decimal-comma needs another --delimiter"):
        TextFormat(",", decimal_comma=True)


def test_one_column_of_decimal_commas_is_not_two(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(f"{x:.4f}".replace(".", ",") for x in np.exp(NORMAL[:, 0])))
    with pytest.raises(UserError, match="look like one of decimal commas"):
        load(str(path))
    one = TableOptions(text=TextFormat("semicolon", decimal_comma=True))
    assert load(str(path), options=one).shape == (1,)
    assert load(str(path), options=TableOptions(text=TextFormat("comma"))).shape == (2,)


@pytest.mark.parametrize("unit", [1e18, 2e30, 1e-24])
def test_every_unit_of_float32_is_read(tmp_path, unit):
    dataset = load(write(tmp_path / "mine.csv", NORMAL * unit))
    np.testing.assert_allclose(np.std(dataset.train.astype(float), axis=0) / unit, 1, rtol=0.2)


def test_numbers_below_float32_are_not_0_in_silence(tmp_path):
    path = write(tmp_path / "mine.csv", NORMAL * 1e-50)
    with pytest.raises(
        UserError, match=r"line 1: .*e-5.* not a finite number in float32, .*give the column another unit"
    ):
        load(path)


def test_columns_are_chosen_and_logged(tmp_path):
    path = write(tmp_path / "mine.csv", np.exp(NORMAL), "a,b,c,d")
    dataset = load(path, options=TableOptions(columns=("a", "c", "d"), log=("c",)))
    assert (dataset.columns, dataset.logged) == (("a", "c", "d"), (False, True, False))
    negative = write(tmp_path / "negative.csv", NORMAL, "a,b,c,d")
    with pytest.raises(UserError, match="--log takes positive numbers, but row 1 of column 'b' is -"):
        load(negative, options=TableOptions(log=("b",)))
    with pytest.raises(UserError, match="--drop: there is no column 'e'"):
        load(negative, options=TableOptions(drop=("e",)))
    with pytest.raises(UserError, match="has no row 301, only 1 to 300"):
        load(negative, options=TableOptions(drop_rows=(301,)))
    with pytest.raises(UserError, match="for a file, not for 'iris'"):
        load("iris", options=TableOptions(drop=("e",)))


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "diabetes"])
def test_real_tables_are_not_refused(name):
    load(name)
