"""Parts of a pulled source made durable: differences only, many parts to a commit of the lake.

A part is durable once it is in the log; the lake is written when enough minutes wait, so that its
commits do not grow with the calls of a source. What an earlier part of the same reading holds is
compared with only where a later one comes back to it. Minutes count as final once they are in the
lake and their source asks for them no more; whatever changes one afterwards is recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from nibai.app.audit import change_document
from nibai.app.settling import Settling
from nibai.model import Change, Observation, SeriesKey
from nibai.prediction_plans import plans_of
from nibai.protocols import Pulled
from nibai.store.answers.capture_coverage import put_coverage
from nibai.store.lake.delta import Lake
from nibai.store.lake.small_files import Joiner
from nibai.store.pulled.known_answers import unknown_answers
from nibai.store.pulled.observations import Difference, Minute, difference
from nibai.store.pulled.owners import one_owner
from nibai.store.pulled.stored import Name, name_of, stored_minutes, stored_spans
from nibai.store.state.counted import counted_marks, raise_counted
from nibai.store.state.database import State
from nibai.store.state.revisions import Place, Revised, announce, settle
from nibai.store.state.watermarks import Brought, final_marks, put_watermarks
from nibai.store.wal.ingest import Ingest
from nibai.store.wal.prediction_rows import to_batch
from nibai.store.wal.quarantine import set_aside

Span = tuple[int, int]
"""First and last minute."""

NOWHERE = (0, -1)

WAITING_MINUTES = 10_000
"""Minutes of series that wait for one commit; twice as many would take 100 MiB more."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a part the lake did not hold yet; `revised_final`: minutes that had been final.

    `held_otherwise`: minutes that were read another way before and stay as they are. `unsettled`
    of the final ones changed after an age at which they had counted as final, by what was learned.
    """

    new_minutes: int
    revised_minutes: int
    new_answers: int
    changes: tuple[Change, ...] = ()
    revised_final: int = 0
    held_otherwise: int = 0
    unsettled: int = 0


@dataclass(slots=True)
class _Marks:
    """How far series were read: told once their rows are in the lake."""

    read_until: dict[str, float] = field(default_factory=dict)
    final_until: dict[str, float] = field(default_factory=dict)
    brings: dict[str, set[Brought]] = field(default_factory=dict)

    def add(self, part: Pulled) -> None:
        # A cursor may lie further: what is asked for again begins before it.
        end = part.window.end
        self.read_until |= {name: min(until, end) for name, until in part.read_until.items()}
        self.final_until |= part.final_until
        for series, brought in part.brings.items():
            self.brings.setdefault(series, set()).update(brought)


class Keeper:
    """Keeps the parts of one reading of one source, in a log of the source's name.

    `learns`: at which age its minutes stop changing (`nibai.app.settling`).
    """

    def __init__(
        self,
        data: Path,
        ingest: Ingest,
        state: State,
        clock: Callable[[], float],
        *,
        learns: bool = True,
    ) -> None:
        self.state = state
        self._data = data
        self._ingest = ingest
        self._clock = clock
        # What an earlier process left in the log belongs to what is stored.
        ingest.flush()
        settle(state, ingest.collector, clock())
        self._final = final_marks(state, ingest.collector)
        self._counted = counted_marks(state)
        if self._final and not self._counted:  # read by an earlier version
            raise_counted(state, {endpoint for endpoint, _, _ in self._final})
            self._counted = counted_marks(state)
        self._settling = Settling(state, ingest.collector, clock, learns=learns)
        self._marks = _Marks()
        self._known: dict[Name, tuple[int, int]] | None = None
        self._written: dict[SeriesKey, tuple[int, int]] = {}
        self._waiting = 0
        # A backfill makes thousands of commits.
        self._joiner = Joiner(("hist", "cell"))

    def keep(self, source: str, part: Pulled) -> Kept:
        """Make a part durable, then how far it goes."""
        stored = self._store(part)
        put_coverage(self.state, self._ingest.lake, part.expected)
        changes = [change for change in part.changes if self._is_new(change)]
        set_aside(self._data, source, part.rejected)
        # Only now: killed before, the part is read again and differs by nothing.
        self.state.set_read_until(source, part.read_until, part.finished)
        self._marks.add(part)
        return replace(stored, changes=tuple(changes))

    @property
    def lake(self) -> Lake:
        """Where it is kept."""
        return self._ingest.lake

    @property
    def now(self) -> float:
        """The moment."""
        return self._clock()

    @property
    def known(self) -> set[Name]:
        """Every series of the minute tables, those of this reading too."""
        before = stored_spans(self._ingest.lake) if self._known is None else self._known
        return {*before, *map(name_of, self._written)}

    def _store(self, part: Pulled) -> Kept:
        lake = self._ingest.lake
        if self._known is None:
            self._known = stored_spans(lake)
        spans = _spans(part.observations)
        again = {name_of(key) for key, span in spans.items() if self._written_before(key, span)}
        if again or part.predictions:
            self.flush()
        again |= {name_of(key) for key, span in spans.items() if self._was_known(key, span)}
        stored = stored_minutes(lake, again, part.window)
        owned = one_owner(part.observations, stored, self._final)
        found = difference(owned.observed, stored)
        unsettled = self._settling.note(owned.observed, found, stored)
        revised = self._revised(found, unsettled)
        if revised:
            announce(self.state, self._ingest.collector, revised)
        answers = unknown_answers(lake, to_batch(part.predictions))
        if found.rows.num_rows or answers.num_rows:
            self._ingest.append(found.rows, None, answers if answers.num_rows else None)
        self._note(spans)
        self._waiting += len(part.observations)
        # Emptied minutes at once: a later part of other replicas must not empty them again.
        if self._waiting >= WAITING_MINUTES or part.predictions or part.expected or owned.emptied:
            self.flush()
        return Kept(
            found.new_minutes,
            found.revised_minutes,
            answers.num_rows,
            revised_final=sum(one.after_final for one in revised),
            held_otherwise=owned.held_otherwise,
            unsettled=len({(*name_of(key), minute) for key, minute in unsettled}),
        )

    def flush(self) -> None:
        """Write what waits to the lake, then say until when it is there and final."""
        source = self._ingest.collector
        self._ingest.flush()
        self._joiner.committed(self._ingest.lake)
        settle(self.state, source, self._clock())
        marks, self._marks = self._marks, _Marks()
        if marks.final_until:
            put_watermarks(self.state, source, marks.read_until, marks.final_until, marks.brings)
            brought = {one[0] for several in marks.brings.values() for one in several}
            raise_counted(self.state, brought)
            self._settling.read(marks.read_until, marks.final_until, marks.brings)
        self._waiting = 0

    def _revised(self, found: Difference, unsettled: Collection[Minute]) -> list[Revised]:
        """Minutes that were held otherwise, and final ones of which nothing was held.

        Final for whoever counts them (`nibai.store.state.counted`), whichever replica or source is
        late. Those that changed after an age that was trusted had counted as final too.
        """

        def counted(one: Observation) -> bool:
            return self._was_final(one) or (one.key, one.minute) in unsettled

        places: dict[Place, list[Observation]] = {}
        late = [one for one in found.new if counted(one)]
        for one in (*found.revised, *late):
            place = (*name_of(one.key), one.minute)
            places.setdefault(place, []).append(one)
        return [
            Revised(place, _brought_by(several), any(map(counted, several)))
            for place, several in places.items()
        ]

    def _was_final(self, one: Observation) -> bool:
        until = self._counted.get((one.key.endpoint, one.key.metric), -math.inf)
        return (one.minute + 1) * 60.0 <= until

    def _written_before(self, key: SeriesKey, span: Span) -> bool:
        """Whether an earlier part of this reading may hold some of the minutes."""
        return _meet(span, self._written.get(key, NOWHERE))

    def _was_known(self, key: SeriesKey, span: Span) -> bool:
        """Whether the lake may have held some of the minutes before this reading."""
        return _meet(span, (self._known or {}).get(name_of(key), NOWHERE))

    def _note(self, spans: Mapping[SeriesKey, Span]) -> None:
        for key, (first, last) in spans.items():
            known = self._written.get(key, (first, last))
            self._written[key] = min(first, known[0]), max(last, known[1])

    def _is_new(self, change: Change) -> bool:
        """Store a change; seen again after an interruption, it is the same one."""
        if self.state.change(change.id) is not None:
            return False
        stored = replace(change, declared_at=self._clock(), predictions=plans_of(change))
        self.state.put_change(change_document(stored))
        return True


def _brought_by(observed: Sequence[Observation]) -> str:
    """What tells this reading of a minute from any other one."""
    said = blake2b(digest_size=8)
    for one in sorted(observed, key=lambda one: one.key):
        counted = (one.provenance.value, one.scale, one.count, one.sum, one.errors, one.timeouts)
        said.update(repr((one.key, counted)).encode())
        said.update(one.buckets.tobytes() + one.bucket_counts.tobytes())
    return said.hexdigest()


def _spans(observed: Sequence[Observation]) -> dict[SeriesKey, Span]:
    """First and last minute of every series; those of one series mostly stand together."""
    found: dict[SeriesKey, Span] = {}
    for key, several in groupby(observed, key=attrgetter("key")):
        minutes = [one.minute for one in several]
        first, last = found.get(key, (minutes[0], minutes[0]))
        found[key] = min(first, *minutes), max(last, *minutes)
    return found


def _meet(one: Span, other: Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
