"""A replay that is killed sends no call twice, and its budget remembers what was sent."""

import json
import random
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from support.replay_server import label, serve

from nibai import cli

RUN = "from nibai.cli import main\nmain()"
INPUTS, REPEATS = 60, 2
REQUESTS = 2 * REPEATS * INPUTS
CONCURRENCY = 4


def arguments(service, folder, *more):
    given = ["replay", "--inputs", str(folder / "inputs.jsonl"), "--out", str(folder / "out")]
    given += ["--baseline", service.url + "/old", "--candidate", service.url + "/new"]
    return [*given, "--output", "class:label", "--rate", "200/s", "--yes", *more]


def start(service, folder):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments(service, folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop_after(process, service, requests, sign):
    end = time.monotonic() + 60
    while len(service.requests) < requests and time.monotonic() < end:
        time.sleep(0.002)
    process.send_signal(sign)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def write_inputs(folder):
    lines = [json.dumps({"id": f"r{i}", "x": i}) + "\n" for i in range(INPUTS)]
    (folder / "inputs.jsonl").write_text("".join(lines))


def journal(folder):
    lines = (folder / "out" / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("kills", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_at_any_moment_no_input_is_sent_twice(tmp_path, capsys, kills):
    write_inputs(tmp_path)
    dice = random.Random(kills)
    with serve(label) as service:
        for _ in range(kills):
            more = dice.randint(1, REQUESTS // kills)
            process = start(service, tmp_path)
            stop_after(process, service, len(service.requests) + more, signal.SIGKILL)
        assert cli.invoke(arguments(service, tmp_path, "--budget", str(REQUESTS))) == 0
        out = capsys.readouterr().out
        for path in ("/old", "/new"):
            assert max(service.inputs(path).values()) <= REPEATS
        sent = [entry["sent"] for entry in journal(tmp_path) if "sent" in entry]
        known = {entry["answers"] for entry in journal(tmp_path) if "answers" in entry}
        assert len(sent) == len(set(sent)) == REQUESTS
        lost = REQUESTS - len(known)
        assert lost <= kills * CONCURRENCY
        # What arrived was noted before it was sent; what was noted may have been killed first.
        assert REQUESTS - lost <= len(service.requests) <= REQUESTS
    if lost:
        assert f"{lost:,} in flight when a run was killed" in out
    pairs = pq.read_table(tmp_path / "out" / "pairs.parquet")
    assert pairs.num_rows == INPUTS  # a lost answer is an empty cell of its pair
    empty = sum(pairs[side].null_count for side in ("baseline", "candidate"))
    assert empty <= lost


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_waits_for_what_is_under_way_and_loses_nothing(tmp_path, sign, code):
    write_inputs(tmp_path)

    def slow(request):
        reply = label(request)
        reply.delay = 0.05
        return reply

    with serve(slow) as service:
        process = start(service, tmp_path)
        status, _, err = stop_after(process, service, 20, sign)
        assert status == code, err
        assert "Traceback" not in err
        entries = journal(tmp_path)
        sent = {entry["sent"] for entry in entries if "sent" in entry}
        known = {entry["answers"] for entry in entries if "answers" in entry}
        unsent = {entry["unsent"] for entry in entries if "unsent" in entry}
        assert sent - unsent == known
        assert len(service.requests) == len(known) < REQUESTS
        assert pq.read_table(tmp_path / "out" / "pairs.parquet").num_rows < INPUTS
        assert cli.invoke(arguments(service, tmp_path)) == 0
        assert set(service.inputs("/old").values()) == {REPEATS}
