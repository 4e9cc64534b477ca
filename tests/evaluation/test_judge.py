"""Every route to a number against the others, on flows whose quality is known."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import flows, targets
from pushforward.bijections import DiagonalAffine
from pushforward.distributions import Normal, Pushforward
from pushforward.evaluation import judge
from pushforward.evaluation.grid import log_mass_around
from pushforward.targets import from_callable


def gaussian(loc, scale):
    loc, log_scale = jnp.asarray(loc, float), jnp.log(jnp.asarray(scale, float))
    return Pushforward(Normal.standard(len(loc)), DiagonalAffine(loc, log_scale))


def closed_form_kl(loc, scale):
    """KL(N(loc, diag(scale^2)) || N(0, I))."""
    loc, scale = np.asarray(loc), np.asarray(scale)
    return 0.5 * np.sum(loc**2 + scale**2 - 1 - 2 * np.log(scale))


def standard_normal_target(dim, log_z=3.0):
    constant = log_z - 0.5 * dim * np.log(2 * np.pi)
    return targets.from_callable(
        lambda z: constant - 0.5 * jnp.sum(z**2), dim, name="normal", log_z=log_z, box=((-6.0, 6.0),) * 2
    )


@pytest.mark.parametrize(("loc", "scale"), [((0.3, 0.0), (1.1, 0.9)), ((0.0, -0.5), (0.8, 1.0))])
def test_samples_quadrature_and_closed_form_agree(loc, scale):
    judgement = judge(gaussian(loc, scale), standard_normal_target(2), jax.random.key(0))
    expected = closed_form_kl(loc, scale)
    # 4.5 standard errors: an error rate below 1e-5.
    assert abs(judgement.kl - expected) < 4.5 * judgement.kl_std_error
    assert judgement.reverse_kl_grid == pytest.approx(expected, abs=1e-4)
    variance = np.square(scale)
    forward = 0.5 * np.sum((1 + np.square(loc)) / variance - 1 + np.log(variance))
    assert judgement.forward_kl_grid == pytest.approx(forward, abs=1e-4)
    assert judgement.log_z_grid == pytest.approx(3.0, abs=1e-5)
    assert judgement.free_energy == pytest.approx(judgement.kl - 3.0)
    assert judgement.warnings == []


def test_a_perfect_fit():
    judgement = judge(gaussian((0.0, 0.0), (1.0, 1.0)), standard_normal_target(2), jax.random.key(0))
    assert judgement.kl == pytest.approx(0, abs=1e-5)
    assert judgement.ess_fraction == pytest.approx(1, abs=1e-5)
    assert judgement.log_z_estimate == pytest.approx(3, abs=1e-5)
    assert judgement.forward_kl_grid == pytest.approx(0, abs=1e-4)


def test_other_dimensions_have_no_grid():
    judgement = judge(gaussian((0.1, 0.0, 0.2), (1.0, 1.0, 1.0)), standard_normal_target(3), jax.random.key(0))
    assert judgement.reverse_kl_grid is None
    assert judgement.forward_kl_grid is None
    assert abs(judgement.kl - 0.025) < 4.5 * judgement.kl_std_error


def test_unknown_log_z_leaves_kl_open():
    target = targets.from_callable(lambda z: -0.5 * jnp.sum(z**2), 2)
    judgement = judge(gaussian((0.2, 0.0), (1.0, 1.0)), target, jax.random.key(0))
    assert judgement.kl is None
    assert judgement.kl_estimate == pytest.approx(0.02, abs=0.01)
    assert judgement.log_z_estimate == pytest.approx(np.log(2 * np.pi), abs=0.01)


def test_a_missing_mode_is_warned_of():
    half = targets.from_callable(
        lambda z: jnp.logaddexp(-0.5 * jnp.sum((z - 6) ** 2), -0.5 * jnp.sum((z + 6) ** 2)),
        2,
        name="two modes",
        log_z=float(np.log(4 * np.pi)),
        box=((-12.0, 12.0),) * 2,
    )
    judgement = judge(gaussian((6.0, 6.0), (1.0, 1.0)), half, jax.random.key(0))
    assert judgement.kl == pytest.approx(np.log(2), abs=0.01)
    assert judgement.k_hat_verdict.startswith("good") or judgement.k_hat is None
    assert any("misses a part" in warning for warning in judgement.warnings)


def test_a_wrong_log_z_is_warned_of():
    target = targets.from_callable(lambda z: -0.5 * jnp.sum(z**2), 3, log_z=0.0)
    judgement = judge(gaussian((0.1, 0.0, 0.0), (1.0, 1.0, 1.0)), target, jax.random.key(0))
    assert any("negative beyond its error" in warning for warning in judgement.warnings)


def test_nan_never_comes_out_as_a_number():
    target = targets.Target("hole", 2, lambda z: jnp.where(z[0] > 0, jnp.nan, -0.5 * jnp.sum(z**2)))
    judgement = judge(gaussian((0.0, 0.0), (1.0, 1.0)), target, jax.random.key(0), samples=4096)
    text = json.dumps(judgement.as_dict(), allow_nan=False)
    assert json.loads(text)["kl_estimate"] is None
    assert any("of 4096 log weights are NaN" in warning for warning in judgement.warnings)


def test_planar_flow_on_an_energy_by_samples_and_by_quadrature():
    judgement = judge(flows.planar(jax.random.key(0), 2, 4), targets.make("u1"), jax.random.key(1))
    assert abs(judgement.kl - judgement.reverse_kl_grid) < 4.5 * judgement.kl_std_error + 1e-3


@pytest.mark.parametrize(
    ("log_density", "held"),
    [
        (lambda z: -jnp.sum(jnp.log1p(z**2)), False),
        (lambda z: jnp.logaddexp(-0.5 * jnp.sum(z**2), -0.5 * jnp.sum(((z - 60.0) / 4) ** 2)), False),
        (lambda z: -(jnp.sum(jnp.abs(z)) ** 0.0), False),
        (lambda z: -0.5 * jnp.sum(z**2), True),
        (lambda z: -jnp.sum(z**4), True),
    ],
    ids=["Cauchy", "far mode", "improper", "Normal", "quartic"],
)
def test_quadrature_is_not_believed_where_mass_is_off_the_grid(log_density, held):
    """Of targets whose log Z is not known."""
    judgement = judge(gaussian([0, 0], [1.0, 1.0]), from_callable(log_density, 2), jax.random.key(0), 4096)
    for value in (judgement.reverse_kl_grid, judgement.forward_kl_grid, judgement.log_z_grid):
        assert (value is not None) == held
    assert any("of the target's: no divergence by quadrature" in warning for warning in judgement.warnings) != held


def test_the_mass_of_a_cauchy_density_off_the_grid():
    """The box holds `(2/pi arctan 10)^2` of it."""
    target = from_callable(lambda z: -jnp.sum(jnp.log1p(z**2)), 2)
    box = ((-10.0, 10.0), (-10.0, 10.0))
    around = np.exp(log_mass_around(box, target)) / np.pi**2
    assert around == pytest.approx(1 - (2 / np.pi * np.arctan(10)) ** 2, rel=0.01)


def test_where_log_z_is_not_known_the_free_energy_leads():
    """For the target N(0, I), unnormalised, the flow N(0, 4 I), whose weights can be trusted, and one whose cannot."""
    wide = judge(
        gaussian([0, 0], [2.0, 2.0]), from_callable(lambda z: -0.5 * jnp.sum(z**2), 2), jax.random.key(0), 2**15
    )
    assert wide.kl is None
    assert wide.elbo == -wide.free_energy
    kl = 3 - 2 * np.log(2)
    assert wide.free_energy == pytest.approx(kl - np.log(2 * np.pi), abs=5 * wide.kl_std_error)
    assert wide.kl_estimate == pytest.approx(kl, abs=0.05)
    narrow = judge(
        gaussian([0, 0], [0.4, 0.4]), from_callable(lambda z: -0.5 * jnp.sum(z**2), 2), jax.random.key(0), 2**15
    )
    assert narrow.k_hat > 0.7
    assert narrow.kl_estimate is None
    assert any("cannot be told from the free energy" in warning for warning in narrow.warnings)


def test_a_flow_far_from_a_narrow_target_is_not_called_good():
    target = from_callable(lambda z: -0.5 * jnp.sum((z / 1e-4) ** 2), 2)
    judgement = judge(gaussian([0, 0], [0.01, 0.01]), target, jax.random.key(0), 2**15)
    assert "good" not in judgement.k_hat_verdict
    assert any("nats or more from the target" in warning for warning in judgement.warnings)


def test_the_point_at_which_a_density_is_nan_is_named():
    target = from_callable(lambda z: -0.5 * jnp.sum(z**2) + 0.1 * jnp.log(1 - jnp.sum(z**2) / 25), 2, name="ball")
    judgement = judge(gaussian([0, 0], [3.0, 3.0]), target, jax.random.key(0), 4096)
    found = re.search(r"log weights are NaN or inf: ball is nan at z = \((\S+), (\S+)\)", " ".join(judgement.warnings))
    assert np.hypot(float(found[1]), float(found[2])) > 5


@pytest.mark.parametrize("dim", [2, 5])
def test_exact_draws_see_a_missing_mode(dim):
    """KL(p || q) of two far modes against q on one, in closed form, within 4.5 standard errors; and of q = p."""
    apart = 3.0
    target = targets.Target(
        "two modes",
        dim,
        lambda z: jnp.logaddexp(-0.5 * jnp.sum((z - apart) ** 2), -0.5 * jnp.sum((z + apart) ** 2)),
        log_z=float(np.log(2) + 0.5 * dim * np.log(2 * np.pi)),
        sample=lambda key, n: jax.random.normal(key, (n, dim)) + apart * (2.0 * (jnp.arange(n) % 2)[:, None] - 1),
    )
    judgement = judge(gaussian([apart] * dim, [1.0] * dim), target, jax.random.key(0), 4096)
    # Half of the draws lie at -apart, where -log q is larger by dim (2 apart)^2 / 2.
    expected = -np.log(2) + 0.5 * 0.5 * dim * (2 * apart) ** 2
    assert abs(judgement.forward_kl - expected) < 4.5 * judgement.forward_kl_std_error
    assert any("KL(p‖q) is far above" in warning for warning in judgement.warnings)
    assert judgement.forward_ess < 1e-6
    assert judgement.ess_fraction > 0.99

    normal = Normal.standard(dim)
    same = targets.Target(
        "normal", dim, lambda z: -0.5 * jnp.sum(z**2), log_z=0.5 * dim * np.log(2 * np.pi), sample=normal.sample
    )
    judgement = judge(gaussian([0.0] * dim, [1.0] * dim), same, jax.random.key(0), 4096)
    assert judgement.forward_kl == pytest.approx(0, abs=1e-5)
    assert judgement.forward_ess == pytest.approx(1, abs=1e-5)
    assert judgement.exact_log_prob == pytest.approx(-0.5 * dim * (1 + np.log(2 * np.pi)), abs=0.1)
