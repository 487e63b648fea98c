"""Change points that five people marked on series of the TCPD: F1 and covering, margin 5.

Scores as in van den Burg and Williams (arXiv:2003.06222): position 0 is a change of everybody,
precision is against all annotators together, recall is the mean over annotators. Only series with
one dimension. nibai runs with its defaults on log2 values (raw where not positive), as on the lake.

How the defaults were chosen, none of it on these series: alpha and the minimum segment are those of
the specification; steps are told from drift at the 5 % point of chi-square(1), and the correction
for an estimated variance is a formula; both were checked on simulated AR(1) noise, where they keep
false alarms near alpha and cost a step of one standard deviation no power (tests/statistical).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.evaluate.inputs import read_json
from nibai.histogram import Float64Array
from nibai.stats.change_points import change_points

MARGIN = 5

PUBLISHED = {
    "binseg": 0.744,
    "pelt": 0.710,
    "amoc": 0.704,
    "bocpd": 0.690,
    "nothing": 0.669,
    "ecp": 0.598,
    "prophet": 0.488,
}
"""F1 at default settings on all univariate series, as published (other series than those here)."""

Judge = Callable[[Sequence[Float64Array]], Sequence[Sequence[int]]]
"""Positions of change points of every series."""


@dataclass(frozen=True, slots=True)
class Marked:
    """One series and what each annotator marked (positions from 0)."""

    name: str
    values: Float64Array
    annotations: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True)
class Score:
    """One judge on one series."""

    series: str
    points: int
    judge: str
    changes: int
    marked: float
    f1: float
    covering: float


@dataclass(frozen=True, slots=True)
class Mean:
    """One judge over all series; `changes` a series beside those that people mark."""

    judge: str
    series: int
    changes: float
    marked: float
    f1: float
    covering: float


def run(data: Path, others: Mapping[str, Judge] | None = None) -> list[Score]:
    """Scores of nibai, of saying nothing, and of other judges; none where the set is absent."""
    series = load(data / "tcpd")
    judges: dict[str, Judge] = {"nibai": nibai, "nothing": nothing, **(others or {})}
    rows = []
    for name, judge in judges.items():
        answers = judge([one.values for one in series])
        rows += [_score(one, name, found) for one, found in zip(series, answers, strict=True)]
    return rows


def means(rows: Sequence[Score]) -> list[Mean]:
    """Every judge's means over the series, in the order of the rows."""
    found = []
    for judge in dict.fromkeys(row.judge for row in rows):
        own = [row for row in rows if row.judge == judge]
        columns = ([getattr(row, name) for row in own] for name in Mean.__slots__[2:])
        found.append(Mean(judge, len(own), *(float(np.mean(column)) for column in columns)))
    return found


def load(folder: Path) -> list[Marked]:
    """Series of one dimension with their annotations; none when the folder is not there."""
    if not folder.is_dir():
        return []
    annotations = read_json(folder / "annotations.json")
    found = []
    for path in sorted(folder.glob("*.json")):
        document = read_json(path)
        if path.stem == "annotations" or document["n_dim"] != 1:
            continue
        values = np.array(document["series"][0]["raw"], dtype=np.float64)
        marks = tuple(frozenset(positions) for positions in annotations[document["name"]].values())
        found.append(Marked(document["name"], values, marks))
    return found


# -- judges ----------------------------------------------------------------------------------
def nibai(series: Sequence[Float64Array]) -> list[list[int]]:
    """The offline detector with its defaults."""
    return [
        [point.index for point in change_points(np.log2(values) if (values > 0).all() else values)]
        for values in series
    ]


def nothing(series: Sequence[Float64Array]) -> list[list[int]]:
    """Nobody has beaten this easily."""
    return [[] for _ in series]


# -- scores ----------------------------------------------------------------------------------
def _score(one: Marked, judge: str, found: Sequence[int]) -> Score:
    marked = float(np.mean([len(marks) for marks in one.annotations]))
    n = len(one.values)
    return Score(
        one.name, n, judge, len(found), marked, f1(one.annotations, found),
        covering(one.annotations, found, n),
    )  # fmt: skip


def f1(annotations: Sequence[frozenset[int]], found: Sequence[int], margin: int = MARGIN) -> float:
    """Harmonic mean of precision (all annotators together) and recall (mean over annotators).

    >>> f1([frozenset({50})], [53]), f1([frozenset()], []), f1([frozenset({50})], [])
    (1.0, 1.0, 0.6666666666666666)
    """
    said = {0, *found}
    everybody = {0}.union(*annotations)
    precision = matched(everybody, said, margin) / len(said)
    recall = float(
        np.mean([matched({0, *marks}, said, margin) / len({0, *marks}) for marks in annotations])
    )
    return 2 * precision * recall / (precision + recall)


def matched(true: set[int], said: set[int], margin: int) -> int:
    """How many true positions have a said one within the margin, each used once."""
    free, count = set(said), 0
    for position in sorted(true):
        near = min(free, key=lambda other: (abs(other - position), other), default=None)
        if near is not None and abs(near - position) <= margin:
            free.remove(near)
            count += 1
    return count


def covering(annotations: Sequence[frozenset[int]], found: Sequence[int], n: int) -> float:
    """Mean over annotators of how well their segments are covered by single said ones.

    >>> covering([frozenset({50})], [50], 100), covering([frozenset({50})], [], 100)
    (1.0, 0.5)
    """
    said = _segments(found, n)
    scores = []
    for marks in annotations:
        best = (
            (b - a) * max(_overlap((a, b), other) for other in said) for a, b in _segments(marks, n)
        )
        scores.append(sum(best) / n)
    return float(np.mean(scores))


def _segments(changes: Sequence[int] | frozenset[int], n: int) -> list[tuple[int, int]]:
    ends = sorted({0, n, *(c for c in changes if 0 < c < n)})
    return list(itertools.pairwise(ends))


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Points of both over points of either."""
    both = max(min(one[1], other[1]) - max(one[0], other[0]), 0)
    return both / (one[1] - one[0] + other[1] - other[0] - both)
