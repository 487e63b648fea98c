"""Which keys were met before, in sorted runs of 8 bytes a key."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nibai.paired.columns import NO_KEY, Codes


class Sightings:
    """Which keys were met before; 8 bytes each."""

    def __init__(self) -> None:
        self._runs: list[Codes] = []

    def first(self, keys: Codes) -> NDArray[np.bool_]:
        """Whether each key, shape (n,), is met for the first time; `NO_KEY` always is."""
        found = np.ones(len(keys), dtype=np.bool_)
        ordered = np.sort(keys[keys != NO_KEY])
        again = ordered[1:] == ordered[:-1]
        distinct = ordered[np.concatenate([np.ones(min(len(ordered), 1), np.bool_), ~again])]
        seen = np.zeros(len(distinct), dtype=np.bool_)
        for run in self._runs:
            seen |= _among(distinct, run)
        # Few keys come again: only their rows are put in order.
        doubtful = np.unique(np.concatenate([distinct[seen], ordered[1:][again]]))
        if len(doubtful):
            rows = np.flatnonzero(_among(keys, doubtful))
            values, first = np.unique(keys[rows], return_index=True)
            found[rows] = False
            found[rows[first[~_among(values, distinct[seen])]]] = True
        self._keep(distinct[~seen])
        return found

    def _keep(self, run: Codes) -> None:
        # Runs at least halve in size from first to last: a key is sorted log(n) times in all.
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)


def _among(values: Codes, ordered: Codes) -> NDArray[np.bool_]:
    """Which values an array in ascending order holds."""
    if not len(ordered):
        return np.zeros(len(values), dtype=np.bool_)
    where = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[where] == values, dtype=np.bool_)
