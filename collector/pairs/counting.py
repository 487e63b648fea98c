"""Counting pairs of answers, source after source, batch after batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from collector.inputs import check_packed, kind_of, local_copy
from collector.pairs.columns import array, to_columns
from collector.pairs.layout import Columns, find_columns, find_spec, meaning
from collector.pairs.rows import RowSample
from collector.pairs.text import TextRows
from nibai.answer_rows import AnswerRows
from nibai.outputs import OutputSpec
from nibai.paired.build import SketchBuilder
from nibai.predictions import PairedSketch
from nibai.protocols import PairsRequest
from nibai.store.engine.columns import column
from nibai.store.files.pair_scan import pair_batches
from nibai.store.files.pair_sketches import is_sketches, read_sketches
from nibai.store.files.scan import Table, open_arrow, open_file

Group = tuple[str, int | None]
"""Variant (of noise pairs, else "") and how many inputs were answered together."""


def count(
    request: PairsRequest, sources: Sequence[str | pa.Table], *, noise: bool = False
) -> Counted:
    """Everything in some sources, counted; only noise pairs are told apart by variant."""
    found = Counted(by_variant=noise, remember=bool(request.noise))
    if request.keep_rows and not noise:
        found.sample = RowSample(request.keep_rows)
    for i, source in enumerate(sources):
        for table, text in _tables(source, i, found):
            found.add(table, request, text)
    return found


@dataclass(slots=True, eq=False)
class Counted:
    """What was counted so far, by group."""

    by_variant: bool = False
    remember: bool = False
    sample: RowSample | None = None
    builders: dict[Group, SketchBuilder] = field(default_factory=dict)
    ready: list[dict[str, PairedSketch]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    quarantined: Counter[str] = field(default_factory=Counter)
    present: list[int] = field(default_factory=lambda: [0, 0])
    matched: int = 0
    spec: OutputSpec | None = None
    roles: dict[str, str] = field(default_factory=dict)

    def say(self, note: str) -> None:
        """Say once."""
        if note not in self.notes:
            self.notes.append(note)

    def output(self) -> str | None:
        """The kind of answers, as `--output` names it."""
        if self.spec is None:
            return None
        return self.spec.kind + (f":{self.spec.path}" if self.spec.path else "")

    def rows(self) -> AnswerRows | None:
        """Some single pairs, where they were asked for."""
        if self.sample is None or self.spec is None:
            return None
        return self.sample.rows(self.spec)

    def take(self, sketches: dict[str, PairedSketch]) -> None:
        """Add what was counted elsewhere."""
        self.ready.append(sketches)
        self.say("sketches counted elsewhere (nibai.sketch_pairs)")

    def add(self, table: Table, request: PairsRequest, kind: str) -> None:
        """Count the pairs of one table."""
        if not table.columns:
            return
        if self.by_variant:
            request = _of_noise(request, table)
        columns = find_columns(table, request)
        self._settle(table, columns, request, kind)
        assert self.spec is not None  # noqa: S101 - settled just now
        layout = columns.layout(table, self.spec).present(table.columns)
        if not self.by_variant:
            layout = replace(layout, variant="")
        for batch in pair_batches(table, layout):
            self._count(batch, self.spec, vectors=layout.vectors)

    def _settle(self, table: Table, columns: Columns, request: PairsRequest, kind: str) -> None:
        if self.spec is None:
            self.spec, said = find_spec(table, columns, request)
            self.say(said)
            for note in meaning(self.spec):
                self.say(note)
        used = {role: name for role, name in columns.by_role.items() if name}
        if used != self.roles:
            listed = ", ".join(
                role if role == name else f"{role} from {name!r}" for role, name in used.items()
            )
            self.say(f"{kind}: {listed}")
        self.roles |= used

    def _count(self, batch: pa.RecordBatch, spec: OutputSpec, *, vectors: bool) -> None:
        missing = [array(batch, name) > 0 for name in ("bm", "cm")]
        self.present[0] += int((~missing[0]).sum())
        self.present[1] += int((~missing[1]).sum())
        alone = missing[0] | missing[1]
        self.matched += int((~alone).sum())
        for group, rows in _groups(batch):
            builder = self.builders.get(group)
            if builder is None:
                builder = SketchBuilder(
                    threshold=spec.decision_threshold,
                    tolerance=spec.tolerance,
                    remember=self.remember,
                )
                self.builders[group] = builder
            both = _take(batch, rows[~alone[rows]])
            if both.num_rows and self.sample is not None:
                self.sample.add(both)
            if both.num_rows:
                builder.add(to_columns(both, spec, vectors=vectors))
            for side, name in enumerate(("baseline", "candidate")):
                lone = _take(batch, rows[missing[side][rows]])
                for segment, n in Counter(lone.column("segment").to_pylist()).items():
                    builder.missing(segment, **{name: n})

    def groups(self) -> dict[Group, dict[str, PairedSketch]]:
        """The sketches by group and segment."""
        found = {group: builder.sketches for group, builder in self.builders.items()}
        for sketches in self.ready:
            known = found.setdefault(("", None), {})
            for segment, sketch in sketches.items():
                known[segment] = known.get(segment, PairedSketch()) + sketch
        return found


def _of_noise(request: PairsRequest, table: Table) -> PairsRequest:
    """Noise pairs have the columns of the pairs where they have them; segments all or none."""
    named = {role: name for role, name in request.columns.items() if name in table.columns}
    segments = request.segments if set(request.segments) <= set(table.columns) else ()
    return replace(request, columns=named, segments=segments)


def _tables(source: str | pa.Table, number: int, found: Counted) -> Iterator[tuple[Table, str]]:
    """A source as tables with the name of its format; sketches are taken as they are."""
    if isinstance(source, pa.Table):
        if is_sketches(source.schema):
            found.take(read_sketches(source, f"table {number + 1}"))
            return
        yield open_arrow(source, f"table {number + 1}"), "a table"
        return
    name = "standard input" if source == "-" else source
    copy = local_copy(source)
    path = Path(source) if copy is None else copy.path
    if path.stat().st_size == 0:
        found.say(f"{Path(name).name} is empty")
        return
    kind = kind_of(path, name)
    if kind == "parquet":
        table = open_file(path, kind, name)
        if is_sketches(table.columns):
            found.take(read_sketches(table.arrow(), name))
            return
        yield table, "parquet"
        return
    check_packed(path, name)
    rows = TextRows(path, name, kind)
    for chunk in rows.chunks():
        yield open_arrow(chunk, name), kind
    found.quarantined += rows.quarantined
    for note in rows.notes():
        found.say(f"{Path(name).name}: {note}")


def _groups(batch: pa.RecordBatch) -> Iterator[tuple[Group, np.ndarray]]:
    """The rows of each variant and batch size that a batch holds."""
    codes = np.zeros(batch.num_rows, dtype=np.int64)
    names: list[list[str]] = []
    for name in ("variant", "batch"):
        encoded = batch.column(name).dictionary_encode()
        names.append(encoded.dictionary.to_pylist())
        codes = codes * len(names[-1]) + np.from_dlpack(encoded.indices)
    if max(map(len, names)) == 1:
        yield (names[0][0].strip().lower(), _size(names[1][0])), np.arange(batch.num_rows)
        return
    for code in np.unique(codes).tolist():
        variant, size = names[0][code // len(names[1])], names[1][code % len(names[1])]
        yield (variant.strip().lower(), _size(size)), np.flatnonzero(codes == code)


def _size(text: str) -> int | None:
    try:
        return int(float(text))
    except ValueError:
        return None


def _take(batch: pa.RecordBatch, rows: np.ndarray) -> pa.RecordBatch:
    return batch if len(rows) == batch.num_rows else batch.take(column(rows, pa.int64()))
