"""The flows that the benchmarks of density estimation build, one architecture in each library."""

import math
from functools import partial
from typing import Any, Literal, get_args

Family = Literal["maf", "nsf_autoregressive", "real_nvp", "nsf_coupling"]
Library = Literal["pushforward", "zuko", "flowjax"]

FAMILIES: tuple[Family, ...] = get_args(Family)
LIBRARIES: tuple[Library, ...] = get_args(Library)
LAYERS = 5
WIDTH = 64
DEPTH = 2
BINS = 8
BOUND = 5.0
ARCHITECTURE = f"{LAYERS} layers, hidden ({', '.join([str(WIDTH)] * DEPTH)}), {BINS} bins, standard normal base"


def pushforward_flow(family: Family, dim: int, key: Any) -> Any:
    """The recipe of that name; it starts as the identity."""
    import jax

    from pushforward import flows
    from pushforward.distributions import Normal

    splines = {"bins": BINS, "bound": BOUND} if family.startswith("nsf") else {}
    recipe = flows.RECIPES[family]
    base = Normal.standard(dim)
    return recipe(key, dim, LAYERS, base=base, width=WIDTH, depth=DEPTH, activation=jax.nn.relu, **splines)


def spread_out(flow: Any, key: Any) -> Any:
    """The same flow with its networks started as PyTorch and Equinox start theirs, off the identity."""
    import jax

    from pushforward.nets import MLP

    def uniform(key: Any, shape: tuple[int, ...], fan_in: int) -> Any:
        limit = 1 / math.sqrt(fan_in)
        return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

    def restarted(node: Any) -> Any:
        if not isinstance(node, MLP):
            return node
        fans = [weight.shape[-1] for weight in node.weights]
        keys = iter(jax.random.split(key, 2 * len(fans)))
        weights = tuple(uniform(next(keys), weight.shape, fan) for weight, fan in zip(node.weights, fans))
        biases = tuple(uniform(next(keys), bias.shape, fan) for bias, fan in zip(node.biases, fans))
        return MLP(weights, biases, node.activation)

    return jax.tree.map(restarted, flow, is_leaf=lambda node: isinstance(node, MLP))


def zuko_flow(family: Family, dim: int) -> Any:
    """zuko's own classes, its autoregressive flows with random permutations as pushforward's recipes have them."""
    from zuko.flows import MAF, NICE, NSF, RealNVP
    from zuko.transforms import MonotonicRQSTransform

    makers = {
        "maf": partial(MAF, randperm=True),
        "nsf_autoregressive": partial(NSF, randperm=True, bins=BINS),
        "real_nvp": partial(RealNVP, randmask=True),
        "nsf_coupling": partial(
            NICE, randmask=True, univariate=MonotonicRQSTransform, shapes=[(BINS,), (BINS,), (BINS - 1,)]
        ),
    }
    return makers[family](dim, transforms=LAYERS, hidden_features=(WIDTH,) * DEPTH)


def flowjax_flow(family: Family, dim: int, key: Any) -> Any:
    """FlowJAX's own recipes, their base held fixed; affine layers have its own scale, a softplus."""
    import jax
    import jax.numpy as jnp
    import paramax
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow, masked_autoregressive_flow

    recipe = masked_autoregressive_flow if family in ("maf", "nsf_autoregressive") else coupling_flow
    return recipe(
        key,
        base_dist=paramax.non_trainable(Normal(jnp.zeros(dim))),
        transformer=RationalQuadraticSpline(knots=BINS - 1, interval=BOUND) if family.startswith("nsf") else None,
        flow_layers=LAYERS,
        nn_width=WIDTH,
        nn_depth=DEPTH,
        nn_activation=jax.nn.relu,
    )


def flowjax_parts(flow: Any) -> tuple[Any, Any]:
    """Trained parameters and the rest, divided as FlowJAX's `fit_to_data` divides them."""
    import equinox as eqx
    import paramax

    return eqx.partition(flow, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable))
