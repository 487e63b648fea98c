"""GetMetricData over values that are made when they are asked for: many series, long windows.

Every minute of a latency has as many lognormal values, the same ones whenever and at whatever
period they are asked for; requests are counted, none fails. What was asked is remembered by minute:
`paid_twice` is the part of the bill for periods that were paid for before.
"""

import zlib

import numpy as np

from fakeaws.metrics import DAY, Metrics, billed_by_metric, seconds

COUNTED = "Invocations"
KEPT_DAYS = 15


class GeneratedMetrics(Metrics):
    """As `Metrics`, for any series; `datapoints` counts what was answered."""

    def __init__(self, now, *, per_minute=20, **options):
        super().__init__(now, **options)
        self.per_minute = per_minute
        self.datapoints = 0
        self.paid_twice = 0.0
        self._began = int(self.now) - (KEPT_DAYS + 1) * DAY
        self._asked = {}
        self._last = None, None

    @property
    def now(self):
        """A moment that was given, or the clock's."""
        return self._now() if callable(self._now) else self._now

    @now.setter
    def now(self, moment):
        self._now = moment

    def _window(self, series, period, start, end):
        """Values are made once for all statistics of a call; the next call has another window."""
        key = series, period, start, end, self.now // 60
        if self._last[0] != key:
            self._last = key, self._read(series, period, start, end)
        return self._last[1]

    def _read(self, series, period, start, end):
        """Values of a whole window, sorted within each period: those of its minutes."""
        _, metric, dimensions = series
        times = np.arange(start - start % period, end, period)
        times = times[(times + period - 60 < self.now - 60) & (times >= self.now - KEPT_DAYS * DAY)]
        each = self.per_minute * period // 60
        if not len(times) or metric.endswith("Errors"):
            return (), np.zeros(0), np.zeros(0, int)
        firsts = np.arange(len(times)) * each
        if metric == COUNTED:
            return tuple(times.tolist()), np.ones(len(times) * each), firsts
        seed = zlib.crc32(repr(dimensions).encode())
        values = np.empty((len(times), each))
        for day in np.unique(times // DAY).tolist():
            inside = times // DAY == day
            rng = np.random.default_rng([seed, day])
            made = rng.lognormal(-2, 0.5, (DAY // period, each))
            values[inside] = made[times[inside] % DAY // period]
        values.sort(axis=1)
        return tuple(times.tolist()), (values * 1e6).ravel(), firsts

    def _answer(self, request):
        if not request.get("NextToken"):
            self._remember(request)
        page = super()._answer(request)
        self.datapoints += sum(len(one["Values"]) for one in page["MetricDataResults"])
        return page

    def _remember(self, request):
        period = request["MetricDataQueries"][0]["MetricStat"]["Period"]
        start, end = (
            (int(seconds(request[name])) - self._began) // period
            for name in ("StartTime", "EndTime")
        )
        for metric, billed in billed_by_metric(request).items():
            if (metric, period) not in self._asked:
                periods = (KEPT_DAYS + 2) * DAY // period
                self._asked[metric, period] = np.zeros(periods, dtype=bool)
            asked = self._asked[metric, period][start:end]
            self.paid_twice += billed * float(asked.mean())
            asked[:] = True
