"""A Prometheus-compatible server as a source that is pulled, metric by metric, day by day."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.cloudwatch.cadence import Cadence as Blocks
from collector.cloudwatch.cadence import Moments, block_after, more_readings, waiting_words
from collector.promql.asking import Asker
from collector.promql.client import PromqlClient, TooMuchError
from collector.promql.discovery import discovered
from collector.promql.instead import instead
from collector.promql.minutes import MINUTE, Minutes, Read
from collector.promql.reading import read
from collector.promql.selectors import selector
from collector.promql.units import Checked, Units, unit_mark
from collector.promql.wanted import Found, Wanted
from nibai.errors import AuthError, CollectError, ConfigError
from nibai.model import Observation, Window
from nibai.protocols import Preview, Pulled

CHUNK_SECONDS = 86400.0
"""What one query covers at most; CloudWatch answers no longer stretch at this resolution."""

SHORTEST_SECONDS = 600.0
"""What is still too much in so short a stretch stays unread."""

MONTH_SECONDS = 730 * 3600.0
DOLLARS_PER_SAMPLE = 0.01 / 1e6
"""What CloudWatch takes for samples that queries scan."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """When to read: how often, what is not there yet, what may still change, how far back.

    `by_blocks`: also when a block of a watch is ready, within a day of a change.
    """

    every_seconds: float = 60.0
    delay_seconds: float = 60.0
    reread_seconds: float = 300.0
    backfill_seconds: float = 7 * 86400.0
    by_blocks: bool = False


class PromqlSource:
    """Metrics of one server; `dollars_per_sample` is the price of reading it.

    A metric is stored once its `units` do not speak against it.
    """

    def __init__(
        self,
        client: PromqlClient,
        wanted: Sequence[Wanted],
        cadence: Cadence,
        *,
        clock: Callable[[], float],
        dollars_per_sample: float = 0.0,
        dollars_per_month: float = math.inf,
        units: Units | None = None,
    ) -> None:
        self._client = client
        self._units = units or Units(client)
        self._asker = Asker(client)
        self._wanted = {one.series_name: one for one in wanted}
        self._cadence = cadence
        self._clock = clock
        self._price = dollars_per_sample
        self._limit = dollars_per_month
        self._told = 0
        self._changes: Moments = {}

    @property
    def series(self) -> Sequence[str]:
        """Names under which it is kept how far each metric was read."""
        return tuple(self._wanted)

    def preview(self, read_until: Mapping[str, float]) -> Preview:
        """What the next pull will ask, at one series a metric, without asking."""
        self._affordable()
        chunks = [
            (chunk, _queries(one))
            for name, one in self._wanted.items()
            for chunk in self._chunks(read_until.get(name))
        ]
        samples = sum(round(chunk.seconds / MINUTE) * queries for chunk, queries in chunks)
        return Preview(
            calls=sum(queries for _, queries in chunks),
            datapoints=samples,
            dollars=samples * self._price,
            dollars_per_month=self._monthly(),
            said=f"{len(self._wanted)} metrics by PromQL, "
            f"read every {self._cadence.every_seconds / 60:g} minutes{self._waiting}",
        )

    def attend(self, changes: Moments) -> None:
        """Moments of changes by endpoint."""
        self._changes = changes

    def due_after(self, moment: float) -> float:
        """When a block of a watch may be read next."""
        endpoints = (key for one in self._wanted.values() for key, _, _ in one.expects)
        return block_after(self._blocks, endpoints, self._changes, moment)

    def missing(
        self, series: Sequence[tuple[str, str]]
    ) -> tuple[Mapping[tuple[str, str], str], float]:
        """What the server has in place of variants that gave nothing; asking for labels is free."""
        now = self._clock()
        week = Window(now - self._cadence.backfill_seconds, now)
        found = {}
        for name, variant in series:
            told = instead(self._client, self._wanted[name], variant, week)
            if told is not None:
                found[name, variant] = told
        return found, 0.0

    def pull(self, read_until: Mapping[str, float]) -> Iterator[Pulled]:
        """Everything since each metric was read; one that cannot be read is told as a problem."""
        self._affordable()
        names: list[str] | None = None
        for name, wanted in self._wanted.items():
            chunks = self._chunks(read_until.get(name))
            if not chunks:
                continue
            whole = Window(chunks[0].start, chunks[-1].end)
            try:
                names = names or self._client.label_values("__name__", None, whole)
                found = discovered(self._client, wanted, names, whole)
                if found is None:
                    yield self._failed(whole, _missing(wanted, names))
                    continue
                yield from self._read(name, found, whole, read_until)
            except AuthError:
                raise
            except CollectError as error:
                yield self._failed(whole, f"{wanted.names[0]}: {error}")

    def _read(
        self, name: str, found: Found, stretch: Window, read_until: Mapping[str, float]
    ) -> Iterator[Pulled]:
        """The stretch a day at a time, or as much of it as the server and memory can take.

        An answer that may lack something makes no minute less that was read whole before.
        """
        start, length, whole_so_far = stretch.start, CHUNK_SECONDS, True
        known, checked = read_until.get(name, -math.inf), Checked(unit_mark(name) in read_until)
        while start < stretch.end:
            chunk = Window(start, min(start + length, stretch.end))
            try:
                done = read(self._asker, found, chunk)
            except TooMuchError:
                if chunk.seconds <= SHORTEST_SECONDS:
                    raise
                length = math.ceil(chunk.seconds / 2 / MINUTE) * MINUTE
                continue
            if done.observations and not checked.settled:
                checked = self._units.check(found, done.observations, chunk)
                if checked.problem:
                    failed = self._failed(chunk, checked.problem)
                    yield replace(failed, dollars=failed.dollars + checked.dollars)
                    return
            whole_so_far = whole_so_far and not done.warnings
            observed = [
                one
                for one in done.observations
                if not done.warnings or one.minute * MINUTE >= known
            ]
            # After a part that may lack something nothing counts as read: it is asked again.
            marks = {name: chunk.end} if whole_so_far else {}
            if checked.settled and whole_so_far:
                marks[unit_mark(name)] = chunk.end
            final = {name: chunk.end - self._cadence.reread_seconds} if whole_so_far else {}
            yield Pulled(
                observations=observed,
                window=chunk,
                read_until=marks,
                final_until=final,
                brings={name: _brought(observed) | set(found.wanted.expects)},
                dollars=self._dollars() + checked.dollars,
                notes=_notes(done) | ({checked.note: 1} if checked.note else {}),
            )
            start, checked = chunk.end, Checked(checked.settled)

    def _failed(self, window: Window, problem: str) -> Pulled:
        return Pulled((), window, {}, self._dollars(), {}, problems=(problem,))

    def _dollars(self) -> float:
        """What was scanned since it was last told."""
        scanned = self._client.metered.samples - self._told
        self._told += scanned
        return scanned * self._price

    def _monthly(self) -> float:
        """Dollars of a month at this cadence, each metric one series."""
        read = self._cadence.every_seconds + self._cadence.reread_seconds
        readings = MONTH_SECONDS / self._cadence.every_seconds + more_readings(self._blocks)
        queries = sum(map(_queries, self._wanted.values()))
        return queries * read / MINUTE * readings * self._price

    @property
    def _waiting(self) -> str:
        """What is said of watches where minutes are read again for long."""
        return f"; {waiting_words(self._blocks)}" if self._cadence.by_blocks else ""

    @property
    def _blocks(self) -> Blocks:
        return Blocks(self._cadence.every_seconds, by_blocks=self._cadence.by_blocks)

    def _affordable(self) -> None:
        if self._monthly() > self._limit:
            raise ConfigError(
                f"PromQL: reading {len(self._wanted)} metrics costs ${self._monthly():.4f} a month "
                f"at one series each, the limit is ${self._limit:.4f}: read less often (every), "
                "fewer endpoints or metrics, or raise dollars_per_month"
            )

    def _chunks(self, known: float | None) -> list[Window]:
        """Stretches on whole minutes from where a metric stands to now."""
        cadence, now = self._cadence, self._clock()
        end = math.floor((now - cadence.delay_seconds) / MINUTE) * MINUTE
        earliest = now - cadence.backfill_seconds
        start = earliest if known is None else max(known - cadence.reread_seconds, earliest)
        start = math.ceil(start / MINUTE) * MINUTE
        found = []
        while start < end:
            found.append(Window(start, min(start + CHUNK_SECONDS, end)))
            start = found[-1].end
        return found


def _brought(observed: Sequence[Observation]) -> set[tuple[str, str, str]]:
    return {(one.key.endpoint, one.key.variant, one.key.metric) for one in observed}


def _queries(wanted: Wanted) -> int:
    """Queries of a stretch that is answered whole and shows its buckets."""
    return 1 + len(wanted.failures)


def _missing(wanted: Wanted, names: Sequence[str]) -> str:
    chosen = selector(wanted.names[0], wanted.matchers, wanted.more)
    word = wanted.names[0].replace(":", "_").split("_")[0].lower()
    near = [name for name in names if word in name.lower()][:5]
    told = f"; there are {', '.join(near)}" if near else ""
    return f"PromQL: no series {chosen}{told}: check the name under metrics"


def _notes(done: Read) -> dict[str, int]:
    minutes: Minutes = done.minutes
    told = {f"PromQL: {text}"[:200]: 1 for text in done.warnings}
    counted = {
        "series that no rule maps": minutes.unmapped,
        "counters that started anew": minutes.restarts,
        "requests above the largest bucket": round(minutes.beyond),
        "stretches without counters of failed requests": minutes.uncounted,
    }
    return told | {text: n for text, n in counted.items() if n}
