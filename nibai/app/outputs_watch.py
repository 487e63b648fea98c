"""`nibai changes watch --predictions`: answers and traffic against the same hours of last week."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nibai.app.audit import Desk
from nibai.app.changes import declare_line_at
from nibai.conventions import PREDICTION_LABELS
from nibai.document import iso
from nibai.model import Moved as MovedKind
from nibai.model import Window
from nibai.stats.output_watch import (
    ALPHA,
    BUDGET_HOURS,
    HOURS_PER_WEEK,
    LEARNED_WEEKS,
    Followed,
    HourlyCounts,
    Moved,
    follow,
)
from nibai.store.answers.output_history import HOUR_SECONDS, OutputHistory, output_history
from nibai.store.state.detections import Alarmed, put_alarms
from nibai.store.state.detectors import Position, detectors, put_detectors
from nibai.store.state.freshness import answers_until

SCHEMA = "nibai.watched-outputs/1"
GRACE_SECONDS = 300.0
LEARNED_HOURS = LEARNED_WEEKS * HOURS_PER_WEEK
READ_HOURS = LEARNED_HOURS + 2 * BUDGET_HOURS


@dataclass(frozen=True, slots=True)
class MovedOutputs:
    """One alarm: what moved, of which variant; never a verdict about a claim."""

    endpoint: str
    variant: str
    moved: Moved

    @property
    def what(self) -> str:
        """Answers, or the requests they were given to.

        Volume and segments are those of the traffic.
        """
        return "outputs moved" if self.moved.name in {"label", "score"} else "traffic moved"

    @property
    def text(self) -> str:
        """What moved how far, in a line."""
        one = self.moved
        if one.name == "volume":
            return f"{self.what}: {one.before:,.0f} → {one.after:,.0f} answers per hour"
        key = one.key or "(none)"
        return f"{self.what}: {one.name} “{key}” {one.before:.3g} → {one.after:.3g} of answers"


@dataclass(frozen=True, slots=True)
class OutputsLook:
    """One look: `learning` names series and when each has its four weeks."""

    series: int
    until: float
    learning: tuple[tuple[str, float], ...]
    alarms: tuple[MovedOutputs, ...]


def watch_outputs(desk: Desk, *, endpoint: str | None = None) -> OutputsLook:
    """Follow every variant's answers up to now; each alarm is told once, then learned anew."""
    end = int((desk.clock() - GRACE_SECONDS) // HOUR_SECONDS)
    window = Window((end - READ_HOURS) * HOUR_SECONDS, end * HOUR_SECONDS)
    found = list(output_history(desk.engine(), window, endpoint))
    kept = detectors(desk.state, HOUR_SECONDS)
    streams = sum(_streams(one) for one in found)
    alarms: list[MovedOutputs] = []
    learning: list[tuple[str, float]] = []
    for one in found:
        key = outputs_key(one)
        state = kept.get(key, {})
        begin = max(int(state.get("from", 0)), _first_answer(one))
        told_until = int(state.get("cursor", 0))
        there = _all_there(desk, one.endpoint, end)
        if there <= begin:
            continue
        begin, moved, learned = _followed(one, begin, there, streams - _streams(one))
        document = {"cursor": there, "from": begin}
        new = [
            MovedOutputs(one.endpoint, one.variant, each) for each in moved if each.at >= told_until
        ]
        told = [outputs_alarm(each, key[1]) for each in new]
        keep = functools.partial(put_alarms, alarms=told)
        position = Position(*key, document, keep)
        if put_detectors(desk.state, HOUR_SECONDS, [position])[0]:
            alarms += new
        if not learned:
            name = "  ".join(part for part in (one.endpoint, one.variant) if part)
            learning.append((name, (begin + LEARNED_HOURS) * HOUR_SECONDS))
    return OutputsLook(len(found), end * HOUR_SECONDS, tuple(learning), tuple(alarms))


def _all_there(desk: Desk, endpoint: str, end: int) -> int:
    """The first hour of which answers may be missing: those of a later look would come too late."""
    until = answers_until(desk.state, endpoint, desk.clock())
    return end if until is None else min(end, int(until // HOUR_SECONDS))


def outputs_alarm(alarm: MovedOutputs, series: str) -> Alarmed:
    """An alarm of the detector of answers and traffic."""
    moved = MovedKind.ANSWERS if alarm.what.startswith("outputs") else MovedKind.TRAFFIC
    began = alarm.moved.start * HOUR_SECONDS
    return Alarmed(
        endpoint=alarm.endpoint,
        series=series,
        moved=moved,
        began_at=began,
        raised_at=(alarm.moved.at + 1) * HOUR_SECONDS,
        text=f"{alarm.variant}: {alarm.text}" if alarm.variant else alarm.text,
        tolerated=f"a chance of at most {ALPHA:.0%} for one of all series in 30 days",
        declare=declare_line_at(alarm.endpoint, alarm.variant or None, began),
    )


def outputs_key(one: OutputHistory) -> tuple[str, str]:
    """How the state names the answers of a variant."""
    return one.endpoint, json.dumps([one.variant, PREDICTION_LABELS, ""])


def _followed(
    one: OutputHistory, begin: int, end: int, others: int
) -> tuple[int, list[Moved], bool]:
    """Where the present stretch begins, what moved on the way, and whether it is learned.

    A stretch is four weeks that are learned and thirty days that are watched: each has a budget of
    its own, and the next one learns from the last four weeks of this one.
    """
    told: list[Moved] = []
    while True:
        stop = min(begin + LEARNED_HOURS + BUDGET_HOURS, end)
        found = _follow(one.tables, begin, stop, others)
        if found.moved:
            told += found.moved
            begin = found.moved[0].at + 1
        elif stop < end:
            begin += BUDGET_HOURS
        else:
            return begin, told, found.watched_from is not None


def _follow(tables: Sequence[HourlyCounts], begin: int, stop: int, others: int) -> Followed:
    cut = [
        replace(table, first=begin, counts=table.counts[begin - table.first : stop - table.first])
        for table in tables
    ]
    return follow(cut, alpha=ALPHA, others=others)


def _streams(one: OutputHistory) -> int:
    return follow(one.tables).streams


def _first_answer(one: OutputHistory) -> int:
    whole = np.sum([table.counts.sum(axis=1) for table in one.tables], axis=0)
    return one.tables[0].first + int(np.flatnonzero(whole)[0])


def outputs_document(look: OutputsLook) -> dict[str, object]:
    """A look as plain data; times are ISO 8601 UTC."""
    return {
        "schema": SCHEMA,
        "series": look.series,
        "until": iso(look.until),
        "alpha_per_30_days": ALPHA,
        "learning": [{"series": name, "until": iso(at)} for name, at in look.learning],
        "alarms": [_alarm(alarm) for alarm in look.alarms],
    }


def _alarm(alarm: MovedOutputs) -> dict[str, object]:
    one = alarm.moved
    return {
        "endpoint": alarm.endpoint,
        "variant": alarm.variant,
        "moved": alarm.what.split()[0],
        "of": one.name,
        "key": one.key,
        "before": one.before,
        "after": one.after,
        "started": iso(one.start * HOUR_SECONDS),
        "raised_at": iso((one.at + 1) * HOUR_SECONDS),
        "placebo_points": one.rank.points,
        "placebo_at_least": one.rank.at_least,
        "text": alarm.text,
    }
