"""What CloudWatch counts of a model by minute beside its latencies: failed requests, and tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from collector.aws.session import Caller
from collector.bedrock.series import FAILURES, NAMESPACE, TOKENS, Model
from collector.cloudwatch.sums import whole_sums
from nibai.histogram import bucket_index
from nibai.model import Observation, SeriesKey, Window

MINUTE = 60
QUERIES_A_CALL = 500
DOLLARS_A_METRIC = 1e-5

Minutes = Counter[tuple[str, str, int]]
"""Failed requests by endpoint, variant and minute."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Failed requests, and tokens by series and minute."""

    failed: Minutes
    tokens: Mapping[tuple[SeriesKey, int], float]

    def observations(self) -> list[Observation]:
        """Tokens as minutes: one sample each, their sum the tokens."""
        return [
            Observation(
                key,
                minute,
                bucket_index(np.array([tokens])).astype(np.int32),
                np.ones(1, dtype=np.int64),
                1,
                tokens,
                tokens,
                tokens,
            )
            for (key, minute), tokens in sorted(self.tokens.items())
            if tokens > 0
        ]


def counted(
    metrics: Caller, models: Sequence[Model], window: Window, *, tokens: bool = True
) -> Counts:
    """What was counted in a window; raises CollectError and its kinds."""
    wanted = [(model, name) for model in models for name in _names(tokens=tokens)]
    failed: Minutes = Counter()
    found: dict[tuple[SeriesKey, int], float] = {}
    for first in range(0, len(wanted), QUERIES_A_CALL):
        part = wanted[first : first + QUERIES_A_CALL]
        sums = whole_sums(metrics, _request(part, window))
        for (model, name), periods in zip(part, sums, strict=True):
            for at, value in periods:
                minute = int(at // MINUTE)
                if name in TOKENS:
                    key = SeriesKey(model.endpoint, model.variant, "", "", TOKENS[name])
                    found[key, minute] = value
                else:
                    failed[model.endpoint, model.variant, minute] += round(value)
    return Counts(+failed, found)


def dollars(models: int, *, tokens: bool = True) -> float:
    """What asking once costs."""
    return models * len(_names(tokens=tokens)) * DOLLARS_A_METRIC


def _names(*, tokens: bool) -> tuple[str, ...]:
    return (*FAILURES, *TOKENS) if tokens else FAILURES


def _request(wanted: Sequence[tuple[Model, str]], window: Window) -> dict[str, object]:
    return {
        "MetricDataQueries": [_query(i, *one) for i, one in enumerate(wanted)],
        "StartTime": datetime.fromtimestamp(window.start, UTC),
        "EndTime": datetime.fromtimestamp(window.end, UTC),
        "ScanBy": "TimestampAscending",
    }


def _query(number: int, model: Model, name: str) -> dict[str, object]:
    metric = {
        "Namespace": NAMESPACE,
        "MetricName": name,
        "Dimensions": [{"Name": "ModelId", "Value": model.model_id}],
    }
    stat = {"Metric": metric, "Period": MINUTE, "Stat": "Sum"}
    return {"Id": f"q{number}", "MetricStat": stat, "ReturnData": True}
