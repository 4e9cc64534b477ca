"""Likelihoods: what the numbers that a decoder emits say about an observation."""

from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections import Sigmoid
from pushforward.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Distribution,
    Normal,
    Pushforward,
)


class Likelihood(eqx.Module):
    """A family of distributions of an observation `(D,)`, as a function of `size * D` numbers, D by D."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Numbers a dimension."""

    @property
    def largest(self) -> float:
        """The largest number in an observation, by which an encoder divides; 1 where they are of that order."""
        return 1.0

    @abstractmethod
    def __call__(self, parameters: Float[Array, " parameters"]) -> Distribution:
        """The distribution, of event shape `(D,)`."""

    @abstractmethod
    def picture(self, parameters: Float[Array, " parameters"]) -> Float[Array, " D"]:
        """The centre of the distribution, `(D,)`: 0 is black and 1 is white."""


class BernoulliLikelihood(Likelihood):
    """Pixels that are 0 or 1."""

    @property
    def size(self) -> int:
        return 1

    def __call__(self, parameters: Float[Array, " parameters"]) -> Bernoulli:
        return Bernoulli(parameters)

    def picture(self, parameters: Float[Array, " parameters"]) -> Float[Array, " D"]:
        return jax.nn.sigmoid(parameters)


class NormalLikelihood(Likelihood):
    """Real numbers around a mean, with a log scale that is emitted too."""

    @property
    def size(self) -> int:
        return 2

    def __call__(self, parameters: Float[Array, " parameters"]) -> Normal:
        loc, log_scale = jnp.split(parameters, 2)
        return Normal(loc, log_scale)

    def picture(self, parameters: Float[Array, " parameters"]) -> Float[Array, " D"]:
        return jnp.split(parameters, 2)[0]


class LogitNormalLikelihood(Likelihood):
    """Numbers in (0, 1) whose logits are normal (R&M 2015, section 6.3)."""

    @property
    def size(self) -> int:
        return 2

    def __call__(self, parameters: Float[Array, " parameters"]) -> Pushforward:
        loc, log_scale = jnp.split(parameters, 2)
        return Pushforward(Normal(loc, log_scale), Sigmoid(loc.shape))

    def picture(self, parameters: Float[Array, " parameters"]) -> Float[Array, " D"]:
        return jax.nn.sigmoid(jnp.split(parameters, 2)[0])


class CategoricalLikelihood(Likelihood):
    """Levels 0 ... L-1, each with a logit of its own."""

    levels: int = eqx.field(static=True, default=256)

    @property
    def size(self) -> int:
        return self.levels

    @property
    def largest(self) -> float:
        return self.levels - 1.0

    def __call__(self, parameters: Float[Array, " parameters"]) -> Categorical:
        return Categorical(parameters.reshape(self.levels, -1).T)

    def picture(self, parameters: Float[Array, " parameters"]) -> Float[Array, " D"]:
        masses = jax.nn.softmax(parameters.reshape(self.levels, -1), axis=0)
        return jnp.linspace(0, 1, self.levels) @ masses


class LogisticLikelihood(Likelihood):
    """Levels 0 ... L-1 by a discretised logistic law, with a location and a log scale for each dimension."""

    levels: int = eqx.field(static=True, default=256)

    @property
    def size(self) -> int:
        return 2

    @property
    def largest(self) -> float:
        return self.levels - 1.0

    def __call__(self, parameters: Float[Array, " parameters"]) -> DiscretizedLogistic:
        loc, log_scale = jnp.split(parameters, 2)
        return DiscretizedLogistic(jax.nn.sigmoid(loc), log_scale, self.levels)

    def picture(self, parameters: Float[Array, " parameters"]) -> Float[Array, " D"]:
        return jax.nn.sigmoid(jnp.split(parameters, 2)[0])


LIKELIHOODS: dict[str, Callable[[int], Likelihood]] = {
    "bernoulli": lambda levels: BernoulliLikelihood(),
    "normal": lambda levels: NormalLikelihood(),
    "logit-normal": lambda levels: LogitNormalLikelihood(),
    "categorical": CategoricalLikelihood,
    "logistic": LogisticLikelihood,
}
"""Likelihoods by name, each made from the number of grey levels."""
