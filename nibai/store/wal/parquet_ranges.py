"""What a Parquet file's statistics say of a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData


def column_range(metadata: FileMetaData, name: str) -> tuple[Any, Any] | None:
    """Least and greatest value of a column; None where a row group does not say."""
    found = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = (group.column(i) for i in range(group.num_columns))
        told = next((one.statistics for one in chunks if one.path_in_schema == name), None)
        if told is None or not told.has_min_max:
            return None
        found.append((told.min_raw, told.max_raw))
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None
