"""An hour of live traffic judged by days of history, end to end: from the lake and from files."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from support.past import MONDAY, TUESDAY_AFTER, slowed, traffic
from support.spans import batch

import nibai
from nibai import cli
from nibai.errors import UsageError
from nibai.model import ReasonCode, Verdict
from nibai.stats.clock import DAY, HOUR
from nibai.store.wal.ingest import Ingest, MemoryLedger

ENDPOINT = "onprem/tokyo/ocr"
AT = TUESDAY_AFTER + 10 * HOUR
LONG = 1.5 * HOUR
CLAIM = "no more than 5% slower at p50"

SHORT = (
    "a live window of 1.5 h is judged by the endpoint's own unchanged past: {known} of the 4 "
    "windows needed are known, 1 more day of history before the baseline would do; or use at least "
    "6 h on both sides, or repeated runs (--runs)"
)


def days(seed, factor=1.0, *, rate=20.0):
    """Eight days of traffic, slower by a factor in the hour and a half from `AT` on."""
    times, values = traffic(seed, days=8.5, rate=rate)
    kept = times < AT + LONG
    return times[kept], slowed(times, values, AT, factor)[kept]


# -- the lake -----------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, capsys):
    """Run a command on one data folder: (exit code, output)."""

    def command(*arguments):
        code = cli.invoke([*arguments, "--data", str(tmp_path / "data")])
        return code, capsys.readouterr().out

    return command


@pytest.fixture
def fill(tmp_path):
    def put(times, values):
        now = [MONDAY]
        ingest = Ingest(tmp_path / "data", "main", MemoryLedger(), clock=lambda: now[0])
        ingest.append(batch(values, minute=(times // 60).astype(np.int32)))
        now[0] += 120
        ingest.close()

    return put


def declare(run, at, claim=CLAIM):
    declared = run(
        "changes", "declare", "--endpoint", ENDPOINT, "--kind", "container", "--at", str(at),
        "--claim", claim,
    )  # fmt: skip
    return declared[1].strip()


def audited(run, change):
    document = json.loads(run("audit", change, "--format", "json")[1])
    (claim,) = document["claims"]
    return claim


def test_an_hour_after_a_change_is_judged_against_the_same_hour_of_the_day_before(run, fill):
    fill(*days(1, 1.3))
    claim = audited(run, declare(run, AT))
    assert claim["verdict"] == "refuted"
    assert claim["estimate"]["value"] == pytest.approx(1 / 1.3, rel=0.05)
    rate = claim["evidence"]["false_positive_rate"]
    assert rate["placebos"] >= 15
    assert rate["other_margin"][0] == pytest.approx(0.05)
    assert claim["evidence"]["critical"] > 2.36
    assert "A/A: not measured" not in claim["evidence"]["notes"]
    code, text = run("audit")
    assert code == 1
    assert "How often this judge was wrong here: A/A on this endpoint: " in text
    assert "finds changes of " in text


def test_a_change_that_changed_nothing_stays_quiet(run, fill):
    fill(*days(2))
    assert audited(run, declare(run, AT))["verdict"] != "refuted"


def test_without_days_of_history_the_hour_says_what_is_missing(run, fill):
    times, values = days(3)
    late = times >= AT - DAY - 0.5 * HOUR
    fill(times[late], values[late])
    claim = audited(run, declare(run, AT))
    assert (claim["verdict"], claim["reason_code"]) == ("inconclusive", "uncalibrated_short_window")
    assert claim["reason"] == SHORT.format(known="0")
    assert claim["evidence"]["notes"][0] == "A/A: not measured"


def test_a_known_change_cuts_the_history(run, fill):
    fill(*days(4))
    judged = declare(run, AT)
    whole = audited(run, judged)["evidence"]["effective_windows"]
    declare(run, AT - 4 * DAY)
    cut = audited(run, judged)["evidence"]["effective_windows"]
    assert 0 < cut < whole - 2


# -- files --------------------------------------------------------------------------------------


def table(times, values):
    return pa.table({"time": times, "latency_s": values})


def split(times, values, *edges):
    bounds = zip((times.min(), *edges), (*edges, times.max() + 1), strict=True)
    return [table(times[inside], values[inside]) for a, b in bounds
            if (inside := (times >= a) & (times < b)).any()]  # fmt: skip


def of(audit):
    (finding,) = audit.findings
    return finding


def hour_of(times, values):
    """(history, the same hours of the day before, what lies between, after the change)."""
    return split(times, values, AT - DAY, AT - DAY + LONG, AT)


@pytest.mark.parametrize(("factor", "verdict"), [(1.3, Verdict.REFUTED), (0.7, Verdict.CONFIRMED)])
def test_files_of_an_hour_are_judged_with_files_of_the_past(factor, verdict):
    history, before, between, after = hour_of(*days(5, factor))
    found = of(nibai.compare(before, after, CLAIM, history=[history, between]))
    assert found.verdict is verdict
    assert found.evidence.false_positive_rate.placebos >= 15


def test_files_without_a_past_say_what_is_missing():
    _, before, _, after = hour_of(*days(5))
    found = of(nibai.compare(before, after, CLAIM))
    assert found.reason.code is ReasonCode.UNCALIBRATED_SHORT_WINDOW
    assert found.reason.text == SHORT.format(known="0")


def test_a_baseline_that_is_days_long_is_its_own_past():
    times, values = days(6, 1.3)
    before, after = split(times, values, AT)
    found = of(nibai.compare(before, after, CLAIM))
    assert found.verdict is Verdict.REFUTED
    history, hour, between, _ = hour_of(times, values)
    given = of(nibai.compare(hour, after, CLAIM, history=[history, between]))
    assert found.estimate.value == pytest.approx(given.estimate.value, rel=0.01)
    own, told = (f.evidence.effective_windows for f in (found, given))
    assert own == pytest.approx(told, abs=2)


def test_rows_that_stand_in_history_and_baseline_count_once():
    times, values = days(7)
    before, after = split(times, values, AT)
    alone = of(nibai.compare(before, after, CLAIM))
    both = of(nibai.compare(before, after, CLAIM, history=before))
    assert both.evidence == alone.evidence


def test_a_history_makes_short_files_live_windows():
    times, values = days(8)
    history, _, _ = split(times, values, AT - HOUR / 2, AT)
    start = AT - DAY
    half = [
        table(times[inside], values[inside])
        for a in (start, AT)
        if (inside := (times >= a) & (times < a + HOUR / 2)).any()
    ]
    audit = nibai.compare(*half, CLAIM, history=history)
    assert of(audit).evidence.scope.startswith("live window")
    runs = nibai.compare(*half, CLAIM, history=history, runs=True)
    assert of(runs).evidence.scope == "these runs"
    assert "the history is not used: runs are judged by repetition" in runs.notes


def test_a_history_without_times_is_refused():
    _, before, _, after = hour_of(*days(9))
    with pytest.raises(UsageError, match="a history needs times: give a file with a time column"):
        nibai.compare(before, after, CLAIM, history=pa.table({"latency_s": [0.1, 0.2]}))


def test_history_files_on_the_command_line(tmp_path, capsys):
    names = {}
    parts = hour_of(*days(10, 1.3))
    for name, part in zip(("history", "before", "between", "after"), parts, strict=True):
        names[name] = str(tmp_path / f"{name}.parquet")
        pa.parquet.write_table(part, names[name])
    code = cli.invoke([
        "compare", "-b", names["before"], "-c", names["after"], "--claim", CLAIM,
        "--history", names["history"], "--history", names["between"],
    ])  # fmt: skip
    assert code == 1
    assert "A/A on this endpoint: " in capsys.readouterr().out
