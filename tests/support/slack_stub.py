"""Slack's Web API as documented, on this machine: it rejects what the real one would reject.

Built from the documentation of chat.postMessage, chat.update, files.getUploadURLExternal,
files.completeUploadExternal and Block Kit (docs.slack.dev); never run against Slack itself.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

LIMITS = {"header": 150, "section": 3000, "field": 2000}
TYPES = ("plain_text", "mrkdwn")


class Slack:
    """The workspace: its messages, files and what it is told to answer."""

    def __init__(self):
        self.url = ""
        self.token = "xoxb-right"  # noqa: S105 - of the stub
        self.scopes = {"chat:write", "files:write"}
        self.channels = {"C0123"}
        self.messages = {}  # (channel, ts) -> arguments
        self.files = {}
        self.calls = []
        self.next = []  # (status, headers, body) answered instead, once each
        self.webhooks = []

    def answer(self, path, headers, form, body):
        """(status, headers, document) for one call."""
        method = path.rsplit("/", 1)[-1]
        self.calls.append(method)
        if self.next:
            status, more, document = self.next.pop(0)
            return status, more, document
        if path.startswith("/services/"):
            return self.webhook(form)
        if path.startswith("/upload/"):
            self.files[method]["content"] = body
            return 200, {}, "OK"
        if headers.get("Authorization") != f"Bearer {self.token}":
            return 200, {}, {"ok": False, "error": "invalid_auth"}
        return 200, {}, METHODS[method](self, form)

    def post(self, given):
        problem = self.refuses(given, "chat:write")
        if problem:
            return problem
        if given.get("thread_ts") and (given["channel"], given["thread_ts"]) not in self.messages:
            return {"ok": False, "error": "thread_not_found"}
        ts = f"1764028800.{len(self.messages) + 1:06d}"
        self.messages[given["channel"], ts] = given
        return {"ok": True, "channel": given["channel"], "ts": ts, "message": {}}

    def update(self, given):
        problem = self.refuses(given, "chat:write")
        if problem:
            return problem
        if (given["channel"], given["ts"]) not in self.messages:
            return {"ok": False, "error": "message_not_found"}
        self.messages[given["channel"], given["ts"]] |= given
        return {"ok": True, "channel": given["channel"], "ts": given["ts"], "text": given["text"]}

    def upload_url(self, given):
        if "files:write" not in self.scopes:
            return self.lacks("files:write")
        if not given.get("filename") or int(given.get("length", 0)) <= 0:
            return {"ok": False, "error": "invalid_arguments"}
        if len(given.get("alt_txt", "")) > 1000:
            return {"ok": False, "error": "alt_txt_too_large"}
        name = f"F{len(self.files) + 1}"
        self.files[name] = dict(given)
        return {"ok": True, "upload_url": f"{self.url}/upload/{name}", "file_id": name}

    def complete_upload(self, given):
        if "files:write" not in self.scopes:
            return self.lacks("files:write")
        files = json.loads(given["files"]) if isinstance(given["files"], str) else given["files"]
        for one in files:
            if "content" not in self.files[one["id"]]:
                return {"ok": False, "error": "file_not_found"}
            self.files[one["id"]] |= {
                "title": one.get("title"), "thread_ts": given.get("thread_ts"),
            }  # fmt: skip
        return {"ok": True, "files": files}

    def webhook(self, given):
        problem = blocks_problem(given.get("blocks", []))
        if problem or not given.get("text"):
            return 400, {}, problem or "no_text"
        self.webhooks.append(given)
        return 200, {}, "ok"

    def refuses(self, given, scope):
        if scope not in self.scopes:
            return self.lacks(scope)
        if given.get("channel") not in self.channels:
            return {"ok": False, "error": "channel_not_found"}
        if not given.get("text") and not given.get("blocks"):
            return {"ok": False, "error": "no_text"}
        problem = blocks_problem(given.get("blocks", []))
        if problem:
            return {"ok": False, "error": problem}
        return None

    def lacks(self, scope):
        return {
            "ok": False, "error": "missing_scope", "needed": scope,
            "provided": ",".join(sorted(self.scopes)),
        }  # fmt: skip


METHODS = {
    "chat.postMessage": Slack.post,
    "chat.update": Slack.update,
    "files.getUploadURLExternal": Slack.upload_url,
    "files.completeUploadExternal": Slack.complete_upload,
}


def blocks_problem(blocks):
    """The error that Slack gives for blocks, None for good ones."""
    if len(blocks) > 50 or not all(_good(block) for block in blocks):
        return "invalid_blocks"
    return "msg_blocks_too_long" if _characters(blocks) > 13_200 else None


def _characters(found):
    """Of every text, wherever it stands."""
    if isinstance(found, list):
        return sum(map(_characters, found))
    if isinstance(found, dict):
        own = found.get("text")
        rest = [value for key, value in found.items() if key != "text"]
        return (len(own) if isinstance(own, str) else _characters(own)) + _characters(rest)
    return 0


def _good(block):
    kind = block.get("type")
    if len(block.get("block_id", "")) > 255:
        return False
    if kind == "header":
        return _text(block.get("text"), LIMITS["header"]) and block["text"]["type"] == "plain_text"
    if kind == "section":
        fields = block.get("fields", [])
        if not block.get("text") and not fields:
            return False
        fine = all(_text(one, LIMITS["field"]) for one in fields) and len(fields) <= 10
        return fine and ("text" not in block or _text(block["text"], LIMITS["section"]))
    if kind == "context":
        elements = block.get("elements", [])
        return 1 <= len(elements) <= 10 and all(_text(one, 3000) for one in elements)
    return kind == "divider"


def _text(one, most):
    return (
        isinstance(one, dict)
        and one.get("type") in TYPES
        and 1 <= len(one.get("text", "")) <= most
        and not ("emoji" in one and one["type"] == "mrkdwn")
    )


@contextmanager
def serve():
    """A workspace on a free port of this machine."""
    slack = Slack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = urlsplit(self.path)
            form = dict(parse_qsl(path.query))
            if self.headers.get("Content-Type", "").startswith("application/json"):
                form |= json.loads(body)
            elif not path.path.startswith("/upload/") and "urlencoded" in self.headers.get(
                "Content-Type", ""
            ):
                form |= dict(parse_qsl(body.decode()))
            status, headers, document = slack.answer(path.path, self.headers, form, body)
            text = document if isinstance(document, str) else json.dumps(document)
            kind = "text/plain" if isinstance(document, str) else "application/json"
            self.send_response(status)
            for key, value in {"Content-Type": kind, **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    slack.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield slack
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
