"""The Python of the pages in docs/, as written, but for the numbers that make it take long."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

DOCS = Path(__file__).parent.parent / "docs"
SMALLER = {
    "seconds=60": "seconds=10",
    "ess=1000": "ess=50",
    "posterior(x1, x2, x3), key)": "posterior(x1, x2, x3), key, seconds=10)",
    "10_000": "2_000",
    "100_000": "2_000",
    "5_000": "50",
    "5000, y": "20, y",
    "num_warmup=500, num_samples=1000": "num_warmup=5, num_samples=5",
    "4096": "64",
}
SCHOOLS = """
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from pushforward import inference, targets
y, sigma = jnp.array([28.0, 8, -3, 7, -1, 1, 18, 12]), jnp.array([15.0, 10, 16, 11, 9, 11, 10, 18])
def model(y, sigma=sigma):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    with numpyro.plate("schools", len(y)):
        theta = numpyro.sample("theta", dist.Normal(mu, 1.0))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
"""
ROWS = """
import jax
import jax.numpy as jnp
from pushforward import flows
data = x = jax.random.normal(jax.random.key(9), (300, 2))
contexts = jax.random.normal(jax.random.key(8), (300, {contexts}))
"""
ENSEMBLE = """
from pushforward.training import adam, ensemble, fit
from pushforward.objectives import ForwardKL
nice, real_vp, real_nvp = (flows.RECIPES[name](jax.random.key(1), 2, 2) for name in ("nice", "real_vp", "real_nvp"))
steps = 200
models = ensemble(lambda key: flows.real_nvp(key, 2, 2), jax.random.key(1), 2)
fitted = fit(models, ForwardKL(data, 32), key=jax.random.key(2), steps=steps, optimizer=adam(1e-3, steps))
"""
PAGES = {
    "flows": ROWS.format(contexts=10) + "xs, context = x, contexts[0]\n",
    "posteriors": SCHOOLS,
    "training-stability": ROWS.format(contexts=1) + ENSEMBLE,
    "density-of-states": "",
    "manifolds": "",
    "out-of-distribution": ROWS.format(contexts=1)
    + "flow, held_out = flows.nice(jax.random.key(0), 2, 2), x\n"
    + "inliers, outliers = jnp.arange(9.0), jnp.arange(5.0, 12)\n"
    + "from pushforward import states\nlaw = states.from_data(flow, x)\n",
    "deep-latent-gaussian-models": "import jax\nx = jax.random.bernoulli(jax.random.key(5), shape=(784,)) * 1.0\n",
    "inference-from-simulations": "import numpy as np\nx, x1, x2, x3 = 0.1 * np.arange(8.0).reshape(4, 2)\n"
    + "log_likelihood = lambda x, theta: -jnp.sum((x - theta) ** 2) / 0.02\n",
    "conditional-densities": ROWS.format(contexts=3) + "rows, contexts = x[:, :1], contexts.at[:, 2].set(1.0)\n",
    "scaling": "",
    "index": "",
}


LONG = {"posteriors", "training-stability", "inference-from-simulations", "conditional-densities"}


def blocks(page):
    """The Python of a page, in its order."""
    return re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)


def test_every_page_with_python_is_run():
    assert {path.stem for path in DOCS.glob("*.md") if blocks(path.stem)} == set(PAGES)


@pytest.mark.slow
@pytest.mark.parametrize("page", [pytest.param(page, marks=pytest.mark.long if page in LONG else ()) for page in PAGES])
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for prepare in PREPARED.get(page, ()):
        prepare()
    names = {}
    exec(PAGES[page], names)
    for block in blocks(page):
        for large, small in SMALLER.items():
            block = block.replace(large, small)
        if "bridgestan" not in block:  # Its compiler is not here: see the page.
            exec(block, names)


def houses():
    """A run of a small table, as the page of conditional densities has it."""
    from pushforward.cli.main import main

    rng = np.random.default_rng(0)
    rooms, income = rng.integers(1, 6, 200), rng.uniform(2e4, 9e4, 200)
    lines = [f"{a},{b:.1f},{['Rome', 'Oslo'][a % 2]},{a * b * rng.uniform(2, 3):.1f}" for a, b in zip(rooms, income)]
    Path("houses.csv").write_text("\n".join(["rooms,income,city,price", *lines]))
    words = "houses.csv --given rooms income city --steps 30 --length 1 --out runs/prices"
    main(["train", *words.split()])


def rows_on_disk():
    np.save("big.npy", np.asarray(jax.random.normal(jax.random.key(0), (2_000, 8))))


PREPARED = {"conditional-densities": [houses], "scaling": [rows_on_disk]}
