"""neuron-monitor as a source: a file that grows, a pipe that is followed, or a page that is asked.

Its reports carry no time. In a pipe they have that of their arrival; the last one of a file has the
file's own, and those before it lie their periods earlier; a time that a log shipper wrote wins.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import IO

from collector.hourly.part import Part
from collector.lines import Line, lines_in
from collector.neuron.exposition import read_exposition
from collector.neuron.minutes import Minutes
from collector.neuron.report import Report, read_report
from collector.replay.rows import RejectedError
from nibai.config import Neuron
from nibai.errors import CollectError
from nibai.model import Window
from nibai.protocols import Preview, Pulled, Puller

REST_SECONDS = 60.0
"""A file that nobody wrote to for so long has ended: its last minute is whole."""

PRINT_BYTES = 1024
"""Before the place where reading stopped: a file that has others there is another file."""

TOO_LONG = "too long"
Fetch = Callable[[str], str]
"""The text of a page; raises CollectError."""


@dataclass(frozen=True, slots=True)
class _Placed:
    report: Report
    offset: int


class NeuronSource:
    """Reports of one place."""

    def __init__(self, chosen: Neuron, *, clock: Callable[[], float], fetch: Fetch) -> None:
        self._chosen = chosen
        self._clock = clock
        self._fetch = fetch
        self._name = f"neuron|{chosen.path or chosen.url}"
        self._since = f"{self._name}|since"
        self._print = f"{self._name}|before|"

    @property
    def series(self) -> Sequence[str]:
        """When the place was read last, or the end of the last minute of its reports."""
        return (self._name if self._chosen.url is not None else self._since,)

    def preview(self, read_until: Mapping[str, float]) -> Preview:
        """Where it will be read on."""
        where = self._chosen.path or self._chosen.url
        at = read_until.get(self._name)
        said = f"reads {where}" + (f" from byte {at:,.0f}" if at and self._chosen.path else "")
        return Preview(calls=1, datapoints=0, dollars=0.0, dollars_per_month=0.0, said=said)

    def pull(self, read_until: Mapping[str, float]) -> Iterator[Pulled]:
        """Whole minutes only."""
        since = read_until.get(self._since, 0.0)
        minutes, part = Minutes(self._chosen.endpoint, self._chosen.variant, since), Part()
        if self._chosen.url is not None:
            yield self._scraped(self._chosen.url, read_until, minutes, part)
        elif self._chosen.path == "-":
            yield from self._followed(sys.stdin.buffer, minutes, part)
        else:
            path = Path(str(self._chosen.path))
            try:
                if stat.S_ISFIFO(path.stat().st_mode):
                    with path.open("rb") as pipe:
                        yield from self._followed(pipe, minutes, part)
                else:
                    yield self._grown(path, read_until, minutes, part)
            except OSError as error:
                raise CollectError(
                    f"{path}: cannot be read ({error.strerror}): check the path and permissions"
                ) from error

    # -- a pipe -----------------------------------------------------------------------------
    def _followed(self, pipe: IO[bytes], minutes: Minutes, part: Part) -> Iterator[Pulled]:
        """A part for every minute that ends, until the other side closes the pipe."""
        minute = self._clock() // 60
        for line in lines_in(pipe, self._name):
            now = self._clock()
            report = _report(line, part, self._name)
            if report is not None:
                _add(report, now if report.at is None else report.at, minutes)
            if now // 60 > minute:
                minute = now // 60
                yield self._taken(part, minutes, minute * 60)
        yield self._taken(part, minutes, float("inf"))

    # -- a file -----------------------------------------------------------------------------
    def _grown(
        self, path: Path, read_until: Mapping[str, float], minutes: Minutes, part: Part
    ) -> Pulled:
        about = path.stat()
        start = int(read_until.get(self._name, 0.0))
        print_before = [mark for mark in read_until if mark.startswith(self._print)]
        if about.st_size < start or not self._is_the_same(path, start, print_before):
            part.notes["files that began again"] += 1
            start = 0
        placed = self._lines_from(path, start, part)
        ended = self._clock() - about.st_mtime >= REST_SECONDS
        known = about.st_mtime if ended else about.st_mtime // 60 * 60
        at, times = about.st_mtime, []
        for one in reversed(placed):
            times.append(at if one.report.at is None else one.report.at)
            at -= one.report.period_seconds
        offset = start
        for one, moment in zip(placed, reversed(times), strict=True):
            if not ended and moment - one.report.period_seconds / 2 >= known:
                break
            _add(one.report, moment, minutes)
            offset = one.offset
        part.read_until[self._name] = float(offset)
        mark = self._print + _digest(path, offset)
        part.read_until[mark] = float(offset)
        part.finished += [one for one in print_before if one != mark]
        return self._taken(part, minutes, float("inf"))

    def _is_the_same(self, path: Path, start: int, known: Sequence[str]) -> bool:
        """Whether what was read last stands where it stood: a new file may be longer, too.

        The end of what was read is looked at, not the file's head or inode: heads of two runs may
        be alike, and a copied file has another inode.
        """
        return not known or not start or self._print + _digest(path, start) in known

    def _lines_from(self, path: Path, start: int, part: Part) -> list[_Placed]:
        """Whole lines only: the last one may still be written."""
        placed, offset = [], start
        with path.open("rb") as file:
            file.seek(start)
            for number, raw in enumerate(file, 1):
                if not raw.endswith(b"\n"):
                    break
                offset += len(raw)
                line = Line(number, raw.rstrip(b"\r\n"), len(raw))
                report = _report(line, part, str(path)) if line.start else None
                if report is not None:
                    placed.append(_Placed(report, offset))
        return placed

    # -- a page -----------------------------------------------------------------------------
    def _scraped(
        self, url: str, read_until: Mapping[str, float], minutes: Minutes, part: Part
    ) -> Pulled:
        now, last = self._clock(), read_until.get(self._name)
        if last is not None and last // 60 == now // 60:
            return part.taken()  # what was counted since belongs to the next minute
        try:
            found = read_exposition(self._fetch(url), read_until)
        except RejectedError as error:
            raise CollectError(f"{url}: {error}: is it the page of neuron-monitor?") from error
        for one in found.executions:
            minutes.add(one, now)
        part.read_until |= {**found.counters, self._name: now}
        return self._taken(part, minutes, float("inf"))

    def _taken(self, part: Part, minutes: Minutes, before: float) -> Pulled:
        found = tuple(minutes.taken(before))
        if found:
            part.read_until[self._since] = minutes.since
        pulled = part.taken()
        if not found:
            return pulled
        first, last = (edge(one.minute for one in found) for edge in (min, max))
        keys = {(one.key.endpoint, one.key.variant, one.key.metric) for one in found}
        return replace(
            pulled,
            observations=found,
            window=Window(first * 60.0, (last + 1) * 60.0),
            final_until={self.series[0]: minutes.since},
            brings={self.series[0]: keys},
        )


def _digest(path: Path, end: int) -> str:
    """Of the bytes of a file before a place."""
    with path.open("rb") as file:
        file.seek(max(end - PRINT_BYTES, 0))
        return blake2b(file.read(min(end, PRINT_BYTES)), digest_size=8).hexdigest()


def _report(line: Line, part: Part, name: str) -> Report | None:
    try:
        if line.too_long:
            raise RejectedError(TOO_LONG)  # noqa: TRY301 - one way out
        found = read_report(line.start)
    except RejectedError as error:
        part.reject(name, line, str(error))
        return None
    if found.errors:
        part.notes["applications that neuron-monitor could not read"] += found.errors
    return found


def _add(report: Report, at: float, minutes: Minutes) -> None:
    for one in report.executions:
        # The period ended at this time; most of it belongs to the minute of its middle.
        minutes.add(one, at - one.period_seconds / 2)


def build(options: Mapping[str, object]) -> Puller:
    """One place of reports; `options` are those of `neuron` in nibai.yaml."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    return NeuronSource(Neuron.model_construct(None, **options), clock=time.time, fetch=_fetched)


def _fetched(url: str) -> str:
    import urllib3  # noqa: PLC0415 - only for pages

    try:
        found = urllib3.request("GET", url, timeout=10.0, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise CollectError(
            f"{url}: not reached ({type(error).__name__}): does neuron-monitor-prometheus.py run?",
            retryable=True,
            reason="unreached",
        ) from None
    if found.status != 200:  # noqa: PLR2004 - OK
        raise CollectError(f"{url}: answered {found.status}", reason=f"http_{found.status}")
    return found.data.decode("utf-8", "replace")
