"""A watched endpoint behind a simulated CloudWatch whose minutes may fill up late.

Read by the real collector through boto3, as `nibai run` would: hourly, and every five minutes near
a change. The slowest fifth of a minute's requests may be late, so that what is there of a young
minute looks faster than it was. Time is given.
"""

import shutil

import numpy as np
from fakeaws.metrics import Metrics
from fakeaws.server import FakeAws

from nibai.app.audit import Desk
from nibai.app.collect import collect, configured, until_due
from nibai.app.watch import Watch
from nibai.claims import parse
from nibai.config import Config
from nibai.model import Change
from nibai.stats.settling import AGES_SECONDS, HOUR
from nibai.store.lake.delta import Lake
from nibai.store.state.database import open_state
from nibai.store.state.settling import learned_ages

ACCOUNT, REGION = "123456789012", "eu-west-1"
ENDPOINT = f"sagemaker/{ACCOUNT}.{REGION}/chat"
SOURCE = f"cloudwatch-{ACCOUNT}-{REGION}"
DIMENSIONS = (("EndpointName", "chat"), ("VariantName", "blue"))
START = 1_764_000_000 // 86_400 * 86_400.0
PAST_SECONDS = 10 * 86_400.0
"""Read at once, at first: what a watch compares with, and nothing that tells an age."""

DELAY, FIVE_MINUTES, HALF_HOUR = 180.0, 300.0, 1800.0
REQUESTS, EVERY, LATE_SHARE = 20, 2, 0.2
"""Requests of a minute that has any, one in so many; of them so many may be late."""


class LateCloudWatch:
    """`folder` holds lake and state; `late_seconds`: until when a late request may come."""

    def __init__(
        self, folder, monkeypatch, *, seed=7, metrics=None, now=START, past=PAST_SECONDS, **section
    ):
        self.folder, self.rng = folder, np.random.default_rng(seed)
        self.now, self.made_until = now, now - past
        self.metrics = Metrics(now, page=100_800) if metrics is None else metrics
        self.factor, self.late_seconds = 1.0, 0.0
        self.notes = {}
        monkeypatch.setattr("time.time", lambda: self.now)
        monkeypatch.setattr("time.sleep", lambda _: None)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
        self.monkeypatch, self.section = monkeypatch, section
        self.fake = FakeAws(cloudwatch=self.metrics)
        self.fake.__enter__()
        told = {
            "account": ACCOUNT, "region": REGION, "endpoints": {"chat": ["blue"]},
            "metrics": ["ModelLatency"], "errors": False, "own_range": False,
            "detail": "TC 109", "endpoint_url": self.fake.url, **section,
        }  # fmt: skip
        self.config = Config.model_validate({"data": str(folder / "data"), "cloudwatch": [told]})
        self.sources = configured(self.config)
        self.state = open_state(self.config.state_address)
        self.desk = Desk(self.state, Lake(folder / "data" / "lake"), lambda: self.now)

    def close(self):
        self.state.close()
        self.fake.__exit__(None, None, None)

    def branch(self, folder, *, seed, **section):
        """The same past, going on in another folder; `section`: what is configured otherwise."""
        shutil.copytree(self.folder / "data", folder / "data")
        metrics = Metrics(self.now, page=100_800)
        for series, minutes in self.metrics.values.items():
            metrics.values[series] = dict(minutes)
        metrics.late = dict(self.metrics.late)
        made = LateCloudWatch(
            folder,
            self.monkeypatch,
            seed=seed,
            metrics=metrics,
            now=self.now,
            **{**self.section, **section},
        )
        made.made_until, made.late_seconds = self.made_until, self.late_seconds
        return made

    # -- traffic and readings ---------------------------------------------------------------
    def pass_time(self, until):
        """Requests up to a moment, late ones with when they come."""
        for minute in range(int(self.made_until // 60), int(until // 60)):
            if minute % EVERY:
                continue
            values = np.sort(self.rng.lognormal(-2, 0.4, REQUESTS)) * self.factor * 1e6
            there = np.full(REQUESTS, (minute + 1) * 60.0)
            slow = slice(-round(LATE_SHARE * REQUESTS), None)
            there[slow] += self.rng.uniform(0, self.late_seconds, there[slow].shape)
            late = there if self.late_seconds else None
            self.metrics.publish(
                "AWS/SageMaker", "ModelLatency", DIMENSIONS, minute, values, there=late
            )
        self.made_until, self.now = until, until

    def read(self):
        """One `nibai collect --once`, as often as it says that it is due; what it noted is kept."""
        self.metrics.now = self.now
        for _, done in collect(self.config, self.sources, clock=lambda: self.now):
            assert not done.problems, done.problems
            for text, number in done.notes.items():
                self.notes[text] = self.notes.get(text, 0) + number

    def hours(self, count):
        """So many hours read hourly, three minutes after each hour."""
        for _ in range(count):
            self.pass_time(self.now - self.now % HOUR + HOUR + DELAY)
            self.read()

    @property
    def learned(self):
        """What is learned of its minutes."""
        return learned_ages(self.state, ENDPOINT, self.now).get(SOURCE)

    # -- the watch --------------------------------------------------------------------------
    @staticmethod
    def change_at(moment, claim="model_latency 1.1x faster at p50"):
        return Change("", ENDPOINT, effective_at=moment, sentences=(parse(claim),))

    def declare(self, claim):
        """A change that lands at the next hour."""
        self.pass_time(self.now - self.now % HOUR + HOUR)
        self.change = self.desk.declare(self.change_at(self.now, claim))
        self.watch = Watch(self.desk, self.change, 0.95)
        self.ages = []

    def follow(self, hours, *, every=HALF_HOUR):
        """Read and look on, first when a block's minutes are ten minutes old.

        Returns how many minutes after the end of the block that decides it was known; None: never.
        """
        stop = self.now + hours * HOUR
        self.pass_time(self.now + HALF_HOUR + AGES_SECONDS[0] + DELAY)
        while self.now <= stop:
            self.read()
            self.watch.look(self.now)
            self.ages.append(None if self.learned is None else self.learned.age_seconds)
            if self.watch.decided:
                ends = [part.pairs.end(part.track.last) for part in self.watch.parts]
                return (self.now - max(ends)) / 60
            self.pass_time(self.now + every)
        return None

    def follow_as_collect(self, hours):
        """The same, read when `nibai collect` reads by itself; returns how often it did, too."""
        [source] = self.sources
        stop, readings = self.now + hours * HOUR, 0
        due, read = {source.name: self.now}, {source.name: self.now}
        while self.now <= stop:
            until_due(self.config, self.sources, due, read, clock=lambda: self.now,
                      sleep=lambda seconds: self.pass_time(self.now + seconds))  # fmt: skip
            readings += 1
            if due[source.name] <= self.now:
                due[source.name] = self.now + source.every_seconds
            read[source.name] = self.now
            self.read()
            self.watch.look(self.now)
            if self.watch.decided:
                ends = [part.pairs.end(part.track.last) for part in self.watch.parts]
                return (self.now - max(ends)) / 60, readings
        return None, readings

    @property
    def verdict(self):
        return self.watch.sentence_verdict(self.change.sentences[0])

    @property
    def values(self):
        """Ratios as estimated, old to new."""
        return [2**part.track.value for part in self.watch.parts]
