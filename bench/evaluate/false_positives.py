"""How often is each judge wrong where nothing changed?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.evaluate import otava_windows, peers, rates
from bench.evaluate.judge import MARGINS, TITLES, Nibai
from bench.evaluate.otava import Otava
from bench.evaluate.rates import Count, Scores, Summary
from bench.evaluate.series import SUITES, Series
from bench.evaluate.windows import CONSECUTIVE, LENGTHS, SAME_CLOCK, Arranged, arrange
from bench.evaluate.work import Work

WITH_MARGIN = ("level", "p90")
"""Statistics that have an interval of the ratio, which a margin can be laid on."""
PEER_TITLES = {p.name: p.title for p in peers.PEERS} | {"otava": "Otava"}
MATCHED_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Cell:
    """One group of windows."""

    suite: str
    arrangement: str
    length: int


@dataclass(slots=True)
class FalsePositives:
    """Counts by series for each cell, judge and margin, and the peers' scores to match on."""

    counts: dict[tuple[Cell, str, float], list[Count]] = field(
        default_factory=lambda: defaultdict(list)
    )
    scores: dict[tuple[str, str], Scores] = field(default_factory=lambda: defaultdict(Scores))

    def summary(self, cell: Cell, judge: str, margin: float = 0.0) -> Summary | None:
        """None when this judge was not asked."""
        counts = self.counts.get((cell, judge, margin))
        return rates.summary(counts) if counts else None

    def cells(self) -> list[Cell]:
        """All groups in the order asked."""
        return list(dict.fromkeys(cell for cell, _, _ in self.counts))


def measure(
    series: dict[str, list[Series]], otava: Otava | None, work: Work, windows: int
) -> FalsePositives:
    """Every judge on the same windows, about so many of every suite."""
    found = FalsePositives()
    for cell in cells(series):
        work.say(f"unchanged windows: {cell.suite}, {cell.arrangement}, {cell.length} points")
        members = series[cell.suite]
        add_cell(found, cell, members, otava, work, max(1, windows // len(members)))
    return found


def add_cell(  # noqa: PLR0917 - called twice
    found: FalsePositives,
    cell: Cell,
    members: Sequence[Series],
    otava: Otava | None,
    work: Work,
    most: int,
) -> None:
    """Ask every judge about one group of windows."""
    every = [(one, cell, most) for one in members]
    for answer in work.map(one_series, every):
        for (judge, margin), count in answer.counts.items():
            found.counts[cell, judge, margin].append(count)
        if _matched(cell):
            for name, scores in answer.scores.items():
                found.scores[cell.suite, name].add_series(scores)
    if otava is not None:
        _ask_otava(found, cell, [arrange(*_arguments(*one)) for one in every], otava)


def cells(series: dict[str, list[Series]]) -> Iterable[Cell]:
    """Groups of windows that the data have."""
    for suite in SUITES:
        if series[suite.name]:
            for arrangement in (CONSECUTIVE, SAME_CLOCK)[: 1 + suite.same_clock]:
                for length in LENGTHS:
                    yield Cell(suite.name, arrangement, length)


@dataclass(slots=True)
class SeriesAnswer:
    """What judges in this process said about one series."""

    counts: dict[tuple[str, float], Count] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)


def one_series(series: Series, cell: Cell, most: int) -> SeriesAnswer:
    """Nibai and the peers on one series."""
    found = SeriesAnswer()
    arranged = arrange(*_arguments(series, cell, most))
    if arranged is None:
        return found
    nibai = Nibai.of(arranged)
    for name in TITLES:
        for margin in MARGINS if name in WITH_MARGIN else (0.0,):
            found.counts[name, margin] = nibai.answers(name, margin).count()
    for peer in peers.PEERS:
        scores = peer.score(arranged.baseline, arranged.candidate)
        effect = peer.effect(arranged.baseline, arranged.candidate)
        for margin in MARGINS:
            flagged = int(((scores <= peer.nominal) & peers.beyond(effect, margin)).sum())
            found.counts[peer.name, margin] = Count(flagged, len(scores) - flagged)
        found.scores[peer.name] = scores.tolist()
    return found


def _arguments(series: Series, cell: Cell, most: int) -> tuple[Series, int, str, int]:
    return series, cell.length, cell.arrangement, most


def _ask_otava(
    found: FalsePositives, cell: Cell, arranged: Sequence[Arranged | None], otava: Otava
) -> None:
    known = [a for a in arranged if a is not None]
    chains = [otava_windows.margin_chain(MARGINS)]
    if _matched(cell):
        chains.append(otava_windows.score_chain())
    for answers in otava_windows.ask(otava, otava_windows.unchanged(known), *chains):
        flags = [otava_windows.flags(a[0], len(MARGINS)) for a in answers]
        for i, margin in enumerate(MARGINS):
            flagged = sum(f[i] for f in flags)
            found.counts[cell, "otava", margin].append(Count(flagged, len(flags) - flagged))
        if _matched(cell):
            scores = [otava_windows.score(a[1]) for a in answers]
            found.scores[cell.suite, "otava"].add_series(scores)


def _matched(cell: Cell) -> bool:
    return cell.length == MATCHED_LENGTH and cell.arrangement == CONSECUTIVE
