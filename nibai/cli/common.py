"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nibai.cli.compare import moment
from nibai.errors import UsageError

if TYPE_CHECKING:
    from nibai.config import Config
    from nibai.model import Window


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
