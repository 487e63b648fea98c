"""Captured requests in every shape they come in, and in some they should not."""

import base64
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.lines import MAX_LINE_BYTES
from collector.replay.captures import build
from nibai.errors import CollectError, UsageError
from nibai.protocols import CaptureRequest


def read(source, **options):
    return build({}).read(CaptureRequest(source, **options))


def written(tmp_path, data, name="inputs.jsonl"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_an_input_column_is_the_payload_the_rest_describes_it(tmp_path):
    found = read(written(tmp_path, lines(
        {"request_id": "a", "input": {"x": [1, 2]}, "segment": "de", "label": "spam"},
        {"request_id": "b", "input": "text", "label": 3},
    )))  # fmt: skip
    first, second = found.inputs
    assert (first.request_id, first.payload, first.segment, first.truth) == (
        "a", {"x": [1, 2]}, "de", "spam",
    )  # fmt: skip
    assert (second.payload, second.segment, second.truth) == ("text", "", "3")
    assert first.input_hash != second.input_hash


def test_without_an_input_column_the_fields_are_the_payload(tmp_path):
    found = read(written(tmp_path, lines({"id": "a", "age": 41, "city": "Bonn", "y": 1})))
    assert found.inputs[0].payload == {"age": 41, "city": "Bonn"}
    assert found.inputs[0].truth == "1"


def test_columns_rename(tmp_path):
    columns = {"id": "key", "input": "q", "segment": "lang"}
    path = written(tmp_path, lines({"key": "k", "q": "hi", "lang": "ja", "input": "no"}))
    one = read(path, columns=columns).inputs[0]
    assert (one.request_id, one.payload, one.segment) == ("k", "hi", "ja")


def test_bare_values_are_inputs(tmp_path):
    found = read(written(tmp_path, lines("one", ["two", 2], 3)))
    assert [one.payload for one in found.inputs] == ["one", ["two", 2], 3]
    assert [one.request_id for one in found.inputs] == ["row-1", "row-2", "row-3"]


def test_the_order_of_keys_makes_no_other_input(tmp_path):
    path = written(tmp_path, '{"id":1,"a":1,"b":2}\n{"id":2,"b":2,"a":1}\n')
    found = read(path)
    assert len(found.inputs) == 1
    assert found.repeats == 1
    assert len(read(path, repeated=True).inputs) == 2


def test_csv_cells_are_numbers_json_or_text(tmp_path):
    text = 'id,age,note,tags\n1,41,"a, ""b""\nc","[1, 2]"\n2,-1.5e3,007,{x\n'
    found = read(written(tmp_path, text, "inputs.csv"))
    assert found.format == "CSV"
    assert [one.payload for one in found.inputs] == [
        {"age": 41, "note": 'a, "b"\nc', "tags": [1, 2]},
        {"age": -1500.0, "note": "007", "tags": "{x"},
    ]


def test_parquet(tmp_path):
    table = pa.table({
        "id": [1, 2], "vector": [[1.0, 2.0], [3.0, 4.0]],
        "at": pa.array([0, 1], pa.timestamp("s", "UTC")), "raw": [b"\x00", b"\xff"],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "inputs.parquet")
    first = read(str(tmp_path / "inputs.parquet")).inputs[0]
    assert first.payload == {
        "vector": [1.0, 2.0], "at": "1970-01-01T00:00:00+00:00", "raw": "AA==",
    }  # fmt: skip
    json.dumps(first.payload)


def test_packed_files_folders_and_standard_input(tmp_path, monkeypatch):
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "a.jsonl.gz").write_bytes(gzip.compress(lines({"id": 1, "x": 1}).encode()))
    (tmp_path / "many" / "b.csv").write_text("id,x\n2,2\n")
    found = read(str(tmp_path / "many"))
    assert [one.payload for one in found.inputs] == [{"x": 1}, {"x": 2}]
    assert found.format == "JSON Lines, CSV"
    path = written(tmp_path, lines({"id": 1, "x": 1}))
    with Path(path).open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert read("-").inputs[0].payload == {"x": 1}


# -- SageMaker Data Capture -------------------------------------------------------------------


def captured(data, encoding="JSON", kind="application/json", **event):
    side = {"observedContentType": kind, "mode": "INPUT", "data": data, "encoding": encoding}
    return {
        "captureData": {"endpointInput": side, "endpointOutput": {"data": "x"}},
        "eventMetadata": {"eventId": "e1", "inferenceTime": "2022-02-14T17:25:49Z", **event},
        "eventVersion": "0",
    }


def test_data_capture_lines(tmp_path):
    packed = base64.b64encode('{"text": "ü"}'.encode()).decode()
    found = read(written(tmp_path, lines(
        captured('{"text": "a"}'),
        captured(packed, "BASE64", eventId="e2", inferenceId="i2"),
        captured("1,2,3", "CSV", "text/csv", eventId="e3"),
    )))  # fmt: skip
    assert [(one.request_id, one.payload) for one in found.inputs] == [
        ("e1", {"text": "a"}), ("i2", {"text": "ü"}), ("e3", "1,2,3"),
    ]  # fmt: skip
    assert found.inputs[2].content_type == "text/csv"


def test_data_capture_lines_that_cannot_be_sent(tmp_path):
    image = base64.b64encode(b"\x89PNG\xff").decode()
    path = written(tmp_path, lines(
        captured("{", eventId="1"),
        captured("%%%", "BASE64", eventId="2"),
        captured(image, "BASE64", eventId="3"),
        captured(image, "BASE64", "image/png", eventId="4"),
        {"captureData": {"endpointOutput": {"data": "x"}}, "eventMetadata": {"eventId": "5"}},
        captured("{}", eventId=None),
        captured("[1]", eventId="7"),
    ))  # fmt: skip
    found = read(path)
    assert found.quarantined == {
        "not JSON": 1, "not BASE64": 1, "not UTF-8": 1, "binary input": 1, "no input": 1,
        "no event id": 1,
    }  # fmt: skip
    assert [one.request_id for one in found.inputs] == ["7"]
    assert read(path, binary=True).inputs[0].payload == b"\x89PNG\xff"


# -- what should not be there -----------------------------------------------------------------


def test_bad_lines_are_counted_sampled_and_never_stop_the_reading(tmp_path):
    huge = b'{"id": "huge", "x": "' + b"a" * (50 << 20) + b'"}\n'
    data = b"".join([
        b'\xef\xbb\xbf{"id": "ok1", "x": 1}\r\n', b'{"id": "cut", "x": \n', b"\n",
        '{"id": "latin", "x": "é"}\n'.encode("latin-1"), huge, b"[" * 100_000 + b"\n",
        b'{"id": "ok1", "x": 2}\n', b'{"id": "none", "input": null}\n', b"null\n",
        b'{"id": "lone", "x": "\\ud800"}\n', b'{"id": "ok2", "x": 3}',
    ])  # fmt: skip
    found = read(written(tmp_path, data))
    assert [one.request_id for one in found.inputs] == ["ok1", "ok2"]
    assert found.rows == 10
    assert found.quarantined == {
        "not JSON": 2, "not UTF-8": 2, f"longer than {MAX_LINE_BYTES >> 20} MiB": 1,
        "duplicate id": 1, "no input": 2,
    }  # fmt: skip
    by_reason = {row["reason"]: row for row in found.rejected}
    assert by_reason["longer than 16 MiB"]["bytes"] == len(huge)
    assert by_reason["longer than 16 MiB"]["line"] == 5
    assert all(len(row["start"]) <= 200 for row in found.rejected)
    json.dumps(found.rejected)


def test_bad_rows_of_csv(tmp_path):
    data = b'id,x\n1,a\n2\n3,"caf\xe9"\n4,b,c\n5,"x"y\n6,' + b"z" * (17 << 20) + b"\n7,\x00\n"
    found = read(written(tmp_path, data, "inputs.csv"))
    assert [one.request_id for one in found.inputs] == ["1", "7"]
    assert found.quarantined == {
        "wrong number of columns": 2, "not UTF-8": 1, "not CSV": 1, "longer than 16 MiB": 1,
    }  # fmt: skip


BROKEN = [
    ("inputs.jsonl", b"", UsageError, "holds no rows"),
    ("inputs.csv", b'"a"b,c\n1,2\n', UsageError, "the first line names no columns"),
    (
        "inputs.jsonl",
        b"{\n{\n",
        UsageError,
        "none of 2 rows is an input that can be sent (2 not JSON)",
    ),
    ("inputs.jsonl", b"\xff\xfe{\x00", UsageError, "is UTF-16: convert it to UTF-8 first"),
    ("inputs.parquet", b"PAR1 nonsense", CollectError, "cannot be read"),
    (
        "inputs.jsonl.gz",
        gzip.compress(b"{}\n" * 9999, mtime=0)[:-9],
        CollectError,
        "cannot be read",
    ),
]


@pytest.mark.parametrize(("name", "data", "kind", "text"), BROKEN)
def test_a_file_that_is_no_use_is_one_clear_error(tmp_path, name, data, kind, text):
    with pytest.raises(kind) as error:
        read(written(tmp_path, data, name))
    assert text in str(error.value)
    assert name in str(error.value)


def test_a_missing_file_or_column(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        read(str(tmp_path / "none.jsonl"))
    with pytest.raises(
        UsageError, match=r"no column 'q' \(--columns input=…\); there are 'id', 'x'"
    ):
        read(written(tmp_path, "id,x\n1,2\n", "inputs.csv"), columns={"input": "q"})


def test_a_sample_is_uniform_and_the_same_again(tmp_path):
    path = written(tmp_path, lines(*({"id": i, "x": i} for i in range(1000))))
    found = read(path, sample=100, seed=3)
    assert len(found.inputs) == 100
    assert found == read(path, sample=100, seed=3)
    assert found.digest != read(path, sample=100, seed=4).digest
    chosen = sorted(one.payload["x"] for one in found.inputs)
    assert 400 < sum(chosen) / 100 < 600
    assert len(read(path, sample=5000).inputs) == 1000
