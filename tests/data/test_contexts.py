"""Tables of which some columns are contexts: numbers, words, and what is refused."""

import numpy as np
import pytest
from pyarrow import parquet, table

from pushforward.data import TableOptions, load
from pushforward.errors import UserError

N = 60
RNG = np.random.default_rng(0)
NUMBERS = {name: RNG.normal(size=N) for name in ("a", "b", "c")}
CITY = RNG.choice(["Lima", "Oslo", "Rome"], N)
CODE = RNG.integers(1, 4, N)


def write(path, **changes):
    columns = {**NUMBERS, "city": CITY, "code": CODE, **changes}
    if path.suffix == ".parquet":
        parquet.write_table(table(columns), path)
        return path
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values()))]
    path.write_text("\n".join(lines) + "\n")
    return path


def given(path, *columns, **options):
    return load(str(path), options=TableOptions(given=columns, **options))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_words_are_categories_and_said_to_be(tmp_path, suffix):
    data = given(write(tmp_path / f"t{suffix}"), "c", "city", drop=("code",))
    assert data.columns == ("a", "b")
    assert data.given.columns == ("c", "city")
    assert data.given.categories == ((), ("Lima", "Oslo", "Rome"))
    assert any(
        "city is taken for 3 categories: 'Lima, Oslo, Rome'" in w.replace("'city'", "city") for w in data.warnings
    )
    parts = [
        np.concatenate([getattr(data, part), getattr(data.given, part)], axis=1)
        for part in ("train", "validation", "test")
    ]
    found = np.concatenate(parts)
    places = np.searchsorted(["Lima", "Oslo", "Rome"], CITY)
    expected = np.column_stack([NUMBERS["a"], NUMBERS["b"], NUMBERS["c"], places]).astype(np.float32)
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_numbers_are_categories_where_it_is_declared(tmp_path, suffix):
    data = given(write(tmp_path / f"t{suffix}"), "code", categorical=("code",), drop=("city",))
    assert data.given.categories == (("1", "2", "3"),)
    assert set(np.unique(data.given.train)) == {0.0, 1.0, 2.0}
    assert given(tmp_path / f"t{suffix}", "code", drop=("city",)).given.categories == ((),)


def test_an_archive_sets_its_contexts_apart(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, x=np.column_stack([NUMBERS["a"], NUMBERS["b"]]), context=NUMBERS["c"])
    data = load(str(path))
    assert data.columns == ("x1", "x2")
    assert data.given.columns == ("context1",)
    np.savez(path, x=NUMBERS["a"], context=NUMBERS["c"][:-1])
    with pytest.raises(UserError, match="60 rows of x, but 59 of context"):
        load(str(path))


def test_equal_rows_with_other_contexts_are_no_repetitions(tmp_path):
    twice = {name: np.repeat(NUMBERS[name][:30], 2) for name in ("a", "b")}
    data = given(write(tmp_path / "t.csv", **twice), "c", drop=("city", "code"))
    assert not any("repeat another" in warning for warning in data.warnings)


REFUSED = {
    "unknown": (("d",), {"drop": ("city",)}, "--given: there is no column 'd'"),
    "nearest": (("citi",), {}, "did you mean 'city'"),
    "every column": (("a", "b", "c", "city", "code"), {}, "--given leaves no column to model"),
    "twice": (("a",), {"drop": ("a", "city")}, "column 'a' is named by --given and by --drop"),
    "logged": (("a",), {"log": ("a",), "drop": ("city",)}, "column 'a' is named by --given and by --log"),
    "no context": ((), {"categorical": ("code",), "drop": ("city",)}, "'code' is no context; name it by --given too"),
    "words that are modelled": (
        ("c",),
        {},
        "in column 'city' is not a number; leave the column out by --drop, or name it by --given",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_given_is_refused(tmp_path, case):
    columns, options, message = REFUSED[case]
    with pytest.raises(UserError, match=message):
        given(write(tmp_path / "t.csv"), *columns, **options)


def test_missing_contexts_are_refused_by_row_and_column(tmp_path):
    city = CITY.astype(object)
    city[3] = ""
    with pytest.raises(UserError, match="line 5: nothing in column 'city'"):
        given(write(tmp_path / "t.csv", city=city), "city", drop=("code",))
    city[3] = None
    with pytest.raises(UserError, match=r"row 4 \(the first is 1\), column 'city': nothing is there"):
        given(write(tmp_path / "t.parquet", city=city), "city", drop=("code",))


def test_constant_contexts_and_too_many_categories_are_refused(tmp_path):
    with pytest.raises(UserError, match="column 'c' is constant"):
        given(write(tmp_path / "t.csv", c=np.ones(N)), "c", drop=("city", "code"))
    many = np.array([f"w{index}" for index in range(200)])
    path = tmp_path / "u.csv"
    path.write_text("a,w\n" + "\n".join(f"{index}.5,{word}" for index, word in enumerate(many)) + "\n")
    with pytest.raises(UserError, match="holds 200 different words in 200 rows"):
        given(path, "w")


def test_what_the_contexts_determine_is_refused(tmp_path):
    with pytest.raises(UserError, match="determine each other"):
        given(write(tmp_path / "t.csv", a=2 * NUMBERS["c"] + 1), "c", drop=("city", "code"))
