"""`nibai audit fleet`: one promise on every endpoint, in one run."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from nibai.cli import output
from nibai.cli.changes import KINDS
from nibai.cli.common import configuration, data_options, moment, window
from nibai.cli.saying import say
from nibai.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nibai.app.audit import Desk
    from nibai.app.fleet import Progress as Told
    from nibai.app.fleet import Selection
    from nibai.fleet import FleetAudit

    Given = Mapping[str, object]

NOT_WATCHING = {
    "at": "only declared changes are watched",
    "baseline": "only declared changes are watched",
    "any_dependence": "e-BH holds --q however endpoints depend on each other",
    "history": "a watch reads the unchanged days before its change by itself",
    "processes": "one process looks",
}
"""Options of the fixed-window audit that mean nothing to watched changes."""

LINE_EVERY_SECONDS = 10.0


@click.command("fleet")
@click.option(
    "--claim",
    multiple=True,
    metavar="SENTENCE",
    help="Judge this instead of what was declared; repeat: all of it has to hold.",
)
@click.option("--kind", multiple=True, type=click.Choice(KINDS), help="Only such changes; repeat.")
@click.option("--since", metavar="TIME", help="Only changes in effect since then.")
@click.option("--at", metavar="TIME", help="No declared changes: every endpoint, before and after.")
@click.option("--baseline", metavar="START/END", help="Every endpoint: the window before.")
@click.option("--candidate", metavar="START/END", help="Every endpoint: the window after.")
@click.option(
    "--q",
    type=click.FloatRange(0.001, 0.5),
    default=0.05,
    show_default=True,
    help="Share of wrong ones among the confirmed, and among the refuted, at most.",
)
@click.option(
    "--any-dependence",
    is_flag=True,
    help="Hold --q however endpoints depend on each other (Benjamini-Yekutieli; costs power).",
)
@click.option(
    "--watching",
    is_flag=True,
    help="Look once at every change as --watch would, as often as you like (e-BH holds --q).",
)
@click.option(
    "--history",
    is_flag=True,
    help="Judge each endpoint by its own unchanged past too, as `nibai audit` does (slow).",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=None,
    help="How many judge (default: the cores, if the fleet is large).",
)
@output.audit_options
@data_options
def command(
    claim: tuple[str, ...],
    *,
    form: str,
    html: str | None,
    inconclusive_ok: bool,
    config_file: str | None,
    data: str | None,
    **given: object,
) -> int:
    """Judge a promise on many endpoints at once, store the audit and print it.

    Each endpoint is judged by its newest declared change, as `nibai audit` would, and confirmed or
    refuted only where that holds among all endpoints together. Exits 0 when all are confirmed, 1
    when some are refuted, 3 otherwise.

    A fixed-window audit is made once; --watching may be repeated: it goes on from block to block.
    """
    from nibai.app.audit import open_desk  # noqa: PLC0415 - numpy, duckdb, sqlalchemy

    selection = _selection(given)
    judge = _watching if given["watching"] else _once
    with open_desk(configuration(config_file, data), time.time) as desk, _progress() as progress:
        audit = judge(desk, selection, claim, given, progress)
    output.show(audit, form, html)
    return output.exit_code(audit, inconclusive_ok=inconclusive_ok)


def _once(
    desk: Desk, selection: Selection, claim: tuple[str, ...], given: Given, progress: Told
) -> FleetAudit:
    from nibai.app.fleet import audit_fleet  # noqa: PLC0415 - numpy, duckdb, sqlalchemy

    processes = given["processes"]
    return audit_fleet(
        desk,
        selection,
        claim,
        q=float(str(given["q"])),
        level=float(str(given["level"])),
        any_dependence=bool(given["any_dependence"]),
        history=bool(given["history"]),
        processes=None if processes is None else int(str(processes)),
        progress=progress,
    )


def _watching(
    desk: Desk, selection: Selection, claim: tuple[str, ...], given: Given, progress: Told
) -> FleetAudit:
    from nibai.app.watch_fleet import watch_fleet  # noqa: PLC0415 - numpy, duckdb, sqlalchemy

    for name, why in NOT_WATCHING.items():
        if given[name]:
            option = name.replace("_", "-")
            raise UsageError(f"--watching and --{option}: {why}, leave one of them out")
    q, level = float(str(given["q"])), float(str(given["level"]))
    return watch_fleet(desk, selection, claim, q=q, level=level, progress=progress)


def _selection(given: dict[str, object]) -> Selection:
    from nibai.app.fleet import Selection as Found  # noqa: PLC0415 - imports numpy

    kinds = given["kind"] if isinstance(given["kind"], tuple) else ()
    at, since = (_moment(given[name], f"--{name}") for name in ("at", "since"))
    before, after = given["baseline"], given["candidate"]
    if (before is None) != (after is None):
        raise UsageError("give both windows: --baseline START/END and --candidate START/END")
    windows = None
    if before is not None:
        windows = window(str(before), "--baseline"), window(str(after), "--candidate")
    if at is not None and windows is not None:
        raise UsageError("--at and --baseline/--candidate both say when: give one of them")
    if (at is not None or windows is not None) and (kinds or since is not None):
        raise UsageError(
            "--kind and --since choose among declared changes; with --at or windows every endpoint "
            "is judged: leave one of them out"
        )
    return Found(tuple(str(kind) for kind in kinds), since, at, windows)


def _moment(value: object, option: str) -> float | None:
    return None if value is None else moment(str(value), option)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - 70 ms, only for the bar
        from rich.progress import Progress  # noqa: PLC0415 - same

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("endpoints", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    said = [time.monotonic()]

    def line(done: int, total: int) -> None:
        if done == total or time.monotonic() - said[0] >= LINE_EVERY_SECONDS:
            said[0] = time.monotonic()
            say(f"{done:,} of {total:,} endpoints judged", err=True)

    yield line
