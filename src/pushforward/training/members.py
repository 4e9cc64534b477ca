"""The members of an ensemble: made, taken out, and spread over the devices of the machine."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key, PyTree

from pushforward.batches import BATCH
from pushforward.devices import compiled_for_one_call
from pushforward.errors import UserError
from pushforward.types import PRNGKeyArray

M = TypeVar("M")
T = TypeVar("T")

AXIS = "members"
MOST_IN_TURN = 16


def ensemble(make: Callable[[PRNGKeyArray], M], key: PRNGKeyArray, members: int) -> M:
    """Independent models made by `make`, along a leading axis of every array leaf.

    Args:
        make: from a key to a model.
        key: split among the members.
        members: how many.
    """
    keys, static = jax.random.split(key, members), list[Any]()
    if isinstance(keys, jax.core.Tracer):  # inside of another program
        return eqx.filter_vmap(make)(keys)

    def arrays(keys: Key[Array, " members"]) -> PyTree:
        made, rest = eqx.partition(eqx.filter_vmap(make)(keys), eqx.is_array)
        static.append(rest)
        return made

    made = jax.jit(arrays, compiler_options=compiled_for_one_call())(keys)
    return eqx.combine(made, static[-1])


def member(models: M, index: int) -> M:
    """One model of an ensemble.

    Args:
        models: an ensemble.
        index: of the member.
    """
    return jax.tree.map(lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf, models)


@dataclass(frozen=True)
class Devices:
    """The devices that share an ensemble and its batches.

    Attributes:
        mesh: of two axes: members, which are apart, and the rows of a batch (`batches.divided`).
    """

    mesh: Mesh

    @staticmethod
    def of(members: int, count: int | None = None) -> "Devices":
        """Those for so many members.

        Args:
            members: of the ensemble.
            count: devices; those that the members do not divide evenly divide batches. As many as divide the members,
                and no batch, unless given; of several processes all.

        Raises:
            UserError: there are not so many, or several processes are not to use all.
        """
        devices, processes = np.array(jax.devices()), jax.process_count()
        if count is not None and not 1 <= count <= len(devices):
            raise UserError(f"{count} devices are asked for, and there are {len(devices)}")
        if processes > 1 and count not in (None, len(devices)):
            raise UserError(f"{processes} processes use all of their {len(devices)} devices")
        rows = math.gcd(members, (count or len(devices)) // processes)
        columns = 1 if count is None and processes == 1 else (count or len(devices)) // rows
        # Every process has a part of each batch, and so all members.
        grid = devices[: rows * columns].reshape(processes, rows, -1).swapaxes(0, 1).reshape(rows, columns)
        return Devices(Mesh(grid, (AXIS, BATCH), axis_types=(AxisType.Auto,) * 2))

    @property
    def split(self) -> NamedSharding:
        """Arrays with a leading axis of members, divided among the devices."""
        return NamedSharding(self.mesh, PartitionSpec(AXIS))

    def put(self, tree: T) -> T:
        """Arrays with a leading axis of members, divided among the devices."""
        return _put(tree, self.split)

    def host(self, tree: T) -> T:
        """Arrays of all members as NumPy's."""

        def each(leaf: jax.Array) -> np.ndarray:
            if leaf.is_fully_addressable or leaf.is_fully_replicated:
                return np.asarray(leaf)
            whole = np.empty(leaf.shape, leaf.dtype)
            for shard in leaf.addressable_shards:
                whole[shard.index] = shard.data
            return whole

        return jax.tree.map(each, tree)

    def agreed(self, length: int, stops: bool) -> tuple[int, bool]:
        """How many steps the first process says come next, and whether any process is to stop."""
        if jax.process_count() == 1:
            return length, stops
        from jax.experimental.multihost_utils import process_allgather

        said = process_allgather(np.array([length, stops]))
        return int(said[0, 0]), bool(said[:, 1].any())

    def divided(self, make: Callable[..., T], *arguments: PyTree) -> T:
        """What `make` makes of these arguments, divided among the devices: arrays whose buffers can be given away."""

        def copied(*arguments: PyTree) -> PyTree:
            return jax.tree.map(jnp.copy, make(*arguments))

        return jax.jit(copied, out_shardings=self.split, compiler_options=compiled_for_one_call())(*arguments)

    def compile(self, method: Callable[..., Any], whole: eqx.Module, *, split: int, scalars: int) -> "Program":
        """`method(whole, *arguments)`, compiled, for the members that each device has.

        Args:
            method: of arguments that have a leading axis of members, then scalars.
            whole: its arrays are copied to every device once and are not compiled in.
            split: how many arguments have that axis; the first gives its buffers away.
            scalars: how many arguments follow.
        """
        arrays, static = eqx.partition(whole, eqx.is_array)

        def each(arrays: PyTree, *arguments: PyTree) -> PyTree:
            return method(eqx.combine(arrays, static), *arguments)

        specs = (PartitionSpec(), *[PartitionSpec(AXIS)] * split, *[PartitionSpec()] * scalars)
        # Members are computed apart by hand; what batches need of each other, such as sums of gradients, XLA adds.
        apart = {AXIS} if self.mesh.shape[BATCH] > 1 else {AXIS, BATCH}
        mapped = jax.shard_map(
            each, mesh=self.mesh, in_specs=specs, out_specs=PartitionSpec(AXIS), axis_names=apart, check_vma=False
        )
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        return Program(jax.jit(mapped, donate_argnums=1), _put(arrays, everywhere), everywhere)


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled method, with the arrays of what it belongs to on the devices.

    Attributes:
        function: of these arrays, then of the arguments.
        arrays: on every device.
        sharding: that says so.
    """

    function: Callable[..., Any]
    arrays: PyTree
    sharding: NamedSharding

    def __call__(self, *arguments: Any) -> Any:
        """What the method returns."""
        return self.function(self.arrays, *arguments)

    def of(self, whole: eqx.Module) -> "Program":
        """The same for another module, which differs in the values of arrays alone."""
        return replace(self, arrays=_put(eqx.filter(whole, eqx.is_array), self.sharding))


def _put(tree: T, sharding: NamedSharding) -> T:
    """Arrays on devices, those of other processes among them."""

    def each(leaf: jax.Array) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(jax.device_put(np.asarray(jax.random.key_data(leaf)), sharding))
        return jax.device_put(leaf, sharding)

    return jax.tree.map(each, tree)


def on_all_devices(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """`function` of one member, compiled for so many side by side, which the devices of the machine share.

    Args:
        function: each of its arguments and results gets a leading axis of members.
        count: of the members.
    """
    along = PartitionSpec(AXIS)
    mapped = jax.shard_map(
        jax.vmap(function), mesh=Devices.of(count).mesh, in_specs=along, out_specs=along, check_vma=False
    )
    return jax.jit(mapped)


def over_members(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of one member, for all of them: in turn on a CPU unless they are many, else by `jax.vmap`.

    On CPU, matrix products and convolutions with a batch axis of their weights are far slower, even one of size 1, and
    the arrays of one member stay in the cache (`results/benchmarks/members.md`). Very small arrays of many members are
    quicker side by side.
    """

    def mapped(*trees: PyTree) -> PyTree:
        count = jax.tree.leaves(trees)[0].shape[0]
        if _side_by_side(count):
            return jax.vmap(function)(*trees)
        if count > 1:
            return lax.map(lambda trees: function(*trees), trees)
        result = function(*jax.tree.map(lambda leaf: leaf[0], trees))
        return jax.tree.map(lambda leaf: leaf[None], result)

    return mapped


def _side_by_side(members: int) -> bool:
    """Whether so many members of one device go side by side."""
    return jax.default_backend() != "cpu" or members > MOST_IN_TURN
