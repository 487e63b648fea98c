"""When CloudWatch is read in which detail, what that costs, and what is read after faults."""

import numpy as np
import pytest
from fakeaws.metrics import Faults, Metrics, ServiceError

from collector.cloudwatch.cadence import (
    ALERT,
    BACKFILL_SECONDS,
    Cadence,
    Due,
    block_after,
    due,
    monthly,
    name,
    reached,
    waiting_words,
)
from collector.cloudwatch.pace import Pace
from collector.cloudwatch.plan import DAY, Detail, Wanted, monthly_dollars
from collector.cloudwatch.reading import CloudWatchSource
from collector.cloudwatch.series import PUBLISHED, variant_series
from collector.cloudwatch.source import configured_series
from nibai.errors import AuthError, CollectError, ConfigError, ThrottledError
from nibai.model import Provenance, Window

NOW = 1_764_000_000.0 // 3600 * 3600 + 180
ACCOUNT = "123456789012.eu-west-1"
SERIES = [variant_series(PUBLISHED[0], ACCOUNT, "chat", v) for v in ("blue", "green")]
ENDPOINT = SERIES[0].endpoint
NAMES = [name(one) for one in SERIES]


class Client:
    """The fake behind the client's seam."""

    def __init__(self, metrics):
        self._metrics = metrics

    def get_metric_data(self, **request):
        try:
            return self._metrics.get_metric_data(**request)
        except ServiceError as error:
            if error.code == "ThrottlingException":
                raise ThrottledError(error.message) from error
            if error.code == "AccessDenied":
                raise AuthError(error.message) from error
            raise CollectError(error.message) from error


def metrics(minutes=60, per_minute=20, **options):
    made = Metrics(NOW, **options)
    rng = np.random.default_rng(3)
    for one, factor in zip(SERIES, (1.0, 0.5), strict=True):
        for minute in range(int(NOW // 60) - minutes, int(NOW // 60)):
            values = factor * rng.lognormal(-2, 0.4, per_minute) * 1e6
            made.publish("AWS/SageMaker", "ModelLatency", one.dimensions, minute, values)
    return made


def source(made, now=NOW, **options):
    return CloudWatchSource(
        Client(made),
        SERIES,
        clock=lambda: now,
        wait=lambda _: None,
        pace=Pace(1e9, 1e12),
        **options,
    )


# -- what is due --------------------------------------------------------------------------------

OFTEN = Cadence(3600.0, 300.0)
WANTED = [Wanted(SERIES[0])]


def test_a_new_series_is_read_from_fifteen_days_back_in_whole_histograms():
    (one,) = due(WANTED, OFTEN, {}, {}, NOW)
    assert (one.mark, one.wanted.detail) == (NAMES[0], Detail.BUCKETS_109)
    assert one.window.start == NOW - 180 + 3600 - BACKFILL_SECONDS, "the oldest whole hour"


def test_between_two_audit_readings_nothing_is_due_far_from_a_change():
    stands = {NAMES[0]: NOW - 180 - 1800}
    assert due(WANTED, OFTEN, stands, {ENDPOINT: [NOW - 2 * DAY]}, NOW) == []
    (one,) = due(WANTED, OFTEN, {NAMES[0]: NOW - 180 - 3600}, {}, NOW)
    assert one.mark == NAMES[0]
    assert one.window.start == NOW - 180 - 4 * 3600, "the last three hours again"


def test_near_a_change_percentiles_of_the_newest_minutes_are():
    stands = {NAMES[0]: NOW - 180 - 1800}
    for moment in (NOW - DAY, NOW + DAY):
        (one,) = due(WANTED, OFTEN, stands, {ENDPOINT: [moment]}, NOW)
        assert (one.mark, one.wanted.detail) == (ALERT + NAMES[0], Detail.PERCENTILES)
        assert one.window.start == stands[NAMES[0]]
    (later,) = due(
        WANTED, OFTEN, {**stands, one.mark: NOW - 480}, {ENDPOINT: [NOW]}, NOW
    )  # the newest ten minutes again
    assert later.window.start == NOW - 480 - 600
    (always,) = due(WANTED, Cadence(3600.0, 300.0, always=True), stands, {}, NOW)
    assert always.mark == one.mark


def test_without_an_alert_cadence_every_reading_is_whole():
    (one,) = due(WANTED, Cadence(), {NAMES[0]: NOW - 180 - 60}, {ENDPOINT: [NOW]}, NOW)
    assert one.mark == NAMES[0]


BY_BLOCKS = Cadence(3600.0, 300.0, by_blocks=True)


def test_near_a_change_whole_histograms_are_read_once_a_block_is_ten_minutes_old():
    half = NOW - 180 - 1800  # a half hour ended then
    near = {ENDPOINT: [NOW]}
    for cadence, changes, known, minutes, whole in (
        (BY_BLOCKS, near, half - 60, 9, False),
        (BY_BLOCKS, near, half - 60, 10, True),
        (BY_BLOCKS, near, half + 600, 39, False),
        (BY_BLOCKS, near, half + 600, 40, True),
        (OFTEN, near, half - 60, 10, False),
        (BY_BLOCKS, {ENDPOINT: [NOW - 2 * DAY]}, half - 60, 10, None),
        (Cadence(3600.0, by_blocks=True), {}, half - 60, 10, True),
    ):
        found = due(WANTED, cadence, {NAMES[0]: known}, changes, half + minutes * 60 + 180)
        assert [one.mark == NAMES[0] for one in found] == ([] if whole is None else [whole])
    # Two days around one change a month: 48 readings more.
    more = monthly(WANTED, BY_BLOCKS) - monthly(WANTED, OFTEN)
    assert more == pytest.approx(48 * 23e-5)
    assert monthly(WANTED, Cadence(1800.0, 300.0, by_blocks=True)) == pytest.approx(
        monthly(WANTED, Cadence(1800.0, 300.0))
    )


def test_the_price_of_both_cadences():
    assert monthly(WANTED, Cadence()) == monthly_dollars(WANTED, 3600.0)
    extra = monthly(WANTED, Cadence(3600.0, 300.0, always=True)) - monthly(WANTED, Cadence())
    assert extra == pytest.approx(730 * 12 * 2e-5)
    around = monthly(WANTED, OFTEN) - monthly(WANTED, Cadence())
    assert around == pytest.approx(48 * 12 * 2e-5), "two days around one change a month"


# -- what is read -------------------------------------------------------------------------------


def test_percentiles_come_first_and_whole_histograms_take_over():
    made = metrics(240)
    alerting = source(made, cadence=OFTEN)
    alerting.attend({ENDPOINT: [NOW]})
    stands = dict.fromkeys(NAMES, NOW - 180 - 1800)
    planned = alerting.preview(stands)
    (part,) = alerting.pull(stands)
    assert {o.provenance for o in part.observations} == {Provenance.PERCENTILE_FIT}
    assert len(part.observations) == 2 * 30
    assert part.read_until == {ALERT + one: NOW - 180 for one in NAMES}
    assert not part.final_until, "percentiles are provisional"
    assert part.dollars == planned.dollars == pytest.approx(2 * 2e-5)
    whole = source(made, now=NOW + 1800, cadence=OFTEN)
    (part,) = whole.pull({**stands, **part.read_until})
    assert {o.provenance for o in part.observations} == {Provenance.TC}
    assert set(part.finished) == {ALERT + one for one in NAMES}
    assert part.read_until == dict.fromkeys(NAMES, NOW - 180 + 1800)
    assert part.final_until == dict.fromkeys(NAMES, NOW - 180 + 1800 - 3 * 3600)
    assert "percentiles every 5 minutes within a day of a change" in planned.said


def test_only_buckets_of_the_common_range_are_bought_and_hold_the_same_counts():
    made = metrics(60)
    whole, own = (list(source(made, own_range=one).pull({})) for one in (False, True))
    buckets = [
        {
            (o.key, o.minute): dict(zip(o.buckets.tolist(), o.bucket_counts.tolist(), strict=True))
            for part in parts
            for o in part.observations
        }
        for parts in (whole, own)
    ]
    assert buckets[0] == buckets[1]
    assert len(buckets[0]) == 2 * 57
    dollars = [sum(part.dollars for part in parts) for parts in (whole, own)]
    assert dollars[1] < 0.6 * dollars[0]
    assert not any(part.notes for part in own)
    said = source(made, own_range=True).preview({})
    assert said.dollars >= dollars[1], "an upper bound"
    assert "prices are upper bounds" in said.said


def test_a_range_wider_than_the_usual_one_gets_wider_buckets_and_hides_nothing():
    made = metrics(60)
    for minutes in made.values.values():
        for values in minutes.values():
            values[:] = [1500.0 if i % 2 else 3000.0 for i in range(len(values))]
            values[0] = 45e6  # microseconds: 1.5 ms, 3 ms and a cold start of 45 s
    parts = list(source(made, own_range=True).pull({}))
    observed = [one for part in parts for one in part.observations]
    assert {one.scale for one in observed} == {2}
    assert not any("bucket" in text for part in parts for text in part.notes)
    lowest = {int(one.buckets[0]) for one in observed}
    assert lowest == {int(np.ceil(np.log2(1.5e-3) * 4)) - 1}
    said = source(made, own_range=True).preview({})
    assert said.dollars >= sum(part.dollars for part in parts)


def test_a_range_that_is_not_surely_known_buys_the_usual_buckets():
    made = metrics(60, faults=Faults(partial=[0]))
    parts = list(source(made, own_range=True).pull({}))
    assert parts[0].dollars == pytest.approx(2e-5)
    assert sum(part.dollars for part in parts[1:]) == pytest.approx(2 * 25 * 23e-5)
    assert made.billed_metrics * 1e-5 == pytest.approx(sum(part.dollars for part in parts))


def test_instance_types_of_a_variant_are_series_of_their_own():
    options = {
        "account": "123456789012",
        "region": "eu-west-1",
        "endpoints": {"chat": ["blue"]},
        "metrics": ["ModelLatency"],
        "by_type": {"chat": ["ml.g5.xlarge/eu-west-1a"]},
    }
    first, second = configured_series(options)
    assert (first.series.metric, second.series.metric) == ("model_latency", "model_latency_by_type")
    assert second.series.replica == "type=ml.g5.xlarge,az=eu-west-1a"
    assert {one.dimensions for one in second.failures} == {second.series.dimensions}
    for wrong, said in (
        ({"chat": ["ml.g5.xlarge"]}, "'ml.g5.xlarge' is no instance type and zone"),
        ({"chta": []}, "by_type names 'chta', which is none of the endpoints"),
    ):
        with pytest.raises(ConfigError, match=said):
            configured_series({**options, "by_type": wrong})


# -- what is lost, and what is not --------------------------------------------------------------


def read_on(made, stands, **options):
    """What a pull brings until it ends, progress kept as the caller keeps it; and its error."""
    found, dollars = {}, 0.0
    try:
        for part in source(made, **options).pull(stands):
            stands.update(part.read_until)
            dollars += part.dollars
            found |= {(o.key, o.minute): o.count for o in part.observations}
    except CollectError as error:
        return found, dollars, error
    return found, dollars, None


def test_a_part_that_is_missing_is_read_again_and_later_ones_do_not_hide_it():
    made = metrics(800, per_minute=2)
    planned = source(made, detail=Detail.BUCKETS_28).preview({}).dollars
    made.faults = Faults(throttle=range(4, 10))  # a call of the second batch never answers
    stands = {}
    first, paid, _ = read_on(made, stands, detail=Detail.BUCKETS_28)
    assert paid == pytest.approx(made.billed_metrics * 1e-5)
    made.faults = Faults()
    second, again, _ = read_on(made, stands, detail=Detail.BUCKETS_28)
    assert len(first | second) == 2 * (800 - 3), "nothing is lost"
    assert set((first | second).values()) == {2}
    assert paid + again <= planned + 4 * 7e-5, "at most the batch at hand is paid twice"


def test_what_was_paid_beside_a_refused_call_is_kept():
    made = metrics(800, per_minute=2)
    denied = ServiceError(403, "AccessDenied", "not authorized: cloudwatch:GetMetricData")
    made.faults = Faults(errors={6: denied})
    stands = {}
    first, paid, error = read_on(made, stands, detail=Detail.BUCKETS_28)
    assert isinstance(error, AuthError)
    assert paid == pytest.approx(made.billed_metrics * 1e-5), "every paid call was handed over"
    made.faults = Faults()
    second, _, error = read_on(made, stands, detail=Detail.BUCKETS_28)
    assert error is None
    assert len(first | second) == 2 * (800 - 3)


def test_a_backfill_that_was_cut_off_pays_for_nothing_twice():
    made = metrics(10, per_minute=1)
    planned = source(made).preview({}).dollars
    stands, paid = {}, 0.0
    pull = source(made).pull({})
    for _ in range(7):
        part = next(pull)
        stands.update(part.read_until)
        paid += part.dollars
    pull.close()
    rest = source(made).preview(stands).dollars
    assert rest + paid == pytest.approx(planned)


def test_pages_lost_midway_keep_what_came_and_are_read_again():
    made = metrics(120, page=2000, per_minute=5)
    made.faults = Faults(throttle=range(3, 9))
    stands = dict.fromkeys(NAMES, NOW - 3 * 3600)
    first, _, _ = read_on(made, stands)
    made.faults = Faults()
    second, _, _ = read_on(made, stands)
    assert first.keys() <= second.keys()
    assert len(second) == 2 * 117
    assert set(second.values()) == {5}


def test_a_service_that_answers_nothing_is_an_error():
    made = metrics(10, faults=Faults(throttle=range(1000)))
    parts = source(made).pull({})
    with pytest.raises(
        CollectError, match=r"CloudWatch answered none of \d+ calls \(Rate exceeded"
    ):
        list(parts)
    assert list(source(metrics(0)).pull({})), "to have nothing is an answer"


# -- blocks near a change -----------------------------------------------------------------------

WATCHED = Cadence(3600.0, by_blocks=True)
OTHER = variant_series(PUBLISHED[0], ACCOUNT, "elsewhere", "blue")


def test_who_comes_for_a_block_reads_its_endpoint_and_what_is_due_anyway():
    """Two endpoints, a change of one: the other one is not paid for every half hour."""
    both = [WANTED[0], Wanted(OTHER)]
    half, near = NOW - 180, {ENDPOINT: [NOW - 7200]}
    for read_at, known, read in (
        (half + 780, half - 600, [NAMES[0]]),
        (half + 780, half - 3000, [NAMES[0], name(OTHER)]),
        (half + 700, half - 600, [NAMES[0], name(OTHER)]),
    ):
        found = due(both, WATCHED, {NAMES[0]: known, name(OTHER): known}, near, read_at)
        assert [one.mark for one in found] == read
    late = half + 780 + 2 * DAY
    stands = dict.fromkeys((NAMES[0], name(OTHER)), late - 780)
    assert len(due(both, WATCHED, stands, near, late)) == 2, "a day later nothing is near"


def test_blocks_are_waited_for_within_a_day_of_a_change():
    half, changes = NOW - 180, {ENDPOINT: [NOW - 3600]}
    assert block_after(WATCHED, [ENDPOINT], changes, half) == half + 780
    assert block_after(WATCHED, [ENDPOINT], changes, half + 779.9) == half + 780
    assert block_after(WATCHED, [ENDPOINT], changes, half + 780) == half + 2580
    assert block_after(WATCHED, ["another"], changes, half) == np.inf
    assert block_after(WATCHED, [ENDPOINT], changes, half + DAY) == np.inf
    assert block_after(Cadence(), [ENDPOINT], changes, half) == np.inf, "finality: reread"


@pytest.mark.parametrize(("skew", "until"), [(0.9, 0.0), (-30.0, 0.0), (15.0, 0.0), (40.0, 40.0)])
def test_dates_in_whole_seconds_take_no_block_away(skew, until):
    """An answer's date is up to a second old, whatever the clocks: 13 minutes would be 43."""
    end = NOW - 180
    one = Due(WANTED[0], Window(end - 3600, end), NAMES[0])
    assert reached(one, one.window, skew) == end - until


def test_the_price_of_blocks_and_what_is_said_of_them():
    assert monthly(WANTED, WATCHED) - monthly(WANTED, Cadence()) == pytest.approx(48 * 23e-5)
    assert monthly(WANTED, Cadence(900.0, by_blocks=True)) == monthly(WANTED, Cadence(900.0))
    assert waiting_words(WATCHED) == (
        "a watch has a block 13 minutes after its end within a day of a change (one a month "
        "priced), later at most 73; 3 hours more until an age is learned"
    )
