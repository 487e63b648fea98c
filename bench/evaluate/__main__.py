"""Ask every question of a folder of data and write the page with its figures."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import nibai
from bench.evaluate import (
    false_positives,
    otava,
    plots,
    power,
    series,
    stories,
    synthetic,
    tcpd,
)
from bench.evaluate.document import document, notes_of
from bench.evaluate.inputs import InputError
from bench.evaluate.results import Conditions, Results, Size
from bench.evaluate.work import Work

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "evaluation.md"
SEED = 20261126
SETS = ("azure-vm-noise/redis", "azure-vm-noise/stress-ng", "nab", "tcpd", stories.LLM_FOLDER)
FULL, QUICK = Size(480, 240, 30), Size(24, 12, 2, most_series=2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 2 when the folder is not in the layout."""
    options = parser().parse_args(arguments)
    try:
        evaluate(options)
    except InputError as error:
        print(f"bench-evaluate: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="make bench-evaluate", description=__doc__)
    found.add_argument("--data", type=Path, required=True, help="folder in the layout of DATA.md")
    found.add_argument("--data-name", default="the data of the caller", help="what the page says")
    found.add_argument("--out", type=Path, default=PAGE, help="page to write (figures beside it)")
    found.add_argument("--seed", type=int, default=SEED)
    found.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    found.add_argument("--quick", action="store_true", help="a small share, for trying")
    found.add_argument("--cache", type=Path, help="where Otava is installed; default: thrown away")
    found.add_argument("--without-otava", action="store_true", help="do not install or ask Otava")
    return found


def evaluate(options: argparse.Namespace) -> None:
    """All questions in order, then the page."""
    if not options.data.is_dir():
        raise InputError(f"no folder {options.data}: give DATA=FOLDER (layout: bench/DATA.md)")
    before = options.out.read_text(encoding="utf-8") if options.out.exists() else ""
    notes = notes_of(before)
    with ExitStack() as stack:
        work = stack.enter_context(Work(options.jobs))
        cache = options.cache or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = results(options, work, cache)
        figures = plots.draw(found, options.out.parent / options.out.stem)
        options.out.write_text(document(found, figures, notes), encoding="utf-8")
        work.say(f"written: {options.out.name} and {len(figures)} figures")


def results(options: argparse.Namespace, work: Work, cache: Path) -> Results:
    """What was measured."""
    size = QUICK if options.quick else FULL
    missing = tuple(name for name in SETS if not (options.data / name).is_dir())
    if len(missing) == len(SETS):
        raise InputError(f"{options.data} holds none of {', '.join(SETS)} (see bench/DATA.md)")
    for name in missing:
        work.say(f"skipped, not in the folder: {name}")
    tcpd.load(options.data / "tcpd")  # malformed files must not wait for the others
    loaded = {k: v[: size.most_series] for k, v in series.load_all(options.data).items()}
    judge, why = _otava(options, work, cache)
    known = false_positives.measure(loaded, judge, work, size.windows)
    found = power.measure(loaded, known, judge, work, size.injected, options.seed)
    invented_changes = synthetic.measure(size.synthetic_series, judge, work, options.seed)
    work.say("change points")
    others = {} if judge is None else {"otava": judge.judge_series}
    conditions = Conditions(
        options.data_name,
        options.seed,
        size,
        versions(judge is not None),
        why,
        missing,
    )
    marks = tcpd.run(options.data, others)
    told = stories.measure(options.data, work)
    return Results(conditions, loaded, known, found, invented_changes, marks, told)


def _otava(options: argparse.Namespace, work: Work, cache: Path) -> tuple[otava.Otava | None, str]:
    if options.without_otava:
        return None, "switched off"
    work.say(f"installing {otava.REQUIREMENT} in its own environment")
    judge, why = otava.install(cache, options.jobs)
    if why:
        work.say(f"without Otava: {why}")
    return judge, why


def versions(with_otava: bool) -> dict[str, str]:
    """Of everything that decides the figures."""
    names = ("numpy", "scipy")
    found = {"nibai": nibai.__version__, "Python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in names}
    return found | ({"Apache Otava": otava.VERSION} if with_otava else {})


if __name__ == "__main__":
    sys.exit(main())
