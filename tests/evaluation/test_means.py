"""Means with their errors, as JSON can hold them."""

import json

import numpy as np
import pytest

from pushforward.evaluation.means import finite_or_none, mean_and_std_error, numbers


def test_what_is_not_finite_is_none_in_arrays_of_any_shape():
    assert numbers(np.array([[1.5, np.nan], [-np.inf, 2.0]], np.float32)) == [[1.5, None], [None, 2.0]]
    assert numbers([0.25, np.inf]) == [0.25, None]
    assert json.loads(json.dumps(numbers(np.ones((2, 1))), allow_nan=False)) == [[1.0], [1.0]]
    assert (finite_or_none(2.0), finite_or_none(np.inf), finite_or_none(np.nan)) == (2.0, None, None)


def test_the_standard_error_of_a_mean():
    assert mean_and_std_error(np.array([1.0, 3.0])) == pytest.approx((2.0, 1.0))
    assert mean_and_std_error(np.array([1.0])) == (1.0, None)
    assert mean_and_std_error(np.array([1.0, np.nan])) == (None, None)
