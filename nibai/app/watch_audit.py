"""The audit of a watched change: findings from the tracks, stored like any other audit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import nibai
from nibai.app.audit import Desk, new_id
from nibai.app.compare import load_analyzers
from nibai.app.resting import resting
from nibai.app.watch import Watch
from nibai.app.watch_parts import Followed
from nibai.app.watch_words import RECORDING, missing_blocks, reason_of, subject, waiting_text
from nibai.audit import run_audit
from nibai.model import (
    Audit,
    Change,
    Comparison,
    Estimate,
    Evidence,
    Finding,
    ReasonCode,
    Verdict,
    Window,
)
from nibai.predictions import PredictionSample
from nibai.protocols import PredictionWindows, Windows
from nibai.stats.clock import DAY
from nibai.stats.following import Track
from nibai.stats.sequential_rates import Trials

SCOPE = "live window, watched block by block"

WATCHED_NOTE = (
    "watched block by block: intervals and verdicts hold however often one looked, and a verdict "
    "reached stays"
)


@dataclass(frozen=True, slots=True)
class Followers:
    """An analyzer whose answers are there already."""

    findings: tuple[Finding, ...]

    def analyze(self, change: Change, windows: Windows) -> Sequence[Finding]:
        """The findings of the tracks."""
        del change, windows
        return self.findings


@dataclass(frozen=True, slots=True)
class Shown:
    """The windows for the charts, without notes on blocks that did not decide."""

    windows: Windows

    def comparison(self, metric: str) -> Comparison | None:
        """Both sides of a metric."""
        found = self.windows.comparison(metric)
        return None if found is None else replace(found, notes=())

    def predictions(self) -> Sequence[PredictionSample]:
        """Pairs of answers."""
        if isinstance(self.windows, PredictionWindows):
            return self.windows.predictions()
        return ()


def findings_of(watch: Watch) -> tuple[Finding, ...]:
    """What is known of every part that blocks are about."""
    return tuple(
        finding_of(watch, part)
        for part in watch.parts
        if part.track is not None or part.reason is not None or part.waiting
    )


def watched_audit(desk: Desk, watch: Watch, audit_id: str | None = None) -> Audit:
    """The audit of what was seen so far, stored once under its id (default: a fresh one)."""
    change, now = _with_windows(watch), desk.clock()
    # Answers are not read block by block: their intervals hold at any look anyway.
    answers = {"predictions": load_analyzers(watch.level).get("predictions", Followers(()))}
    known = {
        "anytime": Followers(findings_of(watch)),
        **resting(answers, desk.state, watch.level, now),
    }
    audit = run_audit(
        change,
        Shown(desk.windows(change)),
        known,
        audit_id=audit_id or new_id("aud"),
        created_at=now,
        version=nibai.__version__,
        level=watch.level,
        notes=(WATCHED_NOTE,),
    )
    return desk.keep(audit)


def finding_of(watch: Watch, part: Followed) -> Finding:
    """One part as a finding."""
    reason = reason_of(watch, part)
    verdict = part.verdict
    if reason.code is ReasonCode.SETUP_DEFECT:
        verdict = Verdict.NOT_COMPARABLE
    track = part.track
    if track is None:
        nothing = Evidence((0, 0), None, "none", (0, 0), "nothing", margin=part.claim.margin)
        return Finding(part.claim, verdict, reason, None, nothing, "anytime")
    notes = _notes(part, track, watch.revised(part), waiting_text(watch, part))
    evidence = _evidence(part, track, notes)
    return Finding(part.claim, verdict, reason, _estimate(track), evidence, "anytime")


def _estimate(track: Track) -> Estimate:
    if track.plan.shares:
        bounds = (-track.value, -track.high, -track.low)
        found = [x + 0.0 if abs(x) < 1 else None for x in bounds]
    else:
        found = [2.0**x if math.isfinite(x) else None for x in (track.value, track.low, track.high)]
    return Estimate(found[0], found[1], found[2], track.plan.level)


def _evidence(part: Followed, track: Track, notes: tuple[str, ...]) -> Evidence:
    plan = track.plan
    up = track.verdict is Verdict.CONFIRMED or (
        track.verdict is None and track.value > plan.threshold
    )
    log_e = (
        track.log_e_decided
        if track.verdict is not None
        else track.log_e_value(plan.threshold, above=up)
    )
    if track.verdict is Verdict.REFUTED:
        # Where a rule asks for a higher level the evidence went on.
        log_e = max(log_e, track.log_e_refute)
    missing = missing_blocks(track)
    return Evidence(
        requests=(track.baseline.requests, track.candidate.requests),
        blocks=track.sums.blocks,
        unit=f"block of {plan.block_seconds / 60:g} minutes",
        replicas=part.replicas,
        scope=SCOPE,
        censored_share=(_share(track.baseline), _share(track.candidate)),
        more_data_needed_seconds=None if missing is None else missing * plan.block_seconds,
        margin=part.claim.margin,
        threshold=-plan.threshold if plan.shares else 2.0**plan.threshold,
        p_refute=track.p_refute,
        p_confirm=min(1.0, math.exp(-log_e) / 2) if up and log_e > 0 else 1.0,
        recording_error=(
            None if track.error.nothing else (2.0**track.error.below, 2.0**track.error.above)
        ),
        log_e_value=log_e if math.isfinite(log_e) else None,
        notes=notes,
    )


def _notes(part: Followed, track: Track, revised: int, waiting: str) -> tuple[str, ...]:
    plan = track.plan
    notes = ["A/A rate: not measured"]
    if plan.phi is None:
        notes.append(
            "fewer than 6 pairs of unchanged days before the change: the correlation between "
            "blocks is taken from the watched blocks themselves, which costs power"
        )
    else:
        notes.append(
            f"{subject(part.claim)}: correlation between blocks {plan.phi:.2f}, from "
            f"{plan.placebos} pairs of unchanged days before the change"
        )
    if plan.shares:
        notes.append(
            "decided only where independent failures and bursts of them lead to the same verdict"
        )
    if not track.error.nothing:
        notes.append(
            f"{subject(part.claim)}: the interval is {_wider(track.error.below)} wider below and "
            f"{_wider(track.error.above)} above than for requests one by one: {RECORDING}"
        )
    if track.thin:
        notes.append(
            f"{subject(part.claim)}: {track.thin} blocks held too few requests and were left out"
        )
    if waiting and track.verdict is None:
        notes.append(f"{subject(part.claim)}: {waiting}")
    if revised:
        notes.append(
            f"{subject(part.claim)}: {revised} minute(s) changed after they were final and had "
            "counted here; what counted stays, an audit of fixed windows (without --watch) reads "
            "them as they are now"
        )
    return tuple(notes)


def _wider(octaves: float) -> str:
    return f"{100 * (2**octaves - 1):.2g} %"


def _share(trials: Trials) -> float:
    return trials.share if trials.requests else 0.0


def _with_windows(watch: Watch) -> Change:
    """The change with the windows that were seen, where one pair of windows can show them."""
    change = watch.change
    seen = [
        (part.pairs, part.track)
        for part in watch.parts
        if part.pairs is not None and part.track is not None and part.track.last >= 0
    ]
    if not seen or change.candidate_window is not None:
        return change
    begin = min(pairs.begin for pairs, _ in seen)
    end = max(pairs.end(track.last) for pairs, track in seen)
    partner = seen[0][0].partner(0)
    if partner is None or end - begin > DAY:
        return change
    start = begin - (seen[0][0].begin - partner)
    return replace(
        change,
        baseline_window=Window(start, start + end - begin),
        candidate_window=Window(begin, end),
    )
