"""From one captured line to answers: who was asked, what was answered, nothing of the payload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from collector.json_lines import iso_moment, json_object
from collector.redact import Redaction
from collector.replay.rows import (
    NO_INPUT,
    RejectedError,
    captured_identity,
    captured_payload,
    mapping,
)
from collector.segments import Segments
from nibai.outputs import (
    MISSING,
    UNPARSABLE,
    Output,
    OutputSpec,
    find,
    json_of,
    plain_text,
    read_output,
)
from nibai.predictions import PredictionRecord

LINE_TYPES = ("text/csv", "application/jsonlines", "application/x-ndjson")
"""Content types of which every line is an answer."""

NO_OUTPUT = "no output"
NO_ANSWER = "no answer"
NOT_CAPTURED = "no captured line"


@dataclass(frozen=True, slots=True)
class Extraction:
    """What is made of a captured request.

    `inputs` and `answers` are paths to lists, where one request asks several things at once.
    `segments` maps the name of a segment to its path in the input.
    """

    output: OutputSpec
    answers: str = ""
    inputs: str = ""
    segments: Mapping[str, str] = field(default_factory=dict)
    redaction: Redaction = field(default_factory=Redaction)


def answers_of(
    line: bytes, extraction: Extraction, segments: Segments, series: PredictionRecord
) -> list[PredictionRecord]:
    """The answers of a line; `series` says whose they are.

    Raises RejectedError with the reason where the line cannot be used.
    """
    document = json_object(line, NOT_CAPTURED)
    captured, event = mapping(document.get("captureData")), mapping(document.get("eventMetadata"))
    if not captured or not event:
        raise RejectedError(NOT_CAPTURED)
    outputs = _outputs(mapping(captured.get("endpointOutput")), extraction)
    payload = _input(mapping(captured.get("endpointInput")))
    redaction, n = extraction.redaction, len(outputs)
    identity = redaction.identity(captured_identity(event))
    at, segment = iso_moment(event.get("inferenceTime")), ""
    asked: Sequence[object] = [None] * n
    if payload is not None:
        payload = redaction.payload(payload)
        segment = segments.bounded(_segment(payload, extraction))
        asked = _asked(payload, extraction, n)
    # Made in one go: copies of records took a third of the time.
    return [
        PredictionRecord(
            request_id=identity if n == 1 else f"{identity}#{place}",
            input_hash="" if one is None else redaction.input_hash(one),
            at=at,
            endpoint=series.endpoint,
            variant=series.variant,
            segment=segment,
            label=redaction.text(output.label),
            score=output.score,
            margin=output.margin,
            probabilities=_probabilities(output, extraction.output.labels),
            invalid=output.invalid,
            batch=n,
            source=series.source,
        )
        for place, (output, one) in enumerate(zip(outputs, asked, strict=True))
    ]


def _probabilities(output: Output, labels: Sequence[str]) -> tuple[float, ...]:
    """Only in a stated order: positions must mean the same class in both variants."""
    if not output.probabilities:
        return ()
    return tuple(output.probabilities.get(label, 0.0) for label in labels)


# -- both sides ---------------------------------------------------------------------------------


def _outputs(side: Mapping[str, object], extraction: Extraction) -> list[Output]:
    if not side:
        raise RejectedError(NO_OUTPUT)
    try:
        payload = captured_payload(side)
    except RejectedError as error:
        if str(error) == NO_INPUT:
            raise RejectedError(NO_OUTPUT) from error
        parts = _json_lines(side)
        # An answer that cannot be read is an invalid answer, never left out.
        return [Output(invalid=UNPARSABLE)] if parts is None else _read(parts, extraction)
    return _read(_answered(payload, side, extraction), extraction)


def _read(parts: Sequence[object], extraction: Extraction) -> list[Output]:
    return [
        Output(invalid=NO_ANSWER) if one is MISSING else read_output(one, extraction.output)
        for one in parts
    ]


def _answered(payload: object, side: Mapping[str, object], extraction: Extraction) -> list[object]:
    """The single answers of an output."""
    if extraction.answers:
        document = json_of(payload) if isinstance(payload, str | bytes) else payload
        found = find(document, extraction.answers)
        return list(found) if isinstance(found, list) and found else [MISSING]
    if isinstance(payload, str) and _line_by_line(side):
        return [line for line in payload.splitlines() if line.strip()] or [payload]
    return [payload]


def _input(side: Mapping[str, object]) -> object:
    """What was asked; None where it was not captured or cannot be read: then ids alone pair."""
    try:
        return captured_payload(side)
    except RejectedError:
        return None


def _asked(payload: object, extraction: Extraction, n: int) -> Sequence[object]:
    """The single inputs: as many as there are answers, else the whole for each, numbered."""
    parts: object = [payload]
    if extraction.inputs:
        parts = find(payload, extraction.inputs)
    elif isinstance(payload, str) and n > 1:
        parts = [line for line in payload.splitlines() if line.strip()]
    if isinstance(parts, list) and len(parts) == n:
        return parts
    return [[payload, i] for i in range(n)] if n > 1 else [payload]


def _segment(payload: object, extraction: Extraction) -> str:
    found = []
    for name, path in extraction.segments.items():
        value = find(payload, path)
        if value is not MISSING and value is not None and not isinstance(value, dict | list):
            found.append(f"{name}={extraction.redaction.text(plain_text(value))[:80]}")
    return ",".join(found)


# -- texts --------------------------------------------------------------------------------------


def _line_by_line(side: Mapping[str, object]) -> bool:
    kind = str(side.get("observedContentType") or "")
    return side.get("encoding") == "CSV" or kind.startswith(LINE_TYPES)


def _json_lines(side: Mapping[str, object]) -> list[object] | None:
    """JSON values one a line; None where it is something else."""
    data = side.get("data")
    lines = [line for line in str(data).splitlines() if line.strip()]
    if side.get("encoding") == "BASE64" or len(lines) < 2:  # noqa: PLR2004 - one is no list
        return None
    found = [json_of(line) for line in lines]
    return None if any(one is MISSING for one in found) else found
