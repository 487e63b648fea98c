"""What a source may cost in a month, over restarts, whichever source it is."""

from datetime import UTC, datetime

import pytest

from nibai import plugins
from nibai.app.collect import Source, collect, configured
from nibai.config import Config
from nibai.errors import StoreError
from nibai.model import Window
from nibai.protocols import Preview, Pulled
from nibai.store.metered import bill
from nibai.store.state import open_state

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
