"""`nibai dashboards`: build, check and push the dashboards of Grafana."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import click

from nibai.cli.common import configuration, data_options
from nibai.cli.saying import say
from nibai.errors import UsageError


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
@click.option("--prometheus", metavar="URL", help="Ask this one every query, instead of judging.")
@click.option(
    "--set",
    "chosen",
    multiple=True,
    metavar="NAME=VALUE",
    help="With --prometheus: a variable's value (default: one that there is); repeat.",
)
def check(files: tuple[str, ...], prometheus: str | None, chosen: tuple[str, ...]) -> int:
    """Judge dashboards without a Grafana: the installed ones, or files of your own.

    Exits 2 when something is wrong; every problem is one line. Needs promql-parser. With
    --prometheus: how many queries have an answer there, and which metrics it does not have yet.
    """
    paths = [Path(file) for file in files]
    if prometheus is None:
        return _say(_grafana().check(paths))
    values = dict(one.partition("=")[::2] for one in chosen)
    return _say(_grafana().ask(prometheus, paths, values))


@command.command("push")
@click.option("--url", metavar="URL", help="Start page of Grafana (default: nibai.yaml).")
@click.option("--token", metavar="REF", help="Service-account token: env:NAME or file:PATH.")
@click.option("--folder", metavar="TITLE", help="Folder of the dashboards (default: nibai).")
@click.option(
    "--rules", metavar="FILE", help="Rule groups too: from nibai rules export --format grafana."
)
@click.option(
    "--contacts",
    metavar="FILE",
    help="Contact points and policy too: from nibai rules export --format grafana-contacts.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Read back what was pushed, and try a mark; exit 7 if it differs.",
)
@data_options
def push(
    *,
    url: str | None,
    token: str | None,
    folder: str | None,
    rules: str | None,
    contacts: str | None,
    verify: bool,
    config_file: str | None,
    data: str | None,
) -> int:
    """Bring the dashboards to a Grafana; doing it again changes nothing.

    The token needs the role Editor, for --contacts also the right to write contact points and
    notification policies. It is given as a reference and never printed, nor are the secrets of
    contact points.
    """
    from nibai import __version__  # noqa: PLC0415 - reads package metadata
    from nibai.config import Grafana, environment  # noqa: PLC0415 - pydantic

    given = {"url": url, "token": token, "folder": folder}
    configured = configuration(config_file, data).grafana.model_dump()
    chosen = configured | {key: value for key, value in given.items() if value is not None}
    if token is not None and not token.startswith(("env:", "file:")):
        raise UsageError("--token is a reference, env:NAME or file:PATH, never the token itself")
    section = Grafana.model_validate({**chosen, "timeout": f"{chosen['timeout']:g}s"})
    files = [Path(one) if one else None for one in (rules, contacts)]
    message = f"nibai {__version__}"
    return _say(
        _grafana().push(section, environment(), message, *files, clock=time.time, verify=verify)
    )


def _grafana() -> ModuleType:
    from nibai import plugins  # noqa: PLC0415 - reads package metadata

    return plugins.load_module("nibai.dashboards", "grafana")


def _say(lines: Sequence[str]) -> int:
    for line in lines:
        say(line)
    return 0
