"""Results of vLLM's `benchmark_serving` (`vllm bench serve --save-result --save-detailed`).

The file is one JSON object; with --save-detailed it holds one list entry per request: `ttfts` (s),
`itls` (list of inter-token gaps, s), `input_lens`, `output_lens`, `errors` (text, empty when fine)
and, in newer releases, `start_times`. Without it there are only averages and percentiles.
Source: vLLM documentation, "vllm bench serve"; vllm-project/vllm, benchmarks/serve.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from nibai.errors import UsageError

NOTE = (
    "vLLM results: seconds; ttft as measured, latency = ttft + all inter-token gaps, "
    "tpot = mean gap; requests with an error text failed"
)

SUMMARY_FIELDS = ("request_throughput", "mean_ttft_ms", "total_token_throughput", "median_ttft_ms")


def recognises(document: object) -> bool:
    """Whether a JSON document is a vLLM serving benchmark result."""
    if not isinstance(document, Mapping):
        return False
    return "ttfts" in document or sum(field in document for field in SUMMARY_FIELDS) >= 2  # noqa: PLR2004


def table(document: Mapping[str, object], name: str) -> pa.Table:
    """One row per request; UsageError when the file holds only averages."""
    ttfts, gaps = document.get("ttfts"), document.get("itls")
    if not isinstance(ttfts, list) or not isinstance(gaps, list):
        raise UsageError(
            f"{name}: these vLLM results hold only averages and percentiles, which cannot be "
            "compared: run the benchmark with --save-result --save-detailed"
        )
    errors = _column(document, "errors", len(ttfts), "")
    columns = {
        "ttft": [float(value) for value in ttfts],
        "latency": [float(t) + sum(g or []) for t, g in zip(ttfts, gaps, strict=True)],
        "tpot": [sum(g) / len(g) if g else None for g in gaps],
        "failed": [bool(error) for error in errors],
        "input_tokens": _column(document, "input_lens", len(ttfts), None),
        "output_tokens": _column(document, "output_lens", len(ttfts), None),
    }
    if isinstance(document.get("start_times"), list):
        columns["time"] = _column(document, "start_times", len(ttfts), None)
    return pa.table(columns)


def _column(document: Mapping[str, object], key: str, size: int, default: object) -> list[object]:
    found = document.get(key)
    return found if isinstance(found, list) and len(found) == size else [default] * size
