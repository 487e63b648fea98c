"""Spans from their bytes: times, and the few things that decide what a span is.

Many spans are read column by column. Few, and those with an odd encoding, go one by one through
protobuf's own decoder. Both give the same (tests hold that, for sound and for damaged bytes).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.otlp.attributes import Wanted, scalar
from collector.otlp.schema import SPAN, MalformedError, is_error, parse
from collector.otlp.shapes import SERVING, Answer, Spans
from collector.otlp.span_columns import SpanColumns

FEW = 100
"""Below it one by one is quicker."""

MANY = 4096
"""As many are read at once, so that columns stay small."""


def read_spans(raws: Sequence[bytes], wanted: Wanted, into: Spans) -> None:
    """Collect spans from their bytes, in the room made for them.

    MalformedError when one is no span.
    """
    for first in range(0, len(raws), MANY):
        some = raws[first : first + MANY]
        rows: Iterable[int] = range(len(some))
        if len(some) >= FEW:
            columns = SpanColumns(some, wanted)
            columns.collect(into, first)
            for row, attributes in columns.answers():
                into.answers.append((first + row, _answer(attributes, parse(SPAN, some[row]))))
            rows = columns.odd.tolist()
        for row in rows:
            _read(some[row], first + row, wanted, into)


def _read(raw: bytes, position: int, wanted: Wanted, into: Spans) -> None:
    """One span by protobuf's decoder."""
    span = parse(SPAN, raw)
    known, ignored, is_wanted = wanted.known, wanted.ignored, wanted.is_wanted
    answer: list[bytes] = []
    own = [
        raw
        for raw in span.attributes
        if raw in known or (raw not in ignored and is_wanted(raw, answer))
    ]
    # A span that serves is a request wherever it stands; of others only roots may be.
    nested = span.kind not in SERVING and bool(span.parent_span_id)
    signature = (span.kind, nested, is_error(span.status), *own)
    into.put(position, span.start_time_unix_nano, span.end_time_unix_nano, signature)
    if answer:
        into.answers.append((position, _answer(answer, span)))


def _answer(raws: Sequence[bytes], span: Any) -> Answer:  # noqa: ANN401 - protobuf
    return dict(map(_part, raws)), span.trace_id.hex()


def _part(raw: bytes) -> tuple[str, object]:
    """One attribute of an answer, lists included; ids are new every time and not remembered."""
    message = KeyValue()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise MalformedError("an attribute cannot be decoded") from error
    value = message.value
    if value.WhichOneof("value") == "array_value":
        return message.key, [scalar(one) for one in value.array_value.values]
    return message.key, scalar(value)
