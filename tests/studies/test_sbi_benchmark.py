"""The study of simulation-based inference: its simulators, what its page says of cells, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pushforward.studies.base import Study
from pushforward.studies.sbi_benchmark.config import SbiBenchmarkConfig
from pushforward.studies.sbi_benchmark.page import described
from pushforward.studies.sbi_benchmark.published import NPE
from pushforward.studies.sbi_benchmark.tasks import TASKS, lotka_volterra, sir, slcp, two_moons
from tests.test_cli import run

ENVIRONMENT = {"device": "cpu", "processor": "one", "jax": "0", "pushforward": "0"}
KEYS = jax.random.split(jax.random.key(0), 4000)


def simulated(simulate, theta):
    return np.asarray(jax.jit(jax.vmap(lambda key: simulate(key, jnp.asarray(theta))))(KEYS), np.float64)


def test_lotka_volterra_follows_its_equations():
    """Means of 4,000 with noise of 10% are within 1% of what scipy integrates, six standard errors."""
    alpha, beta, gamma, delta = theta = (0.83, 0.041, 1.08, 0.04)

    def slope(_, u):
        return [alpha * u[0] - beta * u[0] * u[1], delta * u[0] * u[1] - gamma * u[1]]

    times = 2.1 * np.arange(10)
    expected = solve_ivp(slope, (0, times[-1]), [30.0, 1.0], t_eval=times, rtol=1e-8, atol=1e-8).y.ravel()
    np.testing.assert_allclose(np.log(simulated(lotka_volterra, theta)).mean(axis=0), np.log(expected), atol=0.01)


def test_an_epidemic_follows_its_equations():
    """Counts of 1,000 people: their mean of 4,000 is within six standard errors, at most 1.5, of scipy's share."""
    beta, gamma = theta = (0.4, 0.125)

    def slope(_, u):
        return [-beta * u[0] * u[1], beta * u[0] * u[1] - gamma * u[1]]

    times = 17.0 * np.arange(10)
    expected = solve_ivp(slope, (0, times[-1]), [1 - 1e-6, 1e-6], t_eval=times, rtol=1e-9, atol=1e-12).y[1]
    np.testing.assert_allclose(simulated(sir, theta).mean(axis=0), 1000 * expected, atol=1.5)


def test_simple_likelihood_complex_posterior():
    """Four draws of N(theta[:2], S): moments of 16,000, to five standard errors."""
    data = simulated(slcp, (0.5, -1.0, 1.2, 0.8, 0.5)).reshape(-1, 2)
    s1, s2, rho = 1.2**2, 0.8**2, np.tanh(0.5)
    np.testing.assert_allclose(data.mean(axis=0), [0.5, -1.0], atol=0.06)
    np.testing.assert_allclose(np.cov(data.T), [[s1**2, rho * s1 * s2], [rho * s1 * s2, s2**2]], atol=0.12)


def test_the_two_moons_have_one_likelihood_at_two_points():
    """Turned about the line of their symmetry, parameters give the same data."""
    one, other = (simulated(two_moons, theta) for theta in ((0.3, 0.5), (-0.5, -0.3)))
    np.testing.assert_allclose(one, other, atol=1e-6)


def cell(task, simulations, seed, score):
    return {
        "task": task,
        "simulations": simulations,
        "seed": seed,
        "c2st": [score - 0.1, score + 0.1],
        "failures": {},
        "seconds_of_training": 10.0,
        "seconds_of_sampling": 0.5,
        "seconds": 60.0,
        "environment": ENVIRONMENT,
    }


def test_the_page_has_means_over_observations_and_seeds_beside_what_is_published():
    cells = [cell("slcp", 10_000, 0, 0.7), cell("slcp", 1_000, 0, 0.9), cell("slcp", 10_000, 1, 0.8)]
    cells.append(cell("sir", 1_000, 0, 0.6))
    page = described(Study(SbiBenchmarkConfig("sbi-benchmark"), cells))
    lines = {tuple(line[:2]): line[2:7] for line in page.table.rows}
    assert lines["slcp", "10,000"] == ["2", "0.750", "0.650", "0.850", f"{NPE['slcp'][10_000]:.3f}"]
    assert lines["sir", "1,000"][-1] == "—"
    assert [line[:2] for line in page.table.rows[:2]] == [["slcp", "1,000"], ["slcp", "10,000"]]


def test_priors_and_data_have_the_sizes_of_the_benchmark():
    sizes = {
        "two-moons": (2, 2),
        "gaussian-linear": (10, 10),
        "gaussian-linear-uniform": (10, 10),
        "gaussian-mixture": (2, 2),
        "slcp": (5, 8),
        "sir": (2, 10),
        "lotka-volterra": (4, 20),
    }
    for name, (dim, size) in sizes.items():
        task = TASKS[name]
        assert task.prior.dim == dim
        assert jax.eval_shape(task.simulate, KEYS[0], jnp.ones(dim)).shape == (size,)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--tasks slpc", "did you mean 'slcp'"),
        ("--tasks two-moons --simulations 10", "simulations"),
        ("--tasks two-moons --observations 0", "observations"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, words, message):
    code, _, err = run(capsys, "reproduce", "sbi-benchmark", *words.split(), "--out", str(tmp_path / "study"))
    assert code == 2
    assert message in err


def test_without_the_wheel_it_is_said_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path / "data"))
    words = "reproduce sbi-benchmark --tasks two-moons --simulations 200 --out"
    code, _, err = run(capsys, *words.split(), str(tmp_path / "study"))
    assert code == 2
    assert "sbibm-1.1.0-py2.py3-none-any.whl" in err
