"""Expressions of dashboards, made from names that the registry knows."""

from __future__ import annotations

from nibai.metric_registry import REGISTRY, MetricType

RATE = "$__rate_interval"
ONE_CHANGE = {"endpoint": "$endpoint", "change": "$change"}
QUANTILES = {"0.5": "p50", "0.9": "p90", "0.99": "p99"}
"""The label of a quantile and how people call it."""

BOUNDS = ("estimate", "low", "high")
ALL_TRAFFIC = "^$"
"""As a regular expression: a series of all traffic has no segment."""

NEWEST = (
    "topk by (endpoint) (1, max by (endpoint, variant, change) "
    "(nibai_change_effective_timestamp_seconds))"
)
"""The newest change of each endpoint."""


def series(name: str, *conditions: str, **labels: str) -> str:
    """A selector of one registered metric; ValueError for a name or label that is not exported.

    >>> series("nibai_requests_total", 'outcome!="success"', endpoint="$endpoint")
    'nibai_requests_total{endpoint="$endpoint",outcome!="success"}'
    """
    exported = REGISTRY.get(name)
    if exported is None:
        raise ValueError(f"{name} is not in the metric registry")
    unknown = sorted({*labels} - {*exported.labels})
    if unknown:
        raise ValueError(f"{name} has no label {', '.join(unknown)}")
    found = [f'{label}="{value}"' for label, value in labels.items()] + list(conditions)
    return f"{name}{{{','.join(found)}}}" if found else name


def latest(by: str, expression: str) -> str:
    """One series per `by`, whatever number of nibai processes is scraped."""
    return f"max by ({by}) ({expression})"


def newest(by: str, expression: str) -> str:
    """One series per `by`, of the newest change of each endpoint only."""
    return latest(by, f"{expression} and on (endpoint, change) ({NEWEST})")


def rate(by: str, name: str, *conditions: str, **labels: str) -> str:
    """Events a second of a counter, added up per `by`.

    Every nibai process exports all of the lake: what is no process's own counts once.
    """
    exported = REGISTRY[name]
    if exported.type is not MetricType.COUNTER:
        raise ValueError(f"{name} is no counter")
    found = f"rate({series(name, *conditions, **labels)}[{RATE}])"
    if not exported.internal:
        found = latest(", ".join(exported.labels), found)
    return f"sum by ({by}) ({found})"


def time_quantile(quantile: float, by: str, where: str) -> str:
    """A quantile of the chosen time metric, from native buckets or else from classic ones."""
    family = "nibai_${metric}_seconds"
    native = f"sum by ({by}) (rate({family}{where}[{RATE}]))"
    classic = f"sum by ({by}, le) (rate({family}_bucket{where}[{RATE}]))"
    return f"histogram_quantile({quantile}, {native}) or histogram_quantile({quantile}, {classic})"


def buckets(where: str) -> str:
    """The distribution over time: one native histogram, or else classic buckets by `le`."""
    family = "nibai_${metric}_seconds"
    native = f"sum(rate({family}{where}[{RATE}]))"
    classic = f"sum by (le) (rate({family}_bucket{where}[{RATE}]))"
    return f"{native} or ({classic} unless on () {native})"


def speedup(by: str, bound: str, *conditions: str, **labels: str) -> str:
    """The speed-up like for like, or the raw one where traffic needed no adjustment."""
    both = [
        latest(by, adjusted(adjustment, *conditions, bound=bound, **labels))
        for adjustment in ("like_for_like", "raw")
    ]
    return " or ".join(both)


def adjusted(adjustment: str, *conditions: str, **labels: str) -> str:
    """The speed-up of one adjustment, in the chosen metric."""
    return series(
        "nibai_change_speedup_ratio",
        *conditions,
        metric="$metric",
        adjustment=adjustment,
        **labels,
    )


def worst_verdict(by: str, expression: str) -> str:
    """Refuted when one is; else the lowest code.

    >>> worst_verdict("endpoint", "nibai_claim_verdict")
    'max by (endpoint) (nibai_claim_verdict == -1) or min by (endpoint) (nibai_claim_verdict)'
    """
    return f"max by ({by}) ({expression} == -1) or min by ({by}) ({expression})"


def prediction_claims(**labels: str) -> str:
    """Verdicts of claims about predictions: those that have a margin of flips."""
    verdicts = series("nibai_claim_verdict", **labels)
    margins = series("nibai_prediction_margin_ratio", **labels)
    return f"({verdicts} and on (endpoint, change, claim) {margins})"


def at_quantile(bound: str) -> str:
    """The speed-up of all traffic at the chosen quantile."""
    return speedup("change", bound, **ONE_CHANGE, segment="", quantile="$quantile")


def cost(side: str, bound: str) -> str:
    """What a successful request of one change's side costs."""
    return f"max({series('nibai_cost_usd_per_request', **ONE_CHANGE, side=side, bound=bound)})"


def claimed(*by: str, **labels: str) -> str:
    """The speed-up that is promised; claims about cost and the like have no quantile."""
    promise = series("nibai_change_claim_ratio", 'quantile!=""', **labels)
    return latest(", ".join(by), promise)
