"""Minutes whose buckets do not add up are asked again, for percentiles.

Only final ones: others are read again anyway, and most of them settle. What is to be asked again is
kept with the minutes themselves, as marks of their stretches, until it was answered whole: whoever
is killed in between does it later. Source: aws.md, section 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from collector.cloudwatch.cadence import BACKFILL_SECONDS, Due, name
from collector.cloudwatch.execute import Answered
from collector.cloudwatch.plan import Call, Detail, Wanted, plan
from collector.cloudwatch.rebuild import Tally
from nibai.model import Observation, Provenance, Window
from nibai.protocols import AGAIN

MINUTE = 60.0


@dataclass(slots=True)
class Doubtful:
    """What of a few calls is to be asked again: periods (seconds since the epoch) by series.

    `_lacking`: series of which something asked again did not come.
    """

    _found: dict[str, tuple[Wanted, set[float]]] = field(default_factory=dict)
    _lacking: set[str] = field(default_factory=set)

    @classmethod
    def remembered(
        cls, read_until: Mapping[str, float], wanted: Mapping[str, Wanted], now: float
    ) -> Doubtful:
        """What earlier readings left: of series that are still read, as long as minutes are kept.

        `wanted` by the names of their series.
        """
        found, oldest = cls(), _oldest(now)
        for series, start, end in _wishes(read_until):
            if series in wanted and start >= oldest:
                minutes = range(int(start // MINUTE), int(end // MINUTE))
                found._keep(series, wanted[series], (minute * MINUTE for minute in minutes))
        return found

    def add(
        self, tally: Tally, ready: Mapping[str, Due], final_until: Mapping[str, float]
    ) -> dict[str, float]:
        """Keep the final ones of a call; the marks by which they are remembered."""
        marks: dict[str, float] = {}
        for series, times in tally.doubtful.items():
            key = name(series)
            final = {at for at in times if at + MINUTE <= final_until.get(key, 0.0)}
            if final:
                self._keep(key, ready[key].wanted, final)
                marks |= {_mark(key, start): end for start, end in _stretches(final)}
        return marks

    def _keep(self, key: str, wanted: Wanted, times: Iterable[float]) -> None:
        asked = replace(wanted, detail=Detail.PERCENTILES)
        self._found.setdefault(key, (asked, set()))[1].update(times)

    def calls(self, now: float) -> list[Call]:
        """The calls for their percentiles: of a series all between the first and the last."""
        return [
            call for wanted, times in self._found.values() for call in _calls(wanted, times, now)
        ]

    def of(self, answered: Answered, observed: Iterable[Observation]) -> Iterator[Observation]:
        """The minutes that were asked again and have percentiles now."""
        minutes = {
            (one.series.endpoint, one.series.variant, one.series.replica, one.series.metric): {
                int(at // MINUTE) for at in self._found[name(one.series)][1]
            }
            for one in answered.call.wanted
        }
        for one in observed:
            key = one.key
            own = minutes[key.endpoint, key.variant, key.replica, key.metric]
            if one.minute in own and one.provenance is Provenance.PERCENTILE_FIT:
                yield one

    def done(self, answered: Answered) -> list[str]:
        """The marks of what was answered whole, up to the end of the call."""
        asked = answered.call.wanted
        self._lacking |= {name(one.series) for one in asked if not answered.whole(one)}
        return [
            _mark(key, start)
            for key in (name(one.series) for one in asked)
            if key not in self._lacking
            for start, end in _stretches(self._found[key][1])
            if end <= answered.call.window.end
        ]


def outdated(read_until: Mapping[str, float], now: float) -> list[str]:
    """Marks of minutes that are not kept singly any more: nothing can be asked of them."""
    oldest = _oldest(now)
    return [_mark(series, start) for series, start, _ in _wishes(read_until) if start < oldest]


def _oldest(now: float) -> float:
    return math.ceil((now - BACKFILL_SECONDS) / 3600.0) * 3600.0


def _wishes(read_until: Mapping[str, float]) -> Iterator[tuple[str, float, float]]:
    """(series, start, end) of everything that is to be asked again."""
    for mark, end in read_until.items():
        if mark.startswith(AGAIN):
            start, _, series = mark.removeprefix(AGAIN).partition(":")
            yield series, float(start), end


def _mark(series: str, start: float) -> str:
    return f"{AGAIN}{start:.0f}:{series}"


def _stretches(times: Iterable[float]) -> list[tuple[float, float]]:
    """Minutes (their starts) as stretches without a gap.

    >>> _stretches({60.0, 120.0, 300.0})
    [(60.0, 180.0), (300.0, 360.0)]
    """
    found: list[tuple[float, float]] = []
    for at in sorted(times):
        if found and found[-1][1] == at:
            found[-1] = found[-1][0], at + MINUTE
        else:
            found.append((at, at + MINUTE))
    return found


def _calls(wanted: Wanted, times: set[float], now: float) -> Iterable[Call]:
    return plan([wanted], Window(min(times), max(times) + MINUTE), now).calls
