"""Infinite numbers, numbers whose squares overflow, and NaN, of every bijection, distribution and recipe."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pushforward.bijections import Exp, Planar, Radial, Sigmoid, Softplus, Spline, Tanh
from pushforward.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Logistic,
    Normal,
    StudentT,
)
from pushforward.nets import MADE
from tests.bijections.constructors import ENTRIES as BIJECTIONS
from tests.checks import assert_finite, randomised
from tests.contracts.test_border import distribution_of, every_distribution, every_recipe, flow_of
from tests.distributions.constructors import DISCRETE

INFINITE = (jnp.inf, -jnp.inf)


def placed(shape, value):
    """Arrays of zeros with `value` at the first place, at the last, and at all."""
    zeros = jnp.zeros(shape)
    first = zeros.ravel().at[0].set(value).reshape(shape)
    last = zeros.ravel().at[-1].set(value).reshape(shape)
    return jnp.stack([first, last, jnp.full(shape, value)])


def assert_without_density(distribution):
    log_prob = jax.jit(distribution.log_prob)
    for value in INFINITE:
        np.testing.assert_array_equal(log_prob(placed(distribution.shape, value)), -np.inf)
    assert np.isnan(log_prob(placed(distribution.shape, jnp.nan))).all()
    for value in (3e38, -3e38, 1e25, -1e25):
        far = log_prob(placed(distribution.shape, value))
        assert (far < 0).all(), f"{far} at {value}"
    both = jnp.zeros(distribution.shape).ravel().at[0].set(jnp.inf).at[-1].set(jnp.nan)
    assert np.isnan(log_prob(both.reshape(distribution.shape)))


@pytest.mark.slow
@every_distribution
def test_distributions(name):
    distribution = distribution_of(name)
    if name == "von mises":  # has a period: what is far away is somewhere on the circle
        values = distribution.log_prob(jnp.array([[jnp.inf, 0, 0], [0, jnp.nan, 0], [1e20, 0, 0]]))
        np.testing.assert_array_equal(jnp.isfinite(values), [False, False, True])
        assert values[0] == -jnp.inf
    else:
        assert_without_density(distribution)


@pytest.mark.slow
@every_recipe
def test_recipes(recipe):
    assert_without_density(flow_of(recipe))


@pytest.mark.slow
@pytest.mark.parametrize("name", BIJECTIONS)
@pytest.mark.parametrize("direction", ["forward_and_log_det", "inverse_and_log_det"])
def test_nan_stays_nan(name, direction):
    """At its own place at least, and in the log-determinant wherever it varies there."""
    bijection = BIJECTIONS[name].build(jax.random.key(0), min(3, BIJECTIONS[name].dims), 0.5)
    shape = bijection.shape if direction.startswith("forward") else bijection.out_shape
    result, _ = jax.jit(jax.vmap(getattr(bijection, direction)))(placed(shape, jnp.nan))
    assert np.isnan(result).reshape(3, -1).any(axis=1).all()
    assert np.isnan(result[-1]).all()


@pytest.mark.parametrize("kind", [Sigmoid, Tanh, Softplus, Exp])
@pytest.mark.parametrize("value", INFINITE)
def test_elementwise_maps_at_infinity(kind, value):
    ends = {Sigmoid: (0, 1), Tanh: (-1, 1), Softplus: (0, np.inf), Exp: (0, np.inf)}[kind]
    log_dets = {Sigmoid: (-np.inf, -np.inf), Tanh: (-np.inf, -np.inf), Softplus: (-np.inf, 0), Exp: (-np.inf, np.inf)}
    y, log_det = jax.jit(kind((1,)).forward_and_log_det)(jnp.array([value]))
    side = int(value > 0)
    assert y == ends[side]
    assert log_det == log_dets[kind][side]
    back, log_det = kind((1,)).inverse_and_log_det(y)
    assert back == value
    assert log_det == -np.inf


def test_probabilities_of_0_and_1():
    law = Bernoulli(jnp.array([jnp.inf, -jnp.inf, 0.0]))
    np.testing.assert_allclose(
        law.log_prob(jnp.array([[1.0, 0, 0], [0, 0, 0], [1, 1, 1]])), [-np.log(2), -np.inf, -np.inf]
    )


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("value", [-1.0, 0.5, 7.0, 1e9])
def test_no_mass_outside_the_levels(name, value):
    law = distribution_of(name)
    for place in range(3):
        assert law.log_prob(jnp.zeros(3).at[place].set(value)) == -jnp.inf


@pytest.mark.parametrize(
    "law", [Bernoulli(jnp.zeros(1)), Categorical(jnp.zeros((1, 4))), DiscretizedLogistic(jnp.zeros(1), jnp.zeros(1), 4)]
)
def test_masses_of_levels_sum_to_one(law):
    levels = jnp.arange(-2.0, 8, 0.5)[:, None]
    np.testing.assert_allclose(jax.nn.logsumexp(law.log_prob(levels)), 0, atol=1e-6)


@pytest.mark.parametrize("kind", [Normal, Laplace, Logistic, Gumbel, GeneralizedNormal, StudentT])
def test_gradients_at_the_middle_of_a_family(kind):
    """0 but for Gumbel, whose mode it is too."""
    gradient = jax.grad(lambda x: kind.standard(1).log_prob(x))(jnp.zeros(1))
    np.testing.assert_allclose(gradient, 0, atol=1e-7)


@pytest.mark.parametrize("x", [1e30, -1e30, 1e10])
@pytest.mark.parametrize("log_scale", [-30.0, 0.0, 30.0])
def test_the_tail_of_student_t_is_kept_where_its_noise_overflows(x, log_scale):
    law = StudentT(jnp.zeros(1), jnp.full(1, log_scale), log_df=jnp.full(1, np.log(2.5)))
    expected = stats.t.logpdf(np.float64(x), 2.5, scale=np.exp(log_scale))
    np.testing.assert_allclose(law.log_prob(jnp.array([x])), expected, rtol=2e-6)


@pytest.mark.parametrize("df", [1e-3, 0.1, 0.5, 1.0, 2.5, 7.0, 15.9, 16.0, 16.1, 40.0, 1e3, 1e6, 1e12])
def test_the_normaliser_of_student_t(df, dtype):
    law = StudentT(jnp.zeros(1, dtype), jnp.zeros(1, dtype), log_df=jnp.full(1, np.log(df), dtype))
    expected = stats.t.logpdf(0.7, np.exp(np.float64(law.log_df[0])))
    np.testing.assert_allclose(law.log_prob([0.7]), expected, rtol=4e-6 if dtype == jnp.float32 else 2e-13)


@pytest.mark.parametrize("size", [1e-18, 1e-9, 1.0, 1e18, 1e30])
def test_radial_far_out(size):
    """There it is nearly the identity, back and forth."""
    layer = Radial(jnp.zeros(3), jnp.array(0.5), jnp.array(2.0))
    x = size * jnp.array([1.0, -2.0, 0.5])
    y, log_det = jax.jit(layer.forward_and_log_det)(x)
    back, log_det_back = jax.jit(layer.inverse_and_log_det)(y)
    np.testing.assert_allclose(back, x, rtol=1e-5)
    np.testing.assert_allclose(log_det_back, -log_det, atol=1e-5)
    if size > 1e9:
        np.testing.assert_allclose(y, x, rtol=1e-6)
        np.testing.assert_allclose(log_det, 0, atol=1e-6)


@pytest.mark.parametrize("product", [0.5, -3.0, 2.0])
@pytest.mark.parametrize("size", [1e-17, 1e-12, 1e-10, 1e-3, 1.0, 1e10, 1e25])
def test_planar_with_extreme_normals(size, product):
    """Only `w.z`, `w.u` and `b` matter to the log-determinant."""
    direction = np.array([0.6, 0.8])
    for w_size, u_size, z_size in ((size, product / size, 0.3 / size),):
        layer = Planar(
            jnp.asarray(w_size * direction, jnp.float32), jnp.asarray(u_size * direction, jnp.float32), jnp.array(0.2)
        )
        log_det = jax.jit(layer.forward_and_log_det)(jnp.asarray(z_size * direction, jnp.float32))[1]
        slope = np.log1p(np.exp(product)) - 1
        expected = np.log1p((1 - np.tanh(0.5) ** 2) * slope)
        np.testing.assert_allclose(log_det, expected, rtol=2e-5)


def test_a_planar_layer_without_normal_has_finite_gradients():
    for size in (0.0, 1e-30, 1e-15, 1e15):
        layer = Planar(jnp.full(2, size), jnp.ones(2), jnp.zeros(()))
        value, gradient = jax.value_and_grad(lambda layer: layer.forward_and_log_det(jnp.ones(2))[1])(layer)
        assert jnp.isfinite(value)
        if size in (0.0, 1e-30):
            assert_finite(gradient)


KNOTS = {
    "raw_widths": [3.36, 4.18, -4.79, -2.27, -3.05, -1.36, 1.11, -5.36],
    "raw_heights": [2.01, -4.54, -2.98, -3.66, -1.48, 0.96, -6.17, 4.68],
    "raw_slopes": [-2.9, 6.49, -4.62, 2.59, 1.71, -0.7, -4.3],
}


def test_a_spline_at_the_knot_that_was_nan():
    """Its slope changes by a factor of 6 within two units in the last place of float32."""
    x = 4.989522933959961
    spline = Spline(**{name: jnp.array([values]) for name, values in KNOTS.items()}, bound=5.0)
    log_slope = jax.jit(spline.forward_and_log_det)(jnp.array([x]))[1]
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), spline)
        near = np.asarray(jax.vmap(exact.forward_and_log_det)(x + jnp.array([[-2e-6], [0.0], [2e-6]]))[1])
    np.testing.assert_allclose(near[1], -1.989, atol=1e-3)
    assert near[0] - 0.01 < log_slope < near[2] + 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spline", "circular spline"])
@pytest.mark.parametrize("direction", ["forward_and_log_det", "inverse_and_log_det"])
def test_splines_at_every_knot_and_its_neighbours(name, direction):
    """Values, log slopes and gradients, of 200 splines with narrow and flat bins."""

    def at_knots(key):
        spline = randomised(BIJECTIONS[name].make(key, 1), key, 4.0)
        edges = spline._knots().x if direction.startswith("forward") else spline._knots().y
        if name == "circular spline" and direction.startswith("inverse"):
            edges = edges + spline.turn[:, None]
        below, above = jnp.nextafter(edges, -jnp.inf), jnp.nextafter(edges, jnp.inf)
        far = [edges * (1 + sign * 1e-6) for sign in (-1, 1)]
        points = jnp.concatenate([edges, below, above, *far], axis=-1).T

        def results(x):
            return getattr(spline, direction)(x)

        values = jax.vmap(results)(points)
        gradients = jax.vmap(jax.grad(lambda x: results(x)[0][0]))(points)
        return points, values, gradients

    points, (values, log_dets), gradients = jax.jit(jax.vmap(at_knots))(jax.random.split(jax.random.key(0), 200))
    for array in (values, log_dets, gradients):
        assert np.isfinite(array).all(), points[~np.isfinite(array)]
    if name == "spline":
        inside = np.abs(values[..., 0]) < 2.99
        differs = np.abs(np.log(gradients[..., 0])[inside] - log_dets[inside]) > 0.05
        # Where slopes of 0.001 and 1,000 meet, the derivative of the inverse loses its digits in float32.
        assert np.mean(differs) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "width"), [(2, 1), (5, 2), (40, 8), (150, 64), (200, 64)])
@pytest.mark.parametrize("from_zero", [False, True])
def test_every_output_sees_every_input_before_it(dim, width, from_zero):
    made = randomised(MADE.init(jax.random.key(0), dim, 1, width, 2, jax.nn.softplus), jax.random.key(1), 0.1)
    made = MADE(made.mlp, dim, from_zero)
    jacobian = np.asarray(jax.jit(jax.jacfwd(lambda x: made(x)[:, 0]))(jnp.ones(dim)))
    np.testing.assert_array_equal(jacobian != 0, np.tri(dim, k=-1, dtype=bool))
