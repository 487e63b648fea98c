"""Prediction evidence in words and rows: what every rendering of it says alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nibai.model import Audit, Finding
from nibai.prediction_evidence import (
    Bounds,
    Distribution,
    DriftScore,
    Gate,
    GateState,
    InputsMoved,
    MarginRow,
    PredictionEvidence,
    Rate,
    SegmentFlips,
)
from nibai.predictions import EvidenceLevel

LEVELS = {
    EvidenceLevel.SHADOW: "level A, the same live requests answered by both",
    EvidenceLevel.REPLAY: "level B, the same inputs sent through both",
    EvidenceLevel.ADJUSTED: "level C, before and after, adjusted for the inputs",
    EvidenceLevel.OUTPUTS_ONLY: "level D, before and after, outputs alone",
}

GATE_MARKS = {
    GateState.PASSED: "✔",
    GateState.FAILED: "✘",
    GateState.OPEN: "?",
    GateState.NOT_MEASURED: "–",
}

MOST_SEGMENTS = 16
MOST_ROWS = 8
FALLS = ("accuracy",)
"""Gates about a change that may not fall by more than the margin."""
SIGNED = ("accuracy", "JSON validity", "invalid outputs")
"""Gates about a difference, which may be below nothing: said with their sign, in points."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What findings about the same pairs say together."""

    title: str
    evidence: PredictionEvidence
    gates: tuple[Gate, ...]


def answers(audit: Audit) -> list[Answers]:
    """One entry per set of pairs that findings of an audit rest on, in their order."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in audit.findings:
        evidence = finding.evidence.predictions
        if evidence is not None:
            segment = "=".join(finding.claim.segment or ())
            key = evidence.source, evidence.batch_profile, segment
            groups.setdefault(key, []).append(finding)
    return [_together(found) for found in groups.values()]


def _together(findings: Sequence[Finding]) -> Answers:
    found = [one.evidence.predictions for one in findings if one.evidence.predictions is not None]
    # Claims about the same pairs ask the same: once is enough.
    gates = {(gate.name, gate.margin): gate for one in found for gate in one.gates}
    segment = findings[0].claim.segment
    where = "" if segment is None or segment[0] == "batch" else "=".join(segment)
    scope = ", ".join(word for word in (where, found[0].batch_profile) if word)
    # The fullest evidence speaks for the group: claims about one thing leave the rest out.
    fullest = max(found, key=lambda one: len(one.margins) + len(one.segments) + len(one.signals))
    title = f"Did the answers change? ({scope})" if scope else "Did the answers change?"
    return Answers(title, fullest, tuple(gates.values()))


def basis(evidence: PredictionEvidence) -> str:
    """What the evidence is, in one line."""
    parts = [LEVELS[evidence.level]]
    if evidence.level in {EvidenceLevel.SHADOW, EvidenceLevel.REPLAY}:
        parts.append(f"{evidence.pairs:,} pairs of answers")
    if evidence.all_pairs != evidence.pairs and evidence.all_pairs:
        parts.append(f"{evidence.all_pairs:,} with repeated inputs")
    if evidence.pairs_wanted is not None:
        parts.append(f"{evidence.pairs_wanted:,} wanted for this kind of change")
    if evidence.match_rate is not None and math.isfinite(evidence.match_rate):
        parts.append(f"{evidence.match_rate:.0%} found their partner")
    return " · ".join(parts)


def gate_row(gate: Gate) -> list[str]:
    """Name, measured, interval, margin and state of a gate."""
    signed = gate.name in SIGNED
    limit = gate_limit(gate)
    margin = "–" if limit is None else share(limit, signed=signed)
    return [
        gate.name,
        share(gate.estimate.value, signed=signed),
        between(gate.estimate, signed=signed),
        margin,
        f"{GATE_MARKS[gate.state]} {gate.state.value}",
    ]


def gate_limit(gate: Gate) -> float | None:
    """The value that a gate may not pass."""
    if gate.margin is None:
        return None
    return -gate.margin if gate.name in FALLS else gate.margin


def share(value: float | None, *, signed: bool = False) -> str:
    """A share in per cent, a difference of shares in points.

    >>> share(0.1034), share(0.0), share(0.00042), share(-0.0089, signed=True), share(None)
    ('10.3 %', '0 %', '0.042 %', '-0.89 pp', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{_percent(value, signed=signed)} {'pp' if signed else '%'}"


def between(bounds: Bounds, *, signed: bool = False) -> str:
    """The interval of `share`.

    >>> between(Bounds(0.1, 0.073, 0.138)), between(Bounds(0.0, None, 0.0025))
    ('[7.3, 13.8] %', '[no bound, 0.25] %')
    """
    if bounds.low is None and bounds.high is None:
        return "–"
    low, high = (
        "no bound" if bound is None else _percent(bound, signed=signed)
        for bound in (bounds.low, bounds.high)
    )
    return f"[{low}, {high}] {'pp' if signed else '%'}"


def _percent(value: float, *, signed: bool = False) -> str:
    percent = 100 * value
    digits = 1 if abs(percent) >= 1 else 2 if abs(percent) >= 0.1 else 3  # noqa: PLR2004 - readable
    text = f"{percent:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".") if float(text) == 0 or digits > 1 else text
    text = text.removesuffix(".0") if abs(percent) >= 100 else text  # noqa: PLR2004 - whole
    text = "0" if float(text) == 0 else text
    return f"+{text}" if signed and value > 0 and text != "0" else text


def facts(evidence: PredictionEvidence) -> list[str]:
    """Everything beside the gates that fits in a line each, most telling first."""
    drawn = [*_by_margin(evidence.margins), *_segments(evidence)]
    return [*first_facts(evidence), *drawn, *more_facts(evidence)]


def first_facts(evidence: PredictionEvidence) -> list[str]:
    """What the gates' numbers are made of."""
    return [*_floors(evidence), *_moved(evidence.inputs_moved), *_quarantined(evidence)]


def more_facts(evidence: PredictionEvidence) -> list[str]:
    """What describes the change without deciding it, and how it was counted."""
    return [
        *_confusion(evidence.confusion),
        *_signals(evidence),
        *(rate_line(rate) for rate in evidence.events),
        *(distribution_line(one) for one in evidence.distributions),
        *_scores(evidence.scores),
        *_margin(evidence),
    ]


def _floors(evidence: PredictionEvidence) -> Iterable[str]:
    if evidence.floor_stated is not None:
        yield f"the old variant disagrees with itself on {share(evidence.floor_stated)}, as stated"
    for which, floor in (("old", evidence.floor_old), ("new", evidence.floor_new)):
        if floor is not None:
            yield (
                f"the {which} variant disagrees with itself on {share(floor.estimate.value)} "
                f"{between(floor.estimate)} of {floor.n:,} pairs"
            )
    if evidence.flips is not None:
        weighed = evidence.traffic_flips
        as_traffic = "" if weighed is None else f", {share(weighed)} when repeated inputs count"
        yield (
            f"raw flips between the variants {share(evidence.flips.value)} "
            f"{between(evidence.flips)}{as_traffic}"
        )
    if evidence.excess_fixed is not None:
        fixed = evidence.excess_fixed
        yield (
            f"excess over the same inputs, were this the only look: {share(fixed.value)} "
            f"{between(fixed)}"
        )


def _by_margin(rows: Sequence[MarginRow]) -> Iterable[str]:
    if rows:
        said = " · ".join(margin_share(row) for row in rows)
        yield f"flips from where the old variant was least sure to most sure: {said}"


def margin_share(row: MarginRow) -> str:
    """Flips of one part of the old margin.

    >>> margin_share(MarginRow(0.0, 0.2, 100, 36))
    '36.0 %'
    """
    return share(row.flips / row.n) if row.n else "none"


def margin_label(row: MarginRow) -> str:
    """The part of the old margin that a row is about.

    >>> margin_label(MarginRow(0.0, 0.215, 100, 36))
    '0 to 0.21'
    """
    return f"{row.low:.2g} to {row.high:.2g}"


def _segments(evidence: PredictionEvidence) -> Iterable[str]:
    for one in [one for one in evidence.segments if one.stands_out][:MOST_ROWS]:
        yield f"{segment_name(one)} stands out: {share(one.estimate.value)} {between(one.estimate)}"
    if evidence.simpson:
        yield "Simpson: the pooled difference points the other way than that of the segments"


def segment_name(one: SegmentFlips) -> str:
    """A segment as a row's name."""
    return one.segment or "all traffic"


def _confusion(confusion: Sequence[tuple[str, str, int]]) -> Iterable[str]:
    if confusion:
        said = ", ".join(f"{old} → {new} {n:,}" for old, new, n in confusion[:MOST_ROWS])
        yield f"most frequent flips: {said}"


def _signals(evidence: PredictionEvidence) -> Iterable[str]:
    for one in evidence.signals:
        if one.n and (one.baseline or one.candidate):
            yield (
                f"{signal_name(one.name)}: {share(one.baseline / one.n)} → "
                f"{share(one.candidate / one.n)} of {one.n:,} pairs, "
                f"difference {share(one.difference.value, signed=True)} "
                f"{between(one.difference, signed=True)} (only old {one.baseline_only:,}, "
                f"only new {one.candidate_only:,}{_p(one.p)})"
            )


def signal_name(name: str) -> str:
    """A signal in words.

    >>> signal_name("invalid:nan"), signal_name("json_valid")
    ('invalid (nan)', 'json valid')
    """
    kind, _, which = name.partition(":")
    words = kind.replace("_", " ")
    return f"{words} ({which.replace('_', ' ')})" if which else words


def _p(p: float | None) -> str:
    return "" if p is None else f", McNemar p = {p:.2g}"


def rate_line(rate: Rate) -> str:
    """An event of pairs."""
    return (
        f"{signal_name(rate.name)}: {share(rate.estimate.value)} {between(rate.estimate)} "
        f"of {rate.n:,} pairs"
    )


def distribution_line(one: Distribution) -> str:
    """A number per pair."""
    mean = f"mean {_number(one.mean.value)} [{_number(one.mean.low)}, {_number(one.mean.high)}]"
    more = [
        f"{name} {_number(value)}"
        for name, value in (("median", one.median), ("p99", one.p99), ("largest", one.max))
        if value is not None
    ]
    beyond = (
        f", beyond the margin of {one.margin:g}"
        if one.margin is not None and one.mean.low is not None and one.mean.low > one.margin
        else ""
    )
    return f"{signal_name(one.metric)}: {', '.join([mean, *more])}{beyond}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _moved(moved: InputsMoved | None) -> Iterable[str]:
    if moved is None:
        return
    yield (
        f"inputs: a classifier tells after from before with AUC {_number(moved.auc.value)} "
        f"[{_number(moved.auc.low)}, {_number(moved.auc.high)}] (0.5: not at all); "
        f"{moved.effective_rows:,.0f} old rows still count ({moved.effective_share:.0%})"
    )
    if moved.total is not None and moved.model_part is not None:
        yield (
            f"the output mix moved by {share(moved.total, signed=True)}: inputs "
            f"{share(moved.input_part, signed=True)}, model "
            f"{share(moved.model_part.value, signed=True)} "
            f"{between(moved.model_part, signed=True)}"
        )


def _scores(scores: Sequence[DriftScore]) -> Iterable[str]:
    for score in scores:
        yield score_line(score)


def score_line(score: DriftScore) -> str:
    """A distance people know, beside what it is when nothing changed."""
    band = (
        ""
        if score.null_low is None or score.null_high is None
        else f" (when nothing changed: {score.null_low:.2g} to {score.null_high:.2g})"
    )
    return f"{score.name} {score.value:.3g}{band}{'; ' + score.said if score.said else ''}"


def _margin(evidence: PredictionEvidence) -> Iterable[str]:
    if evidence.margin is not None:
        source = f", {evidence.margin_source}" if evidence.margin_source else ""
        yield f"margin {share(evidence.margin)}{source}"
    if evidence.distinct_by:
        yield f"a pair is a distinct {evidence.distinct_by}"
    if evidence.anytime_valid and evidence.gates:
        yield "intervals of the gates hold at every look, however often one looks"


def _quarantined(evidence: PredictionEvidence) -> Iterable[str]:
    if evidence.quarantined:
        said = ", ".join(f"{n:,} {kind}" for kind, n in evidence.quarantined.items())
        yield f"left out and counted: {said}"
