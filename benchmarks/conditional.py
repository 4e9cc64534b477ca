"""Conditional densities on real tables: test log-likelihood and training time of pushforward and FlowJAX.

The first half of the columns is the context of the others. Both get the same rows, standardised by the training rows,
the same architecture, batch size, learning rate and number of steps, and keep the parameters of the lowest validation
loss. The networks of both see the context in their first layer; initial values and the bounds of affine scales are each
library's own. Times are of the whole training, compilation included, in turn on one machine.
"""

import time
from dataclasses import dataclass

import numpy as np
import tyro

from common import Row, at_least, at_most, installed, report, worker
from density import ARCHITECTURE, BINS, BOUND, DEPTH, LAYERS, WIDTH, Family, flowjax_parts, pushforward_flow
from density_quality import Parts, Recipe, load

TABLES = ("wine", "diabetes", "breast-cancer", "rings")


@dataclass(frozen=True)
class Outcome:
    """Log-likelihoods of the test rows in nats, and the seconds of the training."""

    log_prob: np.ndarray
    seconds: float


def divided(parts: Parts) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Contexts and rows of the training, validation and test part."""
    half = parts.dim // 2
    return (
        [part[:, :half] for part in (parts.train, parts.validation, parts.test)],
        [part[:, half:] for part in (parts.train, parts.validation, parts.test)],
    )


def train_pushforward(family: Family, table: str, seed: int, recipe: Recipe) -> Outcome:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    from pushforward import condition, objectives, training

    contexts, rows = divided(load(table, seed))

    def make(key):
        key_flow, key_context = jax.random.split(key)
        flow = pushforward_flow(family, rows[0].shape[1], key_flow)
        return condition(flow, key_context, contexts[0].shape[1])

    began = time.perf_counter()
    result = training.fit(
        training.ensemble(make, jax.random.key(seed), 1),
        objectives.ForwardKL(jnp.asarray(rows[0]), recipe.batch, contexts=jnp.asarray(contexts[0])),
        key=jax.random.key(100 + seed),
        steps=recipe.steps,
        optimizer=optax.adam(recipe.learning_rate),
        record_every=recipe.every,
        validate=objectives.HeldOut(jnp.asarray(rows[1]), contexts=jnp.asarray(contexts[1])),
    )
    seconds = time.perf_counter() - began
    model = training.member(result.model, 0)
    each = eqx.filter_jit(lambda held_out, model: held_out.each(model, jax.random.key(0)))
    held_out = objectives.HeldOut(jnp.asarray(rows[2]), contexts=jnp.asarray(contexts[2]))
    return Outcome(np.asarray(each(held_out, model), np.float64), seconds)


def train_flowjax(family: Family, table: str, seed: int, recipe: Recipe) -> Outcome:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax
    import paramax
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import masked_autoregressive_flow
    from flowjax.train.losses import MaximumLikelihoodLoss
    from flowjax.train.train_utils import step as train_step

    contexts, rows = divided(load(table, seed))
    began = time.perf_counter()
    flow = masked_autoregressive_flow(
        jax.random.key(seed),
        base_dist=paramax.non_trainable(Normal(jnp.zeros(rows[0].shape[1]))),
        transformer=RationalQuadraticSpline(knots=BINS - 1, interval=BOUND) if family.startswith("nsf") else None,
        cond_dim=contexts[0].shape[1],
        flow_layers=LAYERS,
        nn_width=WIDTH,
        nn_depth=DEPTH,
        nn_activation=jax.nn.relu,
    )
    params, static = flowjax_parts(flow)
    optimizer, loss_fn = optax.adam(recipe.learning_rate), MaximumLikelihoodLoss()
    opt_state = optimizer.init(params)
    best, lowest = params, float("inf")
    train = [jnp.asarray(rows[0]), jnp.asarray(contexts[0])]
    held_out = [jnp.asarray(rows[1]), jnp.asarray(contexts[1])]
    for step, batch in enumerate(recipe.batches(len(rows[0]), seed), 1):
        params, opt_state, _ = train_step(
            params, static, *(part[batch] for part in train), optimizer=optimizer, opt_state=opt_state, loss_fn=loss_fn
        )
        if step % recipe.every == 0:
            loss = float(loss_fn(params, static, *held_out))
            if loss < lowest:
                best, lowest = params, loss
    seconds = time.perf_counter() - began
    found = eqx.combine(best, static)
    log_prob = eqx.filter_jit(found.log_prob)(jnp.asarray(rows[2]), jnp.asarray(contexts[2]))
    return Outcome(np.asarray(log_prob, np.float64), seconds)


def main(
    tables: tuple[str, ...] = TABLES,
    families: tuple[Family, ...] = ("maf", "nsf_autoregressive"),
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int = 1000,
    batch: int = 128,
    learning_rate: float = 1e-3,
    every: int = 25,
) -> None:
    """Train conditional flows on real tables, and write `results/benchmarks/conditional.md`.

    Args:
        tables: data sets of pushforward's, or files that it reads.
        families: of flows.
        seeds: of the division and the initial values.
        steps: of each training.
        batch: rows a step.
        learning_rate: of Adam.
        every: steps from one validation to the next.
    """
    if not installed("flowjax"):
        raise SystemExit("FlowJAX is not installed: pip install flowjax")
    recipe = Recipe(steps, batch, learning_rate, every)
    rows: list[Row] = []
    differences, ratios = [], []
    for table in tables:
        for family in families:
            found: dict[str, list[Outcome]] = {"pushforward": [], "FlowJAX": []}
            for seed in seeds:
                for name, train in (("pushforward", train_pushforward), ("FlowJAX", train_flowjax)):
                    with worker() as call:
                        found[name].append(call(train, family, table, seed, recipe))
            ours, theirs = (np.concatenate([each.log_prob for each in found[name]]) for name in found)
            gain, error = np.mean(ours - theirs), np.std(ours - theirs, ddof=1) / np.sqrt(len(ours))
            times = {name: float(np.median([each.seconds for each in outcomes])) for name, outcomes in found.items()}
            ratios.append(times["FlowJAX"] / times["pushforward"])
            differences.append(gain / error)
            rows.append(
                {
                    "table": table,
                    "family": family,
                    "pushforward": f"{ours.mean():.3f}",
                    "FlowJAX": f"{theirs.mean():.3f}",
                    "difference": f"{gain:.3f} ± {error:.3f}",
                    "pushforward / s": times["pushforward"],
                    "FlowJAX / s": times["FlowJAX"],
                }
            )
            print(rows[-1], flush=True)
    report(
        "conditional",
        f"Test log-likelihood given half of the columns, in nats per row: {ARCHITECTURE}, {steps:,} steps of {batch} "
        f"rows, seeds {seeds}",
        rows,
        [
            at_least("least difference to FlowJAX, in its standard errors", min(differences), -2.0),
            at_most("largest time over FlowJAX's", max(1 / ratio for ratio in ratios), 1.0),
        ],
        notes=__doc__.split("\n\n", 1)[1].strip(),
    )


if __name__ == "__main__":
    tyro.cli(main)
