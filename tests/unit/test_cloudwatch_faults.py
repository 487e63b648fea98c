"""CloudWatch with faults, through real boto3: nothing lost, nothing counted twice, all said."""

import numpy as np
import pytest
from fakeaws.metrics import Faults, Metrics, ServiceError
from fakeaws.server import FakeAws

from collector.cloudwatch.client import CloudWatchClient
from collector.cloudwatch.pace import Pace
from collector.cloudwatch.plan import Detail
from collector.cloudwatch.reading import CloudWatchSource
from collector.cloudwatch.series import PUBLISHED, variant_series
from nibai.errors import AuthError, CollectError
from nibai.model import Provenance

NOW = 1_764_000_000.0 // 3600 * 3600 + 180
SERIES = variant_series(PUBLISHED[0], "123456789012.eu-west-1", "chat", "blue")
MINUTES = 200


@pytest.fixture(scope="module")
def service():
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    with FakeAws(cloudwatch=Metrics(NOW)) as fake:
        yield fake, CloudWatchClient("eu-west-1", endpoint_url=fake.url, tries=1)
    patch.undo()


class Account:
    """One series of known requests, read on as `nibai collect` does, stored as the lake does."""

    def __init__(self, service):
        self.fake, self.client = service
        self.metrics = Metrics(NOW, page=1300)
        self.fake.backends["cloudwatch"] = self.metrics
        self.series = "AWS/SageMaker/ModelLatency/EndpointName=chat,VariantName=blue"
        self.stands = {self.series: NOW - 180 - 60 * (MINUTES - 180)}
        self.stored, self.notes, self.dollars, self.scalars = {}, {}, 0.0, set()
        self.observed = {}
        self.first = int(NOW // 60) - 3 - MINUTES
        rng = np.random.default_rng(2)
        for minute in range(self.first, self.first + MINUTES):
            self.publish(minute, rng.lognormal(-2, 0.4, 7))

    def publish(self, minute, values):
        self.metrics.publish(
            "AWS/SageMaker", "ModelLatency", SERIES.dimensions, minute, np.asarray(values) * 1e6
        )

    def read(self, faults=None, now=NOW, killed_after=None):
        """Read on; the error that ended it. `killed_after` so many parts nothing more is kept."""
        self.metrics.faults = faults or Faults()
        self.parts = 0
        source = CloudWatchSource(
            self.client,
            [SERIES],
            clock=lambda: now,
            wait=lambda _: None,
            detail=Detail.BUCKETS_28,
            pace=Pace(1e9, 1e12),
        )
        try:
            for part in source.pull(self.stands):
                self.stored |= {one.minute: one.count for one in part.observations}
                for one in part.observations:
                    self.observed.setdefault(one.minute, []).append(one)
                found = [one for one in part.observations if one.provenance is Provenance.SCALAR]
                self.scalars |= {one.minute for one in found}
                self.stands |= part.read_until
                self.stands = {k: at for k, at in self.stands.items() if k not in part.finished}
                self.notes |= part.notes
                self.dollars += part.dollars
                self.parts += 1
                if self.parts == killed_after:
                    break
        except CollectError as error:
            return error
        return None

    def keep_all(self, faults):
        """Read on; every observation of every minute."""
        self.observed = {}
        assert self.read(faults) is None
        return self.observed

    def complete(self):
        return self.stored == dict.fromkeys(range(self.first, self.first + MINUTES), 7)

    @property
    def until(self):
        return next(iter(self.stands.values()))


@pytest.fixture
def account(service):
    return Account(service)


def test_half_of_all_answers_are_throttled(account):
    assert account.read(Faults(throttle=range(0, 1000, 2))) is None
    assert account.complete()
    assert account.dollars == pytest.approx(account.metrics.billed_metrics * 1e-5)


def test_pages_that_are_lost_midway(account):
    before = account.until
    account.read(Faults(throttle=range(2, 40)))
    assert account.until == before, "what is missing does not count as read"
    assert account.notes["minutes of which something is missing"] > 0
    account.read()
    assert account.complete()


@pytest.mark.parametrize("faults", [Faults(partial=range(99)), Faults(internal=range(99))])
def test_answers_that_say_they_are_partial_or_failed(account, faults):
    before = account.until
    account.read(faults)
    assert account.until == before
    account.read()
    assert account.complete()


def test_what_was_read_whole_is_not_made_less_by_a_partial_answer(account):
    account.read()
    assert account.complete()
    asked = account.metrics.requests
    account.read(Faults(throttle=range(asked + 1, asked + 40)), now=NOW + 600)
    assert account.notes["minutes of which something is missing"] > 0
    assert account.complete()
    assert account.scalars == set()


def test_late_and_revised_minutes(account):
    late, revised = account.first + MINUTES - 2, account.first + MINUTES - 100
    values = account.metrics.values["AWS/SageMaker", "ModelLatency", SERIES.dimensions]
    hidden, values[revised] = values.pop(late), values[revised][:4]
    account.read()
    assert late not in account.stored
    assert account.stored[revised] == 4
    account.publish(late, np.array(hidden) / 1e6)
    account.publish(revised, np.ones(7))
    account.read(now=NOW + 3600)
    assert account.complete()


def test_final_minutes_whose_counts_do_not_add_up_are_asked_again_for_percentiles(account):
    """Two that are final and one that the next reading brings anyway."""
    final, young = (account.first + 3, account.first + 15), account.first + MINUTES - 1
    observed = account.keep_all(Faults(miscounted=(*final, young)))
    assert account.complete()
    kinds = {minute: [one.provenance for one in several] for minute, several in observed.items()}
    for minute in final:
        assert kinds[minute] == [Provenance.SCALAR, Provenance.PERCENTILE_FIT]
        assert observed[minute][1].buckets.size > 1
    assert kinds[young] == [Provenance.SCALAR]
    others = {tuple(kinds[minute]) for minute in kinds if minute not in (*final, young)}
    assert others == {(Provenance.TC,)}
    assert account.notes["minutes whose buckets do not add up to SampleCount"] == 3
    assert account.notes["minutes whose buckets do not add up are fitted from percentiles"] == 2
    assert account.dollars == pytest.approx(account.metrics.billed_metrics * 1e-5)
    counted = account.keep_all(Faults())
    assert [one.provenance for one in counted[young]] == [Provenance.TC]


def remembered(account):
    """Stretches that are to be asked again, as minutes."""
    marks = [(k, at) for k, at in account.stands.items() if k.startswith("again:")]
    return sorted((int(k.split(":")[1]) // 60, int(at) // 60) for k, at in marks)


def test_who_is_killed_before_minutes_were_asked_again_asks_for_them_the_next_time(account):
    final = (account.first + 3, account.first + 4, account.first + 15)
    account.read(Faults(miscounted=final), killed_after=1)
    first = account.first
    assert remembered(account) == [(first + 3, first + 5), (first + 15, first + 16)]
    assert account.scalars == set(final)
    account.observed = {}
    # The percentiles do not come: what was wished stays.
    asked = account.metrics.requests
    account.read(Faults(miscounted=final, throttle=range(asked, asked + 40)), now=NOW + 60)
    assert not account.observed
    assert len(remembered(account)) == 2
    account.read(Faults(miscounted=final), now=NOW + 120)
    assert remembered(account) == []
    for minute in final:
        assert account.observed[minute][0].provenance is Provenance.PERCENTILE_FIT
    assert account.complete()
    # They are asked once.
    account.observed = {}
    account.read(Faults(miscounted=final), now=NOW + 180)
    assert not set(account.observed) & set(final)


def test_what_is_not_kept_by_minutes_any_more_is_not_asked_again(account):
    final = (account.first + 3,)
    account.read(Faults(miscounted=final), killed_after=1)
    assert remembered(account)
    later = NOW + 15 * 86_400
    account.metrics.now = later
    account.stands |= {account.series: later - 180 - 3600}
    account.scalars = set()
    account.read(now=later)
    assert remembered(account) == []
    assert account.parts == 2, "one that forgets, one that was asked"


@pytest.mark.parametrize("ahead", [600, -600])
def test_a_clock_that_is_off(account, ahead):
    values = account.metrics.values["AWS/SageMaker", "ModelLatency", SERIES.dimensions]
    unpublished = {minute: values.pop(minute) for minute in list(values)[-5:]}
    account.read(now=NOW + ahead)
    (told,) = [text for text in account.notes if "clock" in text]
    way = "ahead of" if ahead > 0 else "behind"
    assert told.endswith(f"clock is 600 s {way} CloudWatch's")
    assert account.until <= NOW - 180
    values.update(unpublished)
    account.metrics._windows.clear()
    account.metrics.now = NOW + 3600
    account.read(now=NOW + 3600)
    assert account.complete()


@pytest.mark.parametrize(
    ("status", "code", "message", "said"),
    [
        (400, "ExpiredTokenException", "The security token is expired", "credentials have expired"),
        (400, "AccessDeniedException", "not authorized", "allow cloudwatch:GetMetricData"),
        (403, "InvalidSignatureException", "Signature expired: 20251124T is now earlier than",
         "this machine's clock is off by more than AWS accepts"),
        (400, "RequestExpired", "Request has expired", "clock is off"),
    ],
)  # fmt: skip
def test_refused_in_the_middle(account, status, code, message, said):
    error = account.read(Faults(errors={2: ServiceError(status, code, message)}))
    assert isinstance(error, AuthError)
    assert said in str(error)
    assert account.stored, "pages that came before are kept"
    assert account.dollars == pytest.approx(account.metrics.billed_metrics * 1e-5)
    assert account.read() is None
    assert account.complete()


def test_an_endpoint_that_is_gone_answers_nothing_and_is_no_error(account):
    account.metrics.values.clear()
    assert account.read() is None
    assert account.stored == {}
    assert account.until == NOW - 180
