"""`nibai doctor`: what can be read, from where, at which cost; what is missing, and the fix."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nibai.cli.common import configuration, data_options, format_option
from nibai.cli.saying import say, say_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nibai.app.doctor import Finding
    from nibai.protocols import Effort


@click.command("doctor")
@click.option("--endpoint", metavar="NAME", help="Only this endpoint (default: the first three).")
@click.option(
    "--save-fixtures",
    "folder",
    metavar="FOLDER",
    help="Also save AWS's answers here, every name replaced, to be sent with a report.",
)
@format_option
@data_options
def command(
    *,
    endpoint: str | None,
    folder: str | None,
    form: str,
    config_file: str | None,
    data: str | None,
) -> int:
    """Find out what the configured sources can give, and how to fix what they cannot.

    Only reads, says first what its own questions cost, and switches nothing on. Everything is
    present, absent, denied or unknown, and dated. The exit code is 0 whatever is missing.
    """
    from nibai.app.doctor import (  # noqa: PLC0415 - boto3, sqlalchemy
        doctor_document,
        efforts,
        examine,
        examiners,
    )

    config = configuration(config_file, data)
    chosen = examiners(config, endpoint, folder)
    said = efforts(chosen)
    if form == "text":
        say("\n".join(effort_lines(said)))
    found = list(examine(config, chosen, time.time))
    if folder is not None:
        say(saved_line(folder), err=True)
    if form == "json":
        document = doctor_document(said, found, time.time())
        say_document(document)
        return 0
    say("\n".join(lines(found)))
    return 0


def saved_line(folder: str) -> str:
    """Where the answers are, and what to do before they leave the house."""
    saved = len(list(Path(folder).glob("*.json")))
    return (
        f"{saved} answers are saved in {folder}: names, accounts and addresses are replaced, "
        "payloads left out; read them before you send them"
    )


def effort_lines(said: Sequence[Effort]) -> list[str]:
    """What will be asked and its price."""
    if not said:
        return ["nothing to look at: nibai.yaml names no account (nibai init writes one)"]
    return [
        f"{one.topic}: at most {one.reads} reads, about ${one.dollars:.4f}; nothing is written or "
        "switched on"
        for one in said
    ]


def lines(found: Sequence[Finding]) -> Iterable[str]:
    """Capabilities by topic, then the points that no document settles, by number."""
    plain = [one for one in found if one.capability.number is None]
    width = max((len(one.capability.name) for one in plain), default=0)
    topic = None
    for one in plain:
        if one.capability.topic != topic:
            topic = one.capability.topic
            yield f"\n{topic}"
        yield from _told(
            one, f"  {one.capability.standing.value:<7}  {one.capability.name:<{width}}"
        )
    numbered = sorted(
        (one for one in found if one.capability.number is not None),
        key=lambda one: (one.capability.number or 0, one.capability.topic),
    )
    if numbered:
        yield "\nwhat no document settles (numbers of docs/sagemaker.md)"
    width = max((len(one.capability.name) for one in numbered), default=0)
    for one in numbered:
        capability = one.capability
        head = f"  {capability.standing.value:<7}  {capability.number:>2} "
        about = "" if capability.topic.startswith("account") else f" ({capability.topic})"
        yield from _told(one, f"{head}{capability.name:<{width}}", about)
    yield f"\n{summary(found)}"


def summary(found: Sequence[Finding]) -> str:
    """How many stand how."""
    counts: dict[str, int] = {}
    for one in found:
        standing = one.capability.standing.value
        counts[standing] = counts.get(standing, 0) + 1
    return ", ".join(f"{n} {standing}" for standing, n in counts.items()) or "nothing was looked at"


def _told(one: Finding, head: str, about: str = "") -> Iterable[str]:
    capability = one.capability
    changed = ""
    if one.before is not None and one.before.standing is not capability.standing:
        day = time.strftime("%Y-%m-%d", time.gmtime(one.before.checked_at))
        changed = f" (was {one.before.standing.value} on {day})"
    yield f"{head}  {capability.said}{about}{changed}".rstrip()
    for number, line in enumerate(capability.remedy.splitlines()):
        yield f"           {'fix: ' if number == 0 else '     '}{line}"
