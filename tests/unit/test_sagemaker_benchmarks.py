"""Figures of AI benchmark jobs: read from their archives within limits, or named and why not."""

import gzip
import io
import json
import tarfile

import pytest
from fakeaws.s3 import S3
from fakeaws.sagemaker import SageMaker, arn, at, variant
from fakeaws.server import FakeAws
from support.sagemaker import NOW, Account

from collector.aws.session import AwsClient
from collector.sagemaker import benchmarks
from collector.sagemaker.benchmarks import OddError, archive_of, figures_of

BEFORE = {
    "request_latency": {"unit": "ms", "avg": 900.0, "p50": 800.0, "p99": 2000.0},
    "time_to_first_token": {"unit": "ms", "p50": 120.0},
    "request_throughput": {"unit": "requests/sec", "avg": 4.0},
    "output_sequence_length": {"unit": "tokens", "avg": 200.0},
}
AFTER = {
    "request_latency": {"unit": "ms", "p50": 400.0, "p99": 2100.0},
    "time_to_first_token": {"unit": "s", "p50": 0.06},
    "request_throughput": {"unit": "requests/sec", "avg": 9},
}


def archive(*files):
    """A gzipped tar of (name, content)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files:
            told = tarfile.TarInfo(name)
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            told.size = len(body)
            tar.addfile(told, io.BytesIO(body))
    return packed.getvalue()


def profile(figures):
    return archive(("artifacts/run/profile_export_aiperf.json", figures))


@pytest.fixture(scope="module")
def account():
    with FakeAws(sagemaker=SageMaker(NOW), s3=S3()) as fake, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
        clients = [AwsClient(name, "eu-west-1", endpoint_url=fake.url, tries=1)
                   for name in ("sagemaker", "s3")]  # fmt: skip
        made = Account(fake, clients[0], store=clients[1])
        fake.backends["sagemaker"] = made.aws
        made.s3 = fake.backends["s3"]
        yield made


def job(account, name, started, body, *, workload="chat-load", endpoint="chat"):
    account.aws.benchmarks[name] = {
        "AIBenchmarkJobName": name, "AIBenchmarkJobArn": arn("ai-benchmark-job", name),
        "AIBenchmarkJobStatus": "Completed", "CreationTime": at(started),
        "StartTime": at(started), "EndTime": at(started + 600),
        "BenchmarkTarget": {"Endpoint": {"Identifier": arn("endpoint", endpoint)}},
        "OutputConfig": {"S3OutputLocation": "s3://bench/out/"},
        "AIWorkloadConfigIdentifier": workload, "RoleArn": arn("role", "somebody-who-benchmarks"),
    }  # fmt: skip
    account.s3.put("bench", f"out/{name}/output.tar.gz", body, started)


def test_two_jobs_around_a_change_are_claims_and_the_others_evidence(account):
    account.aws.config("c1", variant("blue", account.aws.model("m1"), kind="ml.g5.xlarge"))
    account.aws.endpoint("chat", "c1")
    account.look()
    job(account, "old", NOW - 7200, profile(BEFORE))
    job(account, "older", NOW - 9000, profile(AFTER))
    job(account, "swept", NOW - 3600, archive(("search_history.json", {}), ("x", b"y")))
    job(account, "elsewhere", NOW - 3600, profile(AFTER), endpoint="other")
    account.aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    account.aws.update("chat", "c2")
    # Measured after the change was over, and seen by the first look after that.
    job(account, "new", account.aws.now + 60, profile(AFTER))
    job(account, "odd-load", account.aws.now + 7200, profile(AFTER), workload="another")
    [change] = account.changes()
    assert [sentence.text for sentence in change.sentences] == [
        "model_latency 2x faster at p50", "2.25x more throughput",
    ]  # fmt: skip
    figures = [text for key, text in change.evidence.items() if key.startswith("AWS's figure")]
    assert figures[0] == (
        "AI benchmark jobs old and new: request_latency p50 800 ms before, 400 ms after, of AWS's "
        "client"
    )
    assert figures[1].endswith("p99 2000 ms before, 2100 ms after, of AWS's client")
    assert "AI benchmark job old (workload chat-load): request_latency p50 800 ms, " in figures[4]
    assert figures[5] == (
        "AI benchmark job swept: figures in s3://bench/out/, not read: it is a sweep over loads, "
        "which has no single figure"
    )
    assert not any("elsewhere" in text for text in figures)
    assert account.source.problems == (
        "AI benchmark job swept: it is a sweep over loads, which has no single figure",
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"no archive", "is no archive"),
        (gzip.compress(b"no tar" * 400), "is no archive"),
        (profile(BEFORE)[:-40], "is no archive"),
        (archive(("a/readme", b"")), "holds 0 readable profile"),
        (profile(b"{"), "is not JSON"),
        (profile(b"[" * 100_000), "is not JSON"),
        (profile(["figures"]), "holds none of the figures"),
        (profile({"request_latency": {"p50": "fast"}}), "holds none of the figures"),
        (profile({"request_latency": {"p50": -1, "p99": True}}), "holds none of the figures"),
        (
            archive(*((f"{i}/profile_export_aiperf.json", BEFORE) for i in range(2))),
            "holds 2 readable profile",
        ),
    ],
    # Archives hold the second they were made in: as names of tests they differ between workers.
    ids=[
        "text", "gzip of no tar", "cut short", "another file", "half a document", "too deep",
        "a list", "a text for a number", "impossible numbers", "two profiles",
    ],
)  # fmt: skip
def test_what_is_of_another_shape_is_not_read(body, why):
    with pytest.raises(OddError, match=why):
        figures_of(body)


def test_nothing_is_read_beyond_its_limits(monkeypatch):
    monkeypatch.setattr(benchmarks, "MOST_UNPACKED", 100_000)
    with pytest.raises(OddError, match="unpacks to more than 100,000 bytes"):
        figures_of(archive(("zeros", bytes(10**6)), ("profile_export_aiperf.json", BEFORE)))
    monkeypatch.setattr(benchmarks, "MOST_MEMBERS", 3)
    with pytest.raises(OddError, match="holds more than 3 files"):
        figures_of(archive(*((str(i), b"") for i in range(4))))
    with pytest.raises(OddError, match="has 99,999,999 bytes, more than 33,554,432"):
        archive_of({"out/output.tar.gz": 99_999_999}, "a")


@pytest.mark.parametrize("keys", [(), ("x/output.tar.gz", "y/output.tar.gz"), ("output.json",)])
def test_an_archive_that_is_not_plainly_its_own_is_not_read(keys):
    with pytest.raises(OddError, match=r"objects called output\.tar\.gz may be its own"):
        archive_of(dict.fromkeys(keys, 5), "a")


def test_jobs_after_a_change_was_told_are_its_evidence_and_are_read_once_an_hour(account):
    aws = account.aws
    aws.benchmarks.clear()
    aws.config("d1", variant("blue", aws.model("n1"), kind="ml.g5.xlarge"))
    aws.endpoint("later", "d1")
    account.look()
    job(account, "first", aws.now - 7200, profile(BEFORE), endpoint="later")
    aws.config("d2", variant("blue", "n1", kind="ml.g6.xlarge"))
    aws.update("later", "d2")
    [change] = account.changes()
    assert change.sentences == (), "one job alone is no claim"
    began = aws.now + 60
    job(account, "second", began, profile(AFTER), endpoint="later")
    job(account, "odd", began + 60, b"no archive", endpoint="later")
    aws.now += 3600
    [*_, sighting] = account.look()
    texts = {one.text: one for one in sighting.later}
    said = "AI benchmark jobs first and second: request_latency p50 800 ms before, 400 ms after"
    [pair] = [one for text, one in texts.items() if text.startswith(said)]
    assert (pair.started, pair.unit) == (began, "")
    assert pair.compared_since == aws.benchmarks["first"]["EndTime"].timestamp()
    assert any("AI benchmark job odd: figures in s3://bench/out/, not read" in t for t in texts)
    aws.calls.clear()
    [*_, again] = account.look()
    assert again.later == sighting.later
    assert not [call for call in aws.calls if "Benchmark" in call], "asked once an hour"
