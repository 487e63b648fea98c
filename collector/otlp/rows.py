"""From decoded spans and points to rows of the log: who, what, how long, how it ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import pyarrow as pa

from collector.otlp.attributes import Attributes, Wanted
from collector.otlp.bounds import SeriesBound
from collector.otlp.columns import Columns, Key
from collector.otlp.cumulative import Cumulative
from collector.otlp.naming import Naming
from collector.otlp.outcomes import (
    METRIC_ATTRIBUTES,
    OUTCOME_ATTRIBUTES,
    metric_of_span,
    outcome,
)
from collector.otlp.points import UNIT_FACTORS, from_explicit, from_exponential
from collector.otlp.predictions import PredictionMapper, Series
from collector.otlp.shapes import Decoded, Point, Signature, Spans, read_signature
from nibai.conventions import MAX_SERIES_PER_MINUTE
from nibai.predictions import PredictionRecord
from nibai.store.wal.prediction_rows import to_batch

NANOS_A_MINUTE = 60_000_000_000
MAX_NANOS = 2**63
MAX_SECONDS = 7 * 86400.0
KNOWN_RESOURCES, KNOWN_SPANS = 10_000, 50_000

# Histogram metrics of the semantic conventions -> our names.
METRIC_NAMES = {
    "http.server.request.duration": "latency",
    "http.server.duration": "latency",
    "gen_ai.server.request.duration": "latency",
    "gen_ai.client.operation.duration": "latency",
    "gen_ai.server.time_to_first_token": "ttft",
    "gen_ai.server.time_per_output_token": "tpot",
    "rpc.server.duration": "latency",
}


@dataclass(slots=True)
class Rejected:
    """How many spans or points were left out, and why the first was."""

    count: int = 0
    message: str = ""

    def add(self, why: str, count: int = 1) -> None:
        """Leave out one more."""
        self.count += count
        self.message = self.message or why


TOO_MANY = (
    "too many series in one minute: name fewer endpoints, variants and replicas, "
    "or raise otlp.max_series_per_minute"
)

Rows = tuple[pa.RecordBatch | None, pa.RecordBatch | None, Rejected]
"""Rows and answers for the log (None: no usable ones), and what was left out."""


class Mapper:
    """Maps attributes to series by rules; keeps what cumulative histograms said last."""

    def __init__(
        self,
        naming: Naming | None = None,
        prediction: PredictionMapper | None = None,
        max_series: int = MAX_SERIES_PER_MINUTE,
    ) -> None:
        self._naming = naming or Naming()
        self._names = self._naming.names
        self._prediction = prediction or PredictionMapper()
        self._bound = SeriesBound(max_series)
        self._cumulative = Cumulative()
        self._lock = threading.Lock()
        self._resolved: dict[tuple[object, ...], dict[Signature, _Resolved]] = {}
        self.wanted = Wanted(
            (*self._names, *OUTCOME_ATTRIBUTES, *METRIC_ATTRIBUTES), self._prediction.keys
        )
        """The span attributes that decide anything."""

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Mapper:
        """A mapper from plug-in options: those of `Naming`, `prediction` and `max_series`."""
        rules = dict(options)
        given = rules.pop("prediction", None)
        answers = PredictionMapper.from_options(given) if isinstance(given, Mapping) else None
        most = int(str(rules.pop("max_series", MAX_SERIES_PER_MINUTE)))
        return cls(Naming.from_options(rules), answers, most)

    def rows(self, decoded: Decoded) -> Rows:
        """Rows and answers, and what was left out."""
        spans, points, others = decoded
        times = [spans.latest(), *(point.time for point in points[-1:])]
        self._bound.move_on(max(times) // NANOS_A_MINUTE)
        rejected = Rejected()
        if others:
            rejected.add("only histograms are stored; gauges and sums are not", others)
        columns = Columns()
        self._spans(spans, columns, rejected)
        answers = list(self._answers(spans, rejected))
        for point in points:
            with self._lock:  # what a cumulative series said last is read and replaced together
                self._point(point, columns, rejected)
        return columns.batch(), to_batch(answers) if answers else None, rejected

    # -- spans ----------------------------------------------------------------------------
    def _spans(self, spans: Spans, columns: Columns, rejected: Rejected) -> None:
        if not len(spans.group):
            return
        seconds = (spans.ends - spans.starts).astype(np.int64) / 1e9
        sound = (spans.starts > 0) & (seconds >= 0) & (seconds <= MAX_SECONDS)
        groups = self._known(spans)
        is_request = np.array([one.key is not None for one in groups])[spans.group]
        keep = is_request & sound
        if bad := int(is_request.sum() - keep.sum()):
            rejected.add("a span has no start, ends before it starts, or lasts over 7 days", bad)
        if not keep.any():
            return
        keys = [None if one.key is None else self._bound.admit(one.key) for one in groups]
        lost = keep & np.array([one is None for one in keys])[spans.group]
        if over := int(lost.sum()):
            rejected.add(TOO_MANY, over)
            keep &= ~lost
        numbers = [-1 if key is None else columns.number(key) for key in keys]
        group = spans.group[keep]
        timed_out = np.array([one.timed_out for one in groups])[group]
        columns.add_requests(
            np.array(numbers, dtype=np.int32)[group],
            (spans.ends[keep] // NANOS_A_MINUTE).astype(np.int32),
            seconds[keep],
            np.array([one.failed for one in groups])[group] | timed_out,
            timed_out,
        )

    def _known(self, spans: Spans) -> list[_Resolved]:
        """What the spans of each group are; remembered from request to request."""
        if len(self._resolved) > KNOWN_RESOURCES:
            self._resolved.clear()
        caches = [
            self._resolved.setdefault(tuple(resource.get(name) for name in self._names), {})
            for resource in spans.resources
        ]
        found = []
        for number, signature in spans.groups:
            cache = caches[number]
            resolved = cache.get(signature)
            if resolved is None:
                if len(cache) > KNOWN_SPANS:
                    cache.clear()
                resolved = self._resolve(spans.resources[number], signature)
                cache[signature] = resolved
            found.append(resolved)
        return found

    def _resolve(self, resource: Attributes, signature: Signature) -> _Resolved:
        """What a span with this signature is: a series (None: no request) and how it ended."""
        kind, nested, error, attributes = read_signature(signature)
        metric = metric_of_span(kind, attributes, nested=nested)
        if metric is None:
            return _Resolved(None, failed=False, timed_out=False)
        failed, timed_out = outcome(attributes, error=error)
        return _Resolved(self._naming.key({**resource, **attributes}, metric), failed, timed_out)

    def _answers(self, spans: Spans, rejected: Rejected) -> Iterator[PredictionRecord]:
        """The answers that spans carry, whether or not they are measurements too."""
        if not spans.answers:
            return
        known: dict[int, Series] = {}
        groups = spans.groups
        for position, (values, trace_id) in sorted(spans.answers, key=itemgetter(0)):
            end = int(spans.ends[position])
            if not 0 < end < MAX_NANOS:
                rejected.add("a span with a prediction has no end")
                continue
            group = int(spans.group[position])
            number, signature = groups[group]
            resource = spans.resources[number]
            series = known.get(group)
            if series is None:
                *_, own = read_signature(signature)
                series = Series(*self._naming.key({**resource, **own}, "")[:4])
                known[group] = series
            given = {**resource, **values}
            record = self._prediction.record(given, series, end / 1e9, trace_id, rejected.add)
            if record is not None:
                yield record

    # -- histograms -----------------------------------------------------------------------
    def _point(self, point: Point, columns: Columns, rejected: Rejected) -> None:
        metric = METRIC_NAMES.get(point.metric)
        if metric is None and point.metric.startswith("nibai."):
            metric = point.metric.removeprefix("nibai.")
        if metric is None or point.unit not in UNIT_FACTORS:
            rejected.add(f"metric {point.metric!r} in {point.unit!r} is no latency nibai knows")
            return
        explicit = point.bounds is not None
        zero = [] if explicit else [point.zero]
        counts = np.array([*zero, *point.counts], dtype=np.int64)
        if explicit and len(counts) != len(point.bounds or ()) + 1:
            rejected.add("a histogram has another number of buckets than bounds ask for")
            return
        total = point.sum
        if point.cumulative:
            counts, total = self._cumulative.since_last(point, counts)
        histogram = (
            from_explicit(counts, point, total) if explicit else from_exponential(counts, point)
        )
        key = self._bound.admit(self._naming.key({**point.resource, **point.attributes}, metric))
        if key is None:
            rejected.add(TOO_MANY)
            return
        error, timeout = outcome(point.attributes, error=False)
        minute = int(point.time // NANOS_A_MINUTE)
        seconds = max(total, 0.0) * UNIT_FACTORS[point.unit]
        columns.add_histogram(
            key,
            minute,
            histogram,
            seconds,
            failed=error or timeout,
            timeout=timeout,
            explicit=explicit,
        )


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What spans of one signature are."""

    key: Key | None
    failed: bool
    timed_out: bool
