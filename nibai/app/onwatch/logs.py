"""Structured logs: one JSON object per line, with the trace it belongs to where there is one.

Secrets that were read are in none of them, whoever wrote the text.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time

from nibai.redaction import redacted

LOG = logging.getLogger("nibai")


class JsonLines(logging.Formatter):
    """One JSON object per log line; text from outside cannot break out of its line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
            **_trace(),
        }
        if record.exc_info:
            entry["error"] = redacted(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def _trace() -> dict[str, str]:
    """The span that is open here; nothing where own telemetry was never loaded."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return {}
    from opentelemetry.trace import (  # noqa: PLC0415 - loaded already, or not wanted
        format_span_id,
        format_trace_id,
        get_current_span,
    )

    found = get_current_span().get_span_context()
    if not found.is_valid:
        return {}
    return {"trace_id": format_trace_id(found.trace_id), "span_id": format_span_id(found.span_id)}


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    """A thread ended with what nobody caught; Python would print it, secrets and all."""
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        name = "" if ended.thread is None else ended.thread.name
        LOG.error("thread %s ended unexpectedly", name, exc_info=ended.exc_value)


def _log_unraisable(lost: sys.UnraisableHookArgs) -> None:
    """What was raised where nothing can catch it."""
    if lost.exc_value is not None:
        LOG.error("%s", lost.err_msg or "lost", exc_info=lost.exc_value)


def log_as_json() -> None:
    """From now on everything that is logged goes to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonLines()
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # It tells of every wake-up.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable
    # gRPC writes lines of its own, one a refused greeting; it reads this when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
