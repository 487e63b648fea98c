"""`nibai changes watch`: alarms about lasting changes while they happen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from nibai.cli.changes_find import BLOCK_SECONDS, count_text, minute_text, suspect_text, whole_text
from nibai.cli.common import configuration, data_options, format_option
from nibai.cli.saying import inert_name, say, say_document
from nibai.cli.watch import seconds_of
from nibai.errors import UsageError

if TYPE_CHECKING:
    from nibai.app.outputs_watch import OutputsLook
    from nibai.history import Alarm, Look

SUSPECT_WITHIN_SECONDS = 86_400.0
DAY_SECONDS = 86_400.0
HOUR_SECONDS = 3600.0


@click.command("watch")
@click.option("--endpoint", metavar="P/S/N", help="Only this endpoint (default: all).")
@click.option(
    "--block",
    type=click.Choice(("5m", "15m", "1h")),
    default="5m",
    show_default=True,
    help="Length of a block; each length is learned and followed by itself.",
)
@click.option(
    "--tolerate",
    metavar="DURATION",
    default="30d",
    show_default=True,
    help="Time between false alarms of everything that is watched.",
)
@click.option(
    "--predictions",
    is_flag=True,
    help="Watch answers instead: labels, scores, segments and volume against last week's hours.",
)
@format_option
@data_options
def watch(
    endpoint: str | None,
    block: str,
    tolerate: str,
    form: str,
    *,
    predictions: bool,
    config_file: str | None,
    data: str | None,
) -> int:
    """Look once for changes that began since the last look; for cron.

    Every series is learned for a week, then goes on from where the last look ended: p50, p99 and
    failed requests. Each alarm is printed once; after it the series is learned anew. An alarm is no
    verdict about a claim: the exit code is 0 whether or not there is one.

    With --predictions the answers of every variant are followed hour by hour against the same hours
    of the week before: "outputs moved" or "traffic moved", with a chance of 5 % for a false alarm
    of everything in 30 days. Four weeks are learned first.
    """
    if predictions:
        return _predictions(endpoint, form, config_file=config_file, data=data)
    from nibai.app.audit import open_desk  # noqa: PLC0415 - numpy, duckdb, sqlalchemy
    from nibai.app.changes_watch import look_document, watch_changes  # noqa: PLC0415 - same

    seconds = seconds_of(tolerate, "--tolerate")
    if seconds < DAY_SECONDS:
        raise UsageError(f"--tolerate {tolerate}: no less than a day, such as 1d")
    with open_desk(configuration(config_file, data), time.time) as desk:
        look = watch_changes(
            desk,
            block_seconds=BLOCK_SECONDS[block],
            tolerate_seconds=seconds,
            endpoint=endpoint,
        )
    if form == "json":
        say_document(look_document(look))
        return 0
    for alarm in look.alarms:
        say("\n".join(_told(alarm)) + "\n")
    say(_summary(look, block), err=True)
    return 0


def _predictions(
    endpoint: str | None, form: str, *, config_file: str | None, data: str | None
) -> int:
    from nibai.app.audit import open_desk  # noqa: PLC0415 - see watch
    from nibai.app.outputs_watch import outputs_document, watch_outputs  # noqa: PLC0415 - same

    with open_desk(configuration(config_file, data), time.time) as desk:
        look = watch_outputs(desk, endpoint=endpoint)
    if form == "json":
        say_document(outputs_document(look))
        return 0
    for alarm in look.alarms:
        one = alarm.moved
        lines = [
            "  ".join(part for part in (alarm.endpoint, alarm.variant) if part),
            f"  {minute_text((one.at + 1) * HOUR_SECONDS)}  {alarm.text}",
            f"    started about {minute_text(one.start * HOUR_SECONDS)}, against a week before",
            f"    {one.rank.said()}",
            "    no verdict: only the same inputs through both variants show changed answers",
        ]
        say("\n".join(lines) + "\n")
    say(_outputs_summary(look), err=True)
    return 0


def _outputs_summary(look: OutputsLook) -> str:
    if not look.series:
        return "nothing to look at: the lake has no answers (see nibai lake info)"
    watched = look.series - len(look.learning)
    text = (
        f"{count_text(len(look.alarms), 'new alarm')}; answers of {watched:,} of {look.series:,} "
        f"series watched up to {minute_text(look.until)}"
    )
    if look.learning:
        times = [minute_text(moment(look.learning)) for moment in (_first, _last)]
        text += f"; {len(look.learning):,} learning until {' to '.join(dict.fromkeys(times))}"
    return f"{text}\na false alarm of all in 30 days has a chance of at most 5 %"


def _told(alarm: Alarm) -> list[str]:
    from nibai.app.changes import declare_line  # noqa: PLC0415 - see watch

    who = [alarm.endpoint, alarm.variant or whole_text(alarm.variant), alarm.metric, alarm.segment]
    lines = [
        "  ".join(part for part in who if part),
        f"  {minute_text(alarm.raised_at)}  alarm: {alarm.movement.text} so far",
        f"    started about {minute_text(alarm.at)}",
        f"    suspect: {suspect_text(alarm.suspect, SUSPECT_WITHIN_SECONDS)}",
        f"    learned anew until {minute_text(alarm.learning_until)}: no alarm before",
        f"    {declare_line(alarm)}",
    ]
    return [inert_name(line) for line in lines]


def _summary(look: Look, block: str) -> str:
    if not look.series:
        return "nothing to look at: the lake has no closed block (see nibai lake info)"
    watched = look.series - len(look.learning)
    text = f"{count_text(len(look.alarms), 'new alarm')}; {watched:,} of {look.series:,} series"
    text += f" watched in blocks of {block}"
    text += f" up to {minute_text(look.until)}" if look.until is not None else ", no new block"
    if look.learning:
        times = [minute_text(moment(look.learning)) for moment in (_first, _last)]
        text += f"; {len(look.learning):,} learning until {' to '.join(dict.fromkeys(times))}"
    return (
        f"{text}\none false alarm of all in {look.tolerate_seconds / DAY_SECONDS:g} days is "
        f"tolerated (threshold {look.threshold:,.0f}); weekends that differ are taken for change"
    )


def _first(learning: tuple[tuple[str, float], ...]) -> float:
    return min(until for _, until in learning)


def _last(learning: tuple[tuple[str, float], ...]) -> float:
    return max(until for _, until in learning)
