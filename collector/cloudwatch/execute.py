"""Planned calls made: pages appended, errors retried, partial answers told, every call metered.

Nothing that was read is thrown away: a page that fails for good leaves what came before it, marked
incomplete. Source: aws.md, sections 4 and 14 (R3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from collector.cloudwatch.pace import Pace
from collector.cloudwatch.plan import Call, Wanted
from collector.cloudwatch.points import Numbers, Points, joined_pages, seconds
from collector.cloudwatch.series import Series
from nibai.errors import AuthError, CollectError, SchemaError, ThrottledError

MOST_TRIES = 6
FIRST_WAIT_SECONDS = 0.5
CONCURRENT_CALLS = 4
COMPLETE, PARTIAL, FAILED = "Complete", "PartialData", "InternalError"


class MetricsClient(Protocol):
    """What is asked of CloudWatch; a boto3 client has it. Raises CollectError and its kinds."""

    def get_metric_data(self, **request: object) -> Mapping[str, Any]:
        """One page."""
        ...


@dataclass(frozen=True, slots=True)
class Metered:
    """What one call really cost: the row of the audit trail."""

    billed_metrics: int
    datapoints: int
    pages: int
    tries: int
    seconds: float


@dataclass(frozen=True)
class Answered:
    """A call with what came back: points of each query, in order.

    `incomplete` holds the numbers of the queries of which something is missing; `messages` what the
    service said about it, or the error that ended the call; `skew_seconds`: how far this machine's
    clock is ahead of the service's; `refused`: nobody may go on asking.
    """

    call: Call
    points: tuple[Points, ...]
    incomplete: frozenset[int]
    messages: tuple[str, ...]
    metered: Metered
    skew_seconds: float = 0.0
    refused: AuthError | None = None

    @cached_property
    def _numbers(self) -> dict[Series, dict[str, int]]:
        found: dict[Series, dict[str, int]] = {}
        for number, (series, statistic) in enumerate(self.call.asked):
            found.setdefault(series, {})[statistic] = number
        return found

    @property
    def silent(self) -> bool:
        """Whether nothing at all came, not even that there is nothing."""
        return len(self.incomplete) == self.call.queries and not any(map(len, self.points))

    def statistics(self, series: Series) -> dict[str, Points]:
        """Points of one series of the call by statistic."""
        return {name: self.points[number] for name, number in self._numbers[series].items()}

    def whole(self, wanted: Wanted) -> bool:
        """Whether everything of a series of the call came, its failures too."""
        return not any(
            self.incomplete.intersection(self._numbers[one].values())
            for one in (wanted.series, *wanted.failures)
        )


class Executor:
    """Makes calls within the pace of the account's quotas; `clock` and `wait` are passed in."""

    def __init__(
        self,
        client: MetricsClient,
        pace: Pace,
        *,
        clock: Callable[[], float],
        wait: Callable[[float], None],
        concurrency: int = CONCURRENT_CALLS,
    ) -> None:
        self._client = client
        self._pace = pace
        self._clock = clock
        self._wait = wait
        self._concurrency = concurrency

    def run(self, calls: Sequence[Call]) -> Iterator[Answered]:
        """Answers in the order of the calls, a few asked ahead: memory stays that of a few calls.

        Raises AuthError once what was paid for is handed over: without permission no further call
        can succeed.
        """
        with ThreadPoolExecutor(self._concurrency) as pool:
            for first in range(0, len(calls), self._concurrency):
                answers = list(pool.map(self.ask, calls[first : first + self._concurrency]))
                yield from (one for one in answers if one.metered.pages or one.refused is None)
                for one in answers:
                    if one.refused is not None:
                        raise one.refused

    def ask(self, call: Call) -> Answered:
        """One call with all its pages."""
        pages = _Pages(call)
        start = self._clock()
        request = _request(call)
        token: str | None = None
        while True:
            try:
                page = self._page(request | ({"NextToken": token} if token else {}), call, pages)
            except AuthError as error:
                pages.refused = error
                page = None
            if page is None:
                break
            before, token = token, pages.add(page)
            if token is not None and token == before:
                pages.gave_up("the next page is the same page again")
                break
            if token is None:
                break
        now = self._clock()
        return pages.answered(now - start, _skew(pages.dated, now))

    def _page(
        self, request: Mapping[str, object], call: Call, pages: _Pages
    ) -> Mapping[str, Any] | None:
        """A page; None when the service kept failing, which `pages` then says."""
        wait = FIRST_WAIT_SECONDS
        for left in reversed(range(MOST_TRIES)):
            self._wait(self._pace.delay(calls=1, datapoints=call.datapoints, now=self._clock()))
            pages.tries += 1
            try:
                page = self._client.get_metric_data(**request)
            except AuthError:
                raise
            except CollectError as error:
                if not error.retryable or not left:
                    pages.gave_up(str(error))
                    return None
                after = getattr(error, "retry_after_seconds", None)
                wait = max(wait, after or 0.0) if isinstance(error, ThrottledError) else wait
            else:
                failed = [r for r in _results(page) if r.get("StatusCode") == FAILED]
                if not failed:
                    return page
                if not left:
                    pages.add(page)
                    pages.gave_up("InternalError, again and again")
                    return None
            self._wait(wait)
            wait *= 2
        return None


class _Pages:
    """The pages of one call as they come: the same Id comes again and is appended."""

    def __init__(self, call: Call) -> None:
        self.tries = 0
        self.refused: AuthError | None = None
        self.dated = ""
        self._call = call
        self._pages = 0
        self._parts: list[list[tuple[Numbers, Numbers]]] = [[] for _ in range(call.queries)]
        self._status: list[str | None] = [None] * call.queries
        self._times: Numbers = np.zeros(0)
        self._messages: list[str] = []
        self._cut_short = False

    def add(self, page: Mapping[str, Any]) -> str | None:
        """Keep a page; the token of the next one."""
        self._pages += 1
        self.dated = str(page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", ""))
        for result in _results(page):
            number = _number(result["Id"], len(self._parts))
            times, values = seconds(result["Timestamps"]), np.asarray(result["Values"], dtype=float)
            if len(times) != len(values):
                raise SchemaError(
                    f"GetMetricData: {len(times)} timestamps but {len(values)} values for "
                    f"{result['Id']}: report this answer, it is against the documented form"
                )
            # Nearly all queries of a call have the same times: one array serves them all.
            self._times = self._times if np.array_equal(times, self._times) else times
            self._parts[number].append((self._times, values))
            self._status[number] = result.get("StatusCode", COMPLETE)
            self._say(result.get("Messages", ()))
        self._say(page.get("Messages", ()))
        token: str | None = page.get("NextToken")
        return token

    def gave_up(self, why: str) -> None:
        """No further page will come."""
        self._cut_short = True
        self._messages.append(why)

    def answered(self, seconds: float, skew: float) -> Answered:
        """Everything that came."""
        incomplete = {
            number
            for number, status in enumerate(self._status)
            if self._cut_short or self.refused or status != COMPLETE
        }
        points = tuple(map(joined_pages, self._parts))
        return Answered(
            self._call,
            points,
            frozenset(incomplete),
            tuple(dict.fromkeys(self._messages)),
            Metered(
                # What was never answered is not billed.
                self._call.billed_metrics if self._pages else 0,
                sum(map(len, points)),
                self._pages,
                self.tries,
                seconds,
            ),
            skew,
            self.refused,
        )

    def _say(self, messages: Sequence[Mapping[str, str]]) -> None:
        self._messages += [f"{one.get('Code', '')}: {one.get('Value', '')}" for one in messages]


def _results(page: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = page.get("MetricDataResults") or ()
    return found


def _request(call: Call) -> dict[str, object]:
    queries: list[dict[str, object]] = []
    for series, statistic in call.asked:
        metric = {
            "Namespace": series.published.namespace,
            "MetricName": series.published.name,
            "Dimensions": [{"Name": n, "Value": v} for n, v in series.dimensions],
        }
        stat = {"Metric": metric, "Period": int(call.period_seconds), "Stat": statistic}
        queries.append({"Id": f"q{len(queries)}", "MetricStat": stat, "ReturnData": True})
    return {
        "MetricDataQueries": queries,
        "StartTime": datetime.fromtimestamp(call.window.start, UTC),
        "EndTime": datetime.fromtimestamp(call.window.end, UTC),
        "ScanBy": "TimestampAscending",
    }


def _skew(dated: str, now: float) -> float:
    """By how much this machine's clock is ahead of the service's; 0 where it does not tell."""
    try:
        return now - parsedate_to_datetime(dated).timestamp() if dated else 0.0
    except ValueError:
        return 0.0


def _number(identity: str, queries: int) -> int:
    number = int(identity[1:]) if identity[1:].isdigit() else -1
    if not identity.startswith("q") or not 0 <= number < queries:
        raise SchemaError(f"GetMetricData answered an Id that was not asked: {identity!r}")
    return number
