"""A service that takes JSON by POST and answers JSON: `http://…` and `https://…`.

Without a `body`, an input is sent as it was captured, a batch as a list of inputs. `answers` is the
path to the list of answers in what comes back, one per input and in their order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from collector.replay.json_text import INPUT, INPUTS, encode, fill, holds
from collector.replay.options import TargetOptions, validated
from collector.replay.transport import Received, Transport, check_url
from nibai.config import Duration, SecretReference
from nibai.errors import UsageError
from nibai.protocols import Answer, ReplayInput, Target
from nibai.replaying.paths import MISSING, find

PLAIN_TEXT = ("text/plain", "text/csv")


class Options(TargetOptions):
    """What may be said about an HTTP target."""

    address: Annotated[str, AfterValidator(check_url)]
    body: object = None
    answers: str | None = None
    headers: Mapping[str, str] = Field(default_factory=dict)
    token: SecretReference | None = None
    timeout: Duration = 30.0


def build(options: Mapping[str, object]) -> Target:
    """The target of one address."""
    return HttpTarget(validated(Options, options))


class HttpTarget:
    """Sends batches as JSON."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._template = options.body
        self._listed = options.batch > 1 or holds(options.body, INPUTS)
        if options.body is None:
            self._template = INPUTS if self._listed else INPUT
        elif options.batch > 1 and not holds(options.body, INPUTS):
            raise UsageError(
                f'body: a batch of {options.batch} needs "{INPUTS}" somewhere in it, the list of '
                f'inputs; or send one at a time (--batch 1) with "{INPUT}"'
            )
        self._transport = Transport(
            options.address,
            headers=options.headers,
            token=options.token,
            timeout_seconds=options.timeout,
        )

    def send(self, inputs: Sequence[ReplayInput]) -> Sequence[Answer]:
        """One POST; see `nibai.protocols.Target`."""
        body, content_type = self._body(inputs)
        return self._answers(self._transport.post(body, content_type), len(inputs))

    def _body(self, inputs: Sequence[ReplayInput]) -> tuple[bytes, str]:
        first = inputs[0]
        if not self._listed and self._options.body is None:
            if isinstance(first.payload, bytes):
                return first.payload, first.content_type or "application/octet-stream"
            if isinstance(first.payload, str) and first.content_type:
                return first.payload.encode(), first.content_type
        filled = fill(self._template, [one.payload for one in inputs])
        return encode(filled), "application/json"

    def _answers(self, received: Received, n: int) -> Sequence[Answer]:
        try:
            document = json.loads(received.body)
        except ValueError:
            if n == 1 and received.content_type.startswith(PLAIN_TEXT):
                return [Answer(received.body.decode("utf-8", "replace"))]
            return [Answer(invalid="unparsable")] * n
        found = document
        if self._options.answers is not None:
            found = find(document, self._options.answers)
        if not self._listed:
            return [Answer(invalid="no_answer") if found is MISSING else Answer(found)]
        if not isinstance(found, list) or len(found) != n:
            return [Answer(invalid="no_answer")] * n
        return [Answer(answer) for answer in found]
