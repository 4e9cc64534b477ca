"""Checkpoints of training, written by Orbax: whole or not at all."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

from pushforward.errors import UserError

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

T = TypeVar("T")


class CheckpointError(UserError):
    """A checkpoint cannot be written or read."""


class Checkpoints:
    """The checkpoints of one run, a folder each, named by the steps done.

    The newest is kept, and those at the steps in `keep`. A checkpoint holds its arrays by their path in the pytree, so
    that one of another model is told apart by name.

    Args:
        folder: made when the first checkpoint is written.
        keep: steps at which a checkpoint is written and kept.
        every_seconds: how much training may be lost at most.
        on_saved: called when one is written.
    """

    def __init__(
        self,
        folder: Path,
        keep: Collection[int] = (),
        every_seconds: float = 10.0,
        on_saved: Callable[[], None] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.keep = sorted(keep)
        self.every_seconds = every_seconds
        self.on_saved = on_saved
        self._saved_at = time.monotonic()

    def _manager(self) -> "ocp.CheckpointManager":
        # Imported on use: training without checkpoints starts in less time.
        import orbax.checkpoint as ocp

        kept, process = ocp.checkpoint_managers.preservation_policy, jax.process_index()
        # Every process is the only one to write where it does.
        alone = ocp.options.MultiprocessingOptions(process, {process}, f"process-{process}")
        options = ocp.CheckpointManagerOptions(
            create=False,
            multiprocessing_options=alone,
            preservation_policy=kept.AnyPreservationPolicy([kept.LatestN(1), kept.CustomSteps(self.keep)]),
            enable_async_checkpointing=False,
        )
        return ocp.CheckpointManager(self.folder, options=options)

    def steps(self) -> list[int]:
        """Steps that have a whole checkpoint, ascending."""
        if not self.folder.is_dir():
            return []
        with self._manager() as manager:
            return sorted(manager.all_steps())

    def next_kept(self, step: int) -> int | None:
        """The next step after `step` that must have a checkpoint."""
        return next((kept for kept in self.keep if kept > step), None)

    def due(self, step: int) -> bool:
        """Whether a checkpoint should be written now."""
        return step in self.keep or time.monotonic() - self._saved_at > self.every_seconds

    def save(self, step: int, state: object) -> None:
        """Write `state`, a pytree of arrays.

        Args:
            step: steps done.
            state: a pytree of arrays.

        Raises:
            CheckpointError: it cannot be written; earlier checkpoints are untouched.
        """
        from orbax.checkpoint.args import StandardSave

        leaves = {
            jax.tree_util.keystr(path): np.asarray(leaf)
            for path, leaf in jax.tree.leaves_with_path(state)
            if leaf.size  # Orbax refuses arrays without elements, such as those of a stack of no layers.
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._manager() as manager:
                manager.save(step, args=StandardSave(leaves), force=True)
        except Exception as error:
            raise CheckpointError(
                f"cannot write the checkpoint of step {step}: {_reason(error)}; {self.describe()}"
            ) from error
        self._saved_at = time.monotonic()
        if self.on_saved is not None:
            self.on_saved()

    def describe(self) -> str:
        """Where the newest checkpoint is, for messages."""
        steps = self.steps()
        return f"the last good checkpoint is {self.folder / str(steps[-1])}" if steps else "there is no checkpoint"

    def restore(self, step: int, template: T, sharding: Sharding | None = None, *, exact: bool = True) -> T:
        """The pytree saved at `step`, in the structure of `template`; what only the checkpoint has is left out.

        Args:
            step: of the checkpoint.
            template: a pytree of the same structure.
            sharding: of every array.
            exact: whether the precision must be that of `template` too, or is that of the checkpoint.

        Raises:
            CheckpointError: it cannot be read, or lacks an array of `template`, or has it otherwise.
        """
        from orbax.checkpoint.args import StandardRestore

        try:
            with self._manager() as manager:
                leaves = manager.restore(step, args=StandardRestore())
        except Exception as error:
            raise CheckpointError(f"cannot read the checkpoint {self.folder / str(step)}: {_reason(error)}") from error

        def restored(path: tuple[object, ...], leaf: jax.Array | jax.ShapeDtypeStruct) -> jax.Array:
            if not leaf.size:
                return jnp.zeros(leaf.shape, leaf.dtype)
            name = jax.tree_util.keystr(path)
            saved = leaves.get(name)
            if saved is not None and saved.dtype == np.float64 and not jax.config.jax_enable_x64:
                raise CheckpointError(
                    f"the checkpoint {self.folder / str(step)} is in double precision: set JAX_ENABLE_X64=1 to open it"
                )
            kinds = None if saved is None else (saved.shape, saved.dtype.kind)
            if saved is None or kinds != (leaf.shape, leaf.dtype.kind) or (exact and saved.dtype != leaf.dtype):
                found = "is missing" if saved is None else f"has shape {saved.shape}, dtype {saved.dtype}"
                raise CheckpointError(
                    f"the checkpoint {self.folder / str(step)} is of another model: {name} {found}, "
                    f"not shape {leaf.shape}, dtype {leaf.dtype}"
                )
            return jax.device_put(saved, sharding)

        return jax.tree.map_with_path(restored, template)


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
