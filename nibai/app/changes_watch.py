"""`nibai changes watch`: one look of the online detector at every series, from where it stood."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from nibai.app.alarms import latency_alarm
from nibai.app.audit import Desk
from nibai.app.changes import (
    declare_line,
    load_scanner,
    require_endpoint,
    suspect_document,
    window_document,
)
from nibai.app.changes_passes import Key, Pass, passes
from nibai.conventions import PREDICTION_LABELS
from nibai.document import encode, iso
from nibai.errors import PluginError
from nibai.histogram import BlockHistograms
from nibai.history import Alarm, Look, SeriesHistory
from nibai.model import Change, Window
from nibai.protocols import Describer
from nibai.stats.series_watch import (
    HOUR_SECONDS,
    VIEWS,
    WEEK_SECONDS,
    Raised,
    Readings,
    SeriesWatch,
)
from nibai.store.series.blocks import Engine
from nibai.store.series.history import LakeHistory, Scope, scope_of
from nibai.store.state.detections import put_alarms
from nibai.store.state.detectors import Position, detectors, put_detectors
from nibai.store.state.watermarks import read_marks

SCHEMA = "nibai.watched-changes/1"
GRACE_SECONDS = 300.0
"""A block counts this long after its end: what comes later is not added."""

MAX_ROWS = 500_000
"""Stored rows per query: some 40 MB at its height."""

STORED_TOGETHER = 100
"""States per transaction."""

LOOKED = "changes_looked"
"""Up to when new series were taken in, by length of block."""


@dataclass(frozen=True, slots=True)
class _Lookout:
    """What one look works with."""

    desk: Desk
    engine: Engine
    describer: Describer
    known: Sequence[Change]
    block_seconds: float
    tolerate_seconds: float

    def alarms(self, key: Key, raised: Sequence[Raised], state: SeriesWatch) -> Iterator[Alarm]:
        """Alarms with their sizes: the week before and the blocks since are read once more."""
        for one in raised:
            seconds = self.block_seconds
            at = one.start * seconds
            window = Window(at - WEEK_SECONDS, (one.at + 1) * seconds)
            scope = Scope(window, seconds, key[0])
            past = _past_of(LakeHistory(self.engine, scope), key)
            cut = round(WEEK_SECONDS / seconds)
            movement, suspect = self.describer.describe(past, one.view, cut, self.known)
            yield Alarm(
                endpoint=past.endpoint,
                variant=past.variant,
                metric=past.metric,
                segment=past.segment,
                at=at,
                raised_at=window.end,
                before=Window(window.start, at),
                movement=movement,
                suspect=suspect,
                learning_until=_learned_at(state.cursor, seconds),
            )


def watch_changes(
    desk: Desk, *, block_seconds: float, tolerate_seconds: float, endpoint: str | None = None
) -> Look:
    """Learn, go on over the blocks that closed since the last look, and keep where it ended.

    One series is in memory at a time, and the stored rows of a few.
    """
    engine = desk.engine()
    there = {row[0] for row in engine.endpoints()}
    require_endpoint(there, endpoint)
    wanted = there if endpoint is None else {endpoint}
    kept = {
        key: SeriesWatch.from_plain(plain)
        for key, plain in detectors(desk.state, block_seconds).items()
        if key[0] in wanted and json.loads(key[1])[1] != PREDICTION_LABELS
    }
    recent = scope_of(engine, block_seconds=block_seconds, endpoint=endpoint)
    mark = f"{LOOKED}:{block_seconds:g}"
    looked = desk.state.watermark(mark)
    read = read_marks(desk.state, desk.clock())
    readings = [
        (one, LakeHistory(engine, one.scope, max_rows=MAX_ROWS))
        for one in _passes(recent, wanted, kept, desk.clock(), (looked, read))
    ]
    names = {_key(*name) for one, history in readings for name in history.names()}
    series = len(names | kept.keys())
    threshold = max(series * len(VIEWS) * tolerate_seconds / block_seconds, 1.0)
    lookout = _Lookout(desk, engine, _describer(), desk.changes(), block_seconds, tolerate_seconds)
    alarms: list[tuple[Key, Alarm]] = []
    learning = {key: one.cursor for key, one in kept.items() if one.detector is None}
    for one, history in readings:
        for key, state, raised in _advanced(lookout, one, history, kept, threshold):
            alarms += [(key, alarm) for alarm in raised]
            learning.pop(key, None)
            if state.detector is None:
                learning[key] = state.cursor
    until = None if recent is None else _closed(recent, desk.clock())
    if until is not None and endpoint is None and readings:
        # New series of an endpoint that was read less far are looked for from there.
        taken_in = min([until, *(at for name, at in read.items() if name in wanted)])
        desk.state.set_watermark(mark, repr(taken_in))
    new = bool(readings) or any(one.cursor * block_seconds < (until or 0) for one in kept.values())
    return Look(
        series=series,
        until=until if new else None,
        block_seconds=block_seconds,
        threshold=threshold,
        tolerate_seconds=tolerate_seconds,
        learning=tuple(
            (_name(key), _learned_at(learning[key], block_seconds)) for key in sorted(learning)
        ),
        alarms=tuple(alarm for _, alarm in sorted(alarms, key=lambda pair: pair[0])),
    )


def _passes(
    recent: Scope | None,
    wanted: set[str],
    kept: Mapping[Key, SeriesWatch],
    now: float,
    before: tuple[str | None, Mapping[str, float]],
) -> list[Pass]:
    if recent is None:
        return []
    looked, read = before
    since = None if looked is None else float(looked)
    closed = now - GRACE_SECONDS
    return passes(recent, wanted, kept, closed=closed, looked=since, read_until=read)


def _closed(recent: Scope, now: float) -> float:
    closed = now - GRACE_SECONDS
    return min(recent.window.end, closed - closed % recent.block_seconds)


def _advanced(
    lookout: _Lookout,
    one: Pass,
    history: LakeHistory,
    kept: Mapping[Key, SeriesWatch],
    threshold: float,
) -> Iterator[tuple[Key, SeriesWatch, list[Alarm]]]:
    """Every series of a pass with its stored new state; no alarms where another look told them."""
    for some in _batched(_read(one, history), STORED_TOGETHER):
        found = []
        for key, readings in some:
            before = kept.get(key) or SeriesWatch(_whole_hour(readings))
            after, raised = before.advance(readings, threshold)
            found.append((key, after, list(lookout.alarms(key, raised, after))))
        positions = [_position(lookout, *each) for each in found]
        told = put_detectors(lookout.desk.state, lookout.block_seconds, positions)
        for (key, after, raised_), first in zip(found, told, strict=True):
            yield key, after, raised_ if first else []


def _position(lookout: _Lookout, key: Key, state: SeriesWatch, alarms: Sequence[Alarm]) -> Position:
    """What is stored together: how far a series was followed, and what was noticed on the way."""
    noticed = [latency_alarm(one, key[1], lookout.tolerate_seconds) for one in alarms]
    keep = functools.partial(put_alarms, alarms=noticed)
    return Position(*key, state.to_plain(), keep)


def _read(one: Pass, history: LakeHistory) -> Iterator[tuple[Key, Readings]]:
    """What a pass takes; of the series that say nothing any more, empty blocks."""
    silent = set(one.expected)
    for series in history.series():
        key = key_of(series)
        if one.takes(key):
            silent.discard(key)
            yield key, _readings(series)
    empty = _readings(_empty(one.scope))
    for key in sorted(silent):
        yield key, empty


def _batched(
    many: Iterable[tuple[Key, Readings]], size: int
) -> Iterator[list[tuple[Key, Readings]]]:
    """In lists of at most `size`."""
    rest = iter(many)
    while some := list(islice(rest, size)):
        yield some


def _readings(one: SeriesHistory) -> Readings:
    return Readings.of(one.histograms, one.start, one.block_seconds)


def _empty(scope: Scope) -> SeriesHistory:
    histograms = BlockHistograms.empty(scope.blocks.total)
    return SeriesHistory("", None, "", "", scope.window.start, scope.block_seconds, histograms)


def _past_of(history: LakeHistory, key: Key) -> SeriesHistory:
    """The series of a key; where one variant is left of several, it is all of them together."""
    series = list(history.series())
    only = [replace(one, variant=None) for one in series]
    return next(one for one in [*series, *only] if key_of(one) == key)


def key_of(one: SeriesHistory) -> Key:
    """How the state names a series."""
    return _key(one.endpoint, one.variant, one.metric, one.segment)


def _key(endpoint: str, variant: str | None, metric: str, segment: str) -> Key:
    return endpoint, json.dumps([variant, metric, segment])


def _name(key: Key) -> str:
    variant, metric, segment = json.loads(key[1])
    parts = (key[0], "all variants together" if variant is None else variant, metric, segment)
    return "  ".join(part for part in parts if part)


def _whole_hour(readings: Readings) -> int:
    return readings.first + -readings.first % readings.per_hour


def _learned_at(cursor: int, block_seconds: float) -> float:
    """When the week of a series that is being learned from a block on is full."""
    return float(np.ceil(cursor * block_seconds / HOUR_SECONDS)) * HOUR_SECONDS + WEEK_SECONDS


def _describer() -> Describer:
    scanner = load_scanner()
    if not isinstance(scanner, Describer):
        raise PluginError("plug-in 'regression' in nibai.scanners has no describe method")
    return scanner


def look_document(look: Look) -> dict[str, object]:
    """A look as plain data; times are ISO 8601 UTC."""
    return {
        "schema": SCHEMA,
        **encode(look),
        "until": None if look.until is None else iso(look.until),
        "learning": [{"series": name, "until": iso(until)} for name, until in look.learning],
        "alarms": [_alarm(alarm) for alarm in look.alarms],
    }


def _alarm(alarm: Alarm) -> dict[str, object]:
    document: dict[str, object] = encode(alarm)
    for name in ("at", "raised_at", "learning_until"):
        document[name] = iso(getattr(alarm, name))
    document["before"] = window_document(alarm.before)
    document["suspect"] = suspect_document(alarm.suspect)
    return {**document, "declare": declare_line(alarm)}
