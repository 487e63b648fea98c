"""Tables of several files as one, where files differ in how a column's values were read."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

YES = ("true", "t", "yes", "y", "1")
NO = ("false", "f", "no", "n", "0")


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows, columns by name; a column of texts in one table is one of texts in all.

    A CSV file that says yes and no is read as truth values, a Parquet file with the same words is
    not: where both meet, words for yes and no are "true" and "false".

    >>> one, two = pa.table({"y": [True, False]}), pa.table({"y": ["yes", "maybe"]})
    >>> joined([one, two])["y"].to_pylist()
    ['true', 'false', 'true', 'maybe']
    """
    alike = list(tables)
    for name in alike[0].column_names if alike else ():
        kinds = {table.schema.field(name).type for table in alike}
        if len(kinds) > 1 and not all(map(_number, kinds)):
            truth = any(map(pa.types.is_boolean, kinds))
            alike = [_as_text(table, name, truth=truth) for table in alike]
    return pa.concat_tables(alike, promote_options="permissive")


def _number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def _as_text(table: pa.Table, name: str, *, truth: bool) -> pa.Table:
    texts = table[name].cast(pa.string())
    if truth:
        words = pc.utf8_lower(texts)
        texts = pc.if_else(pc.is_in(words, pa.array(YES)), "true", texts)
        texts = pc.if_else(pc.is_in(words, pa.array(NO)), "false", texts)
    return table.set_column(table.column_names.index(name), name, texts)
