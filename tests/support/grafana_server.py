"""A Grafana as its HTTP API is documented: strict about what it takes, of any major version.

It refuses what the real one would refuse: a missing token, unknown organizations, bodies of another
shape, dashboards in folders that are not there, numbers of annotations that do not exist. There is
no Grafana among the packages that can be installed; this is its documentation, not its code.
"""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

TOKEN = "glsa_SECRET_0123456789"  # noqa: S105 - of a server that exists in tests only
ANNOTATION_KEYS = {"dashboardUID", "panelId", "time", "timeEnd", "tags", "text"}
RULE_KEYS = {"title", "condition", "data", "for", "noDataState", "execErrState"}
LONGEST_TAGS = 500
ROUTE_KEYS = {"receiver", "group_by", "object_matchers", "continue", "routes", "group_wait",
              "group_interval", "repeat_interval", "mute_time_intervals", "provenance"}  # fmt: skip
SECURE = {
    "slack": {"url", "token"}, "pagerduty": {"integrationKey"}, "email": set(), "sns": set(),
    "webhook": {"password", "authorization_credentials"},
    "prometheus-alertmanager": {"basicAuthPassword"},
}  # fmt: skip
NEEDED = {
    "slack": [("url",), ("token", "recipient")], "pagerduty": [("integrationKey",)],
    "email": [("addresses",)], "webhook": [("url",)], "prometheus-alertmanager": [("url",)],
    "sns": [("topic_arn", "sigv4")],
}  # fmt: skip
"""Settings without which a type of contact point is refused; one of several sets."""


class RefusedError(Exception):
    """An answer of 4xx or 5xx."""

    def __init__(self, status, message="", headers=None, body=None):
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body = body if body is not None else {"message": message}


class FakeGrafana:
    """What it holds, what was asked of it, and what it shall answer first."""

    def __init__(self, version="11.2.0", *, sources=("prometheus",), health=None):
        self.version, self.sources = version, sources
        self.health = health or {"database": "ok", "version": version, "commit": "abc"}
        self.major = int(version.partition(".")[0])
        self.folders, self.dashboards, self.annotations, self.groups = {}, {}, {}, {}
        self.contact_points, self.policies_provenance = [], ""
        self.policies = {"receiver": "grafana-default-email", "group_by": ["grafana_folder"]}
        self.requests, self.failures = [], []
        self.url = self.refused_path = ""

    def fail(self, status, message="", *, times=1, headers=None, method=None, body=None):
        """The next requests (of a method) end like this."""
        refusal = RefusedError(status, message, headers, body)
        self.failures += [(method, refusal)] * times

    def asked(self, method):
        return [path for one, path, _ in self.requests if one == method]

    def answer(self, method, target, headers, body):
        """Status, headers and body."""
        parts = urlsplit(target)
        self.requests.append((method, target, headers))
        for place, (wanted, refusal) in enumerate(self.failures):
            if wanted in {None, method}:
                del self.failures[place]
                return refusal.status, refusal.headers, refusal.body
        path = parts.path.removeprefix("/api")
        try:
            if path == self.refused_path:
                raise RefusedError(403, f"You'll need additional permissions for {path}")  # noqa: TRY301
            if path != "/health":
                self._authorize(headers)
            status, found = self._route(method, path, parse_qsl(parts.query), body)
        except RefusedError as refusal:
            return refusal.status, refusal.headers, refusal.body
        return status, {}, found

    def _authorize(self, headers):
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            raise RefusedError(401, "Invalid API key")
        if headers.get("X-Grafana-Org-Id", "1") != "1":
            raise RefusedError(403, "You are not a member of this organization")

    def _route(self, method, path, query, body):
        routes = {
            ("GET", r"/health"): lambda: (200, self.health),
            ("GET", r"/datasources"): self._list_sources,
            ("GET", r"/folders/([^/]+)"): self._get_folder,
            ("POST", r"/folders"): lambda: self._new_folder(body),
            ("PUT", r"/folders/([^/]+)"): lambda uid: self._rename_folder(uid, body),
            ("POST", r"/dashboards/db"): lambda: self._save(body),
            ("GET", r"/dashboards/uid/([^/]+)"): self._read,
            ("POST", r"/annotations"): lambda: self._annotate(body),
            ("GET", r"/annotations"): lambda: self._find(query),
            ("PATCH", r"/annotations/(\d+)"): lambda number: self._patch(number, body),
            ("DELETE", r"/annotations/(\d+)"): self._delete,
            ("PUT", r"/v1/provisioning/folder/([^/]+)/rule-groups/([^/]+)"): (
                lambda folder, group: self._put_group(folder, group, body)
            ),
            ("GET", r"/v1/provisioning/folder/([^/]+)/rule-groups/([^/]+)"): self._get_group,
            ("GET", r"/v1/provisioning/contact-points"): self._list_points,
            ("POST", r"/v1/provisioning/contact-points"): lambda: self._new_point(body),
            ("PUT", r"/v1/provisioning/contact-points/([^/]+)"): (
                lambda uid: self._put_point(uid, body)
            ),
            ("GET", r"/v1/provisioning/policies"): self._get_policies,
            ("PUT", r"/v1/provisioning/policies"): lambda: self._put_policies(body),
        }
        for (wanted, pattern), serve in routes.items():
            match = re.fullmatch(pattern, path)
            if match and wanted == method:
                return serve(*map(unquote, match.groups()))
        raise RefusedError(404, "Not found")

    def _list_sources(self):
        return 200, [{"uid": f"u{n}", "name": kind.title(), "type": kind}
                     for n, kind in enumerate(self.sources)]  # fmt: skip

    # -- folders ---------------------------------------------------------------------------------

    def _get_folder(self, uid):
        if uid not in self.folders:
            raise RefusedError(404, "folder not found", body={"message": "folder not found",
                                                         "status": "not-found"})  # fmt: skip
        return 200, self.folders[uid]

    def _new_folder(self, body):
        _only(body, {"uid", "title", "parentUid", "description"}, need={"title"})
        if body["uid"] in self.folders or body["title"] in self._titles():
            # 412 by older versions, 409 by newer ones.
            raise RefusedError(
                409 if self.major >= 11 else 412, "a folder with the same name exists"
            )
        self.folders[body["uid"]] = {"id": 1, "version": 1, **body}
        return 200, self.folders[body["uid"]]

    def _rename_folder(self, uid, body):
        _only(body, {"title", "version", "overwrite", "description"}, need={"title"})
        if not body.get("overwrite") and "version" not in body:
            raise RefusedError(412, "the folder has been changed by someone else")
        self._get_folder(uid)
        self.folders[uid]["title"] = body["title"]
        return 200, self.folders[uid]

    def _titles(self):
        return {folder["title"] for folder in self.folders.values()}

    # -- dashboards ------------------------------------------------------------------------------

    def _save(self, body):
        _only(body, {"dashboard", "folderUid", "folderId", "overwrite", "message"},
              need={"dashboard"})  # fmt: skip
        document = body["dashboard"]
        if body.get("folderUid") not in self.folders:
            raise RefusedError(400, "folder not found")
        if not document.get("title") or len(document.get("uid", "")) > 40:
            raise RefusedError(400, "Dashboard title cannot be empty, uid at most 40 characters")
        if document.get("id") is not None:
            raise RefusedError(404, "Dashboard not found")
        known = self.dashboards.get(document["uid"])
        if known and not body.get("overwrite"):
            raise RefusedError(412, body={"status": "version-mismatch",
                                     "message": "changed by someone else"})  # fmt: skip
        version = known["dashboard"]["version"] + 1 if known else 1
        stored = {**document, "id": 7, "version": version}
        if self.major >= 12:
            stored["schemaVersion"] = 41  # newer versions migrate what they are given
        self.dashboards[document["uid"]] = {
            "dashboard": stored,
            "meta": {"folderUid": body["folderUid"], "message": body.get("message")},
        }
        return 200, {"id": 7, "uid": document["uid"], "status": "success", "version": version,
                     "url": f"/d/{document['uid']}/slug", "slug": "slug"}  # fmt: skip

    def _read(self, uid):
        if uid not in self.dashboards:
            raise RefusedError(404, "Dashboard not found")
        return 200, self.dashboards[uid]

    # -- annotations -----------------------------------------------------------------------------

    def _annotate(self, body):
        self._judge_annotation(body, need={"time", "text"})
        number = len(self.annotations) + 1
        self.annotations[number] = dict(body)
        return 200, {"message": "Annotation added", "id": number}

    def _patch(self, number, body):
        self._judge_annotation(body, need=set())
        if int(number) not in self.annotations:
            raise RefusedError(404, "Could not find annotation to update")
        self.annotations[int(number)] |= body
        return 200, {"message": "Annotation patched"}

    def _delete(self, number):
        if self.annotations.pop(int(number), None) is None:
            raise RefusedError(404, "Could not find annotation to delete")
        return 200, {"message": "Annotation deleted"}

    def _judge_annotation(self, body, need):
        _only(body, ANNOTATION_KEYS, need=need)
        if not all(isinstance(body.get(key, 0), int) for key in ("time", "timeEnd")):
            raise RefusedError(400, "bad request data")
        if len(json.dumps(body.get("tags", []))) > LONGEST_TAGS:
            raise RefusedError(400, "tags length exceeds the maximum allowed")

    def _find(self, query):
        if {key for key, _ in query} - {"tags", "type", "limit", "matchAny", "from", "to"}:
            raise RefusedError(400, "unknown parameter")
        wanted = {value for key, value in query if key == "tags"}
        return 200, [
            {"id": number, "alertId": 0, "dashboardId": 0, **one}
            for number, one in self.annotations.items()
            if wanted <= set(one.get("tags", []))
        ]

    # -- rules -----------------------------------------------------------------------------------

    def _put_group(self, folder, group, body):
        _only(body, {"title", "folderUid", "interval", "rules"}, need={"interval", "rules"})
        if folder not in self.folders:
            raise RefusedError(404, "folder not found")
        if body["title"] != group or not isinstance(body["interval"], int):
            raise RefusedError(400, "invalid rule group")
        for rule in body["rules"]:
            if RULE_KEYS - set(rule):
                raise RefusedError(
                    400, f"invalid alert rule: {sorted(RULE_KEYS - set(rule))} missing"
                )
        headers = self.requests[-1][2]
        self.groups[folder, group] = {**body, "editable": "X-Disable-Provenance" in headers}
        return 200, body

    def _get_group(self, folder, group):
        if (folder, group) not in self.groups:
            raise RefusedError(404, "rule group not found")
        return 200, self.groups[folder, group]

    # -- contact points and policies -------------------------------------------------------------

    def _provenance(self):
        # Present, whatever its value: what came this way may be edited in the browser.
        return "" if "X-Disable-Provenance" in self.requests[-1][2] else "api"

    def _list_points(self):
        return 200, [
            {**point, "settings": {
                key: "[REDACTED]" if key in SECURE[point["type"]] else value
                for key, value in point["settings"].items()
            }}
            for point in sorted(self.contact_points, key=lambda one: one["name"])
        ]  # fmt: skip

    def _new_point(self, body):
        self._judge_point(body)
        if any(point["uid"] == body["uid"] for point in self.contact_points) and self.major >= 11:
            raise RefusedError(500, "receiver configuration with the same UID already exists")
        # Older versions take a second one of the same uid without a word.
        self.contact_points.append({**body, "provenance": self._provenance()})
        return 202, body

    def _put_point(self, uid, body):
        self._judge_point({**body, "uid": uid})
        known = [point for point in self.contact_points if point["uid"] == uid]
        if not known:
            message = f"contact point with uid '{uid}' not found"
            raise RefusedError(404 if self.major >= 11 else 500, message)
        held, given = known[0]["provenance"], self._provenance()
        if held not in {"", given}:
            raise RefusedError(500, f"cannot changed provenance from '{held}' to '{given}'")
        known[0].update(body, provenance=given)
        return 202, {"message": "contactpoint updated"}

    def _judge_point(self, body):
        _only(body, {"uid", "name", "type", "settings", "disableResolveMessage", "provenance"},
              need={"name", "type", "settings"})  # fmt: skip
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", body.get("uid", "")):
            raise RefusedError(400, "invalid UID")
        settings, kind = body["settings"], body["type"]
        if kind not in NEEDED or (kind == "sns" and self.major < 11):
            raise RefusedError(400, f"notifier {kind} is not supported")
        if not any(all(settings.get(key) for key in keys) for keys in NEEDED[kind]):
            raise RefusedError(
                400, f"invalid contact point: could not find {NEEDED[kind]} property"
            )
        if "[REDACTED]" in settings.values():
            raise RefusedError(400, "a redacted secret is none")

    def _get_policies(self):
        held = self.policies_provenance
        return 200, {**self.policies, **({"provenance": held} if held else {})}

    def _put_policies(self, body):
        if not body.get("receiver") or body.get("object_matchers"):
            raise RefusedError(400, "invalid object specification: root route must specify a "
                                    "default receiver and no matchers")  # fmt: skip
        known = {point["name"] for point in self.contact_points} | {"grafana-default-email"}
        self._judge_route(body, known)
        if self.policies_provenance not in {"", self._provenance()}:
            raise RefusedError(400, "cannot changed provenance from 'file' to ''")
        self.policies = {key: value for key, value in body.items() if key != "provenance"}
        return 202, {"message": "policies updated"}

    def _judge_route(self, route, known):
        _only(route, ROUTE_KEYS, need=set())
        if route.get("receiver") and route["receiver"] not in known:
            raise RefusedError(400, f"invalid object specification: receiver "
                                    f"'{route['receiver']}' does not exist")  # fmt: skip
        for matcher in route.get("object_matchers") or []:
            if len(matcher) != 3 or matcher[1] not in {"=", "!=", "=~", "!~"}:
                raise RefusedError(400, f"unsupported match type {matcher}")
            re.compile(matcher[2])
        for one in route.get("routes") or []:
            self._judge_route(one, known)


def _only(body, known, need):
    if not isinstance(body, dict):
        raise RefusedError(400, "bad request data")
    unknown, missing = set(body) - known, need - set(body)
    if unknown or missing:
        raise RefusedError(
            400, f"bad request data: unknown {sorted(unknown)}, no {sorted(missing)}"
        )


@contextmanager
def served(grafana):
    """The fake on loopback; its address is `grafana.url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            body = json.loads(raw) if raw else None
            status, headers, found = grafana.answer(
                self.command, self.path, dict(self.headers), body
            )
            # Newer versions answer some writes with nothing at all.
            payload = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names of http.server

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    grafana.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield grafana
    finally:
        server.shutdown()
        server.server_close()
