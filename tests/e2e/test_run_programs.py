"""`nibai run` and real programs: Prometheus scrapes, Chromium reads, replicas share slots."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import yaml
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from support import postgres
from support.onwatch import CUT, SAME, TWICE, declared, fill
from support.scraping import started

from nibai.app.audit import Desk
from nibai.store.lake.delta import Lake
from nibai.store.state.database import open_state

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-c", "from nibai.cli import main; main()"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LONG_AGO = "99999d"
EVER = {
    "minute_horizon": LONG_AGO,
    "schedule": {"follow": {"every": "1s"}, "follow_for": LONG_AGO, "reports": [], "fleet": None,
                 "changes": None, "outputs": None, "jitter": "0s"},
}  # fmt: skip
"""The lake of these tests is years old: nothing of it may be too old, and only looks are wanted."""


class Running:
    """A `nibai run` of its own, on a free port."""

    def __init__(self, folder, data, name="main", **config):
        self.ready, self.log = folder / f"{name}.ready", folder / f"{name}.log"
        settings = folder / f"{name}.yaml"
        settings.write_text(yaml.safe_dump({"data": str(data), "collector_id": name, **config}))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "run", "--config", str(settings), "--listen", "127.0.0.1:0",
                 "--ready-file", str(self.ready)],
                stdout=log, stderr=log,
            )  # fmt: skip

    @property
    def url(self):
        wait_for(self.ready.exists, self.log.read_text)
        return self.ready.read_text()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:  # noqa: S310 - our own
            return answer.read().decode()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)


def wait_for(met, said=lambda: "", seconds=120):
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until, said()
        time.sleep(0.2)


@contextlib.contextmanager
def running(*arguments, **config):
    one = Running(*arguments, **config)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


# -- Prometheus ------------------------------------------------------------------------------


def send(url, seconds):
    """Spans of these durations through the SDK's own exporter."""
    provider = TracerProvider(resource=Resource.create({"service.name": "ocr"}))
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=10_000))
    tracer = provider.get_tracer("test")
    end = time.time_ns()
    for one in seconds:
        span = tracer.start_span(
            "classify", kind=SpanKind.SERVER, start_time=end - round(one * 1e9),
            attributes={"nibai.endpoint": "onprem/tokyo/ocr", "nibai.variant": "int8"},
        )  # fmt: skip
        span.end(end_time=end)
    assert provider.force_flush()
    provider.shutdown()


def test_prometheus_reads_the_quantiles_of_what_was_received(tmp_path):
    truth = np.random.default_rng(3).lognormal(-2, 0.7, 4000)
    with running(tmp_path, tmp_path / "data", web={"refresh": "1s"}) as nibai:
        send(nibai.url, truth)
        target = nibai.url.removeprefix("http://")
        native, classic = (tmp_path / name for name in ("native", "classic"))
        native.mkdir()
        classic.mkdir()
        with (
            started(native, target, native=True) as protobuf,
            started(classic, target, native=False) as text,
        ):
            # The minute has to end before it is folded.
            count = "nibai_requests_total{outcome='success',job='nibai'} == 4000"
            protobuf.wait_for(count, 150)
            text.wait_for(count, 60)
            for p in (0.5, 0.9, 0.99):
                true = float(np.quantile(truth, p))
                one = "{job='nibai'}"
                asked = f"histogram_quantile({p}, nibai_latency_seconds{one})"
                assert value(protobuf, asked) == pytest.approx(true, rel=2 ** (1 / 32) - 1)
                asked = f"histogram_quantile({p}, nibai_latency_seconds_bucket{one})"
                assert value(text, asked) == pytest.approx(true, rel=2 ** (1 / 4) - 1)
                lake = f"nibai_latency_quantile_seconds{{quantile='{p:g}',job='nibai'}}"
                assert value(protobuf, lake) == value(text, lake)
            assert value(protobuf, "histogram_count(nibai_latency_seconds{job='nibai'})") == 4000
        assert nibai.stop() == 143


def value(prometheus, expression):
    (series,) = prometheus.query(expression)
    return float(series["value"][1])


# -- Chromium --------------------------------------------------------------------------------


@pytest.fixture
def lake(tmp_path):
    """A folder of data with a change that is decided at the first look."""
    data = tmp_path / "data"
    fill(data)
    return data


def declare(state, data, *endpoints):
    opened = open_state(state)
    desk = Desk(opened, Lake(data / "lake"), lambda: CUT)
    changes = [declared(desk, "1.5x faster at p50", endpoint=name) for name in endpoints]
    opened.close()
    return changes


def looked_at(browser, folder, url, *, dark=False):
    """(the page as it stands, what the browser complained about)."""
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--v=0",
            "--window-size=1200,1400", f"--screenshot={folder / 'page.png'}", "--dump-dom",
            *(["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []),
            url,
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, re.findall(r":CONSOLE:?.*", done.stderr)


def test_pages_open_in_a_browser_without_a_complaint(lake, tmp_path):
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine: the pages were not opened in a browser")
    declare(lake / "state.sqlite", lake, TWICE, SAME)
    keep = os.environ.get("NIBAI_SCREENSHOTS")
    with running(tmp_path, lake, **EVER) as nibai:
        wait_for(lambda: nibai.get("/audits").count("/audits/watch-") == 2)
        name = re.search(r"/audits/watch-[0-9a-f]+", nibai.get("/audits"))[0]
        for path, said in (
            ("/audits", "Newest first, page 1 of 1"), (name, "1.5x faster at p50"),
            (f"/endpoints/{TWICE}", "a verdict reached stays"), ("/audits/none", "Not found"),
            ("/endpoints", "what needs a look first"),
        ):  # fmt: skip
            for dark in (False, True):
                page, complaints = looked_at(browser, tmp_path, nibai.url + path, dark=dark)
                assert said in page
                assert [one for one in complaints if "404" not in one] == []
                if keep:
                    shown = f"{path.strip('/').replace('/', '_')}{'_dark' if dark else ''}.png"
                    shutil.copy(tmp_path / "page.png", Path(keep) / shown)


# -- replicas --------------------------------------------------------------------------------


@pytest.fixture
def database():
    folder = postgres.programs()
    if folder is None:
        pytest.skip("no PostgreSQL on this machine: replicas were tested on SQLite only")
    with postgres.server(folder) as address:
        yield postgres.new_database(address)


def rows(database, text):
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        found = connection.execute(sa.text(text)).all()
    engine.dispose()
    return found


def test_replicas_run_no_slot_twice_and_outlive_their_leader(lake, tmp_path, database):
    changes = declare(database, lake, TWICE, SAME)
    slots = "SELECT owner, slot, state, attempts FROM audit_slots WHERE job = 'follow'"
    config = {**EVER, "state": database}
    with (
        running(tmp_path, lake, "one", **config) as one,
        running(tmp_path, lake, "two", **config) as two,
    ):
        replicas = {f":{replica.process.pid}:": replica for replica in (one, two)}

        def done_by(mark):
            return [row for row in rows(database, slots) if mark in row[0] and row[2] == "done"]

        # Both go for every slot; which of them is the quicker one, and how often, is chance.
        wait_for(
            lambda: sum(len(done_by(mark)) for mark in replicas) >= 10,
            lambda: str(rows(database, slots)),
        )
        newest = max(rows(database, slots), key=lambda row: row[1])
        leader = next(mark for mark in replicas if mark in newest[0])
        (heir,) = set(replicas) - {leader}
        replicas[leader].process.kill()
        replicas[leader].process.wait()
        before = len(done_by(heir))
        wait_for(lambda: len(done_by(heir)) >= before + 5, lambda: str(rows(database, slots)))
        found = rows(database, slots)
        assert len({row[1] for row in found}) == len(found), "a slot is one row"
        assert all(row[3] == 1 for row in found), "and was begun once"
        audits = rows(database, "SELECT change, verdict FROM audits ORDER BY change")
        assert sorted(audits) == sorted(
            [(changes[0].id, "confirmed"), (changes[1].id, "refuted")]
        ), "what was decided is stored once"
        metrics = replicas[heir].get("/metrics")
        assert 'nibai_audit_slots_total{state="done",task="follow"}' in metrics
        facts = json.loads(replicas[heir].get("/readyz"))
        assert facts == {"status": "ready"}
        assert replicas[heir].stop() == 143
