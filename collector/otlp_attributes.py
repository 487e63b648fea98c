"""Attributes from their raw bytes, decoded once; which of them are looked at at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.otlp_schema import MalformedError

CACHE_ENTRIES = 50_000
IGNORED_ENTRIES = 4096

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
        self.known: set[bytes] = set()
        self.ignored: set[bytes] = set()

    def is_wanted(self, raw: bytes, answer: list[bytes]) -> bool:
        """Whether a raw KeyValue has a wanted key (a key of up to 127 bytes stands first).

        One that belongs to an answer is put there.
        """
        if len(raw) > 1 and raw[0] == 0x0A and raw[1] < 0x80:  # noqa: PLR2004 - field 1, short
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
