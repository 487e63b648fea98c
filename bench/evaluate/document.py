"""docs/evaluation.md: the tables with what they mean and what they do not show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bench.evaluate import sections
from bench.evaluate.inputs import InputError
from bench.evaluate.judge import MARGINS
from bench.evaluate.results import Conditions, Results
from bench.evaluate.targets import targets
from bench.evaluate.windows import EARLIER, LENGTHS

QUICK = (
    "> **This is a quick run on a share of the windows, for trying the command. "
    "Its figures mean nothing.**"
)


def document(results: Results, figures: Iterable[str], notes: str = "") -> str:
    """The whole page; `notes` is what people add about missed targets."""
    blocks = [
        "# Evaluation",
        *([QUICK] if results.conditions.size.quick else []),
        _head(results.conditions),
        sections.series_table(results),
        *_absent(results.conditions),
        "## Targets",
        sections.targets_table(targets(results)),
        "### About the targets",
        notes.strip() or "Nothing to add.",
        *_unchanged(results),
        *_injected(results),
        *_change_points(results),
        *_real(results),
        *_limits(results.conditions),
    ]
    drawn = set(figures)
    return "\n\n".join(b for b in blocks if _shown(b, drawn)) + "\n"


def _shown(block: str, figures: set[str]) -> bool:
    picture = re.fullmatch(r"!\[[^\]]*\]\(evaluation/([^)]+)\)", block)
    return picture is None or picture[1] in figures


def _head(conditions: Conditions) -> str:
    return (
        "How often each judge is wrong where nothing changed, and what it finds where something "
        "did. Written by `make bench-evaluate DATA=FOLDER`, which anyone can run on a folder in "
        "the layout of [bench/DATA.md](../bench/DATA.md); do not edit by hand.\n\n"
        f"Measured on: **{conditions.data_name}**. Rates are in per cent. Every series weighs the "
        "same; ± is one standard error between series. *No verdict* (abstention) is counted "
        "beside a rate and never inside it: a rate is the share of windows *with* a verdict."
    )


def _absent(conditions: Conditions) -> Iterator[str]:
    if conditions.missing:
        yield f"Not in the folder, skipped: {', '.join(conditions.missing)}."
    if conditions.otava_absent:
        yield f"Otava did not take part: {conditions.otava_absent}."


def _unchanged(results: Results) -> Iterator[str]:
    yield "## Where nothing changed"
    yield (
        f"Two neighbouring windows of {', '.join(map(str, LENGTHS[:-1]))} or {LENGTHS[-1]} "
        "points of one series in which nobody changed anything; on CloudWatch series also the "
        f"same clock a day later. The first {100 * EARLIER:.0f} % of a series is history only; "
        f"pairs behind it are judged, about {results.conditions.size.windows:,} a suite, evenly "
        "spread, the same for every judge. nibai is the complete judge: thresholds from the "
        "series' own past, rolling, never from the judged candidate. CloudWatch windows with a "
        "labelled anomaly are left out. Nominal rates: 5 %, the Kayenta rule 2 %, Otava "
        "(defaults; any change point in both windows) 0.1 %. A margin is Otava's own minimum "
        "magnitude; for the others the ratio of means (t) or medians must exceed it. *No "
        "verdict* is given as: share without enough history + share of the rest where history "
        "is too unstable. The peers always answer."
    )
    yield "![False-positive rates](evaluation/false-positives.png)"
    for margin in MARGINS:
        yield f"### Margin {100 * margin:.0f} %"
        yield sections.rates_table(results, margin)
    yield "### Changes of shape"
    yield (
        "nibai's statistics for a fatter tail and a wider spread, alone and as one family with the "
        "level (a third of 5 % each), on the same unchanged windows."
    )
    yield sections.shape_rates_table(results)


def _injected(results: Results) -> Iterator[str]:
    conditions = results.conditions
    yield "## What is found"
    yield (
        "The same series at 60 points, with a change put into the candidate window only (about "
        f"{conditions.size.injected} pairs a suite). Every peer gets the threshold at which it "
        "flags as many *unchanged* windows as nibai did, or just more, set with knowledge of the "
        "answer; Otava at most its default. A window without a verdict counts as *not found*."
    )
    yield sections.matched_table(results)
    yield "### Level shifts"
    yield "![Redis](evaluation/power-redis.png)"
    yield "![CPU cache](evaluation/power-cpu_cache.png)"
    yield "![NAB CloudWatch](evaluation/power-nab.png)"
    yield sections.levels_table(results.power)
    yield "### Shapes on real series"
    yield sections.shapes_table(results.power)
    yield "### Synthetic series"
    yield (
        f"Normal points, mean 100, deviation 10, {conditions.size.synthetic_series} series with "
        "ten judged pairs of 60 + 60 points each. First line: unchanged windows at default "
        "settings; below: share found at matched rates."
    )
    yield sections.synthetic_table(results)


def _change_points(results: Results) -> Iterator[str]:
    yield "## Change points of the TCPD"
    yield (
        "F1 and covering with a margin of 5 against all five annotators. nibai's detector runs "
        "with its defaults, which were set on simulated noise and not on these series. "
        "*Published*: van den Burg and Williams, univariate, default settings, on **all** series "
        "of the set, so not the same ones."
    )
    yield sections.change_points_table(results)


def _real(results: Results) -> Iterator[str]:
    stories = results.stories
    yield "## Real changes"
    yield "### A serving stack"
    yield (
        "vLLM against the same engine with a KV-cache store and sticky routing, time to first "
        "token, claim “2x faster at p50, p90 and p99”, one run of 100 s per load; the stack was "
        "swept up and down. *both*: the two sweeps as runs of the candidate."
    )
    yield "![Serving stack](evaluation/stacks.png)"
    yield sections.stacks_table(stories.llm)
    yield "### Survivors"
    yield "A stack that completed 171 requests where the other completed 455 at the same load."
    yield sections.survivors_table(stories.survivors)
    yield "### An instance type"
    yield (
        "Operations per second of long-lived machines, B8ms → D8s_v5, claim “2x faster within 5 % "
        "at p50”, all machines of a region."
    )
    yield sections.instances_table(stories.instances)


def _limits(conditions: Conditions) -> Iterator[str]:
    yield "## Limits"
    yield (
        "- *Unchanged* means: not by the tenant, and not labelled. The provider may have changed "
        "something; blaming that on *our* change is still a false alarm.\n"
        "- Few systems: operations measured on one machine share its drift, so the standard errors "
        "between series are too small where a suite has more series than systems.\n"
        "- The constants of the calibration rule were chosen on this half of the data (not by this "
        "program); the independent half is not here.\n"
        "- Injected changes are steps over whole candidate windows. Ramps and changes inside a "
        "window are weaker.\n"
        "- Matching uses the answer, so the peers are better here than anyone could set them.\n"
        "- The Kayenta rule and the tests are re-implemented (the tests checked against scipy); "
        "Otava is the published package.\n"
        "- One run per load and stack: no method makes one pair of runs support a tail claim."
    )
    yield "## How this was made"
    yield (
        "The command takes about 7 minutes on two cores, of which Otava needs half; with the same "
        "seed and data it gives the same page, whatever the number of processes. "
        "`EVALUATE_ARGS=--quick` tries it on a share, and the page then says so."
    )
    rows = [["seed", f"{conditions.seed}"], *map(list, conditions.versions.items())]
    yield sections.table(["what", "value"], rows)


def structure(text: str) -> list[str]:
    """What must not drift between code and page: headings, heads of tables, targets, figures."""
    lines = text.splitlines()
    found = []
    for i, line in enumerate(lines):
        following = lines[i + 1] if i + 1 < len(lines) else ""
        if line.startswith(("#", "![")) or following.startswith("| --- |"):
            found.append(line)
    return found + [f"target: {row}" for row in _first_columns(lines, "| what | target |")]


def _first_columns(lines: list[str], head: str) -> Iterator[str]:
    at = next((i for i, line in enumerate(lines) if line.startswith(head)), len(lines))
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            return
        yield " | ".join(line.split(" | ")[:2])


def notes_of(text: str) -> str:
    """What stands under "About the targets", to keep when the page is written again."""
    _, found, rest = text.partition("### About the targets\n\n")
    if text and not found:
        raise InputError("the page to renew has no heading “### About the targets”")
    return rest.partition("\n\n## ")[0]
