"""Flows on inflated manifolds: cells that share a backbone, trained side by side in one compiled program."""

import math
from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from pushforward import manifolds, training
from pushforward.bijections import Chain, DiagonalAffine, Frozen
from pushforward.distributions import Distribution, Pushforward
from pushforward.errors import UserError, nearest
from pushforward.studies.density_of_states.data import DIAGONALS, Cell, InflatedData
from pushforward.studies.density_of_states.effort import Effort
from pushforward.studies.density_of_states.flows import BASES, FLOWS
from pushforward.types import PRNGKeyArray

Optimizer: TypeAlias = optax.GradientTransformation


def check_cell(cell: Cell) -> None:
    """Refuse a cell that cannot be run.

    Raises:
        UserError: it has an unknown name in it, or its density is not known exactly.
    """
    kinds = ("flow", cell.flow, FLOWS), ("base", cell.base, BASES), ("diagonal", cell.diagonal, DIAGONALS)
    for kind, name, known in kinds:
        if name not in known:
            raise UserError(f"unknown {kind} {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    cell.inflated()


class Member(eqx.Module):
    """A flow and which data it is trained on: an ensemble of these is trained on many data sets at once.

    Attributes:
        flow: the model.
        data: index of its data set.
        seed: index of its stream of batches: models of one seed see the same noise.
    """

    flow: Pushforward
    data: Int[Array, "..."]
    seed: Int[Array, "..."]


class FreshNoise(eqx.Module):
    """`-E[log q(x)]` over points of each manifold with fresh noise, in nats.

    Attributes:
        points: of each data set, without noise, `(sets, n, D)`.
        scales: of the noise of each data set.
        noise: what kind.
        key: of all batches.
        batch_size: points a step.
    """

    points: Float[Array, "sets n D"]
    scales: Float[Array, " sets"]
    noise: Distribution
    key: PRNGKeyArray
    batch_size: int = eqx.field(static=True)

    def __call__(self, member: Member, key: PRNGKeyArray, step: Int[Array, ""]) -> Float[Array, ""]:
        """The loss of one step; what the loop gives as key depends on who is trained beside, and is not used."""
        key_rows, key_noise = jax.random.split(jax.random.fold_in(jax.random.fold_in(self.key, member.seed), step))
        rows = jax.random.randint(key_rows, (self.batch_size,), 0, self.points.shape[1])
        noise = jax.lax.stop_gradient(self.noise.sample(key_noise, (self.batch_size,)))
        return -jnp.mean(member.flow.log_prob(self.points[member.data, rows] + self.scales[member.data] * noise))


class HeldOutSets(eqx.Module):
    """`-E[log q(x)]` over the validation rows of each member's data set, in nats."""

    rows: Float[Array, "sets n D"]

    def __call__(self, member: Member) -> Float[Array, ""]:
        return -jnp.mean(member.flow.log_prob(self.rows[member.data]))


def train_together(
    cells: list[Cell], effort: Effort, seed: int, wrap: Callable[[Optimizer, Member], Optimizer] | None = None
) -> tuple[training.Fit[Member], list[InflatedData]]:
    """The members of cells that fit into one program, seeds next to each other, and the data of each cell.

    Args:
        cells: of one D, flow, base, diagonal and kind of noise.
        effort: how they are trained.
        seed: of everything random.
        wrap: what is made of the optimiser, such as `stability.traced`, given one member.
    """
    key = jax.random.key(seed)
    data = [InflatedData(cell, effort.points, seed) for cell in cells]
    make_flow, first = FLOWS[cells[0].flow], cells[0]
    count = len(cells) * effort.seeds
    indices = jnp.arange(count) // effort.seeds, jnp.arange(count) % effort.seeds
    key_flows = jax.random.fold_in(key, 1)

    loc, scale = (jnp.stack(arrays) for arrays in zip(*(each.diagonal for each in data)))

    def make(data: Int[Array, ""], seed: Int[Array, ""]) -> Member:
        base = BASES[first.base](first.dim, first.diagonal in ("matched", "trained"))
        flow = make_flow(jax.random.fold_in(key_flows, seed), first.dim, base, effort)
        diagonal = Frozen(DiagonalAffine(loc[data], jnp.log(scale[data])))
        return Member(Pushforward(flow.base, Chain((flow.bijection, diagonal))), data, seed)

    loss = FreshNoise(
        jnp.stack([each.points for each in data]),
        jnp.array([math.sqrt(cell.variance) for cell in cells]),
        manifolds.NOISES[first.noise]().law(first.dim),
        jax.random.fold_in(key, 2),
        effort.batch_size,
    )
    members = eqx.filter_jit(eqx.filter_vmap(make))(*indices)
    optimizer = training.adam(effort.learning_rate, effort.steps, gradient_clip=effort.gradient_clip)
    trained = training.fit(
        members,
        loss,
        key=key,
        steps=effort.steps,
        optimizer=optimizer if wrap is None else wrap(optimizer, training.member(members, 0)),
        record_every=effort.validate_every,
        validate=HeldOutSets(jnp.stack([each.validation for each in data])),
        patience=effort.patience,
        progress=False,
    )
    return trained, data
