"""What a watched part says: its estimate, what was decided and when, what is missing."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from nibai.app.watch import Watch
from nibai.app.watch_parts import Followed
from nibai.claims import print_claim, quantile_label
from nibai.conventions import metric_named
from nibai.document import iso
from nibai.model import Claim, Promise, Reason, ReasonCode, Verdict
from nibai.stats.following import Track
from nibai.stats.sequential_rates import fixed_requests
from nibai.stats.settling import AGES_SECONDS, MISTAKE, MOST_SHARE
from nibai.units import ratio_number

NO_BOUND = "no bound"

RECORDING = "buckets are wide, or were fitted, and hide where in them the quantile is"


def subject(claim: Claim) -> str:
    """What a part is about: quantile or errors, metric, segment.

    >>> subject(Claim(Promise.FASTER, 2.0, quantile=0.9, segment=("model", "a")))
    'p90 of model=a'
    """
    if claim.promise not in (Promise.FASTER, Promise.NO_SLOWER, Promise.ERRORS):
        return print_claim(claim)
    words = ["errors"] if claim.promise is Promise.ERRORS else []
    if claim.quantile is not None:
        words.append(quantile_label(claim.quantile))
    if claim.metric_named or (claim.metric != "latency" and words[:1] != ["errors"]):
        words.append(claim.metric)
    if claim.segment is not None:
        words.append(f"of {claim.segment[0]}={claim.segment[1]}")
    return " ".join(words) or claim.metric


def estimate_text(claim: Claim, track: Track) -> str:
    """The estimate with its confidence sequence.

    A ratio below 1 is said as "slower" (or "worse" where higher is better).
    """
    if not math.isfinite(track.value):
        return "nothing known yet"
    if track.plan.shares:
        return f"{_pp(-track.value)} {_interval(_pp(-track.high), _pp(-track.low))}"
    higher = metric_named(claim.metric).higher_is_better
    words = ("better", "worse") if higher else ("faster", "slower")
    bounds = (_times(x, words) for x in (track.low, track.high))
    return f"{_times(track.value, words)} {_interval(*bounds)}"


def moment_text(seconds: float) -> str:
    """A moment to the minute in UTC.

    >>> moment_text(1764000000.0)
    '2025-11-24 16:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%MZ")


def hours_text(seconds: float) -> str:
    """A waiting time.

    >>> hours_text(1800.0), hours_text(5400.0), hours_text(3 * 86400.0)
    ('30 min', '1.5 h', '3 d')
    """
    if seconds < 3600:  # noqa: PLR2004 - an hour
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.3g} h" if seconds < 2 * 86400 else f"{seconds / 86400:.2g} d"


def age_text(seconds: float, hours: int) -> str:
    """An age from which on minutes count, with the promise that goes with it.

    >>> age_text(600.0, 168)
    'an age of 10 minutes (in 168 hours seen, fewer than 3 % of them changed later, at 95 %)'
    """
    return (
        f"an age of {seconds / 60:g} minutes (in {hours} hours seen, fewer than "
        f"{100 * MOST_SHARE:g} % of them changed later, at {100 * (1 - MISTAKE):g} %)"
    )


def waiting_text(watch: Watch, part: Followed) -> str:
    """At which age minutes count that are read again; nothing where none are."""
    mark, learned, age = watch.waits(part)
    if mark is None or mark.provisional_seconds <= AGES_SECONDS[0]:
        return ""
    if age is not None:
        return f"blocks may decide from {age_text(age, learned.hours)}"
    again = hours_text(mark.provisional_seconds)
    return f"blocks wait until their minutes are {again} old: {learned.why}"


def reason_of(watch: Watch, part: Followed) -> Reason:
    """Why the part's verdict is what it is."""
    track, pairs = part.track, part.pairs
    if track is None or pairs is None:
        return part.reason or Reason(ReasonCode.NO_DATA, f"no {part.claim.metric} of one side yet")
    verb = "changed by" if track.plan.shares else "is"
    said = f"{subject(part.claim)} {verb} {estimate_text(part.claim, track)}"
    if track.decided is not None:
        return _decided(part, said, moment_text(pairs.end(track.decided)), track.decided + 1)
    return _undecided(watch, part, track, said)


def _decided(part: Followed, said: str, moment: str, blocks: int) -> Reason:
    when = f"decided by the block that ended {moment}, number {blocks} after the change"
    if part.track is not None and part.track.age_seconds is not None:
        when += f", read at {age_text(part.track.age_seconds, part.track.hours)}"
    if part.verdict is Verdict.CONFIRMED:
        return Reason(ReasonCode.MEETS_CLAIM, f"{said}, as claimed; {when}")
    return Reason(ReasonCode.FALLS_SHORT, f"{said}, not “{print_claim(part.claim)}”; {when}")


def _undecided(watch: Watch, part: Followed, track: Track, said: str) -> Reason:
    if track.blind:
        return Reason(
            ReasonCode.CENSORED,
            f"{said}: in {track.censored} block(s) the quantile lies among failed requests or "
            "below all buckets, which no ratio can stand for; audit it once over a fixed window "
            "(without --watch)",
        )
    behind = watch.behind(part)
    if behind is not None:
        return Reason(
            ReasonCode.NO_DATA,
            f"{said}, undecided: no data since {iso(behind.read_until)}: {behind.source} was read "
            "until then, and later blocks wait for it (nibai collect --once says why)",
        )
    over = _over(watch, part)
    if over:
        return Reason(ReasonCode.NO_DATA, f"{said}, undecided, and {over}")
    if not (math.isfinite(track.low) and math.isfinite(track.high)):
        return Reason(
            ReasonCode.TOO_FEW_BLOCKS,
            f"{said}: {track.sums.blocks} blocks so far, the first bound needs about 8",
        )
    if track.error.bar(track.value, track.plan.threshold) is None:
        return Reason(
            ReasonCode.RECORDED_TOO_COARSE,
            f"{said}: undecided, and more blocks would not decide: {RECORDING}; record finer "
            "buckets (CloudWatch: detail TC 109)",
        )
    return Reason(ReasonCode.INTERVAL_STRADDLES, f"{said}: undecided so far{_more(track)}")


def _over(watch: Watch, part: Followed) -> str:
    """Why no further block can decide; nothing where one can."""
    if part.ended:
        return (
            f"it stays so: the evidence ends at {part.ended_by}, what came later is not the effect "
            "of this change"
        )
    if watch.exhausted(part):
        return (
            "no unused day before the change is left to compare with: audit it once over a fixed "
            "window (without --watch)"
        )
    return ""


def _more(track: Track) -> str:
    missing = missing_blocks(track)
    counted = _requests_more(track) if track.plan.shares else ""
    if missing is None:
        return f"; {counted}" if counted else ""
    said = f"; about {hours_text(missing * track.plan.block_seconds)} more would decide"
    return f"{said}; {counted}" if counted else said


def _requests_more(track: Track) -> str:
    """How many requests counts of failures alone need, beside a test that looks once."""
    rates, threshold = track.rates, track.plan.threshold
    needed = rates.requests_needed(threshold)
    if needed is None:
        return "so near to the claim nothing says when it would be decided"
    shares = rates.baseline.share, rates.candidate.share
    once = fixed_requests(shares, threshold, track.plan.level)
    return (
        f"at these shares of failures the counts need {_about(needed)} requests a side "
        f"({_about(once)} in a test at one time chosen beforehand), and have "
        f"{min(rates.baseline.requests, rates.candidate.requests):,}"
    )


def _about(number: float) -> str:
    """Two digits that count.

    >>> _about(35077.0), _about(8.2)
    ('35,000', '8')
    """
    digits = max(len(f"{number:.0f}") - 2, 0)
    return f"{round(number, -digits):,.0f}"


def missing_blocks(track: Track) -> int | None:
    """Roughly how many more blocks decide; None when that cannot be said."""
    needed = track.blocks_needed()
    if needed is None or track.verdict is not None:
        return None
    return max(needed - track.sums.blocks, 1)


def _times(log2_value: float, words: tuple[str, str]) -> str:
    if not math.isfinite(log2_value):
        return NO_BOUND
    ratio = 2 ** abs(log2_value)
    if f"{ratio:.3f}" == "1.000":
        return "unchanged"
    return f"{ratio_number(ratio)}x {words[0] if log2_value > 0 else words[1]}"


def _pp(share: float) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{share * 100 + 0.0:+.3g}pp" if abs(share) < 1 else NO_BOUND


def _interval(low: str, high: str) -> str:
    return f"[{NO_BOUND}]" if low == high == NO_BOUND else f"[{low} to {high}]"
