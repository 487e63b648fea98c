"""What served an endpoint before it was first seen, rebuilt from CloudTrail's own record.

Images cannot be rebuilt (their digests are not recorded) and no end of a deployment is recorded:
an hour is assumed. Source: nibai's aws.md, section 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collector.sagemaker.describe import Describer, Raw
from collector.sagemaker.signals import Dated, Signal
from collector.sagemaker.snapshot import Snapshot
from collector.sagemaker.trail import Recorded, Trail

ASSUMED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Served:
    """A configuration from when on it was deployed, and by whom."""

    snapshot: Snapshot
    signal: Signal

    @property
    def dated(self) -> Dated:
        """From the call on, over an assumed hour later."""
        at = self.signal.at
        return Dated(
            at, at + ASSUMED_SECONDS, "start told by CloudTrail; end assumed an hour later"
        )


class Past:
    """Rebuilds from one trail; what was deleted since is taken from its recorded creation."""

    def __init__(self, trail: Trail, describer: Describer) -> None:
        self._trail = trail
        self._describer = describer

    def of(self, name: str, since: float, until: float) -> Iterator[Served]:
        """Every deployment of an endpoint that can be rebuilt, the oldest first."""
        self._describer.recorded(
            configs=self._made("CreateEndpointConfig", "EndpointConfigName", since, until),
            models=self._made("CreateModel", "ModelName", since, until),
        )
        calls: list[Recorded] = []
        for event in ("CreateEndpoint", "UpdateEndpoint"):
            calls += self._trail.events(event, since, until)
        for call in sorted(calls, key=lambda one: one.at):
            if call.request.get("EndpointName") == name:
                config = str(call.request.get("EndpointConfigName", ""))
                snapshot = self._describer.configured(name, config, call.at)
                if snapshot is not None:
                    text = f"{call.name} by {call.who}"
                    yield Served(snapshot, Signal(name, call.at, "CloudTrail", text, begins=True))

    def _made(self, event: str, key: str, since: float, until: float) -> Mapping[str, Raw]:
        found = self._trail.events(event, since, until)
        return {str(one.request[key]): one.request for one in found if key in one.request}
