"""From one captured row to an input, or to the reason why it cannot be sent."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nibai.protocols import ReplayInput

ROLES = {
    "id": ("request_id", "id", "inference_id", "event_id", "eventId", "uuid"),
    "input": ("input", "payload", "inputs", "prompt", "request", "body", "text", "messages"),
    "segment": ("segment",),
    "label": ("label", "truth", "target", "y"),
}
"""Columns that name themselves, by role; the first present one wins."""

JSON_TYPES = re.compile(r"application/([\w.+-]+\+)?json\b", re.IGNORECASE)
TEXT_TYPES = re.compile(r"text/|application/(jsonlines|x-ndjson|xml)", re.IGNORECASE)
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")

START_BYTES = 800

NOT_UTF8 = "not UTF-8"
NOT_JSON = "not JSON"
NO_INPUT = "no input"
BINARY = "binary input"


class RejectedError(Exception):
    """A row that cannot be sent; the text is the reason it is counted under."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number, the input or why there is none, its size and the start of its text."""

    number: int
    found: ReplayInput | RejectedError
    size: int = 0
    start: bytes = b""


def convert(
    item: object,
    columns: Mapping[str, str],
    number: int,
    *,
    line: bytes = b"",
    cells: bool = False,
) -> Row:
    """The row of one value: named values are columns, everything else is the input itself."""
    found: ReplayInput | RejectedError
    try:
        if isinstance(item, Mapping):
            found = from_mapping(item, columns, number, cells=cells)
        elif item is None or item == "":
            raise RejectedError(NO_INPUT)  # noqa: TRY301 - one way out
        else:
            found = made(f"row-{number}", item)
    except RejectedError as error:
        found = error
    return Row(number, found, len(line), line[:START_BYTES])


def rejected(number: int, reason: str, size: int, start: bytes) -> Row:
    """The row of something that could not even be parsed."""
    return Row(number, RejectedError(reason), size, start[:START_BYTES])


def from_mapping(
    row: Mapping[str, object], columns: Mapping[str, str], number: int, *, cells: bool
) -> ReplayInput:
    """The input of a row of named values; `cells` when they are the texts of a CSV file."""
    if "captureData" in row:
        return from_data_capture(row, columns)
    found = {role: _column(row, columns, role) for role in ROLES}
    where = found["input"]
    if where is not None:
        payload = _cell(row[where]) if cells else row[where]
    else:
        used = {name for role, name in found.items() if role != "input"}
        fields = {name: value for name, value in row.items() if name not in used}
        payload = {name: _cell(value) for name, value in fields.items()} if cells else fields
    if payload is None or payload in ("", {}):
        raise RejectedError(NO_INPUT)
    return made(
        _text(row, found["id"]) or f"row-{number}",
        payload,
        segment=_text(row, found["segment"]) or "",
        truth=_text(row, found["label"]),
    )


def from_data_capture(row: Mapping[str, object], columns: Mapping[str, str]) -> ReplayInput:
    """The input of a line that SageMaker Data Capture wrote.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture
    """
    captured, event = mapping(row.get("captureData")), mapping(row.get("eventMetadata"))
    side = mapping(captured.get("endpointInput"))
    payload = captured_payload(side)
    return made(
        captured_identity(event),
        payload,
        segment=_text(row, columns.get("segment")) or "",
        truth=_text(row, columns.get("label")),
        content_type=str(side.get("observedContentType") or "") or None,
    )


def captured_payload(side: Mapping[str, object]) -> object:
    """What one side of a captured line holds: text, bytes, or a JSON value.

    Raises RejectedError where there is nothing, or what it is said to be it is not.
    """
    data = side.get("data")
    if not isinstance(data, str) or not data:
        raise RejectedError(NO_INPUT)
    kind = str(side.get("observedContentType") or "")
    payload: object = data
    if side.get("encoding") == "BASE64":
        payload = _decoded(data, kind)
    if isinstance(payload, str) and (side.get("encoding") == "JSON" or JSON_TYPES.match(kind)):
        payload = _json(payload)
    return payload


def captured_identity(event: Mapping[str, object]) -> str:
    """The caller's id of a captured request, else the endpoint's own."""
    identity = event.get("inferenceId") or event.get("eventId")
    if not isinstance(identity, str):
        raise RejectedError("no event id")
    return identity


def made(
    request_id: str,
    payload: object,
    *,
    segment: str = "",
    truth: str | None = None,
    content_type: str | None = None,
) -> ReplayInput:
    """An input with its hash, which depends on the payload alone, not on the order of keys.

    >>> made("1", {"a": 1, "b": 2}).input_hash == made("2", {"b": 2, "a": 1}).input_hash
    True
    """
    payload = plain(payload)
    if isinstance(payload, bytes):
        data = b"bytes " + payload
    else:
        text = json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise RejectedError(NOT_UTF8) from error
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return ReplayInput(request_id, digest, payload, segment, truth, content_type)


def plain(value: object) -> object:
    """A value with JSON's types alone, bytes at the top excepted; others as their text."""
    if value is None or isinstance(value, str | bool | int | float | bytes):
        return value
    if isinstance(value, Mapping):
        return {str(key): _inner(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_inner(item) for item in value]
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def _inner(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return plain(value)


def _column(row: Mapping[str, object], columns: Mapping[str, str], role: str) -> str | None:
    if role in columns:
        return columns[role] if columns[role] in row else None
    taken = set(columns.values())
    return next((name for name in ROLES[role] if name in row and name not in taken), None)


def _text(row: Mapping[str, object], column: str | None) -> str | None:
    value = None if column is None else row.get(column)
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)


def _cell(value: object) -> object:
    """A cell of a CSV file: numbers and JSON documents as such, everything else as text."""
    if not isinstance(value, str):
        return value
    if NUMBER.fullmatch(value):
        return json.loads(value)
    if value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _decoded(data: str, kind: str) -> object:
    try:
        found = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RejectedError("not BASE64") from error
    if not (JSON_TYPES.match(kind) or TEXT_TYPES.match(kind) or not kind):
        return found
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError as error:
        if kind:
            raise RejectedError(NOT_UTF8) from error
        return found


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RejectedError(NOT_JSON) from error


def mapping(value: object) -> Mapping[str, object]:
    """The value if it holds named values, else nothing."""
    return value if isinstance(value, Mapping) else {}
