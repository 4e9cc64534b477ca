"""Density estimation on real tables: test log-likelihood of pushforward, zuko and FlowJAX, trained in the same way.

Each gets the same rows, standardised by the training rows, and the same architecture, batch size, learning rate and
number of steps, with batches drawn with replacement. Every so many steps the validation loss is measured, and the
parameters of its lowest value are kept. What differs is what each library does of its own: its initial values, how it
bounds the scales of affine layers and the slopes of splines, and its random permutations. A seed divides the rows and
draws the initial values.

Rounded values get uniform noise as wide as the smallest gap between two of their column, drawn once: a density of
values that repeat has no upper bound.
"""

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product

import numpy as np
import tyro

from common import Row, installed, report, worker
from density import (
    ARCHITECTURE,
    LIBRARIES,
    Family,
    Library,
    flowjax_flow,
    flowjax_parts,
    pushforward_flow,
    zuko_flow,
)

TABLES = ("iris", "wine", "diabetes", "breast-cancer", "digits", "rings")
HELD_OUT = 0.2  # of the rows for validation, and for the test
NAMES = {"pushforward": "pushforward", "zuko": "zuko", "flowjax": "FlowJAX"}


@dataclass(frozen=True)
class Recipe:
    """How all of them are trained."""

    steps: int
    batch: int
    learning_rate: float
    every: int

    def batches(self, rows: int, seed: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(seed)
        for _ in range(self.steps):
            yield rng.integers(rows, size=self.batch)


@dataclass(frozen=True)
class Parts:
    """Standardised rows, float32."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def dim(self) -> int:
        return self.train.shape[1]


def load(table: str, seed: int) -> Parts:
    """A data set of pushforward's or a table from a file, with noise, standardised."""
    from pushforward import data

    dataset = data.load(table, seed=seed, validation=HELD_OUT, test=HELD_OUT)
    parts = [
        part.reshape(len(part), -1).astype(np.float64) for part in (dataset.train, dataset.validation, dataset.test)
    ]
    gaps = [_gap(column) for column in np.concatenate(parts).T]
    rng = np.random.default_rng(seed)
    parts = [part + gaps * rng.uniform(-0.5, 0.5, part.shape) for part in parts]
    mean, scale = parts[0].mean(axis=0), parts[0].std(axis=0)
    return Parts(*(((part - mean) / scale).astype(np.float32) for part in parts))


def _gap(column: np.ndarray) -> float:
    distinct = np.unique(column)
    return float(np.diff(distinct).min()) if len(distinct) > 1 else 1.0


def train_pushforward(family: Family, parts: Parts, seed: int, recipe: Recipe) -> np.ndarray:
    """Log-likelihood of the test rows, in nats; so do the others."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    from pushforward import objectives, training

    result = training.fit(
        training.ensemble(lambda key: pushforward_flow(family, parts.dim, key), jax.random.key(seed), 1),
        objectives.ForwardKL(jnp.asarray(parts.train), recipe.batch),
        key=jax.random.key(100 + seed),
        steps=recipe.steps,
        optimizer=optax.adam(recipe.learning_rate),
        record_every=recipe.every,
        validate=objectives.HeldOut(jnp.asarray(parts.validation)),
    )
    flow = training.member(result.model, 0)
    return np.asarray(eqx.filter_jit(flow.log_prob)(jnp.asarray(parts.test)))


def train_zuko(family: Family, parts: Parts, seed: int, recipe: Recipe) -> np.ndarray:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    train, validation, test = map(torch.from_numpy, (parts.train, parts.validation, parts.test))
    flow = zuko_flow(family, parts.dim)
    optimizer = torch.optim.Adam(flow.parameters(), recipe.learning_rate)
    best, lowest = flow.state_dict(), float("inf")
    for step, batch in enumerate(recipe.batches(len(train), seed), 1):
        loss = -flow().log_prob(train[torch.from_numpy(batch)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % recipe.every == 0:
            with torch.no_grad():
                loss = float(-flow().log_prob(validation).mean())
            if loss < lowest:
                best, lowest = copy.deepcopy(flow.state_dict()), loss
    flow.load_state_dict(best)
    with torch.no_grad():
        return flow().log_prob(test).numpy()


def train_flowjax(family: Family, parts: Parts, seed: int, recipe: Recipe) -> np.ndarray:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax
    from flowjax.train.losses import MaximumLikelihoodLoss
    from flowjax.train.train_utils import step as train_step

    train, validation = jnp.asarray(parts.train), jnp.asarray(parts.validation)
    params, static = flowjax_parts(flowjax_flow(family, parts.dim, jax.random.key(seed)))
    optimizer, loss_fn = optax.adam(recipe.learning_rate), MaximumLikelihoodLoss()
    opt_state = optimizer.init(params)
    best, lowest = params, float("inf")
    for step, batch in enumerate(recipe.batches(len(train), seed), 1):
        params, opt_state, _ = train_step(
            params, static, train[batch], optimizer=optimizer, opt_state=opt_state, loss_fn=loss_fn
        )
        if step % recipe.every == 0:
            loss = float(loss_fn(params, static, validation))
            if loss < lowest:
                best, lowest = params, loss
    flow = eqx.combine(best, static)
    return np.asarray(eqx.filter_jit(flow.log_prob)(jnp.asarray(parts.test)))


TRAIN: dict[Library, Callable[[Family, Parts, int, Recipe], np.ndarray]] = {
    "pushforward": train_pushforward,
    "zuko": train_zuko,
    "flowjax": train_flowjax,
}


def main(
    tables: tuple[str, ...] = TABLES,
    families: tuple[Family, ...] = ("maf", "nsf_autoregressive"),
    libraries: tuple[Library, ...] = LIBRARIES,
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int = 1000,
    batch: int = 128,
    learning_rate: float = 1e-3,
    every: int = 25,
) -> None:
    """Train the same flows on real tables in pushforward and its peers.

    Args:
        tables: data sets of pushforward's, or files that it reads.
        families: of flows.
        libraries: what is compared.
        seeds: of the division and the initial values.
        steps: of each training.
        batch: rows a step.
        learning_rate: of Adam.
        every: steps from one validation to the next.
    """
    recipe = Recipe(steps, batch, learning_rate, every)
    for library in libraries:
        if not installed(library):
            print(f"skipped {library}: it is not installed")
    compared = [library for library in libraries if installed(library)]
    jobs = list(product(tables, families))
    parts = {(table, seed): load(table, seed) for table, seed in product(tables, seeds)}
    with ExitStack() as stack:
        # One thread for each library: what waits for its process runs beside the others.
        futures: dict[tuple[str, Family, Library], list[Future[np.ndarray]]] = {}
        for library in compared:
            call = stack.enter_context(worker(package=library))
            pool = stack.enter_context(ThreadPoolExecutor(1))
            for table, family in jobs:
                futures[table, family, library] = [
                    pool.submit(call, TRAIN[library], family, parts[table, seed], seed, recipe) for seed in seeds
                ]
        rows: list[Row] = []
        for table, family in jobs:
            results = {lib: [each.result() for each in futures[table, family, lib]] for lib in compared}
            rows.append(row(table, family, parts[table, seeds[0]], results))
            print(rows[-1], flush=True)
    report(
        "density_quality",
        f"Test log-likelihood in nats per row: {ARCHITECTURE}, {steps:,} steps of {batch} rows, seeds {seeds}",
        rows,
        [],
        "± is one standard error over the test rows of all seeds, some of which are rows of several seeds; it leaves "
        "out what another start of the training changes. The differences are paired by row: above 0 pushforward is "
        "better. `digits` are 8 x 8 images as rows of 64 numbers; `rings` is a sample of a known density.",
    )


def row(table: str, family: Family, parts: Parts, results: dict[Library, list[np.ndarray]]) -> Row:
    pooled = {library: np.concatenate(values).astype(np.float64) for library, values in results.items()}
    result: Row = {"table": table, "family": family, "D": parts.dim, "rows to train on": len(parts.train)}
    for library, values in pooled.items():
        result[NAMES[library]] = _with_error(values)
    for peer, values in pooled.items():
        if peer != "pushforward" and "pushforward" in pooled:
            result[f"less {NAMES[peer]}"] = _with_error(pooled["pushforward"] - values)
    return result


def _with_error(values: np.ndarray) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


if __name__ == "__main__":
    tyro.cli(main)
