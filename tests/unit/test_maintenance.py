"""Upkeep of the lake changes no answer: roll-ups, late rows, compaction, retention, purge."""

import threading
from datetime import date

import duckdb
import pyarrow as pa
import pytest
from support.spans import batch, lake_counts
from support.upkeep import DAY, START, World

from nibai.store.lake import final_days, maintenance
from nibai.store.lake.maintenance import compact, purge, roll_up_day
from nibai.store.lake.rows import WAL_SCHEMA
from nibai.store.wal.fold import fold


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def hour_files(lake):
    return lake.file_uris("hist_hour", date(1970, 1, 1), date(9999, 1, 1))


def test_hours_answer_as_the_minutes_do(world):
    for day in (0, 1, 2):
        world.traffic(day)
        world.traffic(day, replica="r2", segment="size=large")
    before = world.counts(hours=False)
    done = world.maintain(2.5)
    assert [day.isoformat() for day in done.rolled_up] == ["2022-01-08", "2022-01-09"]
    assert hour_files(world.lake)
    assert world.counts(hours=True) == before == world.counts(hours=False)


def test_a_day_is_rolled_up_three_hours_after_its_end(world):
    world.traffic(0)
    assert world.maintain(1 + 2.9 / 24).rolled_up == ()
    assert world.maintain(1 + 3.1 / 24).rolled_up == (date(2022, 1, 8),)


def test_what_was_done_is_said_in_words():
    assert str(maintenance.Upkeep()) == ""
    done = maintenance.Upkeep(compacted=("hist", "cells"), answers_deleted_before=date(2026, 1, 2))
    assert str(done) == "compacted hist, cells; deleted answers before 2026-01-02"


def test_maintaining_twice_changes_nothing(world):
    world.traffic(0)
    world.maintain(2)
    once = world.counts(hours=True)
    world.maintain(2)
    world.maintain(3)
    assert world.counts(hours=True) == once


def test_rows_late_by_days_reach_the_hours(world, monkeypatch):
    monkeypatch.setattr(maintenance, "OVERLAP_MS", 0)
    for day in (0, 1, 2):
        world.traffic(day)
    world.maintain(4)
    world.traffic(0, n=7)
    assert world.counts(hours=True) != world.counts(hours=False)
    assert date(2022, 1, 8) in world.maintain(4).rolled_up
    assert world.counts(hours=True) == world.counts(hours=False)


def test_minutes_past_their_retention_leave_only_hours(world):
    for day in (0, 1):
        world.traffic(day)
    before = world.counts(hours=False)
    world.maintain(2.5)
    done = world.maintain(40)
    assert done.deleted_before is not None
    assert lake_counts(world.lake)[0] == 0
    assert world.counts(hours=True) == before


def test_a_machine_that_slept_for_months_rolls_up_before_it_deletes(world):
    world.traffic(0)
    before = world.counts(hours=False)
    world.maintain(90)
    assert world.counts(hours=True) == before


def test_an_append_while_a_day_is_rewritten_is_not_lost(world, monkeypatch):
    """Another day of the hours is written between the opening of their table and the overwrite."""
    world.traffic(0)
    world.maintain(2)
    rows = pa.Table.from_batches(
        [batch([0.5], minute=int((START + DAY) // 60), replica="late")], schema=WAL_SCHEMA
    )
    folded = fold(rows)
    write = final_days.write_deltalake
    appended = []

    def interrupted(*arguments, **options):
        if not appended and options.get("mode") == "overwrite":
            appended.append(True)
            world.lake.commit("hist_hour", folded.tables["hist"], "other", 1)
        return write(*arguments, **options)

    monkeypatch.setattr(final_days, "write_deltalake", interrupted)
    before = lake_counts(world.lake, "hist_hour")[0]
    roll_up_day(world.lake, "hist", date(2022, 1, 8))
    assert appended
    assert lake_counts(world.lake, "hist_hour")[0] == before + 1


def test_compaction_beside_appends_keeps_the_sum(world):
    failures = []

    def append():
        try:
            for _ in range(8):
                world.traffic(0, minutes=range(4), n=5)
        except Exception as error:  # noqa: BLE001 - reported by the test
            failures.append(error)

    world.traffic(0, minutes=range(4), n=5)
    writer = threading.Thread(target=append)
    writer.start()
    joined = 0
    while writer.is_alive():
        joined += compact(world.lake, "hist")
    writer.join()
    compact(world.lake, "hist")
    assert failures == []
    assert joined > 0
    assert lake_counts(world.lake)[0] == 9 * 4 * 5
    assert len(world.lake.file_uris("hist", date.min, date.max)) < 9


@pytest.mark.parametrize("step", ["rolled hist", "rolled cell", "compacted", "cleaned"])
def test_killed_in_any_step_the_next_round_finishes(world, step):
    for day in (0, 1):
        world.traffic(day)
    before = world.counts(hours=False)

    class Killed(BaseException):
        pass

    def kill(reached):
        if reached == step:
            raise Killed

    with pytest.raises(Killed):
        world.maintain(2.5, checkpoint=kill)
    assert world.counts(hours=True) == before
    world.maintain(2.5)
    assert world.counts(hours=True) == before
    assert world.state.watermark(maintenance.ROLL_UP) == "2022-01-09"


def test_segment_numbers_survive_the_upkeep(world):
    world.traffic(0)
    committed = world.lake.committed("hist", "main")
    world.maintain(2)
    world.maintain(3)
    assert world.lake.committed("hist", "main") == committed > 0


def test_a_purge_counts_first_and_then_removes_for_good(world, tmp_path):
    world.traffic(0, segment="tenant=a")
    world.traffic(0, segment="tenant=b")
    world.maintain(2)
    options = {"endpoint": None, "segment": "tenant=a", "before": None}
    planned = {p.table: p.rows for p in purge(world.lake, dry_run=True, **options)}
    assert planned["hist"] > 0
    assert planned["hist_hour"] > 0
    assert purge(world.lake, dry_run=False, **options)
    assert {p.rows for p in purge(world.lake, dry_run=True, **options)} == {0}
    # Nothing of the tenant is left in any file, not even in those of older versions.
    files = str(tmp_path / "lake" / "*" / "day=*" / "*.parquet")
    left = duckdb.execute(
        "SELECT DISTINCT segment FROM read_parquet(?, union_by_name=true)", [files]
    ).fetchall()
    assert left == [("tenant=b",)]
