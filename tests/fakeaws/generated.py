"""GetMetricData over values that are made when they are asked for: many series, long windows.

Every minute of a latency has as many lognormal values, the same ones whenever they are asked for;
requests are counted, none fails.
"""

import zlib

import numpy as np

from fakeaws.metrics import Metrics

COUNTED = "Invocations"


class GeneratedMetrics(Metrics):
    """As `Metrics`, for any series; `datapoints` counts what was answered."""

    def __init__(self, now, *, per_minute=20, **options):
        super().__init__(now, **options)
        self.per_minute = per_minute
        self.datapoints = 0

    def _read(self, series, period, start, end):
        """Values of a whole window, sorted within each period."""
        _, metric, dimensions = series
        times = np.arange(start - start % period, end, period)
        times = times[times < self.now - 60]
        each = self.per_minute * period // 60
        if not len(times) or metric.endswith("Errors"):
            return [], np.zeros(0), np.zeros(0, int)
        firsts = np.arange(len(times)) * each
        if metric == COUNTED:
            return times.tolist(), np.ones(len(times) * each), firsts
        seed = zlib.crc32(repr(dimensions).encode())
        values = np.empty((len(times), each))
        for day in np.unique(times // 86_400).tolist():
            inside = times // 86_400 == day
            rng = np.random.default_rng([seed, day, period])
            made = rng.lognormal(-2, 0.5, (86_400 // period, each))
            values[inside] = made[times[inside] % 86_400 // period]
        return times.tolist(), np.sort(values * 1e6, axis=1).ravel(), firsts

    def _answer(self, request):
        page = super()._answer(request)
        self.datapoints += sum(len(one["Values"]) for one in page["MetricDataResults"])
        return page
