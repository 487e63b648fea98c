"""Every claimed change is looked at on closed blocks until it is decided; what is decided stays.

The anytime-valid path (`nibai.app.watch`) alone decides. Its state is in the database, so that any
process goes on where another was; a verdict reached is stored as an audit once, under a name made
of the change and what was decided.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nibai.app.audit import Desk
from nibai.app.compare import load_analyzers
from nibai.app.onwatch.names import WATCH, name_of
from nibai.app.resting import resting
from nibai.app.watch import SETTLED, Watch
from nibai.app.watch_audit import Followers, findings_of, watched_audit
from nibai.app.watch_plan import LATER
from nibai.audit import judge
from nibai.errors import NibaiError
from nibai.model import (
    Audit,
    Change,
    Comparison,
    Sentence,
    SentenceResult,
    Standing,
    Verdict,
    Window,
)
from nibai.protocols import Windows
from nibai.store.series.recent import newest_minutes
from nibai.store.windows.past import moment_of

LOG = logging.getLogger("nibai.follow")

ANSWERS_EVERY_SECONDS = 3600.0
"""Pairs of answers are read so often: they are judged from all of them, not block by block."""


class _Unseen:
    """Windows of a change that only blocks are asked about."""

    def comparison(self, metric: str) -> Comparison | None:
        """Nothing."""
        del metric
        return None


@dataclass(slots=True)
class _Followed:
    """A change between two looks."""

    watch: Watch
    answers: Mapping[str, Followers] = field(default_factory=dict)
    answers_at: float = 0.0
    audits: dict[str, Audit | None] = field(default_factory=dict)
    standings: tuple[Standing, ...] = ()


class Follower:
    """Looks at the changes of a desk; the moment of a look is passed in.

    `follow_seconds`: changes are followed so long. `quiet_seconds(endpoint)`: how old its newest
    minute may be. `claimed` adds what rules claim of a change. `told` hears of every audit that was
    stored because something was decided.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        level: float,
        follow_seconds: float,
        quiet_seconds: Callable[[str], float],
        claimed: Callable[[Change], Change] = lambda change: change,
        told: Callable[[Audit], None] = lambda _audit: None,
    ) -> None:
        self._desk = desk
        self._level = level
        self._follow_seconds = follow_seconds
        self._quiet_seconds = quiet_seconds
        self._claimed = claimed
        self._told = told
        self._kept: dict[str, _Followed] = {}
        self._silent: dict[str, float] = {}
        self.unseen: frozenset[str] = frozenset()
        """Changes that the last look could not look at."""

    def look(self, at: float) -> tuple[Standing, ...]:
        """How every followed change stands at a moment; blocks that closed until then count."""
        desk = replace(self._desk, clock=lambda: at)
        known = (self._claimed(change) for change in desk.changes())
        changes = [change for change in known if self._is_followed(change, at)]
        self._kept = {c.id: self._kept[c.id] for c in changes if self._is_kept(c)}
        newest = newest_minutes(desk.lake, at) if changes else {}
        self.unseen = frozenset()
        standings: list[Standing] = []
        for change in changes:
            quiet = self._no_data_since(desk, change, newest, at)
            newer = _superseded_by(change, changes)
            standings += [
                replace(one, no_data_since=quiet, superseded_by=newer)
                for one in self._standings(desk, change, at)
            ]
        return tuple(standings)

    def _is_kept(self, change: Change) -> bool:
        """Whether the same is claimed as before: what rules claim by segment comes with traffic."""
        kept = self._kept.get(change.id)
        return kept is not None and _claimed(kept.watch.change) == _claimed(change)

    def _is_followed(self, change: Change, at: float) -> bool:
        begun = watched_since(change)
        return (
            bool(change.sentences)
            and not change.runs
            and begun <= at < begun + self._follow_seconds
        )

    def _no_data_since(
        self, desk: Desk, change: Change, newest: Mapping[str, float], at: float
    ) -> float | None:
        until = newest.get(change.endpoint)
        if until is None:
            # Silent for days: looked up in the whole lake, once until it speaks again.
            if change.endpoint not in self._silent:
                self._silent[change.endpoint] = _newest_of(desk, change, at)
            until = self._silent[change.endpoint]
        else:
            self._silent.pop(change.endpoint, None)
        return until if at - until > self._quiet_seconds(change.endpoint) else None

    def _standings(self, desk: Desk, change: Change, at: float) -> tuple[Standing, ...]:
        """As it stands now; as it stood when it cannot be looked at: one change stops no other."""
        kept = self._kept.get(change.id)
        try:
            if kept is None:
                kept = self._kept[change.id] = _Followed(Watch(desk, change, self._level))
            kept.watch.look(at)
            results = self._judged(desk, kept, at)
            audit = self._decided_audit(desk, kept, results)
        except NibaiError as error:
            LOG.error("change %s cannot be looked at: %s", change.id, error)  # noqa: TRY400 - the text is the message
        except Exception:
            LOG.exception("change %s cannot be looked at", change.id)
        else:
            kept.standings = tuple(_standing(kept.watch, result, audit) for result in results)
            return kept.standings
        self.unseen |= {change.id}
        return () if kept is None else kept.standings

    def _judged(self, desk: Desk, kept: _Followed, at: float) -> tuple[SentenceResult, ...]:
        """Sentences by the tracks of their parts, and by all pairs of answers where it is those."""
        change = kept.watch.change
        asks = any(part.promise in LATER for s in change.sentences for part in s.parts)
        if asks and at >= kept.answers_at + ANSWERS_EVERY_SECONDS:
            windows = desk.windows(change)
            kept.answers, kept.answers_at = self._answers(desk, change, windows, at), at
        known = {"anytime": Followers(findings_of(kept.watch)), **kept.answers}
        return judge(change, _Unseen(), known, self._level)

    def _answers(
        self, desk: Desk, change: Change, windows: Windows, at: float
    ) -> dict[str, Followers]:
        found = {n: a for n, a in load_analyzers(self._level).items() if n == "predictions"}
        return {
            name: Followers(tuple(analyzer.analyze(change, windows)))
            for name, analyzer in resting(found, desk.state, self._level, at).items()
        }

    def _decided_audit(
        self, desk: Desk, kept: _Followed, results: Sequence[SentenceResult]
    ) -> Audit | None:
        """The audit of everything that is decided so far, stored the first time."""
        decided = [r for r in results if r.verdict in SETTLED]
        if not decided:
            return None
        change = kept.watch.change
        said = [f"{r.sentence.text}={r.verdict}" for r in decided]
        name = name_of(WATCH, change.id, f"{self._level:g}", *said)
        if name not in kept.audits:
            if desk.state.audit(name) is None:
                audit = watched_audit(desk, kept.watch, name)
                LOG.info("change %s: %s, audit %s", change.id, audit.verdict.value, name)
                self._told(audit)
                kept.audits[name] = audit
            else:
                found = desk.stored(name)
                kept.audits[name] = found if isinstance(found, Audit) else None
        return kept.audits[name]


def _claimed(change: Change) -> list[tuple[Sentence, int]]:
    return [(sentence, sentence.family) for sentence in change.sentences]


def _newest_of(desk: Desk, change: Change, at: float) -> float:
    """End of the newest minute of what is claimed about; without any, when the change came.

    What a wrong clock dated ahead is no sign of life.
    """
    begun = Window(0.0, at)
    metrics = {part.metric for sentence in change.sentences for part in sentence.parts}
    engine = desk.engine()
    spans = [span for metric in metrics for span in engine.spans(change.endpoint, metric, begun)]
    newest = max((span.last_minute for span in spans), default=None)
    return watched_since(change) if newest is None else (newest + 1) * 60.0


def watched_since(change: Change) -> float:
    """From when on a change is followed."""
    moment = moment_of(change)
    if moment is not None:
        return moment
    if change.candidate_window is not None:
        return change.candidate_window.start
    return change.declared_at or 0.0


def _superseded_by(change: Change, changes: Sequence[Change]) -> str | None:
    """The next claimed change of the same endpoint."""
    later = [
        other
        for other in changes
        if other.endpoint == change.endpoint and watched_since(other) > watched_since(change)
    ]
    return min(later, key=watched_since).id if later else None


def _standing(watch: Watch, result: SentenceResult, audit: Audit | None) -> Standing:
    settled = result.verdict in SETTLED
    age, source = watch.counted_from()
    return Standing(
        minutes_age_seconds=age,
        minutes_from=source,
        change=watch.change,
        sentence=result.sentence,
        verdict=result.verdict,
        reason=result.reason,
        findings=result.findings,
        level=result.sentence.shared(watch.level),
        watched_since=watched_since(watch.change),
        decided_at=_decided_at(watch, result, audit) if settled else None,
        audit=audit.id if settled and audit is not None else None,
    )


def _decided_at(watch: Watch, result: SentenceResult, audit: Audit | None) -> float | None:
    """The end of the block that decided; where answers did, the look that saw it."""
    parts = {part.claim: part for part in watch.parts}
    ends = []
    for finding in result.findings:
        part = parts.get(finding.claim)
        if part is None or part.pairs is None or part.track is None or part.track.decided is None:
            continue
        if finding.verdict is result.verdict:
            ends.append(part.pairs.end(part.track.decided))
    if not ends:
        return None if audit is None else audit.created_at
    return max(ends) if result.verdict is Verdict.CONFIRMED else min(ends)
