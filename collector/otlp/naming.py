"""Which series a span or a point belongs to, by its attributes.

Defaults follow the OpenTelemetry semantic conventions for resources and generative AI, so that an
instrumented service works unconfigured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from collector.otlp.attributes import Attributes
from collector.otlp.columns import Key
from collector.otlp.names import bounded_name, first_name, token_bucket
from nibai.conventions import OTLP_PROVIDER, SERIES_ATTRIBUTES


@dataclass(frozen=True, slots=True)
class Naming:
    """Which attributes name the parts of a series; the first present one wins."""

    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: SERIES_ATTRIBUTES)
    provider: str = OTLP_PROVIDER
    segment_by: tuple[str, ...] = ()
    token_buckets: tuple[int, ...] = ()

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Naming:
        """The rules of a configuration; parts it leaves out keep their default."""
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list | tuple) else value
            for name, value in options.items()
        }
        given = {part: known.pop(part) for part in SERIES_ATTRIBUTES if part in known}
        return cls({**SERIES_ATTRIBUTES, **given}, **known)

    @property
    def names(self) -> tuple[str, ...]:
        """All attributes that are looked at."""
        parts = [part for part in self.attributes if part != "input_tokens" or self.token_buckets]
        named = (name for part in parts for name in self.attributes[part])
        return (*named, *self.segment_by)

    def key(self, attributes: Attributes, metric: str) -> Key:
        """The series of a metric; without an endpoint of its own it has that of its service."""
        endpoint, scope, name, variant, replica = (
            first_name(attributes, self.attributes[part])
            for part in ("endpoint", "scope", "name", "variant", "replica")
        )
        if not endpoint:
            endpoint = f"{self.provider}/{scope or 'default'}/{name or 'unknown'}"
        return endpoint, variant, replica, self._segment(attributes), metric

    def _segment(self, attributes: Attributes) -> str:
        own = first_name(attributes, self.attributes["segment"])
        parts = [own] if own else []
        parts += [
            f"{name}={bounded_name(str(attributes[name]))}"
            for name in self.segment_by
            if name in attributes
        ]
        if self.token_buckets:
            counted = self.attributes["input_tokens"]
            tokens = next((attributes[name] for name in counted if name in attributes), None)
            if isinstance(tokens, int | float):
                parts.append(f"tokens={token_bucket(tokens, self.token_buckets)}")
        return ",".join(parts)
