"""A client every answer of which is told to somebody else, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from collector.aws.errors import DeniedError
from collector.aws.session import Caller
from nibai.errors import CollectError

Told = Callable[[str, Mapping[str, Any], Mapping[str, Any]], None]
"""Gets the operation, the request, and {"response": …} or the error's reason and message."""


class Watched:
    """As `caller`; `told` hears of an answer before whoever asked."""

    def __init__(self, caller: Caller, told: Told) -> None:
        self._caller = caller
        self._told = told

    def call(self, operation: str, **request: object) -> Mapping[str, Any]:
        """One answer; raises what the caller raises."""
        try:
            answer = self._caller.call(operation, **request)
        except CollectError as error:
            action = {"action": error.action} if isinstance(error, DeniedError) else {}
            self._told(operation, request, {"error": error.reason, **action, "message": str(error)})
            raise
        self._told(operation, request, {"response": answer})
        return answer
