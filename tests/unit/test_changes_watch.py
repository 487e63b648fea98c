"""`nibai changes watch` on a folder, look after look, word by word."""

import json

import numpy as np
import pytest
import sqlalchemy as sa
from support.alarms import alarms_since
from support.spans import batch

from nibai import cli
from nibai.model import Moved
from nibai.store.state.database import open_state
from nibai.store.wal.ingest import Ingest, MemoryLedger

DAY = 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10
ENDPOINTS = ("onprem/tokyo/calm", "onprem/tokyo/ocr")


@pytest.fixture
def lake(tmp_path):
    """Days of 60 requests in a quarter of an hour; slower by half from noon of the ninth on."""
    folder = tmp_path / "data"

    def fill(first, days):
        now = [MONDAY]
        ingest = Ingest(folder, f"main{first}", MemoryLedger(), clock=lambda: now[0])
        for number, endpoint in enumerate(ENDPOINTS):
            for day in range(first, first + days):
                rng = np.random.default_rng([20261126, number, day])
                minute = int(MONDAY // 60) + day * 1440 + np.repeat(np.arange(96) * 15, 60)
                slow = (minute >= MONDAY // 60 + 8 * 1440 + 720) & (number == 1)
                values = np.where(slow, 1.5, 1.0) * rng.lognormal(-2, 0.3, len(minute))
                ingest.append(batch(values, minute=minute, endpoint=endpoint))
        now[0] += 120
        ingest.close()
        return folder

    return fill


@pytest.fixture
def nibai(tmp_path, capsys):
    def run(*arguments):
        code = cli.invoke(["changes", *arguments, "--data", str(tmp_path / "data")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def watch(nibai, *arguments):
    return nibai("watch", "--block", "15m", *arguments)


def stored(folder):
    engine = sa.create_engine(f"sqlite:///{next(folder.rglob('state*.sqlite*'))}")
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM detectors ORDER BY endpoint")).all()
    engine.dispose()
    return rows


TOLERATED = (
    "one false alarm of all in 30 days is tolerated (threshold 17,280); "
    "weekends that differ are taken for change\n"
)


def test_learned_alarmed_once_and_learned_anew(lake, nibai):
    lake(0, 5)
    code, out, err = watch(nibai)
    assert (code, out) == (0, "")
    assert err == (
        "0 new alarms; 0 of 2 series watched in blocks of 15m up to 2022-01-14T23:45Z; "
        f"2 learning until 2022-01-17T00:00Z\n{TOLERATED}"
    )
    lake(5, 3)
    code, out, err = watch(nibai)
    assert (code, out) == (0, "")
    assert err == (
        f"0 new alarms; 2 of 2 series watched in blocks of 15m up to 2022-01-17T23:45Z\n{TOLERATED}"
    )
    folder = lake(8, 2)
    code, out, err = watch(nibai)
    assert code == 0
    assert out == (
        "onprem/tokyo/ocr  fp32  latency\n"
        "  2022-01-18T12:45Z  alarm: p50 135 ms -> 207 ms, 1.54x slower [1.53, 1.55] so far\n"
        "    started about 2022-01-18T12:00Z\n"
        "    suspect: no known change within 24 h before\n"
        "    learned anew until 2022-01-25T13:00Z: no alarm before\n"
        "    nibai changes declare --endpoint onprem/tokyo/ocr --at 2022-01-18T12:00:00Z "
        "--baseline-variant fp32 --candidate-variant fp32\n\n"
    )
    still = (
        "1 of 2 series watched in blocks of 15m up to 2022-01-19T23:45Z; "
        f"1 learning until 2022-01-25T13:00Z\n{TOLERATED}"
    )
    assert err == f"1 new alarm; {still}"
    before = stored(folder)
    assert len(before) == len(ENDPOINTS)
    state = open_state(next(folder.rglob("state*.sqlite")))
    (alarm,) = alarms_since(state, 0.0)
    state.close()
    assert (alarm.endpoint, alarm.moved) == ("onprem/tokyo/ocr", Moved.WORSE)
    assert alarm.text == "fp32, latency: p50 135 ms -> 207 ms, 1.54x slower [1.53, 1.55]"
    assert alarm.raised_at - alarm.began_at == 2700
    assert alarm.declare.endswith("--baseline-variant fp32 --candidate-variant fp32")
    assert watch(nibai) == (0, "", f"0 new alarms; {still}")
    assert stored(folder) == before


def test_one_document_for_scripts(lake, nibai):
    lake(0, 10)
    code, _, _ = nibai(
        "declare", "--endpoint", ENDPOINTS[1], "--kind", "driver", "--at", "2022-01-18T11:00Z"
    )
    assert code == 0
    code, out, err = watch(nibai, "--format", "json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    (alarm,) = document.pop("alarms")
    assert document == {
        "schema": "nibai.watched-changes/1",
        "series": 2,
        "until": "2022-01-19T23:45:00Z",
        "block_seconds": 900.0,
        "threshold": 17280.0,
        "tolerate_seconds": 2592000.0,
        "learning": [
            {"series": "onprem/tokyo/ocr  fp32  latency", "until": "2022-01-25T13:00:00Z"}
        ],
    }
    assert (alarm["endpoint"], alarm["variant"], alarm["metric"]) == (
        ENDPOINTS[1], "fp32", "latency",
    )  # fmt: skip
    assert (alarm["at"], alarm["raised_at"]) == ("2022-01-18T12:00:00Z", "2022-01-18T12:45:00Z")
    assert alarm["before"] == {"from": "2022-01-11T12:00:00Z", "until": "2022-01-18T12:00:00Z"}
    assert alarm["movement"]["text"] == "p50 135 ms -> 207 ms, 1.54x slower [1.53, 1.55]"
    assert alarm["suspect"]["effective_at"] == "2022-01-18T11:00:00Z"
    assert alarm["declare"].startswith("nibai changes declare --endpoint onprem/tokyo/ocr --at ")
    again = json.loads(watch(nibai, "--format", "json")[1])
    assert again == {**document, "alarms": []}


def test_one_endpoint_is_watched_by_itself(lake, nibai):
    lake(0, 10)
    code, out, err = watch(nibai, "--endpoint", "onprem/tokyo/calm")
    assert (code, out) == (0, "")
    assert err.startswith("0 new alarms; 1 of 1 series watched in blocks of 15m up to 2022-01-19")
    assert "alarm: p50" in watch(nibai)[1]


def test_an_empty_lake_and_what_cannot_be_asked(nibai):
    code, out, err = nibai("watch")
    assert (code, out) == (0, "")
    assert err == "nothing to look at: the lake has no closed block (see nibai lake info)\n"
    assert nibai("watch", "--tolerate", "1h") == (
        2, "", "nibai: --tolerate 1h: no less than a day, such as 1d\n",
    )  # fmt: skip
    assert nibai("watch", "--endpoint", "x")[0] == 2


def test_all_variants_together_go_on_when_one_variant_is_left(tmp_path, nibai):
    now = [MONDAY]
    ingest = Ingest(tmp_path / "data", "main", MemoryLedger(), clock=lambda: now[0])
    hours = int(MONDAY // 60) + np.repeat(np.arange(18 * 24) * 60, 40)
    day = (hours - MONDAY // 60) // 1440
    values = np.where(day >= 16, 1.5, 1.0) * np.random.default_rng(7).lognormal(-2, 0.3, len(hours))
    ingest.append(batch(values, minute=hours, variant="a"))
    ingest.append(batch(values[day < 8], minute=hours[day < 8], variant="b"))
    now[0] += 120
    ingest.close()
    code, out, err = nibai("watch", "--block", "1h")
    assert code == 0, err
    assert [line for line in out.splitlines() if line.startswith("onprem")] == [
        "onprem/tokyo/ocr  a  latency",
        "onprem/tokyo/ocr  all variants together  latency",
    ]
