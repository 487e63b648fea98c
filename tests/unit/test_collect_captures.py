"""`nibai collect` and `nibai audit` from Data Capture: real boto3, a fake S3, answers known."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import yaml
from fakeaws.metrics import Faults, Metrics, ServiceError
from fakeaws.s3 import S3
from fakeaws.server import FakeAws

from nibai import cli
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Engine
from nibai.store.state.database import open_state

HOUR = 3600.0
NOW = datetime(2026, 3, 1, 16, 20, tzinfo=UTC).timestamp()
FIRST = NOW - NOW % HOUR - 5 * HOUR
ENDPOINT = "sagemaker/123456789012.eu-west-1/chat"
BUCKET, PREFIX = "captures", "prod/chat"


@pytest.fixture
def account(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    monkeypatch.setattr("time.sleep", lambda _: None)
    found = Account(tmp_path, capsys)
    monkeypatch.setattr("time.time", lambda: found.now)
    return found


def captured(identity, text, label, at, **event):
    sides = {
        "endpointInput": {"mode": "INPUT", "data": json.dumps({"text": text})},
        "endpointOutput": {"mode": "OUTPUT", "data": json.dumps({"label": label})},
    }
    kind = {"observedContentType": "application/json", "encoding": "JSON"}
    moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "captureData": {name: kind | side for name, side in sides.items()},
        "eventMetadata": {"eventId": identity, "inferenceTime": moment, **event},
        "eventVersion": "0",
    }
    return json.dumps(document)


class Account:
    """Captures of one endpoint in S3, and how often CloudWatch says that it was invoked."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys, self.now = folder, capsys, NOW
        self.s3 = S3(page=3)
        self.metrics = Metrics(NOW)

    def put(self, variant, hour, name, lines, modified=None):
        moment = datetime.fromtimestamp(hour, UTC).strftime("%Y/%m/%d/%H")
        key = f"{PREFIX}/{variant}/{moment}/{name}.jsonl"
        data = "\n".join(lines).encode() if isinstance(lines, list) else lines
        self.s3.put(BUCKET, key, data, modified or hour + HOUR)
        return key

    def invoked(self, variant, hour, requests):
        dimensions = (("EndpointName", "chat"), ("VariantName", variant))
        self.metrics.publish(
            "AWS/SageMaker", "Invocations", dimensions, int(hour // 60), [1.0] * requests
        )

    def nibai(self, *arguments, **settings):
        with FakeAws(s3=self.s3, cloudwatch=self.metrics) as fake:
            section = {
                "account": "123456789012", "region": "eu-west-1", "endpoint": "chat",
                "destination": f"s3://{BUCKET}/prod", "variants": ["blue"],
                "answer": {"path": "$.label"}, "endpoint_url": fake.url, "since": "6h", **settings,
            }  # fmt: skip
            document = {"data": str(self.folder / "data"), "data_capture": [section]}
            path = self.folder / "nibai.yaml"
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            code = cli.invoke([*arguments, "--config", str(path)])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def collect(self, **settings):
        return self.nibai("collect", "--once", **settings)

    def answers(self):
        engine = Engine(Lake(self.folder / "data" / "lake"))
        return {variant: n for _, variant, _, _, _, n in engine.answers()}

    def kept(self):
        state = open_state(self.folder / "data" / "state.sqlite")
        try:
            return state.read_until("data_capture-123456789012-eu-west-1-chat")
        finally:
            state.close()


def requests(n, hour, flips=()):
    """n captured requests of an hour."""
    return [
        captured(f"e{hour}-{i}", f"text {hour} {i}", "cow" if i in flips else "cat", hour + i)
        for i in range(n)
    ]


def fill(account, variant="blue", hours=5, n=40):
    for number in range(hours):
        hour = FIRST + number * HOUR
        lines = requests(n, hour)
        account.put(variant, hour, "00-00-000-a", lines[: n // 2])
        account.put(variant, hour, "30-00-000-b", lines[n // 2 :])
        account.invoked(variant, hour, n)


def test_captures_are_read_once_whatever_is_listed_again(account):
    fill(account)
    code, out, err = account.collect()
    assert code == 0, err
    assert "200 answers read, 200 new" in out
    assert account.answers() == {"blue": 200}
    asked = len(account.s3.asked)
    code, out, err = account.collect()
    assert code == 0, err
    assert ", metered" in out
    assert account.answers() == {"blue": 200}
    again = account.s3.asked[asked:]
    assert [operation for operation, _ in again] == ["ListObjectsV2"] * 2, "nothing is read again"
    assert again[0][1] == f"{PREFIX}/blue/2026/03/01/14", "the last two whole hours are listed"


def test_late_files_and_late_lines_arrive_once(account):
    fill(account)
    account.collect()
    late = requests(45, FIRST + 4 * HOUR)
    account.put("blue", FIRST + 4 * HOUR, "10-00-000-c", late[40:])
    account.put("blue", FIRST + 4 * HOUR, "30-00-000-b", late[20:], modified=NOW)
    code, out, err = account.collect()
    assert code == 0, err
    assert "30 answers read, 5 new" in out
    assert account.answers() == {"blue": 205}


def test_marks_of_files_are_forgotten_with_their_hour(account):
    fill(account)
    account.collect()
    place = f"s3://{BUCKET}/{PREFIX}/blue/"
    kept = account.kept()
    assert kept.pop(place) == NOW - NOW % HOUR - 2 * HOUR
    assert len(kept) == 4, "two files of each of the two hours that may still fill"
    account.now = NOW + 5 * HOUR
    account.collect()
    assert list(account.kept()) == [place]


def test_answers_are_forgotten_when_promised_where_nothing_else_runs(account):
    fill(account)
    account.collect()
    account.now = NOW + 6 * 86400.0
    _, out, _ = account.collect()
    assert "lake: rolled up 2026-03-01; compacted" in out
    assert account.answers() == {"blue": 200}
    account.now = NOW + 8 * 86400.0
    code, out, err = account.collect()
    assert code == 0, err
    assert "deleted answers before 2026-03-02" in out
    assert account.answers() == {}
    assert "lake:" not in account.collect()[1], "once a day"


def test_a_dry_run_says_what_would_be_listed_and_asks_nothing(account):
    code, out, _ = account.nibai("collect", "--dry-run")
    assert code == 0
    assert not account.s3.asked
    assert account.metrics.requests == 0
    assert "lists s3://captures/prod/chat/blue/ from 2026/03/01/10h (UTC)" in out
    assert "keeps class answers, a digest of the input" in out


def test_broken_lines_are_counted_and_set_aside_without_their_content(account):
    lines = [*requests(3, FIRST), '{"captureData": "secret words"', "[]", '{"secret": 1}']
    account.put("blue", FIRST, "a", lines)
    code, out, err = account.collect()
    assert code == 0, err
    assert "3 answers read, 3 new" in out
    assert "1 lines left out: not JSON" in out
    assert "2 lines left out: no captured line" in out
    path = next((account.folder / "data" / "quarantine").iterdir())
    rows = [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()]
    assert [row["line"] for row in rows] == [4, 5, 6]
    assert "secret" not in path.read_text(encoding="utf-8")


def test_a_prefix_that_is_refused_leaves_the_others(account):
    fill(account)
    fill(account, "green")
    account.s3.denied.add(f"{PREFIX}/blue/")
    code, out, err = account.collect(variants=["blue", "green"])
    assert code == 5
    assert "200 answers read, 200 new" in out
    assert "s3://captures/prod/chat/blue/: s3:ListObjectsV2 in eu-west-1: refused" in err
    assert "allow s3:ListBucket" in err
    assert account.answers() == {"green": 200}
    account.s3.denied.clear()
    assert account.collect(variants=["blue", "green"])[0] == 0
    assert account.answers() == {"green": 200, "blue": 200}, "nothing was lost"


def test_a_place_without_any_file_is_told_until_one_comes(account):
    fill(account)
    for _ in range(2):
        code, _, err = account.collect(shadow=["green"])
        assert code == 5
        assert "s3://captures/prod/chat/green/: no file from 2026/03/01/10h (UTC) on" in err
    fill(account, "green")
    code, _, err = account.collect(shadow=["green"])
    assert code == 0, err
    account.s3.objects.clear()
    account.now += HOUR
    assert account.collect(shadow=["green"])[0] == 0, "no traffic since is nothing wrong"


def test_expired_credentials_end_the_reading_and_nothing_is_lost(account):
    fill(account)
    account.s3.error = ServiceError(400, "ExpiredToken", "The provided token has expired.")
    code, _, err = account.collect()
    assert code == 5
    assert "the credentials have expired: renew them" in err
    account.s3.error = None
    assert account.collect()[0] == 0
    assert account.answers() == {"blue": 200}


def test_a_connection_that_breaks_is_read_again_later(account):
    fill(account)
    key = account.put("blue", FIRST + HOUR, "30-00-000-b", requests(40, FIRST + HOUR)[20:])
    account.s3.cut.add(key)
    code, _, err = account.collect()
    assert code == 5
    assert f"s3://{BUCKET}/{key}: the connection broke" in err
    assert account.answers()["blue"] < 200
    account.s3.cut.clear()
    code, _, err = account.collect()
    assert code == 0, err
    assert account.answers() == {"blue": 200}


def audited(account, *arguments):
    """The one claim of the audit of a change that is declared now, and how the command ended."""
    code, out, err = account.nibai("changes", "declare", "--endpoint", ENDPOINT, *arguments)
    assert code == 0, err
    code, out, err = account.nibai("audit", out.strip(), "--format", "json")
    assert out, err
    [claim] = json.loads(out)["claims"]
    return claim, code


SHADOW = (
    "--kind", "int8", "--baseline-variant", "blue", "--candidate-variant", "green",
    "--claim", "same predictions within 2%",
)  # fmt: skip


def mirrored(account, flips=0.0, *, shared=True, n=200):
    """Five hours of n requests, every input twice, and the shadow's answers to them."""
    rng = np.random.default_rng(5)
    for number in range(5):
        hour = FIRST + number * HOUR
        texts = [f"text {hour} {i // 2}" for i in range(n)]
        ids = [f"e{hour}-{i}" for i in range(n)]
        flipped = np.repeat(rng.random(n // 2) < flips, 2)
        shadow = ids if shared else [f"other-{one}" for one in ids]
        for variant, named in (("blue", ids), ("green", shadow)):
            labels = ["cow" if one and variant == "green" else "cat" for one in flipped]
            rows = zip(named, texts, labels, strict=True)
            account.put(
                variant, hour, "a", [captured(*row, hour + i) for i, row in enumerate(rows)]
            )
            account.invoked(variant, hour, n)


@pytest.mark.parametrize(("shared", "key"), [(True, "request id"), (False, "input hash")])
def test_a_shadow_with_planted_flips_is_refuted(account, shared, key):
    # Whether both captures of a mirrored request carry one event id is not known: both are tried.
    mirrored(account, 0.08, shared=shared)
    code, _, err = account.collect(shadow=["green"])
    assert code == 0, err
    claim, code = audited(account, *SHADOW)
    assert (claim["verdict"], code) == ("refuted", 1)
    assert "of answers changed beyond the old variant's own 0%" in claim["reason"]
    assert "(500 pairs, shadow traffic, batch 1)" in claim["reason"]
    predictions = claim["evidence"]["predictions"]
    assert (predictions["level"], predictions["source"]) == ("A", "shadow")
    assert predictions["flips"]["value"] == pytest.approx(0.08, abs=0.03)
    assert f"answers of both variants are paired by {key}" in claim["evidence"]["notes"]


def test_an_hour_in_which_capturing_stopped_is_named_and_nothing_is_confirmed_over_it(account):
    mirrored(account, n=400)
    for hour in (FIRST, FIRST + HOUR):
        account.invoked("green", hour, 1000)
    account.collect(shadow=["green"])
    claim, code = audited(account, *SHADOW)
    assert (claim["verdict"], code) == ("inconclusive", 3)
    assert (
        "green captured 400 of about 1,000 answers in the hour from 2026-03-01 11:00 UTC (1 more "
        "hour falls short): capturing stops under load, what is missing is not missing at random"
    ) in claim["reason"]
    code, out, err = account.nibai("audit", "fleet", "--format", "json")
    assert code == 3, err
    assert "green captured 400 of about 1,000 answers" in out
    later = "2026-03-01T13:00Z/2026-03-01T17:00Z"
    claim, code = audited(account, *SHADOW, "--baseline", later, "--candidate", later)
    assert (claim["verdict"], code) == ("confirmed", 0), "hours outside do not matter"


@pytest.mark.parametrize("faults", [{"internal": range(9999)}, {"throttle": range(9999)}])
def test_hours_that_could_not_be_checked_are_checked_later(account, monkeypatch, faults):
    mirrored(account, n=100)
    account.invoked("green", FIRST, 250)
    account.metrics.faults = Faults(**faults)
    code, _, err = account.collect(shadow=["green"])
    assert code == 5
    assert "captures are not checked against Invocations" in err
    monkeypatch.setattr("time.time", lambda: NOW + 5 * HOUR)
    account.metrics.faults, account.metrics.now = Faults(), NOW + 5 * HOUR
    assert account.collect(shadow=["green"])[0] == 0
    claim, _ = audited(account, *SHADOW)
    assert claim["verdict"] == "inconclusive"
    assert "green captured 100 of about 250 answers" in claim["reason"]


def test_without_its_state_everything_is_read_again_and_stored_once(account):
    fill(account, hours=2)
    account.collect()
    (account.folder / "data" / "state.sqlite").unlink()
    code, out, err = account.collect()
    assert code == 0, err
    assert "80 answers read, 0 new" in out
    assert account.answers() == {"blue": 80}


def test_an_audit_says_since_when_nothing_was_read(account):
    mirrored(account, n=20)
    account.collect(shadow=["green"])
    account.now += 10 * HOUR
    account.s3.denied.add(f"{PREFIX}/green/")
    assert account.collect(shadow=["green"])[0] == 5
    _, out, _ = account.nibai("changes", "declare", "--endpoint", ENDPOINT, *SHADOW)
    _, out, _ = account.nibai("audit", out.strip(), "--format", "json")
    [note] = [note for note in json.loads(out)["notes"] if "no data since" in note]
    assert note.startswith(
        "no data since 2026-03-01T16:00:00Z: data_capture-123456789012-eu-west-1-chat was"
    )


def test_coverage_that_cannot_be_checked_is_said(account):
    fill(account)
    account.metrics.faults.errors = dict.fromkeys(
        range(9), ServiceError(403, "AccessDenied", "not authorized")
    )
    code, out, err = account.collect()
    assert code == 5
    assert "200 new" in out
    assert "captures are not checked against Invocations: cloudwatch:GetMetricData" in err


def test_one_variants_answers_before_and_after_are_found_without_any_latency(account):
    fill(account, n=20)
    account.invoked("blue", FIRST + 4 * HOUR, 2000)
    account.collect()
    given = ("--kind", "int8", "--at", "2026-03-01T14:00Z", "--claim", "same output mix within 5%")
    claim, code = audited(account, *given)
    assert (claim["verdict"], code) == ("not_comparable", 3)
    assert claim["reason"].startswith("outputs only; capture inputs, or replay")
    assert "; blue captured 20 of about 2,000 answers in the hour" in claim["reason"]
    assert claim["evidence"]["predictions"]["level"] == "D"
