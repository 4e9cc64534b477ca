"""Every bijection that the conformance suite holds to the contract. A new family adds a line to `ENTRIES`."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from pushforward.bijections import (
    ActNorm,
    Additive,
    Affine,
    AffineVolumePreserving,
    Bijection,
    Chain,
    CircularRationalQuadratic,
    CircularSpline,
    Concatenate,
    Continuous,
    Coupling,
    DeepSigmoidal,
    DiagonalAffine,
    Exp,
    Frozen,
    Householder,
    Inverse,
    LeakyReLU,
    LULinear,
    MaskedAutoregressive,
    MixedRationalQuadratic,
    MixedSpline,
    Moebius,
    OntoBox,
    OntoCircle,
    Ordered,
    PartialExp,
    Permutation,
    Planar,
    Pointwise,
    Radial,
    RationalQuadratic,
    Reshape,
    Residual,
    Rotation,
    Scaling,
    Sigmoid,
    Sigmoidal,
    Softplus,
    Spline,
    Squeeze,
    Stack,
    Sylvester,
    Tanh,
    Transformer,
    Translation,
    TriangularAffine,
    VolumePreservingAffine,
)
from pushforward.boxes import Box
from pushforward.flows import glow
from pushforward.nets import MADE, MLP, OnCircle
from tests.checks import randomised

Make = Callable[[PRNGKeyArray, int], Bijection]


@dataclass(frozen=True)
class Entry:
    """How to make a bijection.

    Attributes:
        make: `(key, dim) -> Bijection`; `build` draws its floating leaves anew.
        least_dim: the fewest dimensions it acts on without being trivial.
        dims: the most it is tried in.
        largest: the factor on all parameters up to which its values fit into float32.
        domain: takes any real number to one that the map is for.
        codomain: the same for its inverse.
        error: of its log-determinants and round trips, relative to their size, beyond rounding.
        trained: False where no gradient may reach the parameters.
        drawn: False keeps the floating leaves that `make` gives.
    """

    make: Make
    least_dim: int = 1
    dims: int = 4
    largest: float = 1e4
    domain: Callable[[Array], Array] = lambda x: x
    codomain: Callable[[Array], Array] = lambda y: y
    error: float = 0.0
    trained: bool = True
    drawn: bool = True

    def build(self, key: PRNGKeyArray, dim: int, scale: float = 1.0) -> Bijection:
        """The bijection, whose floating leaves are drawn from `N(0, scale^2)`."""
        key_make, key_draw = jax.random.split(key)
        made = self.make(key_make, dim)
        return randomised(made, key_draw, scale) if self.drawn else made


def stack(make: Make, length: int = 3) -> Make:
    return lambda key, dim: Stack.init(lambda k, _: make(k, dim), key, length)


def chain(*makers: Make) -> Make:
    return lambda key, dim: Chain(tuple(make(k, dim) for make, k in zip(makers, jax.random.split(key, len(makers)))))


def inverse(make: Make) -> Make:
    return lambda key, dim: Inverse(make(key, dim))


def plain(make: Callable[[int], Bijection]) -> Make:
    return lambda _, dim: make(dim)


def coupling(transformer: Transformer) -> Make:
    def make(key, dim):
        kept = dim // 2
        return Coupling(transformer, MLP.init(key, kept, (dim - kept) * transformer.size, 5, 2), (dim,), kept)

    return make


def circular_coupling(key, dim):
    transformer, kept = CircularRationalQuadratic(4), dim // 2
    network = MLP.init(key, 2 * kept, (dim - kept) * transformer.size, 5, 1)
    return Coupling(transformer, OnCircle(network), (dim,), kept)


def angles_and_reals(dim):
    """In turn an angle and a real number."""
    return tuple(index % 2 == 0 for index in range(dim))


def mixed_coupling(key, dim):
    periodic, kept = jnp.array(angles_and_reals(dim)), dim // 2
    transformer = MixedRationalQuadratic(periodic[kept:], 4, 3.0)
    network = MLP.init(key, 2 * kept, (dim - kept) * transformer.size, 5, 1)
    return Coupling(transformer, OnCircle(network, periodic[:kept]), (dim,), kept)


def mixed_autoregressive(key, dim):
    periodic = jnp.array(angles_and_reals(dim))
    transformer = MixedRationalQuadratic(periodic, 4, 3.0)
    network = MADE.init(key, dim, transformer.size, 6, 2, jnp.tanh, numbers=2)
    return MaskedAutoregressive(transformer, OnCircle(network, periodic), dim)


def autoregressive(transformer: Transformer) -> Make:
    return lambda key, dim: MaskedAutoregressive(
        transformer, MADE.init(key, dim, transformer.size, 6, 2, jnp.tanh), dim
    )


def sylvester(orthogonal: Make, rank: int | None = None) -> Make:
    def make(key, dim):
        key_orthogonal, key_layer = jax.random.split(key)
        return Sylvester.init(key_layer, orthogonal(key_orthogonal, dim), rank and min(rank, dim))

    return make


def image(key, dim):
    """Two levels with factored-out latents, of an image of 4 x 4 pixels."""
    return glow(key, (4, 4, 1), 1, width=3, levels=2, scale=0.5).bijection


def residual(key, dim):
    return Residual.init(key, dim, width=8, depth=2)


def unit(y):
    return jnp.clip(jax.nn.sigmoid(y), 1e-6, 1 - 1e-6)


def signed_unit(y):
    return 0.999999 * jnp.tanh(y)


def positive(y):
    return jax.nn.softplus(y)


def angle(x):
    return 3.14 * jnp.tanh(x)


def some_angles(x):
    return jnp.where(jnp.array(angles_and_reals(jnp.shape(x)[-1])), angle(x), x)


def moderate(x):
    return 80 * jnp.tanh(x / 80)


def box_ends(dim):
    """In turn: two ends, a lower one, an upper one, none."""
    kind = jnp.arange(dim) % 4
    return jnp.where(kind < 2, -1.0, -jnp.inf), jnp.where(kind % 2 == 0, 2.0, jnp.inf), kind


def onto_box(dim):
    low, high, _ = box_ends(dim)
    return OntoBox(Box(low, high))


def in_the_box(y):
    low, high, kind = (jnp.broadcast_to(each, jnp.shape(y)) for each in box_ends(jnp.shape(y)[-1]))
    between, above, below = 0.5 + 1.499 * jnp.tanh(y), low + 0.01 + positive(y), high - 0.01 - positive(-y)
    return jnp.select([kind == 0, kind == 1, kind == 2], [between, above, below], y)


affine = plain(DiagonalAffine.identity)

ENTRIES = {
    "planar": Entry(Planar.init),
    "radial": Entry(Radial.init),
    "sylvester, triangular": Entry(sylvester(Permutation.init), largest=10),
    "sylvester, rank 2 of Householder": Entry(sylvester(Householder.init, rank=2), largest=10),
    "scaling": Entry(plain(Scaling.identity), largest=10),
    "translation": Entry(plain(lambda dim: Translation(jnp.zeros(dim)))),
    "affine": Entry(affine, largest=10),
    "triangular affine": Entry(plain(TriangularAffine.identity), largest=10),
    "volume-preserving affine": Entry(
        plain(lambda dim: VolumePreservingAffine(jnp.zeros(dim), jnp.zeros(dim))), least_dim=2, largest=10
    ),
    "activation normalisation": Entry(plain(ActNorm.identity), largest=10),
    "frozen affine": Entry(plain(lambda dim: Frozen(DiagonalAffine.identity(dim))), largest=10, trained=False),
    "sigmoid": Entry(plain(lambda dim: Sigmoid((dim,))), domain=lambda x: 12 * jnp.tanh(x / 12), codomain=unit),
    "tanh": Entry(plain(lambda dim: Tanh((dim,))), domain=lambda x: 6 * jnp.tanh(x / 6), codomain=signed_unit),
    "softplus": Entry(plain(lambda dim: Softplus((dim,))), domain=moderate, codomain=positive),
    "partial exp": Entry(
        plain(lambda dim: PartialExp(tuple(index % 2 == 0 for index in range(dim)))),
        domain=moderate,
        codomain=lambda y: jnp.where(jnp.arange(jnp.shape(y)[-1]) % 2 == 0, positive(y), y),
    ),
    "exp": Entry(plain(lambda dim: Exp((dim,))), domain=moderate, codomain=positive),
    "onto a box": Entry(
        plain(onto_box), domain=lambda x: 6 * jnp.tanh(x / 6), codomain=in_the_box, trained=False, drawn=False
    ),
    "ordered": Entry(
        plain(lambda dim: Ordered((2, dim))),
        least_dim=2,
        domain=moderate,
        codomain=lambda y: jnp.cumsum(positive(y), -1),
    ),
    "leaky relu": Entry(plain(lambda dim: LeakyReLU((dim,)))),
    "spline": Entry(plain(lambda dim: Spline.identity(dim, bins=4, bound=3.0))),
    "circular spline": Entry(plain(lambda dim: CircularSpline.identity(dim, bins=4)), domain=angle, codomain=angle),
    "mixed spline": Entry(
        plain(lambda dim: MixedSpline.identity(jnp.array(angles_and_reals(dim)), bins=4, bound=3.0)),
        largest=10,
        domain=some_angles,
        codomain=some_angles,
    ),
    "onto the circle": Entry(
        plain(lambda dim: OntoCircle(angles_and_reals(dim))), domain=lambda x: 4 * jnp.tanh(x / 4), codomain=some_angles
    ),
    "Moebius": Entry(
        plain(lambda dim: Moebius.identity(angles_and_reals(dim))), largest=2, domain=some_angles, codomain=some_angles
    ),
    "deep sigmoidal": Entry(
        plain(lambda dim: DeepSigmoidal(*(jnp.zeros((dim, 4)) for _ in range(3)))), largest=10, error=1e-5
    ),
    "additive coupling": Entry(coupling(Additive()), least_dim=2),
    "affine coupling": Entry(coupling(Affine.init(1.5)), least_dim=2, largest=10),
    "volume-preserving affine coupling": Entry(coupling(AffineVolumePreserving.init()), least_dim=3, largest=10),
    "spline coupling": Entry(coupling(RationalQuadratic(4, 3.0)), least_dim=2),
    "circular spline coupling": Entry(circular_coupling, least_dim=2, domain=angle, codomain=angle),
    "mixed spline coupling": Entry(mixed_coupling, least_dim=2, domain=some_angles, codomain=some_angles),
    "autoregressive, mixed spline": Entry(mixed_autoregressive, domain=some_angles, codomain=some_angles),
    "autoregressive, additive": Entry(autoregressive(Additive()), least_dim=2, largest=1e2),
    "autoregressive, affine": Entry(autoregressive(Affine.init()), largest=10),
    "autoregressive, spline": Entry(autoregressive(RationalQuadratic(4, 3.0))),
    "autoregressive, deep sigmoidal": Entry(autoregressive(Sigmoidal(3)), largest=10, error=1e-5),
    "residual": Entry(residual, error=1e-5),
    "continuous": Entry(lambda key, dim: Continuous.init(key, dim, 4, 1, 1e-5), dims=2, largest=2, error=1e-3),
    "permutation": Entry(Permutation.init),
    "rotation": Entry(Rotation.init, least_dim=2),
    "Householder": Entry(Householder.init),
    "LU": Entry(LULinear.init, largest=10),
    "reshape": Entry(lambda key, dim: Chain((affine(key, 2 * dim), Reshape((2 * dim,), (2, dim)))), largest=10),
    "squeeze": Entry(plain(lambda dim: Squeeze((2, 4, dim)))),
    "pointwise": Entry(lambda key, dim: Pointwise(LULinear.init(key, dim), (2,)), largest=10),
    "concatenate": Entry(lambda key, dim: Concatenate((Planar.init(key, dim), affine(key, 1))), largest=10),
    "glow": Entry(image, dims=1, largest=2),
    "chain, varying": Entry(chain(Planar.init, affine, Permutation.init, Radial.init), largest=10),
    "chain, constant": Entry(chain(Rotation.init, affine, Permutation.init), least_dim=2, largest=10),
    "chain, preserving": Entry(
        chain(coupling(Additive()), Rotation.init, coupling(Additive())), least_dim=2, largest=1e2
    ),
    "stack of planars": Entry(stack(Planar.init)),
    "stack of inverses": Entry(stack(inverse(Planar.init)), largest=1.0),
    "stack of nothing": Entry(stack(Planar.init, length=0)),
    "nice, rotated": Entry(stack(chain(coupling(Additive()), Rotation.init)), least_dim=2, largest=1e2),
    "real nvp": Entry(stack(chain(coupling(Affine.init(1.0)), Permutation.init)), least_dim=2, largest=1.0),
    "maf": Entry(stack(chain(inverse(autoregressive(Affine.init(1.0))), Permutation.init), 2), largest=1.0),
    "stack of residuals": Entry(stack(inverse(residual), 2), error=1e-4),
}
