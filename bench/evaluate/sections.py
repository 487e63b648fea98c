"""The tables of the document, one function a question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.evaluate import tcpd
from bench.evaluate.false_positives import MATCHED_LENGTH, PEER_TITLES, WITH_MARGIN
from bench.evaluate.inject import LEVELS, SHAPES
from bench.evaluate.judge import TITLES
from bench.evaluate.power import FAMILY, LEVEL, Power
from bench.evaluate.rates import Rate, percent
from bench.evaluate.results import Results
from bench.evaluate.series import SUITES
from bench.evaluate.stories import Story
from bench.evaluate.synthetic import EFFECTS, SUITE
from bench.evaluate.targets import Target

SUITE_TITLES = {suite.name: suite.title for suite in SUITES}
SHAPE_JUDGES = ("level", "upper", "spread", "family")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; cells with a bar are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def series_table(results: Results) -> str:
    """What lay in the folder."""
    rows = []
    for suite in SUITES:
        own = results.series[suite.name]
        points = sum(len(one.values) for one in own)
        systems = len({one.system for one in own})
        rows.append([suite.title, f"`{suite.folder}`", f"{len(own)}", f"{systems}", f"{points:,}"])
    return table(["suite", "folder", "series", "systems", "points"], rows)


def targets_table(targets: Sequence[Target]) -> str:
    """Target, measured, met."""
    words = {True: "yes", False: "**no**", None: "–"}
    rows = [[t.what, t.target, t.measured, words[t.met]] for t in targets]
    return table(["what", "target", "measured", "met?"], rows)


def rates_table(results: Results, margin: float) -> str:
    """Share of unchanged windows flagged, by suite, arrangement and length."""
    judges = [*WITH_MARGIN, *PEER_TITLES]
    titles = [TITLES[name] for name in WITH_MARGIN] + list(PEER_TITLES.values())
    silent = [f"no verdict, {TITLES[name]}" for name in WITH_MARGIN]
    rows = []
    for cell in results.false_positives.cells():
        found = {name: results.false_positives.summary(cell, name, margin) for name in judges}
        row = [SUITE_TITLES[cell.suite], cell.arrangement, f"{cell.length}"]
        row += [percent(s.flagged) if s else "–" for s in found.values()]
        for name in WITH_MARGIN:
            one = found[name]
            row.append(_silence(one.no_history, one.unstable) if one else "–")
        rows.append(row)
    return table(["suite", "windows", "points", *titles, *silent], rows)


def _silence(no_history: Rate | None, unstable: Rate | None) -> str:
    return f"{percent(no_history, error=False)} + {percent(unstable, error=False)}"


def shape_rates_table(results: Results) -> str:
    """The statistics for changes of shape, alone and together, at margin 0."""
    names = ("upper", "spread", "family")
    head = ["suite", "windows", "points"]
    for name in names:
        head += [TITLES[name], f"no verdict, {TITLES[name]}"]
    rows = []
    for cell in results.false_positives.cells():
        row = [SUITE_TITLES[cell.suite], cell.arrangement, f"{cell.length}"]
        for name in names:
            one = results.false_positives.summary(cell, name)
            row.append(percent(one.flagged) if one else "–")
            row.append(_silence(one.no_history, one.unstable) if one else "–")
        rows.append(row)
    return table(head, rows)


def matched_table(results: Results) -> str:
    """What every peer was set to, and how often it flags unchanged windows then."""
    rows = []
    for power in (results.power, results.synthetic.found):
        for suite in dict.fromkeys(of for of, _, _ in power.matched):
            for statistic, used in ((LEVEL, "level shifts"), (FAMILY, "shapes")):
                row = [SUITE_TITLES.get(suite, suite), used, _own(results, power, suite, statistic)]
                for peer in PEER_TITLES:
                    found = power.matched.get((suite, statistic, peer))
                    row.append(
                        f"{100 * found.rate:.1f} at p ≤ {found.threshold:.1g}" if found else "–"
                    )
                rows.append(row)
    return table(["suite", "used for", "nibai's rate", *PEER_TITLES.values()], rows)


def _own(results: Results, power: Power, suite: str, statistic: str) -> str:
    source = results.false_positives if power is results.power else results.synthetic.known
    cell = results.synthetic.cell
    cell = type(cell)(suite, cell.arrangement, MATCHED_LENGTH)
    found = source.summary(cell, statistic)
    return percent(found.flagged) if found else "–"


def levels_table(power: Power) -> str:
    """Share of injected level shifts found at 60 points."""
    judges = {"level": TITLES["level"], "p90": TITLES["p90"], **PEER_TITLES}
    rows = [
        [SUITE_TITLES[suite.name], effect.title, *_found(power, suite.name, effect.name, judges)]
        for suite in SUITES
        for effect in LEVELS
        if (suite.name, effect.name, "level") in power.counts
    ]
    return table(["suite", "level shift", *judges.values()], rows)


def shapes_table(power: Power) -> str:
    """Share of injected changes of shape found at 60 points."""
    judges = {name: TITLES[name] for name in SHAPE_JUDGES} | PEER_TITLES
    rows = [
        [SUITE_TITLES[suite.name], effect.title, *_found(power, suite.name, effect.name, judges)]
        for suite in SUITES
        for effect in SHAPES
        if (suite.name, effect.name, "level") in power.counts
    ]
    return table(["suite", "change", *judges.values()], rows)


def synthetic_table(results: Results) -> str:
    """The same on invented series, with the unchanged windows in the first line."""
    judges = {name: TITLES[name] for name in SHAPE_JUDGES} | PEER_TITLES
    synthetic = results.synthetic
    quiet = [synthetic.known.summary(synthetic.cell, name) for name in judges]
    rows = [["unchanged, default settings", *(percent(s.flagged) if s else "–" for s in quiet)]]
    for effect in EFFECTS:
        title = effect.title if effect.size is None else f"level {effect.title}"
        rows.append([title, *_found(synthetic.found, SUITE, effect.name, judges)])
    return table(["change", *judges.values()], rows)


def _found(power: Power, suite: str, effect: str, judges: Iterable[str]) -> list[str]:
    found = [power.summary(suite, effect, judge) for judge in judges]
    return [percent(s.found, error=False) if s else "–" for s in found]


def change_points_table(results: Results) -> str:
    """Measured on the series of the folder, then the published scores of other methods."""
    rows = [
        [m.judge, "here", f"{m.series}", f"{m.changes:.1f}", f"{m.f1:.3f}", f"{m.covering:.3f}"]
        for m in tcpd.means(results.tcpd)
    ]
    rows += [[name, "published", "–", "–", f"{f1:.3f}", "–"] for name, f1 in tcpd.PUBLISHED.items()]
    return table(["method", "source", "series", "changes a series", "F1", "covering"], rows)


def stacks_table(stories: Sequence[Story]) -> str:
    """Every load, order and quantile."""
    rows = [[*s.what, s.quantile, _ratio(s), s.verdict, f"`{s.reason}`"] for s in stories]
    head = ["requests/s", "order of the sweep", "quantile", "times faster", "verdict", "reason"]
    return table(head, rows)


def survivors_table(stories: Sequence[Story]) -> str:
    """The stack that lost requests."""
    rows = [[*s.what, s.quantile, _ratio(s), s.verdict, f"`{s.reason}`"] for s in stories]
    return table(["requests/s", "quantile", "times faster", "verdict", "reason"], rows)


def instances_table(stories: Sequence[Story]) -> str:
    """Every operation and region."""
    rows = [[*s.what, _ratio(s), s.verdict, f"`{s.reason}`"] for s in stories]
    return table(["operation", "region", "times better", "verdict", "reason"], rows)


def _ratio(story: Story) -> str:
    if story.value is None:
        return "–"
    low, high = ("∞" if x is None else f"{x:.2f}" for x in (story.low, story.high))
    return f"{story.value:.2f} [{'0' if story.low is None else low}, {high}]"
