"""`nibai collect`: read the configured sources on, say what it costs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from nibai.cli.common import configuration, data_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nibai.app.collect import Collected, Source
    from nibai.config import Config
    from nibai.protocols import Preview, Pulled


@click.command("collect")
@click.option("--once", is_flag=True, help="Read once and end; else again and again.")
@click.option("--dry-run", is_flag=True, help="Only say what would be read and what it costs.")
@data_options
def command(*, once: bool, dry_run: bool, config_file: str | None, data: str | None) -> int:
    """Read CloudWatch on from where each series stands; what is new or revised is stored.

    The bill is said before and metered after. A first reading goes back 15 days.
    """
    from nibai.app.collect import configured, previews  # noqa: PLC0415 - boto3, duckdb

    config = configuration(config_file, data)
    sources = configured(config)
    while True:
        planned = previews(config, sources)
        for source, preview in planned:
            click.echo(plan_line(source, preview))
        if dry_run:
            return 0
        _read(config, sources, planned)
        if once:
            return 0
        time.sleep(min(one.every for one in config.cloudwatch))


def _read(
    config: Config, sources: Sequence[Source], planned: Sequence[tuple[Source, Preview]]
) -> None:
    from nibai.app.collect import collect  # noqa: PLC0415 - see command

    total = sum(preview.calls for _, preview in planned)
    # On a terminal a bar with the time left; elsewhere a line per source is enough.
    with click.progressbar(
        length=total,
        label="reading",
        hidden=not sys.stderr.isatty(),
        show_eta=True,
        file=sys.stderr,
    ) as bar:

        def tick(_source: Source, _part: Pulled) -> None:
            bar.update(1)

        for source, done in collect(config, sources, clock=time.time, tick=tick):
            click.echo(done_line(source, done))


def plan_line(source: Source, preview: Preview) -> str:
    """What will be asked, and its price."""
    return (
        f"{source.name}: {preview.said}; now {preview.calls:,} calls, at most "
        f"{preview.datapoints:,} datapoints, ${preview.dollars:.4f}; "
        f"${preview.dollars_per_month:.2f} a month"
    )


def done_line(source: Source, done: Collected) -> str:
    """What was read, and what it cost."""
    notes = "".join(f"; {n:,} {text}" for text, n in done.notes.items())
    return (
        f"{source.name}: {done.minutes:,} minutes read in {done.calls:,} calls, "
        f"{done.new_minutes:,} new, {done.revised_minutes:,} revised, "
        f"metered ${done.dollars:.4f}{notes}"
    )
