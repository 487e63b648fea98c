"""One change in figures: verdicts, promise, measurement, what it rests on."""

from __future__ import annotations

from dashboards.grafana.panels import (
    Panel,
    tile,
    verdict_tile,
)
from dashboards.grafana.promql import (
    ONE_CHANGE,
    QUANTILES,
    at_quantile,
    cost,
    latest,
    prediction_claims,
    series,
    speedup,
    worst_verdict,
)
from dashboards.grafana.queries import now


def verdicts() -> list[Panel]:
    """The answer."""
    claims = latest("claim", series("nibai_claim_verdict", **ONE_CHANGE))
    return [
        verdict_tile(
            "Verdict",
            "Of the newest audit, over all claims.",
            "nibai_change_verdict",
            now(f"max({series('nibai_change_verdict', **ONE_CHANGE)})"),
        ),
        verdict_tile(
            "Verdict of each claim",
            "What was promised, and what production says.",
            "nibai_claim_verdict",
            now(claims, "{{claim}}"),
            width=7,
            named=True,
        ),
        verdict_tile(
            "Same predictions?",
            "The worst verdict of the claims about answers.",
            "nibai_claim_verdict",
            now(worst_verdict("change", prediction_claims(**ONE_CHANGE))),
        ),
        tile(
            "Cost ratio",
            "Cost of a successful request before over after; above 1 is cheaper.",
            "nibai_cost_usd_per_request",
            now(f"{cost('baseline', 'estimate')} / {cost('candidate', 'estimate')}"),
            unit="suffix:x",
        ),
        tile(
            "Refuted up to level",
            "Confidence level that the refutation of a claim reaches; 0 where it is not refuted.",
            "nibai_claim_refuted_level_ratio",
            now(
                latest("claim", series("nibai_claim_refuted_level_ratio", **ONE_CHANGE)),
                "{{claim}}",
            ),
            unit="percentunit",
            named=True,
        ),
        tile(
            "Level",
            "Confidence level of the intervals.",
            "nibai_change_level_ratio",
            now(f"max({series('nibai_change_level_ratio', **ONE_CHANGE)})"),
            unit="percentunit",
        ),
    ]


def figures() -> list[Panel]:
    """The numbers behind the answer."""
    rate_of_error = latest("quantile", series("nibai_change_false_positive_ratio", **ONE_CHANGE))
    promised = latest("claim, quantile", series("nibai_change_claim_ratio", **ONE_CHANGE))
    requests = latest("side", series("nibai_change_observed_requests", **ONE_CHANGE))
    ratios = [
        now(
            speedup("change", bound, **ONE_CHANGE, segment="", quantile=quantile), f"{name}{suffix}"
        )
        for quantile, name in QUANTILES.items()
        for bound, suffix in (("estimate", ""), ("low", " at least"))
    ]
    high, low, middle = (at_quantile(bound) for bound in ("high", "low", "estimate"))
    return [
        tile(
            "A/A false positives",
            "How often the judge was wrong on this endpoint's unchanged past, by quantile.",
            "nibai_change_false_positive_ratio",
            now(rate_of_error, "{{quantile}}"),
            unit="percentunit",
            width=4,
            named=True,
        ),
        tile(
            "Claimed",
            "The ratio that each claim promises, by quantile.",
            "nibai_change_claim_ratio",
            now(promised, "{{claim}} {{quantile}}"),
            unit="suffix:x",
            width=4,
            named=True,
        ),
        tile(
            "Measured",
            "Speed-up with the low end of its interval; above 1 is faster.",
            "nibai_change_speedup_ratio",
            *ratios,
            unit="suffix:x",
            width=8,
        ),
        tile(
            "Requests seen",
            "What the newest audit rests on.",
            "nibai_change_observed_requests",
            now(requests, "{{side}}"),
            width=4,
            named=True,
        ),
        tile(
            "Interval width",
            "Of the speed-up at the chosen quantile, as a share of the estimate.",
            "nibai_change_speedup_ratio",
            now(f"(({high}) - ({low})) / ({middle})"),
            unit="percentunit",
            width=4,
        ),
    ]
