"""The contract of `Bijection`, to which every entry of `constructors.py` is held."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pushforward.bijections
from pushforward.bijections import Bijection, Inverse, Volume
from pushforward.distributions import Normal, Pushforward
from pushforward.quadrature import Grid
from tests.bijections.constructors import ENTRIES
from tests.checks import assert_finite, assert_same, floating_leaves, scaled

every_entry = pytest.mark.parametrize("name", ENTRIES)
every_direction = pytest.mark.parametrize("direction", ["forward_and_log_det", "inverse_and_log_det"])

forward = eqx.filter_jit(lambda bijection, x: bijection.forward_and_log_det(x))
inverse = eqx.filter_jit(lambda bijection, y: bijection.inverse_and_log_det(y))


@eqx.filter_jit
def both_ways(bijection, x):
    """`(x, y, log_det, Jacobian)` forward from `x`, and back from `f(x)`."""
    there = bijection.forward_and_log_det(x)
    back = bijection.inverse_and_log_det(there[0])
    jacobians = jax.jacfwd(bijection.forward)(x), jax.jacfwd(bijection.inverse)(there[0])
    return (x, *there, jacobians[0]), (there[0], *back, jacobians[1])


def build(name, dim=3, scale=1.0, seed=0):
    entry = ENTRIES[name]
    return entry.build(jax.random.key(seed), max(dim, entry.least_dim), scale)


def points(bijection, count=8, seed=1):
    return 2 * jax.random.normal(jax.random.key(seed), (count, *bijection.shape))


def condition(matrix):
    """`||J|| + ||J^-1|| + ||J|| ||J^-1||`, by which rounding errors may grow."""
    sizes = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    return sizes[0] + 1 / sizes[-1] + sizes[0] / sizes[-1]


def assert_conforms(bijection, x):
    """Log-determinants against autodiff and the round trip, up to what rounding allows at `x`."""
    (_, y, log_det, matrix), (_, back, inverse_log_det, inverse_matrix) = both_ways(bijection, x)
    tolerance = (
        300 * jnp.finfo(x.dtype).eps * condition(matrix) * (1 + float(jnp.max(jnp.abs(x)) + jnp.max(jnp.abs(y))))
    )
    assert y.shape == back.shape == x.shape
    assert log_det.shape == inverse_log_det.shape == ()
    assert {y.dtype, log_det.dtype, back.dtype, inverse_log_det.dtype} == {x.dtype}
    np.testing.assert_allclose(back, x, atol=tolerance)
    np.testing.assert_allclose(log_det, jnp.linalg.slogdet(matrix)[1], atol=tolerance)
    np.testing.assert_allclose(inverse_log_det, jnp.linalg.slogdet(inverse_matrix)[1], atol=tolerance)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=tolerance)


def test_every_public_bijection_is_covered():
    public = {
        value
        for value in vars(pushforward.bijections).values()
        if inspect.isclass(value) and issubclass(value, Bijection) and not inspect.isabstract(value)
    }
    covered = {type(node) for name in ENTRIES for node in modules(build(name))}
    assert public - covered == set(), "add a line to tests/bijections/constructors.py"


def modules(tree):
    """Every module of a pytree."""
    yield tree
    for child in jax.tree.leaves(tree, is_leaf=lambda node: node is not tree):
        if not eqx.is_array(child):
            yield from modules(child)


@every_entry
def test_log_det_and_round_trip(name, dtype):
    bijection = build(name)
    for x in points(bijection):
        assert x.dtype == dtype
        assert_conforms(bijection, x)
        assert_conforms(Inverse(bijection), x)


@every_entry
@settings(max_examples=8)
@given(dim=st.integers(1, 4), seed=st.integers(0, 2**31 - 1), scale=st.floats(0.01, 2))
def test_any_dimension_seed_and_scale(name, dim, seed, scale):
    with jax.enable_x64(True):
        bijection = build(name, dim, scale, seed)
        assert_conforms(bijection, points(bijection, 1, seed)[0])


@every_entry
def test_float32_is_kept_under_x64(name):
    bijection = build(name)
    x = points(bijection, 1)[0]
    with jax.enable_x64(True):
        assert {array.dtype for array in (*forward(bijection, x), *inverse(bijection, x))} == {x.dtype}


@every_entry
@every_direction
def test_jit_and_vmap_change_nothing(name, direction, x64):
    bijection = build(name)
    method = getattr(bijection, direction)
    x = points(bijection, 3)
    plain = [method(row) for row in x]
    for each in (jax.vmap(method)(x), jax.jit(jax.vmap(method))(x)):
        for i, (y, log_det) in enumerate(plain):
            np.testing.assert_allclose(each[0][i], y, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(each[1][i], log_det, rtol=1e-9, atol=1e-9)


@every_entry
@every_direction
def test_extremes_are_finite_in_value_and_gradient(name, direction):
    bijection = build(name)
    sign = jnp.sign(points(bijection, 1)[0])

    @eqx.filter_jit
    @eqx.filter_value_and_grad(has_aux=True)
    def value(arguments):
        bijection, x = arguments
        y, log_det = getattr(bijection, direction)(x)
        return log_det + jnp.sum(y), y

    # The derivative of an inverse has the size of 1 / det, which leaves float32 long before the map itself does.
    largest = ENTRIES[name].largest if direction == "forward_and_log_det" else 1.0
    for factor in (0, 1e-30, 1.0, largest):
        for size in (0, 1e-30, 1e-8, 1.0, 1e4):
            result = value((scaled(bijection, factor), size * sign))
            try:
                assert_finite(result)
            except AssertionError as error:
                raise AssertionError(f"parameters times {factor}, inputs of size {size}: {error}") from None


@every_entry
@every_direction
def test_gradient_reaches_every_floating_leaf(name, direction):
    bijection = build(name)
    x = points(bijection)
    weights = points(bijection, seed=2)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(bijection):
        y, log_det = jax.vmap(getattr(bijection, direction))(x)
        return jnp.sum(weights * y) + jnp.sum(log_det)

    for path, leaf in floating_leaves(gradient(bijection)):
        assert jnp.any(leaf != 0), f"nothing reaches {path}"


@every_entry
def test_volume_is_the_truth(name):
    bijection = build(name)
    x = points(bijection)
    for run in (forward, inverse):
        log_dets = np.asarray([run(bijection, point)[1] for point in x])
        match bijection.volume:
            case Volume.PRESERVING:
                assert np.all(log_dets == 0)
            case Volume.CONSTANT:
                assert np.ptp(log_dets) == 0
                assert abs(log_dets[0]) > 0.1
            case Volume.VARYING:
                assert np.ptp(log_dets) > 0.1


@every_entry
def test_push_score(name, x64):
    bijection = build(name)
    log_det_gradient = eqx.filter_jit(jax.grad(lambda x: bijection.forward_and_log_det(x)[1]))
    push_score = eqx.filter_jit(lambda x, score: bijection.push_score(x, score))
    score = points(bijection, 1, seed=3)[0]
    for x in points(bijection, 4):
        (_, y, log_det, matrix), _ = both_ways(bijection, x)
        expected = jnp.linalg.solve(matrix.T, score - log_det_gradient(x))
        for actual, wanted in zip(push_score(x, score), (y, log_det, expected)):
            np.testing.assert_allclose(actual, wanted, rtol=1e-8, atol=1e-11 * condition(matrix) ** 2)


@every_entry
def test_resolve_keeps_the_map(name, x64):
    bijection = build(name)
    resolved = bijection.resolve()
    assert resolved.shape == bijection.shape
    assert resolved.volume == bijection.volume
    for x in points(bijection, 4):
        for run in (forward, inverse):
            for actual, expected in zip(run(resolved, x), run(bijection, x)):
                np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@every_entry
def test_saved_and_loaded(name, tmp_path):
    saved, skeleton = build(name, seed=0), build(name, seed=17)
    eqx.tree_serialise_leaves(tmp_path / "bijection.eqx", saved)
    loaded = eqx.tree_deserialise_leaves(tmp_path / "bijection.eqx", skeleton)
    for x in points(saved, 4):
        assert_same(forward(loaded, x), forward(saved, x))
        assert_same(inverse(loaded, x), inverse(saved, x))


@pytest.mark.parametrize(
    ("name", "dim"), [(name, dim) for name in ENTRIES for dim in (1, 2) if dim >= ENTRIES[name].least_dim]
)
def test_density_integrates_to_one(name, dim, x64):
    flow = Pushforward(Normal.standard(dim), build(name, dim, scale=0.5))
    samples = np.asarray(flow.sample(jax.random.key(1), (1000,)))
    low, high = samples.min(axis=0), samples.max(axis=0)
    grid = Grid(tuple(zip((2 * low - high).tolist(), (2 * high - low).tolist())), 2000 if dim == 1 else 400)
    assert abs(grid.log_integral(grid.evaluate(eqx.filter_jit(flow.log_prob)))) < 1e-3
