"""Every error that nibai raises on purpose.

::

    NibaiError                        70
    ├── UsageError                     2   wrong option, file, column or claim sentence
    │   └── ConfigError                2   nibai.yaml
    ├── PluginError                    4   an entry point that does not load or breaks its protocol
    ├── CollectError(retryable, ...)   5   a source or file that cannot be read
    │   ├── ThrottledError             5
    │   ├── AuthError                  5
    │   └── SchemaError                5
    ├── StoreError                     6   write-ahead log, lake, state
    ├── NotifyError(retryable, ...)    7
    └── HistogramMismatchError        70   a programming error: merging what cannot be merged

The number is the exit status. A verdict (0, 1, 3) is never an exception.
A message names the object, the fact and the remedy, and holds no secret.
"""

from __future__ import annotations

from typing import ClassVar


class NibaiError(Exception):
    """Base of all errors whose text is meant for the user."""

    exit_code: ClassVar[int] = 70


class UsageError(NibaiError):
    """The command, file, column or claim sentence is not usable as given."""

    exit_code = 2


class ConfigError(UsageError):
    """`nibai.yaml` holds something nibai cannot work with."""


class PluginError(NibaiError):
    """An entry point does not load, or what it built breaks its protocol."""

    exit_code = 4


class CollectError(NibaiError):
    """A source could not be read; `retryable` says whether trying again can help."""

    exit_code = 5

    def __init__(
        self, message: str, *, retryable: bool = False, reason: str = "unreadable"
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.reason = reason


class ThrottledError(CollectError):
    """The source asks to come back later."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, retryable=True, reason="throttled")
        self.retry_after_seconds = retry_after_seconds


class AuthError(CollectError):
    """The source refuses these credentials."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False, reason="auth")


class SchemaError(CollectError):
    """The source answered something of another shape than documented."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False, reason="schema")


class StoreError(NibaiError):
    """The write-ahead log, the lake or the state cannot be read or written."""

    exit_code = 6


class NotifyError(NibaiError):
    """An alert could not be delivered; `retryable` says whether trying again can help.

    `retry_after_seconds`: what the receiver asked for. `message_id`: the message was told, only
    what belongs to it (a thread, a picture) was not.
    """

    exit_code = 7

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        reason: str,
        retry_after_seconds: float | None = None,
        message_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.message_id = message_id


class HistogramMismatchError(NibaiError):
    """Two histograms of different resolution or block count were combined."""
