"""Coverage: a missing part is found, and none where none is missing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pushforward import targets
from pushforward.bijections import DiagonalAffine
from pushforward.distributions import Normal, Pushforward
from pushforward.evaluation import Coverage, contradiction, coverage
from pushforward.evaluation.coverage import exact_interval, wilson

DIM = 3


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"):
        yield


def normal(loc, scale):
    return Pushforward(
        Normal.standard(DIM, trained=True), DiagonalAffine(jnp.full(DIM, loc), jnp.full(DIM, jnp.log(scale)))
    )


@pytest.fixture(scope="module")
def two_modes():
    """90% of the mass at 0 and 10% of it around 5, in each coordinate."""
    return targets.from_callable(
        lambda z: jnp.logaddexp(jnp.log(0.9) - 0.5 * z @ z, jnp.log(0.1) - 0.5 * jnp.sum((z - 5) ** 2)), DIM
    )


def test_a_missing_mode_is_found(two_modes):
    """A share of 10% from some hundred draws: within 4 of its standard errors."""
    found = coverage(normal(0.0, 1.0), two_modes, normal(1.0, 5.0), jax.random.key(0), chains=1024, temperatures=64)
    assert found.conclusive
    assert found.contradicts
    error = np.sqrt(0.1 * 0.9 / found.ess)
    assert abs(found.outside - 0.1) < 4 * error
    assert found.low < 0.1 < found.high
    assert found.weighted < 0.01
    assert abs(found.log_z - 1.5 * np.log(2 * np.pi)) < 5 * found.log_z_std_error
    assert "misses a part of the target" in found.verdict


def test_nothing_is_missing_from_the_target_itself():
    """The share is 0.1%: of ten checks none cries, by chance more than one in 1e8 does."""
    target = targets.from_callable(lambda z: -0.5 * z @ z, DIM)
    for seed in range(10):
        found = coverage(normal(0.0, 1.0), target, normal(0.0, 3.0), jax.random.key(seed), chains=512, temperatures=32)
        assert found.conclusive
        assert not found.contradicts
        assert found.low <= 0.002
    assert found.verdict.startswith("nothing is missing")


def test_what_is_missing_beyond_doubt_is_said_however_little():
    """A ring with a seam: log Z was 3.1595 ± 0.0006 by the flow's weights, and is 3.1649."""
    found = Coverage(
        outside=0.0062, weighted=0.0009, low=0.0023, high=0.0136, ess=1500, log_z=3.17, log_z_std_error=0.01
    )
    assert not found.contradicts
    assert found.verdict.startswith(
        "a little is missing, about 0.0053 nats of log Z: draws from a wide start find 0.62%"
    )


def test_a_thin_flow_whose_weights_make_up_for_it_is_not_called_wrong():
    """The scale of the flow is 0.75 of the target's: the weights know what it lacks, and 0.1% lies beyond them."""
    target = targets.from_callable(lambda z: -0.5 * z @ z, DIM)
    found = coverage(normal(0.0, 0.75), target, normal(0.0, 3.0), jax.random.key(0), chains=2048, temperatures=32)
    assert found.weighted <= 0.001
    assert abs(found.outside - 0.001) < 4 * np.sqrt(0.001 / found.ess)
    assert not found.contradicts


def test_a_thin_part_that_weights_cannot_tell_is_found():
    """1% of the mass lies in a spike a hundredth as wide, where the flow's density is not seen to be too low."""
    spike = DIM * np.log(100.0)
    target = targets.from_callable(
        lambda z: jnp.logaddexp(jnp.log(0.99) - 0.5 * z @ z, jnp.log(0.01) + spike - 0.5 * jnp.sum((100 * z) ** 2)), DIM
    )
    flow = normal(0.0, 1.0)
    found = coverage(flow, target, normal(0.0, 0.02), jax.random.key(0), chains=4096, temperatures=64)
    log_q = flow.log_prob(jnp.zeros(DIM))
    assert log_q > flow.log_prob(jnp.ones(DIM))  # no region of low density of the flow would show it
    assert found.contradicts


def test_too_few_draws_say_nothing(two_modes):
    found = coverage(normal(0.0, 1.0), two_modes, normal(900.0, 1.0), jax.random.key(0), chains=64, temperatures=4)
    assert not found.conclusive
    assert not found.contradicts
    assert "coverage unknown" in found.verdict


def test_of_several_checks_the_conclusive_one_that_says_most_counts():
    few = Coverage(0.5, 0.0, 0.4, 0.6, 10.0, 0.0, 0.1)
    more = Coverage(0.02, 0.001, 0.015, 0.03, 400.0, 0.0, 0.1)
    none = Coverage(0.001, 0.001, 0.0, 0.01, 400.0, 0.0, 0.1)
    assert contradiction([few, none, more]) is more


def test_intervals_are_those_ofwilson():
    """Of 10 in 100: by the formula's roots."""
    low, high = wilson(0.1, 100)
    z = 1.959964
    for end in (low, high):
        assert (0.1 - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / 100, rel=1e-6)
    assert wilson(0.0, 50)[0] == 0.0


def test_exact_intervals_are_those_of_the_binomial_law():
    """At its ends a count as extreme as 1 of 34 has 2.5%."""
    low, high = exact_interval(1 / 34, 34)
    assert stats.binom.sf(0, 34, low) == pytest.approx(0.025)
    assert stats.binom.cdf(1, 34, high) == pytest.approx(0.025)
    assert exact_interval(0.0, 50)[0] == 0
    assert exact_interval(1.0, 50)[1] == 1
