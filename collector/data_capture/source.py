"""Captures as a source that is pulled: variant by variant, object by object, each line once.

A variant is read from the hour up to which it was read; hours that may still fill are listed again,
and objects of them that were read are left alone. Answers that are stored already are not stored
twice (`nibai.store.known_answers`), whatever was cut off where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from collector.aws.errors import DeniedError
from collector.aws.session import Caller
from collector.data_capture.answers import Extraction, Segments, answers_of
from collector.data_capture.coverage import dollars, expected_answers
from collector.data_capture.hours import HOUR, Place, hour_start, settled_until
from collector.data_capture.variant import Variant
from collector.lines import MAX_LINE_BYTES, Line
from collector.objects import (
    DOLLARS_A_GET,
    DOLLARS_A_LIST,
    DamagedError,
    StoredObject,
    listed,
    object_lines,
)
from collector.replay.rows import RejectedError
from nibai.config import DataCapture
from nibai.errors import AuthError, CollectError
from nibai.model import ExpectedAnswers, Window
from nibai.predictions import PredictionRecord
from nibai.protocols import Preview, Pulled, Puller

PART_ROWS = 5_000
DELIVERED_SECONDS = 900.0
"""What was asked longer ago has arrived: "a couple of minutes", says the documentation."""

MAX_REJECTED = 100
"""Broken lines of a part that are described; all are counted."""

TOO_LONG = f"longer than {MAX_LINE_BYTES >> 20} MiB"
MONTH_SECONDS = 730 * HOUR


class DataCaptureSource:
    """The captures of one endpoint's variants; `since_seconds` is how far the first reading goes.

    `metrics` (CloudWatch) tells how many requests there were; None: not checked.
    """

    def __init__(
        self,
        store: Caller,
        metrics: Caller | None,
        variants: Sequence[Variant],
        extraction: Extraction,
        *,
        clock: Callable[[], float],
        since_seconds: float,
        every_seconds: float,
        most_segments: int,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._variants = variants
        self._extraction = extraction
        self._clock = clock
        self._since = since_seconds
        self._every = every_seconds
        self._most_segments = most_segments

    @property
    def series(self) -> Sequence[str]:
        """The places that are read."""
        return tuple(one.place.name for one in self._variants)

    def preview(self, read_until: Mapping[str, float]) -> Preview:
        """From which hour each variant is listed; nothing is asked."""
        now = self._clock()
        starts = [
            f"{one.place.name} from {one.place.after(self._start(one, read_until, now))[-13:]}h"
            for one in self._variants
        ]
        hours = MONTH_SECONDS / self._every
        checked = dollars(len(self._variants)) if self._metrics is not None else 0.0
        each = len(self._variants) * DOLLARS_A_LIST + checked
        return Preview(
            calls=len(self._variants) + (self._metrics is not None),
            datapoints=0,
            dollars=each,
            dollars_per_month=each * hours,
            said=f"lists {', '.join(starts)} (UTC), reads the files not read before "
            f"(${DOLLARS_A_GET * 1000:.4f} per 1,000), keeps {self._kept()}",
        )

    def pull(self, read_until: Mapping[str, float]) -> Iterator[Pulled]:
        """Everything since, one part after the other; a variant that is refused is told."""
        now = self._clock()
        segments = Segments(self._most_segments)
        for variant in self._variants:
            part = _Part()
            try:
                yield from self._variant(variant, read_until, now, segments, part)
            except CollectError as error:
                if isinstance(error, AuthError) and not isinstance(error, DeniedError):
                    yield part.taken()
                    raise  # without credentials no other variant can be read
                part.problems.append(_named(variant, error))
            yield part.taken()
        if segments.joined:
            yield _Part(notes=Counter({"requests of further segments": segments.joined})).taken()
        yield self._coverage(read_until, now)

    # -- one variant ------------------------------------------------------------------------
    def _variant(
        self,
        variant: Variant,
        read_until: Mapping[str, float],
        now: float,
        segments: Segments,
        part: _Part,
    ) -> Iterator[Pulled]:
        place, settled = variant.place, settled_until(now)
        start = self._start(variant, read_until, now)
        # Objects that were read in hours that may still fill, and when they were written.
        below = [one for one in read_until if one.startswith(place.name) and one != place.name]
        marks = {name: read_until[name] for name in below}
        cursor = start
        for page in listed(self._store, place.bucket, place.prefix, place.after(start)):
            part.dollars += DOLLARS_A_LIST
            for found in page:
                name = f"s3://{place.bucket}/{found.key}"
                hour = place.hour_of(found.key)
                if hour is None:
                    part.notes["files that are no captures"] += 1
                    continue
                if cursor < min(hour, settled):
                    cursor = min(hour, settled)
                    part.advance(place, cursor, marks)
                if marks.get(name) == found.modified:
                    continue
                yield from self._object(variant, found, name, segments, part)
                marks[name] = part.read_until[name] = found.modified
        part.advance(place, max(cursor, settled), marks)

    def _object(
        self, variant: Variant, found: StoredObject, name: str, segments: Segments, part: _Part
    ) -> Iterator[Pulled]:
        part.dollars += DOLLARS_A_GET
        try:
            for line in object_lines(self._store, variant.place.bucket, found.key):
                self._line(variant, line, name, segments, part)
                if len(part.records) >= PART_ROWS:
                    yield part.taken()
        except DamagedError as error:
            # Not worth another try: what came before the damage is kept, and it is told once.
            part.problems.append(str(error))

    def _line(
        self, variant: Variant, line: Line, name: str, segments: Segments, part: _Part
    ) -> None:
        try:
            if line.too_long:
                raise RejectedError(TOO_LONG)  # noqa: TRY301 - one way out
            part.records += answers_of(line.start, self._extraction, segments, variant.series)
        except RejectedError as error:
            part.reject(name, line, str(error))

    # -- around it --------------------------------------------------------------------------
    def _start(self, variant: Variant, read_until: Mapping[str, float], now: float) -> float:
        known = read_until.get(variant.place.name)
        return hour_start(now - self._since) if known is None else min(known, settled_until(now))

    def _kept(self) -> str:
        output, extraction = self._extraction.output, self._extraction
        parts = [f"{output.kind.value} answers", "a digest of the input", *extraction.segments]
        return ", ".join(parts)

    def _coverage(self, read_until: Mapping[str, float], now: float) -> Pulled:
        """How many requests there were in the hours that were read."""
        part = _Part()
        start = min(self._start(one, read_until, now) for one in self._variants)
        window = Window(start, hour_start(now - DELIVERED_SECONDS))
        if self._metrics is None or window.seconds <= 0:
            return part.taken()
        try:
            captured = [one.captured for one in self._variants]
            part.expected += expected_answers(self._metrics, captured, window)
            part.dollars += dollars(len(captured))
        except CollectError as error:
            part.problems.append(f"captures are not checked against Invocations: {error}")
        return part.taken()


@dataclass(slots=True)
class _Part:
    """What was read and not yet handed over."""

    records: list[PredictionRecord] = field(default_factory=list)
    read_until: dict[str, float] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    rejected: list[Mapping[str, object]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    expected: list[ExpectedAnswers] = field(default_factory=list)
    dollars: float = 0.0

    def reject(self, name: str, line: Line, reason: str) -> None:
        """Count a line; where it is and how long, never what is in it."""
        self.notes[f"lines left out: {reason}"] += 1
        if len(self.rejected) < MAX_REJECTED:
            self.rejected.append(
                {"object": name, "line": line.number, "bytes": line.size, "reason": reason}
            )

    def advance(self, place: Place, cursor: float, marks: dict[str, float]) -> None:
        """Hours before the cursor are done with; so are the marks of their objects."""
        self.read_until[place.name] = cursor
        edge = f"s3://{place.bucket}/{place.after(cursor)}"
        for name in [name for name in marks if name < edge]:
            del marks[name]
            self.read_until.pop(name, None)
            self.finished.append(name)

    def taken(self) -> Pulled:
        """Hand over everything."""
        times = [one.at for one in self.records]
        pulled = Pulled(
            observations=(),
            window=Window(min(times, default=0.0), max(times, default=0.0)),
            read_until=self.read_until,
            dollars=self.dollars,
            notes=self.notes,
            predictions=self.records,
            finished=self.finished,
            rejected=self.rejected,
            problems=self.problems,
            expected=self.expected,
        )
        self.records, self.read_until, self.finished = [], {}, []
        self.notes, self.rejected, self.problems = Counter(), [], []
        self.expected, self.dollars = [], 0.0
        return pulled


def _named(variant: Variant, error: CollectError) -> str:
    text = str(error)
    return text if variant.place.name in text else f"{variant.place.name}: {text}"


def build(options: Mapping[str, object]) -> Puller:
    """The captures of one endpoint; `options` are those of `data_capture` in nibai.yaml."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    from collector.aws.session import AwsClient  # noqa: PLC0415 - boto3
    from collector.data_capture.configured import extraction, variants  # noqa: PLC0415 - see above

    chosen = DataCapture.model_construct(None, **options)
    address = chosen.endpoint_url
    metrics = None
    if chosen.check_invocations:
        metrics = AwsClient("cloudwatch", chosen.region, endpoint_url=address)
    return DataCaptureSource(
        AwsClient("s3", chosen.region, endpoint_url=address),
        metrics,
        variants(chosen),
        extraction(chosen),
        clock=time.time,
        since_seconds=chosen.since,
        every_seconds=chosen.every,
        most_segments=chosen.input.most_segments,
    )
