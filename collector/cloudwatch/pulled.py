"""What an answered call becomes: its minutes, how far each series goes, and what is told of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from collector.cloudwatch.cadence import ALERT, REREAD_SECONDS, Due, is_provisional, name, reached
from collector.cloudwatch.doubtful import Doubtful
from collector.cloudwatch.execute import Answered
from collector.cloudwatch.plan import DOLLARS_PER_BILLED_METRIC
from collector.cloudwatch.rebuild import Tally, key_of, observations
from collector.cloudwatch.series import Series
from nibai.model import Observation
from nibai.protocols import Pulled

UNCOUNTED = "minutes whose failed requests are taken to be among those with a latency"
"""Nothing counts all requests: asynchronous endpoints have no Invocations."""

SKEW_SECONDS = 60.0
"""A clock that is further off is told."""


def pulled_of(
    answered: Answered, ready: Mapping[str, Due], stuck: set[str], doubtful: Doubtful
) -> Pulled:
    """A part; series of which something is missing go no further in this reading."""
    tally = Tally()
    lacking = {
        key_of(one.series): ready[name(one.series)].known
        for one in answered.call.wanted
        if not answered.whole(one)
    }
    # What was read whole before is not made less by an answer of which something is missing.
    found: list[Observation] = [
        one
        for one in observations(answered, tally)
        if one.minute * 60.0 >= lacking.get(one.key, -math.inf)
    ]
    stuck |= {name(one.series) for one in answered.call.wanted if not answered.whole(one)}
    window = answered.call.window
    done = {key: one for key, one in ready.items() if key not in stuck}
    read = {one.mark: reached(one, window, answered.skew_seconds) for one in done.values()}
    whole = [key for key, one in done.items() if not is_provisional(one)]
    final_until = {key: read[key] - REREAD_SECONDS for key in whole}
    return Pulled(
        observations=found,
        window=window,
        read_until=read | doubtful.add(tally, ready, final_until),
        final_until=final_until,
        brings={key: [_brought(ready[key].wanted.series)] for key in whole},
        dollars=answered.metered.billed_metrics * DOLLARS_PER_BILLED_METRIC,
        notes=_notes(tally) | _skewed(answered.skew_seconds),
        # Whole histograms take over from percentiles.
        finished=[ALERT + key for key, one in ready.items() if one.mark == key],
    )


def _brought(series: Series) -> tuple[str, str, str]:
    """Endpoint, variant and metric of the minutes that a series brings."""
    return series.endpoint, series.variant, series.metric


def paid(answered: Answered) -> Pulled:
    """A call for ranges: it brings no minutes, and is paid."""
    dollars = answered.metered.billed_metrics * DOLLARS_PER_BILLED_METRIC
    return Pulled((), answered.call.window, {}, dollars, {})


def _skewed(seconds: float) -> dict[str, int]:
    if abs(seconds) <= SKEW_SECONDS:
        return {}
    way = "ahead of" if seconds > 0 else "behind"
    return {f"answers while this machine's clock is {abs(seconds):.0f} s {way} CloudWatch's": 1}


def _notes(tally: Tally) -> dict[str, int]:
    notes = {f"CloudWatch: {text}": n for text, n in tally.messages.items()}
    counted = (
        ("minutes whose buckets do not add up to SampleCount", tally.inconsistent),
        ("minutes of which something is missing", tally.partial),
        (
            "requests faster than the lowest bucket: of quantiles among them nothing is known",
            tally.below,
        ),
        (
            "minutes without buckets: their slowest requests lie beyond the highest one",
            tally.beyond,
        ),
        ("failed requests, the slowest of all", tally.failed),
        (UNCOUNTED, tally.uncounted),
    )
    return notes | {text: n for text, n in counted if n}
