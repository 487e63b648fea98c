"""`nibai compare`: files in, audit out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibai
from nibai import plugins
from nibai.app.artifact import MAX_ROWS, with_evidently
from nibai.app.given import moment, sources, texts
from nibai.app.kinds import change_kinds
from nibai.claims import parse
from nibai.conventions import DEFAULT_LEVEL
from nibai.errors import PluginError, UsageError
from nibai.model import Audit, Change, Comparison, Promise, SideCost
from nibai.predictions import PredictionSample
from nibai.protocols import (
    Analyzer,
    FileReader,
    FileRequest,
    FileWindows,
    OutputsReader,
    OutputsRequest,
    PairsRequest,
)
from nibai.units import Unit

DEFAULT_CLAIM = "not slower"
PAIRS_CLAIM = "same predictions"
OUTPUTS_CLAIM = "same output mix"

NOT_BOTH = (
    "answers are either pairs (--pairs) or those of two periods to different requests "
    "(--prediction): give one of them"
)

ABOUT_ANSWERS = frozenset(
    {
        Promise.SAME_PREDICTIONS,
        Promise.SAME_OUTPUT_MIX,
        Promise.ACCURACY,
        Promise.SAME_JSON_VALIDITY,
    }
)
"""Promises that need no measurements beside the answers."""


def compare(
    baseline: Any = None,  # noqa: ANN401 - paths, arrays, Arrow tables or data frames
    candidate: Any = None,  # noqa: ANN401 - the same
    claims: str | Sequence[str] | None = (),
    *,
    level: float = DEFAULT_LEVEL,
    pairs: Any = None,  # noqa: ANN401 - paths, Arrow tables or data frames
    kinds: str | Sequence[str] = (),
    cost_per_hour: tuple[float, float] | None = None,
    instances: tuple[float, float] | None = None,
    **options: Any,  # noqa: ANN401 - the fields of FileRequest and PairsRequest
) -> Audit:
    """Is the candidate as much faster as was claimed? The audit, as from `nibai compare`.

    `baseline` and `candidate` are each one of, or a list of: a path, folder or glob; an array, list
    or series of values (then `unit` is required, unless they are durations); an Arrow table, a
    mapping of columns or any data frame that exports an Arrow stream.
    `pairs` are answers of both variants to the same requests: paths or tables with columns
    `baseline` and `candidate`, or tables of `nibai.sketch_pairs`; alone or beside the two sides.
    `claims` are "not slower" and, of pairs, "same predictions" where not said. `kinds` of change,
    such as "int8" or "compilation", give the margin where the claim states none.
    `options` are those of the command line: metric, value, unit, higher_is_better, time, segments,
    replica, ok, offered, runs, at (a datetime, ISO 8601 or seconds since the epoch), split, history
    (sources, as baseline);
    of pairs: columns, noise (sources), noise_floor, output, schema, labels, threshold, tolerance.
    `cost_per_hour` is USD of one instance of (baseline, candidate), for claims about cost; without
    `instances`, replicas are counted.
    Answers of the two sides to different requests are read with prediction (a column) and inputs
    (columns that describe a request); "same output mix" is then claimed where nothing is said.

    Raises UsageError for wrong claims, files and columns, CollectError for unreadable files. Thin
    data raises nothing: the verdict is `inconclusive`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> slow, fast = rng.lognormal(-2, 0.3, 4000), rng.lognormal(-3, 0.3, 4000)
    >>> audit = nibai.compare(slow, fast, "2x faster at p50", unit="s")
    >>> audit.verdict.value, round(audit.findings[0].estimate.value, 1)
    ('confirmed', 2.7)
    """
    files, answers, outputs = _requests(baseline, candidate, pairs, options)
    sentences = [claims] if isinstance(claims, str) else list(claims or ())
    if not 0.5 <= level < 1:  # noqa: PLR2004 - below, the interval says less than a coin
        raise UsageError(f"level={level!r} is none: give a share such as 0.95")
    return compare_files(
        files,
        sentences,
        pairs=answers,
        outputs=outputs,
        kinds=[kinds] if isinstance(kinds, str) else kinds,
        costs=_costs(cost_per_hour, instances),
        level=level,
        clock=time.time,
    )


def compare_files(
    request: FileRequest | None,
    claims: Sequence[str],
    *,
    level: float,
    clock: Callable[[], float],
    pairs: PairsRequest | None = None,
    outputs: OutputsRequest | None = None,
    kinds: Sequence[str] = (),
    costs: tuple[SideCost, SideCost] | None = None,
    evidently: str | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Audit:
    """Read the files, judge the claims; the one path behind the command and the function.

    `evidently` is where Evidently's report of the pairs goes. `meanwhile` runs while the files are
    counted, which leaves Python free: the place for imports.
    """
    said = claims or [_default_claim(request, pairs, outputs)]
    parsed = [parse(claim) for claim in said]  # what does not parse must not wait for the files
    found, evidence = change_kinds(kinds)
    if pairs is not None and evidently is not None:
        pairs = replace(pairs, keep_rows=MAX_ROWS)
    if outputs is not None and all(
        part.promise in ABOUT_ANSWERS for sentence in parsed for part in sentence.parts
    ):
        request = None  # the files need no column of measurements
    windows = _Read(_files(request), pairs, outputs)
    sentences = tuple(parse(claim, default_metric=windows.metric) for claim in said)
    change = Change(
        id="compare",
        endpoint="files",
        kinds=found,
        sentences=sentences,
        runs=request is not None and request.runs,
        evidence=evidence,
        costs=costs,
    )
    now = clock()
    with ThreadPoolExecutor(1) as pool:
        counting = pool.submit(windows.count)
        from nibai.audit import run_audit  # noqa: PLC0415 - nothing is judged before

        analyzers = load_analyzers(level)
        meanwhile()
        counting.result()
    audit = run_audit(
        change,
        windows if windows.files is None or windows.asks_answers else windows.files,
        analyzers,
        audit_id="",
        created_at=now,
        version=nibai.__version__,
        level=level,
    )
    audit = replace(audit, id=_identity(audit))
    if evidently is None:
        return audit
    rows = next((one.rows for one in windows.predictions() if one.rows is not None), None)
    return with_evidently(audit, rows, Path(evidently))


def _costs(
    per_hour: tuple[float, float] | None, instances: tuple[float, float] | None
) -> tuple[SideCost, SideCost] | None:
    if per_hour is None and instances is None:
        return None
    prices, counts = per_hour or (None, None), instances or (None, None)
    source = "" if per_hour is None else "price as stated"
    return SideCost(prices[0], counts[0], source), SideCost(prices[1], counts[1], source)


def _default_claim(
    request: FileRequest | None, pairs: PairsRequest | None, outputs: OutputsRequest | None
) -> str:
    if outputs is not None:
        return OUTPUTS_CLAIM
    if pairs is None:
        return DEFAULT_CLAIM
    return PAIRS_CLAIM if request is None else f"{DEFAULT_CLAIM}, {PAIRS_CLAIM}"


def _files(request: FileRequest | None) -> FileWindows | None:
    if request is None:
        return None
    reader = plugins.load("nibai.readers", "files")
    if not isinstance(reader, FileReader):
        raise PluginError("the plug-in 'files' in nibai.readers does not read files: reinstall")
    return reader.read(request)


class _Read:
    """Measurements and answers of one change, both or one of them."""

    def __init__(
        self,
        files: FileWindows | None,
        pairs: PairsRequest | None,
        outputs: OutputsRequest | None = None,
    ) -> None:
        self.files = files
        self._pairs = pairs
        self._outputs = outputs
        self._answers: Sequence[PredictionSample] | None = None

    @property
    def metric(self) -> str:
        return "latency" if self.files is None else self.files.metric

    @property
    def asks_answers(self) -> bool:
        return self._pairs is not None or self._outputs is not None

    def count(self) -> None:
        self.comparison(self.metric)
        self.predictions()

    def comparison(self, metric: str) -> Comparison | None:
        return None if self.files is None else self.files.comparison(metric)

    def predictions(self) -> Sequence[PredictionSample]:
        if self._answers is None:
            pairs = () if self._pairs is None else _pairs(self._pairs)
            outputs = () if self._outputs is None else read_outputs(self._outputs)
            self._answers = (*pairs, *outputs)
        return self._answers


def _pairs(request: PairsRequest) -> Sequence[PredictionSample]:
    from nibai.app.pairs import read_pairs  # noqa: PLC0415 - measurements do without

    return read_pairs(request)


def read_outputs(request: OutputsRequest) -> Sequence[PredictionSample]:
    """The samples of answers to different requests."""
    reader = plugins.load("nibai.prediction_readers", "before_after")
    if not isinstance(reader, OutputsReader):
        raise PluginError(
            "the plug-in 'before_after' in nibai.prediction_readers does not read answers: "
            "reinstall"
        )
    return reader.read(request)


def load_analyzers(level: float) -> dict[str, Analyzer]:
    """Every installed analyzer at a confidence level."""
    found: dict[str, Analyzer] = {}
    for entry in plugins.registered("nibai.analyzers"):
        analyzer = plugins.load("nibai.analyzers", entry.name, {"level": level})
        if not isinstance(analyzer, Analyzer):
            raise PluginError(f"plug-in {entry.name!r} in nibai.analyzers has no analyze method")
        found[entry.name] = analyzer
    return found


def _identity(audit: Audit) -> str:
    said = [finding.reason.text for finding in audit.findings]
    text = repr((audit.created_at, audit.baseline, audit.candidate, said))
    return "c" + hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


_OF_PAIRS = set(PairsRequest.__dataclass_fields__) - {"sources", "keep_rows"}


def _requests(
    baseline: Any,  # noqa: ANN401 - see compare
    candidate: Any,  # noqa: ANN401 - see compare
    pairs: Any,  # noqa: ANN401 - see compare
    options: dict[str, Any],
) -> tuple[FileRequest | None, PairsRequest | None, OutputsRequest | None]:
    """What to read of the measurements and of the answers."""
    of_files = set(FileRequest.__dataclass_fields__) - {"baseline", "candidate"}
    of_pairs = _OF_PAIRS if pairs is not None else set()
    of_outputs = {"prediction", "inputs", "output"} if options.get("prediction") else set()
    if of_pairs and of_outputs:
        raise UsageError(NOT_BOTH)
    known = of_files | of_pairs | of_outputs | {"prediction"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise UsageError(
            f"compare() has no option {unknown[0]!r}; there are {', '.join(sorted(known))}"
        )
    given = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    for name in ("segments", "inputs", "labels"):
        if name in given:
            given[name] = texts(given[name])
    if given.get("at") is not None:
        given["at"] = moment(given["at"])
    if isinstance(given.get("offered"), int):
        given["offered"] = (given["offered"],)
    if given.get("unit") is not None and given["unit"] not in {unit.value for unit in Unit}:
        raise UsageError(f"unit={given['unit']!r} is none: give {'|'.join(Unit)}")
    files: dict[str, Any] = {name: value for name, value in given.items() if name in of_files}
    answers: dict[str, Any] = {name: value for name, value in given.items() if name in of_pairs}
    files["history"] = sources(options.get("history"))
    if "noise" in answers:
        answers["noise"] = sources(options["noise"])
    sides = sources(baseline), sources(candidate)
    request = FileRequest(*sides, **files)
    outputs: dict[str, Any] = {name: value for name, value in given.items() if name in of_outputs}
    return (
        request if any(sides) or pairs is None else None,
        None if pairs is None else PairsRequest(sources(pairs), **answers),
        OutputsRequest(request, **outputs) if outputs else None,
    )
