"""SQL text: identifiers and literals, whatever stands in them, and the rows of some files."""

from __future__ import annotations

from collections.abc import Iterable


def quote(column: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + column.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def text(column: str | None) -> str:
    """A column as text, the empty text where it is missing."""
    return "''" if column is None else f"coalesce({quote(column)}::VARCHAR, '')"


def parquet_rows(uris: Iterable[str]) -> str:
    """The rows of some Parquet files, at least one, each column found by its name.

    >>> parquet_rows(["file:///lake/a.parquet"])
    "read_parquet(['/lake/a.parquet'], union_by_name=true)"
    """
    listed = ", ".join(literal(uri.removeprefix("file://")) for uri in uris)
    return f"read_parquet([{listed}], union_by_name=true)"
