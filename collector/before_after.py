"""Answers before and after a change, to different requests, from files: evidence levels C and D.

One row is one answer: its class or score, what is known of its input, and when. What was guessed is
said in the notes; an answer that is missing or NaN is an invalid one, never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from collector.columns import find_time, require
from collector.input_features import Features, encode
from collector.inputs import Opened, expand, open_source
from collector.joined_columns import joined
from collector.output_classes import Answers, classes_of, scores_of
from nibai.conventions import BEFORE_AND_AFTER
from nibai.errors import UsageError
from nibai.predictions import EvidenceLevel, OutputRows, PredictionSample, UnpairedSample
from nibai.protocols import FileRequest, OutputsReader, OutputsRequest
from nibai.store.files.output_scan import OutputColumns, read_outputs

MAX_ROWS = 200_000
"""Answers per period that are looked at; of more, every so-many-th in order of time."""

MAX_GAPS = 0.05
BEFORE, AFTER, PAST = 0, 1, 2


class BeforeAfterReader:
    """Reads answers of two periods and what is known of their inputs."""

    def read(self, request: OutputsRequest) -> Sequence[PredictionSample]:
        """One sample: level C where inputs or segments are known, else level D."""
        files = request.files
        sides = [expand(files.baseline), expand(files.candidate), expand(files.history)]
        cut = files.at is not None or bool(files.split)
        if not sides[0] or not (sides[1] or cut):
            raise UsageError(
                "nothing to compare with: give both sides (-b FILE -c FILE), "
                "or one FILE with --at TIME or --split COLUMN"
            )
        if cut and len(sides[0]) + len(sides[1]) != 1:
            raise UsageError("--at and --split cut one file: give exactly one")
        reading = _Reading(request)
        for role, sources in enumerate(sides):
            for source in sources:
                reading.add(role, open_source(source, reading.opened))
        return [reading.sample()]


def build(options: Mapping[str, object]) -> OutputsReader:
    """The reader; it has no options."""
    del options
    return BeforeAfterReader()


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    role: int
    rows: pa.Table
    timed: bool


class _Reading:
    """Opened sources, one after the other, and what was assumed about them."""

    def __init__(self, request: OutputsRequest) -> None:
        self.request = request
        self.notes: list[str] = []
        self.parts: list[_Part] = []
        self.opened = 0

    def add(self, role: int, opened: Opened) -> None:
        """Read one source and cut it into its periods."""
        self.opened += 1
        table, files = opened.table, self.request.files
        if not table.columns or not table.count():
            self._say(f"{table.name} holds no rows")
            return
        side = ""
        if files.split and role != PAST:
            side = require(table, files.split.partition("=")[0], "--split")
        prediction = require(table, self.request.prediction, "--prediction")
        time = opened.time or find_time(table, files, prediction)
        times = None if time is None else table.times(time)
        if times is not None:
            self._say(f"time from column {time!r} ({times.understood})")
        columns = OutputColumns(
            prediction,
            tuple(require(table, name, "--input") for name in self.request.inputs),
            tuple(require(table, name, "--segment") for name in files.segments),
            "" if times is None else times.sql,
            side,
        )
        rows = read_outputs(table, columns)
        if times is not None:
            rows = self._with_times(table.name, rows)
        self.parts += [
            _Part(one, part, times is not None) for one, part in self._cut(role, rows, table.name)
        ]

    def _with_times(self, name: str, rows: pa.Table) -> pa.Table:
        gaps = int(rows["t"].null_count)
        if not gaps:
            return rows
        if gaps > MAX_GAPS * rows.num_rows:
            raise UsageError(
                f"{name}: {gaps:,} of {rows.num_rows:,} rows have no time, more than 5%: clean the "
                "file, or name another column (--time)"
            )
        self._say(f"{name}: {gaps:,} of {rows.num_rows:,} rows without a time left out")
        return rows.slice(0, rows.num_rows - gaps)

    def _cut(self, role: int, rows: pa.Table, name: str) -> list[tuple[int, pa.Table]]:
        files = self.request.files
        if role == PAST or (files.at is None and not files.split):
            return [(role, rows)]
        if files.at is not None:
            if rows["t"].null_count:
                raise UsageError(f"{name}: --at needs a time column: name it with --time")
            here = int(np.searchsorted(rows["t"].to_numpy(), files.at))
            return [(BEFORE, rows.slice(0, here)), (AFTER, rows.slice(here))]
        values = _two_values(files, rows, name)
        sides = np.asarray(rows["side"].to_numpy(zero_copy_only=False), dtype=object)
        return [(one, rows.filter(pa.array(sides == value))) for one, value in enumerate(values)]

    def sample(self) -> PredictionSample:
        """Everything read, as one sample."""
        timed = all(part.timed for part in self.parts)
        if not timed:
            self._say("no time column: the order of the rows is taken as the order of time")
        periods = [self._period(role, timed=timed) for role in (BEFORE, AFTER, PAST)]
        rows = joined([period for period in periods if period is not None])
        sizes = [0 if period is None else period.num_rows for period in periods]
        ends = np.cumsum(sizes)
        answers = self._answers(rows, slice(0, sizes[BEFORE]))
        features = self._features(rows)
        segments, labels = _segments(rows, self.request.files.segments)
        whole = OutputRows(
            answers.codes,
            features.values,
            segments,
            rows["t"].to_numpy().astype(np.float64) if timed and rows.num_rows else None,
        )
        before, after, past = (
            _slice(whole, slice(int(end) - size, int(end)))
            for end, size in zip(ends, sizes, strict=True)
        )
        known = bool(features.names or labels)
        found = UnpairedSample(
            answers.classes,
            before,
            after,
            features.names,
            labels,
            past if past.n else None,
            None
            if answers.scores is None
            else (_mean(answers.scores[: sizes[0]]), _mean(answers.scores[sizes[0] : ends[1]])),
        )
        return PredictionSample(
            level=EvidenceLevel.ADJUSTED if known else EvidenceLevel.OUTPUTS_ONLY,
            source=BEFORE_AND_AFTER,
            pairs={},
            notes=tuple(self.notes),
            unpaired=found,
        )

    def _period(self, role: int, *, timed: bool) -> pa.Table | None:
        parts = [part.rows for part in self.parts if part.role == role]
        if not parts:
            return None
        rows = joined(parts)
        if timed and len(parts) > 1:
            rows = rows.sort_by("t")
        step = -(-rows.num_rows // MAX_ROWS)
        if step <= 1:
            return rows
        which = ("before", "after", "in the past")[role]
        self._say(f"{rows.num_rows:,} answers {which}: every {step}th is looked at")
        return rows.take(pa.array(np.arange(0, rows.num_rows, step)))

    def _answers(self, rows: pa.Table, before: slice) -> Answers:
        output = self.request.output
        if output not in {None, "class", "score"}:
            raise UsageError(
                f"--output {output}: answers to different requests are compared as classes or "
                "scores (--output class, --output score); everything else needs pairs (--pairs)"
            )
        if pa.types.is_nested(rows["y"].type):
            raise UsageError(
                f"--prediction {self.request.prediction!r} holds {rows['y'].type}: give a column "
                "of classes or scores"
            )
        number = pa.types.is_integer(rows["y"].type) or pa.types.is_floating(rows["y"].type)
        if output == "score" and not number:
            raise UsageError(
                f"--output score: column {self.request.prediction!r} does not hold numbers"
            )
        answers = scores_of(rows["y"], before, asked=output == "score") if number else None
        if answers is None or output == "class":
            answers = classes_of(rows["y"])
        kind = "class" if answers.scores is None else "score"
        self._say(f"prediction from column {self.request.prediction!r}, a {kind}")
        if answers.invalid:
            self._say(f"{answers.invalid:,} of {rows.num_rows:,} answers are missing or invalid")
        return answers

    def _features(self, rows: pa.Table) -> Features:
        named = {f"x{i}": name for i, name in enumerate(self.request.inputs)}
        if named:
            # Where inputs are known, segments are inputs among others.
            named |= {f"s{i}": name for i, name in enumerate(self.request.files.segments)}
        features = encode(rows, named)
        for name, gaps in features.gaps.items():
            self._say(f"input {name!r}: {gaps:,} of {rows.num_rows:,} values missing")
        return features

    def _say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _two_values(files: FileRequest, rows: pa.Table, name: str) -> list[str]:
    """The values of the splitting column, baseline first."""
    column, _, said = str(files.split).partition("=")
    found = [value for value in rows["side"].unique().to_pylist() if value is not None]
    wanted = said.split(",") if said else sorted(found)
    if len(wanted) != 2 or not set(wanted) <= set(found):  # noqa: PLR2004 - two sides
        raise UsageError(
            f"{name}: --split {column!r} has the values {', '.join(map(repr, found[:10]))}: "
            f"say which two to compare with --split {column}=BASE,CAND"
        )
    return wanted


def _segments(
    rows: pa.Table, columns: tuple[str, ...]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Number of each row's segment, and how the segments are written."""
    if not columns:
        return None, ()
    texts = [
        [f"{name}={value}" for value in rows[f"s{i}"].to_pylist()] for i, name in enumerate(columns)
    ]
    joined = np.array([",".join(values) for values in zip(*texts, strict=True)], dtype=object)
    labels, codes = np.unique(joined.astype(str), return_inverse=True)
    return codes.astype(np.int64), tuple(str(label) for label in labels)


def _slice(rows: OutputRows, part: slice) -> OutputRows:
    return replace(
        rows,
        codes=rows.codes[part],
        features=rows.features[part],
        segments=None if rows.segments is None else rows.segments[part],
        times=None if rows.times is None else rows.times[part],
    )


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
