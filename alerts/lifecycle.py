"""Pending, firing, resolved: what rules make of standings. Pure; the time is the round's.

- A refuted claim fires; time never promotes a claim that is undecided. It does not resolve because
  a window looked better: only because a newer change came, or the claim was taken back, or 7 days
  passed.
- An undecided claim is silent until its deadline. What the anytime-valid path has decided stays.
- What detectors noticed fires until a claimed change explains it, or 7 days passed.
- An alert is found again by its labels; what was resolved for good does not fire again.
- A rule file that gives a claim another severity or name goes on with the alert that there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from alerts import wishes
from alerts.rules.ruleset import ClaimRule, Detected, Quiet
from alerts.wishes import EXPIRES_SECONDS, Wish
from nibai.model import Alert, AlertState, Resolution, Round

MISSING_SECONDS = 3600.0
"""A look that fails or is interrupted leaves claims out; only one that stays away is withdrawn."""

REOPENING = (Resolution.DATA_RETURNED, Resolution.WITHDRAWN)
"""Why an alert may have been resolved and yet fire again."""


def advance(
    rules: Sequence[ClaimRule],
    quiet: Quiet | None,
    known: Iterable[Alert],
    seen: Round,
    detected: Detected | None = None,
) -> list[Alert]:
    """Alerts that are new or stand differently after a round; the same round again changes nothing.

    The first rule that is about a sentence has it. A round without a look leaves alerts about
    claims as they are.
    """
    before = {alert.fingerprint: alert for alert in known}
    wished = (
        *wishes.claims(rules, seen),
        *wishes.collectors(quiet, seen),
        *wishes.detections(detected, seen),
    )
    after: dict[str, Alert] = {}
    for wish, one in _paired(wished, before):
        found = _step(one, wish, seen.at)
        if found is not None and one is None and found.fingerprint in before:
            # Another alert began under this name.
            found = replace(found, began_as=f"{found.digest}-{seen.at:.0f}")
        if found is not None:
            after[found.fingerprint] = replace(_as_wished(found, wish), missing_since=None)
    for fingerprint, alert in before.items():
        change = alert.labels.get("change")
        unseen = change in seen.unseen or (change is not None and not seen.looked)
        if fingerprint not in after and not unseen and alert.state is not AlertState.RESOLVED:
            after[fingerprint] = _missing(alert, seen.at)
    return [alert for fingerprint, alert in after.items() if alert != before.get(fingerprint)]


def forgotten(known: Iterable[Alert], seen: Round) -> list[str]:
    """Fingerprints of alerts resolved long ago whose change is no longer followed."""
    if not seen.looked:
        return []
    followed = {standing.change.id for standing in seen.standings} | seen.unseen
    return [
        alert.fingerprint
        for alert in known
        if alert.state is AlertState.RESOLVED
        and alert.labels.get("change") not in followed
        and seen.at - alert.changed_at > EXPIRES_SECONDS
    ]


def _paired(
    wished: Sequence[Wish], before: Mapping[str, Alert]
) -> Iterable[tuple[Wish, Alert | None]]:
    """Each wish with the alert that it is about: of its labels, or of others but the same thing."""
    by_labels = {alert.digest: alert for alert in before.values()}
    found = [by_labels.get(wish.alert.digest) for wish in wished]
    taken = {alert.fingerprint for alert in found if alert is not None}
    kin: dict[frozenset[tuple[str, str]], list[Alert]] = {}
    for alert in before.values():
        if alert.fingerprint not in taken and alert.state is not AlertState.RESOLVED:
            kin.setdefault(_thing(alert), []).append(alert)
    for wish, same in zip(wished, found, strict=True):
        yield wish, _adopted(kin.get(_thing(wish.alert), []), wish) if same is None else same


def _thing(alert: Alert) -> frozenset[tuple[str, str]]:
    """The labels that a rule file cannot change."""
    chosen = ("severity", "claim")
    return frozenset(pair for pair in alert.labels.items() if pair[0] not in chosen)


def _adopted(kin: list[Alert], wish: Wish) -> Alert | None:
    """The alert of the same sentence, once."""
    if not kin:
        return None
    sentence = wish.facts().get("sentence")
    same = next((one for one in kin if one.annotations.get("sentence") == sentence), None)
    if same is not None:
        kin.remove(same)
    return same


def _as_wished(alert: Alert, wish: Wish) -> Alert:
    """With the labels of the rule file as it is now, unless it is over: receivers know it so."""
    if alert.labels == wish.alert.labels or alert.state is AlertState.RESOLVED:
        return alert
    return replace(
        alert,
        labels=wish.alert.labels,
        severity=wish.alert.severity,
        began_as=alert.fingerprint,
    )


def _step(before: Alert | None, wish: Wish, at: float) -> Alert | None:
    if before is None or before.state is AlertState.RESOLVED:
        return _begun(before, wish, at)
    if before.state is AlertState.PENDING:
        return _from_pending(before, wish, at)
    return _from_firing(before, wish, at)


def _begun(before: Alert | None, wish: Wish, at: float) -> Alert | None:
    final = (
        before is not None and before.fired_at is not None and before.resolution not in REOPENING
    )
    if final or wish.ended is not None or wish.state is None:
        return before
    fired = at if wish.state is AlertState.FIRING else None
    return replace(
        wish.alert,
        state=wish.state,
        since=at,
        changed_at=at,
        fired_at=fired,
        annotations=wish.facts(),
        began_as=None if before is None else before.began_as,
    )


def _from_pending(before: Alert, wish: Wish, at: float) -> Alert:
    if wish.ended is not None or wish.state is None:
        return _resolved(before, wish.ended or Resolution.DECIDED, at)
    if wish.state is AlertState.FIRING:
        return replace(
            before,
            state=AlertState.FIRING,
            changed_at=at,
            fired_at=at,
            annotations=wish.facts(),
        )
    return replace(before, annotations=wish.facts())


def _from_firing(before: Alert, wish: Wish, at: float) -> Alert:
    over = wish.ended or wish.clears
    if over is not None:
        return _resolved(replace(before, annotations=wish.facts()), over, at)
    about_change = not before.labels.keys().isdisjoint(("change", "detection"))
    if about_change and at - (before.fired_at or at) >= EXPIRES_SECONDS:
        return _resolved(before, Resolution.EXPIRED, at)
    # What it says stays what made it fire: later looks of a decided claim do not reword it.
    return before


def _missing(alert: Alert, at: float) -> Alert:
    since = at if alert.missing_since is None else alert.missing_since
    if at - since >= MISSING_SECONDS:
        return _resolved(alert, Resolution.WITHDRAWN, at)
    return replace(alert, missing_since=since)


def _resolved(alert: Alert, why: Resolution, at: float) -> Alert:
    # Rounds of several processes may be told a little out of order.
    moment = max(at, alert.changed_at)
    return replace(alert, state=AlertState.RESOLVED, resolution=why, changed_at=moment)
