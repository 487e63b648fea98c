"""Results of vLLM's `benchmark_serving` (`vllm bench serve --save-result --save-detailed`).

The file is one JSON object; with --save-detailed it holds one list entry per request: `ttfts` (s),
`itls` (list of inter-token gaps, s), `input_lens`, `output_lens`, `errors` (text, empty when fine)
and, in newer releases, `start_times`. Without it there are only averages and percentiles.
Source: vLLM documentation, "vllm bench serve"; vllm-project/vllm, benchmarks/serve.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa

from nibai.errors import CollectError, UsageError

NOTE = (
    "vLLM results: seconds; ttft as measured, latency = ttft + all inter-token gaps, "
    "tpot = mean gap; requests with an error text or without a first token failed"
)

SUMMARY_FIELDS = ("request_throughput", "mean_ttft_ms", "total_token_throughput", "median_ttft_ms")


def recognises(document: object) -> bool:
    """Whether a JSON document is a vLLM serving benchmark result."""
    if not isinstance(document, Mapping):
        return False
    return "ttfts" in document or sum(field in document for field in SUMMARY_FIELDS) >= 2  # noqa: PLR2004


def several(text: str) -> bool:
    """Whether a text is results of more than one run: a list, or one after the other."""
    try:
        first, end = json.JSONDecoder().raw_decode(text.lstrip())
    except ValueError:
        return False
    if isinstance(first, list):
        return bool(first) and recognises(first[0])
    return recognises(first) and bool(text.lstrip()[end:].strip())


def table(document: Mapping[str, object], name: str) -> pa.Table:
    """One row per request; UsageError when the file holds only averages."""
    ttfts, gaps = document.get("ttfts"), document.get("itls")
    if not isinstance(ttfts, list) or not isinstance(gaps, list):
        raise UsageError(
            f"{name}: these vLLM results hold only averages and percentiles, which cannot be "
            "compared: run the benchmark with --save-result --save-detailed"
        )
    if len(ttfts) != len(gaps):
        raise CollectError(
            f"{name} cannot be read ({len(ttfts)} ttfts and {len(gaps)} itls): is the file "
            "complete? Make or fetch it again"
        )
    errors = _column(document, "errors", len(ttfts), "")
    try:
        # A request that failed has no first token: vLLM leaves its time at 0.
        firsts = [float(value or 0.0) for value in ttfts]
        totals = [sum(map(float, own or [])) for own in gaps]
    except (TypeError, ValueError) as error:
        raise CollectError(
            f"{name} cannot be read (ttfts and itls are not all numbers): make it again"
        ) from error
    columns = {
        "ttft": firsts,
        "latency": [first + total for first, total in zip(firsts, totals, strict=True)],
        "tpot": [
            total / len(own) if own else None for total, own in zip(totals, gaps, strict=True)
        ],
        "failed": [bool(said) or first <= 0 for said, first in zip(errors, firsts, strict=True)],
        "input_tokens": _column(document, "input_lens", len(ttfts), None),
        "output_tokens": _column(document, "output_lens", len(ttfts), None),
    }
    if isinstance(document.get("start_times"), list):
        columns["time"] = _column(document, "start_times", len(ttfts), None)
    return pa.table(columns)


def _column(document: Mapping[str, object], key: str, size: int, default: object) -> list[object]:
    found = document.get(key)
    return found if isinstance(found, list) and len(found) == size else [default] * size
