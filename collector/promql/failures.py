"""Failed requests of a histogram's minutes, from counters beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from collector.cloudwatch.failures import joined
from collector.promql.asking import Asker, Selection
from collector.promql.functions import WITHIN
from collector.promql.minutes import MINUTE, Minutes, of_numbers
from collector.promql.wanted import Found, Temporality
from nibai.model import Observation, Provenance, SeriesKey, Window

Counts = Mapping[tuple[SeriesKey, int], float]


@dataclass(frozen=True, slots=True)
class Failures:
    """Requests and failed ones by series and minute."""

    requests: Counts
    failed: Counts

    def joined(self, one: Observation) -> Observation:
        """The minute with its failed requests beyond any latency (`collector.cloudwatch`)."""
        at = (one.key, one.minute)
        failed = round(self.failed.get(at, 0.0))
        # No more of them have a latency than there are latencies, whatever is said of requests.
        without = max(round(self.requests.get(at, 0.0)), failed) - one.count
        without = max(without, 0)
        return joined(one, failed, min(without, failed))

    def alone(self, known: Iterable[Observation]) -> Iterator[Observation]:
        """Minutes in which no request has a latency: an outage is not left out."""
        places = {(one.key, one.minute) for one in known}
        nothing, nan = np.zeros(0, dtype=np.int32), math.nan
        for at, count in sorted(self.failed.items()):
            if at in places or not round(count):
                continue
            empty = Observation(
                *at, nothing, nothing.astype(np.int64), 0, 0.0, nan, nan, provenance=Provenance.TC
            )
            yield joined(empty, round(count), round(count))


def failures(asker: Asker, found: Found, window: Window) -> tuple[Failures, tuple[str, ...]]:
    """What the counters say of a window, and their warnings."""
    counted: list[Counts] = []
    warnings: list[str] = []
    for name in found.failures:
        told = _counter(asker, found, name, window)
        counted.append({at: one.sum for at, one in told[0].found.items()})
        warnings += told[1]
    failed: dict[tuple[SeriesKey, int], float] = {}
    for one in counted[1:]:
        for at, count in one.items():
            failed[at] = failed.get(at, 0.0) + count
    return Failures(counted[0], failed), tuple(dict.fromkeys(warnings))


def _counter(
    asker: Asker, found: Found, name: str, window: Window
) -> tuple[Minutes, tuple[str, ...]]:
    minutes, delta = Minutes(), found.temporality is Temporality.DELTA
    answer = asker.ask(
        lambda text: f"sum_over_time({text}[{WITHIN}])" if delta else text,
        Selection(name, found.wanted.matchers, found.wanted.more),
        Window(window.start + (MINUTE if delta else 0.0), window.end),
    )
    requests = replace(found.wanted, factor=1.0)  # counts have no unit
    of_numbers(requests, found.temporality, answer.series, minutes)
    return minutes, answer.warnings
