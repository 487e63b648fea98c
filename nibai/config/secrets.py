"""Secrets behind references; what was read once is in no log line or error after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nibai.errors import ConfigError
from nibai.redaction import hide


def resolve_secret(reference: str, environment: Mapping[str, str]) -> str:
    """The secret behind a reference; ConfigError names the reference, never the value."""
    kind, _, where = reference.partition(":")
    if kind == "env":
        found = environment.get(where)
    else:
        try:
            found = Path(where).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            found = None
    if not found:
        raise ConfigError(f"the secret {reference} is empty or missing: set it")
    hide(found)
    return found
