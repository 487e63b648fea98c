"""Many spans column by column: their times, and numbers for what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from collector.otlp.attributes import Wanted
from collector.otlp.schema import STATUS_ERROR, is_error
from collector.otlp.shapes import SERVING, Spans
from collector.otlp.wire import Fields, Messages
from nibai.store.engine.columns import column

PARENT, KIND, START, END, ATTRIBUTE, STATUS = 0x22, 0x30, 0x39, 0x41, 0x4A, 0x7A
_ASKED = frozenset((PARENT, KIND, START, END, ATTRIBUTE, STATUS))

_CODE = 0x18
"""Tag of a status' code."""

_LARGEST = 2**62


class SpanColumns:
    """Spans in columns; `odd` are the rows that only protobuf's decoder can read."""

    def __init__(self, raws: Sequence[bytes], wanted: Wanted) -> None:
        count = len(raws)
        self._messages = Messages(raws)
        self._starts, self._ends = np.zeros((2, count), np.uint64)
        self._kinds = np.zeros(count, np.int64)
        self._parents = np.zeros(count, dtype=bool)
        self._status = np.zeros((2, count), np.int64)
        attributes = list(self._read())
        self.odd = np.flatnonzero(self._messages.odd)
        self._status[:, self.odd] = 0
        self._attributes = _Attributes(self._messages, attributes, self.odd, wanted)

    def answers(self) -> Iterator[tuple[int, list[bytes]]]:
        """Rows with an answer, and its attributes."""
        return iter(self._attributes.answers.items())

    def collect(self, into: Spans, first: int) -> None:
        """Put all but the odd ones from position `first` on."""
        rows = np.flatnonzero(~self._messages.odd)
        if not len(rows):
            return
        kinds, errors = self._kinds, self._errors()
        nested = self._parents & (kinds != SERVING[0]) & (kinds != SERVING[1])
        likeness = _Likeness(into.resource[first : first + len(kinds)], len(into.resources))
        likeness.distinguish(kinds * 4 + nested * 2 + errors, 0x80 * 4)
        codes = self._attributes.codes
        for place in np.flatnonzero(codes.any(axis=0)):
            likeness.distinguish(codes[:, place], len(self._attributes.texts) + 1)
        _, one, number = np.unique(likeness.codes[rows], return_index=True, return_inverse=True)
        groups = [
            into.number(
                int(into.resource[first + row]),
                (int(kinds[row]), bool(nested[row]), bool(errors[row]), *self._attributes.of(row)),
            )
            for row in rows[one].tolist()
        ]
        positions = slice(first, first + len(kinds)) if len(rows) == len(kinds) else first + rows
        into.starts[positions], into.ends[positions] = self._starts[rows], self._ends[rows]
        into.group[positions] = np.array(groups)[number]

    def _read(self) -> Iterator[Fields]:
        """Keep the plain fields; the attributes. What comes last counts, as in protobuf."""
        messages = self._messages
        for found in messages.fields(_ASKED):
            if found.tag == ATTRIBUTE:
                yield found
            elif found.tag == START:
                self._starts[found.rows] = messages.words[found.at]
            elif found.tag == END:
                self._ends[found.rows] = messages.words[found.at]
            elif found.tag == KIND:
                self._kinds[found.rows] = messages.octets[found.at]
            elif found.tag == PARENT:
                self._parents[found.rows] = found.end > found.at
            else:
                self._status[:, found.rows] = found.at, found.end

    def _errors(self) -> np.ndarray:
        """Which spans have an error as status."""
        at, end = self._status
        octets = self._messages.octets
        errors = np.zeros(len(at), dtype=bool)
        said = np.flatnonzero(end > at)
        if len(said):
            at, end = at[said], end[said]
            code = octets[at + 1]
            plain = (end - at == 2) & (octets[at] == _CODE) & (code < 0x80)  # noqa: PLR2004
            errors[said] = plain & (code == STATUS_ERROR)
            for row, one, other in zip(said[~plain], at[~plain], end[~plain], strict=True):
                errors[row] = is_error(self._messages.data[one:other])  # an error says why
        return errors


class _Attributes:
    """Wanted attributes of many spans: `texts` are the distinct ones.

    `codes` has a row per span and a column per attribute: 1 + the number of its text, or 0.
    """

    def __init__(
        self, messages: Messages, fields: Sequence[Fields], odd: np.ndarray, wanted: Wanted
    ) -> None:
        shape = (len(messages.odd), len(fields))
        begins, ends = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for place, found in enumerate(fields):
            begins[found.rows, place], ends[found.rows, place] = found.at, found.end
        begins[odd], ends[odd] = 0, 0
        at, end = begins.ravel(), ends.ravel()
        likely = np.flatnonzero(wanted.likely(messages.octets, at, end) & (end > 0))
        self.texts, number = _distinct(messages.data, at[likely], end[likely])
        answer: list[bytes] = []
        in_series = [
            place + 1 if wanted.has(text, answer) else 0 for place, text in enumerate(self.texts)
        ]
        codes = np.zeros(len(at), np.int64)
        codes[likely] = np.array(in_series, np.int64)[number]
        self.codes = codes.reshape(shape)
        self.answers: dict[int, list[bytes]] = {}
        if answer:
            answers = np.isin(number, [self.texts.index(text) for text in answer])
            rows = likely[answers] // shape[1]
            for row, text in zip(rows.tolist(), number[answers].tolist(), strict=True):
                self.answers.setdefault(row, []).append(self.texts[text])

    def of(self, row: int) -> list[bytes]:
        """The wanted attributes of a span, in their order."""
        return [self.texts[code - 1] for code in self.codes[row].tolist() if code]


class _Likeness:
    """Numbers that are equal for rows that are alike in everything said so far."""

    def __init__(self, values: np.ndarray, most: int) -> None:
        self.codes = values.astype(np.int64)
        self._most = max(most, 1)

    def distinguish(self, values: np.ndarray, most: int) -> None:
        """Rows with different values (below `most`) are not alike."""
        if self._most * most >= _LARGEST:
            self.codes = np.unique(self.codes, return_inverse=True)[1]
            self._most = len(values)
        self.codes = self.codes * most + values
        self._most *= most


def _distinct(data: bytes, at: np.ndarray, end: np.ndarray) -> tuple[list[bytes], np.ndarray]:
    """Distinct parts of bytes, and which of them each is; they follow each other."""
    if not len(at):
        return [], np.zeros(0, np.int64)
    # Parts and what is between them take turns.
    bounds = np.empty(2 * len(at), np.int32)
    bounds[::2], bounds[1::2] = at, end
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    both = pa.Array.from_buffers(pa.binary(), len(bounds) - 1, buffers)
    parts = both.take(column(np.arange(0, len(bounds), 2), pa.int64())).dictionary_encode()
    return parts.dictionary.to_pylist(), np.from_dlpack(parts.indices)
