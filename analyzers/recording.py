"""How measurements were recorded, said beside a verdict: widths of buckets, fitted percentiles."""

from __future__ import annotations

import math
from collections.abc import Iterable

from analyzers.sample import Sample
from nibai.claims import quantile_label
from nibai.histogram import SCALE
from nibai.model import Reason, ReasonCode
from nibai.stats.recorded import RecordingError, known_up_to

REMEDIES = {
    "fitted": "record buckets (CloudWatch: detail TC 109)",
    "quartered": "time requests one by one (OTLP)",
}


def percentiles_gate(sample: Sample, p: float, error: RecordingError) -> Reason | None:
    """Above some quantile nothing is known of fitted percentiles."""
    known = min(map(known_up_to, sample.recorded))
    if math.isfinite(error.below) or p <= known:
        return None
    name = "quartered" if any(one.quartered for one in sample.recorded) else "fitted"
    what = "quartiles and p99" if name == "quartered" else "percentiles"
    return Reason(
        ReasonCode.ONLY_PERCENTILES,
        f"{quantile_label(p)}: only {what} were recorded ({_who(sample, name)}), which "
        f"say nothing above {quantile_label(known)}: {REMEDIES[name]} and judge again",
    )


def below_gate(sample: Sample, p: float) -> Reason | None:
    """Of a quantile among requests below all buckets nothing is known, of those above it all is."""
    if -math.inf not in sample.value(p):
        return None
    shares = " and ".join(
        f"{share:.1%} of {role} requests"
        for role, share in zip(("the baseline's", "the candidate's"), sample.below, strict=True)
        if share
    )
    return Reason(
        ReasonCode.RECORDED_TOO_COARSE,
        f"{quantile_label(p)} lies at zero or below the lowest bucket that was recorded ({shares}),"
        " where nothing tells how fast they were: record lower buckets (CloudWatch: own_range)",
    )


def recording_notes(sample: Sample, p: float, error: RecordingError) -> list[str]:
    """What widened the interval, and by how much; and what is an estimate of more requests."""
    traced = _who(sample, "sampled")
    notes = []
    if traced:
        notes.append(
            f"estimated from traces of some requests, weighted for the others ({traced}): as right "
            "as the sampling rule that was stated"
        )
    return notes + _widened(sample, p, error)


def _widened(sample: Sample, p: float, error: RecordingError) -> list[str]:
    if error.nothing:
        return []
    causes = list(_causes(sample))
    if not math.isfinite(error.below + error.above):
        return [f"as recorded ({'; '.join(causes)}), {quantile_label(p)} has no bound"]
    said = (
        f"the interval of {quantile_label(p)} is {_percent(error.below)} wider below and "
        f"{_percent(error.above)} above than for requests one by one: {'; '.join(causes)}"
    )
    return [said]


def too_coarse(sample: Sample) -> str:
    """Why more data would not decide."""
    return (
        f"more data would not decide: {'; '.join(_causes(sample))}; "
        "finer buckets (CloudWatch: detail TC 109) would"
    )


def _causes(sample: Sample) -> Iterable[str]:
    scale = sample.scale
    if scale < SCALE:
        yield f"buckets are {100 * (2 ** (1 / 2**scale) - 1):.0f} % wide"
    if any(one.spread for one in sample.recorded):
        yield f"counts between explicit bounds ({_who(sample, 'spread')})"
    if any(one.fitted for one in sample.recorded):
        yield f"fitted from percentiles ({_who(sample, 'fitted')})"
    if any(one.quartered for one in sample.recorded):
        yield f"fitted from quartiles and p99 ({_who(sample, 'quartered')})"
    if any(one.unbinned for one in sample.recorded):
        yield f"only base statistics ({_who(sample, 'unbinned')})"


def _who(sample: Sample, name: str) -> str:
    """The share of each side's requests that were recorded so."""
    said = []
    for role, one, n in zip(
        ("the baseline's", "the candidate's"), sample.recorded, sample.counts, strict=True
    ):
        count = getattr(one, name)
        if count:
            said.append(f"{count / max(n + one.unbinned, 1):.2g} of {role} requests")
    return " and ".join(said)


def _percent(octaves: float) -> str:
    return f"{100 * (2**octaves - 1):.2g} %"
