"""Changes and their newest audits as gauges: verdicts, ratios with bounds, what they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from nibai.claims import claim_name
from nibai.conventions import DEFAULT_LEVEL
from nibai.exposition.answers import answer_gauges
from nibai.exposition.families import Families
from nibai.exposition.load import load_gauges
from nibai.metric_registry import VERDICT_CODES, Bound
from nibai.model import (
    Audit,
    Change,
    Claim,
    Density,
    Estimate,
    Exhibits,
    Finding,
    Promise,
    Sentence,
    SentenceResult,
    Verdict,
)
from nibai.stats.verdict import audit_verdict, refuted_level

ECDF_POINTS = 40
MOST_SEGMENTS = 40
SPEED = (Promise.FASTER, Promise.NO_SLOWER, Promise.THROUGHPUT)
LIKE_FOR_LIKE, RAW = "like_for_like", "raw"


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change, its sentences with the verdicts that count, and the audit that describes it.

    `level` is that of the verdicts, before sentences of one family share it. `reached` are levels
    of refutations that are known better than from the sentences.
    """

    change: Change
    effective_at: float | None = None
    sentences: tuple[SentenceResult, ...] = ()
    audit: Audit | None = None
    level: float = DEFAULT_LEVEL
    reached: Mapping[Sentence, float] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """The labels that all its series have."""
        variant = self.change.candidate_variant or self.change.baseline_variant or ""
        return {"endpoint": self.change.endpoint, "variant": variant, "change": self.change.id}


def change_families(families: Families, views: Sequence[ChangeView]) -> None:
    """Add everything that is exported about changes."""
    for view in views:
        _about(families, view)
        for result in view.sentences:
            _verdict(families, view, result)
            for finding in result.findings:
                _finding(families, view, finding)
                answers = finding.evidence.predictions
                if answers is not None:
                    answer_gauges(families, view.labels, claim_name(result.sentence), answers)
        if view.audit is not None:
            _audit(families, view, view.audit)


def _about(families: Families, view: ChangeView) -> None:
    for kind in view.change.kinds:
        families.add("nibai_change_info", 1.0, kind=kind.value, **view.labels)
    if not view.change.kinds:
        families.add("nibai_change_info", 1.0, kind="", **view.labels)
    families.add("nibai_change_effective_timestamp_seconds", view.effective_at, **view.labels)
    if view.sentences:
        verdict = audit_verdict([result.verdict for result in view.sentences])
        families.add("nibai_change_verdict", VERDICT_CODES[verdict], **view.labels)


def _verdict(families: Families, view: ChangeView, result: SentenceResult) -> None:
    sentence = claim_name(result.sentence)
    code = VERDICT_CODES[result.verdict]
    families.add("nibai_claim_verdict", code, claim=sentence, **view.labels)
    reached = 0.0
    if result.verdict is Verdict.REFUTED:
        level = result.sentence.shared(view.level)
        found = refuted_level(result.sentence, result.findings, level)
        reached = view.reached.get(result.sentence, found)
    families.add("nibai_claim_refuted_level_ratio", reached, claim=sentence, **view.labels)
    for part in result.sentence.parts:
        families.add(
            "nibai_change_claim_ratio",
            promised(part),
            claim=sentence,
            quantile=quantile_text(part.quantile),
            **view.labels,
        )


def promised(claim: Claim) -> float | None:
    """The ratio baseline / candidate that a part promises; None where it promises none."""
    if claim.promise in (Promise.FASTER, Promise.CHEAPER, Promise.THROUGHPUT):
        return claim.amount
    if claim.promise is Promise.NO_SLOWER:
        return 1 / (1 + claim.amount)
    return 1 / claim.amount if claim.promise is Promise.COST_AT_MOST and claim.amount else None


def quantile_text(quantile: float | None) -> str:
    """A quantile as a label.

    >>> quantile_text(0.99), quantile_text(None)
    ('0.99', '')
    """
    return "" if quantile is None else f"{quantile:g}"


def _bounds(estimate: Estimate | None) -> Iterator[tuple[str, float | None]]:
    if estimate is not None:
        yield Bound.ESTIMATE.value, estimate.value
        yield Bound.LOW.value, estimate.low
        yield Bound.HIGH.value, estimate.high


def _finding(families: Families, view: ChangeView, finding: Finding) -> None:
    claim, evidence = finding.claim, finding.evidence
    segment = "" if claim.segment is None else "=".join(claim.segment)
    quantile = quantile_text(claim.quantile)
    if claim.promise in SPEED:
        about = {"metric": claim.metric, "quantile": quantile}
        for bound, value in _bounds(finding.estimate):
            families.add(
                "nibai_change_speedup_ratio", value, segment=segment, bound=bound,
                adjustment=RAW if claim.raw else LIKE_FOR_LIKE, **about, **view.labels,
            )  # fmt: skip
        if not claim.raw:
            families.add(
                "nibai_change_speedup_ratio", evidence.raw_ratio, segment=segment,
                bound=Bound.ESTIMATE.value, adjustment=RAW, **about, **view.labels,
            )  # fmt: skip
        if not segment:
            _shift(families, view, finding, about)
    rate = evidence.false_positive_rate
    if rate is not None and not segment:
        families.add(
            "nibai_change_false_positive_ratio", rate.value, quantile=quantile, **view.labels
        )
    if evidence.cost is not None:
        _cost(families, view, evidence.cost.usd_per_1000_requests, finding.estimate)


def _cost(
    families: Families,
    view: ChangeView,
    usd_per_1000: tuple[float, float],
    ratio: Estimate | None,
) -> None:
    """What both sides cost; the interval is that of their ratio, laid on the candidate."""
    name, (before, after) = "nibai_cost_usd_per_request", (one / 1000 for one in usd_per_1000)
    estimate = {"bound": Bound.ESTIMATE.value, **view.labels}
    families.add(name, before, side="baseline", **estimate)
    families.add(name, after, side="candidate", **estimate)
    # The dearer end is where the ratio baseline / candidate is lowest.
    ends = () if ratio is None else ((Bound.LOW, ratio.high), (Bound.HIGH, ratio.low))
    for bound, end in ends:
        value = before / end if end else None
        families.add(name, value, side="candidate", bound=bound.value, **view.labels)


def _shift(
    families: Families, view: ChangeView, finding: Finding, about: Mapping[str, str]
) -> None:
    """Seconds saved: the old quantile less the new one, with the bounds of their ratio."""
    before, estimate = finding.evidence.baseline_value, finding.estimate
    if before is None or estimate is None or finding.claim.promise is Promise.THROUGHPUT:
        return
    for bound, ratio in _bounds(estimate):
        saved = None if not ratio else before * (1 - 1 / ratio)
        families.add("nibai_change_shift_seconds", saved, bound=bound, **about, **view.labels)


def _audit(families: Families, view: ChangeView, audit: Audit) -> None:
    families.add("nibai_change_level_ratio", audit.level, **view.labels)
    for side, summary in (("baseline", audit.baseline), ("candidate", audit.candidate)):
        families.add(
            "nibai_change_observed_requests", float(summary.requests), side=side, **view.labels
        )
    for exhibits in audit.exhibits:
        _exhibits(families, view, exhibits)
    # These series have no label for the metric: the first time speaks.
    first = next((exhibits for exhibits in audit.exhibits if exhibits.value_unit == "s"), None)
    if first is not None:
        load_gauges(families, view.labels, first)


def _exhibits(families: Families, view: ChangeView, exhibits: Exhibits) -> None:
    metric = exhibits.metric
    for point in exhibits.curve:
        quantile = quantile_text(point.quantile)
        for bound, value in _bounds(point.estimate):
            families.add(
                "nibai_change_speedup_ratio", value, metric=metric, quantile=quantile, segment="",
                bound=bound, adjustment=LIKE_FOR_LIKE, **view.labels,
            )  # fmt: skip
    for row in exhibits.decomposition:
        families.add(
            "nibai_change_speedup_ratio", 2.0**row.raw, metric=metric,
            quantile=quantile_text(row.quantile), segment="", bound=Bound.ESTIMATE.value,
            adjustment=RAW, **view.labels,
        )  # fmt: skip
    _segments(families, view, exhibits)
    if exhibits.value_unit == "s":
        _curve_shift(families, view, exhibits)
    for density in exhibits.densities:
        for le, share in ecdf(density.edges, density.shares, density.zero_share):
            families.add(
                "nibai_change_ecdf_ratio", share, metric=metric, side=density.side, le=le,
                **view.labels,
            )  # fmt: skip


def _curve_shift(families: Families, view: ChangeView, exhibits: Exhibits) -> None:
    """Seconds saved along the curve; findings of a fixed window, which know better, come first."""
    before = next((one for one in exhibits.densities if one.side == "baseline"), None)
    if before is None or not before.shares:
        return
    for point in exhibits.curve:
        old = density_quantile(before, point.quantile)
        for bound, ratio in _bounds(point.estimate):
            saved = None if not ratio or old is None else old * (1 - 1 / ratio)
            families.add(
                "nibai_change_shift_seconds", saved, metric=exhibits.metric, bound=bound,
                quantile=quantile_text(point.quantile), **view.labels,
            )  # fmt: skip


def density_quantile(density: Density, quantile: float) -> float | None:
    """A quantile from bins of a factor 2^(1/4), in between on a logarithmic scale (3 % or so).

    None where it lies among requests that never completed.

    >>> density_quantile(Density("baseline", (1.0, 2.0, 4.0), (0.5, 0.5), 0.0, 0.0), 0.5)
    2.0
    """
    reached = np.cumsum(density.shares) + density.zero_share
    place = int(np.searchsorted(reached, quantile))
    if place >= len(reached):
        return None
    low, high = density.edges[place], density.edges[place + 1]
    below = reached[place] - density.shares[place]
    share = np.clip((quantile - below) / density.shares[place], 0.0, 1.0)
    return float(low * (high / low) ** share)


def _segments(families: Families, view: ChangeView, exhibits: Exhibits) -> None:
    counts: dict[str, tuple[int, int]] = {}
    for row in exhibits.segments[:MOST_SEGMENTS]:
        counts.setdefault(row.segment, row.requests)
        for bound, value in _bounds(row.estimate):
            families.add(
                "nibai_change_speedup_ratio", value, metric=exhibits.metric,
                quantile=quantile_text(row.quantile), segment=row.segment, bound=bound,
                adjustment=RAW, **view.labels,
            )  # fmt: skip
    for number, side in enumerate(("baseline", "candidate")):
        total = sum(pair[number] for pair in counts.values())
        for segment, pair in counts.items():
            families.add(
                "nibai_segment_share_ratio", pair[number] / total if total else None,
                side=side, segment=segment, **view.labels,
            )  # fmt: skip


def ecdf(
    edges: Sequence[float], shares: Sequence[float], zero_share: float
) -> list[tuple[str, float]]:
    """(bound, share of requests up to it) at no more than 40 bounds.

    >>> ecdf([1.0, 2.0, 4.0], [0.25, 0.5], 0.25)
    [('2.0', 0.5), ('4.0', 1.0)]
    """
    if not shares:
        return []
    cumulative = np.cumsum(shares) + zero_share
    # The last bin of each of 40 stretches: bounds are true edges, nothing is interpolated.
    cuts = np.unique(np.linspace(0, len(shares), min(len(shares), ECDF_POINTS) + 1).astype(int))
    return [
        (str(float(f"{edges[end]:.6g}")), min(float(cumulative[end - 1]), 1.0))
        for _, end in pairwise(cuts.tolist())
    ]
