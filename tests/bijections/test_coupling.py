"""Couplings: what stays, what moves, and the volume."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import Additive, Affine, AffineVolumePreserving, Coupling
from pushforward.nets import MLP
from tests.checks import randomised


def coupling(transformer, dim, kept):
    return Coupling(transformer, MLP.init(jax.random.key(0), kept, (dim - kept) * transformer.size, 8, 1), (dim,), kept)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "kept"), [(2, 1), (3, 2), (5, 1)])
def test_the_first_part_stays_and_moves_the_rest(dim, kept):
    fresh = coupling(Additive(), dim, kept)
    layer = randomised(fresh, jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (dim,))
    np.testing.assert_array_equal(fresh.forward(x), x)
    stays = np.arange(dim) < kept
    np.testing.assert_array_equal(layer.forward(x) == x, stays)
    np.testing.assert_array_equal(jax.jacfwd(layer.forward)(x) - jnp.eye(dim) != 0, np.outer(~stays, stays))


@pytest.mark.slow
@pytest.mark.parametrize("dim", [3, 4, 7])
@pytest.mark.parametrize("kept", [1, 2])
def test_volume_preserving_scales_sum_to_zero_for_every_size(dim, kept, x64):
    layer = randomised(coupling(AffineVolumePreserving.init(), dim, kept), jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (dim,))
    scales = np.diag(jax.jacfwd(layer.forward)(x))
    assert dim - kept < 2 or np.ptp(scales) > 0.01
    np.testing.assert_allclose(np.log(scales).sum(), 0, atol=1e-12)
    assert layer.forward_and_log_det(x)[1] == layer.inverse_and_log_det(x)[1] == 0


@pytest.mark.parametrize("size", [0.0, 1.0, 1e30])
def test_affine_scales_are_bounded(size):
    log_scale = Affine.init(2.0)(jnp.array([[0.0, size], [0.0, -size]])).log_scale
    np.testing.assert_allclose(log_scale, [2 * size / (1 + size), -2 * size / (1 + size)], rtol=1e-6)


@pytest.mark.parametrize("kept", [0, 3])
def test_something_must_stay_and_something_must_move(kept):
    with pytest.raises(ValueError, match=f"{kept} of 3 dimensions cannot stay"):
        Coupling(Additive(), MLP.init(jax.random.key(0), 1, 1, 2, 1), (3,), kept)
