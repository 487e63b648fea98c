"""Which spans of a log group are asked for, and what a row of the answer tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.insights import MAX_ROWS, PAGE_ROWS
from collector.spans.requests import Naming, Request

FAILED = ("ERROR", "STATUS_CODE_ERROR", "2")


@dataclass(frozen=True, slots=True)
class SpanQuery:
    """Which spans of a log group, and which of their fields say whose they are."""

    log_group: str
    filter: str
    naming: Naming
    variant: str = ""
    variant_field: str = ""
    duration: str = "durationNano"
    status: str = "status.code"

    @property
    def text(self) -> str:
        """The query."""
        places = [self.duration, self.status, *self._places]
        named = ", ".join(f"{place} as f{i}" for i, place in enumerate(places))
        kept = f" | filter {self.filter}" if self.filter else ""
        return f"fields @timestamp as at, {named}{kept} | sort @timestamp asc | limit {MAX_ROWS}"

    @property
    def page_rows(self) -> int:
        """A row is a few short fields."""
        return PAGE_ROWS

    @property
    def _places(self) -> list[str]:
        own = [self.variant_field] if self.variant_field else []
        return [*own, *self.naming.segments.values()]

    def request(self, row: Mapping[str, str]) -> Request | None:
        """The request of a row; None where it has no time or duration."""
        try:
            at = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC).timestamp()
            seconds = float(row["f0"]) / 1e9
        except (KeyError, ValueError):
            return None
        if not 0 <= seconds < float("inf"):
            return None
        values = {place: row.get(f"f{i}") for i, place in enumerate(self._places, 2)}
        return Request(
            at,
            seconds,
            row.get("f1", "").upper() in FAILED,
            str(values.get(self.variant_field) or self.variant),
            self.naming.segment(values),
        )
