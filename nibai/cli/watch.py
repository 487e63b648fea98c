"""`nibai audit --watch`: a change followed in the terminal until it is decided."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol, Self

import click

from nibai.cli.saying import say
from nibai.errors import UsageError
from nibai.units import significant

if TYPE_CHECKING:
    from rich.table import Table

    from nibai.app.audit import Desk
    from nibai.app.watch import Watch
    from nibai.app.watch_parts import Followed
    from nibai.model import Audit, Change

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_OPTIONS = (
    click.option("--watch", is_flag=True, help="Follow the change live until it is decided."),
    click.option(
        "--every",
        metavar="DURATION",
        default="5m",
        show_default=True,
        help="--watch: look so often.",
    ),
    click.option(
        "--for",
        "limit",
        metavar="DURATION",
        help="--watch: stop after so long, decided or not (0s: look once).",
    ),
)


def watch_options(command: Callable[..., object]) -> Callable[..., object]:
    """--watch, --every and --for."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def seconds_of(text: str, option: str) -> float:
    """A duration from the command line, such as 90s, 5m, 24h or 2d.

    >>> seconds_of("5m", "--every"), seconds_of("24h", "--for")
    (300.0, 86400.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if match is None:
        raise UsageError(f"{option} {text!r} is no duration: write 90s, 5m, 24h or 2d")
    return float(match[1]) * _SECONDS[match[2]]


class Display(Protocol):
    """Where looks are shown."""

    def show(self, watch: Watch, now: float, next_look: float | None) -> None:
        """One look; None when it was the last."""
        ...


def follow(
    desk: Desk,
    change: Change,
    *,
    level: float,
    every: float,
    limit: float,
    sleep: Callable[[float], None],
    display: Display,
) -> Audit:
    """Look, wait, look again, until decided or out of time; then store and return the audit.

    Interrupted at any moment, the state holds every look that was finished.
    """
    from nibai.app.watch import Watch as Following  # noqa: PLC0415 - numpy, duckdb, sqlalchemy
    from nibai.app.watch_audit import watched_audit  # noqa: PLC0415 - same

    watch = Following(desk, change, level)
    stop = desk.clock() + limit
    while True:
        now = desk.clock()
        watch.look(now)
        last = watch.over or now >= stop
        display.show(watch, now, None if last else min(now + every, stop))
        if last:
            return watched_audit(desk, watch)
        sleep(min(every, stop - now))


def command(
    desk: Desk,
    change: Change,
    *,
    level: float,
    every: str,
    limit: str | None,
    sleep: Callable[[float], None],
) -> Audit:
    """Follow a change as the options ask, on a terminal with a table that is drawn anew."""
    pause = seconds_of(every, "--every")
    if pause < 1:
        raise UsageError(f"--every {every}: look at most once a second")
    longest = math.inf if limit is None else seconds_of(limit, "--for")
    live = LiveTable() if sys.stderr.isatty() else nullcontext(Lines())
    with live as display:
        return follow(
            desk, change, level=level, every=pause, limit=longest, sleep=sleep, display=display
        )


class Lines:
    """One line per look, for logs."""

    def show(self, watch: Watch, now: float, next_look: float | None) -> None:
        """One line."""
        from nibai.app.watch_words import moment_text  # noqa: PLC0415 - numpy

        parts = "; ".join(
            f"{cells[0]}: {', '.join(filter(None, cells[1:]))}" for cells in _rows(watch)
        )
        say(f"{moment_text(now)}  {parts}; {_next(watch, now, next_look)}", err=True)


class LiveTable(AbstractContextManager["LiveTable"]):
    """A table on the terminal, drawn anew at every look."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - 70 ms, only here
        from rich.live import Live  # noqa: PLC0415 - same

        self._live = Live(console=Console(stderr=True, highlight=False), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, watch: Watch, now: float, next_look: float | None) -> None:
        """Draw the table anew."""
        self._live.update(table(watch, now, next_look), refresh=True)


def table(watch: Watch, now: float, next_look: float | None) -> Table:
    """Where every part stands."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - see LiveTable
    from rich.table import Table as Grid  # noqa: PLC0415 - same
    from rich.text import Text  # noqa: PLC0415 - same

    change = watch.change
    grid = Grid(
        box=SIMPLE_HEAD,
        title=Text(f"watching {change.id} on {change.endpoint}"),
        title_justify="left",
        caption=Text(_next(watch, now, next_look)),
        caption_justify="left",
        pad_edge=False,
    )
    for name in ("part", f"now [{watch.level:.0%} at all times]", "evidence", "blocks", "verdict"):
        grid.add_column(Text(name))
    for cells in _rows(watch):
        grid.add_row(*(Text(cell) for cell in cells))
    return grid


def _rows(watch: Watch) -> list[tuple[str, ...]]:
    return [_row(watch, part) for part in watch.parts]


def _row(watch: Watch, part: Followed) -> tuple[str, ...]:
    from nibai.app.watch_words import estimate_text, missing_blocks, subject  # noqa: PLC0415

    track = part.track
    if track is None:
        return subject(part.claim), _why_not(part), "", "", part.verdict.value
    missing = missing_blocks(track)
    blocks = f"{track.sums.blocks} block{'' if track.sums.blocks == 1 else 's'}"
    if missing is not None:
        blocks += f", about {missing} more"
    return (
        subject(part.claim),
        estimate_text(part.claim, track),
        f"E {_evidence(watch, part)} of {1 / (1 - watch.level):.0f}",
        blocks,
        part.verdict.value,
    )


def _why_not(part: Followed) -> str:
    from nibai.model import ReasonCode  # noqa: PLC0415 - numpy

    if part.waiting:
        return "waiting for data of both sides"
    if part.reason is None:
        return "not judged by this version"
    fixed = part.reason.code is ReasonCode.FIXED_WINDOW_ONLY
    return "decided by the fixed-window audit only" if fixed else part.reason.text


def _evidence(watch: Watch, part: Followed) -> str:
    from nibai.app.watch_audit import finding_of  # noqa: PLC0415 - numpy

    log_e = finding_of(watch, part).evidence.log_e_value or 0.0
    return significant(math.exp(log_e), 2) if log_e < math.log(1e4) else "above 10,000"


def _next(watch: Watch, now: float, next_look: float | None) -> str:
    from nibai.app.watch_words import moment_text  # noqa: PLC0415 - numpy

    if next_look is None:
        return "decided" if watch.decided else "nothing more to wait for, or out of time"
    close = watch.next_close(now)
    block = f", the next block counts from {moment_text(close)}" if close is not None else ""
    return f"next look {moment_text(next_look)}{block}"
