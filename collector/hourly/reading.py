"""One place read on: hours that may still fill are listed again, files that were read left alone.

What is kept of a place is the hour up to which all is read; of files in later hours, when they were
written (`read_until`, by the place's and the files' addresses).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from collector.aws.session import Caller
from collector.hourly.objects import (
    DOLLARS_A_GET,
    DOLLARS_A_LIST,
    DamagedError,
    listed,
    object_lines,
)
from collector.hourly.part import Part
from collector.hourly.places import Place, hour_start, settled_until
from collector.lines import MAX_LINE_BYTES
from collector.replay.rows import RejectedError
from nibai.predictions import PredictionRecord
from nibai.protocols import Pulled

PART_ROWS = 5_000
TOO_LONG = f"longer than {MAX_LINE_BYTES >> 20} MiB"

ReadLine = Callable[[bytes], list[PredictionRecord]]
"""The answers of a line; raises RejectedError with the reason where it cannot be used."""


def first_hour(
    place: Place, read_until: Mapping[str, float], now: float, since_seconds: float
) -> float:
    """The hour from which a place is listed; `since_seconds` is how far the first reading goes."""
    known = read_until.get(place.name)
    return hour_start(now - since_seconds) if known is None else min(known, settled_until(now))


class HourlyReading:
    """Reads places of one store at one moment."""

    def __init__(
        self, store: Caller, read_until: Mapping[str, float], now: float, since_seconds: float
    ) -> None:
        self._store = store
        self._read_until = read_until
        self._now = now
        self._since = since_seconds

    def read(self, place: Place, read_line: ReadLine, part: Part) -> Iterator[Pulled]:
        """Full parts as they come; the last one stays in `part`, whatever ended the reading.

        Raises CollectError and its kinds: then the place is not read to its end.
        """
        settled = settled_until(self._now)
        cursor = first_hour(place, self._read_until, self._now, self._since)
        below = [one for one in self._read_until if one.startswith(place.name)]
        marks = {name: self._read_until[name] for name in below if name != place.name}
        known, found_any = place.name in self._read_until, False
        for page in listed(self._store, place.bucket, place.prefix, place.after(cursor)):
            part.dollars += DOLLARS_A_LIST
            found_any = found_any or bool(page)
            for found in page:
                name = f"s3://{place.bucket}/{found.key}"
                hour = place.hour_of(found.key)
                if hour is None:
                    part.notes["files of another kind"] += 1
                    continue
                if cursor < min(hour, settled):
                    cursor = min(hour, settled)
                    part.advance(place, cursor, marks)
                if marks.get(name) != found.modified:
                    yield from self._file(place, found.key, name, read_line, part)
                    marks[name] = part.read_until[name] = found.modified
        if found_any or known:
            part.advance(place, max(cursor, settled), marks)
        else:  # never a silent pass: it is said until the first file comes
            part.problems.append(
                f"{place.name}: no file from {place.after(cursor)[-13:]}h (UTC) on: is it switched "
                "on, and is this where it writes?"
            )

    def _file(
        self, place: Place, key: str, name: str, read_line: ReadLine, part: Part
    ) -> Iterator[Pulled]:
        part.dollars += DOLLARS_A_GET
        try:
            for line in object_lines(self._store, place.bucket, key):
                try:
                    if line.too_long:
                        raise RejectedError(TOO_LONG)  # noqa: TRY301 - one way out
                    part.records += read_line(line.start)
                except RejectedError as error:
                    part.reject(name, line, str(error))
                if len(part.records) >= PART_ROWS:
                    yield part.taken()
        except DamagedError as error:
            # Not worth another try: what came before the damage is kept, and it is told once.
            part.problems.append(str(error))
