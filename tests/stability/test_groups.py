"""Which parameters scale, held to the derivatives of the slopes of a layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import (
    Additive,
    Affine,
    AffineVolumePreserving,
    Chain,
    CircularRationalQuadratic,
    Coupling,
    DiagonalAffine,
    Frozen,
    LULinear,
    MaskedAutoregressive,
    Permutation,
    RationalQuadratic,
    Sigmoidal,
    Stack,
)
from pushforward.conditional import condition
from pushforward.distributions import FamilyMixture, MultivariateNormal, Normal, Pushforward, Uniform
from pushforward.flows import glow, maf, nice, radial, real_nvp, real_vp, residual
from pushforward.nets import MADE, MLP, ConvNet, Convolution, Dense, GatedConvolution, OnCircle, Sequential
from pushforward.stability import parameter_groups
from tests.checks import assert_same, randomised

KEY = jax.random.key(0)


def size(mask):
    return sum(int(np.sum(leaf)) for leaf in jax.tree.leaves(mask))


FLOWS = {
    "radial": lambda: radial(KEY, 3, 2),
    "real_vp": lambda: real_vp(KEY, 4, 2, width=3),
    "maf": lambda: maf(KEY, 4, 2, width=3),
    "residual": lambda: residual(KEY, 4, 2, width=3),
    "glow": lambda: glow(KEY, (4, 4, 1), 1, width=3),
    "no layers": lambda: real_nvp(KEY, 4, 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_the_groups_divide_every_parameter(name):
    flow = FLOWS[name]()
    parameters, groups = eqx.filter(flow, eqx.is_inexact_array), parameter_groups(flow)
    for mask in groups.values():
        assert jax.tree.structure(mask) == jax.tree.structure(parameters)
        jax.tree.map(lambda leaf, mask: np.testing.assert_equal(mask.shape, leaf.shape), parameters, mask)
    jax.tree.map(lambda scale, rest: np.testing.assert_array_equal(scale, ~rest), groups["scale"], groups["rest"])


TRANSFORMERS = {
    "additive": (Additive(), []),
    "affine": (Affine.init(), [1]),
    "volume preserving": (AffineVolumePreserving.init(), [1]),
    "spline": (RationalQuadratic(3), range(8)),
    "sigmoidal": (Sigmoidal(2), range(6)),
}


LAYERS = {
    **{name: lambda made: Coupling(made, MLP.init(KEY, 2, 2 * made.size, 5, 1), (4,), 2) for name in TRANSFORMERS},
    "autoregressive": lambda made: MaskedAutoregressive(made, MADE.init(KEY, 3, made.size, 4, 1), 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_output_rows_that_scale_are_those_that_change_a_slope(name):
    transformer, columns = TRANSFORMERS.get(name, TRANSFORMERS["affine"])
    layer = randomised(LAYERS[name](transformer), jax.random.key(1))
    points = jax.random.normal(jax.random.key(2), (20, *layer.shape))

    def slopes(layer):
        return jax.vmap(lambda x: jnp.diag(jax.jacfwd(layer.forward)(x)))(points)

    def biases(layer):
        mlp = layer.network if isinstance(layer.network, MLP) else layer.network.mlp
        return mlp.biases

    scale = parameter_groups(layer)["scale"]
    derivatives = eqx.filter_jit(eqx.filter_jacrev(slopes))(layer)
    hidden, last = biases(scale)
    assert not np.any(hidden)
    np.testing.assert_array_equal(np.flatnonzero(last[: transformer.size]), columns)
    np.testing.assert_array_equal(last, np.any(biases(derivatives)[-1] != 0, axis=(0, 1)))
    assert all(np.all(mask) for mask in jax.tree.leaves(scale.transformer))


def test_the_layers_of_a_stack_have_the_rows_of_one_layer():
    scale = parameter_groups(real_nvp(KEY, 5, 3, width=4))["scale"]
    network = scale.bijection.layers.bijections[0].network
    np.testing.assert_array_equal(network.biases[-1], np.tile([False, True], (3, 3)))
    np.testing.assert_array_equal(network.weights[-1], np.tile([[False] * 4, [True] * 4], (3, 3, 1)))


@pytest.mark.parametrize("recipe", [nice, residual])
def test_flows_without_a_coupling_scale_have_that_of_the_base_only(recipe):
    scale = parameter_groups(recipe(KEY, 4, 2, width=4))["scale"]
    assert size(scale) == 4
    assert np.all(scale.base.log_scale)


def test_stored_log_scales():
    layers = Chain((DiagonalAffine.identity(3), LULinear.init(KEY, 3), Permutation.init(KEY, 3)))
    scale = parameter_groups(Pushforward(MultivariateNormal.standard(3), layers))["scale"]
    assert size(scale) == 9
    assert np.all(scale.bijection.bijections[0].log_scale)
    assert np.all(scale.bijection.bijections[1].log_diagonal)
    np.testing.assert_array_equal(scale.base.raw_tril, np.eye(3, dtype=bool))
    assert size(parameter_groups(FamilyMixture.standard(3))["scale"]) == 4 * 3


@pytest.mark.parametrize(
    "held", [Normal.standard(2), Uniform(jnp.zeros(2), jnp.ones(2)), Frozen(DiagonalAffine.identity(2))]
)
def test_what_no_gradient_reaches_is_in_neither_group(held):
    assert [size(mask) for mask in parameter_groups(held).values()] == [0, 0]


def test_a_stack_of_layers_without_parameters():
    stack = Stack.init(lambda key, _: Permutation.init(key, 2), KEY, 3)
    assert [size(mask) for mask in parameter_groups(stack).values()] == [0, 0]


@pytest.mark.parametrize(
    ("network", "shape", "kept", "count"),
    [
        (ConvNet.init(KEY, 1, 6, 4), (2, 2, 4), 1, 3 * (9 * 4 + 1)),
        (Sequential((Convolution.init(KEY, 1, 4), Convolution.init(KEY, 4, 6))), (2, 2, 4), 1, 3 * (9 * 4 + 1)),
        (Sequential((Dense.init(KEY, 2, 5), Dense.init(KEY, 5, 4))), (4,), 2, 2 * (5 + 1)),
    ],
)
def test_last_layers_of_networks(network, shape, kept, count):
    groups = parameter_groups(Coupling(Affine.init(), network, shape, kept))
    assert size(groups["scale"]) == count + 1


def test_networks_that_see_a_context():
    flow = condition(real_nvp(KEY, 4, 2, width=3), KEY, context_dim=5)
    assert size(parameter_groups(flow)["scale"]) == 2 * (2 * (3 + 1) + 1) + 4


def test_networks_of_angles():
    transformer = CircularRationalQuadratic(2)
    network = OnCircle(MLP.init(KEY, 2, transformer.size, 3, 1))
    scale = parameter_groups(Coupling(transformer, network, (2,), 1))["scale"]
    # The turn comes last, and changes no slope.
    np.testing.assert_array_equal(scale.network.network.biases[-1], [True] * 6 + [False])


@pytest.mark.parametrize(
    ("transformer", "network", "shape"),
    [(Affine.init(), GatedConvolution.init(KEY, 1, 6), (2, 2, 4)), (Additive(), Sequential(()), (2,))],
)
def test_an_unknown_last_layer_is_an_error(transformer, network, shape):
    with pytest.raises(TypeError, match=f"last layer of {type(network).__name__} is not known"):
        parameter_groups(Coupling(transformer, network, shape, 1))


def test_groups_are_those_of_the_kind_of_flow_and_not_of_its_parameters():
    flow = real_nvp(KEY, 4, 2, width=3)
    assert_same(parameter_groups(flow), parameter_groups(randomised(flow, KEY)))
    assert_same(parameter_groups(flow), parameter_groups(jax.tree.map(jnp.zeros_like, flow)))
