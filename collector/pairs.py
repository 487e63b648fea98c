"""Pairs of answers that people already have in files, as samples of predictions.

CSV, JSON Lines, Parquet, Arrow tables, and sketches that others made of parts (Spark). What was
guessed is said in the notes; rows and answers that cannot be read are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from collector.inputs import check_packed, expand, kind_of, local_copy
from collector.pair_columns import array, to_columns
from collector.pair_layout import Columns, find_columns, find_spec
from collector.pair_sketches import is_sketches, read_sketches
from collector.pair_text import TextRows
from nibai.errors import UsageError
from nibai.outputs import NUMBERS, OutputKind, OutputSpec
from nibai.paired.build import SketchBuilder, same_inputs, shown_confusion
from nibai.predictions import (
    EvidenceLevel,
    JoinReport,
    PairedSketch,
    PredictionSample,
    SameInputs,
    total,
)
from nibai.protocols import PairsReader, PairsRequest
from nibai.store.pair_scan import pair_batches
from nibai.store.rows import column
from nibai.store.scan import Table, open_arrow, open_file

SOURCE = "pairs file"

Group = tuple[str, int | None]
"""Variant (of noise pairs, else "") and how many inputs were answered together."""

VARIANTS = {"baseline": 0, "old": 0, "before": 0, "": 0, "candidate": 1, "new": 1, "after": 1}


def build(options: Mapping[str, object]) -> PairsReader:
    """The reader; it has no options."""
    del options
    return FilesOfPairs()


class FilesOfPairs:
    """Reads files of pairs into samples, one per batch size that the files name."""

    def read(self, request: PairsRequest) -> Sequence[PredictionSample]:
        """The pairs, and the noise floors where files of noise pairs are given."""
        pairs = count(request, expand(request.sources))
        noise = None
        if request.noise:
            asked = replace(request, segments=(), output=pairs.output(), columns=_shared(request))
            noise = count(asked, expand(request.noise))
        return _samples(request, pairs, noise)


def count(request: PairsRequest, sources: Sequence[str | pa.Table]) -> Counted:
    """Everything in some sources, counted."""
    found = Counted(remember=bool(request.noise))
    for i, source in enumerate(sources):
        for table, text in _tables(source, i, found):
            found.add(table, request, text)
    return found


@dataclass(slots=True, eq=False)
class Counted:
    """What was counted so far, by group."""

    remember: bool = False
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

    def add(self, table: Table, request: PairsRequest, kind: str) -> None:
        """Count the pairs of one table."""
        if not table.columns:
            return
        columns = find_columns(table, request)
        self._settle(table, columns, request, kind)
        assert self.spec is not None  # noqa: S101 - settled just now
        for batch in pair_batches(table, columns.layout(self.spec).present(table.columns)):
            self._count(batch, self.spec)

    def _settle(self, table: Table, columns: Columns, request: PairsRequest, kind: str) -> None:
        if self.spec is None:
            self.spec, said = find_spec(table, columns, request)
            self.say(said)
            for note in _meaning(self.spec):
                self.say(note)
        used = {role: name for role, name in columns.by_role.items() if name}
        if used != self.roles:
            listed = ", ".join(
                role if role == name else f"{role} from {name!r}" for role, name in used.items()
            )
            self.say(f"{kind}: {listed}")
        self.roles |= used

    def _count(self, batch: pa.RecordBatch, spec: OutputSpec) -> None:
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
            if both.num_rows:
                builder.add(to_columns(both, spec))
            for side, name in enumerate(("baseline", "candidate")):
                lone = _take(batch, rows[missing[side][rows]])
                for segment, n in Counter(lone.column("segment").to_pylist()).items():
                    builder.missing(segment, **{name: n})

    def groups(self) -> dict[Group, dict[str, PairedSketch]]:
        """The sketches by group and segment, labels joined where they are many."""
        found = {group: builder.sketches for group, builder in self.builders.items()}
        for sketches in self.ready:
            known = found.setdefault(("", None), {})
            for segment, sketch in sketches.items():
                known[segment] = known.get(segment, PairedSketch()) + sketch
        return {
            group: {segment: shown_confusion(one) for segment, one in sketches.items()}
            for group, sketches in found.items()
        }


def _tables(source: str | pa.Table, number: int, found: Counted) -> Iterator[tuple[Table, str]]:
    """A source as tables with the name of its format; sketches are taken as they are."""
    if isinstance(source, pa.Table):
        if is_sketches(source.schema):
            found.ready.append(read_sketches(source, f"table {number + 1}"))
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
            found.ready.append(
                read_sketches(table.connection.sql(f"FROM {table.source}").to_arrow_table(), name)
            )
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


# -- samples --------------------------------------------------------------------------------


def _samples(
    request: PairsRequest, pairs: Counted, noise: Counted | None
) -> list[PredictionSample]:
    groups = {
        size: sketches for (_, size), sketches in sorted(pairs.groups().items(), key=_by_pairs)
    }
    floors = {} if noise is None else _floors(noise)
    notes = tuple(pairs.notes) + tuple(
        f"noise pairs: {note}" for note in (() if noise is None else noise.notes)
    )
    join = JoinReport(
        key="row of the file",
        requests=(
            pairs.present[0] + sum(pairs.quarantined.values()),
            pairs.present[1] + sum(pairs.quarantined.values()),
        ),
        matched=pairs.matched,
        quarantined=dict(pairs.quarantined),
    )
    return [
        PredictionSample(
            level=EvidenceLevel.SHADOW if request.shadow else EvidenceLevel.REPLAY,
            source=SOURCE,
            pairs=sketches,
            floor_old=_floor(floors, 0, size),
            floor_new=_floor(floors, 1, size),
            stated_floor=request.noise_floor,
            raw=True,
            batch=size,
            join=join if pairs.builders else None,
            same_inputs=None if noise is None else _same_inputs(pairs, noise, size),
            distinct_by=_distinct_by(pairs),
            notes=notes,
        )
        for size, sketches in (groups or {None: {"": PairedSketch()}}).items()
    ]


def _by_pairs(item: tuple[Group, Mapping[str, PairedSketch]]) -> int:
    return -total(item[1].values()).pairs


def _floors(noise: Counted) -> dict[tuple[int, int | None], dict[str, PairedSketch]]:
    found: dict[tuple[int, int | None], dict[str, PairedSketch]] = {}
    for (variant, size), sketches in noise.groups().items():
        if variant not in VARIANTS:
            raise UsageError(
                f"noise pairs of variant {variant!r}: the column holds baseline or candidate"
            )
        found[VARIANTS[variant], size] = sketches
    return found


def _floor(
    floors: Mapping[tuple[int, int | None], dict[str, PairedSketch]], side: int, size: int | None
) -> dict[str, PairedSketch] | None:
    """The floor of the same batch size; where only one size is known, that one."""
    if (side, size) in floors:
        return floors[side, size]
    own = [sketches for (which, _), sketches in floors.items() if which == side]
    return own[0] if len(own) == 1 and size is None else None


def _same_inputs(pairs: Counted, noise: Counted, size: int | None) -> SameInputs | None:
    """Flips of the inputs that both the pairs and the old variant's noise pairs have."""
    if _distinct_by(pairs) != _distinct_by(noise):
        return None
    own = [one for (variant, n), one in noise.builders.items() if _is_old(variant) and n == size]
    between = [one for (_, n), one in pairs.builders.items() if n == size]
    return same_inputs(between[0], own[0]) if own and between else None


def _is_old(variant: str) -> bool:
    return VARIANTS.get(variant) == 0


def _distinct_by(pairs: Counted) -> str:
    if "input_hash" in pairs.roles:
        return "input hash"
    return "request id" if "request_id" in pairs.roles else "row"


def _shared(request: PairsRequest) -> dict[str, str]:
    """Columns that noise pairs have under the same names as the pairs."""
    return {
        role: name for role, name in request.columns.items() if role in {"baseline", "candidate"}
    }


def _meaning(spec: OutputSpec) -> Iterator[str]:
    """What it means that two answers differ, where that is not plain."""
    if spec.kind in NUMBERS and spec.decision_threshold is not None:
        yield f"a changed answer is a score on the other side of {spec.decision_threshold:g}"
    elif spec.kind in NUMBERS:
        yield (
            "a changed answer is a score that differs at all (--threshold TAU for a decision, "
            "--tolerance for differences that do not matter)"
            if spec.tolerance is None
            else f"a changed answer is a score that differs by more than {spec.tolerance:g}"
        )
    elif spec.kind is OutputKind.RANKING:
        yield "a changed answer is another item in the first place"
    elif spec.kind is OutputKind.EMBEDDING:
        tolerance = 1e-6 if spec.tolerance is None else spec.tolerance
        yield f"a changed answer is an embedding more than {tolerance:g} away (1 - cosine)"
    elif spec.kind is OutputKind.PROBA:
        yield "a changed answer is another class with the largest probability"
