"""Whatever bytes a file of captured requests holds: rows are kept or counted, nothing is raised."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.any_text import text

from collector.replay.bodies import Bodies
from collector.replay.captures import build
from nibai.errors import CollectError, UsageError
from nibai.protocols import Answer, CaptureRequest
from nibai.replaying.reading import Reading

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text(max_size=6), inner),
    max_leaves=8,
)
CAPTURE = st.fixed_dictionaries({
    "captureData": JSON | st.fixed_dictionaries({"endpointInput": st.fixed_dictionaries(
        {"data": JSON, "encoding": st.sampled_from(["JSON", "CSV", "BASE64", None, 3])})}),
    "eventMetadata": JSON | st.fixed_dictionaries({"eventId": text(max_size=3)}),
})  # fmt: skip
NAMED = st.dictionaries(st.sampled_from(["id", "input", "segment", "label", "x"]), JSON)
ROWS = (NAMED | CAPTURE | JSON).map(lambda value: json.dumps(value).encode())
LINES = st.lists(st.binary(max_size=40) | ROWS, max_size=6)
OUTPUTS = ["class", "proba:a", "score", "embedding", "ranking:a", "text", "json", "chat"]
TYPES = ["application/json", "text/csv", "application/jsonlines", "", "x"]


def read(path, data):
    path.write_bytes(data)
    try:
        found = build({}).read(CaptureRequest(str(path), binary=True))
    except (UsageError, CollectError) as error:
        assert "\n" not in str(error)  # noqa: PT017 - one clear error
        return
    assert len(found.inputs) + found.repeats + sum(found.quarantined.values()) == found.rows
    assert len({one.request_id for one in found.inputs}) == len(found.inputs)
    for one in found.inputs:
        Bodies().encode([one])
    json.dumps(found.rejected)


@settings(max_examples=30)
@given(LINES, st.sampled_from(["inputs.jsonl", "inputs.csv"]))
@example([b'{"id": 1, "input": {"a": NaN}}', b"\x00"], "inputs.jsonl")
@example([b'"a"b', b"{}"], "inputs.csv")
def test_every_line_is_kept_or_counted(tmp_path_factory, lines, name):
    read(tmp_path_factory.mktemp("fuzz") / name, b"\n".join(lines))


@settings(max_examples=30)
@given(JSON, st.sampled_from(OUTPUTS))
def test_every_answer_is_read_or_invalid(payload, output):
    found = Reading(output, keep_texts=True)(Answer(payload))
    assert ("invalid" in found) != ("answer" in found)
    json.dumps(found)


@settings(max_examples=30)
@given(st.binary(max_size=60) | ROWS, st.integers(1, 3), st.sampled_from(TYPES))
def test_every_body_gives_an_answer_to_each_input(body, n, kind):
    answers = Bodies(batch=n, answers="a").decode(body, kind, n)
    assert len(answers) == n
    assert len(Bodies(batch=n).decode(body, kind, n)) == n
