"""Standings of changes for the tests of alerts: fixed numbers, no statistics."""

from dataclasses import replace

from nibai.claims import parse
from nibai.model import (
    Change,
    ChangeKind,
    CollectorStanding,
    Detection,
    Estimate,
    Evidence,
    FalsePositiveRate,
    Finding,
    Moved,
    Promise,
    Reason,
    ReasonCode,
    Round,
    Standing,
    Verdict,
)

START = 1_764_028_800.0
HOUR = 3600.0
DAY = 86_400.0
CODES = {
    Verdict.CONFIRMED: ReasonCode.MEETS_CLAIM,
    Verdict.REFUTED: ReasonCode.FALLS_SHORT,
    Verdict.INCONCLUSIVE: ReasonCode.INTERVAL_STRADDLES,
    Verdict.NOT_COMPARABLE: ReasonCode.LOAD_OVERLAP,
}


def change(number=1, *, endpoint=None, kinds=(ChangeKind.PRECISION,), at=START, **more):
    where = endpoint or f"sagemaker/123456789012.eu-west-1/chat-{number}"
    return Change(f"c{number}", where, tuple(kinds), effective_at=at, **more)


def finding(claim, verdict, value=None):
    """A finding whose interval is 10 % around its value."""
    if value is None:
        value = {Verdict.REFUTED: 1.12}.get(verdict, 2.31)
        value = value if claim.promise is Promise.FASTER else 0.03
    evidence = Evidence(
        requests=(864_000, 871_200), blocks=24, unit="hour", replicas=(4, 4), scope="live window",
        false_positive_rate=FalsePositiveRate(0.048, 0.006, 0.16, 42), log_e_value=3.4,
    )  # fmt: skip
    estimate = Estimate(value, value * 0.9, value * 1.1, 0.95)
    return Finding(claim, verdict, Reason(CODES[verdict], ""), estimate, evidence, "speedup")


def standing(changed, sentence="2x faster at p50", verdict=Verdict.INCONCLUSIVE, **more):
    """How a sentence stands; the parts share the verdict unless `parts` says otherwise."""
    parsed = parse(sentence)
    verdicts = more.pop("parts", [verdict] * len(parsed.parts))
    values = more.pop("values", [None] * len(parsed.parts))
    triples = zip(parsed.parts, verdicts, values, strict=True)
    found = tuple(finding(*one) for one in triples)
    text = more.pop("reason", f"the claim is {verdict.value}")
    settled = verdict in (Verdict.CONFIRMED, Verdict.REFUTED)
    if settled:
        more = {"decided_at": START + HOUR, "audit": f"a-{changed.id}"} | more
    usual = {"level": 0.95, "watched_since": START} | more
    return Standing(changed, parsed, verdict, Reason(CODES[verdict], text), found, **usual)


def seen(at, *standings, collectors=(), unseen=(), detections=(), looked=True):
    return Round(
        at, standings, tuple(collectors), frozenset(unseen), tuple(detections), looked=looked
    )


def detection(moved=Moved.WORSE, *, name="d1", endpoint=None, raised_at=START, **more):
    """What the detector of latencies noticed."""
    given = {
        "movements": ("blue, latency: p99 210 ms -> 430 ms, 2.05x slower [1.9, 2.2]",),
        "tolerated": "one of all series together in 30 days is tolerated",
        "declare": "nibai changes declare --endpoint a/b/c --at 2025-11-24T22:30:00Z",
    } | more
    where = endpoint or "sagemaker/123456789012.eu-west-1/chat-1"
    return Detection(name, where, moved, raised_at - 1.5 * HOUR, raised_at, **given)


def collector(name="cloudwatch", *, quiet_since=None, problem=None, **more):
    return CollectorStanding(name, 60.0, quiet_since, problem, **more)


def superseded(one, by="c9", *, rolled_back=False):
    return replace(one, superseded_by=by, rolled_back=rolled_back)
