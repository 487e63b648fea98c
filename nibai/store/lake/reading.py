"""What is said when DuckDB cannot read the lake's files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from nibai.errors import StoreError


@contextmanager
def reading(root: str) -> Iterator[None]:
    """Queries over the lake at `root`; StoreError where one fails."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error).splitlines()[0][:200]
        raise StoreError(
            f"{root}: the lake cannot be read ({text}): restore the named file"
        ) from error
