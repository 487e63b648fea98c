"""From decoded spans and points to rows of the write-ahead log: who, what, how long, how it ended.

Attributes name the parts of a series; defaults follow the OpenTelemetry semantic conventions for
resources, HTTP and generative AI, so that an instrumented service works unconfigured.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np
import pyarrow as pa

from collector.otlp.attributes import Attributes, Wanted
from collector.otlp.columns import Columns, Key
from collector.otlp.names import bounded_name, first_name, token_bucket
from collector.otlp.outcomes import (
    METRIC_ATTRIBUTES,
    OUTCOME_ATTRIBUTES,
    metric_of_span,
    outcome,
)
from collector.otlp.points import UNIT_FACTORS, from_explicit, from_exponential
from collector.otlp.predictions import PredictionMapper, Series
from collector.otlp.shapes import Decoded, Point, Signature, Spans, read_signature
from nibai.conventions import OTHER_SEGMENT, SERIES_ATTRIBUTES
from nibai.predictions import PredictionRecord
from nibai.store.wal.prediction_rows import to_batch

NANOS_A_MINUTE = 60_000_000_000
MAX_NANOS = 2**63
MAX_SECONDS = 7 * 86400.0
CUMULATIVE_SERIES = 10_000
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


@dataclass(slots=True)
class Mapper:
    """Maps attributes to series by rules; keeps what cumulative histograms said last."""

    endpoint: tuple[str, ...] = SERIES_ATTRIBUTES["endpoint"]
    provider: str = "otel"
    scope: tuple[str, ...] = SERIES_ATTRIBUTES["scope"]
    name: tuple[str, ...] = SERIES_ATTRIBUTES["name"]
    variant: tuple[str, ...] = SERIES_ATTRIBUTES["variant"]
    replica: tuple[str, ...] = SERIES_ATTRIBUTES["replica"]
    segment: tuple[str, ...] = SERIES_ATTRIBUTES["segment"]
    segment_by: tuple[str, ...] = ()
    input_tokens: tuple[str, ...] = SERIES_ATTRIBUTES["input_tokens"]
    token_buckets: tuple[int, ...] = ()
    prediction: PredictionMapper = field(default_factory=PredictionMapper)
    max_series: int = 10_000
    _names: tuple[str, ...] = ()
    _minute: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _keys: set[Key] = field(default_factory=set)
    _resolved: dict[tuple[object, ...], dict[Signature, _Resolved]] = field(default_factory=dict)
    _wanted: Wanted = field(default_factory=lambda: Wanted(()))
    _last: OrderedDict[tuple[object, ...], tuple[int, np.ndarray, float]] = field(
        default_factory=OrderedDict
    )

    def __post_init__(self) -> None:
        self._names = (
            *self.endpoint, *self.scope, *self.name, *self.variant, *self.replica, *self.segment,
            *self.segment_by, *(self.input_tokens if self.token_buckets else ()),
        )  # fmt: skip
        self._wanted = Wanted(
            (*self._names, *OUTCOME_ATTRIBUTES, *METRIC_ATTRIBUTES), self.prediction.keys
        )

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Mapper:
        """A mapper from plug-in options."""
        known = {
            name: tuple(value) if isinstance(value, list | tuple) else value
            for name, value in options.items()
        }
        if isinstance(rules := options.get("prediction"), Mapping):
            known["prediction"] = PredictionMapper.from_options(rules)
        return cls(**known)  # type: ignore[arg-type]

    def rows(self, decoded: Decoded) -> Rows:
        """Rows and answers, and what was left out."""
        spans, points, others = decoded
        self._new_minute(decoded)
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
        keys = [None if one.key is None else self._bounded(one.key) for one in groups]
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
        return _Resolved(self._new_key({**resource, **attributes}, metric), failed, timed_out)

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
                series = Series(*self._new_key({**resource, **own}, "")[:4])
                known[group] = series
            given = {**resource, **values}
            record = self.prediction.record(given, series, end / 1e9, trace_id, rejected.add)
            if record is not None:
                yield record

    @property
    def wanted(self) -> Wanted:
        """The span attributes that decide anything."""
        return self._wanted

    def _new_key(self, attributes: Attributes, metric: str) -> Key:
        endpoint = first_name(attributes, self.endpoint)
        if not endpoint:
            scope = first_name(attributes, self.scope) or "default"
            endpoint = f"{self.provider}/{scope}/{first_name(attributes, self.name) or 'unknown'}"
        return (
            endpoint,
            first_name(attributes, self.variant),
            first_name(attributes, self.replica),
            self._segment(attributes),
            metric,
        )

    def _segment(self, attributes: Attributes) -> str:
        parts = [text for text in (first_name(attributes, self.segment),) if text]
        parts += [
            f"{name}={bounded_name(str(attributes[name]))}"
            for name in self.segment_by
            if name in attributes
        ]
        if self.token_buckets:
            tokens = next((attributes[n] for n in self.input_tokens if n in attributes), None)
            if isinstance(tokens, int | float):
                parts.append(f"tokens={token_bucket(tokens, self.token_buckets)}")
        return ",".join(parts)

    def _bounded(self, key: Key) -> Key | None:
        """At most `max_series` series a minute; beyond it segments are joined as "other".

        Of joined ones there are as many again; None: there is no room for one more endpoint,
        variant, replica or metric.
        """
        if key in self._keys:
            return key
        room = self.max_series
        if len(self._keys) >= room:
            key, room = (*key[:3], OTHER_SEGMENT, key[4]), 2 * room
        if key not in self._keys:
            if len(self._keys) >= room:
                return None
            self._keys.add(key)
        return key

    def _new_minute(self, decoded: Decoded) -> None:
        """Start counting series anew when the data move on to a later minute."""
        times = [decoded[0].latest(), *(point.time for point in decoded[1][-1:])]
        minute = max(times) // NANOS_A_MINUTE
        if minute > self._minute:
            self._minute = minute
            self._keys.clear()

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
            counts, total = self._delta(point, counts)
        histogram = (
            from_explicit(counts, point, total) if explicit else from_exponential(counts, point)
        )
        key = self._bounded(self._new_key({**point.resource, **point.attributes}, metric))
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

    def _delta(self, point: Point, counts: np.ndarray) -> tuple[np.ndarray, float]:
        """What a cumulative histogram counted since its last report; a restart counts from zero."""
        identity = (
            point.metric, tuple(sorted(point.resource.items())),
            tuple(sorted(point.attributes.items())), point.scale, point.offset,
            tuple(point.bounds or ()),
        )  # fmt: skip
        last = self._last.pop(identity, None)
        self._last[identity] = (point.start, counts, point.sum)
        if len(self._last) > CUMULATIVE_SERIES:
            self._last.popitem(last=False)
        if last is None or last[0] != point.start or len(last[1]) != len(counts):
            return counts, point.sum
        change = counts - last[1]
        if (change < 0).any():
            return counts, point.sum
        return change, point.sum - last[2]


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What spans of one signature are."""

    key: Key | None
    failed: bool
    timed_out: bool
