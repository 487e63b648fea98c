"""What AWS answered to `nibai doctor`, saved without what is the user's own.

One file an answer: service, operation, request, and the response or the error. With them somebody
else can see what no document settles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from collector.aws.session import Caller
from collector.aws.watched import Watched
from collector.capabilities.redacted import Redaction
from collector.promql.client import Http
from nibai.errors import UsageError

OWN = frozenset({"error", "action"})
"""What AWS calls a refusal, and the permission that lacks."""


class Fixtures:
    """A folder that is new or empty; answers are numbered in the order in which they came."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            there = next(folder.iterdir(), None)
        except OSError as error:
            raise UsageError(
                f"--save-fixtures {folder}: cannot be written ({error.strerror})"
            ) from None
        if there is not None:
            raise UsageError(f"--save-fixtures {folder}: is not empty: name a new folder")
        self._folder = folder
        self._redaction = Redaction()
        self._number = 0

    def watching(self, service: str, caller: Caller) -> Caller:
        """The same client, every answer of which is saved."""
        return Watched(caller, partial(self.save, service))

    def http(self, asked: Http) -> Http:
        """The same for PromQL."""

        def request(
            method: str, url: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, bytes]:
            status, data = asked(method, url, headers, body)
            operation = url.partition("?")[0].partition("/api/v1/")[2].replace("/", "-")
            try:
                found: object = json.loads(data)
            except ValueError:
                found = "not JSON"
            self.save("promql", operation, {}, {"status": status, "response": found})
            return status, data

        return request

    def save(
        self, service: str, operation: str, request: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> None:
        """One answer."""
        self._number += 1
        document = {
            "service": service,
            "operation": operation,
            "request": self._redaction.value(request),
            **{
                key: self._redaction.words(str(one))
                if key == "message"
                else self._redaction.value(_without(one), "Code" if key in OWN else "")
                for key, one in answer.items()
            },
        }
        text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=False)
        path = self._folder / f"{self._number:03d}-{service}-{operation}.json"
        path.write_text(f"{text}\n", encoding="utf-8")


def _without(answer: object) -> object:
    """Headers say when, and to whom."""
    if isinstance(answer, Mapping):
        return {key: one for key, one in answer.items() if key != "ResponseMetadata"}
    return answer
