"""Options that several commands share."""

from __future__ import annotations

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
    from nibai.cli.library_logs import log_without_secrets  # noqa: PLC0415 - logging
    from nibai.config import environment, load_config  # noqa: PLC0415 - pydantic
    from nibai.redaction import hide_password  # noqa: PLC0415 - with the configuration

    log_without_secrets()
    config = load_config(Path(config_file) if config_file else None, environment())
    hide_password(config.state)
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
