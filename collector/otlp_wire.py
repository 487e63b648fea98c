"""Fields of many protobuf messages, read in step: the first of all of them, then the second.

Only the plain form is read, the one that exporters write: tags of one byte (and the two of a span's
flags), numbers of one byte, lengths below 16,384. A message with anything else, or whose last field
does not end where it ends, is odd: it is for protobuf's own decoder, which says what is malformed.
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

PADDING = bytes(512)
"""What is looked at behind the last message until its length is known."""

_NOWHERE = 2**40
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
        count = len(messages)
        self.data = b"".join((*messages, PADDING))
        self.octets = np.frombuffer(self.data, dtype=np.uint8)
        self.words = np.ndarray(len(self.data) - 7, "<u8", self.data, 0, (1,))
        """The eight bytes from each position on, as one number."""
        self.odd = np.zeros(count, dtype=bool)
        sizes = np.fromiter(map(len, messages), np.int64, count)
        self._ends = sizes.cumsum()
        self._begins = self._ends - sizes

    def fields(self, asked: frozenset[int]) -> Iterator[Fields]:
        """Fields with the tags asked for, in the order of each message.

        Fields of a message that turns out to be odd may have been given before.
        """
        rows: np.ndarray = np.flatnonzero(self._begins < self._ends)
        at, ends = self._begins[rows], self._ends[rows]
        for _ in range(MOST_FIELDS):
            tags = self.octets[at].tobytes()
            if not tags:
                return
            alike = tags == tags[:1] * len(tags)
            read = self._alike if alike else self._unlike
            values, after = read(tags, at)
            inside = after < ends
            if not _all(inside):
                fits = after <= ends
                if not _all(fits):
                    self.odd[rows[~fits]] = True
                    tags = _picked(tags, fits)
                    rows, values, after = rows[fits], values[fits], after[fits]
                    ends, inside = ends[fits], inside[fits]
            for tag in asked.intersection(tags[:1] if alike else tags):
                if alike:
                    yield Fields(tag, rows, values, after)
                else:
                    pick = np.frombuffer(tags, dtype=np.uint8) == tag
                    yield Fields(tag, rows[pick], values[pick], after[pick])
            if not _all(inside):
                rows, after, ends = rows[inside], after[inside], ends[inside]
            at = after
        self.odd[rows] = True

    def _unlike(self, tags: bytes, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, after = np.empty_like(at), np.empty_like(at)
        here = np.frombuffer(tags, dtype=np.uint8)
        for tag in set(tags):
            pick = here == tag
            values[pick], after[pick] = self._alike(bytes([tag]), at[pick])
        return values, after

    def _alike(self, tags: bytes, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the values of fields with one tag begin, and what follows them (odd: nothing)."""
        tag = tags[0]
        # There is no field 0, and a tag that continues is another field than it seems.
        wire = tag & 7 if FIRST_TAG <= tag < _CONTINUES else None
        if wire in _FIXED:
            return at + 1, at + (1 + _FIXED[wire])
        second = self.octets[at + 1]
        if tag == FLAGS:
            return at + 2, np.where(second == 1, at + 6, _NOWHERE)
        if wire == BYTES:
            return self._lengths(at + 2, second)
        if wire == VARINT:
            return at + 1, np.where(second < _CONTINUES, at + 2, _NOWHERE)
        return at, np.full_like(at, _NOWHERE)

    def _lengths(self, values: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if second.tobytes().isascii():  # all of one byte
            return values, values + second
        third = self.octets[values].astype(np.int64)
        long = second >= _CONTINUES
        values = values + long
        after = values + np.where(long, (second & 0x7F) | third << 7, second)
        after[long & (third >= _CONTINUES)] = _NOWHERE
        return values, after


def _all(mask: np.ndarray) -> bool:
    """`mask.all()`, five times as fast for a thousand."""
    return b"\0" not in mask.tobytes()


def _picked(tags: bytes, mask: np.ndarray) -> bytes:
    picked: bytes = np.frombuffer(tags, dtype=np.uint8)[mask].tobytes()
    return picked
