"""How alerts say what was measured: one line a part, base units in people's units."""

from __future__ import annotations

from datetime import UTC, datetime

from nibai.claims import print_claim, quantile_label
from nibai.model import Claim, Estimate, Evidence, Finding, Promise, Verdict

DIFFERENCES = (Promise.ERRORS, Promise.ACCURACY, Promise.SAME_JSON_VALIDITY)
SHARES = (Promise.SAME_PREDICTIONS, Promise.SAME_OUTPUT_MIX)
SIGNS = {
    Verdict.CONFIRMED: "✔",
    Verdict.REFUTED: "✘",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_COMPARABLE: "≠",
    Verdict.PARTLY: "◐",
}
"""As in a report."""

TEN = 10.0
"""Ratios below it are said with two decimals."""


def figure(finding: Finding) -> str:
    """A part's verdict as a sign, its estimate and its interval.

    Such as "✘ p99: 1.12x [1.05, 1.19] of the 2x promised".
    """
    claim = finding.claim
    label = quantile_label(claim.quantile) if claim.quantile is not None else _whole(claim)
    name = f"{claim.metric} {label}" if claim.metric_named and claim.quantile else label
    segment = "" if claim.segment is None else f" ({claim.segment[0]}={claim.segment[1]})"
    measured = estimated(claim.promise, finding.estimate)
    return f"{SIGNS[finding.verdict]} {name}{segment}: {measured}{_promised(claim)}"


def estimated(promise: Promise, estimate: Estimate | None) -> str:
    """A value and its interval, in the unit that the promise is about.

    >>> estimated(Promise.ERRORS, Estimate(0.001, -0.0005, 0.0025, 0.95))
    '+0.1 pp [-0.05, +0.25]'
    >>> estimated(Promise.SAME_PREDICTIONS, None)
    'not measured'
    """
    if estimate is None or estimate.value is None:
        return "not measured"
    low, high = estimate.low, estimate.high
    if promise in DIFFERENCES:
        return f"{_points(estimate.value)} pp [{_points(low, '-∞')}, {_points(high, '∞')}]"
    if promise in SHARES:
        return f"{_percent(estimate.value)} % [{_percent(low, '0')}, {_percent(high, '100')}]"
    return f"{_ratio(estimate.value)}x [{_ratio(low, '0')}, {_ratio(high, '∞')}]"


def rests_on(evidence: Evidence) -> str:
    """Requests, blocks and replicas behind a finding."""
    before, after = (f"{number:,}" for number in evidence.requests)
    # “block of 30 minutes”: the first word is the one that is counted.
    unit, _, rest = evidence.unit.partition(" ")
    several = " ".join(filter(None, (f"{unit}s", rest)))
    blocks = "" if evidence.blocks is None else f", {evidence.blocks} {several}"
    return f"{before} requests before, {after} after{blocks}"


def false_alarms(evidence: Evidence) -> str:
    """How often the judge was wrong where nothing changed."""
    rate = evidence.false_positive_rate
    if rate is None:
        return "not measured on this endpoint's past; at most 1 − level by design"
    span = f"[{_percent(rate.low)}, {_percent(rate.high)}]"
    return f"{_percent(rate.value)} % {span} in {rate.placebos} windows where nothing changed"


def one_line(text: str) -> str:
    """A text from outside without line breaks and invisible signs: it cannot feign another line.

    >>> one_line("chat" + chr(13) + chr(10) + "ERROR forged " + chr(0x202E) + "reversed")
    'chat ERROR forged reversed'
    """
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def moment(seconds: float) -> str:
    """A time for people.

    >>> moment(1_764_028_800)
    '2025-11-25 00:00 UTC'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """A length of time, roughly.

    >>> duration(5400), duration(200_000)
    ('1.5 h', '2.3 d')
    """
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.0f} s"


def _whole(claim: Claim) -> str:
    # The segment and the margin are said beside it.
    return print_claim(claim).partition(" for ")[0]


def _promised(claim: Claim) -> str:
    if claim.promise in (Promise.FASTER, Promise.THROUGHPUT, Promise.CHEAPER):
        return f" of the {claim.amount:g}x promised"
    return ""


def _ratio(value: float | None, unbounded: str = "") -> str:
    if value is None:
        return unbounded
    return f"{value:.2f}" if value < TEN else f"{value:.3g}"


def _points(value: float | None, unbounded: str = "") -> str:
    return unbounded if value is None else f"{value * 100:+.3g}"


def _percent(value: float | None, unbounded: str = "") -> str:
    return unbounded if value is None else f"{value * 100:.3g}"
