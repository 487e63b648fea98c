"""A Prometheus-compatible API over requests that are all known, switchable to every doubtful form.

Answers have the shapes of Prometheus' HTTP API ("Expression query result formats", "Native
histograms"); what CloudWatch answers is not documented (aws.md, section 16, point 1), hence
`form`: "native" histograms, "classic" buckets, or "floats" only, where functions must be asked.
Ranges are open on the left as in Prometheus 3, or closed as in 2 (`closed_left`).
"""

import json
import math
import re
from bisect import bisect_right
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

RANGE = {"59999ms": 59.999, "1m": 60.0}
CLASSIC = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Promql:
    """`requests`: name -> [(labels, times, values in the metric's unit)]; `counters` likewise."""

    def __init__(self, requests, *, form="native", temporality="delta", schema=3, labelled=True,
                 most_series=500, fractions=True, closed_left=False, counters=None, bounds=CLASSIC,
                 sample_every=60.0, resets=(), unit=None):  # fmt: skip
        self.requests, self.counters = requests, counters or {}
        self.form, self.temporality, self.schema = form, temporality, schema
        self.labelled, self.most_series, self.fractions = labelled, most_series, fractions
        self.closed_left, self.bounds, self.sample_every = closed_left, bounds, sample_every
        self.resets, self.unit = resets, unit
        self.failures = []  # (status, error) answered first, one a request
        self.longest = math.inf  # seconds of a range that are not too much (422)
        self.asked = []
        self.headers = []

    # -- HTTP ------------------------------------------------------------------------------
    def http(self, method, url, headers, body):
        """One request, as `collector.promql.client.Http`."""
        parts = urlsplit(url)
        form = {k: v[0] for k, v in parse_qs(body.decode() or parts.query).items()}
        path = parts.path.partition("/api/v1/")[2]
        self.asked.append((method, path, form))
        self.headers.append(dict(headers))
        if self.failures:
            status, said = self.failures.pop(0)
            return status, json.dumps({"status": "error", "error": said}).encode()
        try:
            document = self.answer(path, form)
        except Refused as refused:
            said = {"status": "error", "errorType": "bad_data", "error": str(refused)}
            return refused.status, json.dumps(said).encode()
        return 200, json.dumps({"status": "success", **document}).encode()

    def answer(self, path, form):
        if path == "query_range":
            return self._range(form)
        label = unquote(path.removeprefix("label/").removesuffix("/values"))
        chosen = self._chosen(*_selector(form["match[]"])) if "match[]" in form else None
        if label == "__name__":
            return {"data": sorted(self._names())}
        return {"data": sorted({one[0][label] for one in chosen if label in one[0]})}

    # -- series ----------------------------------------------------------------------------
    def _names(self):
        if self.form != "classic":
            return [*self.requests, *self.counters]
        suffixes = ("_bucket", "_sum", "_count")
        return [f"{name}{end}" for name in self.requests for end in suffixes] + [*self.counters]

    def _chosen(self, name, matchers):
        stem = re.sub(r"_(bucket|sum|count)$", "", name) if self.form == "classic" else name
        found = self.requests.get(stem, []) or self.counters.get(name, [])
        kept = []
        for labels, times, values in found:
            told = {"__type__": "histogram", "__temporality__": self.temporality}
            told |= {"__unit__": self.unit} if self.unit else {}
            whole = {"__name__": name, **labels, **(told if self.labelled else {})}
            if all(whole.get(k, "") == v for k, v in matchers):
                kept.append((whole, np.asarray(times).tolist(), np.asarray(values)))
        return kept

    # -- queries ---------------------------------------------------------------------------
    def _range(self, form):
        start, end, step = (float(form[key]) for key in ("start", "end", "step"))
        if end - start > self.longest:
            raise Refused(422, "query processing would load too many samples into memory")
        function, argument, added, window, text = _parsed(form["query"])
        if function == "histogram_fraction" and not self.fractions:
            raise Refused(400, 'unknown function with name "histogram_fraction"')
        name, matchers = _selector(text)
        ends = np.arange(start, end + step / 2, step)
        result, scanned = [], 0
        for labels, times, values in self._chosen(name, matchers):
            one = [self._at(times, values, at, added, window) for at in ends]
            scanned += len(ends)
            shown = {k: v for k, v in labels.items() if k != "__name__" or not (added or function)}
            told = [(at, v) for at, v in zip(ends, one, strict=True) if v is not None]
            result += self._shown(name, shown, told, (function, argument))
        document = {"data": {"resultType": "matrix", "result": result[: self.most_series]}}
        document["data"]["stats"] = {"samples": {"totalQueryableSamples": scanned}}
        if len(result) > self.most_series:
            document["warnings"] = [f"results truncated to {self.most_series} series"]
        return document

    def _at(self, times, values, at, added, window):
        """The requests that a histogram at a time holds; None where there is no sample."""
        last = math.floor(at / self.sample_every) * self.sample_every  # of the samples
        if added:
            if self.temporality == "delta" or added == "increase":
                low = at - window
                first = math.ceil((low if self.closed_left else low + 1e-6) / self.sample_every)
                first = (first - 1) * self.sample_every if added == "sum_over_time" else low
                chosen = _between(times, values, first, last)
                return chosen if len(chosen) else None
            raise AssertionError("sum_over_time of cumulative histograms")
        if self.temporality == "delta":  # the newest sample, however old within the look-back
            return _between(times, values, last - self.sample_every, last)
        born = max([reset for reset in self.resets if reset <= last], default=-math.inf)
        return _between(times, values, born, last)

    def _shown(self, name, labels, told, asked):
        function, argument = asked
        if name in self.counters:
            return [_numbers(labels, [(at, one.sum()) for at, one in told])]
        if function:
            made = [(at, _function(function, argument, one)) for at, one in told]
            return [_numbers(labels, made)]
        if self.form == "native":
            return [{"metric": labels, "histograms": [[at, self._native(one)] for at, one in told]}]
        if self.form == "floats":
            return []  # a server that has no form for histograms shows nothing
        if name.endswith("_sum"):
            return [_numbers(labels, [(at, one.sum()) for at, one in told])]
        return [
            _numbers({**labels, "le": _le(bound)}, [(at, (one <= bound).sum()) for at, one in told])
            for bound in (*self.bounds, math.inf)
        ]

    def _native(self, values):
        """As Prometheus 2.40 and later write it: texts, bounds of the filled buckets."""
        per = 2.0**self.schema
        zero = int((values <= 0).sum())
        index, counts = np.unique(
            np.ceil(np.log2(values[values > 0]) * per).astype(int), return_counts=True
        )
        buckets = [[3, "-1e-128", "1e-128", str(zero)]] if zero else []
        buckets += [
            [0, repr(float(2.0 ** ((i - 1) / per))), repr(float(2.0 ** (i / per))), str(n)]
            for i, n in zip(index, counts, strict=True)
        ]
        return {"count": str(len(values)), "sum": repr(float(values.sum())), "buckets": buckets}


def _between(times, values, low, high):
    """Values of times (a list: halving it is quick) in (low, high]; times ascend."""
    return values[bisect_right(times, low) : bisect_right(times, high)]


class Refused(Exception):  # noqa: N818 - an answer, not a failure of the fake
    def __init__(self, status, said):
        super().__init__(said)
        self.status = status


def _parsed(query):
    """(function of the histogram, its numbers, what was added, range in seconds, selector)."""
    function, argument, added, window = None, (), None, 0.0
    outer = re.fullmatch(r"(histogram_\w+)\((.*)\)", query)
    if outer:
        function, rest = outer.groups()
        numbers = re.match(r"((?:[-+.\w]+, )*)(.*)", rest)
        argument = tuple(float(one) for one in numbers[1].split(", ") if one)
        query = numbers[2]
    inner = re.fullmatch(r"(sum_over_time|increase)\((.*)\[(\w+)\]\)", query)
    if inner:
        added, query, window = inner[1], inner[2], RANGE[inner[3]]
    return function, argument, added, window, query


def _selector(text):
    """(name, matchers) of a selector, the name quoted inside or in front."""
    name, _, inside = text.partition("{")
    matchers = []
    for label, quoted in re.findall(r'(?:([\w]+|"[^"]+")=)?"((?:[^"\\]|\\.)*)"', inside):
        value = quoted.replace('\\"', '"').replace("\\\\", "\\")
        if label:
            matchers.append((label.strip('"'), value))
        else:
            name = value
    return name, matchers


def _function(function, argument, values):
    if function == "histogram_count":
        return len(values)
    if function == "histogram_sum":
        return values.sum()
    if function == "histogram_fraction":
        return (
            ((values > argument[0]) & (values <= argument[1])).mean() if len(values) else math.nan
        )
    return np.quantile(values, argument[0]) if len(values) else math.nan


def _numbers(labels, samples):
    return {"metric": labels, "values": [[at, repr(float(value))] for at, value in samples]}


def _le(bound):
    return "+Inf" if math.isinf(bound) else f"{bound:g}"
