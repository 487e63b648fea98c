"""Dashboards onto a Grafana, and whether they arrived."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dashboards.grafana.port import Annotation, Grafana, GrafanaError
from nibai.errors import NotifyError, UsageError

FOLDER_UID = "nibai"
OLDEST, NEWEST = 10, 13
FORBIDDEN = 403


def push(
    grafana: Grafana, texts: Mapping[str, str], folder: str, message: str, *, verify: bool
) -> list[str]:
    """Bring dashboards to a folder; the lines to print. Doing it again changes nothing."""
    lines = [_greeting(grafana), *_sources(grafana)]
    grafana.upsert_folder(FOLDER_UID, folder)
    documents = [json.loads(text) for text in texts.values()]
    for document in documents:
        page = grafana.upsert_dashboard(document, FOLDER_UID, message)
        lines.append(f"pushed {document['title']}: {page}")
    if verify:
        differences = [one for document in documents for one in differing(grafana, document)]
        _require_none(differences)
        lines.append(f"read back: {len(documents)} dashboards are there as they were pushed")
    return lines


def push_rules(grafana: Grafana, text: str, *, verify: bool) -> list[str]:
    """Bring rule groups to the folder of the dashboards, each whole; the lines to print.

    `text` is what `nibai rules export --format grafana` writes; UsageError when it is not.
    """
    groups = _groups(text)
    lines = []
    for group in groups:
        title, rules = group["title"], group["rules"]
        grafana.put_rule_group(FOLDER_UID, title, group["interval"], rules)
        lines.append(f"pushed the rule group {title}: {len(rules)} rules")
    if verify:
        missing = [line for group in groups for line in _missing_rules(grafana, group)]
        _require_none(missing)
        lines.append(f"read back: {len(groups)} rule groups are there as they were pushed")
    return lines


def _require_none(differences: list[str]) -> None:
    if differences:
        raise NotifyError(
            "\n".join(["Grafana does not hold what was pushed", *differences]),
            retryable=False,
            reason="verify",
        )


def try_annotation(grafana: Grafana, now: float) -> list[str]:
    """Write a mark, find it by its tags, change it, find that, remove it; the lines to print."""
    tags = ("nibai", f"verify:{now:.0f}")
    first = Annotation(now - 1.0, now, "nibai dashboards push --verify", tags)
    number = grafana.annotate(first)
    try:
        _require(grafana, number, first, "written")
        second = replace(first, text=f"{first.text}: changed", tags=(*tags, "changed"))
        grafana.patch_annotation(number, second)
        _require(grafana, number, second, "changed")
    finally:
        grafana.delete_annotation(number)
    return ["marks: one was written, found by its tags, changed and removed"]


def _require(grafana: Grafana, number: int, wanted: Annotation, done: str) -> None:
    found = grafana.find_annotation(wanted.tags)
    if [(one.id, one.annotation.text) for one in found] != [(number, wanted.text)]:
        raise NotifyError(
            f"Grafana does not find the mark that was {done}: windows of changes would be drawn "
            "twice; look at its annotations, or set grafana.annotate to false",
            retryable=False,
            reason="verify",
        )


def _groups(text: str) -> list[dict[str, Any]]:
    wrong = UsageError(
        "these are no rule groups for Grafana: give what `nibai rules export --format grafana` "
        "writes"
    )
    try:
        found = json.loads(text)
    except ValueError as error:
        raise wrong from error
    if not isinstance(found, list) or not all(
        isinstance(one, dict)
        and isinstance(one.get("title"), str)
        and isinstance(one.get("interval"), int)
        and isinstance(one.get("rules"), list)
        for one in found
    ):
        raise wrong
    return found


def _missing_rules(grafana: Grafana, group: Mapping[str, Any]) -> list[str]:
    title = group["title"]
    held = grafana.read_rule_group(FOLDER_UID, title)
    if held is None:
        return [f"the rule group {title!r} is not there"]
    wanted, given = _asked(group["rules"]), _asked(held.get("rules", []))
    return [f"the rule {name!r} of {title!r} differs" for name in sorted({*wanted} ^ {*given})] + [
        f"the rule {name!r} of {title!r} asks something else"
        for name in sorted({*wanted} & {*given})
        if wanted[name] != given[name]
    ]


def _asked(rules: Sequence[Mapping[str, Any]]) -> dict[str, list[object]]:
    return {
        str(rule.get("title")): [one.get("model", {}).get("expr") for one in rule.get("data", [])]
        for rule in rules
    }


def differing(grafana: Grafana, document: Mapping[str, Any]) -> list[str]:
    """What Grafana holds otherwise than given: place, title, panels, queries.

    Newer versions rewrite a dashboard when they take it, so that files are not compared by letter.
    """
    uid = document["uid"]
    held = grafana.read_dashboard(uid)
    if held is None:
        return [f"{uid}: is not there"]
    found = []
    if held.get("folderUid") != FOLDER_UID:
        found.append(f"{uid}: is in the folder {held.get('folderUid')!r}, not {FOLDER_UID!r}")
    if held.get("title") != document["title"]:
        found.append(f"{uid}: has the title {held.get('title')!r}")
    wanted, given = _queries(document), _queries(held)
    for panel in sorted({*wanted} | {*given}):
        if panel not in given:
            found.append(f"{uid}: the panel {panel!r} is missing")
        elif panel not in wanted:
            found.append(f"{uid}: the panel {panel!r} is not ours")
        elif wanted[panel] != given[panel]:
            found.append(f"{uid}: the panel {panel!r} asks something else")
    return found


def _queries(document: Mapping[str, Any]) -> dict[str, list[str]]:
    return {
        str(panel.get("title")): [str(one.get("expr")) for one in panel.get("targets", [])]
        for panel in document.get("panels", [])
        if panel.get("type") != "row"
    }


def _greeting(grafana: Grafana) -> str:
    health = grafana.health()
    if not health.database_ok:
        raise GrafanaError(
            "Grafana says that its database is not well: look there first",
            retryable=True,
            reason="server",
        )
    if health.major is not None and health.major < OLDEST:
        raise GrafanaError(
            f"Grafana {health.version} is too old: these dashboards need {OLDEST} or newer",
            retryable=False,
            reason="version",
        )
    if health.major is None:
        return "Grafana hides its version; 10 to 13 are supported"
    untried = f" (newer than {NEWEST}, not tried)" if health.major > NEWEST else ""
    return f"Grafana {health.version}{untried}"


def _sources(grafana: Grafana) -> list[str]:
    try:
        found = [one.name for one in grafana.data_sources() if one.kind == "prometheus"]
    except GrafanaError as error:
        if error.status != FORBIDDEN:
            raise
        return ["note: the token may not list data sources; the dashboards need a Prometheus"]
    if not found:
        return ["note: there is no Prometheus data source; add the one that scrapes nibai"]
    return [f"Prometheus data sources: {', '.join(sorted(found))}"]
