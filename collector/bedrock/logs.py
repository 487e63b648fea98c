"""Where invocation logs are read: files in S3, or a log group by Logs Insights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from collector.aws.session import Caller
from collector.hourly.part import Part
from collector.hourly.places import Place
from collector.hourly.reading import HourlyReading, ReadLine, first_hour
from collector.insights import MAX_ROWS, Insights
from collector.lines import Line
from collector.replay.rows import RejectedError
from nibai.model import Window
from nibai.protocols import Pulled

WINDOW_SECONDS = 600.0
SETTLED_SECONDS = 600.0
"""Records that arrive in a log group later are not seen."""


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
        self, read_line: ReadLine, read_until: Mapping[str, float], now: float, part: Part
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
        self, read_line: ReadLine, read_until: Mapping[str, float], now: float, part: Part
    ) -> Iterator[Pulled]:
        """Files that were not read yet."""
        reading = HourlyReading(self.store, read_until, now, self.since_seconds)
        yield from reading.read(self.place, read_line, part)


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a log group."""

    at: float
    text: bytes


@dataclass(frozen=True, slots=True)
class _Records:
    log_group: str

    @property
    def text(self) -> str:
        return (
            'fields @timestamp as at, @message as f0 | filter schemaType = "ModelInvocationLog" '
            f"| sort @timestamp asc | limit {MAX_ROWS}"
        )

    def request(self, row: Mapping[str, str]) -> Message | None:
        try:
            at = datetime.fromisoformat(row["at"]).replace(tzinfo=UTC).timestamp()
            return Message(at, row["f0"].encode())
        except (KeyError, ValueError):
            return None


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
        self, read_line: ReadLine, read_until: Mapping[str, float], now: float, part: Part
    ) -> Iterator[Pulled]:
        """Windows in order."""
        insights = Insights(self.logs, _Records(self.log_group), clock=self.clock, wait=self.wait)
        for found in insights.read(self._window(read_until, now), WINDOW_SECONDS):
            for number, message in enumerate(found.requests, 1):
                try:
                    part.records += read_line(message.text)
                except RejectedError as error:
                    line = Line(number, message.text, len(message.text))
                    part.reject(f"{self.name} at {message.at:.0f}", line, str(error))
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
