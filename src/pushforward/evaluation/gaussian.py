"""The Gaussian with the mean and covariance of some rows: what a flow trained on them has to beat."""

import numpy as np
import scipy
from jaxtyping import Float


def gaussian_log_likelihoods(
    train: Float[np.ndarray, "n D"], rows: Float[np.ndarray, "m D"]
) -> Float[np.ndarray, " m"] | None:
    """The log-density of each row under the Gaussian with the mean and covariance of `train`, in nats.

    None where there is no such density: the covariance is singular in double precision.
    """
    train, rows = np.asarray(train, np.float64), np.asarray(rows, np.float64)
    scale = train.std(axis=0)
    if len(train) < 2 or not scale.all():
        return None
    centred = (train - train.mean(axis=0)) / scale
    try:
        factor = np.linalg.cholesky(centred.T @ centred / (len(train) - 1))
    except np.linalg.LinAlgError:
        return None
    law = scipy.stats.multivariate_normal(cov=scipy.stats.Covariance.from_cholesky(factor))
    standardised = np.asarray(law.logpdf((rows - train.mean(axis=0)) / scale)).reshape(len(rows))
    return standardised - np.log(scale).sum()
