"""Killed anywhere, nothing acknowledged is lost and nothing is counted twice."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest
from support import crash_worker

from nibai.store.lake.delta import Lake
from nibai.store.lake.final_days import open_from
from nibai.store.state.database import open_state

TESTS = Path(__file__).parents[1]

PLACES = [
    "before sync", "after sync", "half written", "acknowledged", "read", "folded",
    "committed hist", "committed cell", "committed category", "committed predictions", "cursor",
    "removed", "any moment",
]  # fmt: skip
# Days end and pass the horizon seldom: deaths then need more attempts (see also test_final_days).
UPKEEP = [
    "rolled hist", "rolled cell", "rolled category", "compacted",
    "late hist", "final hist", "final cell", "late category",
]  # fmt: skip


class Worker:
    """The process that forks the victims."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.crash_worker"],
            cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
        self.process.stderr.close()

    def run(self, job, kill_after=None):
        """Exit status of one victim; killed from outside after some seconds if asked."""
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        pid = json.loads(self.process.stdout.readline())["pid"]
        timer = None
        if kill_after is not None:
            timer = threading.Timer(kill_after, os.kill, (pid, signal.SIGKILL))
            timer.start()
        status = json.loads(self.process.stdout.readline())["status"]
        if timer is not None:
            timer.cancel()
            timer.join()
        return status


def acknowledged(folder):
    path = folder / "acknowledged"
    return path.stat().st_size // 8 if path.exists() else 0


def crash_often(worker, folder, crashes, seed, places=PLACES):
    """How often each place was really died at."""
    dice = random.Random(seed)
    died = dict.fromkeys(places, 0)
    attempt = 0
    while sum(died.values()) < crashes:
        place = places[attempt % len(places)]
        attempt += 1
        assert attempt < 6 * crashes, f"too few crashes happened: {died}"
        job = {
            "folder": str(folder), "next": acknowledged(folder), "die_at": place,
            "seed": dice.randrange(1 << 30),
        }  # fmt: skip
        moment = dice.uniform(0.005, 0.4) if place == "any moment" else None
        status = worker.run(job, moment)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the worker failed"
        died[place] += os.WIFSIGNALED(status)
    job = {"folder": str(folder), "next": acknowledged(folder), "die_at": "", "seed": 0}
    assert worker.run(job) == 0, "the last start must recover everything"
    return died


def counts(folder, table, before=date.max):
    """Requests per batch in one table."""
    found = {}
    opened = Lake(folder / "lake").open(table)
    for row in [] if opened is None else opened.to_pyarrow_table().to_pylist():
        if row["day"] < before:
            found[row["replica"]] = found.get(row["replica"], 0) + row.get("count", 1)
    return found


def kept(folder, kind):
    """Requests per batch in the hours of final days and in the minutes of the others."""
    final = counts(folder, f"{kind}_hour", before=open_from(Lake(folder / "lake"), kind))
    minutes = counts(folder, kind)
    assert not final.keys() & minutes.keys()
    return final | minutes


def check(folder):
    numbers = range(acknowledged(folder))
    only = crash_worker.ONLY_ANSWERS
    expected = {f"b{n}": crash_worker.rows(n) for n in numbers if n % 4 != only}
    state = open_state(folder / "state.sqlite")
    now = crash_worker.moment(len(numbers))
    crash_worker.keep_up(Lake(folder / "lake"), state, now)
    assert kept(folder, "hist") == expected
    assert kept(folder, "cell") == expected
    answered = {f"b{n}": crash_worker.rows(n) for n in numbers if n % 4}
    assert counts(folder, "predictions") == answered
    assert kept(folder, "category") == answered
    assert not list((folder / "wal" / "main").glob("*.wal"))
    rolled = state.watermark("roll_up")
    state.close()
    if rolled is not None:
        hours = counts(folder, "hist_hour")
        assert {name: hours[name] for name in hours} == {name: expected[name] for name in hours}
        assert hours
    return len(numbers)


@pytest.fixture(scope="module")
def worker():
    with Worker() as started:
        yield started


def test_fifty_crashes(tmp_path, worker):
    # Two folders, because every commit makes the next one slower.
    for part in (1, 2):
        folder = tmp_path / str(part)
        folder.mkdir()
        died = crash_often(worker, folder, 25, seed=part)
        assert check(folder) > 50
        assert sum(1 for place in died.values() if place) >= 12, died


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_two_hundred_crashes(tmp_path, worker, seed):
    crash_often(worker, tmp_path, 50, seed=seed, places=[*PLACES, *UPKEEP])
    check(tmp_path)
