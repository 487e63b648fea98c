"""Rounds of threads that must go on whatever happens in one of them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from nibai.errors import NibaiError

UNEXPECTED = "unexpected error, see the log"


def survived(
    round_: Callable[[], object], log: logging.Logger, said: str, about: str = ""
) -> tuple[str, BaseException] | None:
    """Do one round: what went wrong, in words and as it was raised, which is logged; or None.

    Also what is no `Exception`: a library in Rust that panics (out of files, of memory) raises what
    nothing catches, and the thread would be gone while data are taken on.
    """
    try:
        round_()
    except NibaiError as error:
        log.error("%s%s", about, error)  # noqa: TRY400 - the text is the message
        return str(error), error
    except BaseException as error:
        log.exception("%s%s", about, said)
        return UNEXPECTED, error
    return None
