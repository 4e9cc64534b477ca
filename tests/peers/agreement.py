"""Flows of pushforward and of its peers with the same parameters, and the log-densities of both.

Where a peer constrains its parameters in another way, either the last layer of its network is rescaled, or a
transformer takes the peer's raw numbers and constrains them as the peer does, so that what is compared is everything
else: networks, masks, order, splines, log-determinants and the base.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pushforward.bijections import (
    Affine,
    Chain,
    Coupling,
    DiagonalAffine,
    Inverse,
    MaskedAutoregressive,
    Permutation,
    Planar,
    RationalQuadratic,
    Spline,
    Stack,
    Transformer,
)
from pushforward.bijections.planar import ConstrainedPlanar
from pushforward.bijections.spline import LEAST_SIZE, LEAST_SLOPE, SLOPE_SHIFT
from pushforward.distributions import Normal, Pushforward
from pushforward.nets import MADE, MLP

DIM = 6
LAYERS = 3
WIDTHS = (32, 32)
BINS = 8
BOUND = 5.0
ROWS = 512
PLANAR_LAYERS = 8
TOLERANCE = 1e-5
# Larger ones make slopes of 1/50 and less, through which an inverse in float32 loses more than the tolerance.
PLANAR_SCALE = 0.7
SPLINE_SCALE = 0.5
LAST_LAYER = 3.0  # how much larger its weights are than PyTorch draws them: far from the identity
ZUKO_SLOPE = 1e-3

Values = np.ndarray


@dataclass(frozen=True)
class Agreement:
    """The same log-densities from both, in float32."""

    ours: Values
    theirs: Values

    @property
    def difference(self) -> float:
        """The largest difference, relative to the size of the log-density where that is above 1."""
        ours, theirs = self.ours.astype(np.float64), self.theirs.astype(np.float64)
        return float(np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))))


@dataclass(frozen=True)
class Case:
    """What is compared, with what, and how the parameters are matched."""

    name: str
    peer: str
    matched: str
    run: Callable[[], Agreement]


class PlainAffine(Transformer):
    """`t + exp(s) x` with `s` as the network emits it."""

    @property
    def size(self) -> int:
        return 2

    def __call__(self, parameters: jax.Array) -> DiagonalAffine:
        return DiagonalAffine(parameters[:, 0], parameters[:, 1])


class ZukoSpline(RationalQuadratic):
    """From zuko's raw numbers to the spline that zuko makes of them: sizes without a least one, exponential slopes."""

    def __call__(self, parameters: jax.Array) -> Spline:
        widths, heights, slopes = jnp.split(parameters, [self.bins, 2 * self.bins], axis=-1)
        limit = -math.log(ZUKO_SLOPE)
        slopes = jnp.exp(slopes / (1 + jnp.abs(slopes / limit)))
        raw_slopes = jnp.log(jnp.expm1(slopes - LEAST_SLOPE)) - SLOPE_SHIFT
        return Spline(_raw_sizes(widths, limit), _raw_sizes(heights, limit), raw_slopes, self.bound)


def _raw_sizes(raw: jax.Array, limit: float) -> jax.Array:
    sizes = jax.nn.softmax(raw / (1 + jnp.abs(2 * raw / limit)), axis=-1)
    return jnp.log((sizes - LEAST_SIZE) / (1 - LEAST_SIZE * raw.shape[-1]))


def rows(seed: int = 0, dim: int = DIM) -> Values:
    """Points, of which a few lie beyond the bound of the splines."""
    return np.random.default_rng(seed).normal(scale=2.0, size=(ROWS, dim)).astype(np.float32)


def planar_normflows(inverse: bool) -> Agreement:
    import normflows
    import torch

    torch.manual_seed(0)
    draws = [
        (PLANAR_SCALE * torch.randn(1, DIM), PLANAR_SCALE * torch.randn(1, DIM), torch.randn(1))
        for _ in range(PLANAR_LAYERS)
    ]
    base = normflows.distributions.DiagGaussian(DIM, trainable=False)
    x = torch.tensor(rows())
    with torch.no_grad():
        theirs = base.log_prob(x)
        for u, w, b in draws:
            x, log_det = normflows.flows.Planar((DIM,), u=u, w=w, b=b)(x)
            theirs = theirs - log_det
    layers = [Planar(jnp.asarray(w[0]), jnp.asarray(u[0]), jnp.asarray(b[0])) for u, w, b in _arrays(draws)]
    return _planar(layers, np.asarray(x), np.asarray(theirs), inverse)


def planar_flowjax() -> Agreement:
    """Its `u_hat` is taken over: `m(x)` is `log(1 + softplus(x)) - 1` there, `log(1 + exp(x)) - 1` in the paper."""
    from flowjax.bijections import Planar as Peer
    from flowjax.distributions import Normal as PeerNormal

    base = PeerNormal(jnp.zeros(DIM))
    layers = []
    x = jnp.asarray(rows())
    with jax.numpy_rank_promotion("allow"):
        theirs = base.log_prob(x)
        for key in jax.random.split(jax.random.key(0), PLANAR_LAYERS):
            peer = eqx.tree_at(
                lambda peer: peer.params, Peer(key, dim=DIM), PLANAR_SCALE * jax.random.normal(key, (2 * DIM + 1,))
            )
            x, log_det = jax.vmap(peer.transform_and_log_det)(x)
            theirs = theirs - log_det
            constrained = peer.get_planar()
            w, u_hat = constrained.weight, constrained.get_act_scale()
            layers.append(ConstrainedPlanar(w, u_hat, constrained.bias, 1 + w @ u_hat))
    return _planar(layers, np.asarray(x), np.asarray(theirs), True)


def _planar(layers: Sequence[Any], x: Values, theirs: Values, inverse: bool) -> Agreement:
    flow = _flow(layers)
    if inverse:
        return Agreement(_log_prob(flow, x), theirs)
    z = jnp.asarray(rows())
    log_dets = jax.vmap(flow.bijection.forward_and_log_det)(z)[1]
    return Agreement(np.asarray(flow.base.log_prob(z) - log_dets), theirs)


def spline_nflows(inverse: bool) -> Agreement:
    from nflows.transforms.splines import unconstrained_rational_quadratic_spline as peer

    return _durkan_spline(peer, inverse)


def spline_normflows(inverse: bool) -> Agreement:
    from normflows.utils.splines import unconstrained_rational_quadratic_spline as peer

    return _durkan_spline(peer, inverse)


def _durkan_spline(peer: Callable[..., Any], inverse: bool) -> Agreement:
    """Durkan's own code, which both peers carry: raw slopes are `SLOPE_SHIFT` larger than ours."""
    import torch

    x, raw = rows(), _raw_splines()
    widths, heights, slopes = np.split(raw, [BINS, 2 * BINS], axis=-1)
    z, log_slopes = peer(
        *map(torch.tensor, (x, widths, heights, slopes + np.float32(SLOPE_SHIFT))), inverse=inverse, tail_bound=BOUND
    )
    return _spline(RationalQuadratic(BINS, BOUND), x, raw, z.numpy(), log_slopes.numpy(), inverse)


def spline_zuko(inverse: bool) -> Agreement:
    import torch
    from zuko.transforms import MonotonicRQSTransform

    x, raw = rows(), _raw_splines()
    parts = map(torch.tensor, np.split(raw, [BINS, 2 * BINS], axis=-1))
    peer = MonotonicRQSTransform(*parts, bound=BOUND, slope=ZUKO_SLOPE)
    z, log_slopes = (peer.inv if inverse else peer).call_and_ladj(torch.tensor(x))
    return _spline(ZukoSpline(BINS, BOUND), x, raw, z.numpy(), log_slopes.numpy(), inverse)


def _raw_splines() -> Values:
    return np.random.default_rng(1).normal(scale=SPLINE_SCALE, size=(ROWS, DIM, 3 * BINS - 1)).astype(np.float32)


def _spline(
    transformer: RationalQuadratic, x: Values, raw: Values, z: Values, log_slopes: Values, inverse: bool
) -> Agreement:
    """The density of what a spline sends to a normal distribution, from `z` and log slopes of both."""

    @jax.jit
    @jax.vmap
    def ours(x: jax.Array, raw: jax.Array) -> jax.Array:
        spline = transformer(raw)
        z, log_det = spline.inverse_and_log_det(x) if inverse else spline.forward_and_log_det(x)
        return Normal.standard(DIM).log_prob(z) + log_det

    theirs = np.asarray(Normal.standard(DIM).log_prob(jnp.asarray(z))) + log_slopes.sum(axis=-1)
    return Agreement(np.asarray(ours(x, raw)), theirs)


def real_nvp_zuko() -> Agreement:
    """zuko's log scale is `a / (1 + |a / log(slope)|)`: ours with that bound, once `a` is divided by it."""
    import torch
    from zuko.flows import RealNVP

    torch.manual_seed(0)
    peer = RealNVP(DIM, transforms=LAYERS, hidden_features=WIDTHS)
    limit = -math.log(ZUKO_SLOPE)
    layers = []
    for coupling in peer.transform.transforms:
        network = _last_layer(_mlp(_linears(coupling.hyper)), jnp.asarray([1, 1 / limit]))
        layers.append(_masked(Inverse(_coupling(Affine.init(limit), network)), coupling.mask.numpy()))
    return _compare(_flow(layers[::-1]), peer())


def real_nvp_normflows() -> Agreement:
    import normflows
    import torch

    torch.manual_seed(0)
    layers, peers = [], []
    for _ in range(LAYERS):
        net = _torch_mlp(DIM // 2, DIM)
        peers += [normflows.flows.AffineCouplingBlock(net), normflows.flows.Permute(DIM, mode="swap")]
        swap = Permutation(jnp.roll(jnp.arange(DIM), DIM // 2))
        # Its scales have no bound: made larger they overflow.
        layers.append(Chain((_coupling(PlainAffine(), _mlp(_linears(net, larger=1.0))), swap)))
    base = normflows.distributions.DiagGaussian(DIM, trainable=False)
    return _compare(_flow(layers), normflows.NormalizingFlow(base, peers))


def nsf_coupling_nflows() -> Agreement:
    import torch
    from nflows.transforms import PiecewiseRationalQuadraticCouplingTransform

    class Network(torch.nn.Module):
        hidden_features = 1  # nflows divides what is softmaxed by its square root

        def __init__(self, in_size: int, out_size: int) -> None:
            super().__init__()
            self.layers = _torch_mlp(in_size, out_size)

        def forward(self, x: torch.Tensor, context: None) -> torch.Tensor:
            return self.layers(x)

    torch.manual_seed(0)
    layers, peers = [], []
    for index in range(LAYERS):
        moves = np.arange(DIM) % 2 == index % 2
        peer = PiecewiseRationalQuadraticCouplingTransform(
            moves.astype(int), Network, num_bins=BINS, tails="linear", tail_bound=BOUND
        )
        peers.append(peer)
        network = _shifted_slopes(_mlp(_linears(peer.transform_net.layers)))
        layers.append(_masked(Inverse(_coupling(RationalQuadratic(BINS, BOUND), network)), ~moves))
    return _compare(_flow(layers[::-1]), _nflows_flow(peers))


def maf_zuko() -> Agreement:
    """As `real_nvp_zuko`. The weights are copied before zuko masks them, so that our masks do the work."""
    import torch
    from zuko.flows import MAF

    torch.manual_seed(0)
    peer = MAF(DIM, transforms=LAYERS, hidden_features=WIDTHS)
    limit = -math.log(ZUKO_SLOPE)
    networks = [_last_layer(each, jnp.asarray([1, 1 / limit])) for each in _zuko_networks(peer)]
    return _compare(_autoregressive(Affine.init(limit), networks), peer())


def nsf_zuko() -> Agreement:
    import torch
    from zuko.flows import NSF

    torch.manual_seed(0)
    peer = NSF(DIM, transforms=LAYERS, hidden_features=WIDTHS, bins=BINS)
    return _compare(_autoregressive(ZukoSpline(BINS, BOUND), _zuko_networks(peer)), peer())


def _zuko_networks(peer: Any) -> list[MLP]:
    """Every other layer of zuko goes through the dimensions backwards; ours reverse them in between."""
    networks = []
    for index, layer in enumerate(peer.transform.transforms):
        network = _mlp(_linears(layer.hyper))
        if index % 2:
            first, *middle, last = network.weights
            last = last.reshape(DIM, -1, last.shape[-1])[::-1].reshape(last.shape)
            *biases, final = network.biases
            final = final.reshape(DIM, -1)[::-1].ravel()
            network = MLP((first[:, ::-1], *middle, last), (*biases, final), network.activation)
        networks.append(network)
    return networks


def nsf_nflows() -> Agreement:
    import torch
    from nflows.transforms import MaskedPiecewiseRationalQuadraticAutoregressiveTransform, ReversePermutation

    torch.manual_seed(0)
    width, blocks = WIDTHS[0], len(WIDTHS) - 1
    layers = [
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
            DIM, width, None, BINS, "linear", BOUND, blocks, use_residual_blocks=False
        )
        for _ in range(LAYERS)
    ]
    networks = [_shifted_slopes(_mlp(_linears(layer.autoregressive_net))) for layer in layers]
    peers = [each for layer in layers for each in (layer, ReversePermutation(DIM))]
    return _compare(_autoregressive(RationalQuadratic(BINS, BOUND), networks), _nflows_flow(peers))


def maf_flowjax() -> Agreement:
    """FlowJAX's own scale is a softplus; it takes others, so that it is given ours."""
    import paramax
    from flowjax.bijections import Affine as Peer

    scale = paramax.Parameterize(lambda a: jnp.exp(2 * a / (1 + jnp.abs(a))), jnp.zeros(()))
    peer = eqx.tree_at(lambda affine: affine.scale, Peer(), scale)
    return _flowjax(peer, Affine.init(2.0), jnp.ones(2, bool))


def nsf_flowjax() -> Agreement:
    """FlowJAX trains the slopes at both ends too: the weights that would move them from 1 are set to 0."""
    from flowjax.bijections import RationalQuadraticSpline as Peer

    peer = Peer(knots=BINS - 1, interval=BOUND, min_derivative=LEAST_SLOPE, min_width=2 * BOUND * LEAST_SIZE)
    inner = jnp.ones(3 * BINS + 1, bool).at[jnp.asarray([2 * BINS, 3 * BINS])].set(False)
    return _flowjax(peer, RationalQuadratic(BINS, BOUND), inner)


def _flowjax(transformer: Any, ours: Transformer, kept: jax.Array) -> Agreement:
    """`kept` tells which parameters of a dimension are ours too; the peer's network emits 0 for the others."""
    from flowjax.bijections import Chain as PeerChain
    from flowjax.bijections import Flip, Invert
    from flowjax.bijections import MaskedAutoregressive as Peer
    from flowjax.distributions import Normal as PeerNormal
    from flowjax.distributions import Transformed

    def layer(key: jax.Array) -> tuple[Any, MLP]:
        made = Peer(
            key, transformer=transformer, dim=DIM, nn_width=WIDTHS[0], nn_depth=len(WIDTHS), nn_activation=jax.nn.relu
        )
        linears = made.masked_autoregressive_mlp.layers
        network = MLP(
            tuple(linear.weight.args[1] for linear in linears), tuple(linear.bias for linear in linears), jax.nn.relu
        )
        network = _last_layer(network, LAST_LAYER * kept)
        made = eqx.tree_at(
            lambda made: (
                made.masked_autoregressive_mlp.layers[-1].weight.args[1],
                made.masked_autoregressive_mlp.layers[-1].bias,
            ),
            made,
            (network.weights[-1], network.biases[-1]),
        )
        rows_kept = jnp.tile(kept, DIM)
        weights = (*network.weights[:-1], network.weights[-1][rows_kept])
        return made, MLP(weights, (*network.biases[:-1], network.biases[-1][rows_kept]), jax.nn.relu)

    with jax.numpy_rank_promotion("allow"):
        layers = [layer(key) for key in jax.random.split(jax.random.key(0), LAYERS)]
        chain = PeerChain([each for made, _ in layers for each in (made, Flip((DIM,)))])
        peer = Transformed(PeerNormal(jnp.zeros(DIM)), Invert(chain))
        theirs = np.asarray(eqx.filter_jit(peer.log_prob)(jnp.asarray(rows())))
    return Agreement(_log_prob(_autoregressive(ours, [network for _, network in layers]), rows()), theirs)


def _torch_mlp(in_size: int, out_size: int) -> Any:
    import torch

    sizes = [in_size, *WIDTHS, out_size]
    linears = [torch.nn.Linear(n, m) for n, m in pairwise(sizes)]
    return torch.nn.Sequential(*[each for linear in linears for each in (linear, torch.nn.ReLU())][:-1])


def _linears(network: Any, larger: float = LAST_LAYER) -> list[Any]:
    """The linear layers of a network of PyTorch, the last one made larger in place."""
    import torch

    linears = [module for module in network.modules() if hasattr(module, "weight")]
    with torch.no_grad():
        linears[-1].weight.mul_(larger)
        linears[-1].bias.mul_(larger)
    return linears


def _mlp(linears: Sequence[Any]) -> MLP:
    pairs = [(linear.weight, linear.bias) for linear in linears]
    weights, biases = zip(*[(jnp.asarray(w), jnp.asarray(b)) for w, b in _arrays(pairs)])
    return MLP(weights, biases, jax.nn.relu)


def _arrays(tensors: Sequence[Sequence[Any]]) -> list[list[Values]]:
    """Copies, so that nothing shares memory with PyTorch."""
    return [[tensor.detach().numpy().copy() for tensor in row] for row in tensors]


def _last_layer(network: MLP, factors: jax.Array, shifts: jax.Array | None = None) -> MLP:
    """The network with the parameters of each dimension multiplied by `factors`, and `shifts` added to them."""
    *weights, weight = network.weights
    *biases, bias = network.biases
    dims = len(bias) // len(factors)
    bias = bias * jnp.tile(factors, dims)
    if shifts is not None:
        bias = bias + jnp.tile(shifts, dims)
    return MLP((*weights, weight * jnp.tile(factors, dims)[:, None]), (*biases, bias), network.activation)


def _shifted_slopes(network: MLP) -> MLP:
    """From the raw slopes of Durkan's code to ours."""
    sizes, slopes = jnp.zeros(2 * BINS), jnp.full(BINS - 1, -SLOPE_SHIFT)
    return _last_layer(network, jnp.ones(3 * BINS - 1), jnp.concatenate([sizes, slopes]))


def _coupling(transformer: Transformer, network: MLP) -> Coupling:
    return Coupling(transformer, network, (DIM,), DIM // 2)


def _masked(coupling: Any, stays: Values) -> Chain:
    """A coupling layer whose mask is `stays`."""
    order = jnp.concatenate([jnp.flatnonzero(stays), jnp.flatnonzero(~stays)])
    return Chain((Permutation(order), coupling, Permutation(jnp.argsort(order))))


def _autoregressive(transformer: Transformer, networks: Sequence[MLP]) -> Pushforward:
    """From the data to the base: the first network's layer, the reverse order, the second's, ...

    A layer of ours reverses before its network acts: before the first one that is taken back.
    """
    reverse = Permutation.reverse(DIM)
    layers = [
        Chain((Inverse(MaskedAutoregressive(transformer, MADE(network, DIM), DIM)), reverse)) for network in networks
    ]
    flow = _flow(layers[::-1])
    return Pushforward(flow.base, Chain((flow.bijection, reverse)))


def _flow(layers: Sequence[Any]) -> Pushforward:
    """The layers in their order from the base to the data."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers)
    return Pushforward(Normal.standard(DIM), Stack(stacked, len(layers)))


def _nflows_flow(transforms: Sequence[Any]) -> Any:
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import CompositeTransform

    return Flow(CompositeTransform(transforms), StandardNormal([DIM]))


def _compare(flow: Pushforward, peer: Any) -> Agreement:
    import torch

    with torch.no_grad():
        theirs = peer.log_prob(torch.tensor(rows())).numpy()
    return Agreement(_log_prob(flow, rows()), theirs)


def _log_prob(flow: Pushforward, x: Values) -> Values:
    return np.asarray(eqx.filter_jit(lambda flow, x: flow.log_prob(x))(flow, jnp.asarray(x)))


RAW, LINEAR = "as they are", "last layer rescaled"
CONSTRAINED = "the peer's constraint in a transformer of its own"
CASES = (
    Case("planar, base to data", "normflows", RAW, lambda: planar_normflows(inverse=False)),
    Case("planar, by the root-find", "normflows", RAW, lambda: planar_normflows(inverse=True)),
    Case("planar, by the root-find", "flowjax", "after the constraint", planar_flowjax),
    Case("spline", "nflows", "raw slopes shifted", lambda: spline_nflows(inverse=False)),
    Case("spline, inverse", "nflows", "raw slopes shifted", lambda: spline_nflows(inverse=True)),
    Case("spline", "normflows", "raw slopes shifted", lambda: spline_normflows(inverse=False)),
    Case("spline, inverse", "normflows", "raw slopes shifted", lambda: spline_normflows(inverse=True)),
    Case("spline", "zuko", CONSTRAINED, lambda: spline_zuko(inverse=False)),
    Case("spline, inverse", "zuko", CONSTRAINED, lambda: spline_zuko(inverse=True)),
    Case("Real NVP", "zuko", LINEAR, real_nvp_zuko),
    Case("Real NVP", "normflows", CONSTRAINED, real_nvp_normflows),
    Case("NSF coupling", "nflows", "raw slopes shifted", nsf_coupling_nflows),
    Case("MAF", "zuko", LINEAR, maf_zuko),
    Case("MAF", "flowjax", "the peer takes our constraint", maf_flowjax),
    Case("NSF autoregressive", "zuko", CONSTRAINED, nsf_zuko),
    Case("NSF autoregressive", "nflows", "raw slopes shifted", nsf_nflows),
    Case("NSF autoregressive", "flowjax", "end slopes of the peer held at 1", nsf_flowjax),
)
