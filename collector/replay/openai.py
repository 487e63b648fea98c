"""A server that speaks OpenAI's chat/completions or completions: `openai:https://host/v1`.

An input is a prompt, a list of messages, or a captured request whose fields are kept. Requests are
single: the batch-mates of an answer are those that the server works on at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from collector.replay.options import TargetOptions, validated
from collector.replay.transport import Transport, check_url
from nibai.config import Duration, SecretReference
from nibai.errors import UsageError
from nibai.outputs import UNPARSABLE
from nibai.protocols import Answer, ReplayInput, Target

DROPPED = ("stream", "stream_options", "n", "user", "metadata")
"""Fields of a captured request that would change the form of the answer, or name people."""


class Options(TargetOptions):
    """What may be said about a server; a sampling option overrides what was captured."""

    address: Annotated[str, AfterValidator(check_url)]
    model: str | None = None
    api: Literal["chat", "completions"] = "chat"
    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    extra: Mapping[str, object] = Field(default_factory=dict)
    headers: Mapping[str, str] = Field(default_factory=dict)
    token: SecretReference | None = None
    timeout: Duration = 120.0


def build(options: Mapping[str, object]) -> Target:
    """The target of one server and model."""
    given = validated(Options, options)
    if given.batch > 1:
        raise UsageError(
            f"openai:{given.address}: requests are single: --batch 1; batch-mates are those under "
            "way at the same time (--concurrency)"
        )
    path = "/chat/completions" if given.api == "chat" else "/completions"
    transport = Transport(
        given.address.rstrip("/") + path,
        headers=given.headers,
        token=given.token,
        timeout_seconds=given.timeout,
    )
    return OpenAiTarget(transport, given)


class OpenAiTarget:
    """Asks for one completion per input."""

    def __init__(self, transport: Transport, options: Options) -> None:
        self._transport = transport
        self._options = options

    def send(self, inputs: Sequence[ReplayInput]) -> Sequence[Answer]:
        """One request an input; see `nibai.protocols.Target`."""
        return [self._ask(one) for one in inputs]

    def _ask(self, one: ReplayInput) -> Answer:
        body = json.dumps(self._body(one.payload), ensure_ascii=False).encode()
        received = self._transport.post(body)
        try:
            return Answer(json.loads(received.body))
        except (ValueError, RecursionError):
            return Answer(invalid=UNPARSABLE)

    def _body(self, payload: object) -> dict[str, object]:
        options = self._options
        said = {
            "model": options.model,
            "temperature": options.temperature,
            "seed": options.seed,
            "max_tokens": options.max_tokens,
        }
        given = {name: value for name, value in said.items() if value is not None}
        return {"temperature": 0, **self._captured(payload), **given, **options.extra}

    def _captured(self, payload: object) -> dict[str, object]:
        if isinstance(payload, Mapping):
            return {name: value for name, value in payload.items() if name not in DROPPED}
        if self._options.api == "completions":
            return {"prompt": payload}
        if isinstance(payload, list):
            return {"messages": payload}
        return {"messages": [{"role": "user", "content": str(payload)}]}
