"""Real benchmark runs judged by `nibai.compare`: what the issue says they must and must not show.

Needs NIBAI_DATA, the folder that holds `aibrix-regression`: vLLM stacks, request by request, 100 s
a run (the developers' half of the data). Prints figures and exits 1 when a line is missed.
"""

from __future__ import annotations

import math
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

import nibai
from nibai.model import Audit, ReasonCode, Verdict

LEAST_REQUESTS = 80
LOADS = ("2.9", "3.3", "3.7", "4.1")
TWICE, NOT_WORSE = "2x faster", "no more than 5% slower"
NOMINAL = 0.05
OPTIONS = {"metric": "ttft", "unit": "s"}


class Stories:
    """Runs of one folder and the lines that were missed so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missed = 0

    def path(self, configuration: str, load: str) -> str:
        """One run."""
        return str(self.folder / f"{configuration}_output_{load}.csv")

    def runs(self) -> Iterator[tuple[str, pa.Table]]:
        """Every run with enough requests, in order of launch."""
        for path in sorted(self.folder.glob("*_output_*.csv")):
            rows = pa.csv.read_csv(path).sort_by("launch_time")
            if rows.num_rows >= LEAST_REQUESTS:
                yield path.stem, rows

    def check(self, *, met: bool, text: str) -> None:
        """Print one line."""
        self.missed += not met
        print(f"{'ok    ' if met else 'MISSED'} {text}")


def compare(baseline: object, candidate: object, claim: str, **more: object) -> Audit:
    """One audit of time to first token."""
    return nibai.compare(baseline, candidate, claim, **OPTIONS, **more)


def verdicts(audit: Audit) -> dict[float, Verdict]:
    """Verdict by quantile."""
    return {f.claim.quantile: f.verdict for f in audit.findings if f.claim.quantile is not None}


def ratios(audit: Audit) -> str:
    """The estimates in a line."""
    return ", ".join(
        f"p{(f.claim.quantile or 0) * 100:g} {f.estimate.value:.3g}x {f.verdict.value}"
        for f in audit.findings
        if f.estimate is not None and f.estimate.value is not None
    )


def one_pair(stories: Stories) -> None:
    """About 14x faster at the median, slower in the tail, and the tail is not confirmed."""
    audit = compare(stories.path("naive", "2.9"), stories.path("ps_stack_high_low", "2.9"), TWICE)
    found = verdicts(audit)
    median, *tail = (f.estimate.value or 0.0 for f in audit.findings if f.estimate)
    met = 13 < median < 16 and max(tail) < 1 and Verdict.CONFIRMED not in (found[0.9], found[0.99])  # noqa: PLR2004 - the issue's figures
    stories.check(met=met, text=f"naive against ps_stack_high_low at 2.9/s: {ratios(audit)}")


def both_orders(stories: Stories) -> None:
    """Two sweep orders as replicas: the median's claim is confirmed, one of the tail never."""
    for load in LOADS:
        candidates = [stories.path(f"ps_stack_{order}", load) for order in ("high_low", "low_high")]
        audit = compare(stories.path("naive", load), candidates, TWICE)
        tail = [verdict for p, verdict in verdicts(audit).items() if p > 0.75]  # noqa: PLR2004 - the tail
        stories.check(
            met=len(tail) > 0
            and Verdict.CONFIRMED not in tail
            and verdicts(audit)[0.5] is Verdict.CONFIRMED,
            text=f"both sweep orders at {load}/s: {ratios(audit)}",
        )


def survivors(stories: Stories) -> None:
    """171 completions against 455 in the same time: not faster, and the remedy is named."""
    pair = stories.path("naive", "4.1"), stories.path("aibrix_high_low", "4.1")
    audit = compare(*pair, TWICE)
    said = " ".join(f.reason.text for f in audit.findings)
    stories.check(
        met=audit.verdict is not Verdict.CONFIRMED
        and Verdict.CONFIRMED not in verdicts(audit).values()
        and "--offered" in said,
        text=f"survivors at 4.1/s: {audit.verdict.value}: {audit.reason.text}",
    )
    told = compare(*pair, TWICE, offered=(455, 455))
    stories.check(
        met=Verdict.CONFIRMED not in verdicts(told).values(),
        text=f"the same with --offered 455 --offered 455: {ratios(told) or told.reason.text}",
    )


def nothing_changed(stories: Stories) -> None:
    """Odd against even requests of every run, and every run against itself."""
    for claim in (TWICE, NOT_WORSE):
        parts: Counter[Verdict] = Counter()
        whole: Counter[Verdict] = Counter()
        same: Counter[Verdict] = Counter()
        for _, rows in stories.runs():
            odd, even = (rows.take(list(range(first, rows.num_rows, 2))) for first in (0, 1))
            audit = compare(odd, even, claim)
            parts.update(f.verdict for f in audit.findings)
            whole[audit.verdict] += 1
            same[compare(rows, rows, claim).verdict] += 1
        runs = whole.total()
        bar = NOMINAL + 2 * math.sqrt(NOMINAL * (1 - NOMINAL) / runs)
        wrong = Verdict.CONFIRMED if claim == TWICE else Verdict.REFUTED
        most = 0.0 if claim == TWICE else bar
        for name, counts in (("odd and even", whole), ("same file", same)):
            stories.check(
                met=counts[wrong] <= most * runs,
                text=f"{name}, {runs} runs, {claim!r}: {_counts(counts)}; "
                f"{wrong.value} {counts[wrong] / runs:.1%}, at most {most:.1%}",
            )
        print(f"       by quantile, odd and even: {_counts(parts)}")


def halves_in_time(stories: Stories) -> None:
    """The two halves of one run are not comparable runs."""
    found: Counter[Verdict] = Counter()
    reasons: Counter[ReasonCode] = Counter()
    for _, rows in stories.runs():
        times = rows.column("launch_time")
        middle = (times[0].as_py() + times[rows.num_rows - 1].as_py()) / 2
        audit = compare(rows, None, NOT_WORSE, at=middle)
        found[audit.verdict] += 1
        reasons[audit.reason.code] += 1
    why = ", ".join(f"{code.value} {n}" for code, n in reasons.most_common())
    stories.check(
        met=set(found) == {Verdict.INCONCLUSIVE},
        text=f"halves in time, {found.total()} runs: {_counts(found)} ({why})",
    )


def swapped(stories: Stories) -> None:
    """Swapping the sides inverts every raw ratio."""
    worst, pairs = 0.0, 0
    for load in LOADS:
        sides = stories.path("naive", load), stories.path("ps_naive", load)
        forth, back = compare(*sides, TWICE), compare(*sides[::-1], TWICE)
        for one, other in zip(forth.findings, back.findings, strict=True):
            a, b = one.evidence.raw_ratio, other.evidence.raw_ratio
            if a is not None and b is not None:
                pairs += 1
                worst = max(worst, abs(a * b - 1.0))
    stories.check(
        met=pairs > 0 and worst < 1e-12,  # noqa: PLR2004 - rounding of one multiplication
        text=f"swapped sides, {pairs} ratios: times the inverse differs from 1 by {worst:.1e}",
    )


def _counts(counts: Counter[Verdict]) -> str:
    return ", ".join(f"{verdict.value} {n}" for verdict, n in counts.most_common())


def main() -> int:
    """All stories; 1 when a line was missed."""
    folder = Path(os.environ.get("NIBAI_DATA", "")) / "aibrix-regression" / "v0.2.1"
    if not folder.is_dir():
        print(f"skipped: no {folder} (set NIBAI_DATA)")
        return 0
    stories = Stories(folder)
    for story in (one_pair, both_orders, survivors, nothing_changed, halves_in_time, swapped):
        story(stories)
    return int(stories.missed > 0)


if __name__ == "__main__":
    sys.exit(main())
