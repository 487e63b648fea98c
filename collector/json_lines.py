"""One JSON object a line, as services write their records; a time in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from collector.replay.rows import RejectedError

BAD_TIME = "no time"


def json_object(line: bytes, otherwise: str) -> dict[str, object]:
    """The object of a line; raises RejectedError with the reason, `otherwise` where it is none.

    >>> json_object(b'{"id": 1}', "no record")
    {'id': 1}
    """
    try:
        found = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RejectedError("not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise RejectedError("not JSON") from error
    if not isinstance(found, dict):
        raise RejectedError(otherwise)
    return found


def iso_moment(text: object) -> float:
    """Seconds since the epoch of an ISO 8601 text, UTC where it names no zone.

    >>> iso_moment("1970-01-01T00:01:00Z")
    60.0
    """
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise RejectedError(BAD_TIME) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
