"""Contact points and our branch of the notification policies onto a Grafana, and whether they came.

Contact points are known again by their uid. Of the tree of policies only the branch with our mark
alone is written; everything else of it is put back as it was read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.grafana.port import ContactPoint, Grafana, GrafanaError
from nibai.errors import NotifyError, UsageError

REDACTED = "[REDACTED]"
"""What Grafana answers in place of a secret that it holds."""

PREFIX = "nibai "


@dataclass(frozen=True, slots=True)
class Contacts:
    """What a file asks for, secrets resolved; `keys` are the secret settings of each uid."""

    points: tuple[ContactPoint, ...]
    keys: Mapping[str, frozenset[str]]
    policy: Mapping[str, Any]
    notes: tuple[str, ...]


def read_contacts(text: str, resolve: Callable[[str], str]) -> Contacts:
    """What `nibai rules export --format grafana-contacts` wrote; UsageError when it is not."""
    try:
        document = json.loads(text)
        points = [_point(one, resolve) for one in document["contact_points"]]
        keys = {one["uid"]: frozenset(one["secrets"]) for one in document["contact_points"]}
        policy = document["policy"]
        if not (policy["receiver"] and policy["object_matchers"]):
            raise ValueError("a policy without receiver or matchers")  # noqa: TRY301 - told below
        return Contacts(tuple(points), keys, policy, tuple(document["notes"]))
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            "these are no contact points for Grafana: give what "
            "`nibai rules export --format grafana-contacts` writes"
        ) from error


def push_contacts(grafana: Grafana, contacts: Contacts, *, verify: bool) -> list[str]:
    """Bring contact points, then the policies that name them; the lines to print.

    Doing it again changes nothing. Secrets are in no line and no error.
    """
    tree = _own_tree(grafana)
    held = {point.uid: point for point in grafana.contact_points()}
    lines = [f"note: {note}" for note in contacts.notes]
    for point in contacts.points:
        before = held.get(point.uid)
        if before is not None and before.provenance:
            raise _kept_elsewhere(f"the contact point {point.name!r}", before.provenance)
        grafana.put_contact_point(point, new=before is None)
        done = "pushed" if before is None else "updated"
        lines.append(f"{done} the contact point {point.name} ({point.kind})")
    lines += [
        f"note: the contact point {point.name} ({point.kind}) is no longer in the file: remove it"
        for uid, point in held.items()
        if uid.startswith("nibai-") and uid not in contacts.keys and point.name.startswith(PREFIX)
    ]
    wanted = with_branch(tree, contacts.policy)
    if wanted == tree:
        lines.append("notification policies: as they were")
    else:
        # Grafana takes the tree as a whole, and no version of it: what others wrote meanwhile would
        # be undone.
        if _own_tree(grafana) != tree:
            raise _changed_meanwhile()
        grafana.put_policies(wanted)
        lines.append("notification policies: our branch is written, the others are as they were")
    if verify:
        problems = [*_missing_points(grafana, contacts), *_missing_branch(grafana, contacts)]
        if problems:
            raise NotifyError(
                "\n".join(["Grafana does not hold what was pushed", *problems]),
                retryable=False,
                reason="verify",
            )
        lines.append(f"read back: {len(contacts.points)} contact points and their policy are there")
    return lines


def with_branch(tree: Mapping[str, Any], branch: Mapping[str, Any]) -> dict[str, Any]:
    """The tree with our branch where it was, or first, so that no other takes its alerts."""
    routes = list(tree.get("routes") or [])
    places = [i for i, route in enumerate(routes) if _is_ours(route, branch)]
    if not places:
        return {**tree, "routes": [dict(branch), *routes]}
    first = places[0]
    if _same(routes[first], branch) and len(places) == 1:
        return dict(tree)
    kept = [route for i, route in enumerate(routes) if i not in places[1:]]
    kept[first] = dict(branch)
    return {**tree, "routes": kept}


def _is_ours(route: Mapping[str, Any], branch: Mapping[str, Any]) -> bool:
    """Whether a branch has just our matchers: one with more of them was made by somebody else."""
    return _matchers(route) == _matchers(branch)


def _matchers(route: Mapping[str, Any]) -> list[list[Any]]:
    return sorted(list(one) for one in route.get("object_matchers") or [])


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two branches say the same: what is empty may be left out."""
    return _said(one) == _said(other)


def _said(route: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in route.items() if value and key != "provenance"}
    if "routes" in found:
        found["routes"] = [_said(one) for one in found["routes"]]
    return found


def _own_tree(grafana: Grafana) -> dict[str, Any]:
    tree = grafana.policies()
    kept = tree.get("provenance")
    if kept:
        raise _kept_elsewhere("the tree of notification policies", str(kept))
    return tree


def _changed_meanwhile() -> GrafanaError:
    return GrafanaError(
        "somebody changed the notification policies while they were pushed: they were left as they "
        "are now, and the contact points are there; push again",
        retryable=True,
        reason="conflict",
    )


def _kept_elsewhere(what: str, where: str) -> GrafanaError:
    return GrafanaError(
        f"{what} was provisioned ({where}) and cannot be changed by another way: put it there, "
        "or take it out of there first",
        retryable=False,
        reason="conflict",
    )


def _missing_points(grafana: Grafana, contacts: Contacts) -> list[str]:
    held = {point.uid: point for point in grafana.contact_points()}
    found = []
    for point in contacts.points:
        there = held.get(point.uid)
        if there is None:
            found.append(f"the contact point {point.name!r} ({point.kind}) is not there")
        elif (there.name, there.kind) != (point.name, point.kind):
            found.append(f"the contact point {point.name!r} is {there.name!r} ({there.kind})")
        else:
            found += [
                f"the setting {key} of {point.name!r} ({point.kind}) differs"
                for key, value in point.settings.items()
                if not _holds(there.settings.get(key), value, key in contacts.keys[point.uid])
            ]
    return found


def _holds(there: object, wanted: object, secret: bool) -> bool:
    """Whether Grafana holds a setting; of a secret it only says that there is one."""
    return there == wanted or (secret and there == REDACTED)


def _missing_branch(grafana: Grafana, contacts: Contacts) -> list[str]:
    routes: Sequence[Mapping[str, Any]] = grafana.policies().get("routes") or []
    ours = [route for route in routes if _is_ours(route, contacts.policy)]
    if len(ours) != 1:
        return [f"there are {len(ours)} branches of nibai among the notification policies"]
    return [] if _same(ours[0], contacts.policy) else ["our notification policy differs"]


def _point(given: Mapping[str, Any], resolve: Callable[[str], str]) -> ContactPoint:
    secrets = {key: resolve(str(reference)) for key, reference in given["secrets"].items()}
    return ContactPoint(
        uid=str(given["uid"]),
        name=str(given["name"]),
        kind=str(given["type"]),
        settings={**given["settings"], **secrets},
        quiet_end=bool(given["disableResolveMessage"]),
    )
