"""From what a target answered to what a pair of answers needs to know of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nibai.errors import UsageError
from nibai.outputs import Output, OutputKind, OutputSpec, digest, read_output
from nibai.protocols import Answer
from nibai.texts.chat import chat_answer
from nibai.texts.pairs import said

COLUMN = re.compile(r"column=(\d+)")
"""A path that leads to a cell of a CSV line, counted from 0."""

CHAT = "chat"
"""The output kind of OpenAI-compatible answers: their text and tool calls."""

WORDS = (CHAT, OutputKind.TEXT, OutputKind.JSON)
"""Kinds whose answers are somebody's text: only their digests are kept unless asked for."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How answers are read: `output` is KIND[:PATH] as `nibai compare --output` takes it.

    A PATH may also be `column=N`, a cell of an answer that is a CSV line.

    >>> Reading("score:column=1")(Answer("cat,0.9"))
    {'answer': '0.9', 'score': 0.9}

    What it returns is plain data: `answer` (as the pairs file has it), `score`, `margin`, `finish`
    (the reason why a text ended), each only where known, or `invalid` alone. `keep_texts`: texts
    themselves, not their digests.
    """

    output: str = OutputKind.CLASS
    labels: tuple[str, ...] = ()
    decision_threshold: float | None = None
    keep_texts: bool = False

    def __post_init__(self) -> None:
        if self.kind != CHAT and self.kind not in tuple(OutputKind):
            raise UsageError(
                f"--output knows no {self.kind!r}: there are {', '.join([*OutputKind, CHAT])}, "
                "each with :PATH behind it for an answer inside a JSON document"
            )

    @property
    def kind(self) -> str:
        """The kind of answers."""
        return self.output.partition(":")[0]

    @property
    def written(self) -> str:
        """The kind of answers that the pairs file has."""
        if self.kind not in WORDS:
            return self.kind
        if not self.keep_texts:
            return OutputKind.CLASS
        return OutputKind.TEXT if self.kind == CHAT else self.kind

    def __call__(self, answer: Answer) -> Mapping[str, object]:
        """One answer as plain data."""
        if answer.invalid:
            return {"invalid": answer.invalid}
        if self.kind == CHAT:
            return self._chat(answer.payload)
        path = self.output.partition(":")[2]
        cell = COLUMN.fullmatch(path)
        spec = OutputSpec(
            OutputKind(self.kind),
            path="" if cell else path,
            column=int(cell[1]) if cell else None,
            labels=self.labels,
            decision_threshold=self.decision_threshold,
        )
        output = read_output(answer.payload, spec)
        if output.invalid:
            return {"invalid": output.invalid}
        found = {"answer": self._answer(output), "score": output.score, "margin": output.margin}
        return {name: value for name, value in found.items() if value is not None}

    def _answer(self, output: Output) -> str:
        if self.kind in WORDS:
            return output.text if self.keep_texts else output.label
        if self.kind == OutputKind.PROBA:
            return _json(dict(output.probabilities))
        if self.kind == OutputKind.EMBEDDING:
            return _json(output.vector)
        if self.kind == OutputKind.RANKING:
            return _json(output.items)
        if output.score is not None:
            return repr(output.score)
        return output.label

    def _chat(self, payload: object) -> Mapping[str, object]:
        answer = chat_answer(payload)
        if answer is None:
            return {"invalid": "not a completion"}
        # Tool calls are part of what is compared.
        text = said(answer) if answer.tool_calls else answer.text
        kept = text if self.keep_texts else digest(text)
        return {"answer": kept, "finish": answer.finish_reason}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
