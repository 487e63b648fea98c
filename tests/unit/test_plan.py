"""`nibai plan`, word by word, and what it says against what comes true."""

import json
import math

import numpy as np
import pytest
from support.simulator import SCENARIOS, simulate
from support.spans import batch

from nibai import cli
from nibai.stats.planning import (
    WINDOW_HOURS,
    Noise,
    calm_critical,
    half_width,
    inflation,
    needed_requests,
    plan_history,
    plan_runs,
    plan_window,
    power_factor,
)
from nibai.stats.ratio import pbs_ar
from nibai.store.wal.ingest import Ingest, MemoryLedger

MONDAY = 19_002 * 86_400.0
ENDPOINT = "onprem/tokyo/ocr"


def run(capsys, *arguments):
    code = cli.invoke(["plan", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


CASES = (
    ("--rate", "100", "--claim", "2x faster at p50 and p99"),
    ("--rate", "600", "--claim", "2x faster at p99", "--effect", "1.7", "--run-spread", "0.2"),
    ("--rate", "30", "--claim", "no more than 5% slower at p90", "--deff", "1"),
    ("--rate", "0.5", "--claim", "2x faster at p99.9"),
    ("--rate", "100", "--claim", "not slower at p50, errors up at most 0.1pp"),
    ("--claim", "same predictions, accuracy down at most 1pp", "--kind", "int8"),
    ("--claim", "same predictions within 0.5%", "--kind", "weights"),
    ("--claim", "same predictions"),
    ("--claim", "same output mix", "--kind", "weights"),
    ("--rate", "100", "--claim", "2x faster at p50, same predictions", "--kind", "driver"),
)


def test_plans_are_printed_word_by_word(capsys, golden):
    texts = []
    for case in CASES:
        code, out, err = run(capsys, *case)
        assert (code, err) == (0, "")
        texts.append(f"$ nibai plan {' '.join(case)}\n{out}")
    golden("plan.txt", "\n".join(texts))
    assert max(len(line) for text in texts for line in text.splitlines()[1:]) <= 100


def test_json_says_the_same(capsys):
    code, out, _ = run(capsys, *CASES[0], "--format", "json")
    document = json.loads(out)
    assert (code, document["schema"], document["rate"]) == (0, "nibai.plan/1", 100.0)
    assert [part["claim"] for part in document["parts"]] == ["2x faster at p50", "2x faster at p99"]
    p99 = document["parts"][1]
    assert (p99["floor"], p99["needed"], p99["expected"]) == (662, 2.0, 2.2)
    assert p99["window"]["hours"] in WINDOW_HOURS
    assert len(document["assumptions"]) >= 4
    _, out, _ = run(capsys, *CASES[5], "--format", "json")
    document = json.loads(out)
    assert document["rate"] is None
    pairs = document["parts"][0]["pairs"]
    assert (pairs["margin"], pairs["wanted"], pairs["requests"]) == (0.02, 3000, 12_000)
    assert [row["pairs"] for row in pairs["rows"]] == [357, 895, 2511, 1111]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "nothing to plan: give --claim, for example “2x faster at p50 and p99”"),
        (("--claim", "2x faster"), "no rate: give --rate (requests a minute), or --endpoint"),
        (("--claim", "2x faster", "--rate", "0"), "--rate 0: give a number above 0"),
        (("--claim", "2x faster", "--rate", "5", "--effect", "nan"), "--effect nan: give a number"),
        (("--claim", "2x slower", "--rate", "5"), "slower"),
    ],
)
def test_what_cannot_be_planned_is_refused(capsys, arguments, error):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert error in err


# -- measured on the lake ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Two days of calm traffic, 2.4 requests a minute."""
    folder = tmp_path_factory.mktemp("plan") / "data"
    rng = np.random.default_rng(2)
    now = [MONDAY]
    ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: now[0])
    for minute in np.linspace(0, 2 * 1440 - 1, 96).astype(int).tolist():
        values = rng.lognormal(-2, 0.3, 72)
        ingest.append(batch(values, minute=int(MONDAY // 60) + minute))
    now[0] += 120
    ingest.close()
    return str(folder)


def test_rate_and_noise_come_from_the_lake(filled, capsys):
    arguments = ("--endpoint", ENDPOINT, "--data", filled, "--claim", "2x faster at p50")
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert out.startswith("2.4 requests a minute on each side\n")
    assert "noise: as in the endpoint's last two days" in out
    code, out, _ = run(capsys, *arguments, "--deff", "2", "--format", "json")
    assert json.loads(out)["assumptions"][3] == "one request in 2 is independent (--deff)"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--endpoint", "a/b/c", "--claim", "2x faster"), "no latency of a/b/c in the lake"),
        (
            ("--endpoint", ENDPOINT, "--claim", "2x faster, ttft not slower"),
            "--endpoint measures one metric at a time, not latency, ttft",
        ),
        (
            ("--endpoint", ENDPOINT, "--variant", "new", "--claim", "2x faster"),
            "no latency of onprem/tokyo/ocr in the lake",
        ),
    ],
)
def test_what_the_lake_cannot_say_is_refused(filled, capsys, arguments, error):
    code, _, err = run(capsys, *arguments, "--data", filled)
    assert code == 2
    assert error in err


# -- the figures ------------------------------------------------------------------------------


def test_windows_are_long_enough_and_no_longer():
    for p, distance in ((0.5, 0.1), (0.99, 0.2), (0.9, 0.03)):
        found = plan_window(p, distance, 60, Noise())
        assert found is not None
        assert found.half_width * power_factor(found.critical) <= distance
        shorter = WINDOW_HOURS[WINDOW_HOURS.index(found.hours) - 1]
        width = half_width(p, shorter, 60, Noise(), found.critical)
        assert width * power_factor(found.critical) > distance or shorter == found.hours
    assert plan_window(0.5, 1e-4, 60, Noise()) is None
    assert plan_window(0.999, 1.0, 0.01, Noise()) is None


def test_more_traffic_helps_less_than_more_time():
    """deff grows with the rate: ten times the requests, hardly a narrower interval."""
    once, tenfold = (half_width(0.5, 24, rate, Noise(), 2.0) for rate in (100, 1000))
    assert 0.97 < tenfold / once < 1
    assert half_width(0.5, 96, 100, Noise(), 2.0) == pytest.approx(once / 2)
    assert inflation(0.25, 100, Noise()) < inflation(0.5, 100, Noise()) * 1.01


def test_floors_and_measured_noise():
    assert needed_requests(0.99, 100, Noise()) == math.ceil(368 * 4.5)
    assert needed_requests(0.99, 100, Noise(deff=1.0)) == 662
    measured = Noise(measured={0.5: 0.04}, measured_hours=24.0)
    assert half_width(0.5, 96, 1, measured, 2.0687) == pytest.approx(0.02, rel=1e-3)


def test_short_windows_pay_for_calibration():
    assert calm_critical(8) > 2.365
    found = plan_window(0.5, 0.5, 100, Noise())
    assert found is not None
    assert found.calibrated
    assert found.hours < 6
    history = plan_history(found.hours)
    assert history.days is not None
    assert history.days_full_power is not None
    assert history.days < history.days_full_power


def test_runs_follow_their_spread():
    assert plan_runs(math.log2(1.1), 0.05) == 6
    assert plan_runs(math.log2(2.0), 0.05) == 5
    assert plan_runs(math.log2(1.01), 0.5) is None


@pytest.mark.slow
@pytest.mark.parametrize(("hours", "blocks"), [(6, 12), (24, 24)])
def test_assumed_widths_are_those_of_the_simulated_endpoint(hours, blocks):
    """Median half-width of 30 A/A windows of ar10 at 60 requests a minute, within a third."""
    for p in (0.5, 0.9, 0.99):
        widths = []
        for r in range(30):
            sides = [
                simulate(
                    np.random.default_rng([20261126, hours, r, i]),
                    SCENARIOS["ar10"],
                    minutes=60 * hours,
                    rate=60,
                ).histograms(blocks)
                for i in (0, 1)
            ]
            found = pbs_ar(*sides, p)
            widths.append((found.high - found.low) / 2)
        critical = pbs_ar(*sides, p).critical
        planned = half_width(p, hours, 60, Noise(), critical)
        assert planned == pytest.approx(float(np.median(widths)), rel=0.35)
