"""A trained flow as a NumPy archive."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from pushforward.bijections import Bijection
from pushforward.distributions import Pushforward
from pushforward.errors import UserError
from pushforward.experiments.runs import Run


def write_export(run: Run, n: int, out: Path | None, seed: int) -> Path:
    """Write every parameter of a trained flow, and `n` samples to check a reimplementation by.

    The archive holds `base_samples`, `(n, *base shape)`; `samples`, what they become, `(n, *event shape)`; `log_prob`,
    `(n,)`, in nats; and each array of the flow under its path, such as `parameters/.bijection.layers.w`.

    Returns:
        The file.

    Raises:
        UserError: `n` is less than 1, the file's name does not end in .npz, or the run is not finished.
    """
    path = run.folder / "flow.npz" if out is None else out
    if n < 1:
        raise UserError(f"-n must be 1 or more, got {n}")
    if path.suffix != ".npz":
        raise UserError(f"--out must end in .npz, got {path}")
    flow = run.flow
    if not isinstance(flow, Pushforward):
        raise TypeError(f"{run.folder} holds a {type(flow).__name__}, which has no base")
    base_samples, samples, log_prob = _draw(flow, jax.random.key(seed), n)
    parameters: dict[str, Any] = {
        f"parameters/{jax.tree_util.keystr(name)}": np.asarray(leaf)
        for name, leaf in jax.tree.leaves_with_path(eqx.filter(flow, eqx.is_array))
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, base_samples=base_samples, samples=samples, log_prob=log_prob, **parameters)
    return path


@eqx.filter_jit
def _draw(flow: Pushforward, key: jax.Array, n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    base_samples, log_prob = flow.base.sample_and_log_prob(key, (n,))
    bijection: Bijection = flow.bijection.resolve()
    samples, log_det = jax.vmap(bijection.forward_and_log_det)(base_samples)
    return base_samples, samples, log_prob - log_det
