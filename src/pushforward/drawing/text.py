"""Numbers as text."""

import math
from collections.abc import Sequence

DASH = "\N{EM DASH}"
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, std_error: float | None = None) -> str | None:
    """A number as text, to four digits or as its standard error allows; None where there is no finite number.

    Example:
        >>> number(1.23456, 0.0123)
        '1.235 ± 0.012'
    """
    if value is None or not math.isfinite(value):
        return None
    if std_error is None or not 0 < std_error < math.inf:
        size = abs(value)
        decimals = max(0, 3 - math.floor(math.log10(size))) if size >= 0.1 else 4
        return (f"{value:.{decimals}f}" if 1e-3 <= size < 1e6 else f"{value:.3g}").replace("-", MINUS)
    decimals = _decimals(std_error)
    return f"{value:.{decimals}f} ± {std_error:.{decimals}f}".replace("-", MINUS)


def with_interval(value: float | None, interval: Sequence[float] | None) -> str | None:
    """A number and its interval as text, to as many digits as its width allows; None where there is no number.

    Example:
        >>> with_interval(1.23456, (1.21, 1.26))
        '1.235 [1.210, 1.260]'
    """
    low, high = interval or (0.0, 0.0)
    if value is None or not math.isfinite(value) or not 0 < high - low < math.inf:
        return number(value)
    decimals = _decimals((high - low) / 4)
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]".replace("-", MINUS)


def bound(value: float | None, low: float, high: float) -> str | None:
    """A lower bound with its interval as text; only the upper end where the interval reaches 0.

    Example:
        >>> bound(0.0003, 0.0, 0.0003)
        '< 0.0003'
    """
    return f"< {number(high)}" if value is not None and low <= 0 else with_interval(value, (low, high))


def _decimals(error: float) -> int:
    """Decimals that show two digits of an error."""
    return min(6, max(0, 1 - math.floor(math.log10(error))))
