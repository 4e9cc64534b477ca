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
from scipy.stats import t

from pushforward import flows, manifolds, states, training
from pushforward.bijections import Bijection, Chain, DiagonalAffine, Frozen, Scaling, Stack, Volume
from pushforward.distributions import (
    Distribution,
    FamilyMixture,
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Normal,
    Pushforward,
    StudentT,
)
from pushforward.errors import UserError, nearest
from pushforward.experiments.inflated_data import DIAGONALS, SHOWN, TEST, Cell, InflatedData, drawn_states

LEVEL = 0.95
POWER = 32.0

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
        points: of the manifold, to train on.
        learning_rate: of Adam, at the start of a cosine schedule.
        gradient_clip: largest global norm of a gradient; 0 for none.
        scale: largest log scale of an affine layer at the start.
        validate_every: steps between two validations, the best of which is kept.
        patience: steps without a better validation of any model in the program after which it stops; never if None.
    """

    seeds: int
    steps: int
    batch_size: int
    length: int
    width: int
    depth: int
    side_by_side: int
    points: int = 1_000
    learning_rate: float = 1e-3
    gradient_clip: float = 10.0
    scale: float = 2.0
    validate_every: int = 40
    patience: int | None = None


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


def _coupling(recipe: Callable[..., Pushforward]) -> MakeFlow:
    """A flow whose layers take turns in which half of the dimensions they move."""

    def make(key: PRNGKeyArray, dim: int, base: Distribution, effort: Effort) -> Pushforward:
        width = min(effort.width, 4 * dim)
        common: dict[str, Any] = {"width": width, "depth": effort.depth, "activation": jax.nn.relu}
        return recipe(key, dim, effort.length, base=base, mixing="reverse", **common)

    return make


def _affine(recipe: Callable[..., Pushforward]) -> MakeFlow:
    """Coupling layers with scales."""

    def make(key: PRNGKeyArray, dim: int, base: Distribution, effort: Effort) -> Pushforward:
        return _coupling(partial(recipe, scale=effort.scale))(key, dim, base, effort)

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
    return _affine(flows.real_vp)(key_flow, dim, varying, effort)


FLOWS: dict[str, MakeFlow] = {
    "nice": _coupling(flows.nice),
    "real-vp": _affine(flows.real_vp),
    "real-nvp": _affine(flows.real_nvp),
    "residual": _residual,
    "vp-nvp": _one_varying_layer,
    "spline": _coupling(flows.nsf_coupling),
}


MakeBase = Callable[[int, bool], Distribution]


def _scaled_normal(dim: int, trained: bool) -> Distribution:
    """`N(0, s^2 I)` with s trained, whatever the diagonal."""
    return Pushforward(Normal.standard(dim), Scaling.identity(dim))


def _uniform(dim: int, trained: bool) -> Distribution:
    """Uniform of variance 1 but for its walls, which have a gradient: a generalised normal whose power is held."""
    scale = jnp.full(dim, 0.5 * math.log(3))
    walls = GeneralizedNormal(jnp.zeros(dim), scale, False, log_beta=jnp.full(dim, math.log(POWER)))
    return Pushforward(walls, DiagonalAffine.identity(dim)) if trained else walls


def _families(dim: int, trained: bool) -> Distribution:
    """A trained mixture in each dimension, whatever the diagonal."""
    return FamilyMixture.standard(dim, (Normal, Gumbel, Laplace, GeneralizedNormal))


BASES: dict[str, MakeBase] = {
    "normal": Normal.standard,
    "scaled-normal": _scaled_normal,
    "student-t": StudentT.standard,
    "uniform": _uniform,
    "families": _families,
}


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


def run_cells(
    cells: Sequence[Cell], effort: Effort, seed: int, on_result: Callable[[Cell, dict[str, Any]], None]
) -> None:
    """Train and measure every cell; `on_result` gets each as soon as it is done.

    Cells of one D, flow, base, diagonal and kind of noise are trained in one program, as many at a time as `effort`
    allows. The result of a cell does not depend on the cells beside it, but for rounding.

    Raises:
        UserError: a cell has an unknown name in it, or its density is not known exactly.
    """

    def program(cell: Cell) -> tuple[Any, ...]:
        return cell.dim, cell.flow, cell.noise, cell.base, cell.diagonal

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
        result = {"cell": asdict(each.cell), "truth": each.truth, "members": rows, "seconds": seconds}
        if each.log_p is not None:
            gaps = each.log_p - np.asarray(measured.log_q[members.start : members.stop], np.float64)
            result["intervals"] = {"kl": mean_interval(gaps)}
        results.append(result)
    return results


def mean_interval(gaps: Float[np.ndarray, "seeds rows"]) -> tuple[float, float] | None:
    """95% interval of the mean of `gaps` over seeds and rows, both of which are samples; seeds that diverged left out.

    Its variance is that between the seeds plus that between the rows, which is a little too much (Owen, 2007, "The
    pigeonhole bootstrap", section 3); the quantile is that of Student's t for the seeds. Of one seed it is that of the
    rows alone.
    """
    gaps = gaps[np.isfinite(gaps).all(axis=1)]
    seeds, rows = gaps.shape
    if seeds == 0:
        return None
    of_rows = gaps.mean(axis=0).var(ddof=1) / rows
    of_seeds = gaps.mean(axis=1).var(ddof=1) / seeds if seeds > 1 else 0.0
    margin = t(max(seeds - 1, rows * (seeds == 1))).ppf((1 + LEVEL) / 2) * math.sqrt(of_rows + of_seeds)
    return float(gaps.mean() - margin), float(gaps.mean() + margin)


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
    result: dict[str, Any] = {"nll": finite_or_none(-log_q.mean()), "layers": _numbers(measured.layers)}
    if data.log_p is None or data.states is None:
        return result
    gap = data.log_p - log_q
    result["kl"], result["kl_std_error"] = (
        finite_or_none(gap.mean()),
        finite_or_none(gap.std(ddof=1) / math.sqrt(len(gap))),
    )
    if data.cell.noise == "normal":
        log_q_along = np.asarray(measured.log_q_along, np.float64) - data.deflation
        result["kl_on_manifold"] = finite_or_none(float(np.mean(data.log_p_along - log_q_along)))
        if np.isfinite(log_q_along).all():
            result["states_on_manifold"] = drawn_states(states.from_log_densities(log_q_along))
    result |= {"optimal": _numbers(measured.optimal), "actual": _numbers(measured.actual)}
    own = _own_states(flow, np.asarray(measured.log_q_own, np.float64))
    if own is not None:
        result["w1"] = finite_or_none(states.wasserstein(data.states, own))
        result["w1_centred"] = finite_or_none(states.centred_wasserstein(data.states, own))
        result["mean_gap"] = finite_or_none(states.mean_gap(data.states, own))
        result["states"] = drawn_states(own)
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


def finite_or_none(value: float) -> float | None:
    """A number that JSON can hold."""
    return float(value) if np.isfinite(value) else None
