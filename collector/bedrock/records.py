"""From one record of an invocation log to an answer, and to how it was asked for.

The form: https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html; public
samples agree on it. Of bodies nothing is kept but digests, a class, and segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from collector.bedrock.series import Model, short
from collector.json_lines import iso_moment, json_object
from collector.redact import Redaction
from collector.replay.rows import RejectedError, mapping
from collector.segments import band
from nibai.outputs import MISSING, Output, OutputSpec, find, plain_text, read_output
from nibai.predictions import PredictionRecord

OTHER_MODEL = "of a model that is not configured"
NOT_A_LOG = "no invocation record"
NO_ID = "no request id"
ELSEWHERE = "its body lies in the large-data location"
NO_ANSWER = "no answer"

TEXTS = ("completion", "generation", "outputText", "text")
"""Where models without a common form put their text."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a request was asked for: `performance` and `tier` are "default" where nothing is said."""

    endpoint: str
    variant: str
    at: float
    performance: str
    tier: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What is made of records; `models` by their own names.

    `bands`: edges in tokens of the lengths ("in", "out") by which requests are told apart.
    """

    models: Mapping[str, Model]
    output: OutputSpec
    segments: tuple[str, ...] = ()
    redaction: Redaction = field(default_factory=Redaction)
    bands: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def read_record(line: bytes, reading: Reading) -> tuple[PredictionRecord, Asked]:
    """The answer of a record; raises RejectedError with the reason where it cannot be used."""
    record = json_object(line, NOT_A_LOG)
    if "modelId" not in record:
        raise RejectedError(NOT_A_LOG)
    model = reading.models.get(short(str(record.get("modelId") or "")))
    if model is None:
        raise RejectedError(OTHER_MODEL)
    identity, at = record.get("requestId"), iso_moment(record.get("timestamp"))
    if not isinstance(identity, str) or not identity:
        raise RejectedError(NO_ID)
    asked, answered = mapping(record.get("input")), mapping(record.get("output"))
    output = _output(record, answered, reading.output)
    body = asked.get("inputBodyJson")
    redaction = reading.redaction
    found = PredictionRecord(
        request_id=redaction.identity(identity),
        input_hash="" if body is None else redaction.input_hash(redaction.payload(body)),
        at=at,
        endpoint=model.endpoint,
        variant=model.variant,
        segment=_segment(record, asked, answered, reading),
        label=redaction.text(output.label),
        invalid=output.invalid,
    )
    return found, Asked(model.endpoint, model.variant, at, *_how(record, body))


def _output(
    record: Mapping[str, object], answered: Mapping[str, object], spec: OutputSpec
) -> Output:
    error = record.get("errorCode")
    if isinstance(error, str) and error:
        return Output(invalid=error)
    body = answered.get("outputBodyJson")
    if body is None:
        if any(name.endswith("S3Path") for name in answered):
            raise RejectedError(ELSEWHERE)
        return Output(invalid=NO_ANSWER)
    value = find(body, spec.path) if spec.path else usual_text(body)
    if value is MISSING or value is None:
        return Output(invalid=NO_ANSWER)
    return read_output(value, OutputSpec(spec.kind, labels=spec.labels))


def usual_text(body: object) -> object:
    """The text of the usual forms of answers; MISSING where it is none of them.

    >>> usual_text({"output": {"message": {"content": [{"text": "Hello"}, {"text": "!"}]}}})
    'Hello!'
    >>> usual_text({"content": [{"type": "text", "text": "Hi"}], "id": "msg_1"})
    'Hi'
    """
    if isinstance(body, list):
        parts = [_streamed(one) for one in body]
        return "".join(parts) or MISSING
    for path in ("output.message.content", "content", "choices[0].message.content"):
        found = find(body, path)
        if isinstance(found, str):
            return found
        if isinstance(found, list) and found:
            return "".join(map(_block, found))
    for path in (*TEXTS, *(f"results[0].{name}" for name in TEXTS)):
        found = find(body, path)
        if isinstance(found, str):
            return found
    return MISSING


def _block(block: object) -> str:
    """A block of an answer as text; a tool's call as its name and arguments, without its id."""
    if not isinstance(block, Mapping):
        return plain_text(block)
    text = block.get("text")
    if isinstance(text, str):
        return text
    tool = block.get("toolUse", block)
    if isinstance(tool, Mapping):
        kept = {k: v for k, v in tool.items() if k in {"name", "input"}}
        return plain_text(kept) if kept else ""
    return ""


def _streamed(chunk: object) -> str:
    for path in ("delta.text", "contentBlockDelta.delta.text", "completion", "outputText"):
        found = find(chunk, path)
        if isinstance(found, str):
            return found
    return ""


def _segment(
    record: Mapping[str, object],
    asked: Mapping[str, object],
    answered: Mapping[str, object],
    reading: Reading,
) -> str:
    """What the caller called it, and how long request and answer were."""
    metadata = mapping(record.get("requestMetadata"))
    named = ((key, metadata[key]) for key in reading.segments if key in metadata)
    found = [f"{k}={reading.redaction.text(plain_text(value))[:80]}" for k, value in named]
    lengths = ("in", asked.get("inputTokenCount")), ("out", answered.get("outputTokenCount"))
    for name, tokens in lengths:
        text = band(tokens, reading.bands[name]) if name in reading.bands else ""
        found += [f"{name}={text}"] if text else []
    return ",".join(found)


def _how(record: Mapping[str, object], body: object) -> tuple[str, str]:
    """(performance, tier), from the record or, where it says nothing, from the request's body."""
    places = (record, mapping(body))
    performance = _first(places, ("performanceConfig.latency", "performanceConfigLatency"))
    tier = _first(places, ("serviceTier.type", "serviceTier", "service_tier"))
    return performance, tier


def _first(places: Iterable[object], paths: Iterable[str]) -> str:
    found = (find(place, path) for place in places for path in paths)
    text = next((one for one in found if isinstance(one, str) and one), "default")
    return "default" if text == "standard" else text
