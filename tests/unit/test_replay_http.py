"""`nibai replay` against a real HTTP server in this process."""

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from support.replay_server import Reply, label, serve

from nibai import cli


@pytest.fixture
def replay(tmp_path, capsys):
    """Runs the command on n inputs {"x": i}; (exit code, text, error text, pairs, noise)."""
    source = tmp_path / "inputs.jsonl"

    def run(service, *more, n=40, rate="none", old="/old", new="/new"):
        source.write_text("".join(f'{{"id": "r{i}", "x": {i}}}\n' for i in range(n)))
        out = tmp_path / "out"
        given = ["replay", "--inputs", str(source), "--out", str(out), "--yes", "--rate", rate]
        given += ["--baseline", service.url + old, "--candidate", service.url + new]
        code = cli.invoke([*given, "--output", "class:label", *more])
        said = capsys.readouterr()
        return code, said.out, said.err, rows(out / "pairs.parquet"), rows(out / "noise.parquet")

    return run


def rows(path):
    return pq.read_table(path).to_pylist() if path.exists() else []


def test_every_input_gets_its_answers_from_both(replay):
    with serve() as service:
        code, out, _, pairs, noise = replay(service, "--batch", "8")
        assert code == 0
        assert len(service.requests) == 20
        for path in ("/old", "/new"):
            assert set(service.inputs(path).values()) == {2}
    assert "answered   20 of 20 requests" in out
    assert (len(pairs), len(noise)) == (40, 80)
    for row in pairs:
        number = int(row["request_id"][1:])
        assert row["baseline"] == row["candidate"] == ("odd" if number % 2 else "even")
        assert row["batch"] == 8
    assert Counter(row["variant"] for row in noise) == {"baseline": 40, "candidate": 40}


def test_the_rate_is_kept_as_the_server_sees_it(replay):
    with serve() as service:
        assert replay(service, "--concurrency", "8", n=10, rate="50/s")[0] == 0
        assert len(service.requests) == 40
        # Exact with a clock of our own (test_replay_engine); here the way may take 0.1 s.
        assert service.most_within(0.2) <= 50 * (0.2 + 0.1) + 1
        times = sorted(request.at for request in service.requests)
        assert all(at - times[0] >= i / 50 - 0.1 for i, at in enumerate(times))


def test_flips_of_one_variant_against_itself_are_in_the_noise(replay):
    def noisy(request):
        # Like int8 with dynamic quantization: the answer depends on the batch-mates.
        largest = max(item["x"] for item in request.body)
        return Reply(body=[{"label": str(largest)} for _ in request.body])

    def behave(request):
        return noisy(request) if request.path == "/new" else label(request)

    with serve(behave) as service:
        _, _, _, _, noise = replay(service, "--batch", "4")
    flips = Counter(row["variant"] for row in noise if row["baseline"] != row["candidate"])
    assert flips["baseline"] == 0
    assert flips["candidate"] > 20


def test_429_503_resets_and_timeouts_are_tried_again_within_the_budget(replay):
    trouble = [
        Reply(429, {"error": "slow down"}, {"Retry-After": "0.2"}),
        Reply(503),
        Reply(0),
        Reply(500, raw=b"\xff\x00 oops"),
        Reply(delay=0.9, body={"label": "late"}),
    ]

    def behave(request):
        step, rest = divmod(request.number, 3)
        return trouble[step] if rest == 0 and step < len(trouble) else label(request)

    with serve(behave) as service:
        code, out, _, pairs, _ = replay(service, "-o", "timeout=0.6s", "--budget", "40", n=6)
        assert code == 0
        assert 24 + len(trouble) <= len(service.requests) <= 40
    assert not any(row["baseline_invalid"] or row["candidate_invalid"] for row in pairs)
    failed = next(line for line in out.splitlines() if "failed" in line)
    for kind in ("1 throttled", "1 http_503", "1 connection", "1 http_500", "1 timeout"):
        assert kind in failed


def test_what_never_works_is_an_invalid_answer(replay):
    def behave(request):
        x = request.body["x"]
        if request.path == "/new" and x < 4:
            return [Reply(400), Reply(raw=b"{"), Reply(body={}), Reply(body={"label": None})][x]
        return label(request)

    with serve(behave) as service:
        code, out, _, pairs, _ = replay(service, n=10)
    assert code == 0
    found = {row["request_id"]: row["candidate_invalid"] for row in pairs}
    expected = {"r0": "http_400", "r1": "unparsable", "r2": "missing path", "r3": "missing path"}
    assert {name: kind for name, kind in found.items() if kind} == expected
    assert all(row["baseline_invalid"] is None for row in pairs)
    assert len(pairs) == 10
    assert "2 http_400" in out


def test_a_batch_of_the_wrong_size_is_invalid_as_a_whole(replay):
    def behave(request):
        reply = label(request)
        if request.path == "/new":
            reply.body = reply.body[1:]
        return reply

    with serve(behave) as service:
        code, _, err, _, _ = replay(service, "--batch", "8", "--give-up-after", "2")
        assert code == 5
        assert "candidate: 2 requests in a row without one valid answer (no answer)" in err


def test_the_body_is_what_the_template_says(replay):
    def behave(request):
        answers = [{"name": f"n{item['x']}"} for item in request.body["instances"]]
        return Reply(body={"predictions": answers, "k": request.body["parameters"]})

    body = {"instances": "$inputs", "parameters": {"top": 1}}
    with serve(behave) as service:
        code, _, _, pairs, _ = replay(
            service, "-o", f"body={json.dumps(body)}", "-o", "answers=predictions",
            "--output", "class:name", "--batch", "3",
        )  # fmt: skip
    assert code == 0
    assert {row["baseline"] for row in pairs} == {f"n{i}" for i in range(40)}


def test_secrets_are_sent_and_never_said(replay, monkeypatch):
    monkeypatch.setenv("MODEL_TOKEN", "s3cr3t-value")

    def behave(request):
        return Reply(403, {"you sent": request.headers.get("Authorization")})

    with serve(behave) as service:
        code, out, err, _, _ = replay(
            service, "-o", "token=env:MODEL_TOKEN", "--give-up-after", "1",
            old="/old?api_key=hidden",
        )  # fmt: skip
        assert service.requests[0].headers["Authorization"] == "Bearer s3cr3t-value"
    assert code == 5
    assert "HTTP 403" in err
    assert "Bearer ***" in err
    assert "s3cr3t" not in out + err
    assert "hidden" not in out + err


def test_401_ends_the_run_and_the_next_goes_on(replay):
    refused = True

    def behave(request):
        return Reply(401) if refused and request.number >= 10 else label(request)

    with serve(behave) as service:
        code, _, err, pairs, _ = replay(service, n=10)
        assert code == 5
        assert (
            "HTTP 401: null; check the credentials, then run the same replay again to go on" in err
        )
        refused = False
        code, out, _, pairs, _ = replay(service, n=10)
        assert code == 0
    assert len(pairs) == 10
    assert "left" in out


def test_a_server_that_is_not_there(replay):
    with serve() as service:
        pass
    code, _, err, pairs, _ = replay(service, "--retries", "0", "--give-up-after", "3")
    assert code == 5
    assert "(connection)" in err
    assert "is it up?" in err
    assert pairs == []


REFUSED = [
    (["--rate", "fast"], "--rate fast: a rate is written like 10/s, 90/m or 500/h, or none"),
    (["--budget", "10"], ("the plan needs 160 requests, more than the budget of 10 requests "
     "(--budget): raise it, or take fewer inputs (--sample 2)")),
    (["--price", "0.01", "--budget-usd", "1"], ("the plan needs 160 requests, more than $1, which "
     "pays 100 requests (--budget-usd): raise it, or take fewer inputs (--sample 25)")),
    (["--budget-usd", "1"], "--budget-usd needs --price, the price of one request"),
    (["-o", "tiemout=3s"], "target option tiemout: extra inputs are not permitted (got '3s')"),
    (["-o", "timeout=soon", "-o", "token=abc"], ("target option token: a secret is a reference: "
     "env:NAME or file:PATH, never the value itself\ntarget option timeout: a duration is written "
     "like 90s, 15m, 2h or 30d (got 'soon')")),
    (["-o", 'headers={"X-Api-Key": "abc"}'], ("header X-Api-Key takes a reference, never the "
     "secret itself: env:NAME or file:PATH")),
    (["-o", 'body={"a": "$input"}', "--batch", "2"], (
     'body: a batch of 2 needs "$inputs" somewhere '
     'in it, the list of inputs; or send one at a time (--batch 1) with "$input"')),
    (["--columns", "idd=x"], ("--columns idd=…: there is no such role; there are id, input, "
     "segment, label")),
    (["--columns", "id"], "--columns id: write --columns NAME=VALUE"),
    (["--baseline", "ftp://x"], ("--baseline ftp://x: no target is called 'ftp': give an address "
     "(https://…) or KIND:ADDRESS; kinds: ")),
    (["--baseline", "https://me:pass@x/"], ("target option address: a secret does not belong into "
     "an address: use token: env:NAME")),
    (["--price", "-1"], "--price -1: give a number above 0"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "text"), REFUSED, ids=[more[1] for more, _ in REFUSED])
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(replay, more, text):
    with serve() as service:
        code, _, err, _, _ = replay(service, *more)
        assert code == 2
        assert service.requests == []
    assert err.startswith(f"nibai: {text}")


def test_nothing_is_sent_without_a_yes(replay, tmp_path, capsys):
    with serve() as service:
        replay(service, "--dry-run")
        assert service.requests == []
        arguments = ["replay", "--inputs", str(tmp_path / "inputs.jsonl"), "--out", str(tmp_path)]
        arguments += ["--baseline", service.url, "--candidate", service.url]
        assert cli.invoke(arguments) == 2
        assert service.requests == []
    assert "add --yes to send" in capsys.readouterr().err
