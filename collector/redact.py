"""What must not be kept is taken out before anything is hashed or stored.

Nothing of a payload is stored anyway; this guards what is made of it: the digest of the input,
segments, labels and ids.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.replay.rows import made
from nibai.config import Redact, environment, resolve_secret
from nibai.outputs import plain_text, steps_of

REMOVED = "[removed]"


@dataclass(frozen=True, slots=True)
class Redaction:
    """`remove` and `hash` are paths of the input (`$.user.name`), `patterns` match in any text.

    With a `key` digests cannot be guessed by trying inputs; both variants of a pair need the same.
    """

    remove: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = ()
    key: bytes = b""

    def payload(self, value: object) -> object:
        """The input without what must go.

        >>> guard = Redaction(remove=("$.user",), patterns=(re.compile("[0-9]{4,}"),))
        >>> guard.payload({"user": "Ann", "text": "card 4111"})
        {'text': 'card [removed]'}
        """
        for path in self.remove:
            value = _changed(value, _steps(path), None)
        for path in self.hash:
            value = _changed(value, _steps(path), self.digest)
        return self._scrubbed(value) if self.patterns else value

    def text(self, text: str) -> str:
        """A label or segment without what must go."""
        for pattern in self.patterns:
            text = pattern.sub(REMOVED, text)
        return text

    def identity(self, text: str) -> str:
        """An id: it must stay one, so it is hashed whole where a pattern is found in it."""
        if any(pattern.search(text) for pattern in self.patterns):
            return self.digest(text)
        return text

    def input_hash(self, value: object) -> str:
        """The digest that pairs equal inputs: without a key that of `nibai replay`."""
        digest = made("", value).input_hash
        return self.digest(digest) if self.key else digest

    def digest(self, value: object) -> str:
        """The digest of a value, with the key."""
        text = plain_text(value).encode("utf-8", "replace")
        return hashlib.blake2b(text, digest_size=16, key=self.key[:64]).hexdigest()

    def _scrubbed(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._scrubbed(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._scrubbed(one) for one in value]
        return value


def redaction(chosen: Redact) -> Redaction:
    """What the configuration asks for; ConfigError for a key that is not there."""
    key = "" if chosen.key is None else resolve_secret(chosen.key, environment())
    patterns = tuple(re.compile(pattern) for pattern in chosen.patterns)
    return Redaction(chosen.remove, chosen.hash, patterns, key.encode())


def _steps(path: str) -> list[str]:
    return [name or position for name, position in steps_of(path)]


def _changed(value: object, steps: Sequence[str], digest: object) -> object:
    """The value with what lies at the end of the steps hashed, or gone; `*` is every item."""
    if not steps:
        return digest(value) if callable(digest) else None
    first, rest = steps[0], steps[1:]
    if isinstance(value, Mapping):
        found = {}
        for key, one in value.items():
            if first not in {"*", key}:
                found[key] = one
            elif rest or digest is not None:
                found[key] = _changed(one, rest, digest)
        return found
    if isinstance(value, list):
        return [
            _changed(one, rest, digest) if first in {"*", str(i)} else one
            for i, one in enumerate(value)
        ]
    return value
