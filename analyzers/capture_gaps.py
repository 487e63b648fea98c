"""Hours of which too little was captured: named in the reason, and nothing is confirmed over them.

Capturing stops under load, where answers are most likely to differ: what is left says nothing of
what is missing. A refutation stands: the answers that were captured did change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from nibai.model import Finding, Reason, ReasonCode, Verdict
from nibai.predictions import CaptureGap


def owning_up_to_gaps(finding: Finding, gaps: Sequence[CaptureGap]) -> Finding:
    """The finding as it stands when answers of these hours are missing."""
    if not gaps or finding.reason.code is ReasonCode.NO_DATA:
        return finding
    text = f"{finding.reason.text}; {gaps_text(gaps)}"
    if finding.verdict is not Verdict.CONFIRMED:
        return replace(finding, reason=Reason(finding.reason.code, text))
    evidence = replace(finding.evidence, p_confirm=None, log_e_value=None)
    return replace(
        finding,
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason(ReasonCode.CAPTURES_INCOMPLETE, text),
        evidence=evidence,
    )


def gaps_text(gaps: Sequence[CaptureGap]) -> str:
    """The emptiest hour by name, and how many more there are.

    >>> gaps_text([CaptureGap("blue", 0.0, 410, 1000)]).partition(":")[0]
    'blue captured 410 of about 1,000 answers in the hour from 1970-01-01 00'
    """
    worst = min(gaps, key=lambda one: (one.captured / one.expected, one.hour))
    hour = datetime.fromtimestamp(worst.hour, UTC).strftime("%Y-%m-%d %H:%M UTC")
    others = len(gaps) - 1
    more = f" ({others:,} more {'hour falls' if others == 1 else 'hours fall'} short)"
    return (
        f"{worst.variant} captured {worst.captured:,} of about {worst.expected:,} answers in the "
        f"hour from {hour}{more * (others > 0)}: capturing stops under load, what is missing is "
        "not missing at random"
    )
