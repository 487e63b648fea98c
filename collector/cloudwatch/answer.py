"""GetMetricData's answer read at once, numbers as arrays.

botocore walks an answer number by number, three microseconds a datapoint, a hundred thousand to a
call. Its event before parsing lets the answer be read otherwise; an answer of another form than
JSON with times in seconds is left to botocore.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

EVENT = "before-parse.cloudwatch.GetMetricData"
OK = 200
MEMBERS = ("MetricDataResults", "NextToken", "Messages")


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
        document = json.loads(response_dict["body"])
        results = [_with_arrays(one) for one in document.get("MetricDataResults") or ()]
    except (ValueError, TypeError, AttributeError):
        return
    customized_response_dict |= {key: document[key] for key in MEMBERS if document.get(key)}
    customized_response_dict["MetricDataResults"] = results
    response_dict["body"] = b"{}"


def _with_arrays(result: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(result)
    for name in ("Timestamps", "Values"):
        made[name] = np.array(result.get(name) or (), dtype=np.float64)
    return made
