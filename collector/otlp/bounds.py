"""How many series one minute may have: a label of whatever width must not fill the lake."""

from __future__ import annotations

from collector.otlp.columns import Key
from nibai.conventions import OTHER_SEGMENT


class SeriesBound:
    """At most `most` series a minute; beyond it segments are joined as "other"."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: set[Key] = set()
        self._minute = 0

    def admit(self, key: Key) -> Key | None:
        """The series that is counted: the one asked for, or the one it is joined into.

        Of joined ones there are as many again; None: there is no room for one more endpoint,
        variant, replica or metric.
        """
        if key in self._keys:
            return key
        room = self._most
        if len(self._keys) >= room:
            key, room = (*key[:3], OTHER_SEGMENT, key[4]), 2 * room
        if key not in self._keys:
            if len(self._keys) >= room:
                return None
            self._keys.add(key)
        return key

    def move_on(self, minute: int) -> None:
        """Count anew when the data come to a later minute."""
        if minute > self._minute:
            self._minute = minute
            self._keys.clear()
