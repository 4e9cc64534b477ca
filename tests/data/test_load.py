"""Data sets by name, and how they are divided."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.data import DATASETS, load
from pushforward.data.base import Split
from pushforward.data.embedded import EMBEDDED
from pushforward.data.toys import NAMES, TOYS
from pushforward.errors import UserError
from pushforward.quadrature import log_integral
from pushforward.targets import TARGETS, make

SHAPES = {
    "iris": (150, 4),
    "wine": (178, 13),
    "breast-cancer": (569, 30),
    "diabetes": (442, 10),
    "linnerud": (20, 3),
    "digits": (1797, 8, 8, 1),
}


@pytest.mark.parametrize("n", [10, 11, 150, 1797, 12_500])
def test_parts_are_disjoint_and_together_everything(n):
    parts = Split(seed=1).rows(n)
    assert [len(part) for part in parts[1:]] == [max(1, round(0.1 * n))] * 2
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    parts = Split(seed=1).training_rows(n)
    assert len(parts[1]) == max(1, round(0.1 * n))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))


def test_the_seed_decides():
    first, again, other = Split(seed=1).rows(100), Split(seed=1).rows(100), Split(seed=2).rows(100)
    for a, b, c in zip(first, again, other):
        np.testing.assert_array_equal(a, b)
        assert np.any(a != c)


@pytest.mark.parametrize(
    "fractions", [(0, 0.1), (0.1, 0), (-0.1, 0.1), (0.5, 0.5), (1, 0.1), (0.9, 0.9), (float("nan"), 0.1)]
)
def test_fractions_out_of_range_are_refused(fractions):
    with pytest.raises(UserError, match="the validation and test fractions must be positive with a sum below 1"):
        load("iris", validation=fractions[0], test=fractions[1])


def test_nothing_left_to_train_on_is_refused():
    with pytest.raises(UserError, match="linnerud has 20 rows, of which 1 would be left to train on"):
        load("linnerud", validation=0.5, test=0.45)
    with pytest.raises(UserError, match="seed must be 0 or more, got -1"):
        load("iris", seed=-1)


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded(name):
    dataset, again = load(name, seed=5), load(name, seed=5)
    assert dataset.name == name
    assert dataset.shape == SHAPES[name][1:]
    assert sum(map(len, (dataset.train, dataset.validation, dataset.test))) == SHAPES[name][0]
    for part in ("train", "validation", "test"):
        values = getattr(dataset, part)
        np.testing.assert_array_equal(values, getattr(again, part))
        assert values.dtype == (np.uint8 if name == "digits" else np.float32)
    if name == "digits":
        assert (dataset.levels, dataset.columns) == (17, ())
        assert (dataset.train.min(), dataset.train.max()) == (0, 16)
    else:
        assert (dataset.levels, len(dataset.columns)) == (None, dataset.shape[0])
        assert {type(column) for column in dataset.columns} == {str}


def test_diabetes_is_as_measured():
    dataset = load("diabetes")
    assert 40 < dataset.train[:, dataset.columns.index("age")].mean() < 60
    assert any(warning.startswith("column 'sex' has 2 distinct values in 442 rows") for warning in dataset.warnings)


def test_every_plane_density_with_samples_is_there():
    made = {name: make(name) for name in TARGETS}
    assert set(NAMES) == {name for name, target in made.items() if target.sample and target.log_z is not None}


@pytest.mark.slow
@pytest.mark.parametrize("name", TOYS)
def test_toys(name):
    dataset, again, other = load(name, seed=3, size=200), load(name, seed=3, size=200), load(name, seed=4, size=200)
    assert (dataset.name, dataset.shape, dataset.columns, dataset.levels) == (name, (2,), ("x1", "x2"), None)
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [160, 20, 20]
    np.testing.assert_array_equal(dataset.train, again.train)
    assert not set(map(tuple, dataset.train)) & set(map(tuple, other.train))
    assert np.all(np.isfinite(jax.vmap(dataset.log_density)(jnp.asarray(dataset.test))))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rings", "moons", "checkerboard"])
def test_densities_of_toys_are_normalised(name, x64):
    log_density = load(name, size=10).log_density
    mass = log_integral(lambda x: jax.vmap(log_density)(x.reshape(-1, 2)).reshape(x.shape[:-1]), make(name).box)
    np.testing.assert_allclose(mass, 0, atol=2e-5)


def test_default_size():
    assert len(load("moons").train) == 10_000


@pytest.mark.parametrize("size", [9, 0, -5, 10**12])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(UserError, match="moons can be drawn 10 to 10,000,000 times, got size"):
        load("moons", size=size)


@pytest.mark.parametrize("name", ["iris", "mnist", "mine.csv"])
def test_size_is_refused_for_real_data(name):
    with pytest.raises(UserError, match=f"size is for samples of a known density; '{name}' is read as it is"):
        load(name, size=100)


@pytest.mark.parametrize(("name", "nearest"), [("mnits", "mnist"), ("Iris", "iris"), ("two-moons", "moons")])
def test_unknown_names_suggest_the_nearest(name, nearest):
    with pytest.raises(UserError, match=f"unknown data set '{name}'; did you mean '{nearest}'"):
        load(name)


def test_unknown_names_list_all():
    with pytest.raises(UserError, match=r"there are rings, .*, fashion-mnist, .*, cifar10-patches; a file is \.csv"):
        load("zzzzzzzz")
    with pytest.raises(UserError, match="unknown data set ''"):
        load("")


def test_every_data_set_has_a_line_of_summary():
    assert all(make.__doc__.strip().splitlines()[0].endswith(".") for make in DATASETS.values())


def test_heavy_packages_wait_until_they_are_needed():
    code = "import pushforward.data, sys; print({'sklearn', 'pyarrow', 'pooch', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
