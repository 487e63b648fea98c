"""How a report in HTML ends: who wrote it, and the whole audit as data."""

from __future__ import annotations

from html import escape

from dashboards import phrases
from nibai.fleet import FleetAudit
from nibai.model import Audit


def footer(audit: Audit | FleetAudit) -> str:
    """Who wrote this page, and the whole audit as data."""
    return (
        f"<footer>nibai {escape(audit.nibai_version)} · audit {escape(audit.id)} · "
        f"{phrases.moment(audit.created_at)}. The whole audit as JSON stands at the end of this "
        "file.</footer>"
    )


def embedded(document: str) -> str:
    r"""A document inside a script element: `<` is written as an escape of JSON."""
    return document.replace("<", "\\u003c").replace("\u2028", "\\u2028")
