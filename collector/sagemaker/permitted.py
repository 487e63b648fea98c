"""What may not be asked is left out, once, by the name of the permission."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from collector.aws.errors import DeniedError
from nibai.errors import AuthError, CollectError

T = TypeVar("T")

GONE = frozenset({"ResourceNotFound", "ResourceNotFoundException"})
INVALID, NOT_FOUND = "ValidationException", "could not find"
"""SageMaker says so of most things that do not exist, and of requests that are wrong."""


def is_gone(error: CollectError) -> bool:
    """Whether something of that name does not exist."""
    return error.reason in GONE or (error.reason == INVALID and NOT_FOUND in str(error).lower())


class Permitted:
    """Asks, and remembers what was refused; every missing permission is one problem."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def ask(self, question: Callable[[], T], without: str, otherwise: T | None = None) -> T | None:
        """The answer; None where it is refused or not there, `without` says what lacks then.

        `otherwise` is known from elsewhere and stands in for what is gone. Raises what may be
        answered another time.
        """
        try:
            return question()
        except DeniedError as error:
            self.problems[error.action] = f"{error.action} is refused: {without}; allow it"
        except AuthError:
            raise
        except CollectError as error:
            if error.retryable:
                raise
            if is_gone(error) and otherwise is not None:
                return otherwise
            # Asked again it would answer the same: not offered in this region, an old boto3.
            self.problems[str(error)] = f"{error}: {without}"
        return None
