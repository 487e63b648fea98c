"""Figures of AI benchmark jobs: what AWS measured of an endpoint, before and after a change.

A job writes `output.tar.gz` below its S3 location, and in it `profile_export_aiperf.json` (figures
of NVIDIA's AIPerf by name: unit, avg, p50 …) or, of a sweep, `search_history.json`. Whatever is
larger, of another shape or not plainly this job's is not read, and said. Two jobs of one workload,
one before the change and one after it, are a claim to verify; one alone is evidence.
Source: aws/sagemaker-python-sdk, the parser of benchmark results (Apache 2.0).
"""

from __future__ import annotations

import gzip
import io
import json
import math
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from collector.aws.session import Caller, pages
from collector.hourly.places import bucket_and_key
from collector.sagemaker.describe import PAGE
from collector.sagemaker.facts import text
from collector.sagemaker.figures import Figure
from collector.sagemaker.permitted import Permitted
from nibai.errors import CollectError
from nibai.protocols.discovery import Later

ARCHIVE, PROFILE, SWEEP = "output.tar.gz", "profile_export_aiperf.json", "search_history.json"
MOST_JOBS, MOST_LISTED = 200, 1000
MOST_BYTES, MOST_UNPACKED, MOST_PROFILE = 32 * 1024**2, 256 * 1024**2, 4 * 1024**2
MOST_MEMBERS = 10_000

LATER_SECONDS = 7 * 86_400.0
"""Jobs that are no older are added to the evidence of a change that was told so long ago."""

ASKED_AGAIN_SECONDS, REFUSED_SECONDS = 3600.0, 86_400.0

PROMISES = (
    ("request_latency", "p50", "model_latency {}x faster at p50"),
    ("request_latency", "p99", "model_latency {}x faster at p99"),
    ("time_to_first_token", "p50", "ttft {}x faster at p50"),
    ("inter_token_latency", "p50", "tpot {}x faster at p50"),
    ("request_throughput", "avg", "{}x more throughput"),
)
"""Name of a figure, its statistic, and what a ratio of two of them promises."""

Raw = Mapping[str, Any]


class OddError(ValueError):
    """Why a job's figures are not read."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one job measured: (value, unit) by name and statistic; `why` nothing is known."""

    name: str
    workload: str
    started: float
    ended: float
    figures: Mapping[tuple[str, str], tuple[float, str]]
    why: str = ""
    where: str = ""
    component: str = ""

    @property
    def said(self) -> str:
        """The job and its figures for people."""
        head = f"AI benchmark job {text(self.name)}"
        if self.why:
            return f"{head}: figures in {text(self.where)}, not read: {self.why}"
        told = (f"{n} {s} {v:g} {text(unit)}" for (n, s), (v, unit) in self.figures.items())
        return f"{head} (workload {text(self.workload)}): {', '.join(told)}"


class Benchmarks:
    """Finished benchmark jobs; without a `store` their figures are named, not read."""

    def __init__(self, caller: Caller, store: Caller | None, permitted: Permitted) -> None:
        self._caller = caller
        self._store = store
        self._permitted = permitted
        self._described: dict[str, Raw] = {}
        self._known: dict[str, Measured] = {}
        self._recent: list[str] = []
        self._later: dict[str, list[Later]] = {}
        self._asked_again_at = 0.0

    def figures(self, endpoint: str, component: str, began: float, over: float) -> list[Figure]:
        """Every job of an endpoint (of one of its components), and what two of them promise."""
        found = self._permitted.ask(
            lambda: self._jobs(endpoint, component), "benchmarks are unseen"
        )
        jobs = sorted(found or (), key=lambda one: one.ended)
        read = [one for one in jobs if not one.why]
        before = [one for one in read if one.ended <= began]
        promised = []
        for after in reversed([one for one in read if one.started >= over]):
            alike = [one for one in before if one.workload == after.workload]
            if alike:
                promised = ratios(alike[-1], after)
                break
        return [*promised, *(Figure("", 0.0, one.said) for one in jobs)]

    def later(self, endpoint: str, now: float) -> list[Later]:
        """What jobs of the last week say of an endpoint, also against the one before of a load.

        The list is asked once an hour for all endpoints; after a refusal once a day.
        """
        if now >= self._asked_again_at:
            self._asked_again_at = now + ASKED_AGAIN_SECONDS
            since = datetime.fromtimestamp(now - LATER_SECONDS, UTC)
            found = self._permitted.ask(
                lambda: self._listed(CreationTimeAfter=since), "benchmarks are unseen"
            )
            self._recent = found or []
            self._later.clear()
            if found is None:
                self._asked_again_at = now + REFUSED_SECONDS
        if endpoint not in self._later:
            self._later[endpoint] = self._recently(endpoint)
        return self._later[endpoint]

    def _recently(self, endpoint: str) -> list[Later]:
        own = [one for one in self._recent if _is_about(self._described[one], endpoint, "")]
        if not own:
            return []
        jobs = self._permitted.ask(lambda: self._jobs(endpoint, ""), "benchmarks are unseen") or []
        ordered = sorted(jobs, key=lambda one: one.ended)
        return [told for one in ordered if one.name in own for told in _told(one, ordered)]

    def _listed(self, **filters: object) -> list[str]:
        """Names of finished jobs, the newest first, each described."""
        listed = pages(
            self._caller, "ListAIBenchmarkJobs", "AIBenchmarkJobs", StatusEquals="Completed",
            SortBy="CreationTime", SortOrder="Descending", MaxResults=PAGE, **filters,
        )  # fmt: skip
        names = [str(one["AIBenchmarkJobName"]) for one in islice(listed, MOST_JOBS)]
        for name in names:
            if name not in self._described:
                self._described[name] = self._caller.call(
                    "DescribeAIBenchmarkJob", AIBenchmarkJobName=name
                )
        return names

    def _jobs(self, endpoint: str, component: str) -> list[Measured]:
        found = []
        for name in self._listed():
            told = self._described[name]
            if _is_about(told, endpoint, component):
                measured = self._known.get(name) or self._measured(name)
                if not measured.why:
                    self._known[name] = measured
                found.append(measured)
        return found

    def _measured(self, name: str) -> Measured:
        told = self._described[name]
        where = str(told["OutputConfig"]["S3OutputLocation"])
        workload = str(told.get("AIWorkloadConfigIdentifier", "")).rpartition("/")[2]
        made = told["CreationTime"]
        started, ended = (told.get(key, made).timestamp() for key in ("StartTime", "EndTime"))
        why, figures = "weights: false asks nothing of S3", {}
        if self._store is not None:
            try:
                why, figures = "", figures_of(self._archive(self._store, where, name))
            except OddError as error:
                why = str(error)
                self._permitted.problems[name] = f"AI benchmark job {text(name)}: {why}"
        components = _components(told)
        of = f"ic:{components[0]}" if len(components) == 1 else ""
        return Measured(name, workload, started, ended, figures, why, where, of)

    def _archive(self, store: Caller, where: str, name: str) -> bytes:
        try:
            bucket, prefix = bucket_and_key(where)
        except ValueError as error:
            raise OddError(f"its output location is not {error}") from None
        try:
            page = store.call("ListObjectsV2", Bucket=bucket, Prefix=prefix, MaxKeys=MOST_LISTED)
            there = {str(one["Key"]): int(one["Size"]) for one in page.get("Contents", ())}
            key = archive_of(there, name)
            return _body(store.call("GetObject", Bucket=bucket, Key=key)["Body"])
        except CollectError as error:
            raise OddError(str(error)) from error


def archive_of(sizes: Mapping[str, int], name: str) -> str:
    """The key of a job's archive among the objects below its output location.

    >>> archive_of({"out/a/output.tar.gz": 5, "out/b/output.tar.gz": 5}, "b")
    'out/b/output.tar.gz'
    """
    found = [key for key in sizes if PurePosixPath(key).name == ARCHIVE]
    own = [key for key in found if name in PurePosixPath(key).parts] if len(found) > 1 else found
    if len(own) != 1:
        raise OddError(f"{len(own) or len(found)} objects called {ARCHIVE} may be its own")
    if sizes[own[0]] > MOST_BYTES:
        raise OddError(f"{ARCHIVE} has {sizes[own[0]]:,} bytes, more than {MOST_BYTES:,}")
    return own[0]


def figures_of(archive: bytes) -> dict[tuple[str, str], tuple[float, str]]:
    """The figures that claims may be made of; OddError where the archive is another thing."""
    try:
        profile = json.loads(_profile(archive))
    except (ValueError, RecursionError) as error:
        if isinstance(error, OddError):
            raise
        raise OddError(f"{PROFILE} is not JSON") from None
    found = {}
    for name, statistic, _ in PROMISES:
        told = profile.get(name) if isinstance(profile, dict) else None
        if not isinstance(told, dict):
            continue
        value = _positive(told.get(statistic))
        if value is not None:
            found[name, statistic] = value, str(told.get("unit") or "")
    if not found:
        raise OddError(f"{PROFILE} holds none of the figures that are known")
    return found


def ratios(before: Measured, after: Measured) -> list[Figure]:
    """What two jobs of one workload promise of the change between them."""
    found = []
    for name, statistic, promise in PROMISES:
        old, new = (one.figures.get((name, statistic)) for one in (before, after))
        if old is None or new is None or old[1] != new[1]:
            continue
        ratio = new[0] / old[0] if "throughput" in name else old[0] / new[0]
        said = (
            f"AI benchmark jobs {text(before.name)} and {text(after.name)}: {name} {statistic} "
            f"{old[0]:g} {text(old[1])} before, {new[0]:g} {text(new[1])} after, of AWS's client"
        )
        found.append(Figure(promise, ratio, said))
    return found


def _told(one: Measured, jobs: Sequence[Measured]) -> list[Later]:
    """A job on its own, and against the last one of its workload that was over before."""
    alone = Later(one.started, one.said, one.component)
    before = [
        other
        for other in jobs
        if not other.why and other.workload == one.workload and other.ended <= one.started
    ]
    if one.why or not before:
        return [alone]
    last = before[-1]
    return [
        alone,
        *(
            Later(one.started, figure.said, one.component, last.ended)
            for figure in ratios(last, one)
        ),
    ]


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value > 0 else None


def _profile(archive: bytes) -> bytes:
    """The one profile of an archive, unpacked as a stream and not beyond its limits."""
    profiles: list[bytes] = []
    try:
        unpacked = io.BufferedReader(_Limited(archive), 1 << 18)
        with tarfile.open(fileobj=unpacked, mode="r|") as packed:
            for number, member in enumerate(packed):
                if number >= MOST_MEMBERS:
                    raise OddError(f"{ARCHIVE} holds more than {MOST_MEMBERS:,} files")
                name = PurePosixPath(member.name).name
                if name == SWEEP:
                    raise OddError("it is a sweep over loads, which has no single figure")
                body = packed.extractfile(member) if name == PROFILE else None
                if body is not None:
                    profiles.append(body.read(MOST_PROFILE + 1))
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise OddError(f"{ARCHIVE} is no archive ({type(error).__name__})") from None
    if len(profiles) != 1 or len(profiles[0]) > MOST_PROFILE:
        raise OddError(f"{ARCHIVE} holds {len(profiles)} readable {PROFILE}")
    return profiles[0]


class _Limited(io.RawIOBase):
    """Unpacks on until it was too much."""

    def __init__(self, packed: bytes) -> None:
        self._stream = gzip.GzipFile(fileobj=io.BytesIO(packed))
        self._left = MOST_UNPACKED

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as of RawIOBase
        """As of a file; OddError beyond the limit."""
        found = self._stream.read(len(buffer))
        self._left -= len(found)
        if self._left < 0:
            raise OddError(f"{ARCHIVE} unpacks to more than {MOST_UNPACKED:,} bytes")
        buffer[: len(found)] = found
        return len(found)


def _body(stream: Any) -> bytes:  # noqa: ANN401 - botocore's
    try:
        found: bytes = stream.read(MOST_BYTES + 1)
    except Exception as error:  # whatever the connection says
        raise OddError(f"{ARCHIVE} broke off ({type(error).__name__})") from error
    if len(found) > MOST_BYTES:
        raise OddError(f"{ARCHIVE} has more than {MOST_BYTES:,} bytes")
    return found


def _is_about(told: Raw, endpoint: str, component: str) -> bool:
    target = told["BenchmarkTarget"].get("Endpoint", {})
    if str(target.get("Identifier", "")).rpartition("/")[2] != endpoint:
        return False
    named = _components(told)
    return not named or not component or component in named


def _components(told: Raw) -> list[str]:
    target = told["BenchmarkTarget"].get("Endpoint", {})
    return [
        str(one.get("Identifier", "")).rpartition("/")[2]
        for one in target.get("InferenceComponents", ())
    ]
