"""CloudWatch as a source that is pulled: from where each series stands, call by call.

What a call answered is handed over before the next few are asked, with how far it takes every
series: whoever keeps that pays for nothing twice. Source: aws.md, sections 4 to 6 and 14.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from collector.cloudwatch.cadence import (
    Cadence,
    Due,
    Moments,
    block_after,
    due,
    monthly,
    name,
    waiting_words,
)
from collector.cloudwatch.doubtful import Doubtful, outdated
from collector.cloudwatch.execute import CONCURRENT_CALLS, Executor, MetricsClient
from collector.cloudwatch.names import Names
from collector.cloudwatch.pace import Pace
from collector.cloudwatch.plan import (
    DOLLARS_PER_BILLED_METRIC,
    MAX_QUERIES,
    Call,
    Detail,
    Wanted,
    monthly_dollars,
    plan,
    within_budget,
)
from collector.cloudwatch.pulled import paid, pulled_of
from collector.cloudwatch.ranges import Ranges, in_range, range_calls, ranges_of, together
from collector.cloudwatch.rebuild import Tally, observations
from collector.cloudwatch.series import Series
from collector.cloudwatch.units import DOLLARS_PER_REQUEST, Units
from nibai.errors import CollectError, ConfigError
from nibai.model import Window
from nibai.protocols import Preview, Pulled

FITTED = "minutes whose buckets do not add up are fitted from percentiles"


class CloudWatchSource:
    """Series of one account and region.

    `detail` is what is bought of a distribution; where `dollars_per_month` does not pay it at the
    cadence, less is bought, and below the least nothing is read. `own_range`: only the buckets of
    each series' own range are bought; all prices that are said beforehand are then upper bounds.
    `units` are asked before a metric is read first, `names` for series that gave nothing.
    """

    def __init__(
        self,
        client: MetricsClient,
        series: Sequence[Series | Wanted],
        *,
        clock: Callable[[], float],
        wait: Callable[[float], None],
        detail: Detail = Detail.BUCKETS_109,
        cadence: Cadence | None = None,
        dollars_per_month: float = math.inf,
        own_range: bool = False,
        pace: Pace | None = None,
        units: Units | None = None,
        names: Names | None = None,
    ) -> None:
        self._clock = clock
        self._names = names
        self._units = units
        self._executor = Executor(client, pace or Pace(), clock=clock, wait=wait)
        self._cadence = cadence or Cadence()
        self._own_range = own_range
        self._changes: Moments = {}
        wanted = [
            Wanted(one, detail) if isinstance(one, Series) else replace(one, detail=detail)
            for one in series
        ]
        fitted = within_budget(wanted, self._monthly_of, dollars_per_month)
        self._wanted = {name(one.series): one for one in fitted}
        self._monthly = self._monthly_of(fitted)
        self._limit = dollars_per_month

    @property
    def series(self) -> Sequence[str]:
        """Names under which it is kept how far each series was read."""
        return tuple(self._wanted)

    @property
    def replicas(self) -> Mapping[str, str]:
        """Single instance types of a variant, by the name of their series."""
        found = ((key, one.series.replica) for key, one in self._wanted.items())
        return {key: replica for key, replica in found if replica}

    def attend(self, changes: Moments) -> None:
        """Moments of changes by endpoint: percentiles are read more often around them."""
        self._changes = changes

    def due_after(self, moment: float) -> float:
        """When a block of a watch may be read next."""
        endpoints = (one.series.endpoint for one in self._wanted.values())
        return block_after(self._cadence, endpoints, self._changes, moment)

    def missing(
        self, series: Sequence[tuple[str, str]]
    ) -> tuple[Mapping[tuple[str, str], str], float]:
        """What CloudWatch lists in place of series that gave nothing."""
        if self._names is None:
            return {}, 0.0
        before = self._names.requests
        said = self._names.missing({one: self._wanted[one[0]].series for one in series})
        return said, (self._names.requests - before) * DOLLARS_PER_REQUEST

    def preview(self, read_until: Mapping[str, float]) -> Preview:
        """What the next pull will ask and cost, and what reading on costs a month."""
        self._affordable()
        ready, now = self._due(read_until), self._clock()
        calls = [call for call, _ in _planned(ready, now)]
        calls += Doubtful.remembered(read_until, self._wanted, now).calls(now)
        before = range_calls(ready) if self._own_range else []
        billed = sum(call.billed_metrics for call in (*before, *calls))
        asked = [] if self._units is None else self._units.unknown(ready, read_until)
        return Preview(
            calls=len(before) + len(asked) + len(calls),
            datapoints=sum(call.datapoints for call in (*before, *calls)),
            dollars=billed * DOLLARS_PER_BILLED_METRIC + len(asked) * DOLLARS_PER_REQUEST,
            dollars_per_month=self._monthly,
            said=self._said(),
        )

    def first_dollars(self, read_until: Mapping[str, float]) -> float:
        """What the first question costs at most: of ranges, or of minutes."""
        now = self._clock()
        again = Doubtful.remembered(read_until, self._wanted, now).calls(now)
        if again:
            return _dollars(again[:1])
        ready = self._due(read_until)
        return self._with_ranges(range_calls(ready) if self._own_range else [], ready)

    def pull(self, read_until: Mapping[str, float]) -> Iterator[Pulled]:
        """What is due since each series was read, and its last three hours again.

        Raises CollectError after everything that was paid for is handed over.
        """
        self._affordable()
        ready, now = self._due(read_until), self._clock()
        asked = range_calls(ready) if self._own_range else []
        if left := outdated(read_until, now):
            yield Pulled((), Window(now, now), {}, 0.0, {}, finished=left, settled=False)
        remembered = Doubtful.remembered(read_until, self._wanted, now)
        yield from self._again(remembered, self._with_ranges(asked, ready))
        ranges: Ranges = {}
        for number, answered in enumerate(self._executor.run(asked), start=1):
            ranges = together(ranges, ranges_of(answered))
            following = self._with_ranges(asked[number:], ready)
            settled = number % CONCURRENT_CALLS == 0
            yield replace(paid(answered), settled=settled, next_dollars=following)
        ready = in_range(ready, ranges)
        if self._units is not None:
            yield from self._units.ask(ready, read_until, ranges)
            ready = self._units.readable(ready)
        yield from self._minutes(_planned(ready, self._clock()))

    def _minutes(self, planned: Sequence[Planned]) -> Iterator[Pulled]:
        """The planned calls, a few at a time, and what of them is to be asked again."""
        stuck: set[str] = set()
        brought, refused = False, ""
        for first in range(0, len(planned), CONCURRENT_CALLS):
            batch = (_without(stuck, *one) for one in planned[first : first + CONCURRENT_CALLS])
            kept = [(call, of) for call, of in batch if of]
            marks = {id(call): of for call, of in kept}
            doubtful, behind = Doubtful(), first + CONCURRENT_CALLS
            following = _dollars([call for call, _ in planned[behind : behind + CONCURRENT_CALLS]])
            for number, answered in enumerate(self._executor.run([call for call, _ in kept])):
                brought = brought or not answered.silent
                refused = refused or "; ".join(answered.messages)
                part = pulled_of(answered, marks[id(answered.call)], stuck, doubtful)
                left = len(planned) - first - number - 1
                settled, again = number == len(kept) - 1, doubtful.calls(self._clock())[:1]
                ahead = _dollars(again) if again else following
                yield replace(part, settled=settled, left=left, next_dollars=ahead)
            yield from self._again(doubtful, following)
        if planned and not brought:
            raise CollectError(
                f"CloudWatch answered none of {len(planned)} calls ({refused or 'no reason'}): "
                "nothing was read, the next reading tries again",
                retryable=True,
            )

    def _again(self, doubtful: Doubtful, following: float) -> Iterator[Pulled]:
        """Percentiles of final minutes whose buckets do not add up, a call at a time.

        Whoever stops here asks for the others the next time. `following`: what comes after them.
        """
        calls = doubtful.calls(self._clock())
        for number, call in enumerate(calls, start=1):
            ahead = _dollars(calls[number : number + 1]) if number < len(calls) else following
            for answered in self._executor.run([call]):
                fitted = list(doubtful.of(answered, observations(answered, Tally())))
                notes = {FITTED: len(fitted)} if fitted else {}
                part = replace(paid(answered), observations=fitted, notes=notes)
                yield replace(part, finished=doubtful.done(answered), next_dollars=ahead)

    def _with_ranges(self, asked: Sequence[Call], ready: Sequence[Due]) -> float:
        """What the next questions for ranges cost at most; few of them lead on to minutes."""
        dollars = _dollars(asked[:CONCURRENT_CALLS])
        if len(asked) < CONCURRENT_CALLS and ready:
            # Calls are planned when ranges are known; none asks more than is allowed, nor anything
            # of a series that is not asked now.
            billed = sum(one.wanted.billed_metrics for one in ready)
            billed = CONCURRENT_CALLS * min(billed, MAX_QUERIES)
            metrics = len({one.wanted.series.published for one in ready})
            dollars += billed * DOLLARS_PER_BILLED_METRIC + metrics * DOLLARS_PER_REQUEST
        return dollars

    def _due(self, read_until: Mapping[str, float]) -> list[Due]:
        wanted = self._wanted.values()
        return due(wanted, self._cadence, read_until, self._changes, self._clock())

    def _monthly_of(self, wanted: Sequence[Wanted]) -> float:
        dollars = monthly(wanted, self._cadence)
        if self._own_range:
            asked = [replace(one, extremes_only=True, failures=()) for one in wanted if one.grid]
            dollars += monthly_dollars(asked, self._cadence.every_seconds)
        return dollars

    def _said(self) -> str:
        details = sorted({one.detail.value for one in self._wanted.values()})
        said = (
            f"{len(self._wanted)} series, {', '.join(details)}, "
            f"read every {self._cadence.every_seconds / 60:g} minutes"
        )
        if self._own_range and any(one.grid for one in self._wanted.values()):
            said += ", only buckets of each series' own range (prices are upper bounds)"
        if self._cadence.alert_seconds is not None:
            when = "" if self._cadence.always else " within a day of a change (one a month priced)"
            said += f"; percentiles every {self._cadence.alert_seconds / 60:g} minutes{when}"
        return f"{said}; {waiting_words(self._cadence)}"

    def _affordable(self) -> None:
        if self._monthly > self._limit:
            raise ConfigError(
                f"cloudwatch: even base statistics of {len(self._wanted)} series cost "
                f"${self._monthly:.2f} a month, the limit is ${self._limit:.2f}: read less often "
                "(every), fewer endpoints or metrics, or raise dollars_per_month"
            )


Planned = tuple[Call, dict[str, Due]]
"""A call, and what is due of each of its series by name."""


def _planned(ready: Sequence[Due], now: float) -> list[Planned]:
    """Series that stand equally far share calls; the oldest windows first."""
    standing: dict[Window, list[Due]] = {}
    for one in ready:
        standing.setdefault(one.window, []).append(one)
    planned = []
    for window, several in standing.items():
        by_name = {name(one.wanted.series): one for one in several}
        for call in plan([one.wanted for one in several], window, now).calls:
            names = [name(one.series) for one in call.wanted]
            planned.append((call, {key: by_name[key] for key in names}))
    return sorted(planned, key=lambda one: one[0].window.start)


def _without(stuck: set[str], call: Call, ready: dict[str, Due]) -> Planned:
    """The call without series of which an earlier part is missing: they are read from there."""
    left = {key: one for key, one in ready.items() if key not in stuck}
    if len(left) == len(ready):
        return call, ready
    wanted = tuple(one for one in call.wanted if name(one.series) in left)
    return replace(call, wanted=wanted), left


def _dollars(calls: Sequence[Call]) -> float:
    return sum(call.billed_metrics for call in calls) * DOLLARS_PER_BILLED_METRIC
