"""The real data that come with scikit-learn."""

from typing import Any

import numpy as np

from pushforward.data.base import Dataset, Split, table
from pushforward.data.tables import Table


def iris(split: Split) -> Dataset:
    """150 irises, 4 lengths in cm (Fisher, 1936)."""
    from sklearn.datasets import load_iris

    return _features("iris", load_iris(), split)


def wine(split: Split) -> Dataset:
    """178 wines, 13 chemical measurements (Forina et al., 1988)."""
    from sklearn.datasets import load_wine

    return _features("wine", load_wine(), split)


def breast_cancer(split: Split) -> Dataset:
    """569 tumours, 30 measurements of cell nuclei (Street et al., 1993)."""
    from sklearn.datasets import load_breast_cancer

    return _features("breast-cancer", load_breast_cancer(), split)


def diabetes(split: Split) -> Dataset:
    """442 patients, 10 measurements in their own units (Efron et al., 2004)."""
    from sklearn.datasets import load_diabetes

    return _features("diabetes", load_diabetes(scaled=False), split)


def linnerud(split: Split) -> Dataset:
    """20 men, counts of 3 exercises (Tenenhaus, 1998)."""
    from sklearn.datasets import load_linnerud

    return _features("linnerud", load_linnerud(), split)


def digits(split: Split) -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels in 17 grey levels (Alpaydin & Kaynak, 1998)."""
    from sklearn.datasets import load_digits

    images = load_digits().images.astype(np.uint8)[..., None]
    train, validation, test = (images[rows] for rows in split.rows(len(images)))
    return Dataset("digits", train, validation, test, levels=17)


def _features(name: str, bunch: Any, split: Split) -> Dataset:
    return table(name, Table(bunch.data.astype(np.float64), tuple(map(str, bunch.feature_names))), split)


EMBEDDED = {
    "iris": iris,
    "wine": wine,
    "breast-cancer": breast_cancer,
    "diabetes": diabetes,
    "linnerud": linnerud,
    "digits": digits,
}
