"""The flows that the benchmarks of density estimation build, one architecture in each library."""

import math
from functools import partial
from typing import Any, Literal, get_args

Family = Literal["maf", "nsf_autoregressive", "real_nvp", "nsf_coupling"]
Smooth = Literal["residual", "continuous"]
Library = Literal["pushforward", "zuko", "flowjax"]

FAMILIES: tuple[Family, ...] = get_args(Family)
LIBRARIES: tuple[Library, ...] = get_args(Library)

LAYERS = 5
WIDTH = 64
DEPTH = 2
BINS = 8
BOUND = 5.0
LIPSCHITZ = 0.9
TERMS = 4
CONTINUATION = 0.9
TOLERANCE = 1e-5
ARCHITECTURE = f"{LAYERS} layers, hidden ({', '.join([str(WIDTH)] * DEPTH)}), {BINS} bins, standard normal base"


def pushforward_flow(family: Family | Smooth, dim: int, key: Any) -> Any:
    """The recipe of that name; it starts as the identity, but for the residual one."""
    import jax

    from pushforward import flows
    from pushforward.distributions import Normal

    recipe = partial(flows.RECIPES[family], key, dim, base=Normal.standard(dim), width=WIDTH, depth=DEPTH)
    if family == "continuous":
        return recipe(tolerance=TOLERANCE)
    if family == "residual":
        return recipe(LAYERS, coefficient=LIPSCHITZ, exact=False)
    splines = {"bins": BINS, "bound": BOUND} if family.startswith("nsf") else {}
    return recipe(LAYERS, activation=jax.nn.relu, **splines)


def normflows_residual_flow(dim: int) -> Any:
    """The series as in pushforward: as many exact terms, and as long on average."""
    import normflows as nf

    def layer() -> Any:
        channels = [dim, *[WIDTH] * DEPTH, dim]
        net = nf.nets.LipschitzMLP(channels, lipschitz_const=LIPSCHITZ, init_zeros=False)
        return nf.flows.Residual(net, n_exact_terms=TERMS, geom_p=1 - CONTINUATION)

    return nf.NormalizingFlow(nf.distributions.DiagGaussian(dim, trainable=False), [layer() for _ in range(LAYERS)])


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


def zuko_flow(family: Family | Literal["continuous"], dim: int) -> Any:
    """zuko's own classes, its autoregressive flows with random permutations as pushforward's recipes have them.

    Its continuous flow embeds the time in three frequencies, and takes the same steps for all rows.
    """
    from zuko.flows import CNF, MAF, NICE, NSF, RealNVP
    from zuko.transforms import MonotonicRQSTransform

    makers = {
        "maf": partial(MAF, randperm=True),
        "nsf_autoregressive": partial(NSF, randperm=True, bins=BINS),
        "real_nvp": partial(RealNVP, randmask=True),
        "nsf_coupling": partial(
            NICE, randmask=True, univariate=MonotonicRQSTransform, shapes=[(BINS,), (BINS,), (BINS - 1,)]
        ),
    }
    if family == "continuous":
        return CNF(dim, hidden_features=(WIDTH,) * DEPTH, atol=TOLERANCE, rtol=TOLERANCE)
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
