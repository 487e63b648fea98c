"""The command around a replay: plan, spec, verdict, and the same from Python."""

import json
import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.replay_server import Reply, label, serve

import nibai
from nibai import cli
from nibai.cli import replay as command
from nibai.cli import replay_words as words
from nibai.errors import CollectError, UsageError
from nibai.replaying.run import Progress


def write(path, n):
    rows = [{"id": f"r{i}", "x": i, "segment": "a" if i % 3 else "b"} for i in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def noisy(request):
    """An int8 model in small: the answer depends on the batch-mates."""
    largest = max(item["x"] for item in request.body)
    flip = largest % 3 == 0
    return Reply(body=[{"label": "odd" if (i["x"] % 2 == 1) != flip else "even"}
                       for i in request.body])  # fmt: skip


def behave(request):
    return noisy(request) if request.path == "/int8" else label(request)


def run(service, tmp_path, new, *more, n=400):
    source = write(tmp_path / "inputs.jsonl", n)
    return cli.invoke([
        "replay", "--inputs", source, "--baseline", service.url + "/fp32", "--candidate",
        service.url + new, "--out", str(tmp_path / "out"), "--batch", "8", "--rate", "none",
        "--output", "class:label", "--yes", *more,
    ])  # fmt: skip


def test_the_exit_code_is_the_verdict_of_the_claim(tmp_path, capsys):
    claim = ("--claim", "same predictions within 2%")
    with serve(behave) as service:
        assert run(service, tmp_path, "/same", *claim, "--batch", "30", n=600) == 0
        out = capsys.readouterr().out
        assert "margin     2 % (stated)" in out
        assert "on flips from about 357 inputs at 0 % changed answers, 895 at 0.5 %" in out
        assert "CONFIRMED" in out
    (tmp_path / "second").mkdir()
    with serve(behave) as service:
        assert run(service, tmp_path / "second", "/int8", *claim, "--batch", "20") == 1
    out = capsys.readouterr().out
    assert "REFUTED" in out
    assert "self-flip" in out


@pytest.fixture
def interruptible():
    """A shell that starts tests in the background has them ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_waits_for_what_is_under_way_and_loses_nothing(tmp_path, capsys):
    def stop(request):
        if request.number == 9:
            os.kill(os.getpid(), signal.SIGINT)
        if request.number >= 9:
            time.sleep(0.2)  # the rest must not be answered before the interrupt is heard
        return label(request)

    with serve(stop) as service:
        assert run(service, tmp_path, "/new", "--batch", "2", n=20) == 130
        sent = len(service.requests)
        assert sent < 40
        lines = (tmp_path / "out" / "journal.jsonl").read_text().splitlines()
        assert sum('"sent"' in line for line in lines) == sent
        assert sum('"answers"' in line for line in lines) == sent
        assert pq.read_table(tmp_path / "out" / "pairs.parquet").num_rows < 20
        assert run(service, tmp_path, "/new", "--batch", "2", n=20) == 0
        assert len(service.requests) == 40
    assert "interrupted" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with command._progress(4, print) as tick:
        for answered in (0, 1, 3, 4):
            tick(Progress(answered=answered))
    assert "sending" in capsys.readouterr().out


def test_a_document_is_not_mixed_with_what_is_said(tmp_path, capsys):
    with serve(behave) as service:
        more = ("--claim", "same predictions", "--kind", "int8", "--format", "json")
        assert run(service, tmp_path, "/same", *more, n=20) == 3
    said = capsys.readouterr()
    assert "margin     2 % (default for precision int8), 3,000 inputs wanted" in said.err
    document = json.loads(said.out)
    assert document["verdict"] == "inconclusive"
    assert "answered" in said.err


def test_the_printed_command_judges_the_pairs(tmp_path, capsys):
    with serve(behave) as service:
        assert run(service, tmp_path, "/same", "--kind", "compilation", n=30) == 0
    printed = capsys.readouterr().out.splitlines()[-1].strip()
    assert printed == (
        f"nibai compare --pairs {tmp_path}/out/pairs.parquet --noise-pairs "
        f"{tmp_path}/out/noise.parquet --output class --kind compilation --claim 'same predictions'"
    )
    words = printed.removesuffix(" 'same predictions'").split()[1:]
    assert cli.invoke([*words, "same predictions"]) == 3


def test_plan_and_result_word_by_word(tmp_path, capsys, golden):
    bad = '{"id": "r1", "x": 1}\n{"id": "cut", \n{"id": "again", "x": 3}\n'
    source = write(tmp_path / "inputs.jsonl", 40)
    with Path(source).open("a") as file:
        file.write(bad)
    arguments = ["replay", "--inputs", source, "--out", str(tmp_path / "out"), "--batch", "8"]
    arguments += ["--output", "class:label", "--rate", "200/s", "--price", "0.002", "--yes"]
    arguments += ["--claim", "same predictions within 5%"]
    with serve(behave) as service:
        arguments += ["--baseline", service.url + "/fp32", "--candidate", service.url + "/same"]
        assert cli.invoke([*arguments, "--dry-run"]) == 0
        assert not (tmp_path / "out").exists()
        plan = capsys.readouterr().out
        assert cli.invoke(arguments) == 3
        first = capsys.readouterr().out.split("\n\n")[0]
        cli.invoke(arguments)
        again = capsys.readouterr().out.split("\n\n")[0]
    # How many were sent when somebody looked is not for word by word.
    first = "\n".join(line for line in first.splitlines() if not line.startswith("  sent "))
    text = f"{plan}\n{first}\n\n{again}\n"
    golden("replay.txt", text.replace(str(tmp_path), "DIR").replace(service.url, "http://HOST"))
    lines = (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()
    rejected = [json.loads(line) for line in lines]
    assert [(row["line"], row["reason"]) for row in rejected] == [
        (41, "duplicate id"), (42, "not JSON"),
    ]  # fmt: skip


# -- the spec ---------------------------------------------------------------------------------

SPEC = """
inputs: {inputs}
out: {out}
output: class:label
rate: none
batch: 4
columns: {{id: key}}
options: {{body: {{rows: $inputs}}, answers: found}}
baseline: {{address: "{url}/fp32", headers: {{X-Variant: old}}}}
candidate: "{url}/int8"
"""


def test_a_spec_holds_the_options_and_the_command_line_wins(tmp_path, capsys):
    source = tmp_path / "inputs.jsonl"
    source.write_text("".join(f'{{"key": "k{i}", "x": {i}}}\n' for i in range(8)))

    def answer(request):
        return Reply(body={"found": [{"label": "a"} for _ in request.body["rows"]]})

    with serve(answer) as service:
        spec = tmp_path / "replay.yaml"
        spec.write_text(SPEC.format(inputs=source, out=tmp_path / "out", url=service.url))
        code = cli.invoke(["replay", "--spec", str(spec), "--batch", "2", "--yes"])
        assert code == 0, capsys.readouterr().err
        assert len(service.requests) == 16
        old = [request for request in service.requests if request.path == "/fp32"]
        assert {request.headers.get("X-Variant") for request in old} == {"old"}
    pairs = pq.read_table(tmp_path / "out" / "pairs.parquet")
    assert pairs["request_id"].to_pylist()[0].startswith("k")


BAD_SPECS = [
    ("baselin: x", "baselin: there is no such option; there are baseline, batch, "),
    ("dry-run: true", "dry_run: there is no such option"),
    ("options: [1]", "options and columns of a spec are names and values"),
    ("[1", "is no YAML"),
    ("- 1", "holds list, not keys and values"),
]


@pytest.mark.parametrize(("text", "said"), BAD_SPECS)
def test_a_spec_that_cannot_be_meant(tmp_path, capsys, text, said):
    (tmp_path / "s.yaml").write_text(text)
    assert cli.invoke(["replay", "--spec", str(tmp_path / "s.yaml")]) == 2
    assert said in capsys.readouterr().err


def test_values_of_a_spec_are_checked_like_options(tmp_path, capsys):
    (tmp_path / "s.yaml").write_text("inputs: a\nbaseline: b\ncandidate: c\nout: d\nbatch: many\n")
    assert cli.invoke(["replay", "--spec", str(tmp_path / "s.yaml")]) == 2
    assert "'many' is not a valid integer" in capsys.readouterr().err


# -- on a terminal ----------------------------------------------------------------------------


def test_on_a_terminal_one_is_asked(tmp_path, capsys, monkeypatch):
    source = write(tmp_path / "inputs.jsonl", 3)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    with serve(behave) as service:
        arguments = ["replay", "--inputs", source, "--baseline", service.url, "--candidate"]
        arguments += [service.url, "--out", str(tmp_path / "out"), "--output", "class:label"]
        assert cli.invoke(arguments) == 130
        assert service.requests == []
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "y")
        assert cli.invoke([*arguments, "--rate", "none"]) == 0
    assert "send 12 requests?" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "1 s"), (119, "119 s"), (7000, "117 min"), (9000, "2.5 h")]
)
def test_durations(seconds, text):
    assert words._duration(seconds) == text


# -- from Python ------------------------------------------------------------------------------


def test_functions_from_python(tmp_path):
    def old(payloads):
        return [{"p": {"a": 0.7, "b": 0.3}} for _ in payloads]

    def new(payloads):
        return [{"p": {"a": 0.2, "b": 0.8}} if x % 2 else None for x in payloads]

    found = nibai.replay(list(range(12)), old, new, output="proba:p", batch=4, out=tmp_path)
    rows = found.tables.pairs.to_pylist()
    assert json.loads(rows[0]["baseline"]) == {"a": 0.7, "b": 0.3}
    assert rows[0]["margin"] == pytest.approx(0.4)
    assert sum(row["candidate_invalid"] == "missing path" for row in rows) == 6
    assert isinstance(found.tables.noise, pa.Table)
    again = nibai.replay(list(range(12)), old, new, output="proba:p", batch=4, out=tmp_path)
    assert again.progress.tries == 0
    assert again.tables.pairs.equals(found.tables.pairs)


def test_errors_from_python():
    def broken(_):
        raise RuntimeError("out of memory")

    with pytest.raises(CollectError, match="out of memory; check the target"):
        nibai.replay(list(range(100)), broken, broken)
    with pytest.raises(UsageError, match="no option 'batchs'; there are budget, "):
        nibai.replay([1], broken, broken, batchs=3)
    with pytest.raises(UsageError, match="is no target"):
        nibai.replay([1], "nowhere", broken)
    with pytest.raises(UsageError, match="the inputs: holds no rows"):
        nibai.replay([], broken, broken)


def test_columns_may_be_listed():
    assert command._named(["id=a", "input=b"], "--columns") == {"id": "a", "input": "b"}
    assert command._named([""], "--columns") == {}


def test_texts_are_digests_unless_asked_for():
    def talk(prompts):
        return [f"You said {prompt}." for prompt in prompts]

    rows = nibai.replay(["hi"], talk, talk, output="text").tables.pairs.to_pylist()
    assert "hi" not in str(rows[0]["baseline"])
    assert rows[0]["baseline"] == rows[0]["candidate"]
    rows = nibai.replay(["hi"], talk, talk, output="text", keep_texts=True).tables.pairs.to_pylist()
    assert rows[0]["baseline"] == "You said hi."


def test_chats_keep_why_they_ended_and_the_tools_they_call(tmp_path, capsys):
    def talk(request):
        said = request.body["messages"][0]["content"]
        call = {"function": {"name": "add", "arguments": '{"a": 1}'}}
        message = {"content": None, "tool_calls": [call]} if said == "1+1" else {"content": said}
        reason = "tool_calls" if said == "1+1" else "length"
        if request.path.startswith("/broken"):
            return Reply(body={"error": "no choices"})
        return Reply(body={"choices": [{"message": message, "finish_reason": reason}]})

    (tmp_path / "prompts.jsonl").write_text('"1+1"\n"tell me"\n')
    with serve(talk) as service:
        code = cli.invoke([
            "replay", "--inputs", str(tmp_path / "prompts.jsonl"), "--out", str(tmp_path / "out"),
            "--baseline", f"openai:{service.url}/v1", "--candidate", f"openai:{service.url}/broken",
            "-o", "model=m", "--rate", "none", "--keep-texts", "--yes",
        ])  # fmt: skip
    assert code == 0, capsys.readouterr().err
    tool, text = pq.read_table(tmp_path / "out" / "pairs.parquet").to_pylist()
    assert "add" in tool["baseline"]
    assert (tool["baseline_finish"], text["baseline_finish"]) == ("tool_calls", "length")
    assert text["baseline"] == "tell me"
    assert {tool["candidate_invalid"], text["candidate_invalid"]} == {"not a completion"}
    assert "--output text" in capsys.readouterr().out
