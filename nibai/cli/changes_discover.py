"""`nibai changes discover`: what was deployed, as the provider's own configuration says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from nibai.cli.changes_find import count_text, minute_text
from nibai.cli.common import configuration, data_options, format_option, moment
from nibai.cli.saying import inert_name, say, say_document
from nibai.errors import CollectError

if TYPE_CHECKING:
    from nibai.app.discover import Discovery
    from nibai.model import Change


@click.command("discover")
@click.option("--once", is_flag=True, help="Look once and end; else again and again.")
@click.option(
    "--since",
    metavar="TIME",
    help="Also what CloudTrail knows of endpoints never seen before (at most 90 days back).",
)
@format_option
@data_options
def discover(
    *, once: bool, since: str | None, form: str, config_file: str | None, data: str | None
) -> int:
    """Look at the configured endpoints and keep every change of what serves them.

    Nothing is told twice. A change is dated, its kinds are named, and it carries the claims of the
    configuration, so that `nibai audit CHANGE` judges it.
    """
    from nibai.app.discover import (  # noqa: PLC0415 - boto3, sqlalchemy
        discover_once,
        lookouts,
        require_lookouts,
    )
    from nibai.store.state.database import open_state  # noqa: PLC0415 - sqlalchemy

    config = configuration(config_file, data)
    require_lookouts(config)
    back = None if since is None else moment(since, "--since")
    state = open_state(config.state_address)
    try:
        eyes = lookouts(config, state)
        told: set[str] = set()
        while True:
            found = discover_once(config, state, time.time, since=back, eyes=eyes)
            _say(found, form, told)
            if once and found.failed == len(eyes):
                raise CollectError("; ".join(found.problems))
            if once:
                return 0
            time.sleep(min(one.every for one in config.sagemaker))
    finally:
        state.close()


def _say(found: Discovery, form: str, told: set[str]) -> None:
    """Changes to standard output, everything else to standard error; a problem once."""
    for change in found.changes:
        if form == "json":
            say_document(document(change), indent=None)
        else:
            say(change_line(change))
        if form == "text":
            for sentence in change.sentences:
                say(f"  claim: {sentence.text}", err=True)
    for note in found.notes:
        say(f"  {note}", err=True)
    for problem in found.problems:
        if problem not in told:
            say(f"  not read: {problem}", err=True)
    told |= set(found.problems)
    looked = count_text(found.endpoints, "endpoint")
    say(f"{looked} looked at, {count_text(len(found.changes), 'change')} found", err=True)


def change_line(change: Change) -> str:
    """A change in a line: id, endpoint, unit, when traffic moved, kinds, what changed."""
    kinds = ",".join(change.kinds) or "-"
    variants = dict.fromkeys(v for v in (change.baseline_variant, change.candidate_variant) if v)
    if change.effective_at is None:
        when = "side by side"
    elif change.started_at is None or change.started_at >= change.effective_at:
        when = minute_text(change.effective_at)
    else:
        when = f"{minute_text(change.started_at)} to {minute_text(change.effective_at)}"
    unit = " -> ".join(variants)
    line = f"{change.id}  {change.endpoint}  {unit}  {when}  {kinds}  {change.description}"
    return inert_name(line)


def document(change: Change) -> dict[str, object]:
    """A change as plain data, as `nibai changes show` prints it."""
    from nibai.app.audit import change_document  # noqa: PLC0415 - see discover

    return change_document(change)
