"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nibai.errors import UsageError

if TYPE_CHECKING:
    from nibai.config import Config
    from nibai.model import Window


_ANSWER_OPTIONS = (
    click.option("--labels", metavar="A,B,…", help="The only valid classes."),
    click.option(
        "--threshold", type=float, metavar="TAU", help="Decision threshold: above it is a class."
    ),
    click.option(
        "--tolerance", type=float, metavar="D", help="Differences of scores that do not matter."
    ),
)


_STEERING = re.compile(
    "\x1b(?!\\[[0-9;]*m)"
    "|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
"""What moves a terminal's cursor, sets its title or turns its text around; colours do not."""


def inert(text: str) -> str:
    r"""Text as a terminal may show it: signs that would steer it are written out.

    >>> print(inert("chat" + chr(27) + "[2J" + chr(8)))
    chat\x1b[2J\x08
    """
    return _STEERING.sub(_written_out, text)


def inert_name(name: str) -> str:
    r"""A name from outside as part of one line.

    >>> print(inert_name("chat" + chr(10) + "forged" + chr(27) + "[31m"))
    chat\nforged\x1b[31m
    """
    return re.sub(
        r"[^ -~]", lambda sign: sign[0] if sign[0].isprintable() else _written_out(sign), name
    )


def _written_out(sign: re.Match[str]) -> str:
    return sign[0].encode("unicode_escape").decode("ascii")


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--config and --data."""
    command = click.option(
        "--data", metavar="DIR", help="Data folder (default: nibai.yaml, else ./nibai-data)."
    )(command)
    return click.option(
        "--config", "config_file", metavar="FILE", help="Configuration (default: ./nibai.yaml)."
    )(command)


def format_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--format of commands that print text or JSON."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(("text", "json")),
        default="text",
        show_default=True,
        help="How to print.",
    )(command)


def answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--labels, --threshold and --tolerance: what an answer may be, and when two are the same."""
    for option in reversed(_ANSWER_OPTIONS):
        command = option(command)
    return command


def configuration(config_file: str | None, data: str | None) -> Config:
    """The configuration that the options ask for."""
    from nibai.config import environment, load_config  # noqa: PLC0415 - pydantic

    config = load_config(Path(config_file) if config_file else None, environment())
    return config if data is None else config.model_copy(update={"data": Path(data)})


def window(text: str, option: str) -> Window:
    """A window from the command line, START/END."""
    from nibai.model import Window as Found  # noqa: PLC0415 - imports numpy

    start, separator, end = text.partition("/")
    if not separator:
        raise UsageError(f"{option} {text!r} is no window: write START/END")
    found = Found(moment(start, option), moment(end, option))
    if found.seconds <= 0:
        raise UsageError(f"{option} {text!r}: the end must come after the start")
    return found


def moment(text: str, option: str) -> float:
    """A time from the command line in seconds since the epoch; UTC unless it says otherwise.

    >>> moment("2026-03-01T12:00Z", "--at")
    1772366400.0
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text!r} is not a time: "
            "use ISO 8601 (2026-03-01T12:00Z) or seconds since 1970"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
