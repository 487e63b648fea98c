"""Inputs as the body of a request, and the answers in what comes back: JSON, JSON Lines, CSV, raw.

Without a template an input is sent as it was captured; a batch as a list of inputs (JSON) or one
input a line (CSV, JSON Lines).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nibai.errors import UsageError
from nibai.outputs import MISSING, UNPARSABLE, find, json_of
from nibai.protocols import Answer, ReplayInput

INPUT, INPUTS = "$input", "$inputs"
JSON_TYPE, LINES_TYPE, CSV_TYPE = "application/json", "application/jsonlines", "text/csv"
NO_ANSWER = "no answer"
"""The kind of invalid answer where what came back holds none for this input."""


@dataclass(frozen=True, slots=True)
class Bodies:
    """How a target wants its inputs and where it puts its answers.

    `template` is a JSON value with "$input" or "$inputs" somewhere in it, `answers` the path to the
    answer, or to the list of answers. `content_type` None: that of the captured input, else JSON.
    """

    batch: int = 1
    template: object = None
    answers: str | None = None
    content_type: str | None = None

    def __post_init__(self) -> None:
        if self.template is None:
            return
        listed = holds(self.template, INPUTS)
        if self.batch > 1 and not listed:
            raise UsageError(
                f'body: a batch of {self.batch} needs "{INPUTS}" somewhere in it, the list of '
                f'inputs; or send one at a time (--batch 1) with "{INPUT}"'
            )
        if not (listed or holds(self.template, INPUT)):
            raise UsageError(f'body: needs "{INPUT}" or "{INPUTS}" where the input belongs')

    @property
    def listed(self) -> bool:
        """Whether inputs and answers are lists."""
        return self.batch > 1 or holds(self.template, INPUTS)

    def encode(self, inputs: Sequence[ReplayInput]) -> tuple[bytes, str]:
        """(body, content type) of one request."""
        first = inputs[0]
        kind = self.content_type or first.content_type or JSON_TYPE
        payloads = [one.payload for one in inputs]
        if self.template is not None:
            return _json(fill(self.template, payloads)), JSON_TYPE
        if kind.startswith((CSV_TYPE, LINES_TYPE)):
            lines = [_raw(payload, kind) for payload in payloads]
            return b"\n".join(line.rstrip(b"\n") for line in lines), kind
        if self.listed:
            return _json(payloads), JSON_TYPE
        if isinstance(first.payload, bytes) or not kind.startswith(JSON_TYPE):
            return _raw(first.payload, kind), kind
        return _json(first.payload), kind

    def decode(self, body: bytes, content_type: str, n: int) -> Sequence[Answer]:
        """The answers to n inputs, in their order."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind in {CSV_TYPE, "text/plain", LINES_TYPE, "application/x-ndjson"}:
            return self._lines(body, kind, n)
        document = json_of(body)
        if document is MISSING:
            return [Answer(invalid=UNPARSABLE)] * n
        found = document if self.answers is None else find(document, self.answers)
        if not self.listed:
            return [Answer(invalid=NO_ANSWER) if found is MISSING else Answer(found)]
        if not isinstance(found, list) or len(found) != n:
            return [Answer(invalid=NO_ANSWER)] * n
        return [Answer(answer) for answer in found]

    def _lines(self, body: bytes, kind: str, n: int) -> Sequence[Answer]:
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError:
            return [Answer(invalid=UNPARSABLE)] * n
        lines = [line for line in text.splitlines() if line.strip()] if self.listed else [text]
        if len(lines) == 1 < n:
            # Some containers (XGBoost) put the answers of a batch into one line.
            lines = next(csv.reader(lines), [])
        if len(lines) != n:
            return [Answer(invalid=NO_ANSWER)] * n
        return [self._line(line, kind) for line in lines]

    def _line(self, line: str, kind: str) -> Answer:
        document = json_of(line)
        if document is MISSING:
            json_wanted = "json" in kind or self.answers is not None
            return Answer(invalid=UNPARSABLE) if json_wanted else Answer(line.strip())
        if kind == CSV_TYPE:
            return Answer(line.strip())
        found = document if self.answers is None else find(document, self.answers)
        return Answer(invalid=NO_ANSWER) if found is MISSING else Answer(found)


def fill(template: object, inputs: Sequence[object]) -> object:
    """A template with `"$inputs"` as the list of inputs and `"$input"` as the only one.

    >>> fill({"instances": "$inputs", "top": 3}, [{"text": "a"}])
    {'instances': [{'text': 'a'}], 'top': 3}
    """
    if template == INPUTS:
        return list(inputs)
    if template == INPUT:
        return inputs[0]
    if isinstance(template, Mapping):
        return {key: fill(value, inputs) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, inputs) for value in template]
    return template


def holds(template: object, sign: str) -> bool:
    """Whether a template has this sign somewhere."""
    if isinstance(template, Mapping):
        return any(holds(value, sign) for value in template.values())
    if isinstance(template, list):
        return any(holds(value, sign) for value in template)
    return template == sign


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _raw(payload: object, kind: str) -> bytes:
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, str) and "json" not in kind:
        return payload.encode()
    if isinstance(payload, list) and kind.startswith(CSV_TYPE):
        return ",".join(map(str, payload)).encode()
    return _json(payload)
