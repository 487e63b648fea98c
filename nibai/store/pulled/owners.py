"""One owner per series and minute: a source that begins to tell replicas counts nothing twice.

The same requests are once all of a variant (no replica named) and once those of its replicas, when
a source is switched from one to the other and reads back. A final minute stays as it was read
first; a provisional one, which the old way reads no more, is taken over by the new way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nibai.model import Observation, Provenance, SeriesKey
from nibai.store.pulled.observations import Minute, Stored
from nibai.store.pulled.stored import Name, name_of

Place = tuple[Name, int]


@dataclass(frozen=True, slots=True)
class Owned:
    """What is to be stored, `emptied` minutes included, and how many minutes another way holds."""

    observed: Sequence[Observation]
    held_otherwise: int = 0
    emptied: int = 0


def one_owner(
    observed: Sequence[Observation],
    stored: Mapping[Minute, Stored],
    final_until: Mapping[Name, float],
) -> Owned:
    """The observations whose minutes are not held the other way, by the watermarks of their source.

    Series that the source never brought before are stored as they come: nobody says whose the
    minutes beside them are.
    """
    held = _held(stored, final_until)
    if not held:
        return Owned(observed)
    kept, emptied, otherwise = [], dict[Minute, Observation](), 0
    for one in observed:
        holders = held.get((name_of(one.key), one.minute), {})
        others = holders.get(not one.key.replica, ())
        if not others or one.key in holders.get(bool(one.key.replica), ()):
            kept.append(one)
        elif (one.minute + 1) * 60.0 <= final_until[name_of(one.key)]:
            otherwise += 1
        else:
            kept.append(one)
            emptied |= {(key, one.minute): _empty(key, one.minute) for key in others}
    return Owned((*kept, *emptied.values()), otherwise, len(emptied))


def _held(
    stored: Mapping[Minute, Stored], final_until: Mapping[Name, float]
) -> dict[Place, dict[bool, list[SeriesKey]]]:
    """Keys that hold requests of a place, by whether they name a replica."""
    found: dict[Place, dict[bool, list[SeriesKey]]] = {}
    for (key, minute), one in stored.items():
        if name_of(key) in final_until and any(n or e for n, _, e, _ in one.cells.values()):
            place = found.setdefault((name_of(key), minute), {})
            place.setdefault(bool(key.replica), []).append(key)
    return found


def _empty(key: SeriesKey, minute: int) -> Observation:
    nobody = np.zeros(0, dtype=np.int64)
    return Observation(
        key, minute, nobody.astype(np.int32), nobody, 0, 0.0, math.nan, math.nan,
        provenance=Provenance.SCALAR,
    )  # fmt: skip
