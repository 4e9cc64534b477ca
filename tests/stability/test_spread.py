"""Quartiles of an ensemble, those that diverged left out and counted."""

import numpy as np

from pushforward.stability import seed_spread


def test_quartiles_and_the_fraction_that_diverged():
    spread = seed_spread(np.array([5.0, 1.0, np.nan, 2.0, np.inf, 3.0, 4.0, np.nan]))
    assert (spread.lower, spread.median, spread.upper) == (2, 3, 4)
    assert spread.interquartile_range == 2
    assert spread.diverged == 3 / 8


def test_nobody_is_left():
    spread = seed_spread(np.array([np.nan, np.nan]))
    assert np.isnan(spread.median)
    assert np.isnan(spread.interquartile_range)
    assert spread.diverged == 1
