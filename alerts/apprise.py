"""Everybody else, through apprise: a message that cannot be updated, so RESOLVED is a new one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from alerts import options, words
from nibai.config import SecretReference, Section
from nibai.errors import ConfigError, NotifyError, PluginError
from nibai.model import Notice, Severity
from nibai.protocols import Notifier

KINDS = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}


class Options(Section):
    """Addresses in apprise's own language; they hold tokens, so each is a reference."""

    urls: tuple[SecretReference, ...] = Field(min_length=1)


def preview(notice: Notice) -> object:
    """Title and text."""
    return f"{words.headline(notice)}\n\n{words.text(notice)}"


def build(given: Mapping[str, object]) -> Notifier:
    """A notifier for several services."""
    chosen, around = options.read(Options, given)
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PluginError("apprise is not installed: pip install 'nibai[apprise]'") from error
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it logs addresses with their tokens
    services = apprise.Apprise()
    for reference in chosen.urls:
        if not services.add(_split(options.secret(reference, around))):
            raise ConfigError(f"apprise: {reference} is no address that it knows")
    return Services(services)


def _split(url: str) -> str:
    """With apprise's own option that long texts become several messages instead of a refusal.

    >>> _split("json://host/path"), _split("json://host/?overflow=truncate")
    ('json://host/path?overflow=split', 'json://host/?overflow=truncate')
    """
    if "overflow=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}overflow=split"


class Services:
    """Several services behind one call."""

    def __init__(self, services: Any) -> None:  # noqa: ANN401 - apprise's own object
        self._services = services

    def notify(self, notice: Notice) -> str | None:
        """Tell all of them; one that fails has all of them told again."""
        if not notice.news:
            return None
        loudest = min((a.severity for a in notice.alerts), key=list(Severity).index)
        kind = KINDS[loudest] if notice.firing else "success"
        told = self._services.notify(
            title=words.headline(notice),
            body=words.text(notice),
            notify_type=kind,
            body_format="text",
        )
        if not told:
            raise NotifyError(
                "apprise: not every service took the message: check the addresses",
                retryable=True,
                reason="refused",
            )
        return None
