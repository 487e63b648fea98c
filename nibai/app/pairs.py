"""Pairs of answers: read for an audit, or counted into sketches that others merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from nibai import plugins
from nibai.errors import PluginError, UsageError
from nibai.paired.shown import shown_confusion
from nibai.predictions import PredictionSample
from nibai.protocols import PairsReader, PairsRequest


def read_pairs(request: PairsRequest) -> Sequence[PredictionSample]:
    """The samples that files of pairs hold, rare labels joined."""
    return [
        replace(
            sample,
            pairs={segment: shown_confusion(one) for segment, one in sample.pairs.items()},
        )
        for sample in _reader().read(request)
    ]


def sketch_pairs(
    pairs: Any,  # noqa: ANN401 - an Arrow table, or any data frame that exports an Arrow stream
    *,
    output: str,
    **options: Any,  # noqa: ANN401 - the fields of PairsRequest
) -> pa.Table:
    """Some of the pairs as a small table of additive rows, which `nibai.compare(pairs=…)` takes.

    For pairs that one machine does not hold: in each part, so partitioned that all pairs of an
    input (its hash, else the request id) are in one, and written as Parquet. The audit of all parts
    has the counts of the audit of all pairs, bit for bit. `output` is the kind of the answers, as
    of `nibai compare --output`; `options` are columns, segments, labels, threshold, tolerance.

    >>> part = pa.table({"request_id": ["1", "2"], "baseline": ["a", "b"], "candidate": ["a", "c"]})
    >>> rows = sketch_pairs(part, output="class")
    >>> rows.column_names[:4]
    ['table', 'segment', 'metric', 'key']
    """
    from nibai.store.files.pair_sketches import to_table  # noqa: PLC0415 - only for this

    unknown = sorted(set(options) - {"columns", "segments", "labels", "threshold", "tolerance"})
    if unknown:
        raise UsageError(f"sketch_pairs() has no option {unknown[0]!r}")
    table = pairs if isinstance(pairs, pa.Table) else pa.table(pairs)
    given: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in options.items()
    }
    samples = _reader().read(PairsRequest((table,), output=output, **given))
    if len(samples) > 1:
        sizes = ", ".join(str(sample.batch) for sample in samples)
        raise UsageError(
            f"pairs of several batch sizes ({sizes}) make several sketches: take one size at a time"
        )
    return to_table(samples[0].pairs)


def _reader() -> PairsReader:
    reader = plugins.load("nibai.prediction_readers", "pairs")
    if not isinstance(reader, PairsReader):
        raise PluginError(
            "the plug-in 'pairs' in nibai.prediction_readers does not read pairs: reinstall"
        )
    return reader
