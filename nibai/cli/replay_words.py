"""`nibai replay` in words: the plan, what was found, and the command that judges it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nibai.app.replay_request import Plan, Replayed
    from nibai.protocols import PairsRequest

MARGIN_CLAIM = "same predictions within 2%"


def plan_text(plan: Plan) -> str:
    """The plan as people read it."""
    profile, captures = plan.profile, plan.captures
    n = len(captures.inputs)
    rows = [("inputs", f"{n:,} from {captures.name} ({captures.format})")]
    if captures.quarantined:
        reasons = ", ".join(f"{count:,} {why}" for why, count in captures.quarantined.items())
        rows.append(("set aside", f"{reasons}, of {captures.rows:,} rows"))
    if captures.repeats:
        held = f"{captures.repeats:,} of {captures.rows:,} rows hold an input of an earlier row"
        rows.append(("repeated", f"{held}: not sent again"))
    rows += [("baseline", plan.names["baseline"]), ("candidate", plan.names["candidate"])]
    batches = f"in batches of {profile.batch}" if profile.batch > 1 else "one at a time"
    factors = f"{n:,} inputs {batches} × {profile.repeats} repeats × 2 variants"
    rows.append(("requests", f"{plan.requests:,} = {factors}, {profile.concurrency} in parallel"))
    if plan.left < plan.requests:
        rows.append(("left", f"{plan.left:,}; {plan.spent:,} requests were sent before"))
    if plan.in_flight:
        rows.append(
            (
                "unknown",
                f"{plan.in_flight:,} were in flight when the last run was killed: not sent again",
            )
        )
    rows.append(("budget", f"{plan.budget:,} requests, retries included"))
    if plan.left and plan.rate is not None and plan.seconds is not None:
        rows.append(
            ("time", f"at least {_duration(plan.seconds)} at {plan.rate:.4g} requests a second")
        )
    if plan.wanted is not None:
        margin = f"{100 * plan.wanted.flips:g} % ({plan.wanted.source})"
        pairs = plan.wanted.pairs
        rows.append(("margin", margin if pairs is None else f"{margin}, {pairs:,} inputs wanted"))
        rows.append(("verdict", _verdicts(plan.wanted.flips)))
    if plan.left and plan.usd is not None:
        rows.append(("cost", f"${plan.usd:,.2f}"))
    return "".join(f"  {name:<10} {text}\n" for name, text in rows)


def _verdicts(margin: float) -> str:
    from nibai.stats.flip_margins import pairs_table  # noqa: PLC0415 - numpy

    first, *others = [
        (f"{row.pairs:,}", f"{100 * row.share_of_margin * margin:g} %")
        for row in pairs_table(margin)
    ]
    rest = "".join(f", {pairs} at {share}" for pairs, share in others)
    return f"on flips from about {first[0]} inputs at {first[1]} changed answers{rest}"


def found_text(found: Replayed) -> str:
    """What was sent and what to do with it."""
    plan, progress = found.plan, found.progress
    lines = [f"  {'answered':<10} {progress.answered:,} of {plan.left:,} requests"]
    if progress.failures:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in progress.failures.most_common())
        lines.append(f"  {'failed':<10} {kinds}; tried again up to the limits")
    if found.in_flight:
        lines.append(f"  {'unknown':<10} {found.in_flight:,} in flight when a run was killed")
    pairs, noise = found.tables.pairs, found.tables.noise
    lines.append(f"  {'pairs':<10} {pairs.num_rows:,} old against new: {found.pairs.sources[0]}")
    lines.append(
        f"  {'noise':<10} {noise.num_rows:,} a variant against itself: {found.pairs.noise[0]}"
    )
    return "\n".join(lines) + "\n"


def compare_command(pairs: PairsRequest, kinds: Sequence[str]) -> str:
    """The command that judges the pairs."""
    words = ["nibai", "compare", "--pairs", str(pairs.sources[0])]
    words += ["--noise-pairs", str(pairs.noise[0]), "--output", str(pairs.output)]
    if pairs.labels:
        words += ["--labels", ",".join(pairs.labels)]
    for name, value in (("--threshold", pairs.threshold), ("--tolerance", pairs.tolerance)):
        if value is not None:
            words += [name, f"{value:g}"]
    words += [word for kind in kinds for word in ("--kind", kind)]
    return shlex.join([*words, "--claim", "same predictions" if kinds else MARGIN_CLAIM])


def _duration(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{math.ceil(seconds)} s"
    if seconds < 7200:  # noqa: PLR2004 - two hours
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
