"""The section `telemetry`: nibai's own traces and metrics, off until an address is given."""

from __future__ import annotations

from pydantic import Field

from nibai.config.fields import Duration, SecretReference, Section


class Telemetry(Section):
    """Where own telemetry goes by OTLP over HTTP, such as http://127.0.0.1:4318.

    `token` is sent as a bearer token; another nibai off loopback asks for one.
    """

    endpoint: str | None = Field(default=None, pattern=r"^https?://\S+$")
    token: SecretReference | None = None
    every: Duration = Field(default=60.0, ge=1)
