"""How new the data of every endpoint are, from the files of the last days only."""

from __future__ import annotations

from datetime import UTC, datetime

from nibai.store.engine.connection import connect
from nibai.store.engine.sql import literal, parquet_rows
from nibai.store.lake.delta import Lake
from nibai.store.lake.reading import reading

DAYS_BACK = 3 * 86400.0


def newest_minutes(lake: Lake, now: float, endpoint: str | None = None) -> dict[str, float]:
    """End of the newest minute of every endpoint (or one) with a request in the last three days."""
    first, last = (datetime.fromtimestamp(t, UTC).date() for t in (now - DAYS_BACK, now + 86400.0))
    uris = lake.file_uris("cell", first, last)
    if not uris:
        return {}
    sql = (
        f"SELECT endpoint, max(minute) FROM {parquet_rows(uris)} WHERE count > 0"
        + ("" if endpoint is None else f" AND endpoint = {literal(endpoint)}")
        + " GROUP BY 1"
    )
    with reading(lake.root):
        found = connect().execute(sql).fetchall()
    return {str(endpoint): (int(minute) + 1) * 60.0 for endpoint, minute in found}
