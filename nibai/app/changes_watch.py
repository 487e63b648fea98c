"""`nibai changes watch`: one look of the online detector at every series, from where it stood."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
from nibai.store.detections import put_alarms
from nibai.store.engine import Engine
from nibai.store.history import LakeHistory, Scope, scope_of

SCHEMA = "nibai.watched-changes/1"
GRACE_SECONDS = 300.0
"""A block counts this long after its end: what comes later is not added."""

Key = tuple[str, str]
"""Endpoint, and JSON of variant, metric and segment."""


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
            past = next(s for s in LakeHistory(self.engine, scope).series() if key_of(s) == key)
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
                learning_until=_learned_at(state, seconds),
            )


def watch_changes(
    desk: Desk, *, block_seconds: float, tolerate_seconds: float, endpoint: str | None = None
) -> Look:
    """Learn, go on over the blocks that closed since the last look, and keep where it ended."""
    engine = desk.engine()
    there = {row[0] for row in engine.endpoints()}
    require_endpoint(there, endpoint)
    wanted = there if endpoint is None else {endpoint}
    kept = {
        key: SeriesWatch.from_plain(plain)
        for key, plain in desk.state.detectors(block_seconds).items()
        if key[0] in wanted and json.loads(key[1])[1] != PREDICTION_LABELS
    }
    recent = scope_of(engine, block_seconds=block_seconds, endpoint=endpoint)
    scope = _scope(recent, wanted, kept, desk.clock())
    fresh = {} if scope is None else _read(LakeHistory(engine, scope).series())
    if scope is not None:
        empty = _readings(_empty(scope))
        fresh |= {key: empty for key in kept if key not in fresh}
    keys = sorted(fresh.keys() | kept.keys())
    threshold = max(len(keys) * len(VIEWS) * tolerate_seconds / block_seconds, 1.0)
    lookout = _Lookout(desk, engine, _describer(), desk.changes(), block_seconds, tolerate_seconds)
    alarms: list[Alarm] = []
    learning: list[tuple[str, float]] = []
    for key in keys:
        state = kept.get(key)
        if key in fresh:
            state, found = _advanced(lookout, key, state, fresh[key], threshold)
            alarms += found
        if state is not None and state.detector is None:
            learning.append((_name(key), _learned_at(state, block_seconds)))
    return Look(
        series=len(keys),
        until=None if scope is None else scope.window.end,
        block_seconds=block_seconds,
        threshold=threshold,
        tolerate_seconds=tolerate_seconds,
        learning=tuple(learning),
        alarms=tuple(alarms),
    )


def _advanced(
    lookout: _Lookout, key: Key, state: SeriesWatch | None, readings: Readings, threshold: float
) -> tuple[SeriesWatch, list[Alarm]]:
    """The stored new state and its alarms; none when another look told them."""
    before = SeriesWatch(_whole_hour(readings)) if state is None else state
    after, raised = before.advance(readings, threshold)
    found = list(lookout.alarms(key, raised, after))
    alarms = [latency_alarm(one, key[1], lookout.tolerate_seconds) for one in found]
    keep = functools.partial(put_alarms, alarms=alarms)
    stored = lookout.desk.state.put_detector(*key, lookout.block_seconds, after.to_plain(), keep)
    return after, found if stored else []


def _scope(
    recent: Scope | None, wanted: set[str], kept: Mapping[Key, SeriesWatch], now: float
) -> Scope | None:
    """Blocks that are closed and needed; also recent ones where an endpoint was never seen."""
    if recent is None:
        return None
    start, seconds = recent.window.start, recent.block_seconds
    if kept:
        needed = min(state.cursor for state in kept.values()) * seconds
        start = needed if wanted <= {name for name, _ in kept} else min(start, needed)
    closed = now - GRACE_SECONDS
    end = min(recent.window.end, closed - closed % seconds)
    return replace(recent, window=Window(start, end)) if start < end else None


def _read(series: Iterable[SeriesHistory]) -> dict[Key, Readings]:
    return {key_of(one): _readings(one) for one in series}


def _readings(one: SeriesHistory) -> Readings:
    return Readings.of(one.histograms, one.start, one.block_seconds)


def _empty(scope: Scope) -> SeriesHistory:
    histograms = BlockHistograms.empty(scope.blocks.total)
    return SeriesHistory("", None, "", "", scope.window.start, scope.block_seconds, histograms)


def key_of(one: SeriesHistory) -> Key:
    """How the state names a series."""
    return one.endpoint, json.dumps([one.variant, one.metric, one.segment])


def _name(key: Key) -> str:
    variant, metric, segment = json.loads(key[1])
    parts = (key[0], "all variants together" if variant is None else variant, metric, segment)
    return "  ".join(part for part in parts if part)


def _whole_hour(readings: Readings) -> int:
    return readings.first + -readings.first % readings.per_hour


def _learned_at(state: SeriesWatch, block_seconds: float) -> float:
    """When the week of a series that is being learned is full."""
    return float(np.ceil(state.cursor * block_seconds / HOUR_SECONDS)) * HOUR_SECONDS + WEEK_SECONDS


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
