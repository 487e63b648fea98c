"""Audits of every kind for the tests of renderers: fixed numbers, no statistics."""

from dataclasses import replace

from nibai.claims import parse
from nibai.model import (
    Audit,
    Change,
    CostEvidence,
    CurvePoint,
    DecompositionRow,
    Density,
    Estimate,
    Evidence,
    Exhibits,
    FalsePositiveRate,
    Finding,
    Reason,
    ReasonCode,
    SegmentRow,
    SentenceResult,
    SideSummary,
    TimelinePoint,
    UnitRow,
    Verdict,
)
from nibai.prediction_evidence import (
    Bounds,
    Distribution,
    DriftScore,
    Gate,
    GateState,
    InputsMoved,
    MarginRow,
    PairedSignal,
    PairsNeeded,
    PredictionEvidence,
    Rate,
    SegmentFlips,
)
from nibai.predictions import EvidenceLevel, WorstPair

START = 1_764_028_800.0
DAY = 86_400.0
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def estimate(value, low, high):
    return Estimate(value, low, high, 0.95)


def finding(part, verdict, reason, *, measured, values):
    evidence = Evidence(
        requests=(43_200, 43_512),
        blocks=24,
        unit="hour",
        replicas=(2, 2),
        scope="live window",
        tail_episodes=11.2,
        n_effective=(9_100.0, 9_300.0),
        raw_ratio=1.42,
        mix_effect=0.86,
        load_overlap=0.93,
        terms={"like_for_like": 0.5, "load": 0.07, "mix": -0.2, "support": 0.0},
        censored_share=(0.0011, 0.0008),
        threshold=2.0,
        baseline_value=values[0],
        candidate_value=values[1],
    )
    if part.quantile == 0.5:
        evidence = replace(
            evidence,
            false_positive_rate=FalsePositiveRate(
                0.049, 0.012, 0.108, 42, flagged=2, undecidable=5, other_margin=(0.02, 0, 42)
            ),
            critical=2.41,
            effective_windows=40.0,
            smallest_effect=0.062,
        )
    return Finding(part, verdict, reason, measured, evidence, "speedup")


def findings(sentence):
    told = [
        (Verdict.CONFIRMED, ReasonCode.MEETS_CLAIM, (2.21, 2.12, 2.31), (0.137, 0.062)),
        (Verdict.INCONCLUSIVE, ReasonCode.INTERVAL_STRADDLES, (1.98, 1.84, 2.14), (0.61, 0.308)),
        (Verdict.REFUTED, ReasonCode.FALLS_SHORT, (0.81, 0.62, 1.13), (1.89, 2.33)),
    ]
    found = []
    for part, (verdict, code, numbers, values) in zip(sentence.parts, told, strict=True):
        text = f"p{part.quantile * 100:g} is {numbers[0]}x [{numbers[1]}, {numbers[2]}]"
        reason = Reason(code, text)
        found.append(finding(part, verdict, reason, measured=estimate(*numbers), values=values))
    return tuple(found)


def exhibits(*, segments=("size=small", "size=large"), infinite=False):
    quantiles = (0.05, 0.25, 0.5, 0.75, 0.9, 0.99)
    ratios = (2.3, 2.25, 2.21, 2.1, 1.98, 0.81)
    curve = [
        CurvePoint(p, estimate(r, r * 0.93, None if infinite and p > 0.9 else r * 1.08))
        for p, r in zip(quantiles, ratios, strict=True)
    ]
    edges = tuple(0.02 * 2.0 ** (i / 4) for i in range(33))
    shares = [max(0.0, 1 - abs(i - 12) / 12) / 12 for i in range(32)]
    densities = (
        Density("baseline", edges, tuple(shares), 0.0011, 0.0),
        Density("candidate", edges, (*shares[4:], 0.0, 0.0, 0.0, 0.0), 0.0008, 0.0),
    )
    rows = [
        SegmentRow(name, p, estimate(2.0 - i * 0.4, 1.7 - i * 0.4, None), (900, 800))
        for i, name in enumerate(segments)
        for p in (0.5, 0.9)
    ]
    return Exhibits(
        "latency",
        "s",
        curve=tuple(curve),
        densities=densities,
        segments=tuple(rows),
        timeline=tuple(timeline()),
        decomposition=(
            DecompositionRow(0.5, 0.5, 1.144, 0.0, -0.644, 0.0, simpson=False),
            DecompositionRow(0.99, -0.1, -0.304, 0.0, 0.204, 0.0, simpson=True),
        )
        if segments
        else (),
        unit="host",
        units=tuple(
            UnitRow(side, f"host-{i}", p, value * ratio, ratio, 21_600)
            for side, value in (("baseline", 0.14), ("candidate", 0.07))
            for p, ratios in ((0.5, (1.02, 0.98)), (0.99, (1.15, 0.87)))
            for i, ratio in enumerate(ratios, 1)
        ),
    )


def timeline():
    for day, side in enumerate(("baseline", "candidate")):
        for hour in range(24):
            for p, value in ((0.5, 0.14 / (1 + day)), (0.99, 1.9 + 0.3 * day)):
                start = START + day * DAY + hour * 3600.0
                yield TimelinePoint(side, "host-1", start, p, value, 1800)


def mixed(**options):
    """One sentence of three parts: confirmed, inconclusive and refuted; refuted as a whole."""
    sentence = parse("2x faster")
    result = SentenceResult(
        sentence,
        Verdict.REFUTED,
        Reason(ReasonCode.FALLS_SHORT, "p99 is 1.23x slower [0.62, 1.13], not 2x faster"),
        findings(sentence),
    )
    return Audit(
        id="a1b2c3",
        created_at=START + 2 * DAY,
        change=Change("c1", "onprem/tokyo/ocr", effective_at=START + DAY, sentences=(sentence,)),
        verdict=result.verdict,
        reason=result.reason,
        sentences=(result,),
        baseline=SideSummary("fp32", 43_200, 2, START, START + DAY),
        candidate=SideSummary("int8", 43_512, 2, START + DAY, START + 2 * DAY),
        exhibits=(exhibits(**options),),
        notes=("latency from column 'latency_ms' in ms",),
        nibai_version="0.1.0",
    )


def answered(label="network"):
    """Twice as fast, but a tenth of the answers changed: a confirmed and a refuted part."""
    sentence = parse("2x faster at p50, same predictions within 2%")
    speed, same = sentence.parts
    change = parse("accuracy down at most 1pp")
    reason = Reason(
        ReasonCode.FALLS_SHORT, "10.3 % of answers changed [7.3 %, 13.8 %], more than 2 %"
    )
    evidence = Evidence(
        requests=(3_012, 3_012),
        blocks=None,
        unit="pair",
        replicas=(1, 1),
        scope="replay",
        predictions=predictions(label),
    )
    moved = Finding(
        same, Verdict.REFUTED, reason, estimate(0.103, 0.073, 0.138), evidence, "predictions"
    )
    right = Finding(
        change.parts[0],
        Verdict.INCONCLUSIVE,
        Reason(ReasonCode.INTERVAL_STRADDLES, "accuracy went from 66.5 % to 65.6 %"),
        estimate(-0.0089, -0.016, 0.0017),
        evidence,
        "predictions",
    )
    fast = finding(
        speed,
        Verdict.CONFIRMED,
        Reason(ReasonCode.MEETS_CLAIM, "p50 is 2.21x faster [2.12, 2.31]"),
        measured=estimate(2.21, 2.12, 2.31),
        values=(0.137, 0.062),
    )
    results = (
        SentenceResult(sentence, Verdict.REFUTED, reason, (fast, moved)),
        SentenceResult(change, Verdict.INCONCLUSIVE, right.reason, (right,)),
    )
    return replace(mixed(), sentences=results, reason=reason)


def predictions(label="network"):
    """Evidence with something in every field."""
    return PredictionEvidence(
        level=EvidenceLevel.REPLAY,
        source="replay:r1",
        pairs=3_012,
        all_pairs=3_300,
        pairs_wanted=3_000,
        distinct_by="input hash",
        match_rate=0.97,
        batch_profile="batch 8",
        gates=(
            Gate(
                "excess flips",
                GateState.FAILED,
                Bounds(0.103, 0.073, 0.138),
                0.02,
                3_012,
                "10.3 % of answers changed [7.3 %, 13.8 %], more than 2 %",
            ),
            Gate(
                "self-flip",
                GateState.OPEN,
                Bounds(0.031, 0.012, 0.052),
                0.02,
                3_012,
                "the new variant disagrees with itself on 3.1 %: about 4,000 more pairs",
            ),
            Gate(
                "accuracy",
                GateState.PASSED,
                Bounds(-0.0012, -0.0065, 0.004),
                0.01,
                1_000,
                "accuracy fell by 0.12 pp [-0.65, +0.4]",
            ),
            Gate(
                "invalid outputs",
                GateState.NOT_MEASURED,
                Bounds(None, None, None),
                0.001,
                0,
                "no invalid outputs were recorded",
            ),
        ),
        flips=Bounds(0.104, 0.094, 0.115),
        traffic_flips=0.098,
        floor_old=Rate("old", 3_012, 0, Bounds(0.0, 0.0, 0.0025)),
        floor_new=Rate("new", 3_012, 94, Bounds(0.0312, 0.024, 0.04)),
        margin=0.02,
        margin_source="default for precision int8",
        excess_fixed=Bounds(0.104, 0.093, 0.115),
        segments=(
            SegmentFlips(
                "tokens=long", 1_000, 160, Bounds(0.16, 0.13, 0.19), 0.001, stands_out=True
            ),
            SegmentFlips("tokens=short", 2_012, 153, Bounds(0.076, 0.062, 0.092), 0.4),
        ),
        simpson=False,
        margins=(
            MarginRow(0.0, 0.2, 753, 271),
            MarginRow(0.2, 0.45, 753, 41),
            MarginRow(0.45, 0.8, 753, 1),
            MarginRow(0.8, 1.0, 753, 0),
        ),
        signals=(
            PairedSignal("correct", 1_000, 665, 656, 31, 22, Bounds(-0.009, -0.02, 0.004), 0.27),
            PairedSignal("invalid:nan", 3_012, 0, 3, 0, 3, Bounds(0.001, 0.0, 0.003), 0.25),
        ),
        events=(Rate("threshold_crossing", 3_012, 40, Bounds(0.0133, 0.009, 0.019)),),
        distributions=(
            Distribution("kl", 3_012, Bounds(0.0465, 0.044, 0.049), 0.01, 0.249, 0.5, 0.01),
        ),
        confusion=((label, "files", 61), ("files", label, 44)),
        worst=(WorstPair(0.5, "req-1", "9f2c", label, "files", "tokens=long"),),
        pairs_needed=(
            PairsNeeded(0.0, 357, confirms=True),
            PairsNeeded(2.0, 1_111, confirms=False),
        ),
        inputs_moved=InputsMoved(
            Bounds(0.673, 0.64, 0.70), 1_060.0, 0.48, 0.012, 0.01, Bounds(0.002, -0.004, 0.008)
        ),
        scores=(DriftScore("psi", 0.021, 0.0, 0.03, "Evidently's preset: no drift"),),
        quarantined={"unparsable": 2},
        artifact="evidently.html",
    )


def hostile():
    """Every text that comes from outside tries to become markup."""
    audit = mixed(segments=(f"tenant={HOSTILE}", "tenant=*b* | @all #1"))
    sides = {
        side: replace(getattr(audit, side), label=HOSTILE) for side in ("baseline", "candidate")
    }
    return replace(
        audit,
        **sides,
        notes=(HOSTILE,),
        reason=replace(audit.reason, text=HOSTILE),
        change=replace(audit.change, description=HOSTILE),
    )


def empty():
    """No data at all: nothing to draw, everything unknown."""
    sentence = parse("2x faster at p99")
    reason = Reason(ReasonCode.NO_DATA, "no data of the candidate since 2025-11-25")
    unknown = Evidence((0, 0), None, "block", (0, 0), "live window")
    finding_ = Finding(sentence.parts[0], Verdict.INCONCLUSIVE, reason, None, unknown, "speedup")
    result = SentenceResult(sentence, Verdict.INCONCLUSIVE, reason, (finding_,))
    return replace(
        mixed(),
        verdict=Verdict.INCONCLUSIVE,
        reason=reason,
        sentences=(result,),
        baseline=SideSummary("before", 0, 0),
        candidate=SideSummary("after", 0, 0),
        exhibits=(Exhibits("latency", "s"),),
    )


def cost():
    """A sentence about speed and cost, and one whose price nobody knows."""
    sentences = [parse("cost at most 0.6x"), parse("2x cheaper")]
    evidence = Evidence(
        requests=(43_200, 43_512), blocks=24, unit="hour", replicas=(2, 2), scope="live window",
        threshold=1 / 0.6, baseline_value=0.0045567, candidate_value=0.0021511,
        cost=CostEvidence(
            (4.5567, 2.1511), (8.2, 3.9), (1_799.5, 1_813.0), (2.0, 1.5), (12.5, 5.9),
            ("price as stated; 2 replicas seen", "AWS price list, 2026-11-25; 1.5 as collected"),
        ),
    )  # fmt: skip
    told = Reason(
        ReasonCode.MEETS_CLAIM,
        "1,000 successful requests cost $4.56 before and $2.15 after, 2.12x cheaper [2.05, 2.19], "
        "as promised",
    )
    unknown = Reason(ReasonCode.NO_PRICE, "no price of the candidate (after): give USD per hour")
    bare = replace(evidence, cost=None, baseline_value=None, candidate_value=None)
    found = [
        Finding(sentences[0].parts[0], Verdict.CONFIRMED, told, estimate(2.12, 2.05, 2.19),
                evidence, "cost"),
        Finding(sentences[1].parts[0], Verdict.INCONCLUSIVE, unknown, None, bare, "cost"),
    ]  # fmt: skip
    results = [
        SentenceResult(sentence, one.verdict, one.reason, (one,))
        for sentence, one in zip(sentences, found, strict=True)
    ]
    return replace(
        empty(),
        verdict=Verdict.PARTLY,
        reason=Reason(ReasonCode.OTHER_SENTENCES, "one of two claims is confirmed"),
        sentences=tuple(results),
    )
