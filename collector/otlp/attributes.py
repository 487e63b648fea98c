"""Attributes from their raw bytes, decoded once; which of them are looked at at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.otlp.schema import MalformedError

CACHE_ENTRIES = 50_000
IGNORED_ENTRIES = 4096

_KEY = b"\x0a"
"""Tag of a KeyValue's key."""
_LONG = 0x80
"""Lengths from here on take two bytes."""

Attributes = Mapping[str, str | int | float | bool]


def attributes_of(raw: Sequence[bytes]) -> dict[str, str | int | float | bool]:
    """Attributes from their raw KeyValue bytes; lists, maps and bytes are left out."""
    found = {}
    for one in raw:
        pair = _CACHE.get(one)
        if pair is None:
            pair = key_value(one)
        if pair[1] is not None:
            found[pair[0]] = pair[1]
    return found


_CACHE: dict[bytes, tuple[str, Any]] = {}


def key_value(raw: bytes) -> tuple[str, Any]:
    """Key and value of a raw KeyValue, remembered; None for lists, maps and bytes."""
    message = KeyValue()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise MalformedError("an attribute cannot be decoded") from error
    pair = (message.key, scalar(message.value))
    if len(_CACHE) >= CACHE_ENTRIES:
        _CACHE.clear()  # request ids fill it; the few real ones come back at once
    _CACHE[raw] = pair
    return pair


def scalar(value: AnyValue) -> str | int | float | bool | None:
    """A value that is a text or a number, else None."""
    kind = value.WhichOneof("value")
    if kind in ("string_value", "int_value", "double_value", "bool_value"):
        found: str | int | float | bool = getattr(value, kind)
        return found
    return None


class Wanted:
    """The attributes that are looked at; all others, such as trace flags, are skipped undecoded.

    `keys` decide a span's series and outcome; what `answers` say is new with every span.
    """

    def __init__(self, keys: Iterable[str], answers: Iterable[str] = ()) -> None:
        self.keys = frozenset(keys)
        self.answers = frozenset(answers)
        self._raw_keys = frozenset(key.encode() for key in self.keys)
        self._raw_answers = frozenset(key.encode() for key in self.answers)
        self._marks = np.zeros(2**16, dtype=bool)
        for key in self._raw_keys | self._raw_answers:
            raw = _KEY + bytes([len(key) & 0x7F]) + key
            self._marks[(raw[-1] ^ raw[1]) << 8 | (raw[-2] ^ raw[1])] = True
        self.known: set[bytes] = set()
        self.ignored: set[bytes] = set()

    def likely(self, octets: np.ndarray, at: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Which raw KeyValues to look at: all wanted ones, and few others.

        Told by the length of the key and its last two letters; those without a short key in front
        are looked at.
        """
        length = octets[at + 1]
        last = at + length
        before = octets[last]
        last += 1
        # Two letters and the length in 16 bits; what is mistaken is found out later.
        mark = (octets[last] ^ length).astype(np.uint16) << 8 | (before ^ length)
        plain = (octets[at] == _KEY[0]) & (length < _LONG) & (last < end)
        found: np.ndarray = self._marks[mark] | ~plain
        return found

    def has(self, raw: bytes, answer: list[bytes]) -> bool:
        """Whether a raw KeyValue has a wanted key; one that belongs to an answer is put there."""
        if raw in self.known:
            return True
        return raw not in self.ignored and self.is_wanted(raw, answer)

    def is_wanted(self, raw: bytes, answer: list[bytes]) -> bool:
        """`has` for one that was not met before (a key of up to 127 bytes stands first)."""
        if len(raw) > 1 and raw[0] == _KEY[0] and raw[1] < _LONG:
            key = raw[2 : 2 + raw[1]]
        else:
            key = key_value(raw)[0].encode()
        if key in self._raw_answers:
            # Neither known nor ignored: the next span's is an answer's again.
            answer.append(raw)
            return key in self._raw_keys
        wanted = key in self._raw_keys
        if wanted:
            if len(self.known) >= CACHE_ENTRIES:
                self.known.clear()
            self.known.add(raw)
        elif len(self.ignored) < IGNORED_ENTRIES:
            # Ids fill this once and stay out; what every span repeats came in before.
            self.ignored.add(raw)
        return wanted
