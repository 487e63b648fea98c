"""Killed at any moment, alerting loses no alert and repeats one message a kill at most."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support.replay_server import Reply, serve
from support.standings import HOUR, START

WORKER = Path(__file__).parents[1] / "support" / "alert_worker.py"
CHANGES = 60
LEASE = 121.0


def start(folder, url, now):
    words = [sys.executable, str(WORKER), str(folder / "state.sqlite"), url, str(now), str(CHANGES)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [8])
def test_no_alert_is_lost_and_one_message_repeated_a_kill_at_most(tmp_path, kills):
    dice, now = random.Random(kills), START + HOUR
    with serve(lambda _request: Reply(body={}, delay=0.002)) as service:
        for _ in range(kills):
            before = len(service.requests)
            process = start(tmp_path, service.url, now)
            wanted = before + dice.randint(1, CHANGES // kills)
            end = time.monotonic() + 60
            while len(service.requests) < wanted and time.monotonic() < end:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
            now += LEASE
        out, _ = start(tmp_path, service.url, now).communicate(timeout=120)
        assert out == "told\n"
        told = Counter(request.body["groupKey"] for request in service.requests)
    assert len(told) == CHANGES, "nothing is lost"
    assert sum(told.values()) - CHANGES <= kills
    assert max(told.values()) <= 1 + kills
