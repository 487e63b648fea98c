"""Where invocation logs are read: files in S3, or a log group by Logs Insights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from collector.aws.session import Caller
from collector.bedrock.records import Asked
from collector.hourly.part import Part
from collector.hourly.places import Place
from collector.hourly.reading import HourlyReading, first_hour
from collector.insights import MAX_ROWS, Insights
from collector.lines import Line
from collector.replay.rows import RejectedError
from nibai.model import Window
from nibai.predictions import PredictionRecord
from nibai.protocols import Pulled

WINDOW_SECONDS = 600.0
SETTLED_SECONDS = 600.0
"""Records that arrive in a log group later are not seen."""


BODIES_AT_ONCE = 1000
"""Rows of one answer of Logs Insights: each holds both bodies of a request."""

Told = tuple[PredictionRecord, Asked]
"""An answer, and how it was asked for."""


class Reader(Protocol):
    """What is made of records."""

    def read(self, line: bytes) -> Told:
        """What a record tells; nothing else happens. Raises RejectedError."""
        ...

    def take(self, told: Told) -> PredictionRecord:
        """Count it as read, once."""
        ...


class Logs(Protocol):
    """Records, wherever they are."""

    @property
    def name(self) -> str:
        """The place; also what its progress is kept under."""
        ...

    def said(self, read_until: Mapping[str, float], now: float) -> str:
        """From where they will be read."""
        ...

    def read(
        self, reader: Reader, read_until: Mapping[str, float], now: float, part: Part
    ) -> Iterator[Pulled]:
        """Full parts as they come; the last one stays in `part`. Raises CollectError."""
        ...


@dataclass(frozen=True, slots=True)
class FileLogs:
    """Packed files in S3, hour by hour."""

    store: Caller
    place: Place
    since_seconds: float

    @property
    def name(self) -> str:
        """The address."""
        return self.place.name

    def said(self, read_until: Mapping[str, float], now: float) -> str:
        """The hour from which they are listed."""
        start = first_hour(self.place, read_until, now, self.since_seconds)
        return f"lists {self.name} from {self.place.after(start)[-13:]}h (UTC)"

    def read(
        self, reader: Reader, read_until: Mapping[str, float], now: float, part: Part
    ) -> Iterator[Pulled]:
        """Files that were not read yet."""
        reading = HourlyReading(self.store, read_until, now, self.since_seconds)
        yield from reading.read(self.place, lambda line: [reader.take(reader.read(line))], part)


@dataclass(frozen=True, slots=True)
class Message:
    """What is kept of an event of a log group: its answer, or why there is none; no body."""

    at: float
    size: int
    told: Told | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Records:
    log_group: str
    reader: Reader

    @property
    def text(self) -> str:
        return (
            'fields @timestamp as at, @message as f0 | filter schemaType = "ModelInvocationLog" '
            f"| sort @timestamp asc | limit {MAX_ROWS}"
        )

    @property
    def page_rows(self) -> int:
        return BODIES_AT_ONCE

    def request(self, row: Mapping[str, str]) -> Message | None:
        try:
            at = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC).timestamp()
            text = row["f0"].encode()
        except (KeyError, ValueError):
            return None
        try:
            return Message(at, len(text), self.reader.read(text))
        except RejectedError as error:
            return Message(at, len(text), None, str(error))


@dataclass(frozen=True, slots=True)
class GroupLogs:
    """A log group; what is scanned is billed, so every minute is asked for once."""

    logs: Caller
    log_group: str
    since_seconds: float
    clock: Callable[[], float]
    wait: Callable[[float], None]

    @property
    def name(self) -> str:
        """The group."""
        return f"log group {self.log_group}"

    def said(self, read_until: Mapping[str, float], now: float) -> str:
        """For how long a time it is asked."""
        minutes = max(self._window(read_until, now).seconds, 0.0) / 60
        return (
            f"asks {self.name} for {minutes:,.0f} minutes; Logs Insights bills $0.005 per GB that "
            "it scans"
        )

    def read(
        self, reader: Reader, read_until: Mapping[str, float], now: float, part: Part
    ) -> Iterator[Pulled]:
        """Windows in order; of each the answers are held, of their bodies those of one page."""
        query = _Records(self.log_group, reader)
        insights = Insights(self.logs, query, clock=self.clock, wait=self.wait)
        for found in insights.read(self._window(read_until, now), WINDOW_SECONDS):
            for number, message in enumerate(found.requests, 1):
                if message.told is not None:
                    part.records.append(reader.take(message.told))
                    continue
                line = Line(number, b"", message.size)
                part.reject(f"{self.name} at {message.at:.0f}", line, message.reason)
            if not found.whole:
                part.problems.append(
                    f"{self.name}: more than {MAX_ROWS:,} records in one minute, the others are "
                    "left out: have the logs written to S3"
                )
            part.dollars += found.dollars
            part.read_until[self.name] = found.window.end
            yield part.taken()

    def _window(self, read_until: Mapping[str, float], now: float) -> Window:
        start = read_until.get(self.name, (now - self.since_seconds) // 60 * 60)
        return Window(start, (now - SETTLED_SECONDS) // 60 * 60)
