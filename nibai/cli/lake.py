"""`nibai lake`: what is stored, and how to remove it."""

from __future__ import annotations

import logging
import time
from datetime import date

import click

from nibai.cli.common import configuration, data_options
from nibai.cli.saying import inert_name, say
from nibai.errors import UsageError

LOG = logging.getLogger("nibai.lake")


@click.group("lake")
def command() -> None:
    """What is stored, and how to remove it."""


@command.command("info")
@data_options
def info(config_file: str | None, data: str | None) -> int:
    """Endpoints, variants and metrics with their time span and requests, and single answers."""
    from nibai.app.audit import open_desk  # noqa: PLC0415 - numpy, duckdb, sqlalchemy

    with open_desk(configuration(config_file, data), time.time) as desk:
        rows = desk.engine().endpoints()
        answers = desk.engine().answers()
    if not rows and not answers:
        say("the lake is empty: start `nibai run` and send spans to it", err=True)
    for endpoint, variant, metric, first, last, count in rows:
        span = f"{_minute(first)} to {_minute(last + 1)}"
        who = "  ".join(map(inert_name, (endpoint, variant or "-", metric)))
        say(f"{who}  {span}  {count:,} requests")
    for endpoint, variant, batch, first, last, count in answers:
        span = f"{_minute(first)} to {_minute(last + 1)}"
        who = "  ".join(map(inert_name, (endpoint, variant or "-")))
        say(f"{who}  answers, batch {batch}  {span}  {count:,} kept")
    return 0


@command.command("purge")
@click.option("--endpoint", metavar="P/S/N", help="Remove this endpoint.")
@click.option("--segment", metavar="NAME=VALUE", help="Remove this segment (a tenant).")
@click.option("--before", metavar="DAY", help="Remove days before this one (2026-03-01).")
@click.option("--predictions", is_flag=True, help="Only single answers (their counts stay).")
@click.option("--yes", is_flag=True, help="Do it; without it only counted.")
@data_options
def purge(
    endpoint: str | None,
    segment: str | None,
    before: str | None,
    *,
    predictions: bool,
    yes: bool,
    config_file: str | None,
    data: str | None,
) -> int:
    """Remove an endpoint, a segment, old days or single answers for good.

    Counted first, done with --yes.
    """
    from nibai.app.audit import open_desk  # noqa: PLC0415 - see info
    from nibai.store.lake.maintenance import purge as remove  # noqa: PLC0415 - see info
    from nibai.store.lake.rows import PREDICTIONS, TABLES  # noqa: PLC0415 - see info
    from nibai.store.state.revisions import LatePushes  # noqa: PLC0415 - see info
    from nibai.store.wal.ingest import fold_waiting  # noqa: PLC0415 - see info

    if not (predictions or endpoint or segment or before):
        raise UsageError("purge what? give --endpoint, --segment, --before or --predictions")
    day = None if before is None else _day(before)
    config = configuration(config_file, data)
    running: list[str] = []
    with open_desk(config, time.time) as desk:
        if yes:
            # What waits in a write-ahead log would come into the lake after the purge.
            late = LatePushes(desk.state, config.collector_id, time.time)
            running = fold_waiting(
                config.data, desk.state, clock=time.time, late={config.collector_id: late}
            )
        found = remove(
            desk.lake,
            endpoint=endpoint,
            segment=segment,
            before=day,
            dry_run=not yes,
            tables=(PREDICTIONS,) if predictions else TABLES,
        )
    for table in found:
        say(f"{table.table:<14} {table.rows:>12,} rows {'removed' if yes else 'to remove'}")
    for collector in running:
        say(
            f"collector {collector!r} is running and its newest rows are not in the lake yet: "
            "purge again in two minutes",
            err=True,
        )
    if yes:
        what = "answers" if predictions else "everything"
        LOG.warning("purged %s endpoint=%s segment=%s before=%s", what, endpoint, segment, before)
    else:
        say("nothing was removed: add --yes", err=True)
    return 0


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--before {text!r} is no day: write 2026-03-01") from error


def _minute(minute: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(minute * 60))
