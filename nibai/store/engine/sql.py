"""SQL text: identifiers and literals, whatever stands in them."""

from __future__ import annotations


def quote(column: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + column.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def text(column: str | None) -> str:
    """A column as text, the empty text where it is missing."""
    return "''" if column is None else f"coalesce({quote(column)}::VARCHAR, '')"
