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
from pushforward.bijections import Bijection, Volume
from pushforward.distributions import Normal, Pushforward
from pushforward.quadrature import Grid
from tests.bijections.constructors import ENTRIES
from tests.bijections.test_constraints import CASES as ONTO_SURFACES
from tests.checks import assert_finite, assert_same, floating_leaves, scaled

QUICK = (
    "planar",
    "radial",
    "sylvester, triangular",
    "affine",
    "onto a box",
    "spline",
    "affine coupling",
    "autoregressive, affine",
    "LU",
    "real nvp",
)
# One worker runs all tests of an entry, so that they share what is compiled.
MARKS = {name: [pytest.mark.xdist_group(name), *([] if name in QUICK else [pytest.mark.long])] for name in ENTRIES}
every_entry = pytest.mark.parametrize("name", [pytest.param(name, marks=marks) for name, marks in MARKS.items()])
every_direction = pytest.mark.parametrize("direction", ["forward_and_log_det", "inverse_and_log_det"])

forward = eqx.filter_jit(lambda bijection, x: bijection.forward_and_log_det(x))
inverse = eqx.filter_jit(lambda bijection, y: bijection.inverse_and_log_det(y))


@eqx.filter_jit
def both_ways(bijection, x):
    """`(x, y, log_det, Jacobian)` forward from `x`, and back from `f(x)`."""
    there = bijection.forward_and_log_det(x)
    back = bijection.inverse_and_log_det(there[0])
    jacobians = jacobian(bijection.forward, x), jacobian(bijection.inverse, there[0])
    return (x, *there, jacobians[0]), (there[0], *back, jacobians[1])


def jacobian(function, x):
    """As a matrix, whatever the event shape."""
    return jax.jacrev(lambda x: function(x).ravel())(x).reshape(x.size, x.size)


def build(name, dim=3, scale=1.0, seed=0):
    entry = ENTRIES[name]
    return compiled_build(entry, jax.random.key(seed), min(max(dim, entry.least_dim), entry.dims), jnp.asarray(scale))


@eqx.filter_jit
def compiled_build(entry, key, dim, scale):
    return entry.build(key, dim, scale)


def points(name, bijection, count=8, seed=1):
    return ENTRIES[name].domain(2 * jax.random.normal(jax.random.key(seed), (count, *bijection.shape)))


def images(name, bijection, count=8, seed=1):
    """Points to invert at."""
    return ENTRIES[name].codomain(2 * jax.random.normal(jax.random.key(seed), (count, *bijection.out_shape)))


def condition(matrix):
    """`||J|| + ||J^-1|| + ||J|| ||J^-1||`, by which rounding errors may grow."""
    sizes = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    return sizes[0] + 1 / sizes[-1] + sizes[0] / sizes[-1]


def assert_conforms(bijection, x, error=0.0):
    """Log-determinants against autodiff and the round trip, up to what rounding, or an own `error`, allows at `x`."""
    (_, y, log_det, matrix), (_, back, inverse_log_det, inverse_matrix) = both_ways(bijection, x)
    size = condition(matrix) * (1 + float(jnp.max(jnp.abs(x)) + jnp.max(jnp.abs(y))))
    tolerance = (300 * jnp.finfo(x.dtype).eps + error) * size
    assert x.shape == back.shape == bijection.shape
    assert y.shape == bijection.out_shape
    assert log_det.shape == inverse_log_det.shape == ()
    assert {y.dtype, log_det.dtype, back.dtype, inverse_log_det.dtype} == {x.dtype}
    np.testing.assert_allclose(back, x, atol=tolerance)
    np.testing.assert_allclose(log_det, jnp.linalg.slogdet(matrix)[1], atol=tolerance)
    np.testing.assert_allclose(inverse_log_det, jnp.linalg.slogdet(inverse_matrix)[1], atol=tolerance)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=tolerance)


@pytest.mark.slow
def test_every_public_bijection_is_covered():
    public = {
        value
        for value in vars(pushforward.bijections).values()
        if inspect.isclass(value) and issubclass(value, Bijection) and not inspect.isabstract(value)
    }
    covered = {type(node) for name in ENTRIES for node in modules(eqx.filter_eval_shape(build, name))}
    covered |= {type(bijection) for bijection, _ in ONTO_SURFACES.values()}
    assert public - covered == set(), "add a line to tests/bijections/constructors.py"


def inputs(name, bijection, direction, count=8):
    return (points if direction == "forward_and_log_det" else images)(name, bijection, count)


def modules(tree):
    """Every module of a pytree."""
    yield tree
    for child in jax.tree.leaves(tree, is_leaf=lambda node: node is not tree):
        if not (eqx.is_array(child) or isinstance(child, jax.ShapeDtypeStruct)):
            yield from modules(child)


@every_entry
def test_log_det_and_round_trip(name):
    bijection = build(name)
    error = ENTRIES[name].error
    for x in points(name, bijection):
        assert_conforms(bijection, x, error)
    for y in images(name, bijection):
        assert_conforms(bijection, inverse(bijection, y)[0], error)


@every_entry
@settings(max_examples=4)
@given(dim=st.sampled_from([1, 3]), seed=st.integers(0, 2**31 - 1), scale=st.floats(0.01, 2))
@pytest.mark.long
def test_any_dimension_seed_and_scale_in_float64(name, dim, seed, scale):
    with jax.enable_x64(True):
        bijection = build(name, dim, scale, seed)
        assert_conforms(bijection, points(name, bijection, 1, seed)[0], ENTRIES[name].error)


@every_entry
def test_float32_is_kept_under_x64(name):
    bijection = build(name)
    x, y = points(name, bijection, 1)[0], images(name, bijection, 1)[0]
    with jax.enable_x64(True):
        for run, at in ((forward, x), (inverse, y)):
            assert {array.dtype for array in eqx.filter_eval_shape(run, bijection, at)} == {x.dtype}


@every_entry
@every_direction
def test_jit_and_vmap_change_nothing(name, direction, x64):
    bijection = build(name)
    method = getattr(bijection, direction)
    x = inputs(name, bijection, direction, 3)
    y, log_det = method(x[0])
    ys, log_dets = jax.jit(jax.vmap(method))(x)
    np.testing.assert_allclose(ys[0], y, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(log_dets[0], log_det, rtol=1e-9, atol=1e-9)


def log_det_and_sum(arguments, direction):
    bijection, x = arguments
    y, log_det = getattr(bijection, direction)(x)
    return log_det + jnp.sum(y), y


# With respect to the parameters and the point.
value_and_gradient = eqx.filter_jit(eqx.filter_value_and_grad(log_det_and_sum, has_aux=True))


@every_entry
@every_direction
def test_extremes_are_finite_in_value_and_gradient(name, direction):
    bijection = build(name)
    sign = jnp.sign(inputs(name, bijection, direction, 1)[0])
    entry = ENTRIES[name]
    into = entry.domain if direction == "forward_and_log_det" else entry.codomain
    # The derivative of an inverse has the size of 1 / det, which leaves float32 long before the map itself does.
    largest = entry.largest if direction == "forward_and_log_det" else 1.0
    for factor in (0, 1e-30, 1.0, largest) if entry.drawn else (1.0,):
        for size in (0, 1e-30, 1e-8, 1.0, 1e4):
            result = value_and_gradient((scaled(bijection, factor), into(size * sign)), direction)
            try:
                assert_finite(result)
            except AssertionError as error:
                raise AssertionError(f"parameters times {factor}, inputs of size {size}: {error}") from None


@every_entry
@every_direction
def test_gradient_reaches_every_floating_leaf(name, direction):
    bijection = build(name)
    gradients = [value_and_gradient((bijection, x), direction)[1][0] for x in inputs(name, bijection, direction)]
    for leaves in zip(*map(floating_leaves, gradients)):
        reached = any(jnp.any(leaf != 0) for _, leaf in leaves)
        assert reached == ENTRIES[name].trained, f"{leaves[0]}"


@every_entry
def test_volume_is_the_truth(name):
    bijection = build(name)
    for run, at in ((forward, points(name, bijection)), (inverse, images(name, bijection))):
        log_dets = np.asarray([run(bijection, point)[1] for point in at])
        match bijection.volume:
            case Volume.PRESERVING:
                assert np.all(log_dets == 0)
            case Volume.CONSTANT:
                assert np.ptp(log_dets) == 0
                assert abs(log_dets[0]) > 0.1
            case Volume.VARYING:
                assert np.ptp(log_dets) > 0.01


@every_entry
def test_push_score(name, x64):
    bijection = build(name)
    error = ENTRIES[name].error
    log_det_gradient = eqx.filter_jit(jax.grad(lambda x: bijection.forward_and_log_det(x)[1]))
    push_score = eqx.filter_jit(lambda x, score: bijection.push_score(x, score))
    score = jax.random.normal(jax.random.key(3), bijection.shape)
    for x in points(name, bijection, 4):
        (_, y, log_det, matrix), _ = both_ways(bijection, x)
        expected = jnp.linalg.solve(matrix.T, (score - log_det_gradient(x)).ravel()).reshape(y.shape)
        for actual, wanted in zip(push_score(x, score), (y, log_det, expected)):
            np.testing.assert_allclose(actual, wanted, rtol=1e-8 + error, atol=(1e-11 + error) * condition(matrix) ** 2)


@every_entry
def test_resolve_keeps_the_map(name):
    bijection = build(name)
    resolved = bijection.resolve()
    assert resolved.shape == bijection.shape
    assert resolved.out_shape == bijection.out_shape
    assert resolved.volume == bijection.volume
    for run, at in ((forward, points(name, bijection, 4)), (inverse, images(name, bijection, 4))):
        for x in at:
            for actual, expected in zip(run(resolved, x), run(bijection, x)):
                np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@every_entry
def test_saved_and_loaded(name, tmp_path):
    saved, skeleton = build(name, seed=0), build(name, seed=17)
    eqx.tree_serialise_leaves(tmp_path / "bijection.eqx", saved)
    loaded = eqx.tree_deserialise_leaves(tmp_path / "bijection.eqx", skeleton)
    for x in points(name, saved, 4):
        assert_same(forward(loaded, x), forward(saved, x))
    for y in images(name, saved, 4):
        assert_same(inverse(loaded, y), inverse(saved, y))


@pytest.mark.parametrize("name", ["activation normalisation", "glow", "maf"])
def test_calibration_pulls_the_data_back(name):
    bijection = build(name)
    y = images(name, bijection, 20)
    calibrated, x = eqx.filter_jit(lambda bijection, y: bijection.calibrate(y))(bijection, y)
    np.testing.assert_allclose(x, jnp.stack([inverse(calibrated, row)[0] for row in y]), rtol=1e-3, atol=1e-3)


def integrable():
    """`(name, dim)` of every entry that makes a density of vectors in 1 or 2 dimensions."""
    for name, entry in ENTRIES.items():
        for dim in range(entry.least_dim, min(2, entry.dims) + 1):
            bijection = eqx.filter_eval_shape(build, name, dim)
            if bijection.shape == bijection.out_shape == (dim,):
                yield pytest.param(name, dim, marks=MARKS[name])


@pytest.mark.parametrize(("name", "dim"), list(integrable()))
def test_density_integrates_to_one(name, dim, x64):
    """By the trapezoidal rule over the samples and beyond; a spline's or a ReLU's kinks cost it some accuracy."""
    flow = Pushforward(Normal.standard(dim), build(name, dim, scale=0.5))
    samples = np.asarray(flow.sample(jax.random.key(1), (1000,)))
    low, high = samples.min(axis=0), samples.max(axis=0)
    least, most = (ENTRIES[name].codomain(jnp.full(dim, end)) for end in (-1e4, 1e4))
    ends = np.clip([2 * low - high, 2 * high - low], least, most).T.tolist()
    grid = Grid(tuple(map(tuple, ends)), 2000 if dim == 1 else 300)
    assert abs(grid.log_integral(grid.evaluate(eqx.filter_jit(flow.log_prob)))) < 2e-2
