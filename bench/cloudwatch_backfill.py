"""Fifteen days of minutes of many endpoints, backfilled from CloudWatch: calls, bill, time, memory.

`nibai collect --once` runs as its user runs it, in a process of its own and before a terminal;
CloudWatch is the fake of the tests in another process, asked over HTTP through boto3. So memory and
processor are the product's. The first process is killed (kill -9) after a third of the calls, a
second one goes on; what was paid twice is counted by the fake. The pace is not held back: a real
account is read at its quota (90,000 datapoints a second), which is said beside the time needed.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from fakeaws.generated import GeneratedMetrics
from fakeaws.server import FakeAws

from collector.cloudwatch.cadence import REREAD_SECONDS
from collector.cloudwatch.pace import DATAPOINTS_PER_SECOND
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Engine

DAY_MINUTES = 1440
DAYS = 15
ACCOUNT, REGION = "123456789012", "eu-west-1"
CELL = 1e-5
WARM_CALLS = 200
SHOWN = 12
"""Progress lines that are printed of each reading."""


def serve(per_minute: int) -> int:
    """The simulated CloudWatch: its address, then its meters for every line that comes."""
    metrics = GeneratedMetrics(time.time, per_minute=per_minute)
    with FakeAws(cloudwatch=metrics) as fake:
        fake.seen = _Forgetful()
        print(fake.url, flush=True)
        for _ in sys.stdin:
            found = {
                "requests": metrics.requests,
                "billed": metrics.billed_metrics,
                "paid_twice": metrics.paid_twice,
                "datapoints": metrics.datapoints,
                "processor": time.process_time(),
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
            print(json.dumps(found), flush=True)
    return 0


class _Forgetful(list):  # type: ignore[type-arg] - what a test looks at is not kept here
    def append(self, _one: object) -> None:
        """Nothing."""


class Service:
    """The simulated CloudWatch in a process of its own."""

    def __init__(self, per_minute: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", "--requests", str(per_minute)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def meters(self) -> dict[str, float]:
        """What it counted so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass(slots=True)
class Reading:
    """One `nibai collect --once` before a terminal, and what it used."""

    arguments: list[str]
    lines: list[str] = field(default_factory=list)
    bars: list[str] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    processor: float = 0.0
    peak: float = 0.0
    status: int = 0

    def run(self, service: Service, kill_after: float) -> None:
        """Run to the end, or until the service was asked so often."""
        began, (ours, theirs) = time.perf_counter(), pty.openpty()
        process = subprocess.Popen(
            self.arguments, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL,
            env=os.environ | _credentials(), start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        watched = threading.Thread(target=self._watch, args=(process.pid, service, kill_after))
        watched.start()
        text = ""
        while True:
            try:
                text += os.read(ours, 65536).decode(errors="replace")
            except OSError:
                break
            *whole, text = re.split(r"[\r\n]+", text)
            for line in filter(None, (re.sub(r"\x1b\[\S*?[A-Za-z]", "", w) for w in whole)):
                (self.bars if line.startswith("reading") else self.lines).append(line)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = self.status = os.waitstatus_to_exitcode(status)
        watched.join()
        os.close(ours)
        self.seconds = time.perf_counter() - began
        self.processor = used.ru_utime + used.ru_stime
        self.peak = used.ru_maxrss / 1024

    def _watch(self, pid: int, service: Service, kill_after: float) -> None:
        while True:
            asked = service.meters()["requests"]
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
            except (OSError, IndexError):
                return
            if not pages:
                return
            self.memory.append((int(asked), pages * resource.getpagesize() / 2**20))
            if asked >= kill_after:
                os.kill(pid, signal.SIGKILL)
                return
            time.sleep(1.0)

    def show(self, name: str) -> None:
        """What its user saw, and how its memory went."""
        print(f"{name}: exit {self.status}, {self.seconds:.0f} s, {self.processor:.0f} s processor")
        for line in self.lines:
            print(f"  | {line}")
        for line in _some(self.bars):
            print(f"  | {line.strip()}")
        went = ", ".join(f"{mib:.0f}" for _, mib in _some(self.memory))
        print(f"  memory on the way (MiB): {went}; peak {self.peak:.0f}; {self._growth()}")

    def _growth(self) -> str:
        """How memory grew once it was warm, by least squares."""
        late = [one for one in self.memory if one[0] > self.memory[0][0] + WARM_CALLS]
        if len(late) < SHOWN or late[-1][0] - late[0][0] < WARM_CALLS:
            return "too short to tell its growth"
        calls, mib = np.array(late, dtype=float).T
        return f"{1000 * np.polyfit(calls, mib, 1)[0]:+.1f} MiB per 1,000 calls"


def main() -> int:
    """Backfill, killed on the way, and go on; not 0 when bill or minutes are not right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoints", type=int, default=200)
    parser.add_argument("--variants", type=int, default=3)
    parser.add_argument("--requests", type=int, default=20, help="requests per minute")
    parser.add_argument("--detail", default="TC 109")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        return serve(chosen.requests)
    service = Service(chosen.requests)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _measure(chosen, service, Path(folder))
    finally:
        service.close()


def _measure(chosen: argparse.Namespace, service: Service, folder: Path) -> int:
    config, data = folder / "nibai.json", folder / "data"
    config.write_text(json.dumps(_config(chosen, service.url, data)), encoding="utf-8")
    program = str(Path(sys.executable).with_name("nibai"))
    arguments = [program, "collect", "--once", "--config", str(config)]
    planned = _planned(arguments)
    # A third of what is planned at most, or of what is asked in fact, is not known beforehand.
    first, second = Reading(arguments), Reading(arguments)
    first.run(service, kill_after=planned / 6)
    first.show("killed (kill -9)")
    second.run(service, kill_after=float("inf"))
    second.show("gone on")
    return _told(chosen, service.meters(), (first, second), data)


def _told(
    chosen: argparse.Namespace, meters: dict[str, float], runs: tuple[Reading, Reading], data: Path
) -> int:
    series = chosen.endpoints * chosen.variants
    minutes, requests = _stored(data)
    processor = sum(run.processor for run in runs)
    print(
        f"{series:,} series, {minutes:,} minutes in {meters['requests']:,.0f} calls, "
        f"{meters['datapoints']:,.0f} datapoints: {sum(run.seconds for run in runs):.0f} s, "
        f"{processor:.0f} s of processor ({1e6 * processor / max(minutes, 1):.0f} us a minute of a "
        f"series) beside {meters['processor']:.0f} s of the service "
        f"({meters['memory']:.0f} MiB); peak {max(run.peak for run in runs):.0f} MiB"
    )
    bill, twice = meters["billed"] * CELL, meters["paid_twice"] * CELL
    print(
        f"billed ${bill:.4f}, of it twice ${twice:.4f} ({100 * twice / bill:.2f} %); "
        f"a real account's quota takes {meters['datapoints'] / DATAPOINTS_PER_SECOND / 60:.0f} min"
    )
    expected = series * (DAYS * DAY_MINUTES - REREAD_SECONDS / 60 / 3)
    wrong = int(minutes < expected) + int(requests != minutes * chosen.requests)
    if wrong:
        print(f"wrong: {minutes:,} minutes ({expected:,.0f} expected), {requests:,} requests")
    return wrong


def _planned(arguments: list[str]) -> int:
    said = subprocess.run(
        [*arguments[:2], "--dry-run", *arguments[3:]],
        capture_output=True, text=True, check=True, env=os.environ | _credentials(),
    ).stdout  # fmt: skip
    print(said.strip())
    found = re.search(r"now ([\d,]+) calls", said)
    assert found is not None
    return int(found.group(1).replace(",", ""))


def _config(chosen: argparse.Namespace, url: str, data: Path) -> dict[str, Any]:
    section = {
        "account": ACCOUNT,
        "region": REGION,
        "endpoints": {
            f"endpoint-{i}": [f"variant-{j}" for j in range(chosen.variants)]
            for i in range(chosen.endpoints)
        },
        "metrics": ["ModelLatency"],
        "detail": chosen.detail,
        "dollars_per_month": 1000,
        "calls_per_second": 1e9,
        "datapoints_per_second": 1e12,
        "endpoint_url": url,
    }
    return {"data": str(data), "cloudwatch": [section]}


def _credentials() -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "not-a-real-one",
        "AWS_EC2_METADATA_DISABLED": "true",
        "COLUMNS": "100",
    }


def _stored(data: Path) -> tuple[int, int]:
    """Minutes of series, and requests, that the lake holds."""
    minutes = requests = 0
    for _, _, _, first, last, count in Engine(Lake(data / "lake")).endpoints():
        minutes += last - first + 1
        requests += count
    return minutes, requests


def _some(many: list[Any]) -> list[Any]:
    """A few of many, from the first to the last."""
    if len(many) <= SHOWN:
        return many
    return [many[i * (len(many) - 1) // (SHOWN - 1)] for i in range(SHOWN)]


if __name__ == "__main__":
    sys.exit(main())
