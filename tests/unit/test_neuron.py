"""neuron-monitor: reports become minutes, from a file that grows, a pipe, or a page."""

import io
import json
import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from collector.neuron.exposition import read_exposition
from collector.neuron.report import read_report
from collector.neuron.source import NeuronSource
from collector.replay.rows import RejectedError
from nibai import cli
from nibai.config import Config, Neuron
from nibai.errors import CollectError
from nibai.model import Provenance
from nibai.stats.recorded import known_up_to

T0 = 1_764_000_000.0 // 60 * 60
ENDPOINT = "onprem/tokyo/ocr"
NODES = (("p0", 0.0), ("p1", 0.01), ("p25", 0.25), ("p50", 0.5), ("p75", 0.75), ("p99", 0.99),
         ("p100", 1.0))  # fmt: skip


def percentiles(values):
    found = np.quantile(values, [p for _, p in NODES]).tolist()
    return dict(zip((name for name, _ in NODES), found, strict=True))


def report(values=(), *, period=5.0, at=None, cores=(), **outcomes):
    latency = percentiles(values) if len(values) else None
    stats = {
        "period": period,
        "execution_summary": {"completed": len(values), "timed_out": 0, **outcomes},
        "latency_stats": {"total_latency": latency, "device_latency": latency},
        "error": "",
    }
    runtime = {
        "pid": 7,
        "neuron_runtime_tag": "app",
        "error": "",
        "report": {"execution_stats": stats},
    }
    if cores:
        used = {f"{i}": {"neuroncore_utilization": value} for i, value in enumerate(cores)}
        runtime["report"]["neuroncore_counters"] = {"period": period, "neuroncores_in_use": used}
    found = {"neuron_runtime_data": [runtime], "instance_info": {"instance_id": "i-1"}}
    return json.dumps(found if at is None else {**found, "timestamp": at}) + "\n"


def source(now=None, fetch=None, **chosen):
    clock = now if callable(now) else lambda: now
    config = Neuron(endpoint=ENDPOINT, variant="bf16", **chosen)
    return NeuronSource(config, clock=clock, fetch=fetch)


class Reading:
    """Reads a source again and again, as `nibai collect` does."""

    def __init__(self):
        self.read_until, self.found, self.notes = {}, [], {}

    def __call__(self, puller):
        for part in puller.pull(dict(self.read_until)):
            self.read_until |= part.read_until
            for mark in part.finished:
                del self.read_until[mark]
            self.found += part.observations
            self.notes |= part.notes
        return self

    def of(self, metric):
        found = [one for one in self.found if one.key.metric == metric]
        keys = [(one.key, one.minute) for one in found]
        assert len(set(keys)) == len(keys), "a minute is handed over once"
        return found


def test_a_report_says_outcomes_and_seconds_and_nothing_while_idle():
    [busy] = read_report(report([0.01, 0.02, 0.03], completed_with_num_err=2).encode()).executions
    assert busy.replica == "i-1/app"
    assert busy.outcomes["completed_with_num_err"] == 2
    assert busy.latencies["device_latency"][0.5] == 0.02
    [idle] = read_report(report().encode()).executions
    assert idle.latencies == {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"{", "not JSON"), (b"\xff", "not UTF-8"), (b"[]", "no report"), (b"{}", "no report")],
)
def test_what_is_no_report_is_rejected(line, reason):
    with pytest.raises(RejectedError, match=reason):
        read_report(line)


def test_a_file_that_grows_gives_whole_minutes_once(tmp_path):
    path, reading, rng = tmp_path / "monitor.jsonl", Reading(), np.random.default_rng(3)
    raw, written = [], 0

    def write(n, end):
        nonlocal written
        with path.open("a", encoding="utf-8") as file:
            for _ in range(n):
                raw.append(rng.lognormal(-4, 0.2, 40))
                file.write(report(raw[-1]))
                written += 1
        os.utime(path, (end, end))
        return reading(source(end + 1, path=str(path)))

    write(40, T0 + 212)
    assert sum(one.count for one in reading.of("model_latency")) < 40 * 40, "the last minute waits"
    write(36, T0 + 391.5)  # periods are not exactly what they say
    reading(source(T0 + 600, path=str(path)))
    assert sum(one.count for one in reading.of("model_latency")) == 76 * 40
    minutes = reading.of("model_latency")
    assert {one.provenance for one in minutes} == {Provenance.QUARTILE_FIT}
    assert min(one.min for one in minutes) == pytest.approx(np.concatenate(raw).min())
    reading(source(T0 + 900, path=str(path)))
    assert sum(one.count for one in reading.of("model_latency")) == 76 * 40


def test_a_file_that_began_again_is_read_from_its_start(tmp_path):
    path, reading = tmp_path / "monitor.jsonl", Reading()
    for end in (T0, T0 + 3600):
        path.write_text("".join(report([0.1] * 9) for _ in range(int(4 - end / T0))), "utf-8")
        os.utime(path, (end, end))
        reading(source(end + 100, path=str(path)))
    assert "files that began again" in reading.notes


def test_a_file_in_whose_place_a_longer_one_was_put_is_read_from_its_start(tmp_path):
    path, reading = tmp_path / "monitor.jsonl", Reading()

    def put(values, end, mode):
        with path.open(mode, encoding="utf-8") as file:
            file.write("".join(report([one] * 9) for one in values))
        os.utime(path, (end, end))
        reading(source(end + 100, path=str(path)))
        return [one.count for one in reading.of("model_latency")]

    assert put([0.1, 0.2], T0, "w") == [18]
    assert put([0.3], T0 + 600, "a") == [18, 9]
    assert "files that began again" not in reading.notes
    # A copy of the same file is the same one, whatever its inode.
    path.with_suffix(".copy").write_bytes(path.read_bytes())
    path.with_suffix(".copy").replace(path)
    assert put([0.4], T0 + 1200, "a") == [18, 9, 9]
    assert put([0.1, 0.3, 0.1, 0.3, 0.5, 0.6], T0 + 1800, "w") == [18, 9, 9, 54]
    assert reading.notes["files that began again"] == 1
    assert len([mark for mark in reading.read_until if "|before|" in mark]) == 1
    assert put([0.7], T0 + 2400, "a")[-1] == 9


def test_a_line_that_is_still_written_waits(tmp_path):
    path, reading = tmp_path / "monitor.jsonl", Reading()
    line = report([0.1] * 9)
    path.write_text(line + line[:50], encoding="utf-8")
    os.utime(path, (T0, T0))
    reading(source(T0 + 100, path=str(path)))
    assert [one.count for one in reading.of("model_latency")] == [9]
    path.write_text(line + line, encoding="utf-8")
    os.utime(path, (T0 + 60, T0 + 60))
    reading(source(T0 + 200, path=str(path)))
    assert [one.count for one in reading.of("model_latency")] == [9, 9]


def test_times_that_a_log_shipper_wrote_win(tmp_path):
    path, reading = tmp_path / "monitor.jsonl", Reading()
    path.write_text(report([0.1] * 9, at=(T0 - 600) * 1e3), encoding="utf-8")
    os.utime(path, (T0, T0))
    reading(source(T0 + 100, path=str(path)))
    assert [one.minute for one in reading.of("model_latency")] == [int(T0 // 60) - 11]


def test_a_pipe_is_followed_minute_by_minute(monkeypatch):
    now = [T0]

    def lines():
        for i in range(30):
            now[0] = T0 + 5 * (i + 1)
            yield report([0.1] * 10).encode()

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.lines = lines()

        def readline(self, _size=-1):
            return next(self.lines, b"")

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=Pipe()))
    reading, puller = Reading(), source(lambda: now[0], path="-")
    parts = list(puller.pull({}))
    assert len(parts) == 3
    reading.found = [one for part in parts for one in part.observations]
    assert [one.count for one in reading.of("model_latency")] == [120, 120, 60]


def test_failures_and_answers_that_are_no_numbers_are_the_slowest(tmp_path):
    path, reading = tmp_path / "monitor.jsonl", Reading()
    outcomes = {"completed_with_num_err": 3, "timed_out": 2, "failed_to_queue": 1,
                "incorrect_input": 50}  # fmt: skip
    path.write_text(report([0.1] * 94, **outcomes), encoding="utf-8")
    os.utime(path, (T0, T0))
    reading(source(T0 + 100, path=str(path)))
    [latency] = reading.of("model_latency")
    assert (latency.count, latency.errors, latency.timeouts) == (100, 4, 2)
    [device] = reading.of("device_latency")
    assert (device.count, device.errors) == (94, 0)
    [finite] = reading.of("finite_output")
    assert (finite.count, finite.errors) == (97, 3)


def page(completed, numerical=0, *, p50=0.2):
    nodes = {"p0": 0.1, "p1": 0.1, "p25": 0.15, "p50": p50, "p75": 0.3, "p99": 0.4, "p100": 0.5}
    labels = 'instance_id="i-1",runtime_tag="app"'
    lines = ["# TYPE execution_latency_seconds gauge"]
    lines += [
        f'execution_latency_seconds{{{labels},percentile="{k}"}} {v}' for k, v in nodes.items()
    ]
    lines += ["# TYPE execution_status_total counter"]
    for status, n in (("completed", completed), ("completed_with_num_err", numerical)):
        lines.append(f'execution_status_total{{{labels},status_type="{status}"}} {n}')
    return "\n".join(lines) + "\n"


def test_how_busy_the_cores_were_are_samples_from_0_to_1(tmp_path):
    path = tmp_path / "reports"
    lines = [
        report([0.1], at=T0 + 10, cores=(40.0, 60.0)),
        report(at=T0 + 20, cores=(0.0, 100.0)),  # idle, told all the same
        report([0.1], at=T0 + 70, cores=(20.0, None)),
        report([0.1], at=T0 + 80, cores=(math.nan,)),
    ]
    path.write_text("".join(lines), encoding="utf-8")
    first, second = Reading()(source(T0 + 600, path=str(path))).of("accelerator_use")
    assert (first.count, first.sum, first.min, first.max) == (4, 2.0, 0.0, 1.0)
    assert (second.count, second.sum) == (1, 0.2)
    assert first.provenance is Provenance.EXACT
    assert (first.key.variant, first.key.replica) == ("bf16", "i-1/app")


def test_a_page_says_how_busy_its_cores_are():
    labels = 'instance_id="i-1",runtime_tag="app"'
    text = page(1000) + "# TYPE neuroncore_utilization_ratio gauge\n"
    text += f'neuroncore_utilization_ratio{{{labels},neuroncore="0"}} 0.25\n'
    text += f'neuroncore_utilization_ratio{{{labels},neuroncore="1"}} 0.75\n'
    assert read_exposition(text, {}).executions[0].use == (0.25, 0.75)
    reading = Reading()(source(T0, lambda _: text, url="http://x"))
    (found,) = reading.of("accelerator_use")
    assert (found.count, found.sum) == (2, 1.0)


def test_a_page_is_counted_from_scrape_to_scrape():
    reading, url = Reading(), "http://127.0.0.1:8000/metrics"
    for at, text in (
        (0, page(1000)), (61, page(1100, 2)), (70, page(1150, 2)), (130, page(1200, 2)),
        (190, page(30)),
    ):  # fmt: skip
        reading(source(T0 + at, lambda _, text=text: text, url=url))
    found = reading.of("model_latency")
    assert [one.count for one in found] == [102, 100, 30], "the fourth began again at zero"
    assert [one.errors for one in found] == [2, 0, 0]
    assert found[0].max == 0.5


@pytest.mark.parametrize("chosen", [{"path": "reports"}, {"url": "http://x"}])
def test_what_it_brings_is_told_under_a_name_that_is_asked_for(chosen, tmp_path):
    """Marks under other names are forgotten after every reading."""
    (tmp_path / "reports").write_text(report([0.1], at=T0), encoding="utf-8")
    chosen = {key: str(tmp_path / one) if key == "path" else one for key, one in chosen.items()}
    reading, brought = Reading(), set()
    for at, text in ((600, page(1000)), (661, page(1100))):
        puller = source(T0 + at, lambda _, text=text: text, **chosen)
        for part in puller.pull(dict(reading.read_until)):
            reading.read_until |= part.read_until
            brought |= {*part.brings, *part.final_until}
    assert brought == set(puller.series)


def test_a_page_of_something_else_is_told():
    with pytest.raises(CollectError, match="is it the page of neuron-monitor"):
        Reading()(source(T0, lambda _: "<html>{", url="http://x"))
    assert read_exposition("", {}).executions == ()


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CollectError, match="cannot be read"):
        Reading()(source(T0, path=str(tmp_path / "none")))


@pytest.mark.parametrize("given", [{}, {"path": "a", "url": "http://x"}])
def test_one_place_is_named(given):
    with pytest.raises(ValueError, match="either path"):
        Config.model_validate({"neuron": [{"endpoint": ENDPOINT, **given}]})


# -- what can be said of it ---------------------------------------------------------------------


@pytest.mark.parametrize(("tail", "per_report"), [(0.0, 20), (0.03, 100), (0.1, 20), (0.1, 100)])
def test_medians_and_upper_quartiles_are_within_their_margins(tail, per_report, tmp_path):
    """240 reports whose level drifts; of the requests a share takes six times as long."""
    rng, reading, raw = np.random.default_rng(7), Reading(), []
    path = tmp_path / "monitor.jsonl"
    for i in range(240):
        values = rng.lognormal(-2 + 0.15 * math.sin(i / 20), 0.35, per_report)
        raw.append(np.where(rng.random(per_report) < tail, 6, 1) * values)
    path.write_text("".join(map(report, raw)), encoding="utf-8")
    os.utime(path, (T0, T0))
    reading(source(T0 + 100, path=str(path)))
    found = reading.of("model_latency")
    bucket = np.concatenate([one.buckets for one in found])
    count = np.concatenate([one.bucket_counts for one in found])
    order = np.argsort(bucket)
    cumulative = np.cumsum(count[order]) / count.sum()
    for p, margin in ((0.5, 0.03), (0.75, 0.08)):
        at = 2 ** ((bucket[order][np.searchsorted(cumulative, p)] + 0.5) / 32)
        assert at == pytest.approx(np.quantile(np.concatenate(raw), p), rel=margin + 0.011)


def test_of_quartiles_nothing_is_known_above_p75():
    from nibai.model import RecordedAs  # noqa: PLC0415 - beside what it is for
    from nibai.stats.recorded import fit_error  # noqa: PLC0415 - same

    made = (RecordedAs(quartered=1000), RecordedAs())
    assert known_up_to(made[0]) == 0.75
    assert [fit_error(p, made, (1000, 1000)) for p in (0.9, 0.99)] == [math.inf] * 2
    assert 2 ** fit_error(0.75, made, (1000, 1000)) == pytest.approx(1.1)


def test_an_audit_says_that_p99_was_not_recorded(tmp_path, capsys, monkeypatch):
    rng, paths = np.random.default_rng(5), {}
    for variant, speed in (("bf16", 1.0), ("int8", 2.0)):
        paths[variant] = tmp_path / f"{variant}.jsonl"
        lines = [report(rng.lognormal(-4, 0.3, 40) / speed, period=60.0) for _ in range(200)]
        paths[variant].write_text("".join(lines), encoding="utf-8")
        os.utime(paths[variant], (T0, T0))
    monkeypatch.setattr("time.time", lambda: T0 + 600)
    sections = [{"endpoint": ENDPOINT, "variant": v, "path": str(p)} for v, p in paths.items()]
    config = tmp_path / "nibai.yaml"
    config.write_text(yaml.safe_dump({"data": str(tmp_path / "data"), "neuron": sections}), "utf-8")

    def nibai(*arguments):
        code = cli.invoke([*arguments, "--config", str(config)])
        said = capsys.readouterr()
        return code, said.out, said.err

    code, out, err = nibai("collect", "--once")
    assert code == 0, err
    assert "600 minutes read" in out
    _, out, err = nibai(
        "changes", "declare", "--endpoint", ENDPOINT, "--kind", "int8",
        "--baseline-variant", "bf16", "--candidate-variant", "int8",
        "--claim", "model_latency 1.7x faster at p50",
        "--claim", "model_latency 1.7x faster at p99",
    )  # fmt: skip
    _, out, err = nibai("audit", out.strip(), "--format", "json")
    p50, p99 = json.loads(out)["claims"]
    assert p50["estimate"]["value"] == pytest.approx(2.0, rel=0.03)
    assert p99["verdict"] == "inconclusive"
    assert "p99: only quartiles and p99 were recorded" in p99["reason"]
    assert "say nothing above p75: time requests one by one" in p99["reason"]
