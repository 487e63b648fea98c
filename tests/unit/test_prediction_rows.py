"""Answers in log and lake: durable with their rows, once, counted per minute, forgotten in time."""

import pyarrow as pa
import pytest
from support.answers import ENDPOINT, answers, record
from support.spans import batch, lake_counts

from nibai import cli
from nibai.predictions import PredictionRecord
from nibai.store.lake.delta import Lake
from nibai.store.lake.maintenance import maintain
from nibai.store.series.blocks import Engine
from nibai.store.state.database import open_state
from nibai.store.wal.ingest import Ingest, MemoryLedger
from nibai.store.wal.log import WriteAheadLog, read_frames
from nibai.store.wal.prediction_rows import MAX_LABELS, fold_predictions, to_batch

START = 1_680_000_000.0
DAY = 86_400.0


@pytest.fixture
def now():
    return [START]


@pytest.fixture
def ingest(tmp_path, now):
    return Ingest(tmp_path / "data", "main", MemoryLedger(), clock=lambda: now[0])


def rows(lake, table):
    found = lake.open(table)
    return [] if found is None else found.to_pyarrow_table().to_pylist()


def test_a_payload_s_rows_and_answers_are_durable_together_or_not_at_all(tmp_path):
    log = WriteAheadLog(tmp_path, clock=lambda: START)
    log.append(batch([0.1, 0.2]), b"a" * 16, answers(record(1)))
    log.append(None, b"b" * 16, answers(record(2), record(3)))
    (segment,) = log.closed()
    data = segment.path.read_bytes()
    found = set()
    for cut in range(0, len(data) + 1, 29):
        segment.path.write_bytes(data[:cut])
        frames = list(read_frames(segment.path))
        found.add(
            tuple(
                (f.digest[:1], f.batch.num_rows if f.batch else 0, f.predictions.num_rows)
                for f in frames
            )
        )
    segment.path.write_bytes(data)
    assert len(list(read_frames(segment.path))) == 2
    assert found <= {(), ((b"a", 2, 1),), ((b"a", 2, 1), (b"b", 0, 2))}


def test_a_resent_payload_brings_its_answers_once(ingest):
    for _ in range(2):
        ingest.append(batch([0.1]), b"a" * 16, answers(record(1)))
        ingest.append(None, b"b" * 16, answers(record(2)))
    ingest.close()
    assert lake_counts(ingest.lake)[0] == 1
    assert [row["request_id"] for row in rows(ingest.lake, "predictions")] == ["q1", "q2"]


def test_every_part_of_a_record_is_kept(ingest):
    full = record(
        1, segment="lang=de", score=0.5, margin=0.25, probabilities=(0.5, 0.25), truth="dog",
        batch=8, source="replay:r", repeat=1,
    )  # fmt: skip
    ingest.append(None, None, answers(full, record(2, "", invalid="unparsable")))
    ingest.close()
    first, second = rows(ingest.lake, "predictions")
    at = first.pop("at_us") / 1e6
    first["probabilities"] = tuple(first["probabilities"])
    assert first.pop("minute") == at // 60
    assert first.pop("day").toordinal() == 719_163 + at // DAY
    assert PredictionRecord(**first, at=at) == full
    assert (second["label"], second["invalid"], second["score"]) == ("", "unparsable", None)


def test_what_live_traffic_was_answered_is_counted_per_minute(ingest):
    ingest.append(
        None, None,
        answers(
            record(0, "cat", score=-2.0), record(1, "cat", score=1.0), record(2, "dog"),
            record(60, "cat"), record(3, "", invalid="timeout"),
            record(4, "cat", repeat=1, score=9.0), record(5, "cat", source="replay:r", score=9.0),
            record(6, "cat", source="shadow"),
        ),
    )  # fmt: skip
    ingest.close()
    found = {
        (row["metric"], row["key"], row["minute"] - START // 60): row["count"]
        for row in rows(ingest.lake, "category")
    }
    assert found == {
        ("prediction", "cat", 0): 3, ("prediction", "dog", 0): 1, ("prediction", "cat", 1): 1,
        ("prediction_invalid", "timeout", 0): 1,
    }  # fmt: skip
    (cell,) = rows(ingest.lake, "cell")
    assert (cell["metric"], cell["count"], cell["sum"]) == ("prediction_score", 2, -1.0)
    assert (cell["min"], cell["max"]) == (-2.0, 1.0)
    assert lake_counts(ingest.lake)[0] == 2


def test_rare_labels_are_counted_together():
    made = [record(i, f"l{i}") for i in range(MAX_LABELS + 5)]
    made += [record(100 + i, "often") for i in range(3)]
    folded = fold_predictions(_table(made)).tables["category"].to_pylist()
    counts = {row["key"]: row["count"] for row in folded}
    assert len(counts) == MAX_LABELS + 1
    assert (counts["often"], counts["other"]) == (3, 6)


def test_answers_are_forgotten_after_a_week_and_their_counts_are_not(ingest, now, tmp_path):
    for day in range(10):
        at = START + day * DAY
        ingest.append(None, None, answers(record(day, at=at)))
    now[0] = START + 9 * DAY
    ingest.close()
    state = open_state(tmp_path / "state.sqlite")
    done = maintain(ingest.lake, state, now[0], retention_seconds=30 * DAY)
    assert (now[0] - 7 * DAY) // DAY * DAY == _seconds(done.answers_deleted_before)
    kept = [int(row["request_id"][1:]) for row in rows(ingest.lake, "predictions")]
    assert sorted(kept) == list(range(2, 10))
    assert sum(row["count"] for row in rows(ingest.lake, "category")) == 10
    hours = rows(ingest.lake, "category_hour")
    assert sum(row["count"] for row in hours) == 9, "all closed days"
    state.close()


def test_answers_are_listed_and_can_be_purged_alone(ingest, tmp_path, capsys):
    ingest.append(batch([0.1, 0.2], minute=int(START // 60)), None)
    ingest.append(None, None, answers(record(1), record(2, batch=8), record(3, variant="int8")))
    ingest.close()
    data = ("--data", str(tmp_path / "data"))
    assert cli.invoke(["lake", "info", *data]) == 0
    span = "2023-03-28T10:40Z to 2023-03-28T10:41Z"
    assert capsys.readouterr().out.splitlines() == [
        f"{ENDPOINT}  fp32  latency  {span}  2 requests",
        f"{ENDPOINT}  fp32  answers, batch 1  {span}  1 kept",
        f"{ENDPOINT}  fp32  answers, batch 8  {span}  1 kept",
        f"{ENDPOINT}  int8  answers, batch 1  {span}  1 kept",
    ]
    assert cli.invoke(["lake", "purge", "--predictions", *data]) == 0
    assert capsys.readouterr().out == "predictions               3 rows to remove\n"
    assert cli.invoke(["lake", "purge", "--predictions", "--yes", *data]) == 0
    assert Engine(Lake(tmp_path / "data" / "lake")).answers() == []
    assert len(rows(ingest.lake, "category")) == 2
    assert lake_counts(ingest.lake)[0] == 2


def _table(records):
    return pa.Table.from_batches([to_batch(records)])


def _seconds(day):
    return (day.toordinal() - 719_163) * DAY
