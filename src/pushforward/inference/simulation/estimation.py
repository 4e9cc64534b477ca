"""Neural posterior estimation: a conditional flow of parameters given data, trained on simulated pairs.

Papamakarios & Murray, 2016, "Fast epsilon-free inference of simulation models with Bayesian conditional density
estimation"; Greenberg, Nonnenmacher & Macke, 2019, "Automatic posterior transformation for likelihood-free inference".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward import flows
from pushforward.bijections import Chain, DiagonalAffine, TriangularAffine
from pushforward.conditional import condition
from pushforward.contexts import Encoder, Ensemble, Regression, Standardised
from pushforward.distributions import Average, Normal, Pushforward
from pushforward.errors import UserError
from pushforward.evaluation import Calibration, LocalC2ST, calibration, local_c2st
from pushforward.inference.ladder import best, judged
from pushforward.inference.posterior import Posterior, draw
from pushforward.inference.simulation.embeddings import Embedded, Embedding, network
from pushforward.inference.simulation.simulators import Simulations, data_names
from pushforward.inference.summary import Summary, columns, summarise
from pushforward.objectives import ForwardKL, HeldOut
from pushforward.targets import Target
from pushforward.training import Record, adam, ensemble, fit, member
from pushforward.types import PRNGKeyArray

LEAST_SIMULATIONS = 50
EPOCHS, FEWEST_STEPS, MOST_STEPS = 200, 2_000, 30_000
WAITED, LEAST_PATIENCE = 20, 500
MANY, WIDTH_OF_EMBEDDINGS = 30_000, 64
CALIBRATED_BY, LOCALLY_JUDGED_BY = 200, 2_000

Draws = dict[str, Float[np.ndarray, "n ..."]]
LogLikelihood = Callable[..., Float[Array, ""]]


@dataclass(frozen=True)
class Settings:
    """The flow of an estimator, and how it is trained.

    Attributes:
        layers: autoregressive splines, and as the last of them an affine one.
        width: hidden units of each network; unless given 32, of 30,000 pairs and more and of an embedding 64.
        bins: of each spline.
        embedding: what the data are before the flow sees them: a vector, a set of members in any order, a time series.
        embedded: numbers that an embedding makes.
        members: flows that are trained from different starts, and averaged.
        learning_rate: of Adam, at the start of a cosine; large, since what small ones find depends more on the pairs.
        batch_size: pairs a step.
        steps: updates at most; two hundred passes over the pairs, 2,000 to 30,000, unless given. Training stops after
            twenty passes, at least 500 steps, without a better validation.
        validation: share of the pairs that choose the step.
        test: share of the pairs that judge the calibration, and are not trained on.
        devices: that share the training; see `training.fit`.
    """

    layers: int = 5
    width: int | None = None
    bins: int = 8
    embedding: Embedding = "none"
    embedded: int = 32
    members: int = 4
    learning_rate: float = 8e-3
    batch_size: int = 256
    steps: int | None = None
    validation: float = 0.1
    test: float = 0.05
    devices: int | None = None

    def steps_of(self, pairs: int) -> int:
        """The updates for so many training pairs."""
        if self.steps is not None:
            return self.steps
        return int(np.clip(EPOCHS * pairs / self.batch_size, FEWEST_STEPS, MOST_STEPS))

    def width_of(self, pairs: int) -> int:
        """The hidden units for so many training pairs."""
        if self.width is not None:
            return self.width
        return 32 if pairs < MANY else 64

    def patience_of(self, pairs: int) -> int:
        """The steps without a better validation after which training stops."""
        return max(LEAST_PATIENCE, int(WAITED * pairs / self.batch_size))


@dataclass(frozen=True)
class Trained:
    """Conditional flows of z given x, and how well they do.

    Attributes:
        model: from flattened x to a density of z.
        train: pairs that it was trained on.
        test: pairs that played no part.
        log_likelihoods: mean log-density of z of training, validation and test pairs, in nats.
        best_steps: of the training of each flow, which validation has chosen.
        best: the flow of the best validation.
        steps: of the training.
    """

    model: Ensemble
    train: Simulations
    test: Simulations
    log_likelihoods: tuple[float, float, float]
    best_steps: tuple[int, ...]
    best: int
    steps: int


@dataclass(frozen=True)
class Estimator:
    """The posterior of any observation, as far as simulations tell.

    Attributes:
        prior: of the parameters.
        trained: the flow of the prior's coordinates given data.
        shape: of the data.
    """

    prior: Target
    trained: Trained
    shape: tuple[int, ...]

    @property
    def model(self) -> Ensemble:
        """From flattened data to a density in the prior's coordinates."""
        return self.trained.model

    def at(self, x: Float[np.ndarray, "..."]) -> Average:
        """The posterior given data, as a density in the prior's coordinates.

        Args:
            x: an observation, of the shape of the simulated ones.

        Raises:
            UserError: it has another shape, or is not finite.
        """
        return self.model(jnp.asarray(self._flat(x), float))

    def coordinates(
        self, key: PRNGKeyArray, n: int, x: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "n D"], Float[np.ndarray, " n"]]:
        """Draws from the posterior given data in the prior's coordinates, and their log-densities.

        Args:
            key: for the draws.
            n: how many.
            x: an observation.
        """
        z, log_q = self._drawn(self.model, jnp.asarray(self._flat(x), float), key, n)
        return np.asarray(z), np.asarray(log_q, np.float64)

    def sample(self, key: PRNGKeyArray, n: int, x: Float[np.ndarray, "..."]) -> Draws:
        """Draws of the parameters by name, `(n, *shape)` each, given data.

        Args:
            key: for the draws.
            n: how many.
            x: an observation.

        Raises:
            UserError: it has another shape than the simulated ones, or is not finite.
        """
        return self.constrained(np.asarray(self._sampled(self.model, jnp.asarray(self._flat(x), float), key, n)))

    def weighted(
        self, key: PRNGKeyArray, x: Float[np.ndarray, "..."], log_likelihood: LogLikelihood, *, draws: int = 20_000
    ) -> Posterior:
        """The posterior given data whose likelihood is known: draws of the best of the flows with importance weights.

        They are judged as those of every fit, by k-hat and ESS, give log Z, and are refined by chains.

        Args:
            key: for the draws.
            x: an observation.
            log_likelihood: of the data and the parameters by name, written with `jax.numpy`, in nats.
            draws: how many.

        Raises:
            UserError: the posterior has no density at any draw, or `x` is not like the simulated data.

        Example:
            >>> posterior = estimator.weighted(key, x, lambda x, theta: normal.log_prob(x - theta).sum())
            >>> posterior.verdict, posterior.refine(key).summary()
        """
        flat, prior = self._flat(x), self.prior
        data = jnp.asarray(flat.reshape(self.shape))
        members = [member(self.model.members, index)(flat) for index in range(len(self.trained.best_steps))]

        def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
            values = prior.constrain(z)
            named = {each.name: values[each.name] for each in prior.parameters}
            return prior.log_density(z) + log_likelihood(data, **named)

        target = Target(f"{prior.name} and likelihood", prior.dim, log_density, model=prior.model)
        key_judge, key_draws = jax.random.split(key)
        rungs = [
            judged(f"flow {index + 1} of simulations", target, flow, jax.random.fold_in(key_judge, index), 0.0)
            for index, flow in enumerate(members)
        ]
        return Posterior(target, rungs, *draw(target, best(rungs).flow, key_draws, draws))

    def summary(self, draws: Draws) -> Summary:
        """Mean, standard deviation and quantiles of every number, with the errors of so many draws.

        Args:
            draws: as `sample` gives them.
        """
        n = len(next(iter(draws.values())))
        return summarise(draws, np.full(n, 1 / n))

    def constrained(self, coordinates: Float[np.ndarray, "*batch D"]) -> Draws:
        """Parameters by name of coordinates."""
        values = self._constrain(jnp.asarray(coordinates))
        return {each.name: np.asarray(values[each.name]) for each in self.prior.parameters}

    def doubts(self, x: Float[np.ndarray, "..."]) -> list[str]:
        """What is to be said of an observation that is not like those simulated.

        Its numbers lie outside of all that were simulated, or it is farther from their middle than nearly all of them,
        in the standard deviations that their covariance gives.

        Args:
            x: an observation.
        """
        found = self.model.encoder.outside(self._flat(x)[None])
        far = np.mean(self._distances >= self._distance(self._flat(x)[None])[0])
        if not found and far < 1 / max(len(self._distances), 1000):
            found.append("the observation is farther from the middle of the simulated data than any of them")
        return found

    def calibration(self, key: PRNGKeyArray, draws: int = CALIBRATED_BY) -> Calibration:
        """Ranks of the parameters of the test pairs among draws of their posteriors, in the parameters' own units.

        Args:
            key: for the draws.
            draws: of each posterior.

        Raises:
            ValueError: there are fewer than 20 test pairs.
        """
        sampled, log_q, log_q_of_truths = self._of_test_pairs(key, draws)
        numbers = columns(self.constrained(sampled), axes=2)
        truths = columns(self.constrained(self.trained.test.z))
        return calibration(
            np.stack(list(numbers.values()), axis=-1),
            np.stack([truths[name] for name in numbers], axis=-1),
            names=list(numbers),
            log_q=log_q,
            log_q_of_truths=log_q_of_truths,
        )

    def local_c2st(self, key: PRNGKeyArray, x: Float[np.ndarray, "..."], draws: int = CALIBRATED_BY) -> LocalC2ST:
        """Whether the posterior given data is right, as far as test pairs tell.

        Args:
            key: for the draws.
            x: an observation.
            draws: of each posterior.

        Raises:
            UserError: the observation has another shape, or is not finite.
            ValueError: there are fewer than 100 test pairs.
        """
        key_pairs, key_here = jax.random.split(key)
        sampled, _, _ = self._of_test_pairs(key_pairs, draws)
        here, _ = self.coordinates(key_here, LOCALLY_JUDGED_BY, x)
        return local_c2st(sampled, self.trained.test.z, here)

    def _of_test_pairs(
        self, key: PRNGKeyArray, draws: int
    ) -> tuple[Float[np.ndarray, "n draws D"], Float[np.ndarray, "n draws"], Float[np.ndarray, " n"]]:
        """Draws of the posterior of each test pair, their log-densities, and that of the pair's parameters."""
        pairs = self.trained.test
        arrays = jnp.asarray(pairs.x.reshape(len(pairs), -1), float), jnp.asarray(pairs.z, float)
        found = self._drawn_for_pairs(self.model, *arrays, jax.random.split(key, len(pairs)), draws)
        sampled, log_q, log_q_of_truths = (np.asarray(each, np.float64) for each in found)
        return sampled, log_q, log_q_of_truths

    def _flat(self, x: Float[np.ndarray, "..."]) -> Float[np.ndarray, " size"]:
        x = np.asarray(x, np.float64)
        if x.shape != self.shape:
            raise UserError(f"the observation has the shape {x.shape}, simulated ones {self.shape}")
        if not np.isfinite(x).all():
            raise UserError("the observation holds numbers that are not finite")
        return x.ravel()

    @cached_property
    def _whitening(self) -> Float[np.ndarray, "size rank"]:
        """From standardised data to numbers whose covariance over the simulations is the identity."""
        standard = self.model.encoder.all(self.trained.train.x.reshape(len(self.trained.train), -1))
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(standard.T)))
        kept = values > 1e-6 * values[-1]
        return vectors[:, kept] / np.sqrt(values[kept])

    def _distance(self, x: Float[np.ndarray, "n size"]) -> Float[np.ndarray, " n"]:
        return np.asarray(((self.model.encoder.all(x) @ self._whitening) ** 2).sum(axis=1))

    @cached_property
    def _distances(self) -> Float[np.ndarray, " n"]:
        return self._distance(self.trained.train.x.reshape(len(self.trained.train), -1))

    @cached_property
    def _constrain(self) -> Callable[[Array], Any]:
        return jax.jit(self.prior.constrain)

    @cached_property
    def _sampled(self) -> Callable[..., Array]:
        return eqx.filter_jit(lambda model, x, key, n: model(x).sample(key, (n,)))

    @cached_property
    def _drawn_for_pairs(self) -> Callable[..., tuple[Array, Array, Array]]:
        @eqx.filter_jit
        def drawn(model: Ensemble, x: Array, z: Array, keys: Array, draws: int) -> tuple[Array, Array, Array]:
            def case(pair: tuple[Array, Array, PRNGKeyArray]) -> tuple[Array, Array, Array]:
                flow = model(pair[0])
                return *flow.sample_and_log_prob(pair[2], (draws,)), flow.log_prob(pair[1])

            return jax.lax.map(case, (x, z, keys))

        return drawn

    @cached_property
    def _drawn(self) -> Callable[..., tuple[Array, Array]]:
        return eqx.filter_jit(lambda model, x, key, n: model(x).sample_and_log_prob(key, (n,)))


OnRecord = Callable[[Record, int], None]


def estimate(
    prior: Target,
    simulations: Simulations,
    key: PRNGKeyArray,
    settings: Settings | None = None,
    *,
    on_record: OnRecord | None = None,
) -> Estimator:
    """The posterior of any observation, by maximum likelihood over simulated pairs.

    The flow lives in the prior's unbounded coordinates, so that every draw lies where the prior has mass.

    Args:
        prior: of the parameters.
        simulations: pairs of parameters and data.
        key: for the division of the pairs, the flow and its training.
        settings: of the flow; the defaults unless given.
        on_record: called with each record of the training, and the steps in all.

    Raises:
        UserError: there are fewer than 50 simulations, data do not vary, or an embedding does not suit their shape.
        Diverged: the training met a number that is not finite.

    Example:
        >>> given = prior({"theta": distributions.Uniform(-jnp.ones(2), jnp.ones(2))})
        >>> pairs = simulate(given, Simulator(two_moons), key, 10_000)
        >>> posterior = estimate(given, pairs, key)
        >>> posterior.sample(key, 1_000, x_observed)["theta"], posterior.calibration(key).verdict
    """
    return Estimator(prior, trained(simulations, key, settings or Settings(), on_record), simulations.x.shape[1:])


def trained(
    simulations: Simulations, key: PRNGKeyArray, settings: Settings, on_record: OnRecord | None = None
) -> Trained:
    """Conditional flows of the coordinates of pairs given their data.

    Args:
        simulations: pairs; of a likelihood with their two parts exchanged.
        key: for the division of the pairs, the flow and its training.
        settings: of the flow.
        on_record: called with each record of the training, and the steps in all.

    Raises:
        UserError: there are fewer than 50 pairs, x does not vary, or an embedding does not suit its shape.
        Diverged: the training met a number that is not finite.
    """
    if len(simulations) < LEAST_SIMULATIONS:
        raise UserError(f"{len(simulations)} simulations; at least {LEAST_SIMULATIONS} are needed")
    key_split, key_make, key_fit = jax.random.split(key, 3)
    train, validation, test = _divided(simulations, key_split, settings)
    make = _start(train, settings)
    steps = settings.steps_of(len(train))
    fitted = fit(
        ensemble(make, key_make, settings.members),
        ForwardKL(jnp.asarray(train.z, float), min(settings.batch_size, len(train)), contexts=_flat(train)),
        key=key_fit,
        steps=steps,
        optimizer=adam(settings.learning_rate, steps, gradient_clip=5.0),
        record_every=max(10, min(steps // 100, len(train) // settings.batch_size)),
        validate=HeldOut(jnp.asarray(validation.z, float), contexts=_flat(validation)),
        patience=settings.patience_of(len(train)),
        average_decay=0.99,
        devices=settings.devices,
        on_record=None if on_record is None else lambda record: on_record(record, steps),
    )
    model = Ensemble(member(fitted.model.encoder, 0), fitted.model)
    judge = eqx.filter_jit(lambda held_out, model: held_out(model))

    def mean_of(part: Simulations) -> float:
        if not len(part):
            return float("nan")
        return float(-judge(HeldOut(jnp.asarray(part.z, float), contexts=_flat(part)), model))

    assert fitted.best_steps is not None
    assert fitted.best_losses is not None
    means = mean_of(train), mean_of(validation), mean_of(test)
    steps_of_each, first = tuple(map(int, fitted.best_steps)), int(np.argmin(fitted.best_losses))
    return Trained(model, train, test, means, steps_of_each, first, fitted.steps)


def _divided(
    simulations: Simulations, key: PRNGKeyArray, settings: Settings
) -> tuple[Simulations, Simulations, Simulations]:
    n = len(simulations)
    order = np.asarray(jax.random.permutation(key, n))
    held, judged = max(1, round(n * settings.validation)), round(n * settings.test)
    if n - held - judged < LEAST_SIMULATIONS // 2:
        raise UserError(f"of {n} simulations {max(n - held - judged, 0)} would be left to train on; set fewer aside")
    places = order[held + judged :], order[:held], order[held : held + judged]
    train, validation, test = (Simulations(simulations.z[part], simulations.x[part]) for part in places)
    return train, validation, test


def _flat(pairs: Simulations) -> Float[Array, "n size"]:
    return jnp.asarray(pairs.x.reshape(len(pairs), -1), float)


def _start(train: Simulations, settings: Settings) -> Callable[[PRNGKeyArray], Standardised]:
    """From a key to a flow that starts at the linear regression of coordinates on data."""
    dim, shape = train.z.shape[1], train.x.shape[1:]
    x = train.x.reshape(len(train), -1)
    if not (x.std(axis=0) > 0).any():
        raise UserError("the simulated data do not vary: they say nothing of the parameters")
    names = data_names(shape)
    encoder = Encoder.of(names, [()] * len(names), x)
    regression = Regression.of(encoder, x, train.z)
    slope, units = jnp.asarray(regression.slope, float), _units(regression.left(x, train.z))
    seen = encoder.size if settings.embedding == "none" else settings.embedded

    def make(key: PRNGKeyArray) -> Standardised:
        key_splines, key_affine, key_context, key_network = jax.random.split(key, 4)
        base, width = Normal.standard(dim), settings.width_of(len(train))
        # Splines are the identity beyond their bound: the affine layer says where the posterior is, and how wide, by up
        # to 7 times from the first step.
        splines = flows.nsf_autoregressive(
            key_splines, dim, settings.layers - 1, base=base, width=width, bins=settings.bins, fast="density"
        )
        affine = flows.maf(key_affine, dim, 1, base=base, width=width, scale=2.0)
        made = Pushforward(base, Chain((splines.bijection, affine.bijection)))
        flow: Callable[[Array], Pushforward] = condition(made, key_context, seen)
        if settings.embedding != "none":
            flow = Embedded(
                network(settings.embedding, shape, key_network, seen, settings.width or WIDTH_OF_EMBEDDINGS),
                flow,
                shape,
            )
        return Standardised(encoder, flow, slope, units)

    return make


def _units(rows: Float[np.ndarray, "n D"]) -> Chain:
    """From standard units to those of rows: their means, and their covariance."""
    factor = np.linalg.cholesky(np.atleast_2d(np.cov(rows.T)))
    scale = np.sqrt((factor**2).sum(axis=1))
    correlations = factor / scale[:, None]
    triangular = TriangularAffine(
        jnp.zeros(len(scale)),
        jnp.asarray(np.tril(correlations, -1), float),
        jnp.asarray(np.log(np.diagonal(correlations)), float),
    )
    return Chain((triangular, DiagonalAffine(jnp.asarray(rows.mean(axis=0), float), jnp.asarray(np.log(scale), float))))
