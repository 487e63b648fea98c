"""Minutes whose buckets do not add up are asked again, for percentiles.

Only final ones: others are read again anyway, and most of them settle. Source: aws.md, section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from collector.cloudwatch.cadence import Due, name
from collector.cloudwatch.execute import Answered
from collector.cloudwatch.plan import Call, Detail, Wanted, plan
from collector.cloudwatch.rebuild import Tally
from nibai.model import Observation, Provenance, Window


@dataclass(slots=True)
class Doubtful:
    """What of a few calls is to be asked again: periods (seconds since the epoch) by series."""

    _found: dict[str, tuple[Wanted, set[float]]] = field(default_factory=dict)

    def add(self, tally: Tally, ready: Mapping[str, Due], final_until: Mapping[str, float]) -> None:
        """Keep the final ones of a call."""
        for series, times in tally.doubtful.items():
            key = name(series)
            final = {at for at in times if at + 60.0 <= final_until.get(key, 0.0)}
            if final:
                wanted = replace(ready[key].wanted, detail=Detail.PERCENTILES)
                self._found.setdefault(key, (wanted, set()))[1].update(final)

    @property
    def any(self) -> bool:
        """Whether something is to be asked again."""
        return bool(self._found)

    def calls(self, now: float) -> list[Call]:
        """The calls for their percentiles: of a series all between the first and the last."""
        return [
            call for wanted, times in self._found.values() for call in _calls(wanted, times, now)
        ]

    def of(self, answered: Answered, observed: Iterable[Observation]) -> Iterator[Observation]:
        """The minutes that were asked again and have percentiles now."""
        minutes = {
            (one.series.endpoint, one.series.variant, one.series.replica, one.series.metric): {
                int(at // 60) for at in self._found[name(one.series)][1]
            }
            for one in answered.call.wanted
        }
        for one in observed:
            key = one.key
            own = minutes[key.endpoint, key.variant, key.replica, key.metric]
            if one.minute in own and one.provenance is Provenance.PERCENTILE_FIT:
                yield one


def _calls(wanted: Wanted, times: set[float], now: float) -> Iterable[Call]:
    return plan([wanted], Window(min(times), max(times) + 60.0), now).calls
