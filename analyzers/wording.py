"""Findings in words: ratios, intervals, durations. A ratio below 1 is said as "slower"."""

from __future__ import annotations

import math

from nibai.claims import quantile_label
from nibai.model import Claim, Promise
from nibai.stats.replication import orders
from nibai.stats.verdict import MANY_RUNS
from nibai.units import ratio_number

_WORDS = {True: ("faster", "slower"), False: ("better", "worse")}


def ratio_text(log2_value: float, *, timed: bool = True) -> str:
    """A log2 ratio as people say it.

    >>> ratio_text(1.0), ratio_text(-0.5), ratio_text(0.0), ratio_text(0.3, timed=False)
    ('2.00x faster', '1.41x slower', 'unchanged', '1.23x better')
    """
    better, worse = _WORDS[timed]
    if math.isnan(log2_value):
        return "unknown"
    text = times(2 ** abs(log2_value))
    if text == "1.00x":
        return "unchanged"
    return f"{text} {better if log2_value > 0 else worse}"


def interval_text(value: float, low: float, high: float, *, timed: bool = True) -> str:
    """A log2 ratio with its interval.

    >>> interval_text(1.0, 0.8, 1.2), interval_text(-0.5, -0.7, -0.3)
    ('2.00x faster [1.74, 2.30]', '1.41x slower [1.23, 1.62]')
    >>> interval_text(0.1, -0.1, 0.3), interval_text(1.0, -math.inf, math.inf)
    ('1.07x faster [1.07x slower to 1.23x faster]', '2.00x faster [no bound]')
    """
    if math.isinf(value):
        return _one_sided(value, low, high, timed=timed)
    head = ratio_text(value, timed=timed)
    if not math.isfinite(low) and not math.isfinite(high):
        return f"{head} [no bound]"
    if low >= 0 and value >= 0 and math.isfinite(high):
        return f"{head} [{ratio_number(2**low)}, {ratio_number(2**high)}]"
    if high <= 0 and value <= 0 and math.isfinite(low):
        return f"{head} [{ratio_number(2**-high)}, {ratio_number(2**-low)}]"
    bounds = [
        ratio_text(bound, timed=timed) if math.isfinite(bound) else "no bound"
        for bound in (low, high)
    ]
    return f"{head} [{bounds[0]} to {bounds[1]}]"


def _one_sided(value: float, low: float, high: float, *, timed: bool) -> str:
    """What is left when one side's quantile lies among failed requests."""
    bound = high if value < 0 else low
    if not math.isfinite(bound):
        return "beyond any bound, among failed requests"
    side = "at least" if (bound < 0) == (value < 0) else "at most"
    return f"{side} {ratio_text(bound, timed=timed)} (the quantile lies among failed requests)"


def times(ratio: float) -> str:
    """A ratio with three significant digits, at least two decimals below 10.

    >>> times(2), times(14.61), times(1.004)
    ('2.00x', '14.6x', '1.00x')
    """
    return f"{ratio_number(ratio)}x"


def promised(claim: Claim) -> str:
    """What a speed claim asks for, as the end of a sentence.

    >>> promised(Claim(Promise.FASTER, 2.0)), promised(Claim(Promise.NO_SLOWER, 0.05))
    ('2x', 'no more than 5% slower')
    """
    if claim.promise is Promise.NO_SLOWER:
        text = f"no more than {claim.amount * 100:g}% slower" if claim.amount else "not slower"
    else:
        text = f"{claim.amount:g}x"
    return text + (f" within {claim.margin * 100:g}%" if claim.margin else "")


def subject(claim: Claim) -> str:
    """What a claim is about: quantile, metric and segment."""
    words = [quantile_label(claim.quantile)] if claim.quantile is not None else []
    if claim.metric_named or claim.metric != "latency":
        words.append(claim.metric)
    if claim.segment is not None:
        words.append(f"of {claim.segment[0]}={claim.segment[1]}")
    return " ".join(words) or claim.metric


def duration_text(seconds: float) -> str:
    """A waiting time in the unit people would use.

    >>> duration_text(40), duration_text(5400), duration_text(300000)
    ('40 seconds', '1.5 hours', '3.47 days')
    """
    for size, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 1.5 * size or (name != "days" and seconds >= size):
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} seconds"


def block_unit(block_seconds: float) -> str:
    """What one block is called.

    >>> block_unit(3600.0), block_unit(12.5), block_unit(1806.0), block_unit(60.0)
    ('hour', 'block of 12.5 seconds', 'block of 30.1 minutes', 'block of 1 minute')
    """
    if block_seconds == 3600.0:  # noqa: PLR2004 - an hour
        return "hour"
    text = duration_text(block_seconds)
    return f"block of {'1 minute' if text == '1 minutes' else text}"


def few_units_text(unit: str, units: tuple[int, int], *, matched: bool) -> str:
    """How often chance alone puts so few units in the order that was found.

    >>> few_units_text("run", (2, 2), matched=False).partition(":")[0]
    'speaks for these runs only'
    """
    return (
        f"speaks for these {unit}s only: where {unit}s of one variant differ by more than the "
        f"interval of each, alike variants come out in this order in 1 of "
        f"{orders(units, matched=matched)} comparisons; {MANY_RUNS} {unit}s per side settle it"
    )
