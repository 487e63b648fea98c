"""From the states of the gates to a verdict and the sentence that explains it."""

from __future__ import annotations

from analyzers.prediction_reading import Reading, Scope
from analyzers.prediction_report import Judged
from analyzers.prediction_wording import RAW, scope_text
from nibai.model import Change, Claim, Reason, ReasonCode, Verdict
from nibai.prediction_evidence import GateState
from nibai.stats.flip_margins import FLOOR_PAIRS, kinds_text


def decide(judged: Judged) -> tuple[Verdict, Reason]:
    """Refuted by any gate that failed, confirmed by all that were measured, else what is open."""
    readings, states = judged.readings, judged.states
    failed = [
        one for one, state in zip(readings, states.states, strict=True) if state is GateState.FAILED
    ]
    if failed:
        first, others = failed[0], [one.name for one in failed[1:]]
        too = f"; {' and '.join(others)} failed, too" if others else ""
        text = f"{_refusal(first, judged)}: more than the {first.allowed}{too}"
        return Verdict.REFUTED, Reason(first.code, _closed(text, judged))
    undecided = [i for i, state in enumerate(states.states) if state is GateState.OPEN]
    if undecided:
        reading, more = readings[undecided[0]], judged.more[undecided[0]]
        code, text = _open(reading, more)
        return Verdict.INCONCLUSIVE, Reason(code, _closed(text, judged))
    text = f"{readings[0].said}: within the {readings[0].allowed}"
    return Verdict.CONFIRMED, Reason(
        ReasonCode.MEETS_CLAIM, _closed(text + _others(judged), judged)
    )


def _refusal(reading: Reading, judged: Judged) -> str:
    if reading.code is not ReasonCode.SELF_FLIPS:
        return reading.said
    batch = judged.case.scope.sample.batch
    at = "" if batch is None or judged.case.latency_profile else f"at batch {batch} "
    said = reading.said.replace("the new variant", "it", 1)
    return f"{at}the new variant is not a function of the request: {said}"


def _open(reading: Reading, more: int | None) -> tuple[ReasonCode, str]:
    if reading.code is ReasonCode.NOISE_FLOOR_UNKNOWN:
        value = reading.estimate.value
        if value is not None and reading.margin is not None and value >= reading.margin:
            return reading.code, (
                f"{reading.said}: more than the {reading.allowed}, but nobody knows how much of "
                "it is noise"
            )
        wait = "" if more is None else f", or about {more:,} more pairs"
        return reading.code, (
            f"{reading.said}: not surely within the {reading.allowed}; replay k=2{wait}"
        )
    if more is None and not reading.margin:
        return ReasonCode.PRACTICALLY_UNDECIDABLE, (
            f"{reading.said}: no number of pairs shows that none changes, allow a margin"
        )
    if more is None:
        return ReasonCode.PRACTICALLY_UNDECIDABLE, (
            f"{reading.said}: practically undecidable, the rate equals the {reading.allowed}"
        )
    return ReasonCode.INTERVAL_STRADDLES, (
        f"{reading.said}: the {reading.allowed} is inside the interval; about {more:,} more pairs "
        "would decide"
    )


def _others(judged: Judged) -> str:
    """The other gates by name: those that passed and those without data."""
    named: dict[GateState, list[str]] = {}
    rows = list(zip(judged.readings, judged.states.states, strict=True))
    for reading, state in rows[1:]:
        named.setdefault(state, []).append(reading.name)
    passed, missing = named.get(GateState.PASSED), named.get(GateState.NOT_MEASURED)
    text = f"; {' and '.join(passed)} passed, too" if passed else ""
    return text + (f"; not measured: {', '.join(missing)}" if missing else "")


def _closed(text: str, judged: Judged) -> str:
    """The text with the margin's source, the pairs, where they come from and how they ran."""
    scope, margins = judged.case.scope, judged.case.margins
    source = "" if margins is None else margins.source
    from_where = f"margin: {source}; " if source not in ("", "stated") else ""
    raw = f"{RAW}; " if scope.sample.raw and scope.old is None and RAW not in text else ""
    return f"{text} ({raw}{from_where}{scope_text(scope.sample, scope.pairs.pairs)})"


def too_few(scope: Scope) -> Reason:
    n, repeated = scope.pairs.pairs, scope.pairs.all_pairs - scope.pairs.pairs
    again = f" ({repeated:,} repeated ones do not count)" if repeated > 0 else ""
    return Reason(
        ReasonCode.TOO_FEW_PAIRS,
        f"{n:,} pairs of distinct inputs{again}: fewer than {FLOOR_PAIRS} are never judged, "
        f"about {FLOOR_PAIRS - n} more pairs are needed",
    )


def margin_text(change: Change, claim: Claim) -> str:
    what = claim.promise.value.replace("_", " ").replace("json", "JSON")
    kinds = f"a change of {kinds_text(change.kinds)}" if change.kinds else "an undeclared change"
    return (
        f"{kinds} has no default margin: state how much may change, for example “{what} within 2%”"
    )
