"""What a source may cost in a month, over restarts, whichever source it is."""

from datetime import UTC, datetime

import numpy as np
import pytest
from fakeaws.metrics import Faults, Metrics
from fakeaws.server import FakeAws

from collector.cloudwatch.client import CloudWatchClient
from collector.cloudwatch.pace import Pace
from collector.cloudwatch.plan import Detail
from collector.cloudwatch.reading import CloudWatchSource
from collector.cloudwatch.series import PUBLISHED, variant_series
from collector.cloudwatch.units import Units
from nibai import plugins
from nibai.app.collect import Source, collect, configured
from nibai.config import Config
from nibai.errors import StoreError
from nibai.model import Window
from nibai.protocols import Preview, Pulled
from nibai.store.state.database import open_state
from nibai.store.state.metered import bill

MAY = datetime(2026, 5, 30, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


class Dear:
    """Asks `together` things at once, each for a dollar, as long as it is let."""

    series = ("a",)

    def __init__(self, together=1, *, fails=False):
        self.together, self.fails, self.asked = together, fails, 0

    def preview(self, read_until):
        del read_until
        return Preview(1, 0, 1.0, 1.0, "asks")

    def pull(self, read_until):
        del read_until
        for _ in range(100):
            self.asked += self.together
            for number in range(self.together):
                if self.fails:
                    yield Broken((), Window(MAY, MAY), {}, 1.0, {})
                settled = number == self.together - 1
                yield Pulled((), Window(MAY, MAY), {}, 1.0, {}, settled=settled)


class Broken(Pulled):
    """Cannot be stored."""

    @property
    def rejected(self):
        raise StoreError("the disk is full")

    @rejected.setter
    def rejected(self, _):
        pass


@pytest.fixture
def config(tmp_path):
    return Config.model_validate({"data": str(tmp_path)})


def read(config, puller, limit, at=MAY):
    """One process: it reads, says what it says, and ends."""
    source = Source("dear", puller, 60.0, 60.0, limit)
    ((_, done),) = collect(config, [source], clock=lambda: at)
    return done


@pytest.mark.parametrize(("together", "paid"), [(1, 7), (3, 6)])
def test_a_limit_holds_over_restarts_until_the_month_is_over(config, together, paid):
    puller = Dear(together)
    first = read(config, puller, 4.5)
    assert puller.asked == (4 if together == 1 else 3)
    for _ in range(2):
        again = read(config, puller, 7.5)
        assert puller.asked == paid
    assert again.dollars == 0.0
    said = (
        f"dear: ${paid}.0000 metered in 2026-05, what comes next may cost "
        f"${together}.0000, and the limit is $7.5000: nothing more is read this month; read less "
        "often (every), fewer endpoints or metrics, or raise dollars_per_month"
    )
    assert again.problems == [said]
    assert first.dollars + again.dollars <= 7.5
    june = read(config, puller, 7.5, at=MAY + 2 * DAY)
    assert june.dollars == paid


class Known(Dear):
    """A cheap question, then dear ones, and says so beforehand."""

    prices = (1.0, 5.0, 5.0)

    def first_dollars(self, read_until):
        del read_until
        return self.prices[0]

    def pull(self, read_until):
        del read_until
        for price, following in zip(self.prices, (*self.prices[1:], 0.0), strict=True):
            self.asked += 1
            yield Pulled((), Window(MAY, MAY), {}, price, {}, next_dollars=following)


@pytest.mark.parametrize(("limit", "asked"), [(0.5, 0), (5.5, 1), (6.5, 2), (11.0, 3)])
def test_what_is_known_to_pass_the_limit_is_not_asked(config, limit, asked):
    puller = Known()
    done = read(config, puller, limit)
    assert puller.asked == asked
    assert done.dollars <= limit
    assert bool(done.problems) == (asked < 3), "what ends with the last dollar is whole"


def test_the_first_question_of_a_month_may_cost_what_the_dearest_of_the_last_one_did(config):
    read(config, Dear(3), 7.5)
    puller = Dear(3)
    june = read(config, puller, 2.5, at=MAY + 2 * DAY)
    assert puller.asked == 0
    assert "$0.0000 metered in 2026-06, what comes next may cost $3.0000" in june.problems[0]


def test_cloudwatch_never_pays_more_than_it_said(monkeypatch):
    """Ranges, units, minutes of many series, and such that are asked again."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    dice, first = np.random.default_rng(4), int(MAY // 60) - 2000
    metrics = Metrics(MAY, faults=Faults(miscounted=range(first, first + 10)))
    wanted = [
        variant_series(PUBLISHED[0], "123456789012.eu-west-1", "chat", f"v{i}") for i in range(18)
    ]
    for series in wanted:
        for minute in range(first, first + 40, 10):
            metrics.publish(
                "AWS/SageMaker", "ModelLatency", series.dimensions, minute,
                dice.lognormal(-2, 0.4, 3) * 1e6,
            )  # fmt: skip
    with FakeAws(cloudwatch=metrics) as fake:
        client = CloudWatchClient("eu-west-1", endpoint_url=fake.url)
        source = CloudWatchSource(
            client, wanted, clock=lambda: MAY, wait=lambda _: None, own_range=True,
            detail=Detail.BUCKETS_28, pace=Pace(1e9, 1e12), units=Units(client, lambda: MAY),
        )  # fmt: skip
        stands = dict.fromkeys(source.series, MAY - 33 * 3600)
        said, paid, steps = source.first_dollars(stands), 0.0, []
        for part in source.pull(stands):
            paid += part.dollars
            if part.settled:
                steps.append((said, paid))
                said, paid = part.next_dollars, 0.0
    assert said == 0.0
    assert paid == 0.0
    assert len(steps) > 8
    assert all(paid <= said + 1e-12 for said, paid in steps)
    assert sum(paid for _, paid in steps) == pytest.approx(metrics.billed_metrics * 1e-5)
    exact = [said == pytest.approx(paid) for said, paid in steps[1:]]
    assert all(exact), "what is known beforehand is exact once ranges are known"


def test_what_was_paid_counts_also_where_it_could_not_be_kept(config, tmp_path):
    with pytest.raises(StoreError):
        read(config, Dear(fails=True), 10.0)
    state = open_state(tmp_path / "state.sqlite")
    assert bill(state, "dear", "2026-05").dollars == 1.0
    state.close()


def test_every_metered_source_may_have_a_limit(monkeypatch):
    place = {"account": "123456789012", "region": "eu-west-1"}
    limited = {**place, "dollars_per_month": 3.0}
    chat = {"chat": ["blue"]}
    monkeypatch.setattr(plugins, "load", lambda *_: Dear())
    document = {
        "cloudwatch": [
            {**limited, "endpoints": chat},
            {**limited, "endpoints": chat, "path": "promql", "region": "us-east-1"},
        ],
        "bedrock": [{**limited, "endpoints": {"chat": ["amazon.nova-lite-v1:0"]}}],
        "spans": [{**limited, "endpoint": "bedrock/1/chat"}],
        "data_capture": [
            {**limited, "endpoint": "chat", "destination": "s3://bucket/x", "variants": ["blue"]}
        ],
    }  # fmt: skip
    sources = configured(Config.model_validate(document))
    assert [one.dollars_per_month for one in sources] == [3.0] * 5
    document["spans"][0].pop("dollars_per_month")
    (free,) = configured(Config.model_validate({"spans": document["spans"]}))
    assert free.dollars_per_month == float("inf")
