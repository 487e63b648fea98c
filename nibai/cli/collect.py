"""`nibai collect`: read the configured sources on, say what it costs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from nibai.cli.common import configuration, data_options
from nibai.cli.progress import progress
from nibai.cli.saying import say
from nibai.errors import CollectError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nibai.app.collect import Collected, Source
    from nibai.config import Config
    from nibai.protocols import Preview, Pulled


MOST_SILENT = 20


@click.command("collect")
@click.option("--once", is_flag=True, help="Read once and end; else again and again.")
@click.option("--dry-run", is_flag=True, help="Only say what would be read and what it costs.")
@data_options
def command(*, once: bool, dry_run: bool, config_file: str | None, data: str | None) -> int:
    """Read all sources on from where each stands; what is new or revised is stored.

    The bill is said before and metered after. A first reading goes back 15 days. Once a day the
    lake is kept up: small files are joined, what is older than was promised is deleted.
    """
    from nibai.app.collect import (  # noqa: PLC0415 - boto3, duckdb
        configured,
        due_times,
        previews,
        until_due,
    )
    from nibai.app.upkeep import keep_up_daily  # noqa: PLC0415 - deltalake

    config = configuration(config_file, data)
    sources = configured(config)
    ready, due, began = sources, dict[str, float](), time.time()
    if not once and not dry_run:
        # What another process, or this one before a restart, has read is paid for once.
        due = due_times(config, sources, began)
    read = dict.fromkeys(due, began)
    while True:
        # Each at its own pace: to be asked more often than planned would be paid for.
        if due:
            ready = until_due(config, sources, due, read, clock=time.time, sleep=time.sleep)
        now = time.time()
        planned = previews(config, ready)
        for source, preview in planned:
            say(plan_line(source, preview))
        if dry_run:
            return 0
        problems = _read(config, ready, planned)
        if kept := str(keep_up_daily(config, time.time())):
            say(f"lake: {kept}")
        if once and problems:
            raise CollectError("\nnibai: ".join(problems))
        if once:
            return 0
        for problem in problems:
            say(f"nibai: {problem}", err=True)
        regular = [source for source in ready if due[source.name] <= now]
        due |= {source.name: now + source.every_seconds for source in regular}
        read |= {source.name: now for source in ready}


def _read(
    config: Config, sources: Sequence[Source], planned: Sequence[tuple[Source, Preview]]
) -> list[str]:
    """Read all sources; what went wrong with single ones."""
    from nibai.app.collect import collect  # noqa: PLC0415 - see command

    problems: list[str] = []
    ahead = {source.name: preview.calls for source, preview in planned}
    with progress(ahead, time.time) as made:

        def tick(source: Source, part: Pulled) -> None:
            made(source.name, part.left)

        for source, done in collect(config, sources, clock=time.time, tick=tick):
            say(done_line(source, done))
            for change in done.changes:
                say(f"{source.name}: change {change.id} seen: {change.description}")
            for text in _some(done.silent):
                say(f"{source.name}: {text}")
            problems += done.problems
    return problems


def _some(texts: Sequence[str]) -> list[str]:
    """A few of many: a metric that a whole fleet lacks is as many lines."""
    more = len(texts) - MOST_SILENT
    if more <= 0:
        return list(texts)
    return [*texts[:MOST_SILENT], f"{more:,} more series never gave anything: see /endpoints"]


def plan_line(source: Source, preview: Preview) -> str:
    """What will be asked, and its price."""
    points = f", at most {preview.datapoints:,} datapoints" if preview.datapoints else ""
    return (
        f"{source.name}: {preview.said}; now {preview.calls:,} calls{points}, "
        f"${preview.dollars:.4f}; ${preview.dollars_per_month:.2f} a month"
    )


def done_line(source: Source, done: Collected) -> str:
    """What was read, and what it cost."""
    notes = "".join(f"; {n:,} {text}" for text, n in done.notes.items())
    minutes = (
        f"{done.minutes:,} minutes read in {done.calls:,} calls, {done.new_minutes:,} new, "
        f"{done.revised_minutes:,} revised, "
        + f"{done.revised_final:,} of them after they were final, "
        * bool(done.revised_final)
    )
    answers = f"{done.answers:,} answers read, {done.new_answers:,} new, "
    said = answers * bool(done.answers) + minutes * (done.minutes > 0 or not done.answers)
    return f"{source.name}: {said}metered ${done.dollars:.4f}{notes}"
