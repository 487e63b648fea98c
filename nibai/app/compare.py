"""`nibai compare`: files in, audit out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import nibai
from nibai import plugins
from nibai.audit import run_audit
from nibai.claims import parse
from nibai.conventions import DEFAULT_LEVEL
from nibai.errors import PluginError, UsageError
from nibai.model import Audit, Change
from nibai.protocols import Analyzer, FileReader, FileRequest

DEFAULT_CLAIM = "not slower"


def compare(
    baseline: Any,  # noqa: ANN401 - paths, arrays, Arrow tables or data frames
    candidate: Any = None,  # noqa: ANN401 - the same
    claims: str | Sequence[str] = DEFAULT_CLAIM,
    *,
    level: float = DEFAULT_LEVEL,
    **options: Any,  # noqa: ANN401 - the fields of FileRequest
) -> Audit:
    """Is the candidate as much faster as was claimed? The audit, as from `nibai compare`.

    `baseline` and `candidate` are each one of, or a list of: a path, folder or glob; an array of
    values (then `unit` is required); an Arrow table or any data frame that exports an Arrow stream.
    `options` are those of the command line: metric, value, unit, higher_is_better, time, segments,
    replica, ok, offered, runs, at (seconds since the epoch), split, history (sources, as baseline).

    Raises UsageError for wrong claims, files and columns, CollectError for unreadable files. Thin
    data raises nothing: the verdict is `inconclusive`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> slow, fast = rng.lognormal(-2, 0.3, 4000), rng.lognormal(-3, 0.3, 4000)
    >>> audit = nibai.compare(slow, fast, "2x faster at p50", unit="s")
    >>> audit.verdict.value, round(audit.findings[0].estimate.value, 1)
    ('confirmed', 2.7)
    """
    request = FileRequest(
        baseline=_sources(baseline), candidate=_sources(candidate), **_options(options)
    )
    sentences = [claims] if isinstance(claims, str) else list(claims)
    return compare_files(request, sentences, level=level, clock=time.time)


def compare_files(
    request: FileRequest,
    claims: Sequence[str],
    *,
    level: float,
    clock: Callable[[], float],
    meanwhile: Callable[[], object] = lambda: None,
) -> Audit:
    """Read the files, judge the claims; the one path behind the command and the function.

    `meanwhile` runs while the files are counted, which leaves Python free: the place for imports.
    """
    for claim in claims:
        parse(claim)  # a sentence that does not parse must not wait for the files
    reader = plugins.load("nibai.readers", "files")
    if not isinstance(reader, FileReader):
        raise PluginError("the plug-in 'files' in nibai.readers does not read files: reinstall")
    windows = reader.read(request)
    sentences = tuple(parse(claim, default_metric=windows.metric) for claim in claims)
    change = Change(id="compare", endpoint="files", sentences=sentences, runs=request.runs)
    now = clock()
    with ThreadPoolExecutor(1) as pool:
        counting = pool.submit(windows.comparison, windows.metric)
        analyzers = load_analyzers(level)
        meanwhile()
        counting.result()
    audit = run_audit(
        change,
        windows,
        analyzers,
        audit_id="",
        created_at=now,
        version=nibai.__version__,
        level=level,
    )
    return replace(audit, id=_identity(audit))


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


def _options(options: dict[str, Any]) -> dict[str, Any]:
    known = set(FileRequest.__dataclass_fields__) - {"baseline", "candidate"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise UsageError(
            f"compare() has no option {unknown[0]!r}; there are {', '.join(sorted(known))}"
        )
    made = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    return made | {"history": _sources(options.get("history"))}


def _sources(given: Any) -> tuple[Any, ...]:  # noqa: ANN401 - see compare
    if given is None:
        return ()
    many = isinstance(given, list | tuple) and not all(isinstance(x, int | float) for x in given)
    return tuple(_source(one) for one in (given if many else [given]))


def _source(given: Any) -> Any:  # noqa: ANN401 - see compare
    import numpy as np  # noqa: PLC0415 - the command line reads files only
    import pyarrow as pa  # noqa: PLC0415 - same

    if isinstance(given, str | pa.Table):
        return given
    if hasattr(given, "__fspath__"):
        return str(given)
    if hasattr(given, "__arrow_c_stream__"):
        return pa.table(given)
    array = np.asarray(given, dtype=np.float64)
    if array.ndim != 1:
        raise UsageError(f"an array of values has one dimension, this one has {array.ndim}")
    return pa.table({"value": array})
