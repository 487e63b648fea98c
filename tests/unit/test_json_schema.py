"""JSON schemas of answers: what fits, and files that are none."""

from __future__ import annotations

import json

import pytest

from collector.json_schema import schema_check
from nibai import cli
from nibai.errors import UsageError

SCHEMA = {
    "type": "object",
    "required": ["city"],
    "properties": {"city": {"type": "string"}, "more": {"$ref": "#"}},
}


def check(tmp_path, schema):
    path = tmp_path / "schema.json"
    path.write_text(schema if isinstance(schema, str) else json.dumps(schema), encoding="utf-8")
    return schema_check(str(path))


def test_answers_fit_or_do_not(tmp_path):
    fits = check(tmp_path, SCHEMA)
    assert fits({"city": "Kyoto", "more": {"city": "Nara"}})
    assert not fits({"city": 7})
    assert not fits({"city": "Kyoto", "more": {}})
    assert not fits([])
    assert not fits(None)


def test_an_older_draft_is_read_as_such(tmp_path):
    old = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "minimum": 3,
        "exclusiveMinimum": True,
    }
    fits = check(tmp_path, old)
    assert (fits(3), fits(4)) == (False, True)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{", "the schema is not JSON"),
        ("[]", "a JSON schema is an object, true or false"),
        ({"type": 3}, "no JSON schema: $.type"),
    ],
)
def test_a_file_that_is_no_schema_is_a_usage_error(tmp_path, schema, said):
    with pytest.raises(UsageError) as error:
        check(tmp_path, schema)
    assert said in str(error.value)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="the schema cannot be read"):
        schema_check(str(tmp_path / "none.json"))


def test_nothing_is_fetched(tmp_path):
    fits = check(tmp_path, {"$ref": "http://example.com/schema.json"})
    with pytest.raises(UsageError, match="references to other documents are not followed"):
        fits({})


def write_pairs(path, n=400):
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            old, new = {"city": "Kyoto", "n": i}, {"city": "Kyoto" if i % 5 else 7, "n": i}
            row = {"request_id": f"r{i}", "baseline": json.dumps(old), "candidate": json.dumps(new)}
            file.write(json.dumps(row) + "\n")


def run(*words):
    return cli.invoke(list(words))


def test_same_json_validity_is_refuted_by_answers_that_no_longer_fit(tmp_path, capsys):
    pairs, schema = tmp_path / "pairs.jsonl", tmp_path / "schema.json"
    write_pairs(pairs)
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    words = ("compare", "--pairs", str(pairs), "--claim", "same JSON validity within 5%")
    assert run(*words, "--schema", str(schema)) == 1
    assert "JSON validity went from 100% to 80%" in capsys.readouterr().out
    assert run(*words) == 0  # without the schema all of them are valid


def test_a_schema_is_about_json_only(tmp_path, capsys):
    pairs, schema = tmp_path / "pairs.jsonl", tmp_path / "schema.json"
    write_pairs(pairs, 10)
    schema.write_text("{}", encoding="utf-8")
    assert run("compare", "--pairs", str(pairs), "--output", "text", "--schema", str(schema)) == 2
    assert "--schema is about JSON answers, and these are read as text" in capsys.readouterr().err
