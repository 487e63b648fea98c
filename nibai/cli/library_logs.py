"""What libraries log while a command runs, without secrets: nobody set up logging for it."""

from __future__ import annotations

import logging

from nibai.cli.saying import inert
from nibai.redaction import redacted


class Plain(logging.Formatter):
    """The message, and what was raised."""

    def format(self, record: logging.LogRecord) -> str:
        """The text."""
        return inert(redacted(super().format(record)))


def log_without_secrets() -> None:
    """From now on: warnings and worse to standard error, as Python does by itself."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Plain())
