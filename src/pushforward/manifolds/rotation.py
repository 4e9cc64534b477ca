"""Random rotations."""

import numpy as np
from jaxtyping import Float


def rotation(seed: int, dim: int) -> Float[np.ndarray, "dim dim"]:
    """A rotation drawn uniformly from SO(dim), the same for the same seed.

    The QR decomposition of a normal matrix with the signs that make it unique (Mezzadri, 2007, "How to generate random
    matrices from the classical compact groups", section 5).

    Args:
        seed: of the random rotation.
        dim: dimensions D.
    """
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))
    q *= np.sign(np.diag(r))
    q[:, 0] *= np.linalg.slogdet(q).sign
    return q
