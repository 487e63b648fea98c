"""Traces of X-Ray where spans are not kept: a sample, weighted for what was not traced.

X-Ray traces the first requests of every second and a share of the others, so quiet seconds are
traced more: without weights a busy endpoint would look faster than it is.
https://docs.aws.amazon.com/xray/latest/devguide/xray-console-sampling.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from collector.aws.session import AwsClient, Caller, pages
from collector.spans.requests import Naming, Request
from nibai.model import Window


@dataclass(frozen=True, slots=True)
class Sampling:
    """The rule in force: requests of every second that are traced all, and the share of others."""

    reservoir: float = 1.0
    rate: float = 0.05

    def requests(self, traced: int) -> float:
        """How many requests a second had of which so many were traced.

        >>> Sampling().requests(1), round(Sampling().requests(3))
        (1.0, 41)
        """
        if traced <= self.reservoir or self.rate <= 0:
            return float(traced)
        return self.reservoir + (traced - self.reservoir) / self.rate


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which traces, and which of their annotations say whose they are."""

    filter: str
    naming: Naming
    variant: str = ""
    variant_annotation: str = ""
    sampling: Sampling = Sampling()

    def request(self, summary: Mapping[str, Any]) -> Request | None:
        """The request of a trace; None where it is not over or has no time."""
        at = summary.get("MatchedEventTime") or summary.get("StartTime")
        seconds = summary.get("ResponseTime", summary.get("Duration"))
        if at is None or seconds is None or seconds < 0 or summary.get("IsPartial"):
            return None
        values = {name: _annotation(one) for name, one in summary.get("Annotations", {}).items()}
        return Request(
            at.timestamp(),
            float(seconds),
            bool(summary.get("HasFault") or summary.get("HasThrottle")),
            str(values.get(self.variant_annotation) or self.variant),
            self.naming.segment(values),
        )


@dataclass(frozen=True, slots=True)
class Traced:
    """Weighted requests of a window; `lost` traces are not over or have no time."""

    window: Window
    requests: tuple[Request, ...]
    lost: int


def xray_client(region: str, endpoint_url: str | None) -> Caller:
    """X-Ray of a region."""
    return AwsClient("xray", region, endpoint_url=endpoint_url)


def read_traces(
    xray: Caller, query: TraceQuery, window: Window, longest: float
) -> Iterator[Traced]:
    """Windows of at most this many seconds, one after the other."""
    start = window.start
    while start < window.end:
        part = Window(start, min(start + longest, window.end))
        found = [query.request(summary) for summary in summaries(xray, query.filter, part)]
        inside = [one for one in found if one and part.start <= one.at < part.end]
        yield Traced(part, tuple(weighted(inside, query.sampling)), sum(o is None for o in found))
        start = part.end


def weighted(requests: list[Request], sampling: Sampling) -> list[Request]:
    """Each with how many requests of its second it stands for."""
    traced = Counter(int(one.at) for one in requests)
    return [
        replace(one, weight=sampling.requests(traced[int(one.at)]) / traced[int(one.at)])
        for one in requests
    ]


def spans_are_kept(xray: Caller) -> bool:
    """Whether traces go to CloudWatch Logs (Transaction Search) rather than to X-Ray alone."""
    found = xray.call("GetTraceSegmentDestination")
    return found.get("Destination") == "CloudWatchLogs" and found.get("Status") == "ACTIVE"


def summaries(xray: Caller, text: str, window: Window) -> Iterator[Mapping[str, Any]]:
    """Of all traces of a window that a filter expression fits."""
    request: dict[str, object] = {
        "StartTime": datetime.fromtimestamp(window.start, UTC),
        "EndTime": datetime.fromtimestamp(window.end, UTC),
        "TimeRangeType": "Event",
        "Sampling": False,
    }
    if text:
        request["FilterExpression"] = text
    yield from pages(xray, "GetTraceSummaries", "TraceSummaries", **request)


def _annotation(values: list[Mapping[str, Any]]) -> object:
    """The value of an annotation; a trace may carry it several times."""
    for one in values:
        found = one.get("AnnotationValue", {})
        for kind in ("StringValue", "NumberValue", "BooleanValue"):
            if kind in found:
                return found[kind]
    return None
