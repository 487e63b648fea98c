"""What `/metrics` answers: the lake and the changes as of a moment ago, nibai itself as of now.

A thread renews the first part and encodes it in both forms before it shows it, so that a scrape
costs what its own few series cost, however many endpoints there are; also the first one of a form.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import nibai
from nibai.app.audit import Desk
from nibai.app.detections import Detections, unannounced, unchanged
from nibai.app.onwatch.enduring import survived
from nibai.app.onwatch.follow import watched_since
from nibai.app.onwatch.lake_families import EXPORTED, lake_families
from nibai.app.onwatch.names import REPORT, WATCH
from nibai.app.onwatch.standing import Board
from nibai.app.onwatch.tally import Tally
from nibai.app.watch import SETTLED
from nibai.config import Config
from nibai.exposition import (
    NATIVE_TYPE,
    TEXT_TYPE,
    ChangeView,
    Families,
    Family,
    HistogramValue,
    change_families,
    encode_native,
    encode_text,
    wants_native,
)
from nibai.model import Audit, Change, Sentence, SentenceResult, Standing, Verdict
from nibai.stats.verdict import refuted_level
from nibai.store.series.totals import Seen, Totals
from nibai.store.wal.ingest import IngestStats

LOG = logging.getLogger("nibai.metrics")


@dataclass(frozen=True, slots=True, eq=False)
class _Snapshot:
    """What stays between renewals, encoded: native, and as text."""

    native: bytes = b""
    text: bytes = b""
    number: int = -1
    round_at: float | None = None
    audits: int = -1


class Exporter:
    """Renews what it says every `web.refresh`; any thread may ask for a scrape."""

    def __init__(
        self,
        config: Config,
        desk: Desk,
        *,
        board: Board,
        tally: Tally,
        stats: Callable[[], IngestStats],
        claimed: Callable[[Change], Change] = unchanged,
    ) -> None:
        self._config = config
        self._desk = desk
        self._board = board
        self._tally = tally
        self._stats = stats
        self._detections = Detections(desk, claimed)
        self._unannounced: Mapping[tuple[str, str], int] = {}
        folder = config.data / "totals" / config.collector_id
        self._totals = Totals(desk.lake, folder, EXPORTED)
        self._lock = threading.Lock()
        self._snapshot = _Snapshot()
        self._seen: Seen | None = None
        self._known: dict[str, Audit | None] = {}
        self._stopping = threading.Event()
        self._tried = threading.Event()
        self._thread = threading.Thread(target=self._work, name="nibai-metrics", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Renew no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def warm(self) -> bool:
        """Whether a scrape is answered at once: the first renewal is over, or has failed."""
        return self._tried.is_set()

    def seen(self) -> Seen | None:
        """The totals of the last renewal."""
        if self._seen is None:
            self.renew()
        return self._seen

    def scrape(self, accept: str) -> tuple[str, bytes]:
        """(content type, everything) in the form that an `Accept` header asks for."""
        native = wants_native(accept)
        snapshot = self._snapshot
        if snapshot.number < 0:
            snapshot = self.renew()
        own = self._encoded(self._own(), native=native)
        kept = snapshot.native if native else snapshot.text
        return NATIVE_TYPE if native else TEXT_TYPE, kept + own

    def renew(self) -> _Snapshot:
        """Read what is new; the snapshot of now."""
        with self._lock:
            before, now = self._snapshot, self._desk.clock()
            self._unannounced = unannounced(self._detections(now), now)
            seen = self._seen = self._totals.refresh(now)
            rows = self._desk.state.audits()
            seen_round = self._board.round(now)
            at = None if seen_round is None else seen_round.at
            if (before.number, before.round_at, before.audits) == (seen.number, at, len(rows)):
                return before
            families = Families()
            lake_families(families, seen)
            change_families(families, self._views(rows))
            done = families.done()
            native, text = (self._encoded(done, native=form) for form in (True, False))
            self._snapshot = _Snapshot(native, text, seen.number, at, len(rows))
            return self._snapshot

    def _work(self) -> None:
        while not self._stopping.is_set():
            survived(self.renew, LOG, "metrics are not renewed and stay as they were")
            self._tried.set()
            self._stopping.wait(self._config.web.refresh)

    def _encoded(self, families: tuple[Family, ...], *, native: bool) -> bytes:
        if native:
            return encode_native(families, self._config.web.native_buckets)
        return encode_text(families)

    # -- changes ----------------------------------------------------------------------------
    def _views(self, rows: list[tuple[str, str, float, str]]) -> list[ChangeView]:
        changes = self._desk.changes()[: self._config.web.changes]
        views = [self._view(change, rows) for change in changes]
        shown = {view.audit.id for view in views if view.audit is not None}
        self._known = {name: audit for name, audit in self._known.items() if name in shown}
        return views

    def _view(self, change: Change, rows: list[tuple[str, str, float, str]]) -> ChangeView:
        ids = [row[0] for row in rows if row[1] == change.id]
        chosen = next((name for name in ids if name.startswith(WATCH)), ids[0] if ids else None)
        audit = None if chosen is None else self._audit(chosen)
        own = self._own_standings(change.id)
        standing = tuple(
            SentenceResult(one.sentence, one.verdict, one.reason, one.findings) for one in own
        )
        level = self._config.schedule.level
        if audit is not None and not standing and not audit.id.startswith(REPORT):
            standing, level = audit.sentences, audit.level
        elif audit is not None and audit.id.startswith(WATCH):
            # Another process may have decided since this one looked; what is decided stays.
            decided = {r.sentence: r for r in audit.sentences if r.verdict in SETTLED}
            standing = tuple(decided.get(one.sentence, one) for one in standing)
        reached = self._reached(change, own, standing, level)
        return ChangeView(change, watched_since(change) or None, standing, audit, level, reached)

    def _own_standings(self, change: str) -> list[Standing]:
        seen = self._board.round(self._desk.clock())
        return [one for one in (() if seen is None else seen.standings) if one.change.id == change]

    def _reached(
        self,
        change: Change,
        own: Sequence[Standing],
        results: Sequence[SentenceResult],
        level: float,
    ) -> dict[Sentence, float]:
        """The levels of refutations: evidence goes on after the decision that is stored.

        A stored sentence does not say how many share its error rate: rules do.
        """
        refuted = [one for one in results if one.verdict is Verdict.REFUTED]
        if not refuted:
            return {}
        live = {one.sentence: one for one in own if one.verdict is Verdict.REFUTED}
        known = [one.sentence for one in own] or self._detections.claimed(change).sentences
        families = {one: one for one in known}
        found = {}
        for result in refuted:
            sentence = families.get(result.sentence, result.sentence)
            now = live.get(sentence)
            found[sentence] = (
                refuted_level(sentence, result.findings, sentence.shared(level))
                if now is None
                else refuted_level(sentence, now.findings, now.level)
            )
        return found

    def _audit(self, name: str) -> Audit | None:
        if name not in self._known:
            found = self._desk.stored(name)
            self._known[name] = found if isinstance(found, Audit) else None
        return self._known[name]

    def _ages(self, now: float) -> dict[tuple[str, str], float]:
        """From which age on minutes of watched endpoints count, by endpoint and source."""
        seen = self._board.round(now)
        found: dict[tuple[str, str], float] = {}
        for one in () if seen is None else seen.standings:
            if one.minutes_age_seconds is not None:
                key = one.change.endpoint, one.minutes_from
                found[key] = max(one.minutes_age_seconds, found.get(key, 0.0))
        return found

    # -- nibai itself -----------------------------------------------------------------------
    def _own(self) -> tuple[Family, ...]:
        families, stats, now = Families(), self._stats(), self._desk.clock()
        families.add("nibai_build_info", 1.0, version=nibai.__version__)
        families.add("nibai_wal_bytes", float(stats.waiting_bytes))
        families.add("nibai_otlp_spans_total", float(stats.rows), result="kept")
        families.add("nibai_otlp_spans_total", float(stats.repeated), result="repeated")
        for name, reading in self._board.readings().items():
            lag = self._board.lag_seconds(reading, now)
            families.add("nibai_collector_lag_seconds", lag, collector=name)
            limit = self._board.lag_limit_seconds(reading)
            families.add("nibai_collector_lag_limit_seconds", limit, collector=name)
            if reading.unheard is not None:
                unheard = float(reading.unheard)
                families.add("nibai_collector_silent_series", unheard, collector=name)
            if reading.silence_limit_seconds is not None:
                silence, usual = reading.silence_seconds, reading.silence_limit_seconds
                families.add("nibai_collector_silence_seconds", silence, collector=name)
                families.add("nibai_collector_silence_limit_seconds", usual, collector=name)
        for (endpoint, source), age in self._ages(now).items():
            families.add(
                "nibai_minutes_count_from_seconds", age, endpoint=endpoint, collector=source
            )
        for (endpoint, moved), number in self._unannounced.items():
            families.add("nibai_unannounced_changes", float(number), endpoint=endpoint, moved=moved)
        families.put_all(self._tally.numbers())
        for name, series in self._tally.times().items():
            for labels, (counts, total) in series.items():
                families.put(name, labels, HistogramValue(counts, total))
        return families.done()
