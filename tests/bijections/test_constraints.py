"""Maps onto simplices, correlation matrices and spheres, whose images have fewer dimensions than numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import supports
from pushforward.bijections import CorrelationCholesky, Ordered, Stereographic, StickBreaking

KEY = jax.random.key(0)


def below_diagonal(y):
    return y[..., *jnp.tril_indices(y.shape[-1], -1)]


CASES = {
    "ordered": (Ordered((2, 3)), lambda y: y),
    "simplex": (StickBreaking((2, 4)), lambda y: y[..., :-1]),
    "pair": (StickBreaking((2,)), lambda y: y[..., :-1]),
    "correlation": (CorrelationCholesky((2, 4, 4)), below_diagonal),
    "sphere": (Stereographic((2, 3)), lambda y: y),
}
every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_log_det_is_that_of_the_free_numbers(name, x64):
    bijection, free = CASES[name]
    for x in 2 * jax.random.normal(KEY, (5, *bijection.shape)):
        y, log_det = bijection.forward_and_log_det(x)
        matrix = jax.jacobian(lambda x: free(bijection.forward(x)).ravel())(x).reshape(-1, x.size)
        volume = jnp.linalg.slogdet(matrix.T @ matrix)[1] / 2
        np.testing.assert_allclose(log_det, volume, rtol=1e-9, atol=1e-9)
        back, inverse_log_det = bijection.inverse_and_log_det(y)
        np.testing.assert_allclose(back, x, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(inverse_log_det, -log_det, rtol=1e-7, atol=1e-7)
        assert y.shape == bijection.out_shape


@every_case
def test_images_are_where_they_must(name):
    bijection, _ = CASES[name]
    y = jax.vmap(bijection.forward)(3 * jax.random.normal(KEY, (100, *bijection.shape)))
    match name:
        case "ordered":
            assert jnp.all(jnp.diff(y, axis=-1) > 0)
        case "simplex" | "pair":
            assert jnp.all(y > 0)
            np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-5)
        case "correlation":
            np.testing.assert_allclose(jnp.linalg.norm(y, axis=-1), 1, rtol=1e-5)
            assert jnp.all(jnp.diagonal(y, axis1=-2, axis2=-1) > 0)
            assert jnp.all(jnp.triu(y, 1) == 0)
        case "sphere":
            np.testing.assert_allclose(jnp.linalg.norm(y, axis=-1), 1, rtol=1e-5)


@every_case
@pytest.mark.parametrize("size", [0.0, 1e-8, 1.0, 40.0])
def test_values_and_gradients_are_finite(name, size):
    bijection, _ = CASES[name]
    x = size * jnp.sign(jax.random.normal(KEY, bijection.shape))

    def total(x):
        y, log_det = bijection.forward_and_log_det(x)
        return jnp.sum(y) * 1e-20 + log_det

    value, gradient = jax.value_and_grad(total)(x)
    assert jnp.isfinite(value)
    assert jnp.isfinite(gradient).all()


def test_uniform_simplices_and_correlations():
    """Zero is the centre of the simplex; the log-determinant at zero of two correlations is that of tanh."""
    y, _ = StickBreaking((4,)).forward_and_log_det(jnp.zeros(3))
    np.testing.assert_allclose(y, 0.25, rtol=1e-6)
    y, log_det = CorrelationCholesky((2, 2)).forward_and_log_det(jnp.array([0.3]))
    np.testing.assert_allclose(y[1, 0], jnp.tanh(0.3), rtol=1e-6)
    np.testing.assert_allclose(log_det, jnp.log(1 - jnp.tanh(0.3) ** 2), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StickBreaking((1,)), "at least 2 numbers"),
        (lambda: StickBreaking(()), "at least 2 numbers"),
        (lambda: CorrelationCholesky((3, 2)), "is square"),
        (lambda: Stereographic((1,)), "at least 2 numbers"),
        (lambda: supports.interval(1, 1), "must be below the upper one"),
    ],
)
def test_shapes_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SUPPORTS = {
    "real": (supports.real((2,)), [[1.0, -3.0]], [[np.nan, 0.0]]),
    "positive": (supports.positive(), [2.0], [-1.0, 0.0]),
    "greater than": (supports.greater_than(2), [3.0], [1.0]),
    "less than": (supports.less_than(2), [-3.0], [2.5]),
    "interval": (supports.interval(-1, 2), [1.9], [2.1]),
    "ordered": (supports.ordered((3,)), [[1.0, 2.0, 4.0]], [[2.0, 1.0, 3.0]]),
    "simplex": (supports.simplex((3,)), [[0.2, 0.3, 0.5]], [[0.2, 0.2, 0.2]]),
    "correlation": (supports.correlation_cholesky((2, 2)), [[[1.0, 0.0], [0.6, 0.8]]], [[[1.0, 0.0], [0.6, 0.6]]]),
    "unit vector": (supports.unit_vector((2,)), [[0.6, -0.8]], [[0.6, 0.6]]),
    "circle": (supports.circle(), [3.0, -3.0], [np.inf]),
}


@pytest.mark.parametrize("name", SUPPORTS)
def test_supports_hold_what_they_say(name):
    support, inside, outside = SUPPORTS[name]
    for value in inside:
        coordinates = support.coordinates(np.array(value))
        assert coordinates.shape == (support.size,)
        np.testing.assert_allclose(support.bijection.forward(coordinates), value, rtol=1e-5, atol=1e-6)
    for value in outside:
        with pytest.raises(ValueError, match="p must be"):
            support.coordinates(np.array(value), "p")
    with pytest.raises(ValueError, match="p has shape"):
        support.coordinates(np.zeros((7, 7)), "p")
