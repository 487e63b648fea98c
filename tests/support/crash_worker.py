"""A process that ingests until it is killed; started many times by the crash tests.

Reads jobs (one JSON object per line) and runs each in a fork: importing once makes fifty crashes
affordable. A job says in which folder, which batch comes next, and where to die.
"""

import gc
import json
import os
import random
import signal
import sys
import tempfile
from pathlib import Path

from nibai.store.lake.maintenance import maintain
from nibai.store.state.database import open_state
from nibai.store.wal import log as wal
from nibai.store.wal.ingest import Ingest
from support.answers import answers, record
from support.spans import batch

START = 1_680_000_000.0
BATCHES = 8
ONLY_ANSWERS = 3
"""What this batch of four has instead of both."""


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def rows(number):
    """What batch `number` holds: its own replica, so that it can be counted alone."""
    return 1 + number % 3


def predictions(number):
    """The answers of batch `number`: sometimes none, as many as rows, or only answers."""
    if number % 4 == 0:
        return None
    at = moment(number)
    return answers(*(record(i, replica=f"b{number}", at=at) for i in range(rows(number))))


def moment(number):
    """When batch `number` comes: four share a segment, and days go by."""
    return START + number // 4 * 4800.0 + number % 4 * 10.0


def arm(where, dice):
    """Die at the n-th passing of one place."""
    left = dice.randint(1, 2)

    def passing(name):
        nonlocal left
        if name == where:
            left -= 1
            if left <= 0:
                die()

    real_sync, real_write = os.fdatasync, os.write

    def sync(descriptor):
        passing("before sync")
        real_sync(descriptor)
        passing("after sync")

    def write(descriptor, data):
        if where == "half written" and dice.random() < 0.2:
            real_write(descriptor, bytes(data)[: max(len(data) // 2, 1)])
            die()
        return real_write(descriptor, data)

    os.fdatasync, wal.os.write = sync, write
    return passing, real_write


def keep_up(lake, state, now, **options):
    """A maintainer for whom days are past the horizon as soon as they are closed."""
    maintain(lake, state, now, retention_seconds=6 * 3600.0, prediction_seconds=1e9, **options)


def work(job):
    dice = random.Random(job["seed"])
    passing, write = arm(job["die_at"], dice)
    folder, number = Path(job["folder"]), job["next"]
    # Deaths during upkeep need upkeep; elsewhere it would only cost time.
    upkeep = job["die_at"].startswith(("rolled", "compacted", "late", "final"))
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    now = [moment(number)]
    state = open_state(folder / "state.sqlite")
    ingest = Ingest(folder, "main", state, clock=lambda: now[0], checkpoint=passing)
    for _ in range(BATCHES if job["die_at"] else 5):
        now[0] = moment(number)
        made = batch([0.1] * rows(number), minute=int(now[0] // 60), replica=f"b{number}")
        if number % 4 == ONLY_ANSWERS:
            made = None
        # An all-zero digest stands for none: real ones are hashes.
        ingest.append(made, (number + 1).to_bytes(16, "big"), predictions(number))
        write(acknowledged, number.to_bytes(8, "big"))
        passing("acknowledged")
        number += 1
        if dice.random() < (0.2 if upkeep else 0.4):
            ingest.fold()
        if dice.random() < (0.8 if upkeep else 0.1):
            keep_up(ingest.lake, state, now[0], checkpoint=passing)
    ingest.close()
    passing("closed")


def warm_up():
    """Load once, not in every fork, whatever a first use loads and no thread is started for."""
    import pyarrow.pandas_compat  # noqa: F401, PLC0415 - brings pandas

    with tempfile.TemporaryDirectory() as folder:
        open_state(Path(folder) / "state.sqlite").close()
    batch([0.1], minute=int(START // 60), replica="warm")
    predictions(1)


def main():
    warm_up()
    # Forks copy what the collector touches: all of the imports; and none lives for a second.
    gc.freeze()
    gc.disable()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work(json.loads(line))
                code = 0
            except BaseException as error:  # noqa: BLE001 - told to the test by the exit code
                print(repr(error), file=sys.stderr, flush=True)  # noqa: T201 - read by people
            os._exit(code)
        print(json.dumps({"pid": pid}), flush=True)  # noqa: T201 - read by the test
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": status}), flush=True)  # noqa: T201 - read by the test


if __name__ == "__main__":
    main()
