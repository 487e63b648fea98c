"""GetMetricData over raw values of known truth: paging, limits, retention, faults.

Shapes and limits: botocore's service model of CloudWatch (GetMetricDataInput, MetricDataResult);
periods by age and exact dimension sets as its documentation says. Time is given; nothing sleeps.
"""

from collections import defaultdict
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from threading import Lock

import numpy as np

from fakeaws.statistics import UnknownStatisticError, each_period

MAX_QUERIES = 500
MAX_DATAPOINTS = 100_800
DAY = 86_400
KEPT_WINDOWS = 64
KEPT = ((15 * DAY, 60), (63 * DAY, 300), (455 * DAY, 3600))


MAX_STATISTICS = 1440
UNITS = {
    "ModelLatency": "Microseconds", "OverheadLatency": "Microseconds",
    "FirstChunkLatency": "Microseconds", "ModelSetupTime": "Microseconds",
    "GPUUtilization": "Percent",
    "InvocationLatency": "Milliseconds", "TimeToFirstToken": "Milliseconds",
}  # fmt: skip
"""Others have none. That of FirstChunkLatency is not documented (aws.md, 16, point 9)."""


class ServiceError(Exception):
    """An error answer: HTTP status, AWS code, message."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Faults:
    """What goes wrong, by number of the request (0, 1, ...); scripted per test."""

    def __init__(self, *, throttle=(), internal=(), partial=(), errors=None, miscounted=()):
        self.throttle, self.internal, self.partial = set(throttle), set(internal), set(partial)
        self.miscounted = set(miscounted)  # minutes whose trimmed counts do not add up
        self.errors = errors or {}


class Metrics:
    """Raw values per series and minute; serves GetMetricData and counts what it bills."""

    def __init__(self, now, *, page=MAX_DATAPOINTS, faults=None, empty_bucket_is_zero=True):
        self.now = now
        self.page = page
        self.faults = faults or Faults()
        self.empty_bucket_is_zero = empty_bucket_is_zero
        self.values = defaultdict(dict)
        self.late = {}
        self.units = dict(UNITS)
        self.unit_requests = []
        self.list_requests = 0
        self.listed = 500
        self._windows = {}
        self._lock = Lock()
        self.requests = 0
        self.billed_metrics = 0
        self._numbers = count()
        self._tokens = {}

    def publish(self, namespace, name, dimensions, minute, values, *, there=None):
        """Raw values of one minute (epoch minutes); `there`: when each of them is in its minute."""
        series = namespace, name, tuple(sorted(dimensions))
        self.values[series][minute] = list(values)
        if there is not None:
            self.late[series, minute] = np.asarray(values, dtype=float), np.asarray(there)
        self._windows.clear()

    def get_metric_data(self, **request):
        """One page; raises ServiceError as the service answers errors."""
        with self._lock:
            return self._answer(request)

    def list_metrics(self, **request):
        """What was published in two weeks; dimensions are a filter, a name alone matches any."""
        if (error := self.faults.errors.get("ListMetrics")) is not None:
            raise error
        self.list_requests += 1
        wanted = [(one["Name"], one.get("Value")) for one in request.get("Dimensions", ())]
        found = [
            {"Namespace": namespace, "MetricName": name,
             "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions]}
            for namespace, name, dimensions in self.values
            if namespace == request.get("Namespace", namespace)
            and name == request.get("MetricName", name)
            and all(
                any(key == k and value in (None, v) for k, v in dimensions) for key, value in wanted
            )
        ]  # fmt: skip
        first = int(request.get("NextToken", 0))
        page = {"Metrics": found[first : first + self.listed]}
        if first + self.listed < len(found):
            page["NextToken"] = str(first + self.listed)
        return page

    def get_metric_statistics(self, **request):
        """Datapoints with their unit: what GetMetricData does not tell. At most 1,440."""
        if (error := self.faults.errors.get("GetMetricStatistics")) is not None:
            raise error
        self.unit_requests.append(request["MetricName"])
        self.billed_metrics += 1  # a request of this costs what a billed metric does
        start, end = (int(seconds(request[name])) for name in ("StartTime", "EndTime"))
        period = request["Period"]
        if (end - start) / period > MAX_STATISTICS:
            raise ServiceError(400, "InvalidParameterCombination", "at most 1,440 datapoints")
        metric = {key: request[key] for key in ("Namespace", "MetricName", "Dimensions")}
        unit = self.units.get(request["MetricName"], "None")
        made = {}
        for name in request["Statistics"]:
            stat = {"Metric": metric, "Period": period, "Stat": name}
            times, values = self._points(stat, start, end)
            for at, value in zip(_moments(times), values, strict=True):
                made.setdefault(at, {"Timestamp": at, "Unit": unit})[name] = value
        wanted = request.get("Unit", unit)
        points = [one for _, one in sorted(made.items())] if wanted == unit else []
        return {"Label": request["MetricName"], "Datapoints": points}

    def get_otel_enrichment(self):
        return {"Status": "Stopped"}

    def _answer(self, request):
        number = self.requests
        self.requests += 1
        if number in self.faults.errors:
            raise self.faults.errors[number]
        if number in self.faults.throttle:
            raise ServiceError(400, "ThrottlingException", "Rate exceeded")
        if token := request.get("NextToken"):
            results = self._tokens[token]
        else:
            self._validate(request)
            results = self._results(request)
            self.billed_metrics += sum(billed_by_metric(request).values())
        return self._paged(results, number)

    def _validate(self, request):
        if len(request["MetricDataQueries"]) > MAX_QUERIES:
            raise ServiceError(400, "ValidationError", "at most 500 queries")
        ids = [query["Id"] for query in request["MetricDataQueries"]]
        if len(set(ids)) != len(ids):
            raise ServiceError(400, "ValidationError", "Ids must be unique")

    def _results(self, request):
        start, end = (int(seconds(request[name])) for name in ("StartTime", "EndTime"))
        results = []
        for query in request["MetricDataQueries"]:
            stat = query["MetricStat"]
            times, values = self._points(stat, start, end)
            if request.get("ScanBy") != "TimestampAscending":
                times, values = times[::-1], values[::-1]
            results.append((query["Id"], times, values))
        return results

    def _points(self, stat, start, end):
        metric, period = stat["Metric"], stat["Period"]
        dimensions = tuple(sorted((d["Name"], d["Value"]) for d in metric["Dimensions"]))
        try:
            made = each_period(stat["Stat"])
        except UnknownStatisticError as error:
            raise ServiceError(400, "ValidationError", f"statistic {error}") from error
        series = metric["Namespace"], metric["MetricName"], dimensions
        times, values, firsts = self._window(series, period, start, end)
        found = made(values, firsts, self.empty_bucket_is_zero) if len(times) else []
        if self.faults.miscounted and stat["Stat"].startswith("TC("):
            found = [
                max(value - 1, 0) if value and at // 60 in self.faults.miscounted else value
                for at, value in zip(times, found, strict=True)
            ]
        if None not in found:
            return times, found
        told = [(at, value) for at, value in zip(times, found, strict=True) if value is not None]
        return tuple(at for at, _ in told), [value for _, value in told]

    def _kept(self, period, at):
        """Whether the period is not too fine for its age: else nothing, and no error."""
        finest = next((step for kept, step in KEPT if self.now - at <= kept), None)
        return finest is not None and period >= finest

    def _window(self, series, period, start, end):
        """Starts of periods, their sorted values one after the other, and where each begins.

        Every statistic of a call wants the same.
        """
        key = series, period, start, end, self.now
        if key not in self._windows:
            if len(self._windows) > KEPT_WINDOWS:
                self._windows.clear()
            self._windows[key] = self._read(series, period, start, end)
        return self._windows[key]

    def _read(self, series, period, start, end):
        minutes = self.values.get(series, {})
        periods = defaultdict(list)
        for minute in range((start - start % period) // 60, -(-end // 60)):
            at = minute * 60 // period * period
            if minute in minutes and at < end and self._kept(period, at):
                periods[at].extend(self._there(series, minute))
        parts = [np.sort(np.asarray(values, dtype=float)) for values in periods.values()]
        times = tuple(at for at, part in zip(periods, parts, strict=True) if len(part))
        parts = [part for part in parts if len(part)]
        sizes = [len(part) for part in parts]
        firsts = np.cumsum([0, *sizes[:-1]]) if parts else np.zeros(0, int)
        return times, np.concatenate(parts) if parts else np.zeros(0), firsts

    def _there(self, series, minute):
        """What a minute holds by now: it may fill up long after its end."""
        if (series, minute) not in self.late:
            return self.values[series][minute]
        values, there = self.late[series, minute]
        return values[there <= self.now].tolist()

    def _paged(self, results, number):
        internal, partial = number in self.faults.internal, number in self.faults.partial
        left, page, rest = self.page, [], []
        for identity, times, values in results:
            taken, later = (times[:left], values[:left]), (times[left:], values[left:])
            left -= len(taken[0])
            more = bool(later[0])
            status = "InternalError" if internal else "PartialData" if more or partial else None
            if taken[0] or not more:
                told = ((), []) if internal else taken
                page.append(_result(identity, *told, status or "Complete"))
            if more:
                rest.append((identity, *later))
        if internal:
            return {"MetricDataResults": page, "Messages": []}
        answer = {"MetricDataResults": page, "Messages": []}
        if rest:
            answer["NextToken"] = f"token-{next(self._numbers)}"
            self._tokens[answer["NextToken"]] = rest
        return answer


def _result(identity, times, values, status):
    return {
        "Id": identity,
        "Label": identity,
        "Timestamps": _moments(times),
        "Values": values,
        "StatusCode": status,
    }


@lru_cache(maxsize=64)
def _moments(times):
    """Every statistic of a metric is told with the same times, in the same list."""
    return [datetime.fromtimestamp(at, UTC) for at in times]


def billed_by_metric(request):
    """Up to five statistics of one metric in one request are one billed metric."""
    statistics = defaultdict(int)
    for query in request["MetricDataQueries"]:
        metric = query["MetricStat"]["Metric"]
        dimensions = tuple(sorted((d["Name"], d["Value"]) for d in metric["Dimensions"]))
        statistics[metric["Namespace"], metric["MetricName"], dimensions] += 1
    return {metric: -(-number // 5) for metric, number in statistics.items()}


def seconds(moment):
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)
