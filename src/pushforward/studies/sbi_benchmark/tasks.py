"""The tasks: priors and simulators of our own, in JAX, of the laws that Lueckmann et al., 2021, section T, define."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pushforward.distributions import MultivariateNormal, Uniform
from pushforward.inference.simulation import Simulator, prior
from pushforward.studies.sbi_benchmark import files
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

Simulate = Callable[[PRNGKeyArray, Float[Array, " D"]], Float[Array, " size"]]


@dataclass(frozen=True)
class Task:
    """A task of the benchmark.

    Attributes:
        folder: of its files.
        law: makes the prior of `theta`.
        simulate: data of one `theta`.
        which: file of the observations.
    """

    folder: str
    law: Callable[[], Any]
    simulate: Simulate
    which: str = "observation"

    @property
    def prior(self) -> Target:
        """Of `theta`."""
        return prior({"theta": self.law()}, name=self.folder)

    @property
    def simulator(self) -> Simulator:
        """Of the data."""
        return Simulator(lambda key, theta: self.simulate(key, theta), self.folder)

    def observation(self, number: int) -> Float[np.ndarray, " size"]:
        """One of ten, from 1."""
        return files.observation(self.folder, number, self.which)

    def reference(self, number: int) -> Float[np.ndarray, "n D"]:
        """10,000 draws from the posterior of an observation."""
        return files.reference(self.folder, number)


def _uniform(bound: float, dim: int) -> Callable[[], Uniform]:
    return lambda: Uniform(jnp.full(dim, -bound), jnp.full(dim, bound))


def _normal(precision: Callable[[], Float[np.ndarray, "D D"]]) -> Callable[[], MultivariateNormal]:
    def law() -> MultivariateNormal:
        covariance = np.linalg.inv(precision())
        return MultivariateNormal.from_covariance(jnp.zeros(len(covariance)), jnp.asarray(covariance, float))

    return law


def _log_normal(locs: tuple[float, ...], scales: tuple[float, ...]) -> Callable[[], Any]:
    def law() -> Any:
        import numpyro.distributions as dist

        return dist.LogNormal(jnp.array(locs), jnp.array(scales)).to_event(1)

    return law


def two_moons(key: PRNGKeyArray, theta: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """A crescent, moved by |a + b| and b - a."""
    key_angle, key_radius = jax.random.split(key)
    angle = jax.random.uniform(key_angle, minval=-jnp.pi / 2, maxval=jnp.pi / 2)
    radius = 0.1 + 0.01 * jax.random.normal(key_radius)
    crescent = jnp.array([radius * jnp.cos(angle) + 0.25, radius * jnp.sin(angle)])
    a, b = theta
    return crescent + jnp.array([-jnp.abs(a + b), b - a]) / jnp.sqrt(2)


def gaussian_linear(key: PRNGKeyArray, theta: Float[Array, " 10"]) -> Float[Array, " 10"]:
    """N(theta, 0.1 I)."""
    return theta + jnp.sqrt(0.1) * jax.random.normal(key, theta.shape)


def gaussian_mixture(key: PRNGKeyArray, theta: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """N(theta, I) or N(theta, 0.01 I), by a coin."""
    key_coin, key_noise = jax.random.split(key)
    scale = jnp.where(jax.random.bernoulli(key_coin), 1.0, 0.1)
    return theta + scale * jax.random.normal(key_noise, theta.shape)


def slcp(key: PRNGKeyArray, theta: Float[Array, " 5"]) -> Float[Array, " 8"]:
    """Four draws of a Normal law in the plane: simple likelihood, complex posterior."""
    s1, s2, rho = theta[2] ** 2, theta[3] ** 2, jnp.tanh(theta[4])
    covariance = jnp.array([[s1**2, rho * s1 * s2], [rho * s1 * s2, s2**2]]) + 1e-6 * jnp.eye(2)
    return (theta[None, :2] + jax.random.normal(key, (4, 2)) @ jnp.linalg.cholesky(covariance).T).ravel()


@cache
def _distractors() -> dict[str, np.ndarray]:
    """The mixture of Student-t laws that distractors are drawn from, and the order of all numbers."""
    mixture = files.saved("slcp/files/gmm.torch").state
    component = mixture["_component_distribution"].state["base_dist"].state
    return {
        "weights": mixture["_mixture_distribution"].state["probs"],
        "loc": component["loc"],
        "scale": component["_unbroadcasted_scale_tril"],
        "df": component["df"],
        "order": files.saved("slcp/files/permutation_idx.torch"),
    }


def slcp_distractors(key: PRNGKeyArray, theta: Float[Array, " 5"]) -> Float[Array, " 100"]:
    """The same among 92 numbers that say nothing."""
    key_data, key_component, key_noise, key_chi2 = jax.random.split(key, 4)
    law = _distractors()
    which = jax.random.choice(key_component, len(law["weights"]), p=jnp.asarray(law["weights"], float))
    df = jnp.asarray(law["df"], float)[which]
    scale = jnp.asarray(law["scale"], float)[which]
    noise = scale @ jax.random.normal(key_noise, (scale.shape[-1],))
    noise = noise * jnp.sqrt(df / (2 * jax.random.gamma(key_chi2, df / 2)))
    loc = jnp.asarray(law["loc"], float)[which]
    return jnp.concatenate([slcp(key_data, theta), loc + noise])[law["order"]]


def _glm_precision() -> Float[np.ndarray, "10 10"]:
    size = 9
    differences = np.eye(size) - np.eye(size, k=-1)
    smooth = differences @ differences + np.diag(np.sqrt(np.arange(size) / size))
    precision = np.zeros((size + 1, size + 1))
    precision[0, 0] = 0.5
    precision[1:, 1:] = smooth.T @ smooth
    return precision


def bernoulli_glm_raw(key: PRNGKeyArray, theta: Float[Array, " 10"]) -> Float[Array, " 100"]:
    """Spikes of a neuron in 100 bins."""
    design = jnp.asarray(files.saved("bernoulli_glm/files/design_matrix.pt"), float)
    return jax.random.bernoulli(key, jax.nn.sigmoid(design @ theta)).astype(float)


def bernoulli_glm(key: PRNGKeyArray, theta: Float[Array, " 10"]) -> Float[Array, " 10"]:
    """How many spikes there are, and the stimulus before them, summed: sufficient statistics."""
    spikes = bernoulli_glm_raw(key, theta)
    stimulus = jnp.asarray(files.saved("bernoulli_glm/files/stimulus_I.pt"), float)
    before = jnp.correlate(jnp.pad(spikes, 8), stimulus, mode="valid")
    return jnp.concatenate([spikes.sum()[None], before[-9:]])


def _integrated(
    slope: Callable[[Float[Array, " k"]], Float[Array, " k"]],
    start: Float[Array, " k"],
    step: float,
    substeps: int,
    count: int,
) -> Float[Array, "count k"]:
    """The state at `count` times after the start, `step` apart, by the classical Runge-Kutta method."""
    h = step / substeps

    def substep(_: Int[Array, ""], u: Array) -> Array:
        k1 = slope(u)
        k2 = slope(u + h / 2 * k1)
        k3 = slope(u + h / 2 * k2)
        return u + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(u + h * k3))

    def advance(u: Array, _: None) -> tuple[Array, Array]:
        u = jax.lax.fori_loop(0, substeps, substep, u)
        return u, u

    return jax.lax.scan(advance, start, None, length=count)[1]


def sir(key: PRNGKeyArray, theta: Float[Array, " 2"]) -> Float[Array, " 10"]:
    """Infected of 1,000 people seen, at ten times 17 days apart, in an epidemic of a million."""
    beta, gamma = theta

    def slope(u: Float[Array, " 2"]) -> Float[Array, " 2"]:
        susceptible, infected = u
        new = beta * susceptible * infected
        return jnp.array([-new, new - gamma * infected])

    start = jnp.array([1 - 1e-6, 1e-6])
    later = _integrated(slope, start, 17.0, 170, 9)
    infected = jnp.append(start[1], later[:, 1])
    return jax.random.binomial(key, 1000.0, jnp.clip(infected, 0.0, 1.0))


def lotka_volterra(key: PRNGKeyArray, theta: Float[Array, " 4"]) -> Float[Array, " 20"]:
    """Prey and predators at ten times 2.1 apart, seen with noise of 10%."""
    alpha, beta, gamma, delta = theta

    def slope(u: Float[Array, " 2"]) -> Float[Array, " 2"]:
        x, y = u
        return jnp.array([alpha * x - beta * x * y, delta * x * y - gamma * y])

    start = jnp.array([30.0, 1.0])
    states = jnp.concatenate([start[None], _integrated(slope, start, 2.1, 210, 9)])
    return (jnp.clip(states.T, 1e-10, 1e4) * jnp.exp(0.1 * jax.random.normal(key, (2, 10)))).ravel()


LOTKA = (-0.125, -3.0, -0.125, -3.0)

TASKS: dict[str, Task] = {
    "two-moons": Task("two_moons", _uniform(1.0, 2), two_moons),
    "gaussian-linear": Task("gaussian_linear", _normal(lambda: np.eye(10) / 0.1), gaussian_linear),
    "gaussian-linear-uniform": Task("gaussian_linear_uniform", _uniform(1.0, 10), gaussian_linear),
    "gaussian-mixture": Task("gaussian_mixture", _uniform(10.0, 2), gaussian_mixture),
    "slcp": Task("slcp", _uniform(3.0, 5), slcp),
    "slcp-distractors": Task("slcp", _uniform(3.0, 5), slcp_distractors, "observation_distractors"),
    "bernoulli-glm": Task("bernoulli_glm", _normal(_glm_precision), bernoulli_glm),
    "bernoulli-glm-raw": Task("bernoulli_glm", _normal(_glm_precision), bernoulli_glm_raw, "observation_raw"),
    "sir": Task("sir", _log_normal((float(np.log(0.4)), float(np.log(0.125))), (0.5, 0.2)), sir),
    "lotka-volterra": Task("lotka_volterra", _log_normal(LOTKA, (0.5,) * 4), lotka_volterra),
}
"""The ten tasks."""
