"""One audit: a change and its windows go in, all findings and the verdict come out.

Pure orchestration: no clock, no randomness, no store; identity and time are passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nibai.claims import print_claim, print_sentence
from nibai.conventions import DEFAULT_LEVEL, NOT_MEASURED, REQUEST_METRICS
from nibai.exhibits import describe
from nibai.model import (
    Audit,
    Change,
    Claim,
    Comparison,
    Evidence,
    Exhibits,
    Finding,
    Reason,
    ReasonCode,
    Sentence,
    SentenceResult,
    Side,
    SideSummary,
    Verdict,
)
from nibai.predictions import PredictionSample, total
from nibai.protocols import Analyzer, PredictionWindows, Windows
from nibai.stats.sides import pooled_segments, requests
from nibai.stats.verdict import Part, audit_verdict, conjunction

EARLIEST_CLOCK = 1e8
"""Times before 1973 count from the start of a run: they are no dates."""


def run_audit(
    change: Change,
    windows: Windows,
    analyzers: Mapping[str, Analyzer],
    *,
    audit_id: str,
    created_at: float,
    version: str,
    level: float = 0.95,
    notes: Sequence[str] = (),
) -> Audit:
    """Judge every part of every sentence of a change.

    Each part goes to the one analyzer that answers it; parts that nobody answers become
    `not_comparable`, saying so.
    """
    results = judge(change, windows, analyzers, level)
    # What was judged may be more sentences than were given: see `judge`.
    change = replace(change, sentences=tuple(result.sentence for result in results))
    verdict = audit_verdict([result.verdict for result in results])
    reason = _attributed(change, _reason(verdict, results))
    comparisons = _comparisons(change, windows)
    sides = comparisons or _about_requests(results, windows)
    answers = windows.predictions() if isinstance(windows, PredictionWindows) else ()
    return Audit(
        id=audit_id,
        created_at=created_at,
        change=change,
        verdict=verdict,
        reason=reason,
        sentences=results,
        baseline=_summary([comparison.baseline for comparison in sides], answers, 0),
        candidate=_summary([comparison.candidate for comparison in sides], answers, 1),
        exhibits=_exhibits(comparisons, level),
        notes=_notes(comparisons, [*notes, *_chart_notes(results)]),
        nibai_version=version,
        level=level,
    )


def judge(
    change: Change,
    windows: Windows,
    analyzers: Mapping[str, Analyzer],
    level: float = DEFAULT_LEVEL,
) -> tuple[SentenceResult, ...]:
    """Only the verdicts of a change's sentences, without what the report shows beside them.

    `level` is that of the analyzers: several parts share its one-sided alpha when one refutes.

    Answers that were computed in other batches than those whose latency is judged are about another
    model: their parts leave the sentence for one of their own, and profiles nobody asked for get
    one too.
    """
    answers: dict[Claim, Finding] = {}
    for name in sorted(analyzers):
        for finding in analyzers[name].analyze(change, windows):
            answers.setdefault(finding.claim, _owning_up(finding))
    asked = [one for sentence in change.sentences for one in _by_profile(sentence, answers)]
    known = {part for sentence in asked for part in sentence.parts}
    further = [
        Sentence(print_claim(claim), (claim,))
        for claim, finding in answers.items()
        if claim not in known and _elsewhere(finding)
    ]
    alpha = (1 - level) / 2
    return tuple(
        _sentence(sentence, answers, alpha / sentence.family) for sentence in (*asked, *further)
    )


def _by_profile(sentence: Sentence, answers: Mapping[Claim, Finding]) -> list[Sentence]:
    """The sentence, or two: of the latency's own profile, and of others."""
    apart = [part for part in sentence.parts if _elsewhere(answers.get(part))]
    here = [part for part in sentence.parts if part not in apart]
    if not apart or not here:
        return [sentence]
    return [
        Sentence(print_sentence(parts), tuple(parts), sentence.family) for parts in (here, apart)
    ]


def _elsewhere(finding: Finding | None) -> bool:
    found = None if finding is None else finding.evidence.predictions
    return found is not None and not found.latency_profile


def _sentence(sentence: Sentence, answers: Mapping[Claim, Finding], alpha: float) -> SentenceResult:
    findings = tuple(answers.get(part) or _owning_up(unanswered(part)) for part in sentence.parts)
    parts = [Part(finding.verdict, finding.evidence.p_refute) for finding in findings]
    decision = conjunction(parts, alpha=alpha)
    reason = _sentence_reason(decision.verdict, decision.part, findings)
    return SentenceResult(sentence, decision.verdict, reason, findings)


def _sentence_reason(verdict: Verdict, part: int | None, findings: Sequence[Finding]) -> Reason:
    text = "; ".join(finding.reason.text for finding in findings)
    if part is None:
        return Reason(findings[0].reason.code if findings else ReasonCode.NO_DATA, text)
    deciding = findings[part]
    if verdict is Verdict.INCONCLUSIVE and deciding.verdict is Verdict.REFUTED:
        # Refuted alone, but not at the level that several parts together ask for.
        return Reason(
            ReasonCode.INTERVAL_STRADDLES,
            f"{deciding.reason.text}, but not surely enough among {len(findings)} parts",
        )
    if verdict is Verdict.REFUTED and _joint(findings):
        return Reason(deciding.reason.code, text)
    return deciding.reason


def _joint(findings: Sequence[Finding]) -> bool:
    """Whether a sentence is about predictions and something else: neither fact is told alone."""
    return len({finding.evidence.predictions is None for finding in findings}) > 1


def _owning_up(finding: Finding) -> Finding:
    """The finding with its measured error rate, or with the words that there is none."""
    evidence = finding.evidence
    if evidence.false_positive_rate is not None or NOT_MEASURED in evidence.notes:
        return finding
    notes = (NOT_MEASURED, *evidence.notes)
    return replace(finding, evidence=replace(evidence, notes=notes))


def unanswered(claim: Claim) -> Finding:
    """The finding of a part that nothing answers, saying why."""
    text = f"“{print_claim(claim)}”: no installed analyzer answers this (see `nibai plugins`)"
    return Finding(
        claim,
        Verdict.NOT_COMPARABLE,
        Reason(ReasonCode.NOT_JUDGED_YET, text),
        None,
        Evidence((0, 0), None, "none", (0, 0), "nothing", margin=claim.margin),
    )


def _reason(verdict: Verdict, results: Sequence[SentenceResult]) -> Reason:
    """The reason of the sentence that decided, or the tally of several."""
    if len(results) == 1:
        return results[0].reason
    if verdict in (Verdict.PARTLY, Verdict.CONFIRMED):
        tally = [f"“{result.sentence.text}” {result.verdict.value}" for result in results]
        return Reason(ReasonCode.OTHER_SENTENCES, "; ".join(tally))
    deciding = next((result for result in results if result.verdict is verdict), None)
    if deciding is None:
        return Reason(ReasonCode.NO_DATA, "no claim was given")
    return deciding.reason


def _attributed(change: Change, reason: Reason) -> Reason:
    """The reason, owning up when several kinds of change landed together."""
    if not change.confounded:
        return reason
    kinds = ", ".join(kind.value for kind in change.confounded)
    text = f"{reason.text}; confounded: {kinds} changed together, so it is the effect of all"
    return replace(reason, text=text)


def _comparisons(change: Change, windows: Windows) -> list[Comparison]:
    names = dict.fromkeys(part.metric for sentence in change.sentences for part in sentence.parts)
    found = (windows.comparison(name) for name in names)
    return [comparison for comparison in found if comparison is not None]


def _about_requests(results: Sequence[SentenceResult], windows: Windows) -> list[Comparison]:
    """The requests that a claim about cost or errors rests on, which names no metric of its own."""
    if not any(any(finding.evidence.requests) for one in results for finding in one.findings):
        return []
    found = (windows.comparison(name) for name in REQUEST_METRICS)
    return [comparison for comparison in found if comparison is not None]


def _exhibits(comparisons: Iterable[Comparison], level: float) -> tuple[Exhibits, ...]:
    return tuple(describe(comparison, level=level) for comparison in comparisons)


def _notes(comparisons: Iterable[Comparison], notes: Sequence[str]) -> tuple[str, ...]:
    said = [note for comparison in comparisons for note in comparison.notes]
    return tuple(dict.fromkeys([*said, *notes]))


def _chart_notes(results: Iterable[SentenceResult]) -> list[str]:
    """Why a chart's interval is not that of the verdict."""
    findings = (finding for result in results for finding in result.findings)
    if all(finding.evidence.critical is None for finding in findings):
        return []
    wider = "those of the verdicts use the one that this endpoint's past asks for"
    return [f"intervals in the charts use Student's critical value; {wider}"]


def _answered(sample: PredictionSample, number: int) -> int:
    if sample.unpaired is not None:
        return (sample.unpaired.before, sample.unpaired.after)[number].n
    return total(sample.pairs.values()).all_pairs


def _summary(
    sides: Sequence[Side], answers: Sequence[PredictionSample], number: int
) -> SideSummary:
    """One side in a line: the metric with the most requests speaks for it, else its answers."""
    if not sides and answers:
        return SideSummary(
            answers[0].labels[number], sum(_answered(sample, number) for sample in answers), 0
        )
    if not sides:
        return SideSummary("no data", 0, 0)
    counts = [requests(pooled_segments(side)) for side in sides]
    side = sides[counts.index(max(counts))]
    windows = [
        replica.window
        for replica in side.replicas
        if replica.window is not None and replica.window.start >= EARLIEST_CLOCK
    ]
    return SideSummary(
        label=side.label,
        requests=max(counts),
        replicas=len(side.replicas),
        from_seconds=min((window.start for window in windows), default=None),
        until_seconds=max((window.end for window in windows), default=None),
        sources=tuple(replica.name for replica in side.replicas),
    )
