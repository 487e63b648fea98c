"""One AWS account of which every request is known, and nibai's commands run against it over HTTP.

A user's walk: endpoints serve, something is deployed, they serve on; the commands only see what the
fakes answer. Time is the fake's own.
"""

import contextlib
import io
import json
import re
from datetime import datetime

import numpy as np
from fakeaws.cloudtrail import CloudTrail
from fakeaws.metrics import Metrics
from fakeaws.s3 import S3
from fakeaws.sagemaker import ACCOUNT, REGION, SageMaker
from fakeaws.server import FakeAws

from collector.cloudwatch.cadence import name
from collector.cloudwatch.series import PUBLISHED, variant_series
from nibai import cli
from nibai.store.state.database import open_state
from support.sagemaker import NOW, SCOPE

MINUTE = 60
DAY = 86_400
NAMESPACE = "AWS/SageMaker"
REQUESTS = 16
"""A minute."""

SLOW_SHARE = 0.02


class World:
    """`folder` is where commands run; `backends` are services beside those that always answer."""

    def __init__(self, folder, monkeypatch, *, seed=31, requests=REQUESTS, **backends):
        self.folder, self.requests = folder, requests
        self.aws, self.metrics = SageMaker(NOW), Metrics(NOW, page=5000)
        self.trail, self.s3 = CloudTrail(NOW), S3()
        self.backends = {
            "sagemaker": self.aws, "cloudwatch": self.metrics, "cloudtrail": self.trail,
            "s3": self.s3, **backends,
        }  # fmt: skip
        self.aws.s3 = self.s3
        self.truth = {}
        self.rng = np.random.default_rng(seed)
        monkeypatch.setattr("time.time", lambda: self.now)
        monkeypatch.setattr("time.sleep", lambda _: None)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
        monkeypatch.chdir(folder)
        self.monkeypatch = monkeypatch

    @property
    def now(self):
        return self.aws.now

    def wait(self, seconds):
        self.aws.now += seconds

    def read_until(self, units, moment):
        """CloudWatch was read up to here, as by a collector that has been running."""
        state = open_state(self.folder / "nibai-data" / "state.sqlite")
        account = f"{ACCOUNT}.{REGION}"
        series = [variant_series(PUBLISHED[0], account, endpoint, unit)
                  for endpoint, names in units.items() for unit in names]  # fmt: skip
        source = f"cloudwatch-{ACCOUNT}-{REGION}"
        state.set_read_until(source, {name(one): moment for one in series}, ())
        state.close()

    # -- traffic --------------------------------------------------------------------------
    def minutes(self, count, factors, every=1):
        """The next minutes of every (endpoint, unit): its requests, slowed by its factor.

        A factor may be a pair: half of the requests each (two fleets under one name). There is
        traffic in one minute of `every`.
        """
        for minute in range(count):
            for (endpoint, unit), factor in factors.items() if minute % every == 0 else ():
                made = self.rng.lognormal(-2, 0.35, self.requests)
                made[self.rng.random(self.requests) < SLOW_SHARE] *= 4  # a heavy tail
                half = np.arange(self.requests) % 2
                made *= np.where(half, *factor) if isinstance(factor, tuple) else factor
                self.truth.setdefault((endpoint, unit), {})[self.now] = made
                self.publish(endpoint, unit, made)
            self.aws.now += MINUTE

    def publish(self, endpoint, unit, made):
        minute = int(self.now // MINUTE)
        dimensions = dimensions_of(endpoint, unit)
        self.metrics.publish(NAMESPACE, "ModelLatency", dimensions, minute, made * 1e6)

    def ratio(self, endpoint, units, audit, quantile):
        """The true speed-up of the single requests in both windows of an audit, old to new."""
        sides = zip(units, (audit["baseline"], audit["candidate"]), strict=True)
        old, new = (
            np.quantile(self.between(endpoint, unit, side["from"], side["until"]), quantile)
            for unit, side in sides
        )
        return float(old / new)

    def between(self, endpoint, unit, start, end):
        """Seconds of every request of a window (ISO times)."""
        first, last = (datetime.fromisoformat(one).timestamp() for one in (start, end))
        kept = self.truth[endpoint, unit].items()
        return np.concatenate([made for at, made in kept if first <= at < last])

    # -- commands -------------------------------------------------------------------------
    def nibai(self, *arguments):
        """(exit code, standard output, standard error) of a command in the folder."""
        for backend in self.backends.values():
            backend.now = self.now
        out, err = io.StringIO(), io.StringIO()
        with FakeAws(**self.backends) as fake:
            self.monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cli.invoke(list(arguments))
            self.asked = list(fake.seen)
        return code, out.getvalue(), err.getvalue()

    def audit(self, change, *arguments):
        """The document of an audit."""
        _, out, err = self.nibai("audit", change, "--format", "json", *arguments)
        assert out, err
        return json.loads(out)

    def changes(self):
        """What is known, by the endpoint's own name."""
        found = {}
        state = open_state(self.folder / "nibai-data" / "state.sqlite")
        for document in state.changes():
            found.setdefault(document["endpoint"].removeprefix(SCOPE), []).append(document)
        state.close()
        return found


def scrubbed(text):
    """The text with the same names in every run: ids are drawn, ports are free ones."""
    names = {}

    def numbered(match):
        kind = match.group(1)
        return names.setdefault(match.group(), f"{kind}-{len(names) + 1:08}")

    text = re.sub(r"\b(chg|aud)-[0-9a-f]{8}\b", numbered, text)
    return re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:PORT", text)


def dimensions_of(endpoint, unit):
    """As CloudWatch publishes a variant, or an inference component `ic:NAME`."""
    if unit.startswith("ic:"):
        return (("InferenceComponentName", unit.removeprefix("ic:")),)
    return (("EndpointName", endpoint), ("VariantName", unit))


PLACE = {"account": ACCOUNT, "region": REGION}
