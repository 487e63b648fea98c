"""`nibai changes find` on a folder, word by word."""

import json

import numpy as np
import pytest
from support.spans import batch

from nibai import cli
from nibai.store.wal.ingest import Ingest, MemoryLedger

DAY = 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10
ENDPOINT = "onprem/tokyo/ocr"


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Five days; on the fourth one endpoint becomes twice as slow, one is calm, one is new."""
    folder = tmp_path_factory.mktemp("find") / "data"
    now, rng = [MONDAY], np.random.default_rng(6)
    ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: now[0])
    for i in range(5 * 48):
        minute = int(MONDAY // 60) + 30 * i
        slow = 2.0 if i >= 3 * 48 else 1.0
        ingest.append(batch(slow * rng.lognormal(-2, 0.3, 60), minute=minute))
        ingest.append(
            batch(rng.lognormal(-3, 0.3, 60), minute=minute, endpoint="onprem/tokyo/calm")
        )
        if i >= 4 * 48:
            ingest.append(
                batch(rng.lognormal(-3, 0.3, 9), minute=minute, endpoint="onprem/tokyo/new")
            )
    now[0] += 120
    ingest.close()
    return folder


@pytest.fixture
def nibai(filled, capsys):
    def run(*arguments, data=filled):
        code = cli.invoke(["changes", *arguments, "--data", str(data)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_what_changed_when_how_much_and_what_to_do(nibai):
    code, out, err = nibai("find")
    assert code == 0
    assert out == (
        "onprem/tokyo/ocr  fp32  latency\n"
        "  2022-01-13T00:00Z  latency p50 135 ms -> 269 ms, 1.99x slower\n"
        "    happened between 2022-01-12T22:00Z and 2022-01-13T02:00Z\n"
        "    p10 91.3 ms -> 185 ms, 2.02x slower [1.99, 2.06]\n"
        "    p50 135 ms -> 269 ms, 1.99x slower [1.97, 2.01]\n"
        "    p90 199 ms -> 394 ms, 1.98x slower [1.95, 2.02]\n"
        "    not told from noise: spread\n"
        "    suspect: no known change within 24 h before\n"
        "    nibai changes declare --endpoint onprem/tokyo/ocr --at 2022-01-13T00:00:00Z "
        "--baseline-variant fp32 --candidate-variant fp32\n\n"
    )
    assert err == (
        "1 change in 1 of 3 series, 2022-01-10T00:00Z to 2022-01-14T23:00Z in blocks of 1h; "
        "at most 5% of the changed series are expected to be false\n"
        "1 series are too thin to be judged: fewer than 48 blocks with enough requests "
        "(a longer --since or --block)\n"
    )


def test_one_document_for_scripts(nibai):
    code, out, err = nibai("find", "--format", "json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["schema"] == "nibai.changes/1"
    assert (document["series"], document["thin"], document["block_seconds"]) == (3, 1, 3600.0)
    (change,) = document["changes"]
    assert (change["endpoint"], change["at"]) == (ENDPOINT, "2022-01-13T00:00:00Z")
    assert change["between"] == {"from": "2022-01-12T22:00:00Z", "until": "2022-01-13T02:00:00Z"}
    assert change["before"]["until"] == change["after"]["from"] == change["at"]
    p50 = change["movements"][1]
    assert (p50["view"], p50["quantile"], p50["changed"]) == ("p50", 0.5, True)
    assert p50["size"]["low"] < 0.5 < p50["size"]["high"]
    assert change["declare"].startswith("nibai changes declare --endpoint onprem/tokyo/ocr --at ")


def test_the_printed_line_declares_a_change_which_is_then_the_suspect(nibai):
    line = json.loads(nibai("find", "--format", "json")[1])["changes"][0]["declare"].split()
    code, out, _ = nibai(*line[2:], "--kind", "driver", "--description", "driver 570")
    assert code == 0
    found = nibai("find")[1]
    assert (
        f"suspect: {out.strip()} (driver) at 2022-01-13T00:00Z, inside that time: driver 570"
        in found
    )


def test_one_endpoint_and_a_later_start(nibai):
    assert nibai("find", "--endpoint", "onprem/tokyo/calm")[1] == ""
    assert nibai("find", "--since", "2022-01-13T00:00Z")[1] == ""


def test_an_unknown_endpoint_is_a_usage_error(nibai):
    code, out, err = nibai("find", "--endpoint", "onprem/tokyo/x")
    assert (code, out) == (2, "")
    assert err == (
        "nibai: no endpoint 'onprem/tokyo/x' in the lake: there is "
        "onprem/tokyo/calm, onprem/tokyo/new, onprem/tokyo/ocr\n"
    )


def test_an_empty_lake_is_nothing_to_look_at(nibai, tmp_path):
    code, out, err = nibai("find", data=tmp_path / "none")
    assert (code, out) == (0, "")
    assert err == "nothing to look at: the lake has no whole block (see nibai lake info)\n"
    document = json.loads(nibai("find", "--format", "json", data=tmp_path / "none")[1])
    assert (document["window"], document["changes"]) == (None, [])
