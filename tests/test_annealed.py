"""Objectives on annealed draws: they find modes that reverse KL loses, and their buffer is part of training."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import flows, targets
from pushforward.bijections import Chain, DiagonalAffine, Frozen
from pushforward.distributions import Mixture, Normal, Pushforward
from pushforward.evaluation import importance_estimate, judge, log_weights
from pushforward.objectives import Annealed, free_energy
from pushforward.objectives.annealed import LEAST_ESS, _chosen, _exponent
from pushforward.training import Checkpoints, adam, ensemble, fit, member
from tests.checks import assert_same


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"):
        yield


def make_wide(key):
    flow = flows.nsf_coupling(key, 2, 2, width=16)
    return Pushforward(flow.base, Chain((flow.bijection, Frozen(DiagonalAffine(jnp.zeros(2), jnp.full(2, 1.0))))))


@pytest.mark.long
@pytest.mark.parametrize("divergence", ["alpha", "forward-kl"])
def test_all_modes_are_found(divergence):
    """Nine Gaussians 6.7 standard deviations apart; a flow that misses one has a log Z of log(8 / 9)."""
    target = targets.make("gaussian-grid")
    loss = Annealed(target.log_density, divergence, 128, length=16)
    trained = fit(
        ensemble(make_wide, jax.random.key(0), 1), loss, key=jax.random.key(1), steps=1500, optimizer=adam(3e-3, 1500)
    )
    judgement = judge(member(trained.model, 0), target, jax.random.key(2), 2**14)
    assert abs(judgement.log_z_estimate - target.log_z) < 0.05
    assert judgement.forward_ess > 0.4
    assert judgement.ess_fraction > 0.4
    assert judgement.exact_log_prob == pytest.approx(-judgement.forward_kl + _entropy_term(target), abs=0.05)


def _entropy_term(target):
    x = target.sample(jax.random.key(9), 2**14)
    return float(jnp.mean(target.log_densities(x)) - target.log_z)


@pytest.mark.slow
def test_training_goes_on_where_it_was_with_its_buffer(tmp_path):
    target = targets.make("eight-gaussians")
    loss = Annealed(target.log_density, "alpha", 32, length=4)
    models = ensemble(make_wide, jax.random.key(0), 2)

    def train(steps, **options):
        return fit(models, loss, key=jax.random.key(1), steps=steps, optimizer=adam(1e-3, 30), **options)

    whole = train(30)
    train(15, checkpoints=Checkpoints(tmp_path / "run"))
    resumed = train(30, checkpoints=Checkpoints(tmp_path / "run"))
    assert_same(resumed.model, whole.model)


def test_draws_of_the_target_itself_are_left_as_they_are(x64):
    """From q = p every weight is the same, so that all draws count and the loss is the entropy of q."""
    flow = Pushforward(Normal.standard(2), DiagonalAffine(jnp.array([1.0, -2.0]), jnp.array([0.5, -0.5])))
    loss = Annealed(lambda z: flow.log_prob(z) + 3.0, "alpha", 256)
    buffer = loss.start(flow, jax.random.key(0))
    np.testing.assert_allclose(np.ptp(buffer.log_weights), 0, atol=1e-9)
    np.testing.assert_allclose(buffer.log_weights[0], 6.0, atol=1e-9)
    assert float(buffer.exponent) == 1
    value, after = loss(flow, buffer, jax.random.key(1), jnp.array(1))
    assert abs(float(value) - (1 + math.log(2 * math.pi))) < 5 / math.sqrt(256)
    assert_same(after, buffer)


def test_weights_of_the_second_divergence_follow_the_flow(x64):
    """A weight is p^2 / q: where the flow rises by a factor, it falls by the same."""
    before, after = (Pushforward(Normal.standard(1), DiagonalAffine(jnp.zeros(1), jnp.full(1, s))) for s in (0.3, 0.0))
    loss = Annealed(lambda z: -0.5 * jnp.sum(z**2), "alpha", 64, length=2)
    buffer = loss.start(before, jax.random.key(0))
    _, updated = loss(after, buffer, jax.random.key(1), jnp.array(1))
    moved = np.asarray(updated.log_weights != buffer.log_weights)
    assert moved.any()
    expected = buffer.log_weights + before.log_prob(buffer.x) - after.log_prob(buffer.x)
    np.testing.assert_allclose(updated.log_weights[moved], expected[moved], rtol=1e-10)


def test_weights_are_tempered_until_a_tenth_counts(x64):
    log_weights = (20 * jax.random.normal(jax.random.key(0), (1000,))).at[:10].set(-jnp.inf)
    exponent = float(_exponent(log_weights))
    weights = np.exp(exponent * np.asarray(log_weights))
    weights[:10] = 0
    assert weights.sum() ** 2 / (weights**2).sum() == pytest.approx(LEAST_ESS * 990, rel=0.02)
    assert float(_exponent(0.05 * log_weights)) == 1
    counts = np.bincount(
        np.asarray(_chosen(jax.random.key(1), jnp.log(jnp.array([0.0, 0.2, 0.8])), 10_000)), minlength=3
    )
    assert counts[0] == 0
    assert abs(counts[1] - 2000) < 5 * 40


def test_weights_of_a_mixture_are_trained_by_reverse_kl(x64):
    """Its free energy from draws of each component: the value of the plain one, and gradients in the weights."""
    mixture = Mixture(jnp.array([0.3, -0.3]), Normal(jnp.array([[-2.0], [2.0]]), jnp.zeros((2, 1))))
    flow = Pushforward(mixture, DiagonalAffine.identity(1))
    target = targets.from_callable(lambda z: -0.5 * jnp.sum((z / 3) ** 2), 1)
    value, gradient = eqx.filter_value_and_grad(
        lambda flow: free_energy(flow, target.log_densities, jax.random.key(0), 200_000)
    )(flow)
    plain = importance_estimate(np.asarray(log_weights(flow, target.log_densities, jax.random.key(1), 200_000)))
    assert abs(float(value) - plain.free_energy) < 6 * plain.free_energy_std_error
    z = np.linspace(-9, 9, 40_001)[:, None]

    def energy(logit):
        moved = eqx.tree_at(lambda flow: flow.base.logits, flow, jnp.array([logit, -0.3]))
        log_q = moved.log_prob(z)
        return float(np.trapezoid(jnp.exp(log_q) * (log_q - target.log_densities(jnp.asarray(z))), z[:, 0]))

    slope = (energy(0.3 + 1e-4) - energy(0.3 - 1e-4)) / 2e-4
    assert float(gradient.base.logits[0]) == pytest.approx(slope, abs=0.01)
