"""Shares, differences and where pairs come from, in words."""

from __future__ import annotations

from nibai.predictions import EvidenceLevel, PredictionSample

RAW = "against raw flips; noise floor not measured"
"""Carried by every verdict about a file of pairs without a floor."""

FLOOR_UNKNOWN = "noise floor unknown"

LEVELS = {
    EvidenceLevel.SHADOW: "shadow traffic",
    EvidenceLevel.REPLAY: "replayed traffic",
    EvidenceLevel.ADJUSTED: "before and after, adjusted for inputs",
    EvidenceLevel.OUTPUTS_ONLY: "before and after, outputs only",
}


def share(value: float) -> str:
    """A share in percent.

    >>> share(0.104), share(0.0), share(0.00254)
    ('10.4%', '0%', '0.254%')
    """
    return f"{_number(value)}%"


def interval(value: float, bounds: tuple[float, float]) -> str:
    """A share or difference of shares in percent, with its interval.

    >>> interval(0.104, (0.0822, 0.1258))
    '10.4% [8.22, 12.6]'
    """
    return f"{share(value)} [{_number(bounds[0])}, {_number(bounds[1])}]"


def pp(value: float, bounds: tuple[float, float]) -> str:
    """A change of a share in percentage points, with its interval.

    >>> pp(-0.0089, (-0.016, -0.0017))
    '-0.89pp [-1.6, -0.17]'
    """
    return f"{100 * value:+.3g}pp [{_number(bounds[0])}, {_number(bounds[1])}]"


def batch_profile(sample: PredictionSample) -> str:
    """How many inputs were answered together, empty where nobody knows."""
    return "" if sample.batch is None else f"batch {sample.batch}"


def scope_text(sample: PredictionSample, pairs: int) -> str:
    """How many pairs, from where, answered how."""
    where = "a file of pairs" if sample.raw else LEVELS[sample.level]
    batch = batch_profile(sample) or "batch size not known"
    return f"{pairs:,} pairs, {where}, {batch}"


def _number(value: float) -> str:
    rounded = float(f"{100 * value:.3g}")
    return f"{rounded:g}" if rounded else "0"
