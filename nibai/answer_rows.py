"""Single answers of both sides, a sample: what reports of rows need and sketches do not keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class RowKind(StrEnum):
    """What the cells of a column of answers are."""

    LABEL = "label"
    NUMBER = "number"
    TEXT = "text"


@dataclass(frozen=True, slots=True, eq=False)
class AnswerColumn:
    """One column of single answers; texts are as they came, numbers may be NaN."""

    name: str
    kind: RowKind
    baseline: Sequence[str] | NDArray[np.float64]
    candidate: Sequence[str] | NDArray[np.float64]

    @property
    def sides(self) -> tuple[Any, Any]:
        """Baseline and candidate, each a sequence of texts or an array of numbers."""
        return self.baseline, self.candidate


@dataclass(frozen=True, slots=True, eq=False)
class AnswerRows:
    """Single answers of both sides, a sample: what reports of rows need and sketches do not keep.

    `paired`: row i of both sides answers one input; else the sides are two windows, and `blocks`
    numbers the block of time of each row, None where each row is its own. At least one column.
    """

    columns: tuple[AnswerColumn, ...]
    paired: bool = True
    blocks: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def take(self, baseline: NDArray[np.int64], candidate: NDArray[np.int64]) -> AnswerRows:
        """Only these rows of either side."""
        taken = (baseline, candidate)
        columns = tuple(
            AnswerColumn(column.name, column.kind, *map(_rows, column.sides, taken))
            for column in self.columns
        )
        blocks = None
        if self.blocks is not None:
            blocks = self.blocks[0][baseline], self.blocks[1][candidate]
        return AnswerRows(columns, self.paired, blocks)


def _rows(side: Any, rows: NDArray[np.int64]) -> Any:  # noqa: ANN401 - a list or an array
    return side[rows] if isinstance(side, np.ndarray) else [side[row] for row in rows.tolist()]
