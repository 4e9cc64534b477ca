"""How much is spent on a flow of a study of densities of states."""

from dataclasses import dataclass


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


SMOKE = Effort(seeds=5, steps=400, batch_size=32, length=10, width=32, depth=2, side_by_side=100)
PAPER = Effort(
    seeds=5,
    steps=50_000,
    batch_size=32,
    length=10,
    width=784,
    depth=3,
    side_by_side=5,
    validate_every=250,
    patience=10_000,
)
