"""Notices for the tests of receivers: made by the rules from standings, as in real life."""

from dataclasses import replace

from alerts.lifecycle import advance
from alerts.rules.ruleset import ClaimRule, Detected, Quiet
from nibai.model import AlertState, Finding, Notice, Verdict
from support.standings import HOUR, START, change, collector, detection, seen, standing, superseded

CLAIM = "2x faster at p50, p90 and p99"
HOSTILE = "<!channel> <@U1> <https://evil.example|click> *b* _i_ `c` {{ 7*7 }} & \r\nBcc: x@y.z"
LINK = "https://nibai.example.com/audits/a-c1"


def alerts(*rounds, rules=({"claim": "declared"},), quiet=True):
    """The alerts that are left after some rounds."""
    parsed = [ClaimRule.model_validate(rule) for rule in rules]
    known = {}
    for one in rounds:
        changed = advance(parsed, Quiet() if quiet else None, known.values(), one, Detected())
        known |= {alert.fingerprint: alert for alert in changed}
    return list(known.values())


def refuted():
    """What the issue is about: 2x is true at the median only."""
    parts = [Verdict.CONFIRMED, Verdict.INCONCLUSIVE, Verdict.REFUTED]
    reason = "p99 is 1.12x faster [1.01, 1.23], not 2x"
    return standing(
        change(description="chat in int8"), CLAIM, Verdict.REFUTED, parts=parts,
        values=[2.31, 1.9, 1.12], reason=reason,
    )  # fmt: skip


def hostile():
    """The same, with what an attacker could have named."""
    one = change(endpoint=f"sagemaker/1/{HOSTILE}", description=HOSTILE)
    return standing(one, f'2x faster at p50 for m="{HOSTILE}"', Verdict.REFUTED, reason=HOSTILE)


def firing(one=None):
    return _notice(alerts(seen(START + HOUR, one or refuted())))


def resolved(one=None, message_id="C0123/1764028800.000001"):
    fired = one or refuted()
    found = alerts(seen(START + HOUR, fired), seen(START + 5 * HOUR, superseded(fired)))
    return _notice(found, {a.fingerprint: AlertState.FIRING for a in found}, message_id)


def quiet_collector():
    silent = collector(quiet_since=START, problem="AccessDenied: cloudwatch:GetMetricData")
    return _notice(alerts(seen(START + HOUR, collectors=[silent])))


def nobody_sends():
    silent = collector("main", unsent_since=START, usual_seconds=13.5 * HOUR)
    return _notice(alerts(seen(START + 14 * HOUR, collectors=[silent])))


def unannounced():
    """What a detector noticed and nobody had announced."""
    return _notice(alerts(seen(START + HOUR, detections=[detection()])))


def several():
    """Two claims of one change."""
    other = standing(change(), "same predictions within 2%", Verdict.REFUTED, values=[0.031])
    return _notice(alerts(seen(START + HOUR, refuted(), other)))


def many(parts=40):
    """More than any message may hold."""
    first = refuted()
    finding: Finding = first.findings[0]
    wide = [
        replace(first, sentence=replace(first.sentence, text=f"claim {n} " + "x" * 400,
                parts=(replace(first.sentence.parts[0], amount=2.0 + n),)),
                findings=(finding,) * 30)
        for n in range(parts)
    ]  # fmt: skip
    return _notice(alerts(seen(START + HOUR, *wide)))


def _notice(found, told=None, message_id=None):
    linked = [
        replace(a, annotations={**a.annotations, "link": LINK}) if "audit" in a.annotations else a
        for a in found
        if a.fired_at is not None
    ]
    return Notice(linked[0].group, tuple(linked), told or {}, message_id)
