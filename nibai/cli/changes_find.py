"""`nibai changes find`: lasting changes that nobody announced."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from nibai.cli.common import configuration, data_options, format_option, moment
from nibai.cli.saying import inert_name, say, say_document

if TYPE_CHECKING:
    from nibai.history import FoundChange, Scan, Suspect

BLOCK_SECONDS = {"5m": 300.0, "15m": 900.0, "1h": 3600.0, "6h": 21600.0, "1d": 86400.0}


@click.command("find")
@click.option("--endpoint", metavar="P/S/N", help="Only this endpoint (default: all).")
@click.option("--since", metavar="TIME", help="How far back to look (default: 14 days).")
@click.option(
    "--block",
    type=click.Choice(tuple(BLOCK_SECONDS)),
    default="1h",
    show_default=True,
    help="Length of a block: a change is seen when it lasts for 24 of them.",
)
@click.option("--by-segment", is_flag=True, help="Look at every segment by itself.")
@format_option
@data_options
def find(
    endpoint: str | None,
    since: str | None,
    block: str,
    form: str,
    *,
    by_segment: bool,
    config_file: str | None,
    data: str | None,
) -> int:
    """Find lasting changes of any series in the lake, announced or not.

    Says when (to the block), how much at which quantile with its interval, and which known change
    is the nearest suspect. What is found is no verdict about a claim: the exit code is 0 whether or
    not something changed. To have a change judged, declare it with the line that is printed.
    """
    from nibai.app.audit import open_desk  # noqa: PLC0415 - numpy, duckdb, sqlalchemy
    from nibai.app.changes import find_changes, scan_document  # noqa: PLC0415 - same

    with open_desk(configuration(config_file, data), time.time) as desk:
        scan = find_changes(
            desk,
            block_seconds=BLOCK_SECONDS[block],
            since=None if since is None else moment(since, "--since"),
            endpoint=endpoint,
            by_segment=by_segment,
        )
    if form == "json":
        say_document(scan_document(scan))
        return 0
    for change in scan.changes:
        say("\n".join(_told(change, scan)) + "\n")
    say(_summary(scan, block), err=True)
    return 0


def _told(change: FoundChange, scan: Scan) -> list[str]:
    from nibai.app.changes import declare_line  # noqa: PLC0415 - see find

    who = [
        change.endpoint,
        change.variant or whole_text(change.variant),
        change.metric,
        change.segment,
    ]
    still = [one.view for one in change.movements if not one.changed]
    between = [minute_text(end) for end in (change.between.start, change.between.end)]
    lines = [
        "  ".join(part for part in who if part),
        f"  {minute_text(change.at)}  {change.text}",
        f"    happened between {between[0]} and {between[1]}",
        *(f"    {one.text}" for one in change.movements if one.changed),
    ]
    if still:
        lines.append(f"    not told from noise: {', '.join(still)}")
    lines.append(f"    suspect: {suspect_text(change.suspect, scan.suspect_within_seconds)}")
    return [inert_name(line) for line in (*lines, f"    {declare_line(change)}")]


def whole_text(variant: str | None) -> str:
    """What is said in place of a variant."""
    return "all variants together" if variant is None else ""


def suspect_text(suspect: Suspect | None, within_seconds: float) -> str:
    """The nearest known change in words."""
    if suspect is None:
        return f"no known change within {within_seconds / 3600:g} h before"
    kinds = ",".join(suspect.kinds) or "change"
    where = "" if suspect.same_endpoint else f" of {suspect.endpoint}"
    hours = suspect.seconds_before / 3600
    when = f"{hours:.3g} h before" if hours else "inside that time"
    text = f"{suspect.change_id} ({kinds}){where} at {minute_text(suspect.effective_at)}, {when}"
    return f"{text}: {suspect.description}" if suspect.description else text


def _summary(scan: Scan, block: str) -> str:
    if scan.window is None:
        return "nothing to look at: the lake has no whole block (see nibai lake info)"
    changed = len({(c.endpoint, c.variant, c.metric, c.segment) for c in scan.changes})
    text = (
        f"{count_text(len(scan.changes), 'change')} in {changed} of {scan.series:,} series, "
        f"{minute_text(scan.window.start)} to {minute_text(scan.window.end)} in blocks of {block}; "
        f"at most {scan.false_share:.0%} of the changed series are expected to be false"
    )
    if scan.thin:
        text += (
            f"\n{scan.thin:,} series are too thin to be judged: fewer than 48 blocks with enough "
            "requests (a longer --since or --block)"
        )
    return text


def count_text(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def minute_text(seconds: float) -> str:
    """A moment to the minute, UTC."""
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(seconds))
