"""Evidence about predictions as gauges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from nibai.exposition.families import Families
from nibai.metric_registry import Bound
from nibai.prediction_evidence import Bounds, PredictionEvidence

MOST_CLASSES = 20
OTHER = "other"


def answer_gauges(
    families: Families, labels: Mapping[str, str], claim: str, found: PredictionEvidence
) -> None:
    """Add what is exported of pairs of answers; `claim` names the sentence they are about."""
    families.add("nibai_prediction_pairs_total", float(found.pairs), **labels)
    families.add("nibai_prediction_margin_ratio", found.margin, claim=claim, **labels)
    _flips(families, labels, found)
    _classes(families, labels, found)
    for signal in found.signals:
        if signal.name.startswith("invalid") and signal.n:
            for side, hits in (("baseline", signal.baseline), ("candidate", signal.candidate)):
                families.add("nibai_prediction_invalid_ratio", hits / signal.n, side=side, **labels)
    for distance in found.distributions:
        if distance.metric == "length_ratio":
            _interval(families, "nibai_response_length_ratio", distance.mean, **labels)
        elif distance.mean.value is not None and 0 <= distance.mean.value <= 1:
            about = {"kind": "pairs", "feature": distance.metric, **labels}
            _interval(families, "nibai_drift_distance_ratio", distance.mean, **about)
            families.add("nibai_drift_threshold_ratio", distance.margin, **about)
    for score in found.scores:
        if not 0 <= score.value <= 1:
            continue
        about = {"kind": "score", "feature": score.name, **labels}
        estimate = Bound.ESTIMATE.value
        families.add("nibai_drift_distance_ratio", score.value, bound=estimate, **about)
        families.add("nibai_drift_threshold_ratio", score.null_high, **about)


def _flips(families: Families, labels: Mapping[str, str], found: PredictionEvidence) -> None:
    flips = "nibai_prediction_flip_ratio"
    _interval(families, flips, found.flips, segment="", **labels)
    for one in found.segments:
        _interval(families, flips, one.estimate, segment=one.segment, **labels)
    excess = next((gate.estimate for gate in found.gates if gate.name == "excess flips"), None)
    _interval(families, "nibai_prediction_excess_flip_ratio", excess, segment="", **labels)
    for side, floor in (("baseline", found.floor_old), ("candidate", found.floor_new)):
        estimate = None if floor is None else floor.estimate
        _interval(families, "nibai_prediction_self_flip_ratio", estimate, side=side, **labels)


def _classes(families: Families, labels: Mapping[str, str], found: PredictionEvidence) -> None:
    """Shares of the 20 largest classes on both sides, and of all others together."""
    sides: dict[str, Counter[str]] = {"baseline": Counter(), "candidate": Counter()}
    for before, after, n in found.confusion:
        sides["baseline"][before] += n
        sides["candidate"][after] += n
    largest = {name for name, _ in sum(sides.values(), Counter()).most_common(MOST_CLASSES)}
    for side, counts in sides.items():
        total = sum(counts.values())
        shown = Counter({name: n for name, n in counts.items() if name in largest})
        if total > sum(shown.values()):
            shown[OTHER] += total - sum(shown.values())
        for name, n in shown.items():
            families.add(
                "nibai_prediction_share_ratio", n / total, side=side, class_=name, **labels
            )


def _interval(families: Families, name: str, found: Bounds | None, **labels: str) -> None:
    if found is None:
        return
    for bound, value in (
        (Bound.ESTIMATE, found.value), (Bound.LOW, found.low), (Bound.HIGH, found.high),
    ):  # fmt: skip
        families.add(name, value, bound=bound.value, **labels)
