"""Units of measured values: what a column name says, and the factor to base units.

Base units are seconds, requests per second, and plain counts.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum


def usd(dollars: float) -> str:
    """Dollars as people write them.

    >>> usd(1234.5), usd(1.2), usd(0.00123), usd(float("nan"))
    ('$1,234', '$1.20', '$0.00123', 'unknown')
    """
    if math.isnan(dollars):
        return "unknown"
    if dollars >= 1000:  # noqa: PLR2004 - whole dollars
        return f"${dollars:,.0f}"
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.3g}"


def significant(value: float, digits: int = 3) -> str:
    """A number of so many significant digits, written out where it is large.

    >>> [significant(x) for x in (3472.2, 1.2e7, 103.4, 12.0, 0.01234, 1.2e-7)]
    ['3,470', '12,000,000', '103', '12', '0.0123', '1.2e-07']
    """
    rounded = f"{value:.{digits}g}"
    return f"{float(rounded):,.0f}" if "e+" in rounded else rounded


def finite(number: float) -> float | None:
    """A number as documents have it: None where it is infinite or not known.

    >>> finite(0.5), finite(float("inf"))
    (0.5, None)
    """
    return number if math.isfinite(number) else None


def ratio_of(log2_ratio: float) -> float | None:
    """The ratio behind its logarithm, None where that is infinite or not known.

    >>> ratio_of(1.0), ratio_of(float("nan"))
    (2.0, None)
    """
    return 2.0**log2_ratio if math.isfinite(log2_ratio) else None


MOST_TIMES = 1000.0


def ratio_number(ratio: float) -> str:
    """A ratio as people say it: two decimals below 10, whole above 100, no number where it is vast.

    >>> [ratio_number(x) for x in (1.5, 12.34, 234.5, 2.3e10)]
    ['1.50', '12.3', '234', 'over 1,000']
    """
    if ratio >= MOST_TIMES:
        return f"over {MOST_TIMES:,.0f}"
    return f"{ratio:.2f}" if ratio < 10 else significant(ratio)  # noqa: PLR2004 - two decimals


class Unit(StrEnum):
    """A unit that a column of measurements may be in."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"
    PER_SECOND = "1/s"
    COUNT = "count"

    @property
    def to_base(self) -> float:
        """Factor from this unit to its base unit."""
        return _TO_BASE[self]

    @property
    def base(self) -> Unit:
        """The unit in which nibai keeps such values."""
        return self if self in (Unit.PER_SECOND, Unit.COUNT) else Unit.SECONDS

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value of this unit is an improvement (only `1/s` implies it)."""
        return self is Unit.PER_SECOND


_TO_BASE = {
    Unit.SECONDS: 1.0,
    Unit.MILLISECONDS: 1e-3,
    Unit.MICROSECONDS: 1e-6,
    Unit.NANOSECONDS: 1e-9,
    Unit.PER_SECOND: 1.0,
    Unit.COUNT: 1.0,
}

_WORDS = {
    word: unit
    for unit, words in {
        Unit.SECONDS: "s sec secs second seconds",
        Unit.MILLISECONDS: "ms msec millis milliseconds",
        Unit.MICROSECONDS: "us usec micros microseconds",
        Unit.NANOSECONDS: "ns nsec nanos nanoseconds",
        Unit.PER_SECOND: "rps qps",
    }.items()
    for word in words.split()
}


def unit_in_name(column: str) -> Unit | None:
    """Unit that a column name states by its last word, or None.

    >>> unit_in_name("latency_ms"), unit_in_name("durationMillis"), unit_in_name("latency")
    (<Unit.MILLISECONDS: 'ms'>, <Unit.MILLISECONDS: 'ms'>, None)
    >>> unit_in_name("requests_per_second")
    <Unit.PER_SECOND: '1/s'>
    """
    if re.search(r"per_?s(ec(ond)?)?$", column, re.IGNORECASE):
        return Unit.PER_SECOND
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", column)
    return _WORDS.get(words[-1].lower()) if len(words) > 1 else None
