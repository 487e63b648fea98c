"""How commands print: without secrets, and without signs that steer a terminal.

Every command speaks through here, whatever it prints: what comes from outside (errors of services,
addresses, descriptions of changes) ends in their output too.
"""

from __future__ import annotations

import json
import re

import click

from nibai.redaction import redacted, redacted_values

_STEERING = re.compile(
    "\x1b(?!\\[[0-9;]*m)"
    "|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
"""What moves a terminal's cursor, sets its title or turns its text around; colours do not."""


def say(text: str = "", *, nl: bool = True, err: bool = False) -> None:
    """Print a text."""
    click.echo(inert(redacted(text)), nl=nl, err=err)


def say_document(document: object, indent: int | None = 2) -> None:
    """Print plain data as JSON, which stays JSON whatever is left out of it."""
    click.echo(json.dumps(redacted_values(document), indent=indent, ensure_ascii=False))


def say_json(text: str) -> None:
    """Print a text that is JSON, to the letter where nothing has to be left out."""
    document = json.loads(text)
    if redacted_values(document) == document:
        click.echo(text, nl=False)
    else:
        say_document(document)


def say_exactly(text: str) -> None:
    """Print what another program reads and must find unchanged; secrets are references there."""
    click.echo(text, nl=False)


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
