"""Hosts as the unit: who ran where decides what a difference can show."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.comparisons import live, replica

from dashboards import units
from nibai import cli
from nibai.exhibits import describe
from nibai.model import Side, Window
from nibai.stats.days import are_days, days_gate
from nibai.stats.unit_rows import unit_rows

START, DAY = 1_750_032_000.0, 86_400.0


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys, *arguments):
    code = cli.invoke(["compare", *arguments, "--format", "json"])
    captured = capsys.readouterr()
    assert captured.out, captured.err
    return code, json.loads(captured.out)


def day(path, hosts, *, start=START, n=3000, seed=0):
    """A day of requests of several hosts: name -> median."""
    rng = np.random.default_rng(seed)
    parts = [
        pa.table(
            {
                "timestamp": start + np.sort(rng.uniform(0, DAY, n)),
                "latency_s": median * np.exp(rng.normal(0, 0.3, n)),
                "host": [name] * n,
            }
        )
        for name, median in hosts.items()
    ]
    pq.write_table(pa.concat_tables(parts), path)


def test_one_host_per_arm_is_no_evidence_and_the_text_says_what_is(capsys):
    day("b.parquet", {"h1": 0.20}, seed=1)
    day("c.parquet", {"h2": 0.08}, seed=2)
    for more in ((), ("--replica", "host")):
        code, document = answer(
            capsys, "-b", "b.parquet", "-c", "c.parquet", "--claim", "2x faster at p50", *more
        )
        assert code == 3
        assert document["claims"][0]["reason_code"] == "one_run_per_side"
        assert document["reason"] == (
            "one host in the baseline and one host in the candidate: hosts of one type differ by "
            "more than most changes, so this difference may be the hosts'; give several hosts per "
            "side (--replica COLUMN or one file each; 5 decide every quantile), or swap the hosts "
            "and compare again"
        )


def test_the_same_host_before_and_after_is_judged_by_blocks(capsys):
    day("b.parquet", {"h1": 0.20}, seed=1)
    day("c.parquet", {"h1": 0.08}, seed=2, start=START + DAY)
    code, document = answer(
        capsys, "-b", "b.parquet", "-c", "c.parquet", "--replica", "host", "--claim",
        "2x faster at p50",
    )  # fmt: skip
    assert code == 0
    evidence = document["claims"][0]["evidence"]
    assert (evidence["unit"], evidence["scope"]) == ("hour", "live window, these replicas only")
    assert document["exhibits"][0]["units"] == []


def test_five_hosts_per_side_decide_every_quantile(capsys):
    rng = np.random.default_rng(3)
    day("b.parquet", {f"b{i}": 0.2 * np.exp(rng.normal(0, 0.05)) for i in range(5)}, seed=1)
    day("c.parquet", {f"c{i}": 0.08 * np.exp(rng.normal(0, 0.05)) for i in range(5)}, seed=2)
    code, document = answer(
        capsys, "-b", "b.parquet", "-c", "c.parquet", "--replica", "host", "--claim", "2x faster"
    )
    assert code == 0
    assert all(claim["evidence"]["unit"] == "host" for claim in document["claims"])
    assert document["claims"][0]["evidence"]["scope"] == "these hosts"
    assert (
        "typical host: the mean of log ratios of hosts"
        in document["claims"][2]["evidence"]["notes"]
    )
    rows = document["exhibits"][0]["units"]
    assert len(rows) == 2 * 5 * 2
    medians = [row["ratio"] for row in rows if row["quantile"] == 0.5]
    assert np.prod(medians) == pytest.approx(1.0)


def test_equal_names_at_the_same_time_are_different_hosts(capsys):
    """As in the cloud benchmarks: VM 0, 1 and 2 of either machine type."""
    day("b.parquet", {str(i): 0.2 for i in range(3)}, seed=1)
    day("c.parquet", {str(i): 0.08 for i in range(3)}, seed=2)
    code, document = answer(
        capsys, "-b", "b.parquet", "-c", "c.parquet", "--replica", "host", "--claim",
        "2x faster at p50",
    )  # fmt: skip
    assert code == 0
    assert document["claims"][0]["evidence"]["unit"] == "host"
    assert any("taken as different hosts" in note for note in document["notes"])


def test_hosts_that_disagree_more_than_their_blocks_show_are_inconclusive(capsys):
    """Each host alone is measured to 1 %; between them lies 20 %."""
    day("b.parquet", {"b0": 0.18, "b1": 0.22, "b2": 0.20}, seed=1)
    day("c.parquet", {"c0": 0.19, "c1": 0.17, "c2": 0.23}, seed=2)
    code, document = answer(
        capsys, "-b", "b.parquet", "-c", "c.parquet", "--replica", "host", "--claim",
        "1.05x faster at p50",
    )  # fmt: skip
    assert code == 3
    assert document["claims"][0]["reason_code"] == "runs_disagree"
    assert "the hosts disagree" in document["reason"]


def test_eight_days_a_side_make_the_day_the_unit(capsys):
    """Deployed on every second day; days differ by 10 % however many requests each has."""
    rng = np.random.default_rng(8)
    for i in range(16):
        median = (0.2 if i % 2 == 0 else 0.1) * np.exp(rng.normal(0, 0.1))
        side = "b" if i % 2 == 0 else "c"
        day(f"{side}{i:02}.parquet", {"h": median}, start=START + i * DAY, n=800, seed=i)
    code, document = answer(
        capsys, "-b", "b*.parquet", "-c", "c*.parquet", "--claim", "1.5x faster at p50 and p99"
    )
    assert code == 0, document["reason"]
    evidence = document["claims"][0]["evidence"]
    assert (evidence["unit"], evidence["scope"], evidence["replicas"]) == (
        "day",
        "these days",
        [8, 8],
    )
    found = document["claims"][0]["estimate"]
    assert found["high"] / found["low"] > 1.1, "as wide as days differ"
    assert "8 and 8 days: the day is the unit" in document["notes"]


def test_days_need_the_same_hours_and_kinds_of_day():
    days = [Window(START + i * DAY, START + (i + 1) * DAY) for i in range(28)]
    working = [w for w in days if (w.start // DAY + 3) % 7 < 5]
    assert are_days(days[:8], days[8:16])
    assert days_gate(days[:14], days[14:]) is None
    assert "weekend days" in days_gate(working[:8], days[-8:]).text
    mornings = [Window(w.start, w.start + DAY / 3) for w in days[:8]]
    assert "other hours" in days_gate(mornings, days[8:16]).text
    assert not are_days(days[:7], days[7:16])
    assert not are_days([days[0]] * 8, days[8:16])


# -- the table --------------------------------------------------------------------------------


def test_units_stand_beside_the_typical_one_of_their_side():
    comparison = live(np.full(900, 0.1), np.full(900, 0.1))
    hosts = tuple(
        replica({"": np.full(900, value)}, name=name)
        for name, value in (("a", 0.1), ("b", 0.2), ("c", 0.4))
    )
    rows = unit_rows(replace(comparison, baseline=Side("x", hosts)))
    medians = {
        row.name: row.ratio for row in rows if row.side == "baseline" and row.quantile == 0.5
    }
    assert medians == pytest.approx({"a": 0.5, "b": 1.0, "c": 2.0}, rel=0.03)
    assert unit_rows(comparison) == (), "one unit a side: nothing to compare"


def test_many_units_name_only_the_extremes():
    comparison = live(np.full(900, 0.1), np.full(900, 0.1))
    hosts = tuple(replica({"": np.full(900, 0.1 * 1.05**i)}, name=f"h{i}") for i in range(9))
    shown = describe(
        replace(comparison, baseline=Side("x", hosts)),
        level=0.95,
    )
    line = units.lines(shown)[0]
    assert line.startswith("baseline p50: differ by up to ")
    assert "h8" in line
    assert "h0" in line
    assert "h4" not in line
