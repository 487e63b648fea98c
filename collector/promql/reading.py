"""One metric over one stretch of time, by whichever of three forms the server answers in.

Counts are taken at the ends of minutes. Cumulative ones are differenced here, not by `increase`,
which extrapolates: its minutes do not add up. Delta ones are summed with `sum_over_time` over the
minute without its first millisecond, so that a sample on a minute's end counts once, whether the
server's ranges are closed on the left (Prometheus 2) or open. Source: aws.md, sections 3 and R6.
"""

from __future__ import annotations

from collector.promql.asking import Asker, Expression, Selection
from collector.promql.failures import failures
from collector.promql.functions import WITHIN, by_functions
from collector.promql.minutes import (
    MINUTE,
    Minutes,
    Read,
    of_classic,
    of_histograms,
    of_numbers,
)
from collector.promql.wanted import BUCKET, Found, Kind, Temporality
from nibai.model import Window


def read(asker: Asker, found: Found, window: Window) -> Read:
    """Every minute of a window (on whole minutes) of one metric, failed requests in it."""
    done = _read(asker, found, window)
    if not found.failures:
        done.minutes.uncounted += bool(found.wanted.failures and done.observations)
        return done
    failed, warnings = failures(asker, found, window)
    together = (
        *(failed.joined(one) for one in done.observations),
        *failed.alone(done.observations),
    )
    return Read(together, (*done.warnings, *warnings), done.minutes)


def _read(asker: Asker, found: Found, window: Window) -> Read:
    wanted, minutes = found.wanted, Minutes()
    selection = Selection(found.name, wanted.matchers, wanted.more)
    inside = _at_ends(found, window)
    if wanted.kind is Kind.HISTOGRAM and not found.classic:
        answer = asker.ask(_samples(found), selection, inside)
        if not answer.native:
            return by_functions(asker, found, window)
        of_histograms(wanted, found.temporality, answer.series, minutes)
        return Read(tuple(minutes.observations()), answer.warnings, minutes)
    if wanted.kind is Kind.HISTOGRAM:
        buckets = asker.ask(_samples(found), selection, inside)
        stem = found.name.removesuffix(BUCKET)
        sums = asker.ask(
            _samples(found), Selection(f"{stem}_sum", wanted.matchers, wanted.more), inside
        )
        of_classic(wanted, found.temporality, buckets.series, sums.series, minutes)
        warnings = (*buckets.warnings, *sums.warnings)
        return Read(tuple(minutes.observations()), warnings, minutes)
    answer = asker.ask(_samples(found), selection, inside)
    temporality = found.temporality if wanted.kind is Kind.COUNTER else None
    of_numbers(wanted, temporality, answer.series, minutes)
    return Read(tuple(minutes.observations()), answer.warnings, minutes)


def _at_ends(found: Found, window: Window) -> Window:
    """From the first minute's end (cumulative: its start) to the last one's."""
    cumulative = found.temporality is Temporality.CUMULATIVE and found.wanted.kind is not Kind.GAUGE
    return Window(window.start + (0.0 if cumulative else MINUTE), window.end)


def _samples(found: Found) -> Expression:
    if found.temporality is Temporality.DELTA and found.wanted.kind is not Kind.GAUGE:
        return lambda selector: f"sum_over_time({selector}[{WITHIN}])"
    return lambda selector: selector
