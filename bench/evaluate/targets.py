"""Which targets of the specification are met?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.evaluate import tcpd
from bench.evaluate.false_positives import MATCHED_LENGTH, WITH_MARGIN, Cell
from bench.evaluate.inject import LEVELS
from bench.evaluate.judge import MARGINS, TITLES
from bench.evaluate.rates import Rate, percent
from bench.evaluate.results import Results
from bench.evaluate.series import SUITES, Suite
from bench.evaluate.stories import Story
from bench.evaluate.windows import CONSECUTIVE, SAME_CLOCK

NOMINAL = 0.05
MOST_SILENT = 0.15
LEAST_SYNTHETIC = 0.90
TOLERANCE = 0.05
"""What "within 5 points" means."""

EXPECTED_LEVEL = {
    "redis": (0.81, 0.99, 1.00, 1.00),
    "cpu_cache": (0.06, 0.23, 0.69, 0.95),
    "nab": (0.48, 0.73, 0.80, 0.83),
}
"""calibration.md, section 3: share of +2, +5, +10, +20 % found at 60 points."""

EXPECTED_SHAPE = {
    "redis": {("upper", "tail1.2"): 1.00, ("upper", "spread2"): 0.80, ("spread", "spread2"): 0.87},
    "cpu_cache": {
        ("upper", "tail1.2"): 0.16,
        ("upper", "spread2"): 0.78,
        ("spread", "spread2"): 0.93,
    },
    "nab": {("upper", "tail1.2"): 0.57, ("upper", "spread2"): 0.53, ("spread", "spread2"): 0.65},
}
"""The same for changes of shape."""

TAIL_LOADS = ("2.9", "3.3", "3.7", "4.1")
ONLY_CONFIRMED = ("get", "westus2")
NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Target:
    """One line: what was asked, what was measured, whether that is met (None: no data)."""

    what: str
    target: str
    measured: str
    met: bool | None


def targets(results: Results) -> list[Target]:
    """All lines in a fixed order, also those without data."""
    found = []
    for suite in SUITES:
        for arrangement in (CONSECUTIVE, SAME_CLOCK)[: 1 + suite.same_clock]:
            found += [_quiet(results, suite, arrangement), _silent(results, suite, arrangement)]
    for suite in SUITES:
        found += [_above_otava(results, suite), _as_expected(results, suite)]
        found.append(_shapes_as_expected(results, suite))
    return [*found, *_synthetic(results), _change_points(results), *_stories(results)]


def _quiet(results: Results, suite: Suite, arrangement: str) -> Target:
    """The worst of all window lengths, both quantiles and all margins decides."""
    rates = [
        (rate, f"{TITLES[name]}, {cell.length} points, margin {100 * margin:.0f} %")
        for cell in results.false_positives.cells()
        if (cell.suite, cell.arrangement) == (suite.name, arrangement)
        for name in WITH_MARGIN
        for margin in MARGINS
        if (rate := _flagged(results, cell, name, margin)) is not None
    ]
    what = f"unchanged windows flagged: {suite.title}, {arrangement}"
    target = "≤ 5 % + 2 s.e. at every length, quantile and margin"
    if not rates:
        return Target(what, target, NO_DATA, None)
    worst, where = max(rates, key=lambda one: (one[0].value - 2 * _error(one[0]), one[0].value))
    beyond = sum(not rate.at_most(NOMINAL) for rate, _ in rates)
    measured = f"{beyond} of {len(rates)} cells beyond; worst {percent(worst)} % ({where})"
    return Target(what, target, measured, beyond == 0)


def _silent(results: Results, suite: Suite, arrangement: str) -> Target:
    cell = Cell(suite.name, arrangement, MATCHED_LENGTH)
    shares = {
        TITLES[name]: found.unstable
        for name in WITH_MARGIN
        if (found := results.false_positives.summary(cell, name)) and found.unstable
    }
    measured = ", ".join(f"{title} {percent(rate)} %" for title, rate in shares.items())
    return Target(
        f"no verdict with history, 60 points: {suite.title}, {arrangement}",
        "≤ 15 %",
        measured or NO_DATA,
        all(rate.value <= MOST_SILENT for rate in shares.values()) if shares else None,
    )


def _above_otava(results: Results, suite: Suite) -> Target:
    leads = {
        effect.title: ours.value - theirs.value
        for effect in LEVELS
        if (ours := _found(results, suite.name, effect.name, "level"))
        and (theirs := _found(results, suite.name, effect.name, "otava"))
    }
    what = f"level shifts found beside Otava at matched rate: {suite.title}"
    target = "more at every size from −20 to +20 %"
    if not leads:
        return Target(what, target, NO_DATA, None)
    least = min(leads, key=lambda title: leads[title])
    measured = f"{100 * leads[least]:+.1f} points at the least ({least})"
    # both at 100 % cannot be told apart
    met = all(lead > 0 or _both_full(results, suite.name, title) for title, lead in leads.items())
    return Target(what, target, measured, met)


def _both_full(results: Results, suite: str, title: str) -> bool:
    effect = next(e for e in LEVELS if e.title == title)
    pair = [_found(results, suite, effect.name, judge) for judge in ("level", "otava")]
    return all(rate is not None and rate.value == 1.0 for rate in pair)


def _as_expected(results: Results, suite: Suite) -> Target:
    rises = [e for e in LEVELS if e.size is not None and e.size > 0]
    found = [_found(results, suite.name, e.name, "level") for e in rises]
    expected = EXPECTED_LEVEL[suite.name]
    return Target(
        f"level +2, +5, +10, +20 % found: {suite.title}",
        f"{_numbers(expected)} % (calibration.md) less 5 points, or more",
        _measured(results, suite.name, [("level", e.name) for e in rises]),
        _near(found, expected),
    )


def _shapes_as_expected(results: Results, suite: Suite) -> Target:
    expected = EXPECTED_SHAPE[suite.name]
    found = [_found(results, suite.name, effect, name) for name, effect in expected]
    return Target(
        f"upper tail ×1.2 / spread ×2 by upper quantile, spread ×2 by spread: {suite.title}",
        f"{_numbers(tuple(expected.values()))} % (calibration.md) less 5 points, or more",
        _measured(results, suite.name, list(expected)),
        _near(found, tuple(expected.values())),
    )


def _measured(results: Results, suite: str, asked: list[tuple[str, str]]) -> str:
    """Shares found of all windows, with errors, and of those with a verdict."""
    summaries = [results.power.summary(suite, effect, judge) for judge, effect in asked]
    known = [s for s in summaries if s is not None]
    if len(known) < len(asked):
        return NO_DATA
    every = " / ".join(percent(s.found) for s in known)
    decided = " / ".join(percent(s.flagged, error=False) for s in known)
    return f"{every} % (of windows with a verdict {decided} %)"


def _synthetic(results: Results) -> Iterator[Target]:
    for effect, title in (
        ("tail5", "10 % of points ×5"),
        ("same_mean", "median −45 %, 10 % of points ×5, same mean"),
        ("sd3", "standard deviation ×3"),
    ):
        rate = _found(results, "synthetic", effect, "family", results.synthetic.found)
        theirs = _found(results, "synthetic", effect, "otava", results.synthetic.found)
        beside = f" (Otava at matched rate {percent(theirs)} %)" if theirs else ""
        yield Target(
            f"synthetic, 60 + 60 points: {title}",
            "≥ 90 % found",
            f"{percent(rate)} %{beside}" if rate else NO_DATA,
            rate.value >= LEAST_SYNTHETIC if rate else None,
        )


def _change_points(results: Results) -> Target:
    means = {mean.judge: mean for mean in tcpd.means(results.tcpd)}
    what, target = "change points of the TCPD", "F1 above predicting nothing"
    if not means:
        return Target(what, target, NO_DATA, None)
    ours, none = means["nibai"].f1, means["nothing"].f1
    return Target(what, target, f"{ours:.3f} against {none:.3f}", ours > none)


def _stories(results: Results) -> Iterator[Target]:
    stories = results.stories
    high = [s for s in stories.llm if s.what[0] in TAIL_LOADS]
    tail = [s for s in high if s.quantile != "p50"]
    yield _verdicts(
        "serving stacks at 2.9 to 4.1 requests/s, p90 and p99",
        "inconclusive or refuted",
        tail,
        met=all(s.verdict in {"inconclusive", "refuted"} for s in tail),
    )
    median = [s for s in high if s.quantile == "p50"]
    yield _verdicts(
        "the same at p50",
        "confirmed",
        median,
        met=all(s.verdict == "confirmed" for s in median),
    )
    lost = stories.survivors
    yield _verdicts(
        "survivors: a stack that lost requests",
        "not_comparable",
        lost,
        met=all(s.verdict == "not_comparable" for s in lost),
    )
    redis = [s for s in stories.instances if s.what[0] != "cpu_cache"]
    confirmed = [s.what for s in redis if s.verdict == "confirmed"]
    lpop = all(s.verdict == "refuted" for s in redis if s.what[0] == "lpop")
    yield _verdicts(
        "2x by an instance type, within 5 %",
        "confirmed for Redis GET in westus2 only, LPOP refuted",
        redis,
        met=confirmed == [ONLY_CONFIRMED] and lpop,
    )


def _verdicts(what: str, target: str, stories: list[Story], *, met: bool) -> Target:
    if not stories:
        return Target(what, target, NO_DATA, None)
    names = [s.verdict for s in stories]
    counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
    return Target(what, target, counts, met)


def _flagged(results: Results, cell: Cell, judge: str, margin: float) -> Rate | None:
    found = results.false_positives.summary(cell, judge, margin)
    return found.flagged if found else None


def _found(
    results: Results, suite: str, effect: str, judge: str, power: object = None
) -> Rate | None:
    summary = (power or results.power).summary(suite, effect, judge)
    return summary.found if summary else None


def _error(rate: Rate) -> float:
    return rate.error if rate.error == rate.error else 0.0


def _numbers(shares: tuple[float, ...]) -> str:
    return " / ".join(f"{100 * share:.0f}" for share in shares)


def _near(found: list[Rate | None], expected: tuple[float, ...]) -> bool | None:
    known = [rate for rate in found if rate is not None]
    if len(known) < len(expected):
        return None
    return all(r.value >= e - TOLERANCE for r, e in zip(known, expected, strict=True))
