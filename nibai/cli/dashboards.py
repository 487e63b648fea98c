"""`nibai dashboards`: build, check and push the dashboards of Grafana."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import click


@click.group("dashboards")
def command() -> None:
    """Dashboards for Grafana 10 to 13: three files, made from code and checked.

    Import them, provision them (deploy/), or push them with a token.
    """


@command.command("build")
@click.option("--check", is_flag=True, help="Write nothing; exit 2 when a file differs.")
@click.option(
    "--output", metavar="DIR", help="Where the files go (default: the installed dashboards)."
)
def build(*, check: bool, output: str | None) -> int:
    """Write the dashboards from the code; for developers: needs grafana-foundation-sdk."""
    return _say(_grafana().build(Path(output) if output else None, check=check))


@command.command("check")
@click.argument("files", nargs=-1, metavar="[FILE]...")
def check(files: tuple[str, ...]) -> int:
    """Judge dashboards without a Grafana: the installed ones, or files of your own.

    Exits 2 when something is wrong; every problem is one line. Needs promql-parser.
    """
    return _say(_grafana().check([Path(file) for file in files]))


def _grafana() -> ModuleType:
    from nibai import plugins  # noqa: PLC0415 - reads package metadata

    return plugins.load_module("nibai.dashboards", "grafana")


def _say(lines: Sequence[str]) -> int:
    for line in lines:
        click.echo(line)
    return 0
