"""Claim sentences: what was promised, as people say it.

::

    sentence  = part {("," | "and") part}
    part      = [metric] promise ["within" N "%"] ["at" quantiles] ["for" segment "=" value] ["raw"]
    promise   = N "x faster" | N "% faster" | "no more than" N "% slower" | "not slower"
              | N "x more throughput" | N "x cheaper" | "cost at most" N "x"
              | "errors up at most" N "pp" | "same predictions" | "same output mix"
              | "accuracy down at most" N "pp" | "same JSON validity"
    quantiles = "p50" {("," | "and") "p99"}

"N% faster" is a ratio of 1 + N/100. Without a quantile a speed promise is about p50, p90 and p99.
The trailing clauses are read in any order; `print_claim` writes them in the order above. "raw" is
about all requests as they came, where a speed promise is otherwise judged at the same mix.
"""

from __future__ import annotations

from nibai.claims.parser import EXAMPLES, parse
from nibai.claims.printing import (
    LONGEST_NAME,
    as_label,
    claim_name,
    print_claim,
    print_sentence,
    quantile_label,
)

__all__ = [
    "EXAMPLES",
    "LONGEST_NAME",
    "as_label",
    "claim_name",
    "parse",
    "print_claim",
    "print_sentence",
    "quantile_label",
]
