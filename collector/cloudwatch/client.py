"""CloudWatch's operations that are used; what they answer and raise is nibai's from here on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.aws.session import TRIES, AwsClient
from collector.cloudwatch.answer import EVENT, read_at_once


class CloudWatchClient:
    """The operations that are used, of one region; see `collector.aws.session`."""

    def __init__(self, region: str, *, endpoint_url: str | None = None, tries: int = TRIES) -> None:
        self._client = AwsClient("cloudwatch", region, endpoint_url=endpoint_url, tries=tries)
        self._client.heed(EVENT, read_at_once)

    def get_metric_data(self, **request: object) -> Mapping[str, Any]:
        """One page, its times in seconds since the epoch; raises CollectError and its kinds."""
        return self._client.call("GetMetricData", **request)

    def get_metric_statistics(self, **request: object) -> Mapping[str, Any]:
        """Datapoints with their units; raises as above."""
        return self._client.call("GetMetricStatistics", **request)

    def list_metrics(self, **request: object) -> Mapping[str, Any]:
        """A page of metrics of which there was something lately; raises as above."""
        return self._client.call("ListMetrics", **request)
