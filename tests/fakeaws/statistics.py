"""CloudWatch statistics of raw values (Statistics-definitions.html; conventions: aws.md, 12).

Absolute ranges are (lo, hi], percent ranges become quantiles and are inclusive at both ends,
percentiles interpolate linearly, WM clips, TM of an empty range has no value. What is not
documented can be switched: `empty_bucket_is_zero`.
"""

import math
import re

import numpy as np

BASE = {
    "SampleCount": len,
    "Sum": np.sum,
    "Average": np.mean,
    "Minimum": np.min,
    "Maximum": np.max,
}
RANGE = re.compile(r"(TM|TC|TS|WM|PR)\(([^:)]*):([^:)]*)\)")
SHORT = re.compile(r"(tm|tc|ts|wm)(\d+(?:\.\d+)?)")
PERCENTILE = re.compile(r"p(\d+(?:\.\d{1,10})?)")


class UnknownStatisticError(ValueError):
    """The service answers ValidationError."""


def statistic(name, values, *, empty_bucket_is_zero=True):
    """The value of a statistic over a period's raw values; None: no datapoint."""
    values = np.asarray(values, dtype=float)
    if not len(values):
        return None
    if name in BASE:
        return float(BASE[name](values))
    if name == "IQM":
        name = "TM(25%:75%)"
    if match := PERCENTILE.fullmatch(name):
        share = float(match.group(1)) / 100
        if not 0 <= share <= 1:
            raise UnknownStatisticError(name)
        return None if values.min() < 0 else float(np.quantile(values, share))
    if match := SHORT.fullmatch(name):
        name = f"{match.group(1).upper()}(:{match.group(2)}%)"
    if match := RANGE.fullmatch(name):
        return _over_range(*match.groups(), values, empty_bucket_is_zero)
    raise UnknownStatisticError(name)


def _over_range(kind, low, high, values, empty_bucket_is_zero):
    if values.min() < 0:
        return None
    bounds, inclusive = _bounds(low, high, values)
    if kind == "WM":
        return float(np.mean(np.clip(values, *bounds)))
    above = values >= bounds[0] if inclusive else values > bounds[0]
    inside = values[above & (values <= bounds[1])]
    if kind == "PR":
        return 100 * len(inside) / len(values)
    if kind == "TC":
        return float(len(inside)) if len(inside) or empty_bucket_is_zero else None
    if not len(inside):
        return None
    return float(inside.mean() if kind == "TM" else inside.sum())


def _bounds(low, high, values):
    if "%" in low + high:
        shares = [float((low or "0").rstrip("%")), float((high or "100").rstrip("%"))]
        return [float(np.quantile(values, share / 100)) for share in shares], True
    return [float(low) if low else -math.inf, float(high) if high else math.inf], False
