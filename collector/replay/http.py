"""A service that answers a POST: `http://…` and `https://…`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from collector.replay.bodies import Bodies
from collector.replay.options import TargetOptions, validated
from collector.replay.transport import Transport, check_url
from nibai.config import Duration, SecretReference
from nibai.protocols import Answer, ReplayInput, Target


class Options(TargetOptions):
    """What may be said about an HTTP target; see `collector.replay.bodies`."""

    address: Annotated[str, AfterValidator(check_url)]
    body: object = None
    answers: str | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = Field(default_factory=dict)
    token: SecretReference | None = None
    timeout: Duration = 30.0


def build(options: Mapping[str, object]) -> Target:
    """The target of one address."""
    given = validated(Options, options)
    transport = Transport(
        given.address, headers=given.headers, token=given.token, timeout_seconds=given.timeout
    )
    bodies = Bodies(given.batch, given.body, given.answers, given.content_type)
    return HttpTarget(transport, bodies)


class HttpTarget:
    """Sends a batch in one POST."""

    def __init__(self, transport: Transport, bodies: Bodies) -> None:
        self._transport = transport
        self._bodies = bodies

    def send(self, inputs: Sequence[ReplayInput]) -> Sequence[Answer]:
        """One request; see `nibai.protocols.Target`."""
        received = self._transport.post(*self._bodies.encode(inputs))
        return self._bodies.decode(received.body, received.content_type, len(inputs))
