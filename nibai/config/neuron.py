"""The section `neuron`: reports of neuron-monitor, from a file, a pipe or a page."""

from __future__ import annotations

import hashlib

from pydantic import Field, model_validator

from nibai.config.fields import Duration, Section


class Neuron(Section):
    """Reports of one endpoint's executions; `path` "-" is standard input, followed to its end."""

    endpoint: str = Field(pattern=r"^[^/]+/[^/]+/.+$")
    variant: str = ""
    path: str | None = None
    url: str | None = Field(default=None, pattern=r"^https?://")
    every: Duration = 60.0

    @model_validator(mode="after")
    def _one_place(self) -> Neuron:
        if (self.path is None) == (self.url is None):
            raise ValueError("path: give either path (a file, a named pipe, -) or url (a page)")
        return self

    @property
    def source_name(self) -> str:
        """What its progress is kept under."""
        where = f"{self.endpoint} {self.variant} {self.path or self.url}"
        return f"neuron-{hashlib.blake2b(where.encode(), digest_size=6).hexdigest()}"
