"""Contexts in their own units: what a conditional flow of a table, or of a simulator's output, is given."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float64

from pushforward.bijections import Bijection, Chain, DiagonalAffine, Frozen
from pushforward.distributions import Average, Distribution, Pushforward
from pushforward.errors import UserError, nearest
from pushforward.types import Numbers

__all__ = ["Conditional", "Encoder", "Ensemble", "Regression", "Standardised"]


def __dir__() -> list[str]:
    return __all__


SLACK = 1e-3
"""Standard deviations by which a number may lie outside: rounding to single precision."""
LEAST_ROWS = 20


class Encoder(eqx.Module):
    """Contexts as networks take them: numbers standardised, categories one-hot.

    Attributes:
        columns: what the entries of a context are called.
        categories: of each entry, the names of its categories, by whose places it is given; none of a number.
        mean: of each number; 0 of a category. It is not trained.
        scale: standard deviation of each number; 1 of a category. It is not trained.
        low: the least of each number that was trained on.
        high: the largest.
    """

    columns: tuple[str, ...] = eqx.field(static=True)
    categories: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    mean: Float[Array, "*batch columns"]
    scale: Float[Array, "*batch columns"]
    low: Float[Array, "*batch columns"]
    high: Float[Array, "*batch columns"]

    @staticmethod
    def of(
        columns: Sequence[str],
        categories: Sequence[Sequence[str]],
        contexts: Float[np.ndarray, "n columns"] | None = None,
    ) -> "Encoder":
        """The encoder with the means and standard deviations of some contexts.

        Args:
            columns: what the entries are called.
            categories: of each entry, the names of its categories; none of a number.
            contexts: from which they are; 0 and 1 without any, which may be any number.

        Example:
            >>> encoder = Encoder.of(["rooms", "city"], [[], ["Oslo", "Rome"]], contexts)
            >>> encoder(encoder.context({"rooms": 3, "city": "Rome"}))
        """
        numbers = np.array([not each for each in categories], bool)
        mean, scale = np.zeros(len(columns)), np.ones(len(columns))
        low, high = np.full(len(columns), -np.inf), np.full(len(columns), np.inf)
        if contexts is not None:
            values = np.asarray(contexts, np.float64)
            spread = values.std(axis=0)
            mean = np.where(numbers, values.mean(axis=0), 0.0)
            scale = np.where(numbers & (spread > 0), spread, 1.0)
            low, high = values.min(axis=0), values.max(axis=0)
        names = tuple(tuple(each) for each in categories)
        return Encoder(tuple(columns), names, *(jnp.asarray(each, float) for each in (mean, scale, low, high)))

    @property
    def size(self) -> int:
        """How many numbers a network sees."""
        return sum(max(len(names), 1) for names in self.categories)

    def __call__(self, context: Float[Array, " columns"]) -> Float[Array, " size"]:
        """One context, as networks take it; NaN where an entry is no place of a category."""
        standard = (context - lax.stop_gradient(self.mean)) / lax.stop_gradient(self.scale)
        if not any(self.categories):
            return standard
        parts = []
        for value, names, number in zip(context, self.categories, standard):
            if not names:
                parts.append(number[None])
                continue
            hot = (value == jnp.arange(len(names))).astype(standard.dtype)
            parts.append(jnp.where(jnp.any(hot == 1), hot, jnp.nan))
        return jnp.concatenate(parts)

    def all(self, contexts: Float[np.ndarray, "n columns"]) -> Float[np.ndarray, "n size"]:
        """Contexts as networks take them, in double precision.

        Args:
            contexts: one a row.
        """
        standard = (np.asarray(contexts, np.float64) - np.asarray(self.mean)) / np.asarray(self.scale)
        parts = [
            standard[:, [index]] if not names else contexts[:, [index]] == np.arange(len(names))
            for index, names in enumerate(self.categories)
        ]
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def context(self, values: Mapping[str, float | str]) -> Float[np.ndarray, " columns"]:
        """The context of values by the names of the columns; of categories their names.

        Args:
            values: one for every column.

        Raises:
            UserError: a name is unknown, a value missing or of no category, or not a finite number.
        """
        for name in values:
            if name not in self.columns:
                raise UserError(f"there is no context column {name!r}{nearest(name, self.columns)}")
        missing = [name for name in self.columns if name not in values]
        if missing:
            raise UserError(f"the context lacks {', '.join(missing)}")
        found = [self._entry(name, names, values[name]) for name, names in zip(self.columns, self.categories)]
        return np.array(found, np.float64)

    def outside(self, contexts: Float[np.ndarray, "rows columns"]) -> list[str]:
        """What to be warned of: numbers that lie outside those trained on, of each column the farthest.

        Args:
            contexts: one a row.
        """
        found = []
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        far = np.maximum(low - contexts, contexts - high) / np.asarray(self.scale)
        for index, (name, names) in enumerate(zip(self.columns, self.categories)):
            row = int(np.argmax(far[:, index]))
            if not names and far[row, index] > SLACK:
                trained = f"{low[index]:g} to {high[index]:g}"
                found.append(f"{name} {contexts[row, index]:g} lies outside what was trained on, {trained}")
        return found

    @staticmethod
    def _entry(column: str, names: tuple[str, ...], value: float | str) -> float:
        if names:
            name = str(value).strip()
            if name not in names:
                raise UserError(f"{column} has no category {name!r}{nearest(name, names)}")
            return float(names.index(name))
        try:
            number = float(value)
        except ValueError as error:
            raise UserError(f"{column} must be a number, got {value!r}") from error
        if not np.isfinite(number):
            raise UserError(f"{column} must be a finite number, got {value!r}")
        return number


@dataclass(frozen=True, eq=False)
class Regression:
    """Least squares of rows on encoded contexts.

    Attributes:
        encoder: of the contexts.
        slope: `(D, size)`; 0 where there are fewer than 20 rows for each number of a context.
    """

    encoder: Encoder
    slope: Float64[np.ndarray, "D size"]

    @staticmethod
    def of(encoder: Encoder, contexts: Float[np.ndarray, "n columns"], rows: Float[np.ndarray, "n D"]) -> "Regression":
        """The regression of some rows.

        Args:
            encoder: of contexts.
            contexts: one a row.
            rows: what is regressed.
        """
        features = encoder.all(contexts)
        if len(rows) < LEAST_ROWS * encoder.size:
            return Regression(encoder, np.zeros((rows.shape[1], encoder.size)))
        slope, *_ = np.linalg.lstsq(features - features.mean(axis=0), rows - rows.mean(axis=0))
        return Regression(encoder, np.asarray(slope.T, np.float64))

    def left(
        self, contexts: Float[np.ndarray, "n columns"], rows: Float[np.ndarray, "n D"]
    ) -> Float64[np.ndarray, "n D"]:
        """Rows less what their contexts say.

        Args:
            contexts: one a row.
            rows: in the units of those regressed.
        """
        return np.asarray(rows - self.encoder.all(contexts) @ self.slope.T, np.float64)


class Conditional(eqx.Module):
    """From a context, in its own units, to a distribution of vectors.

    Attributes:
        encoder: of contexts.
    """

    encoder: eqx.AbstractVar[Encoder]

    @abstractmethod
    def __call__(self, context: Numbers) -> Distribution:
        """The distribution given one context, `(columns,)`; batches of contexts are `jax.vmap`'s work."""

    def log_prob(self, contexts: Float[Array, "n columns"], x: Float[Array, "n D"]) -> Float[Array, " n"]:
        """Log density of each row given its context, in nats.

        Args:
            contexts: in their own units.
            x: rows.
        """
        return jax.vmap(lambda context, row: self(context).log_prob(row))(contexts, x)


class Standardised(Conditional):
    """A conditional flow in the units of its data: from a context, in its own units, to a distribution.

    It starts at the linear regression of the rows on the contexts: what the flow itself learns are the residuals, in
    standard units.

    Attributes:
        encoder: of contexts.
        flow: from an encoded context to a flow in standard units, as `amortize` and `condition` make them.
        slope: of the regression, `(D, size)`. It is not trained.
        units: from standard units to those of the residuals. They are not trained.
        outer: what follows the regression, where there is something: the exponentials of logarithms.
    """

    encoder: Encoder
    flow: Callable[[Array], Pushforward]
    slope: Float[Array, "*batch D size"]
    units: Bijection
    outer: Bijection | None = None

    def __call__(self, context: Numbers) -> Pushforward:
        """The distribution given one context, `(columns,)`; batches of contexts are `jax.vmap`'s work."""
        encoded = self.encoder(jnp.asarray(context, self.encoder.mean.dtype))
        flow = self.flow(encoded)
        regression = lax.stop_gradient(self.slope) @ encoded
        shift = DiagonalAffine(regression, jnp.zeros_like(regression))
        layers = (flow.bijection, Frozen(self.units), shift)
        return Pushforward(flow.base, Chain(layers if self.outer is None else (*layers, self.outer)))


class Ensemble(Conditional):
    """The average of conditional flows that were trained on the same data from different starts.

    Where data are few each of them is sure of something else; their average is not (Lakshminarayanan, Pritzel &
    Blundell, 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles").

    Attributes:
        encoder: of contexts.
        members: conditional flows in one, each of whose arrays has a leading axis of members.
    """

    encoder: Encoder
    members: Standardised

    def __call__(self, context: Numbers) -> Average:
        return Average(eqx.filter_vmap(lambda each: each(context))(self.members))
