"""`/metrics`: text and protobuf carry the same values, and both are those of the lake."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from google.protobuf.internal.decoder import _DecodeVarint
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support.audits import mixed
from support.exposition import VALUES

from nibai.exposition import (
    ChangeView,
    Families,
    HistogramValue,
    change_families,
    encode_native,
    encode_text,
    wants_native,
)
from nibai.exposition.native import LARGEST_EXPONENT, message, native_buckets
from nibai.exposition.text import bounds, classic_buckets
from nibai.histogram import BlockHistograms
from nibai.metric_registry import REGISTRY
from nibai.model import LoadRow, Verdict

RNG = np.random.default_rng(7)


def latencies(n=20_000, lost=50):
    values = RNG.lognormal(-2, 0.6, n)
    return np.r_[values, np.full(lost, np.inf), np.zeros(3)]


def histogram(values):
    finite = values[np.isfinite(values)]
    return HistogramValue(BlockHistograms.from_values(values), float(finite.sum()))


@pytest.fixture(scope="module")
def families():
    made = Families()
    made.put("nibai_latency_seconds", ("onprem/tokyo/ocr", "fp32"), histogram(latencies()))
    made.put("nibai_latency_seconds", ("onprem/tokyo/ocr", "int8"), histogram(latencies(7, 0)))
    made.put("nibai_ttft_seconds", ('a\\b"c\nd', ""), histogram(np.zeros(0)))
    made.put("nibai_requests_total", ("onprem/tokyo/ocr", "fp32", "success"), 2e12)
    made.add("nibai_wal_bytes", 0.0)
    made.add("nibai_audit_slots_total", 3.0, task="follow", state="done")
    audit = mixed()
    change_families(made, [ChangeView(audit.change, 1764000000.0, audit.sentences, audit)])
    return made.done()


def decoded(text):
    at, found = 0, {}
    while at < len(text):
        size, at = _DecodeVarint(text, at)
        family = message("MetricFamily").FromString(text[at : at + size])
        found[family.name] = family
        at += size
    return found


def native_cumulative(histogram):
    """(upper bound as a power of 2, requests of at most that) of every bucket."""
    index, count, total, deltas = 0, 0, histogram.zero_count, iter(histogram.positive_delta)
    found = []
    for span in histogram.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            total += count
            found.append((index / 2.0**histogram.schema, total))
            index += 1
    return found


def test_no_label_is_one_that_prometheus_gives_to_what_it_scrapes():
    names = {label for exported in REGISTRY.values() for label in exported.labels}
    assert not names & {"job", "instance"}, "Prometheus would rename it to exported_…"


def test_text_and_protobuf_agree_value_by_value(families):
    native = decoded(encode_native(families))
    text = {f.name: f for f in text_string_to_metric_families(encode_text(families).decode())}
    assert {name.removesuffix("_total") for name in native} == set(text)
    values = 0
    for name, family in native.items():
        samples = text[name.removesuffix("_total")].samples
        assert family.help == REGISTRY[name].help
        for metric in family.metric:
            labels = {pair.name: pair.value for pair in metric.label}
            mine = [s for s in samples if {k: v for k, v in s.labels.items() if v} | labels
                    == {k: v for k, v in s.labels.items() if v}]  # fmt: skip
            if metric.HasField("histogram"):
                values += _same_histogram(metric.histogram, mine)
                continue
            (sample,) = [s for s in mine if {k: v for k, v in s.labels.items() if v} == labels]
            kind = "counter" if metric.HasField("counter") else "gauge"
            assert metric.HasField(kind)
            assert getattr(metric, kind).value == sample.value
            values += 1
    assert values > 300


def _same_histogram(native, samples):
    """Every classic bucket holds what the native ones hold up to its bound."""
    at = {s.labels.get("le", s.name.rpartition("_")[2]): s.value for s in samples}
    assert at["count"] == native.sample_count == at["+Inf"]
    assert at["sum"] == native.sample_sum
    found = native_cumulative(native)
    for i, le in enumerate(bounds()[:-1]):
        exponent = (-39 + i) / 4
        below = [total for upper, total in found if upper <= exponent + 1e-9]
        assert at[le] == (below[-1] if below else native.zero_count)
    return len(at)


def test_histograms_are_written_byte_for_byte_as_prometheus_client_does(families):
    histograms = [
        f for f in families if f.exported.name in ("nibai_latency_seconds", "nibai_ttft_seconds")
    ]
    theirs = []
    for family in histograms:
        made = HistogramMetricFamily(
            family.exported.name, family.exported.help, labels=family.exported.labels
        )
        for sample in family.samples:
            buckets = zip(bounds(), classic_buckets(sample.value), strict=True)
            made.add_metric(sample.labels, list(buckets), sample.value.sum)
        theirs.append(made)
    assert encode_text(histograms) == generate_latest(Collected(theirs))


class Collected:
    def __init__(self, metrics):
        self.metrics = metrics

    def collect(self):
        return self.metrics


def test_native_buckets_are_numbered_by_their_upper_bound():
    # 0.5 is at most 2^-1: OpenTelemetry's bucket -33, Prometheus' -32.
    scale, spans, deltas = native_buckets(BlockHistograms.from_values([0.5, 0.5, 1.0, np.inf]))
    assert (scale, spans, deltas) == (
        5, [(-32, 1), (31, 1), (LARGEST_EXPONENT * 32, 1)], [2, -1, 0],
    )  # fmt: skip
    assert native_buckets(BlockHistograms.empty(1)) == (5, [], [])


def test_more_than_160_buckets_lower_the_scale_and_lose_no_request():
    wide = BlockHistograms.from_values(RNG.lognormal(0, 3.0, 50_000))
    assert np.count_nonzero(wide.counts) > 160
    scale, spans, deltas = native_buckets(wide)
    assert scale < 5
    assert sum(length for _, length in spans) <= 160
    assert int(np.cumsum(deltas).sum()) == 50_000
    assert native_buckets(wide, most=20)[0] < scale


def test_classic_bounds_run_from_a_millisecond_to_two_minutes():
    found = bounds()
    assert len(found) == 69
    assert (found[0], found[-2], found[-1]) == ("0.00116134", "128.0", "+Inf")
    assert "1.0" in found
    value = histogram(np.array([1e-4, 1.0, 1.0001, 500.0, np.inf]))
    buckets = classic_buckets(value)
    assert (buckets[0], buckets[found.index("1.0")], buckets[-2], buckets[-1]) == (1, 2, 3, 5)


def test_a_coarse_histogram_fills_the_bounds_it_knows():
    coarse = BlockHistograms.from_values([0.3, 0.3, 3.0]).downscale(0)
    buckets = classic_buckets(HistogramValue(coarse, 3.6))
    assert buckets[-1] == 3
    assert sorted(buckets) == buckets
    assert buckets[bounds().index("0.5")] == 2


def test_the_form_follows_the_accept_header():
    prometheus = (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
        "encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1"
    )
    assert wants_native(prometheus)
    assert not wants_native("application/openmetrics-text;version=1.0.0,*/*;q=0.5")
    assert not wants_native("application/vnd.google.protobuf;encoding=delimited")
    assert not wants_native("")


def test_a_series_is_added_once_and_by_the_registry():
    made = Families()
    made.add("nibai_wal_bytes", 1.0)
    made.add("nibai_wal_bytes", 2.0)
    made.add("nibai_change_level_ratio", None, endpoint="e", variant="", change="c")
    made.add("nibai_change_level_ratio", float("nan"), endpoint="e", variant="", change="c")
    (family,) = made.done()
    assert [sample.value for sample in family.samples] == [1.0]
    for wrong in ({"task": "x"}, {"state": "y", "task": "x", "more": "z"}):
        with pytest.raises(KeyError):
            made.add("nibai_audit_slots_total", 1.0, **wrong)
    with pytest.raises(KeyError):
        made.put("nibai_latency_seconds", ("e", "v"), 1.0)


def test_latency_by_load_is_exported_by_bin():
    audit = mixed()
    rows = tuple(LoadRow(side, 0, 0.5, 0.99, 1.5, 900) for side in ("baseline", "candidate"))
    loaded = replace(audit, exhibits=(replace(audit.exhibits[0], load=rows),))
    made = Families()
    change_families(made, [ChangeView(audit.change, None, (), loaded)])
    found = {f.exported.name: [s.value for s in f.samples] for f in made.done()}
    assert found["nibai_load_latency_seconds"] == [1.5, 1.5]
    assert found["nibai_load_requests_per_second"] == [0.5, 0.5]
    assert "nibai_change_verdict" not in found


def test_a_refuted_claim_is_minus_one_with_its_ratio_and_bounds(families):
    text = encode_text(families).decode()
    audit = mixed()
    assert re.search(r'nibai_change_verdict\{.*change="' + audit.change.id + r'".*\} -1\.0', text)
    assert re.search(r'nibai_claim_verdict\{.*claim="2x-faster.*\} -1\.0', text)
    for bound in ("estimate", "low", "high"):
        assert re.search(rf'nibai_change_speedup_ratio\{{.*bound="{bound}".*quantile="0\.99"', text)
    shares = [float(v) for v in re.findall(r'change_ecdf_ratio\{.*side="baseline".*\} (\S+)', text)]
    assert 10 < len(shares) <= 41
    assert max(shares) <= 1.0


def test_the_level_of_a_refutation_is_that_of_its_evidence_and_of_its_family():
    audit = mixed()
    (refuted,) = [one for one in audit.sentences if one.verdict is Verdict.REFUTED][:1]
    weak = next(one for one in refuted.findings if one.verdict is Verdict.REFUTED)

    def level(log_e, family):
        strong = replace(weak, evidence=replace(weak.evidence, log_e_value=log_e))
        sentence = replace(refuted.sentence, family=family)
        result = replace(refuted, sentence=sentence, findings=(strong,))
        made = Families()
        change_families(made, [ChangeView(audit.change, None, (result,), None, 0.95)])
        found = {f.exported.name: f.samples[0].value for f in made.done()}
        return found["nibai_claim_refuted_level_ratio"]

    assert (level(None, 1), level(2.0, 1), level(None, 10)) == (0.95, 0.95, 0.95)
    assert level(math.log(1000), 1) == 0.999
    assert level(math.log(1000), 10) == 0.99
    made = Families()
    undecided = replace(refuted, verdict=Verdict.INCONCLUSIVE)
    change_families(made, [ChangeView(audit.change, None, (undecided,))])
    assert {f.exported.name: f.samples[0].value for f in made.done()}[
        "nibai_claim_refuted_level_ratio"
    ] == 0.0


def test_the_exposition_that_real_programs_are_tested_with_has_every_family():
    assert {label for family in REGISTRY.values() for label in family.labels} <= VALUES.keys()
