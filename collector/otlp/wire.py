"""Fields of many protobuf messages, read in step: the first of all of them, then the second.

Only the plain form is read, the one that exporters write: tags of one byte (and the two of a span's
flags), numbers of one byte, lengths below 16,384. A message with anything else, or whose last field
does not end where it ends, is odd: it is for protobuf's own decoder, which says what is malformed.
A zero stands behind each message, which is no tag: who arrives at its own has been read.
Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

VARINT, BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
"""Wire types of a fixed number of bytes."""

FIRST_TAG = 8
FLAGS = 0x85
"""First byte of the tag of field 16, four bytes long (the second is 1)."""

MOST_FIELDS = 128
"""A message with more is odd, so that memory stays within reach of what was sent."""

LONGEST = 1 << 14
"""Values from here on have lengths of three bytes."""

_BEYOND = 64
"""So far behind the last message goes who cannot be read."""
_CONTINUES = 0x80


@dataclass(frozen=True, slots=True)
class Fields:
    """One field in each of some messages, all with the same tag: where its value is."""

    tag: int
    rows: np.ndarray
    at: np.ndarray
    end: np.ndarray


class Messages:
    """Messages side by side; `odd` says which of them only protobuf's decoder can read."""

    def __init__(self, messages: Sequence[bytes]) -> None:
        sizes = np.fromiter(map(len, messages), np.int64, len(messages))
        self._ends = (sizes + 1).cumsum() - 1
        self._begins = self._ends - sizes
        self._nowhere = int(sizes.sum()) + len(sizes) + _BEYOND
        self.data = b"\0".join((*messages, bytes(LONGEST + 2 * _BEYOND)))
        self.octets = np.frombuffer(self.data, dtype=np.uint8)
        self.words = np.ndarray(len(self.data) - 7, "<u8", self.data, 0, (1,))
        """The eight bytes from each position on, as one number."""
        self.odd = np.zeros(len(sizes), dtype=bool)

    def fields(self, asked: frozenset[int]) -> Iterator[Fields]:
        """Fields with the tags asked for, in the order of each message.

        Of a message that turns out to be odd anything may have been given before.
        """
        rows, at = np.arange(len(self._ends)), self._begins
        for _ in range(MOST_FIELDS):
            tags = self.octets[at].tobytes()
            if b"\0" in tags:
                going_on = self.octets[at] > 0
                done = rows[~going_on]
                self.odd[done] = at[~going_on] != self._ends[done]
                rows, at = rows[going_on], at[going_on]
                tags = tags.replace(b"\0", b"")
            if not tags:
                return
            alike = tags == tags[:1] * len(tags)
            values, after = self._alike(tags[0], at) if alike else self._unlike(tags, at)
            for tag in asked.intersection(tags[:1] if alike else tags):
                if alike:
                    yield Fields(tag, rows, values, after)
                else:
                    pick = np.frombuffer(tags, dtype=np.uint8) == tag
                    yield Fields(tag, rows[pick], values[pick], after[pick])
            at = after
        self.odd[rows] = True

    def _unlike(self, tags: bytes, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, after = np.empty_like(at), np.empty_like(at)
        here = np.frombuffer(tags, dtype=np.uint8)
        for tag in set(tags):
            pick = here == tag
            values[pick], after[pick] = self._alike(tag, at[pick])
        return values, after

    def _alike(self, tag: int, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the values of fields with one tag begin, and what follows them."""
        # There is no field 0, and a tag that continues is another field than it seems.
        wire = tag & 7 if FIRST_TAG <= tag < _CONTINUES else None
        values = at + 1
        if wire in _FIXED:
            return values, at + (1 + _FIXED[wire])
        second = self.octets[values]
        if wire == BYTES:
            values += 1
            return self._lengths(values, second)
        if wire == VARINT:
            return values, np.where(second < _CONTINUES, at + 2, self._nowhere)
        if tag == FLAGS:
            return values, np.where(second == 1, at + 6, self._nowhere)
        return values, np.full_like(at, self._nowhere)

    def _lengths(self, values: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if second.tobytes().isascii():  # all of one byte
            return values, values + second
        third = self.octets[values].astype(np.int64)
        long = second >= _CONTINUES
        values = values + long
        after = values + np.where(long, (second & 0x7F) | third << 7, second)
        after[long & (third >= _CONTINUES)] = self._nowhere
        return values, after
