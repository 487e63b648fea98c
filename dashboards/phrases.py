"""How every rendering of an audit says the same things."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

from dashboards import answers
from nibai.claims import print_claim, quantile_label
from nibai.conventions import NOT_MEASURED
from nibai.model import (
    Audit,
    Claim,
    CostEvidence,
    Estimate,
    Evidence,
    Finding,
    Promise,
    SentenceResult,
    SideSummary,
    Verdict,
)
from nibai.stats.printed_rate import rate_text
from nibai.units import usd

WORDS = {
    Verdict.CONFIRMED: "confirmed",
    Verdict.REFUTED: "refuted",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.NOT_COMPARABLE: "not comparable",
    Verdict.PARTLY: "partly confirmed",
}

MARKS = {
    Verdict.CONFIRMED: "✔",
    Verdict.REFUTED: "✘",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_COMPARABLE: "≠",
    Verdict.PARTLY: "◐",
}
"""A sign beside the colour, never the colour alone."""

UNITS = ("run", "host", "day")
"""What an observation is called where it is no block of time."""

MAX_QUESTIONS = 2

SHARES = {
    Promise.ERRORS: "",
    Promise.SAME_PREDICTIONS: " of answers",
    Promise.SAME_OUTPUT_MIX: " moved",
    Promise.ACCURACY: "",
    Promise.SAME_JSON_VALIDITY: "",
}
"""Promises about shares, and what follows a measured one; differences carry their sign."""

UNSIGNED = (Promise.SAME_PREDICTIONS, Promise.SAME_OUTPUT_MIX)

SPEED = (Promise.FASTER, Promise.NO_SLOWER)

COST = (Promise.CHEAPER, Promise.COST_AT_MOST)


def part_label(claim: Claim) -> str:
    """The part of a sentence in its row: the quantile, or the whole promise; not its traffic.

    >>> part_label(Claim(Promise.SAME_PREDICTIONS, 0.0, margin=0.02, segment=("batch", "8")))
    'same predictions within 2%'
    """
    if claim.quantile is None:
        return print_claim(replace(claim, segment=None))
    label = quantile_label(claim.quantile)
    return f"{label} {claim.metric}" if claim.metric_named else label


def segment_label(claim: Claim) -> str:
    """The segment of a part, or all traffic."""
    return "all traffic" if claim.segment is None else "=".join(claim.segment)


def times(ratio: float) -> str:
    """A ratio with two decimals below 10, three digits above.

    >>> times(1.9049), times(14.61)
    ('1.90', '14.6')
    """
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.3g}"  # noqa: PLR2004 - two decimals


def measured(finding: Finding) -> str:
    """The estimate of a finding in a word or two; "slower" instead of a ratio below 1."""
    return estimated(finding.estimate, finding.claim.promise)


def estimated(estimate: Estimate | None, promise: Promise) -> str:
    """An estimate of what was promised in a word or two."""
    if estimate is None or estimate.value is None:
        return "–"
    if promise in UNSIGNED:
        return f"{estimate.value * 100:.3g} %{SHARES[promise]}"
    if promise in SHARES:
        return f"{estimate.value * 100:+.3g} pp"
    if promise is Promise.THROUGHPUT:
        return f"{times(estimate.value)}x"
    better, worse = _words(promise)
    if estimate.value >= 1:
        return f"{times(estimate.value)}x {better}"
    return f"{times(1 / estimate.value)}x {worse}"


def _words(promise: Promise) -> tuple[str, str]:
    return ("cheaper", "dearer") if promise in COST else ("faster", "slower")


def interval(finding: Finding) -> str:
    """The interval in the words of `measured`; ∞: there is no bound."""
    return bounds(finding.estimate, finding.claim.promise)


def bounds(estimate: Estimate | None, promise: Promise) -> str:
    """The interval of an estimate of what was promised, in the words of `estimated`.

    >>> bounds(Estimate(1.9, 1.7, 2.1, 0.95), Promise.FASTER)
    '[1.70, 2.10]x'
    >>> bounds(Estimate(0.44, 0.39, 0.53, 0.95), Promise.FASTER)
    '[1.89, 2.56]x'
    >>> bounds(Estimate(1.02, 0.93, None, 0.95), Promise.FASTER)
    '[1.08x slower to no bound]'
    >>> bounds(Estimate(0.103, 0.073, 0.138, 0.95), Promise.SAME_PREDICTIONS)
    '[7.3, 13.8] %'
    """
    if estimate is None or (estimate.low is None and estimate.high is None):
        return "no bound" if estimate is not None and estimate.value is not None else "–"
    if promise in SHARES:
        sign, unit = ("", "%") if promise in UNSIGNED else ("+", "pp")
        low, high = (
            "∞" if bound is None else f"{bound * 100:{sign}.3g}"
            for bound in (estimate.low, estimate.high)
        )
        return f"[{low}, {high}] {unit}"
    if promise is not Promise.THROUGHPUT and estimate.value is not None:
        found = estimate.value, estimate.low or 0.0, estimate.high or math.inf
        return _bounds_in_words(*found, promise)
    return _between(estimate.low or 0.0, estimate.high or math.inf)


def _bounds_in_words(value: float, low: float, high: float, promise: Promise) -> str:
    """The bounds in the words of `estimated`: times faster, times slower, or from one to other."""
    better, worse = _words(promise)
    if value >= 1 and low >= 1:
        return _between(low, high)
    if value < 1 and high <= 1:
        return _between(1 / high, 1 / low if low else math.inf)
    slower = f"{times(1 / low)}x {worse}" if low else "no bound"
    faster = f"{times(high)}x {better}" if math.isfinite(high) else "no bound"
    return f"[{slower} to {faster}]"


def _between(low: float, high: float) -> str:
    return f"[{times(low) if low else '0'}, {times(high) if math.isfinite(high) else '∞'}]x"


def rests_on(finding: Finding) -> str:
    """What a finding rests on, in one line."""
    evidence = finding.evidence
    if evidence.predictions is not None:
        return answers.basis(evidence.predictions)
    parts = [f"{evidence.requests[0]:,} and {evidence.requests[1]:,} requests"]
    if evidence.blocks is not None:
        by_runs = evidence.unit in UNITS
        parts.append(
            f"{evidence.blocks} parts of each {evidence.unit}"
            if by_runs
            else f"{evidence.blocks} × {evidence.unit}"
        )
    parts.append(f"{evidence.replicas[0]} and {evidence.replicas[1]} {_replicas(evidence)}")
    if evidence.n_effective is not None:
        b, c = evidence.n_effective
        parts.append(f"worth {b:,.0f} and {c:,.0f} independent ones")
    if evidence.tail_episodes is not None:
        parts.append(f"tail of {evidence.tail_episodes:.0f} episodes")
    if evidence.load_overlap is not None:
        parts.append(f"loads overlap by {evidence.load_overlap:.0%}")
    if evidence.cost is not None:
        parts += _cost(evidence.cost)
    parts.append(evidence.scope)
    return " · ".join(parts)


def _cost(cost: CostEvidence) -> list[str]:
    """Spending, instances and where both are from, a phrase each."""
    parts = [f"{usd(cost.usd_per_hour[0])} and {usd(cost.usd_per_hour[1])} an hour"]
    if cost.instances is not None:
        parts.append(f"{cost.instances[0]:.3g} and {cost.instances[1]:.3g} instances on average")
    if cost.usd_per_million_output_tokens is not None:
        b, c = cost.usd_per_million_output_tokens
        parts.append(f"{usd(b)} and {usd(c)} per million output tokens")
    parts.append(" / ".join(dict.fromkeys(cost.sources)))
    return parts


def false_alarms(result: SentenceResult) -> list[str]:
    """How often this judge was wrong here before: one line for all parts that share it."""
    lines: dict[str, list[str]] = {}
    for finding in result.findings:
        label = part_label(finding.claim)
        if finding.claim.segment is not None:
            label += f" {segment_label(finding.claim)}"
        lines.setdefault(_error_rate(finding.evidence), []).append(label)
    if len(lines) == 1:
        return [f"How often this judge was wrong here: {line}" for line in lines]
    return [
        f"How often this judge was wrong here, {', '.join(labels)}: {line}"
        for line, labels in lines.items()
    ]


def _error_rate(evidence: Evidence) -> str:
    """The measured A/A rate with what it rests on, or that there is none."""
    rate = evidence.false_positive_rate
    parts = [NOT_MEASURED if rate is None else f"A/A on this endpoint: {rate_text(rate)}"]
    if evidence.critical is not None and evidence.effective_windows is not None:
        parts.append(_resolution(evidence.smallest_effect))
        windows = f"{evidence.effective_windows:.0f} windows of history"
        parts.append(f"critical value {evidence.critical:.2f} from {windows}")
    return " · ".join(parts)


def _resolution(smallest_effect: float | None) -> str:
    if smallest_effect is None:
        return "even a change by a factor of 64 would not be found"
    size = (
        f"{100 * smallest_effect:.2g} %" if smallest_effect < 1 else f"{1 + smallest_effect:.2g}x"
    )
    return f"finds changes of {size} and more"


def side_line(summary: SideSummary) -> str:
    """Who a side is, in one line."""
    if not summary.replicas and summary.requests:
        return f"{summary.label}: {summary.requests:,} answers"  # of pairs, nothing was timed
    plural = "" if summary.replicas == 1 else "s"
    # Files of answers say nothing of replicas.
    replicas = f", {summary.replicas} replica{plural}" if summary.replicas else ""
    line = f"{summary.label}: {summary.requests:,} requests{replicas}"
    if summary.from_seconds is None or summary.until_seconds is None:
        return line
    return f"{line}, {period(summary.from_seconds, summary.until_seconds)}"


def period(start: float, end: float) -> str:
    """A stretch of time as people read it, in UTC; what both ends share is said once.

    >>> period(1764000000, 1764003600)
    '2025-11-24 16:00:00 to 17:00:00 UTC'
    """
    first, last = moment(start), moment(end)
    if first[:10] == last[:10]:
        last = last[11:]
    return f"{first.removesuffix(' UTC')} to {last}"


def moment(seconds: float) -> str:
    """A time as people read it, in UTC.

    >>> moment(1764000000)
    '2025-11-24 16:00:00 UTC'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def question(audit: Audit) -> str:
    """The claims that were judged, the first ones in full."""
    texts = [f"“{result.sentence.text}”" for result in audit.sentences]
    if len(texts) <= MAX_QUESTIONS:
        return "; ".join(texts)
    return f"{texts[0]} and {len(texts) - 1} more claims"


def _replicas(evidence: Evidence) -> str:
    word = evidence.unit if evidence.unit in UNITS else "replica"
    return word if evidence.replicas == (1, 1) else f"{word}s"
