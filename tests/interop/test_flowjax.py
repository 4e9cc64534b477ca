"""Bijections inside FlowJAX."""

import jax
import numpy as np
import pytest

from pushforward import flows
from pushforward.bijections import Squeeze
from tests.checks import randomised

pytest.importorskip("flowjax", reason="flowjax is not installed")


def test_it_is_the_same_map():
    from flowjax.distributions import StandardNormal, Transformed

    from pushforward.interop.flowjax import FlowJAXBijection

    flow = randomised(flows.real_nvp(jax.random.key(0), 3, 2, base=flows.Normal.standard(3)), jax.random.key(1), 0.3)
    theirs = Transformed(StandardNormal((3,)), FlowJAXBijection(flow.bijection))
    x = theirs.sample(jax.random.key(2), (5,))
    np.testing.assert_allclose(theirs.log_prob(x), flow.log_prob(x), rtol=1e-5, atol=1e-5)


def test_a_map_that_changes_the_shape_is_refused():
    from pushforward.interop.flowjax import FlowJAXBijection

    with pytest.raises(ValueError, match=r"from shape \(2, 2, 1\) to \(1, 1, 4\)"):
        FlowJAXBijection(Squeeze((2, 2, 1)))
