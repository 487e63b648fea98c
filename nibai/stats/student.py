"""Student's t, by scipy.special: importing scipy.stats would cost every command half a second."""

from __future__ import annotations

import math


def critical_value(level: float, df: float) -> float:
    """The two-sided critical value: P(|T| <= result) = level; infinite without freedom.

    >>> round(critical_value(0.95, 23), 3), critical_value(0.95, 0)
    (2.069, inf)
    """
    if df <= 0:
        return math.inf
    from scipy.special import stdtrit  # noqa: PLC0415 - keeps `import nibai.stats` light

    return float(stdtrit(df, 0.5 + level / 2))


def lower_tail(t: float, df: float) -> float:
    """P(T <= t); one half when there is no freedom at all."""
    if df <= 0 or math.isnan(t):
        return 0.5
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    from scipy.special import stdtr  # noqa: PLC0415 - keeps `import nibai.stats` light

    return float(stdtr(df, t))
