"""Seams towards people: notifiers and renderers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from nibai.model import Alert, Audit, Round


@runtime_checkable
class Notifier(Protocol):
    """Tells somebody (entry point group `nibai.notifiers`); raises NotifyError."""

    def notify(self, alerts: Sequence[Alert]) -> None:
        """Deliver alerts; resolved ones too."""
        ...


@runtime_checkable
class Alerting(Protocol):
    """What `nibai run` tells what it saw: rules, lifecycle and sinks behind one call."""

    def __call__(self, seen: Round) -> None:
        """Consider the newest round.

        Called after every look, and once a minute with the same round, so that deliveries can be
        tried again. Raises NibaiError when something was not told; the next call tells it.
        """
        ...


@runtime_checkable
class Renderer(Protocol):
    """An audit as a document (entry point group `nibai.renderers`)."""

    def render(self, audit: Audit) -> str:
        """The whole document."""
        ...
