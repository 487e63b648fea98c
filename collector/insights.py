"""Logs Insights: a query started, waited for, and read page by page.

A query returns 100,000 rows at most and bills what it scans, so windows are narrow, and one with
more rows is asked again in halves. https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from collector.aws.session import AwsClient, Caller
from nibai.errors import CollectError
from nibai.model import Window

MAX_ROWS = 100_000
PAGE_ROWS = 10_000
DOLLARS_A_GIGABYTE = 0.005
FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS, PATIENCE_SECONDS = 0.5, 8.0, 120.0
WAITING = ("Scheduled", "Running", "Unknown")


class Timed(Protocol):
    """What a row becomes."""

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        ...


Row = TypeVar("Row", bound=Timed)
Told_co = TypeVar("Told_co", bound=Timed, covariant=True)


class Query(Protocol[Told_co]):
    """What is asked; its text names the fields that `request` reads, and sorts by time."""

    @property
    def log_group(self) -> str:
        """Of which group."""
        ...

    @property
    def text(self) -> str:
        """In the language of Logs Insights, with a limit of `MAX_ROWS`."""
        ...

    @property
    def page_rows(self) -> int:
        """How many rows are held at once (at most `PAGE_ROWS`): fewer where rows are long."""
        ...

    def request(self, row: Mapping[str, str]) -> Told_co | None:
        """What a row tells, all that is kept of it; None where it cannot be used."""
        ...


@dataclass(frozen=True, slots=True)
class Answered(Generic[Row]):
    """What a window held: `lost` rows cannot be used; `whole`: none was left out.

    `matched` is how many there are, those that were left out and up to a second's more included.
    """

    window: Window
    requests: tuple[Row, ...]
    lost: int
    whole: bool
    dollars: float
    matched: int = 0


def logs_client(region: str, endpoint_url: str | None) -> Caller:
    """CloudWatch Logs of a region."""
    return AwsClient("logs", region, endpoint_url=endpoint_url)


class Insights(Generic[Row]):
    """Asks one query for windows of time; `clock` and `wait` are passed in."""

    def __init__(
        self,
        logs: Caller,
        query: Query[Row],
        *,
        clock: Callable[[], float],
        wait: Callable[[float], None],
    ) -> None:
        self._logs = logs
        self._query = query
        self._clock = clock
        self._wait = wait

    def read(self, window: Window, longest: float) -> Iterator[Answered[Row]]:
        """The windows of at most this many seconds one after the other, whole minutes each.

        One that holds too many rows is halved, down to a minute, which then is not whole.
        """
        start, length, paid = window.start, longest, 0.0
        while start < window.end:
            end = min(start + length, window.end)
            found = self._ask(Window(start, end))
            paid += found.dollars
            if not found.whole and end - start > 60.0:  # noqa: PLR2004 - a minute
                length = max((end - start) // 120 * 60, 60.0)
                continue
            yield replace(found, dollars=paid)  # with what the longer stretches scanned in vain
            paid = 0.0
            start = end
            if len(found.requests) < MAX_ROWS // 4:
                length = min(2 * length, longest)

    def _ask(self, window: Window) -> Answered[Row]:
        started = self._logs.call(
            "StartQuery",
            logGroupName=self._query.log_group,
            startTime=int(window.start),
            # Inclusive in whole seconds: what it adds is left out below.
            endTime=int(window.end),
            queryString=self._query.text,
            limit=MAX_ROWS,
        )
        rows = lost = 0
        inside: list[Row] = []
        statistics: Mapping[str, float] = {}
        for page in self._pages(str(started["queryId"])):
            found = [self._query.request(_named(row)) for row in page.get("results", ())]
            rows += len(found)
            lost += sum(one is None for one in found)
            inside += [one for one in found if one and window.start <= one.at < window.end]
            statistics = page.get("statistics", {})
        return Answered(
            window,
            tuple(inside),
            lost,
            rows < MAX_ROWS,
            float(statistics.get("bytesScanned", 0.0)) / 1e9 * DOLLARS_A_GIGABYTE,
            max(int(statistics.get("recordsMatched", 0.0)), rows),
        )

    def _pages(self, query: str) -> Iterator[Mapping[str, Any]]:
        """The answers of a finished query, page by page."""
        most = min(self._query.page_rows, PAGE_ROWS)
        request: dict[str, object] = {"queryId": query, "maxItems": most}
        begun, pause = self._clock(), FIRST_WAIT_SECONDS
        while True:
            page = self._logs.call("GetQueryResults", **request)
            status = str(page.get("status"))
            if status in WAITING:
                if self._clock() - begun > PATIENCE_SECONDS:
                    raise CollectError(
                        f"{self._query.log_group}: the query is still {status.lower()} after "
                        f"{PATIENCE_SECONDS:g} s; it is asked again later",
                        retryable=True,
                        reason="timeout",
                    )
                self._wait(pause)
                pause = min(2 * pause, MOST_WAIT_SECONDS)
                continue
            if status != "Complete":
                raise CollectError(
                    f"{self._query.log_group}: the query ended as {status}: try its text in the "
                    f"console: {self._query.text[:300]}",
                    retryable=status == "Timeout",
                    reason=status,
                )
            yield page
            following = page.get("nextToken")
            if not following or following == request.get("nextToken"):
                return
            request["nextToken"] = following


def _named(row: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {one["field"]: one.get("value", "") for one in row if "field" in one}
