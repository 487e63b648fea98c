"""Answers of OpenAI-compatible servers: text, finish reason, tool calls and length."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nibai.texts.json_answers import NOT_JSON, canonical, parsed


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the model asks for; `arguments` is JSON as the model wrote it."""

    name: str
    arguments: str

    @property
    def canonical(self) -> str:
        """The arguments in the form in which they are compared."""
        value = parsed(self.arguments)
        return self.arguments if value is NOT_JSON else canonical(value)


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """One answer; `length` in the model's own tokens, None and "" where not known."""

    text: str
    finish_reason: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    length: int | None = None


def chat_answer(body: object) -> TextAnswer | None:
    """The first choice of a chat or text completion, None where the body is not one.

    >>> chat_answer({"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]})
    TextAnswer(text='Yes.', finish_reason='stop', tool_calls=(), length=None)
    """
    choices = body.get("choices") if isinstance(body, Mapping) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        return None
    choice = choices[0]
    message = choice.get("message", choice)  # a text completion has its text in the choice
    if not isinstance(message, Mapping):
        return None
    usage = body.get("usage") if isinstance(body, Mapping) else None
    length = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    return TextAnswer(
        _text(message.get("content", message.get("text"))),
        str(choice.get("finish_reason") or ""),
        _tool_calls(message),
        length if isinstance(length, int) and length >= 0 else None,
    )


def same_tools(one: Sequence[ToolCall], other: Sequence[ToolCall]) -> bool:
    """Whether both call the same functions in the same order."""
    return [call.name for call in one] == [call.name for call in other]


def same_arguments(one: Sequence[ToolCall], other: Sequence[ToolCall]) -> bool:
    """Whether the same functions get the same arguments, compared as JSON where they parse.

    >>> calls = [(ToolCall("add", text),) for text in ('{"a": 1, "b": 2}', '{"b":2,"a":1}')]
    >>> same_arguments(*calls)
    True
    """
    return same_tools(one, other) and [call.canonical for call in one] == [
        call.canonical for call in other
    ]


def valid_arguments(calls: Sequence[ToolCall]) -> bool:
    """Whether the arguments of all calls are JSON objects, as the protocol wants them."""
    return all(isinstance(parsed(call.arguments or "{}"), dict) for call in calls)


def _text(content: object) -> str:
    if isinstance(content, list):  # parts: [{"type": "text", "text": …}, …]
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _tool_calls(message: Mapping[str, object]) -> tuple[ToolCall, ...]:
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        called = [call.get("function") for call in calls if isinstance(call, Mapping)]
    else:
        called = [message.get("function_call")]  # the older form: at most one
    return tuple(
        ToolCall(str(one.get("name") or ""), _arguments(one.get("arguments")))
        for one in called
        if isinstance(one, Mapping)
    )


def _arguments(given: object) -> str:
    return given if isinstance(given, str) else json.dumps(given or {})
