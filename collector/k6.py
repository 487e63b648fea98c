"""Results of k6 (`k6 run --out json=FILE`): one JSON object per line.

A line is {"type": "Metric" | "Point", "metric": NAME, "data": {"time", "value", "tags"}}. Each
HTTP request gives points of `http_req_duration` (ms) and `http_req_failed` (0 or 1) with the same
time and tags. Source: k6 documentation, "JSON output" and "Built-in metrics".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from nibai.errors import CollectError

NOTE = (
    "k6 results: milliseconds of http_req_duration; requests that k6 marks with "
    "expected_response=false failed"
)

ONLY_AVERAGES = (
    "k6's summary holds only averages and percentiles, which cannot be compared: "
    "run k6 with --out json=FILE"
)
AS_CSV = "k6's CSV output holds every metric in one column: run k6 with --out json=FILE"
CSV_COLUMNS = frozenset({"metric_name", "metric_value", "timestamp"})

TAGS = ("name", "scenario", "method", "group", "status", "url")


def recognises(head: bytes) -> bool:
    """Whether a file starts with a line of k6's JSON output."""
    try:
        first = json.loads(head.split(b"\n", 1)[0])
    except ValueError:
        return False
    return (
        isinstance(first, Mapping) and first.get("type") in ("Metric", "Point") and "data" in first
    )


def summarises(document: object) -> bool:
    """Whether a JSON document is k6's summary (--summary-export, handleSummary)."""
    return isinstance(document, Mapping) and {"metrics", "root_group"} <= set(document)


def table(lines: Iterable[bytes], name: str) -> pa.Table:
    """One row per HTTP request: latency (ms), time, failed and the usual tags."""
    rows = list(_points(lines, name))
    columns: dict[str, list[object]] = {
        "latency": [row["value"] for row in rows],
        "time": [row["time"] for row in rows],
        "failed": [_failed(row) for row in rows],
    }
    for tag in TAGS:
        columns[tag] = [_tags(row).get(tag) for row in rows]
    schema = pa.schema(
        [("latency", pa.float64()), ("time", pa.string()), ("failed", pa.bool_())]
        + [(tag, pa.string()) for tag in TAGS]
    )
    return pa.table(columns, schema=schema)


def _points(lines: Iterable[bytes], name: str) -> Iterator[Mapping[str, object]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise CollectError(
                f"{name} cannot be read (line {number} is no JSON): was k6 stopped while writing? "
                "Remove that line, or run it again"
            ) from error
        if entry.get("type") == "Point" and entry.get("metric") == "http_req_duration":
            yield entry["data"]


def _tags(row: Mapping[str, object]) -> Mapping[str, object]:
    tags = row.get("tags")
    return tags if isinstance(tags, Mapping) else {}


def _failed(row: Mapping[str, object]) -> bool:
    tags = _tags(row)
    expected = tags.get("expected_response")
    if expected is not None:
        return str(expected).lower() != "true"
    status = str(tags.get("status", "200"))
    return not status.isdigit() or not 200 <= int(status) < 400  # noqa: PLR2004 - HTTP success
