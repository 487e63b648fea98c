"""Indexed traces with their spans, where Transaction Search keeps these: retrieved by X-Ray's ids.

For accounts in which nobody may ask Logs Insights. Summaries exist of the share of traces that is
indexed (1 % unless told otherwise), and tell of a trace only how long it took as a whole; its spans
tell of each request. BatchGetTraces does not find traces that lie in CloudWatch Logs.
https://docs.aws.amazon.com/xray/latest/api/API_StartTraceRetrieval.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from collector.aws.errors import DeniedError
from collector.aws.session import Caller, pages
from collector.spans.query import FAILED
from collector.spans.requests import Naming, Request
from collector.spans.xray import Sampling, Traced, summaries
from nibai.errors import CollectError
from nibai.model import Window

TRACES_A_CALL = 100
ASIDE_SECONDS = 300.0
"""Spans of a trace may begin so long before and after the time that its summary matched."""

FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS, PATIENCE_SECONDS = 0.5, 8.0, 120.0
WAITING = ("SCHEDULED", "RUNNING")


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Which traces, and which fields of a span say whose it is.

    Requests are the spans that have `variant_field`; without one, those that nothing called.
    """

    filter: str
    naming: Naming
    sampling: Sampling
    variant: str = ""
    variant_field: str = ""

    def request(self, span: Mapping[str, Any]) -> Request | None:
        """The request of a span; None where it has no time or duration.

        >>> Retrieval("", Naming(), Sampling(), "nova").request(
        ...     {"startTimeUnixNano": 60_000_000_000, "durationNano": 500_000_000})
        Request(at=60.0, seconds=0.5, failed=False, variant='nova', segment='', weight=1.0)
        """
        try:
            at = int(span["startTimeUnixNano"]) / 1e9
            seconds = int(span["durationNano"]) / 1e9
        except (KeyError, TypeError, ValueError):
            return None
        if seconds < 0:
            return None
        values = {place: field_of(span, place) for place in self.naming.segments.values()}
        return Request(
            at,
            seconds,
            str(field_of(span, "status.code") or "").upper() in FAILED,
            str(field_of(span, self.variant_field) or self.variant),
            self.naming.segment(values),
        )

    def is_request(self, span: Mapping[str, Any]) -> bool:
        """Whether a span is one of those that are counted."""
        if self.variant_field:
            return field_of(span, self.variant_field) is not None
        return not span.get("parentSpanId")


def field_of(span: Mapping[str, Any], place: str) -> object:
    """A field by its dotted name, as Logs Insights would find it; None where there is none.

    >>> field_of({"attributes": {"gen_ai.system": "bedrock"}}, "attributes.gen_ai.system")
    'bedrock'
    """
    if not place:
        return None
    head, _, rest = place.partition(".")
    found = span.get(place, span.get(head))
    if not rest or place in span:
        return found
    return field_of(found, rest) if isinstance(found, Mapping) else None


def indexed_share(xray: Caller, told: Sampling) -> Sampling:
    """The share of traces that has a summary; what was `told` where nobody may look."""
    try:
        rules = list(pages(xray, "GetIndexingRules", "IndexingRules"))
    except DeniedError:
        return told
    shares = [rule.get("Rule", {}).get("Probabilistic", {}) for rule in rules]
    percent = next((one.get("DesiredSamplingPercentage") for one in shares if one), None)
    return Sampling(0.0, float(percent) / 100) if percent else told


def retrieve(
    xray: Caller,
    wanted: Retrieval,
    window: Window,
    longest: float,
    *,
    clock: Callable[[], float],
    wait: Callable[[float], None],
) -> Iterator[Traced]:
    """Windows of at most this many seconds, one after the other.

    A request belongs to the window in which its span begins, whenever its trace's summary matched:
    traces of some minutes before and after are asked for, too.
    """
    start = window.start
    while start < window.end:
        part = Window(start, min(start + longest, window.end))
        around = Window(part.start - ASIDE_SECONDS, part.end + ASIDE_SECONDS)
        listed = summaries(xray, wanted.filter, around)
        ids = list(dict.fromkeys(str(one["Id"]) for one in listed if one.get("Id")))
        spans = [
            span
            for first in range(0, len(ids), TRACES_A_CALL)
            for span in _spans(xray, ids[first : first + TRACES_A_CALL], part, (clock, wait))
            if wanted.is_request(span)
        ]
        own = [span for span in spans if part.start <= _begins(span, part.start) < part.end]
        found = [wanted.request(span) for span in own]
        weight = 1 / wanted.sampling.rate
        inside = [replace(one, weight=weight) for one in found if one]
        yield Traced(part, tuple(inside), sum(one is None for one in found))
        start = part.end


def _begins(span: Mapping[str, Any], unknown: float) -> float:
    try:
        return int(span["startTimeUnixNano"]) / 1e9
    except (KeyError, TypeError, ValueError):
        return unknown


def _spans(
    xray: Caller,
    ids: Sequence[str],
    part: Window,
    time: tuple[Callable[[], float], Callable[[float], None]],
) -> Iterator[Mapping[str, Any]]:
    """All spans of some traces."""
    started = xray.call(
        "StartTraceRetrieval",
        TraceIds=list(ids),
        StartTime=datetime.fromtimestamp(part.start - ASIDE_SECONDS, UTC),
        EndTime=datetime.fromtimestamp(part.end + ASIDE_SECONDS, UTC),
    )
    for trace in _retrieved(xray, str(started["RetrievalToken"]), *time):
        for span in trace.get("Spans", ()):
            yield _document(span.get("Document") or "{}")


def _document(text: str) -> Mapping[str, Any]:
    """A span as it is kept; an empty one, which counts as lost, where it is no JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _retrieved(
    xray: Caller, token: str, clock: Callable[[], float], wait: Callable[[float], None]
) -> Iterator[Mapping[str, Any]]:
    request: dict[str, object] = {"RetrievalToken": token, "TraceFormat": "OTEL"}
    begun, pause = clock(), FIRST_WAIT_SECONDS
    while True:
        page = xray.call("ListRetrievedTraces", **request)
        status = str(page.get("RetrievalStatus"))
        if status in WAITING and clock() - begun <= PATIENCE_SECONDS:
            wait(pause)
            pause = min(2 * pause, MOST_WAIT_SECONDS)
            continue
        if status != "COMPLETE":
            raise CollectError(
                f"X-Ray: the retrieval of traces is {status.lower()} after "
                f"{clock() - begun:.0f} s; it is asked again later",
                retryable=True,
                reason=status,
            )
        yield from page.get("Traces", ())
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]
