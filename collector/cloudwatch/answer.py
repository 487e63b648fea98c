"""GetMetricData's answer read at once, numbers as arrays.

botocore walks an answer number by number, three microseconds a datapoint, a hundred thousand to a
call. Its event before parsing lets the answer be read otherwise: the lists of numbers are cut out,
each text of one is read once (nearly all queries of a call have the same times), and the rest is
JSON. An answer of another form (no JSON, times that are no seconds) is left to botocore.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.cloudwatch.points import Numbers
from nibai.store.engine.columns import numbers, text_column

EVENT = "before-parse.cloudwatch.GetMetricData"
OK = 200
MEMBERS = ("MetricDataResults", "NextToken", "Messages")
LISTS = ("Timestamps", "Values")

# Within a text of the answer a quote is escaped: this stands only where a list begins.
_LIST = re.compile(rb'"(?:Timestamps|Values)"\s*:\s*\[')


def read_at_once(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """What botocore shall take for the answer: as it documents it, with arrays for its lists.

    >>> answer = {}
    >>> body = b'{"MetricDataResults": [{"Id": "q", "Timestamps": [60], "Values": [1.5]}]}'
    >>> read_at_once({"status_code": 200, "body": body}, answer)
    >>> answer["MetricDataResults"]
    [{'Id': 'q', 'Timestamps': array([60.]), 'Values': array([1.5])}]
    """
    if response_dict["status_code"] != OK:
        return
    try:
        rest, texts = _cut(response_dict["body"])
        document, lists = json.loads(rest), _lists(texts)
        results = [_with_arrays(one, lists) for one in document.get("MetricDataResults") or ()]
    except (ValueError, TypeError, AttributeError, LookupError):
        return
    customized_response_dict |= {key: document[key] for key in MEMBERS if document.get(key)}
    customized_response_dict["MetricDataResults"] = results
    response_dict["body"] = b"{}"


def _with_arrays(result: Mapping[str, Any], lists: Sequence[Numbers]) -> dict[str, Any]:
    found = {name: result.get(name) for name in LISTS}
    read = {name: np.zeros(0) if place is None else lists[place] for name, place in found.items()}
    return {**result, **read}


def _cut(body: bytes) -> tuple[bytes, list[bytes]]:
    """The answer with a number for every list, and the texts of the lists by that number."""
    at, rest, texts = 0, [], dict[bytes, int]()
    while head := _LIST.search(body, at):
        end = body.index(b"]", head.end())
        text = body[head.end() : end].translate(None, b" \t\r\n")
        rest += [body[at : head.end() - 1], b"%d" % texts.setdefault(text, len(texts))]
        at = end + 1
    return b"".join((*rest, body[at:])), list(texts)


def _lists(texts: Sequence[bytes]) -> list[Numbers]:
    """Numbers of several lists, read in one go; ValueError where one holds something else."""
    whole = b",".join(filter(None, texts)).decode("ascii")
    sizes = [text.count(b",") + 1 if text else 0 for text in texts]
    if not whole:
        return [np.zeros(0) for _ in texts]
    split = pc.split_pattern(text_column([whole]), ",").flatten().cast(pa.float64())
    return np.split(numbers(pa.chunked_array([split])), np.cumsum(sizes)[:-1])
