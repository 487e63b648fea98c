"""CloudWatch statistics of raw values (Statistics-definitions.html; conventions: aws.md, 12).

Absolute ranges are (lo, hi], percent ranges become quantiles and are inclusive at both ends,
percentiles interpolate linearly, WM clips, TM of an empty range has no value. What is not
documented can be switched: `empty_bucket_is_zero`. Values are sorted once per period by the caller.
"""

import math
import re
from bisect import bisect_left, bisect_right
from functools import cache

import numpy as np

RANGE = re.compile(r"(TM|TC|TS|WM|PR)\(([^:)]*):([^:)]*)\)")
SHORT = re.compile(r"(tm|tc|ts|wm)(\d+(?:\.\d+)?)")
PERCENTILE = re.compile(r"p(\d+(?:\.\d{1,10})?)")
BASE = {
    "SampleCount": len,
    "Sum": math.fsum,
    "Average": lambda values: math.fsum(values) / len(values),
    "Minimum": lambda values: values[0],
    "Maximum": lambda values: values[-1],
}


class UnknownStatisticError(ValueError):
    """The service answers ValidationError."""


def statistic(name, values, *, empty_bucket_is_zero=True):
    """The value of a statistic over a period's raw values; None: no datapoint."""
    ordered = np.sort(np.asarray(values, dtype=float)).tolist()
    return parsed(name)(ordered, empty_bucket_is_zero) if ordered else None


@cache
def parsed(name):
    """What computes a statistic of sorted values (a list) and `empty_bucket_is_zero`."""
    if name in BASE:
        return lambda values, _zero: float(BASE[name](values))
    if name == "IQM":
        name = "TM(25%:75%)"
    if match := PERCENTILE.fullmatch(name):
        share = float(match.group(1)) / 100
        if not 0 <= share <= 1:
            raise UnknownStatisticError(name)
        return lambda values, _zero: None if values[0] < 0 else _quantile(values, share)
    if match := SHORT.fullmatch(name):
        name = f"{match.group(1).upper()}(:{match.group(2)}%)"
    if match := RANGE.fullmatch(name):
        kind, low, high = match.groups()
        percent = "%" in low + high
        ends = [float(end.rstrip("%")) if end else default for end, default in (
            (low, 0.0 if percent else -math.inf), (high, 100.0 if percent else math.inf),
        )]  # fmt: skip
        return lambda values, zero: _over_range(kind, ends, values, percent=percent, zero=zero)
    raise UnknownStatisticError(name)


@cache
def each_period(name):
    """What computes a statistic of many periods: sorted values one after the other, `firsts`.

    Trimmed counts (asked by the hundred) and base statistics are computed for all at once.
    """
    match = RANGE.fullmatch(name)
    if match and match.group(1) == "TC" and "%" not in name:
        low, high = (float(end) if end else default for end, default in (
            (match.group(2), -math.inf), (match.group(3), math.inf),
        ))  # fmt: skip
        return lambda values, firsts, zero: _counts(values, firsts, (low, high), zero=zero)
    if name in REDUCED:
        return lambda values, firsts, _zero: REDUCED[name](values, firsts).tolist()
    one = parsed(name)
    return lambda values, firsts, zero: [
        one(part.tolist(), zero) for part in np.split(values, firsts[1:])
    ]


REDUCED = {
    "SampleCount": lambda values, firsts: np.diff(np.append(firsts, len(values))).astype(float),
    "Sum": np.add.reduceat,
    "Minimum": np.minimum.reduceat,
    "Maximum": np.maximum.reduceat,
}


def _counts(values, firsts, bounds, *, zero):
    inside = (values > bounds[0]) & (values <= bounds[1])
    counts = np.add.reduceat(inside.astype(float), firsts).tolist()
    negative = values[firsts] < 0
    if zero and not negative.any():
        return counts
    return [
        None if bad or not (count or zero) else count
        for count, bad in zip(counts, negative.tolist(), strict=True)
    ]


def _over_range(kind, ends, values, *, percent, zero):
    if values[0] < 0:
        return None
    bounds = [_quantile(values, end / 100) for end in ends] if percent else ends
    if kind == "WM":
        return float(np.mean(np.clip(values, *bounds)))
    first = bisect_left(values, bounds[0]) if percent else bisect_right(values, bounds[0])
    count = max(bisect_right(values, bounds[1]) - first, 0)
    if kind == "PR":
        return 100 * count / len(values)
    if kind == "TC":
        return float(count) if count or zero else None
    if not count:
        return None
    total = math.fsum(values[first : first + count])
    return total / count if kind == "TM" else total


def _quantile(values, share):
    position = share * (len(values) - 1)
    below = math.floor(position)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (position - below)
