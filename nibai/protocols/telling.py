"""Seams towards people: notifiers and renderers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from nibai.model import Alert, Audit


@runtime_checkable
class Notifier(Protocol):
    """Tells somebody (entry point group `nibai.notifiers`); raises NotifyError."""

    def notify(self, alerts: Sequence[Alert]) -> None:
        """Deliver alerts; resolved ones too."""
        ...


@runtime_checkable
class Renderer(Protocol):
    """An audit as a document (entry point group `nibai.renderers`)."""

    def render(self, audit: Audit) -> str:
        """The whole document."""
        ...
