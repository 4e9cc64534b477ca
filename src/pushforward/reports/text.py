"""Numbers as text."""

import math

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
    decimals = min(6, max(0, 1 - math.floor(math.log10(std_error))))
    return f"{value:.{decimals}f} ± {std_error:.{decimals}f}".replace("-", MINUS)
