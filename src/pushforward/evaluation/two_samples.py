"""Whether a classifier tells two samples apart (Friedman, 2003; Lopez-Paz & Oquab, 2017)."""

import warnings

import numpy as np
from jaxtyping import Float


def c2st(
    reference: Float[np.ndarray, "n D"], sample: Float[np.ndarray, "m D"], *, seed: int = 1, folds: int = 5
) -> float:
    """The share of held-out points that a classifier assigns to the right sample: 0.5 where none can tell them apart.

    By the definition of Lueckmann et al., 2021, "Benchmarking simulation-based inference": both in standard deviations
    of the reference, a network of two hidden layers of 10 D units, Adam, five folds.

    Args:
        reference: draws to be trusted.
        sample: draws that are judged.
        seed: of the network and the folds.
        folds: of the cross-validation.

    Raises:
        ValueError: a number is not finite, or one of the reference does not vary.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neural_network import MLPClassifier

    if not (np.isfinite(reference).all() and np.isfinite(sample).all()):
        raise ValueError("a classifier takes finite numbers")
    mean, sd = reference.mean(axis=0), reference.std(axis=0, ddof=1)
    if not (sd > 0).all():
        raise ValueError("a number of the reference does not vary")
    points = np.concatenate([(reference - mean) / sd, (sample - mean) / sd]).astype(np.float32)
    labels = np.repeat([0, 1], [len(reference), len(sample)])
    width = 10 * points.shape[1]
    classifier = MLPClassifier((width, width), max_iter=10_000, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = cross_val_score(
            classifier, points, labels, cv=KFold(folds, shuffle=True, random_state=seed), scoring="accuracy", n_jobs=-1
        )
    return float(scores.mean())
