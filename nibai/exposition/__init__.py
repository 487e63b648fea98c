"""`/metrics`: one immutable snapshot of the registry's families, as protobuf or as text.

Protobuf carries native histograms (every bucket that the lake holds), text carries classic ones (68
buckets of a factor 2^(1/4)): both are the same counts at different scales.
"""

from __future__ import annotations

from nibai.exposition.audits import ChangeView, change_families
from nibai.exposition.families import Families, Family, HistogramValue, Sample
from nibai.exposition.native import NATIVE_TYPE, encode_native
from nibai.exposition.text import TEXT_TYPE, encode_text

__all__ = [
    "NATIVE_TYPE",
    "TEXT_TYPE",
    "ChangeView",
    "Families",
    "Family",
    "HistogramValue",
    "Sample",
    "change_families",
    "encode_native",
    "encode_text",
    "wants_native",
]


def wants_native(accept: str) -> bool:
    """Whether a client takes protobuf at least as gladly as text.

    >>> wants_native("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
    ...              "encoding=delimited,text/plain;version=0.0.4;q=0.5")
    True
    >>> wants_native("text/plain;version=0.0.4, */*;q=0.1")
    False
    """
    for part in accept.split(","):
        words = [word.strip() for word in part.split(";")]
        if words[0] == "application/vnd.google.protobuf" and {
            "proto=io.prometheus.client.MetricFamily",
            "encoding=delimited",
        } <= set(words):
            return "q=0" not in words
    return False
