"""Traces as a source that is pulled: every minute once, ten minutes after it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from collector.aws.errors import DeniedError
from collector.aws.session import Caller
from collector.hourly.part import Part
from collector.insights import Answered, Insights, logs_client
from collector.segments import Segments
from collector.spans.query import SpanQuery
from collector.spans.requests import Naming, Request, minutes, unrecorded
from collector.spans.retrieval import Retrieval, indexed_share, retrieve
from collector.spans.xray import (
    Sampling,
    Traced,
    TraceQuery,
    read_traces,
    spans_are_kept,
    xray_client,
)
from nibai.config import Spans
from nibai.model import Observation, Provenance, Window
from nibai.protocols import Preview, Pulled, Puller

SETTLED_SECONDS = 600.0
"""Spans that arrive later are not seen: a minute is read once."""


class SpansSource:
    """The traces of one endpoint, from aws/spans or X-Ray."""

    def __init__(
        self,
        chosen: Spans,
        logs: Caller,
        xray: Caller,
        *,
        clock: Callable[[], float],
        wait: Callable[[float], None],
    ) -> None:
        self._chosen = chosen
        self._logs = logs
        self._xray = xray
        self._clock = clock
        self._wait = wait
        naming = Naming(chosen.segments, chosen.bands)
        self._spans = SpanQuery(
            chosen.log_group, chosen.filter, naming, chosen.variant, chosen.variant_field
        )
        sampling = Sampling(chosen.sampling.reservoir, chosen.sampling.rate)
        self._traces = TraceQuery(
            chosen.filter, naming, chosen.variant, chosen.variant_field, sampling
        )

    @property
    def series(self) -> Sequence[str]:
        """One: its requests."""
        return (self._chosen.source_name,)

    def preview(self, read_until: Mapping[str, float]) -> Preview:
        """Over which time it asks; what a query scans nobody knows before."""
        window = self._window(read_until)
        queries = max(-(-window.seconds // self._chosen.window), 0.0)
        where = "X-Ray" if self._chosen.source == "xray" else self._chosen.log_group
        return Preview(
            calls=int(queries),
            datapoints=0,
            dollars=0.0,
            dollars_per_month=0.0,
            said=f"asks {where} for {max(window.seconds, 0.0) / 60:,.0f} minutes of "
            f"{self._chosen.endpoint}; Logs Insights bills $0.005 per GB that it scans",
        )

    def pull(self, read_until: Mapping[str, float]) -> Iterator[Pulled]:
        """Windows in order; each takes the source as far as it reaches."""
        window = self._window(read_until)
        if window.seconds <= 0:
            return
        segments = Segments(self._chosen.most_segments)
        if self._from_spans():
            asked = Insights(self._logs, self._spans, clock=self._clock, wait=self._wait)
            for answered in asked.read(window, self._chosen.window // 60 * 60):
                yield self._answered(answered, segments)
        else:
            longest = self._chosen.window // 60 * 60
            for traced in self._read_traces(window, longest):
                yield self._traced(traced, segments)
        if segments.joined:
            part = Part()
            part.notes["requests of further segments"] += segments.joined
            yield part.taken()

    def _window(self, read_until: Mapping[str, float]) -> Window:
        now = self._clock()
        end = (now - SETTLED_SECONDS) // 60 * 60
        known = read_until.get(self._chosen.source_name, (now - self._chosen.since) // 60 * 60)
        return Window(known, end)

    def _from_spans(self) -> bool:
        if self._chosen.source != "auto":
            return self._chosen.source == "spans"
        try:
            return spans_are_kept(self._xray)
        except DeniedError:
            return True  # the one that needs no permission of X-Ray

    def _read_traces(self, window: Window, longest: float) -> Iterator[Traced]:
        """Summaries, which are all that X-Ray has; spans where Transaction Search keeps them."""
        if not self._kept():
            yield from read_traces(self._xray, self._traces, window, longest)
            return
        told = self._traces
        wanted = Retrieval(
            told.filter, told.naming, indexed_share(self._xray, told.sampling),
            told.variant, told.variant_annotation,
        )  # fmt: skip
        yield from retrieve(self._xray, wanted, window, longest, clock=self._clock, wait=self._wait)

    def _kept(self) -> bool:
        try:
            return spans_are_kept(self._xray)
        except DeniedError:
            return False

    def _answered(self, answered: Answered[Request], segments: Segments) -> Pulled:
        part = Part()
        part.dollars = answered.dollars
        part.notes["spans without time or duration"] += answered.lost
        requests, endpoint = answered.requests, self._chosen.endpoint
        if answered.whole:
            found = minutes(requests, endpoint, segments, Provenance.EXACT)
        else:
            # Those that came are the first of their minute: no fair sample of it.
            part.problems.append(
                f"{self._chosen.log_group}: about {answered.matched:,} spans in one minute, "
                f"of which Logs Insights gives {len(requests):,}: how long they took is not "
                "recorded, only how many there were, and intervals widen by them: narrow the filter"
            )
            share = len(requests) / max(answered.matched, 1)
            found = unrecorded(requests, share, endpoint, segments)
            part.notes["requests whose times are not recorded"] += sum(one.count for one in found)
        return self._pulled(part, answered.window, found)

    def _traced(self, traced: Traced, segments: Segments) -> Pulled:
        part = Part()
        part.notes["traces that are not over"] += traced.lost
        stands_for = round(sum(one.weight for one in traced.requests))
        part.notes["traces read"] += len(traced.requests)
        part.notes["requests that they stand for"] += stands_for
        found = minutes(traced.requests, self._chosen.endpoint, segments, Provenance.SAMPLED)
        return self._pulled(part, traced.window, found)

    def _pulled(self, part: Part, window: Window, found: Sequence[Observation]) -> Pulled:
        part.notes = +part.notes
        name, brought = self._chosen.source_name, {_brought(one) for one in found}
        part.read_until[name] = window.end
        return replace(
            part.taken(),
            observations=found,
            window=window,
            final_until={name: window.end},
            brings={name: brought},
        )


def _brought(one: Observation) -> tuple[str, str, str]:
    return one.key.endpoint, one.key.variant, one.key.metric


def build(options: Mapping[str, object]) -> Puller:
    """The traces of one endpoint; `options` are those of `spans` in nibai.yaml."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    chosen = Spans.model_construct(None, **options)
    return SpansSource(
        chosen,
        logs_client(chosen.region, chosen.endpoint_url),
        xray_client(chosen.region, chosen.endpoint_url),
        clock=time.time,
        wait=time.sleep,
    )
