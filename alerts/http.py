"""One POST of a message, and what its end means for trying again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import urllib3

from nibai.errors import NotifyError

TIMEOUT = urllib3.Timeout(connect=5.0, read=15.0)
THROTTLED, SERVER_ERRORS = 429, 500
LONGEST_BODY = 64 * 1024
"""Bytes of an answer that are read."""


def post(url: str, body: object, headers: Mapping[str, str] | None = None) -> str:
    """Post a JSON document; the text of the answer. NotifyError names the host, never the address.

    429 and 5xx and a connection that fails may be tried again; another status may not.
    """
    where = host(url)
    data = json.dumps(body, ensure_ascii=False).encode()
    sent = {"Content-Type": "application/json", "User-Agent": "nibai", **(headers or {})}
    try:
        with urllib3.PoolManager(retries=False, timeout=TIMEOUT) as pool:
            answer = pool.request("POST", url, body=data, headers=sent, preload_content=False)
            text = answer.read(LONGEST_BODY).decode("utf-8", "replace")
            answer.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NotifyError(
            f"{where} cannot be reached ({type(error).__name__}): check address and network",
            retryable=True,
            reason="unreachable",
        ) from None
    if answer.status < 300:  # noqa: PLR2004 - the statuses of success
        return text
    raise refused(where, answer.status, retry_after(answer.headers), text)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds for which patience is asked: a number, or a date against the answer's own.

    >>> retry_after({"Retry-After": "30"})
    30.0
    >>> sent, later = "Fri, 27 Nov 2026 04:00:00 GMT", "Fri, 27 Nov 2026 04:02:00 GMT"
    >>> retry_after({"Retry-After": later, "Date": sent})
    120.0
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return float(asked)
    try:
        until, now = (parsedate_to_datetime(text) for text in (asked, headers.get("Date", "")))
        return max((until - now).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def refused(where: str, status: int, wait: float | None, text: str = "") -> NotifyError:
    """The error that a status stands for; `wait` is the patience that was asked for."""
    said = " ".join(text.split())[:200]
    if status == THROTTLED:
        return NotifyError(
            f"{where} asks for patience (429)",
            retryable=True,
            reason="throttled",
            retry_after_seconds=wait,
        )
    if status >= SERVER_ERRORS:
        return NotifyError(
            f"{where} fails ({status})",
            retryable=True,
            reason="server_error",
            retry_after_seconds=wait,
        )
    return NotifyError(
        f"{where} refuses the message ({status}{': ' + said if said else ''}): "
        "check the receiver's options",
        retryable=False,
        reason="refused",
    )


def host(url: str) -> str:
    """What may be said of an address: paths and users may be secrets.

    >>> host("https://user:word@hooks.example.com/services/T0/B0/XXXX")
    'hooks.example.com'
    """
    return urlsplit(url).hostname or "the receiver"
