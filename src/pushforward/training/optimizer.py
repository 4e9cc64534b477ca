"""The optimiser: Adam with a learning-rate schedule and gradient clipping, from Optax."""

from typing import Literal

import optax

Schedule = Literal["cosine", "constant", "linear"]


def adam(
    learning_rate: float, steps: int, *, schedule: Schedule = "cosine", gradient_clip: float = 0.0
) -> optax.GradientTransformation:
    """Adam whose rate goes from `learning_rate` to 0 over `steps` along `schedule`, or stays.

    `gradient_clip` bounds the global norm of each gradient; 0 leaves gradients alone.
    """
    rates = {
        "cosine": optax.cosine_decay_schedule(learning_rate, max(steps, 1)),
        "linear": optax.linear_schedule(learning_rate, 0.0, max(steps, 1)),
        "constant": optax.constant_schedule(learning_rate),
    }
    clip = optax.clip_by_global_norm(gradient_clip) if gradient_clip else optax.identity()
    # One flat vector: a step over many small arrays costs more than its arithmetic.
    return optax.flatten(optax.chain(clip, optax.adam(rates[schedule])))
