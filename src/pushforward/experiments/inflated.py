"""Flows on inflated manifolds: cells that share a backbone, trained side by side in one compiled program."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pushforward import flows, manifolds, states, training
from pushforward.bijections import Bijection, Chain, DiagonalAffine, Frozen, Stack, Volume
from pushforward.distributions import Distribution, FamilyMixture, Normal, Pushforward, StudentT
from pushforward.errors import UserError, nearest
from pushforward.experiments.inflated_data import SHOWN, TEST, Cell, InflatedData

LEARNING_RATE = 1e-3
RECORDS = 10

Optimizer: TypeAlias = optax.GradientTransformation


@dataclass(frozen=True)
class Effort:
    """How much is spent on a cell.

    Attributes:
        seeds: models of each cell.
        steps: updates of each model.
        batch_size: points a step, with fresh noise.
        length: coupling layers; a residual flow has a fifth of them, for about as many parameters.
        width: hidden units of each network, at most; `4 D` where that is less.
        depth: hidden layers of each network.
        side_by_side: models in one program, which bounds the memory.
    """

    seeds: int
    steps: int
    batch_size: int
    length: int
    width: int
    depth: int
    side_by_side: int


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


MakeFlow = Callable[[PRNGKeyArray, int, Distribution, Effort], Pushforward]


def _coupling(recipe: Callable[..., Pushforward], **options: Any) -> MakeFlow:
    """A flow whose layers take turns in which half of the dimensions they move."""

    def make(key: PRNGKeyArray, dim: int, base: Distribution, effort: Effort) -> Pushforward:
        width = min(effort.width, 4 * dim)
        common: dict[str, Any] = {"width": width, "depth": effort.depth, "activation": jax.nn.relu}
        return recipe(key, dim, effort.length, base=base, mixing="reverse", **common, **options)

    return make


def _residual(key: PRNGKeyArray, dim: int, base: Distribution, effort: Effort) -> Pushforward:
    width = min(effort.width, 4 * dim)
    length = max(1, effort.length // 5)
    return flows.residual(key, dim, length, base=base, width=width, depth=effort.depth, exact=dim <= 8)


def _one_varying_layer(key: PRNGKeyArray, dim: int, base: Distribution, effort: Effort) -> Pushforward:
    """Real VP whose base is moved by one affine layer on each half (after Draxler et al., 2024)."""
    key_flow, key_base = jax.random.split(key)
    width = min(effort.width, 4 * dim)
    varying = flows.real_nvp(key_base, dim, 2, base=base, mixing="reverse", width=width, depth=effort.depth)
    return _coupling(flows.real_vp)(key_flow, dim, varying, effort)


FLOWS: dict[str, MakeFlow] = {
    "nice": _coupling(flows.nice),
    "real-vp": _coupling(flows.real_vp),
    "real-nvp": _coupling(flows.real_nvp),
    "residual": _residual,
    "vp-nvp": _one_varying_layer,
    "spline": _coupling(flows.nsf_coupling),
}


BASES: dict[str, Callable[[int], Distribution]] = {
    "trained-normal": partial(Normal.standard, trained=True),
    "normal": Normal.standard,
    "student-t": partial(StudentT.standard, trained=True),
    "families": FamilyMixture.standard,
}


def check_cell(cell: Cell) -> None:
    """Refuse a cell that cannot be run.

    Raises:
        UserError: it has an unknown name in it, or its density is not known exactly.
    """
    for kind, name, known in (("flow", cell.flow, FLOWS), ("base", cell.base, BASES)):
        if name not in known:
            raise UserError(f"unknown {kind} {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    cell.inflated()


def run_cells(
    cells: Sequence[Cell], effort: Effort, seed: int, on_result: Callable[[Cell, dict[str, Any]], None]
) -> None:
    """Train and measure every cell; `on_result` gets each as soon as it is done.

    Cells of one D, flow, base and kind of noise are trained in one program, as many at a time as `effort` allows.
    The result of a cell does not depend on the cells beside it, but for rounding.

    Raises:
        UserError: a cell has an unknown name in it, or its density is not known exactly.
    """

    def program(cell: Cell) -> tuple[Any, ...]:
        return cell.dim, cell.flow, cell.noise, cell.base

    for cell in cells:
        check_cell(cell)
    at_once = max(1, effort.side_by_side // effort.seeds)
    for _, group in groupby(sorted(cells, key=program), key=program):
        together = list(group)
        for start in range(0, len(together), at_once):
            part = together[start : start + at_once]
            for cell, result in zip(part, _run_together(part, effort, seed)):
                on_result(cell, result)


def train_together(
    cells: list[Cell], effort: Effort, seed: int, wrap: Callable[[Optimizer, Member], Optimizer] | None = None
) -> tuple[training.Fit, list[InflatedData]]:
    """The members of cells that fit into one program, seeds next to each other, and the data of each cell.

    Args:
        cells: of one D, flow, base and kind of noise.
        effort: how they are trained.
        seed: of everything random.
        wrap: what is made of the optimiser, such as `stability.traced`, given one member.
    """
    key = jax.random.key(seed)
    data = [InflatedData(cell, seed) for cell in cells]
    make_flow, first = FLOWS[cells[0].flow], cells[0]
    count = len(cells) * effort.seeds
    indices = jnp.arange(count) // effort.seeds, jnp.arange(count) % effort.seeds
    key_flows = jax.random.fold_in(key, 1)

    loc, scale = (jnp.stack(arrays) for arrays in zip(*(each.diagonal for each in data)))

    def make(data: Int[Array, ""], seed: Int[Array, ""]) -> Member:
        flow = make_flow(jax.random.fold_in(key_flows, seed), first.dim, BASES[first.base](first.dim), effort)
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
    optimizer = training.adam(LEARNING_RATE, effort.steps, gradient_clip=10.0)
    trained = training.fit(
        members,
        loss,
        key=key,
        steps=effort.steps,
        optimizer=optimizer if wrap is None else wrap(optimizer, training.member(members, 0)),
        record_every=max(1, effort.steps // RECORDS),
        validate=HeldOutSets(jnp.stack([each.validation for each in data])),
    )
    return trained, data


def _run_together(cells: list[Cell], effort: Effort, seed: int) -> list[dict[str, Any]]:
    trained, data = train_together(cells, effort, seed)
    measured = _measure(trained.model, data, jax.random.fold_in(jax.random.key(seed), 3))
    assert trained.best_steps is not None
    seconds = trained.records[-1].seconds / len(cells)
    results = []
    for index, each in enumerate(data):
        members = range(index * effort.seeds, (index + 1) * effort.seeds)
        rows = [
            {
                **_judge(each, training.member(trained.model.flow, i), training.member(measured, i)),
                "best_step": int(trained.best_steps[i]),
                "diverged_at": (divergence := trained.divergences[i]) and divergence.step,
            }
            for i in members
        ]
        results.append({"cell": asdict(each.cell), "truth": each.truth, "members": rows, "seconds": seconds})
    return results


class _Measured(eqx.Module):
    """What is read off each trained flow, with a leading axis of members.

    Attributes:
        log_q: at the test rows.
        log_q_own: at draws of the flow.
        log_q_along: on the manifold.
        optimal: `log p(x) - log p_base(f^-1(x))` at the first test rows.
        actual: the log-determinant of `f^-1` there.
        layers: mean and standard deviation over the test rows of the log-determinant of each layer of `f^-1`.
    """

    log_q: Float[Array, "..."]
    log_q_own: Float[Array, "..."]
    log_q_along: Float[Array, "..."]
    optimal: Float[Array, "..."]
    actual: Float[Array, "..."]
    layers: Float[Array, "..."]


def _judge(data: InflatedData, flow: Pushforward, measured: _Measured) -> dict[str, Any]:
    """What one trained flow is worth; None where a number is not finite, or has no meaning without noise."""
    log_q = np.asarray(measured.log_q, np.float64)
    result: dict[str, Any] = {"nll": _finite(-log_q.mean()), "layers": _numbers(measured.layers)}
    if data.log_p is None or data.states is None:
        return result
    gap = data.log_p - log_q
    result["kl"], result["kl_std_error"] = _finite(gap.mean()), _finite(gap.std(ddof=1) / math.sqrt(len(gap)))
    if data.cell.noise == "normal":
        on_manifold = data.log_p_along - (np.asarray(measured.log_q_along, np.float64) - data.deflation)
        result["kl_on_manifold"] = _finite(on_manifold.mean())
    result |= {"optimal": _numbers(measured.optimal), "actual": _numbers(measured.actual)}
    own = _own_states(flow, np.asarray(measured.log_q_own, np.float64))
    if own is not None:
        result["w1"] = _finite(states.wasserstein(data.states, own))
        result["w1_centred"] = _finite(states.centred_wasserstein(data.states, own))
        result["mean_gap"] = _finite(states.mean_gap(data.states, own))
    return result


def _own_states(flow: Pushforward, log_q: Float[np.ndarray, " n"]) -> states.DensityOfStates | None:
    """That of the flow itself: of its base, shifted, where its volume is constant; None where a number overflowed."""
    if not np.isfinite(log_q).all():
        return None
    exact = states.closed_form(flow) if flow.bijection.volume is not Volume.VARYING else None
    return states.from_log_densities(log_q) if exact is None else exact


def _measure(members: Member, data: list[InflatedData], key: PRNGKeyArray) -> _Measured:
    """Every member after the other, so that memory does not grow with their number."""
    tests = jnp.stack([each.test for each in data])
    along = jnp.stack([each.along for each in data])
    log_p = jnp.stack(
        [jnp.full(TEST, jnp.nan) if each.log_p is None else jnp.asarray(each.log_p, tests.dtype) for each in data]
    )

    @eqx.filter_jit
    def measure(arrays: Any, static: Any, tests: Array, along: Array, log_p: Array) -> _Measured:
        def one(arrays: Any) -> _Measured:
            member: Member = eqx.combine(arrays, static)
            flow, x = member.flow, tests[member.data]
            z, actual = jax.vmap(flow.bijection.resolve().inverse_and_log_det)(x)
            log_base = flow.base.log_prob(z)
            return _Measured(
                log_base + actual,
                flow.sample_and_log_prob(jax.random.fold_in(key, member.seed), (TEST,))[1],
                flow.log_prob(along[member.data]),
                (log_p[member.data] - log_base)[:SHOWN],
                actual[:SHOWN],
                layer_log_dets(flow.bijection, x),
            )

        measured: _Measured = jax.lax.map(one, arrays)
        return measured

    arrays, static = eqx.partition(members, eqx.is_array)
    measured: _Measured = measure(arrays, static, tests, along, log_p)
    return measured


def layer_log_dets(bijection: Bijection, x: Float[Array, "n D"]) -> Float[Array, "layers 2"]:
    """Mean and standard deviation over rows of the log-determinant of each layer of `f^-1`, the data's side first.

    Only the layers of a `Stack` are told apart, in a `Chain` too.
    """
    parts = bijection.bijections[::-1] if isinstance(bijection, Chain) else (bijection,)
    spreads = []
    for part in parts:
        if isinstance(part, Stack):

            def step(x: Array, layer: Bijection) -> tuple[Array, Array]:
                x, log_det = jax.vmap(layer.inverse_and_log_det)(x)
                return x, jnp.stack([log_det.mean(), log_det.std()])

            x, each = _scan_back(step, x, part)
        else:
            x, log_det = jax.vmap(part.inverse_and_log_det)(x)
            each = jnp.stack([log_det.mean(), log_det.std()])[None]
        spreads.append(each)
    return jnp.concatenate(spreads)


def _scan_back(step: Callable[[Array, Bijection], tuple[Array, Array]], x: Array, stack: Stack) -> tuple[Array, Array]:
    arrays, static = eqx.partition(stack.layers, eqx.is_array)
    return jax.lax.scan(lambda x, layer: step(x, eqx.combine(layer, static)), x, arrays, reverse=True)


def _numbers(array: Array) -> list[Any]:
    """As nested lists, None where a number is not finite."""
    values = np.asarray(array, object)
    values[~np.isfinite(np.asarray(array))] = None
    numbers: list[Any] = values.tolist()
    return numbers


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
