"""The port over Grafana's `/api`, which Grafana 10 to 13 serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from dashboards.grafana.port import (
    Annotation,
    ContactPoint,
    DataSource,
    GrafanaError,
    Health,
    StoredAnnotation,
)
from dashboards.grafana.transport import Transport

TAKEN = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
"""Grafana says 409 or 412 when something exists, by version."""

FOUND_AT_MOST = 100
CONTACT_POINTS = "/v1/provisioning/contact-points"
POLICIES = "/v1/provisioning/policies"
EDITABLE = {"X-Disable-Provenance": "true"}
"""Without this header, rules that came by HTTP could not be edited in the browser."""


class LegacyGrafana:
    """One Grafana by its `/api`."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

    def health(self) -> Health:
        """Whether it is well."""
        found = self._http.ask("GET", "/health")
        if "database" not in found:
            raise self._unexpected("/health")
        return Health(str(found.get("version") or ""), found["database"] == "ok")

    def data_sources(self) -> tuple[DataSource, ...]:
        """Sources that the token may see."""
        found = self._http.ask("GET", "/datasources")
        if not isinstance(found, list):
            raise self._unexpected("/datasources")
        return tuple(
            DataSource(str(one.get("uid", "")), str(one.get("name", "")), str(one.get("type", "")))
            for one in found
        )

    def upsert_folder(self, uid: str, title: str, parent_uid: str | None = None) -> None:
        """The folder exists and has this title afterwards."""
        path = f"/folders/{quote(uid, safe='')}"
        found = self._http.find(path)
        if found is None:
            body = {"uid": uid, "title": title}
            if parent_uid is not None:
                body["parentUid"] = parent_uid
            try:
                found = self._http.ask("POST", "/folders", body)
            except GrafanaError as error:
                # Somebody was quicker; a folder of this title under another uid is not ours.
                found = self._http.find(path) if error.status in TAKEN else None
                if found is None:
                    raise
        if found.get("title") != title:
            self._http.ask("PUT", path, {"title": title, "overwrite": True})

    def upsert_dashboard(self, document: Mapping[str, Any], folder_uid: str, message: str) -> str:
        """The dashboard is as given afterwards; the path of its page."""
        # The number is Grafana's own, and a version would ask for exactly that one to be replaced.
        bare = {key: value for key, value in document.items() if key not in {"id", "version"}}
        body = {
            "dashboard": {**bare, "id": None},
            "folderUid": folder_uid,
            "overwrite": True,
            "message": message,
        }
        found = self._http.ask("POST", "/dashboards/db", body)
        if found.get("uid") != document["uid"]:
            raise self._unexpected("/dashboards/db")
        return str(found.get("url") or f"/d/{document['uid']}")

    def read_dashboard(self, uid: str) -> dict[str, Any] | None:
        """A dashboard as Grafana holds it, and its folder under `folderUid`."""
        found = self._http.find(f"/dashboards/uid/{quote(uid, safe='')}")
        if found is None:
            return None
        return {**found.get("dashboard", {}), "folderUid": found.get("meta", {}).get("folderUid")}

    def annotate(self, annotation: Annotation) -> int:
        """A new annotation's number."""
        found = self._http.ask("POST", "/annotations", _body(annotation))
        if not isinstance(found.get("id"), int):
            raise self._unexpected("/annotations")
        return int(found["id"])

    def find_annotation(self, tags: Sequence[str]) -> tuple[StoredAnnotation, ...]:
        """Annotations that have all of these tags."""
        asked = [("tags", tag) for tag in tags]
        query = urlencode([*asked, ("type", "annotation"), ("limit", FOUND_AT_MOST)])
        found = self._http.ask("GET", f"/annotations?{query}")
        if not isinstance(found, list):
            raise self._unexpected("/annotations")
        return tuple(
            StoredAnnotation(
                int(one["id"]),
                Annotation(
                    one["time"] / 1000,
                    (one.get("timeEnd") or one["time"]) / 1000,
                    str(one.get("text", "")),
                    tuple(one.get("tags") or ()),
                ),
            )
            for one in found
        )

    def patch_annotation(self, number: int, annotation: Annotation) -> None:
        """The annotation is as given afterwards; all of it is sent, tags too."""
        self._http.ask("PATCH", f"/annotations/{number}", _body(annotation))

    def delete_annotation(self, number: int) -> None:
        """The annotation is gone."""
        self._http.ask("DELETE", f"/annotations/{number}")

    def put_rule_group(
        self, folder_uid: str, group: str, interval_seconds: int, rules: Sequence[Mapping[str, Any]]
    ) -> None:
        """The whole group is as given afterwards, and can be edited in the browser."""
        body = {
            "title": group,
            "folderUid": folder_uid,
            "interval": interval_seconds,
            "rules": [dict(rule) for rule in rules],
        }
        self._http.ask("PUT", _group_path(folder_uid, group), body, EDITABLE)

    def read_rule_group(self, folder_uid: str, group: str) -> dict[str, Any] | None:
        """A group as Grafana holds it."""
        found: dict[str, Any] | None = self._http.find(_group_path(folder_uid, group))
        return found

    def contact_points(self) -> tuple[ContactPoint, ...]:
        """All of them; of secrets only that there is one."""
        found = self._http.ask("GET", CONTACT_POINTS)
        if not isinstance(found, list):
            raise self._unexpected(CONTACT_POINTS)
        return tuple(
            ContactPoint(
                uid=str(one.get("uid", "")),
                name=str(one.get("name", "")),
                kind=str(one.get("type", "")),
                settings=one.get("settings") or {},
                quiet_end=bool(one.get("disableResolveMessage")),
                provenance=str(one.get("provenance") or ""),
            )
            for one in found
        )

    def put_contact_point(self, point: ContactPoint, *, new: bool) -> None:
        """It is as given afterwards, and can be edited in the browser.

        Older versions take a second one of the same uid: who asks knows whether it is new.
        """
        body = {
            "uid": point.uid,
            "name": point.name,
            "type": point.kind,
            "settings": dict(point.settings),
            "disableResolveMessage": point.quiet_end,
        }
        if new:
            self._http.ask("POST", CONTACT_POINTS, body, EDITABLE)
        else:
            path = f"{CONTACT_POINTS}/{quote(point.uid, safe='')}"
            self._http.ask("PUT", path, body, EDITABLE)

    def policies(self) -> dict[str, Any]:
        """The tree of notification policies."""
        found = self._http.ask("GET", POLICIES)
        if not isinstance(found, dict) or "receiver" not in found:
            raise self._unexpected(POLICIES)
        return found

    def put_policies(self, tree: Mapping[str, Any]) -> None:
        """The whole tree is as given afterwards, and can be edited in the browser."""
        self._http.ask("PUT", POLICIES, dict(tree), EDITABLE)

    def _unexpected(self, path: str) -> GrafanaError:
        return GrafanaError(
            f"Grafana at {self._http.name} answers {path} in a shape that nibai does not know: "
            "Grafana 10 to 13 are supported, check grafana.url",
            retryable=False,
            reason="schema",
        )


def _group_path(folder_uid: str, group: str) -> str:
    folder, name = quote(folder_uid, safe=""), quote(group, safe="")
    return f"/v1/provisioning/folder/{folder}/rule-groups/{name}"


def _body(annotation: Annotation) -> dict[str, Any]:
    return {
        "time": round(annotation.start * 1000),
        "timeEnd": round(annotation.end * 1000),
        "text": annotation.text,
        "tags": list(annotation.tags),
    }
