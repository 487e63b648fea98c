"""One part followed: partners in the past, the value of a block, and the state that stays."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from nibai.document import decode
from nibai.histogram import BlockHistograms
from nibai.model import Verdict
from nibai.stats.block_values import BlockReading, block_reading, block_values, requests_needed
from nibai.stats.day_pairs import ClockPairs
from nibai.stats.following import FollowPlan, Track, new_track
from nibai.stats.sequential_rates import Trials

DAY = 86_400.0
MONDAY = 19_002 * DAY
NOTHING = Trials()
PLAN = FollowPlan(
    0.0, 0.0, 1800.0, side_by_side=False, phi=0.2, placebos=6, threshold=0.5, weights={"": 1.0}
)
rng = np.random.default_rng(5)


@pytest.mark.parametrize("quantile", [0.5, 0.9, None])
@pytest.mark.parametrize("labels", [("",), ("a", "b"), ()])
def test_many_blocks_at_once_are_read_as_one_by_one(labels, quantile):
    draw = np.random.default_rng(8)
    sizes = draw.integers(0, 150, (2, 12))

    def side(size):
        values = draw.lognormal(-2, 0.5, size.sum())
        block = np.repeat(np.arange(12), size)
        values[(block == 3) & (draw.random(len(block)) < 0.8)] = np.inf
        values[block == 4] = 0.0
        return BlockHistograms.from_values(values, block, blocks=12)

    sides = [{label: side(size) for label in labels} for size in sizes]
    weights = {label: 1 / len(labels) for label in labels}
    one_by_one = [
        block_reading(*({k: h.take([i]) for k, h in s.items()} for s in sides), quantile, weights)
        for i in range(12 if labels else 0)
    ]
    values = np.array([reading.value for reading in one_by_one])
    values[~np.isfinite(values)] = np.nan
    np.testing.assert_array_equal(block_values(*sides, quantile, weights), values)


# -- partners --------------------------------------------------------------------------------


def test_every_block_has_a_partner_of_its_own_at_the_same_clock_and_kind_of_day():
    pairs = ClockPairs(MONDAY + 14 * DAY, MONDAY, 1800.0)
    partners = [pairs.partner(number) for number in range(14 * 48)]
    used = [partner for partner in partners if partner is not None]
    assert len(used) == len(set(used))
    for number, partner in enumerate(partners):
        if partner is not None:
            start = pairs.start(number)
            assert (start - partner) % DAY == 0
            assert partner + 1800 <= pairs.cut
            weekend = [(moment - MONDAY) // DAY % 7 >= 5 for moment in (start, partner)]
            assert weekend[0] == weekend[1]
    assert len(used) == 14 * 48, "ten working days and four weekend days on both sides"
    assert pairs.partner(14 * 48) is None, "the past is used up"


def test_a_change_in_the_middle_of_a_block_costs_the_blocks_that_hold_it():
    pairs = ClockPairs(MONDAY + 3 * DAY + 700, MONDAY, 1800.0)
    assert pairs.begin == MONDAY + 3 * DAY + 1800
    assert pairs.closed(pairs.begin + 3599) == 1
    assert pairs.partner(0) == MONDAY + 2 * DAY + 1800
    assert pairs.partner(47) == MONDAY + 2 * DAY, "the block before the change is the change's"


def test_variants_side_by_side_are_compared_at_the_same_moment():
    pairs = ClockPairs(MONDAY, MONDAY - DAY, 3600.0, side_by_side=True)
    assert pairs.partner(30) == pairs.start(30)


def test_unchanged_days_are_paired_within_their_kind():
    pairs = ClockPairs(MONDAY + 7 * DAY, MONDAY, 1800.0)
    days = [((newer - MONDAY) / DAY, (older - MONDAY) / DAY) for newer, older in pairs.placebos()]
    assert days == [(6, 5), (4, 3), (3, 2), (2, 1), (1, 0)]


# -- the value of a block --------------------------------------------------------------------


def segments(**values):
    return {label: BlockHistograms.from_values(v) for label, v in values.items()}


def test_a_block_is_the_log_ratio_of_its_quantiles():
    values = rng.lognormal(-2, 0.4, 400)
    slow, fast = segments(a=values), segments(a=values / 2)
    assert block_reading(slow, fast, 0.5, {"a": 1.0}).value == pytest.approx(1.0, abs=0.03)
    turned = block_reading(slow, fast, 0.5, {"a": 1.0}, higher_is_better=True)
    assert turned.value == pytest.approx(-1.0, abs=0.03)


def test_a_shift_of_the_mix_is_no_speed_up():
    short, long = rng.lognormal(-2, 0.3, 4000), rng.lognormal(0, 0.3, 4000)
    before = segments(a=short[:500], b=long[:1500])
    after = segments(a=short[500:2000], b=long[1500:2000])
    raw = before["a"].merge(before["b"]).log2_quantile([0.5]) - after["a"].merge(
        after["b"]
    ).log2_quantile([0.5])
    assert raw[0] > 1.5
    reading = block_reading(before, after, 0.5, {"a": 0.25, "b": 0.75})
    assert reading.value == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(
    ("before", "after", "weights"),
    [
        (19, 400, {"a": 1.0}),
        (400, 400, {"a": 0.5, "b": 0.5}),
        (400, 400, {}),
    ],
)
def test_a_thin_block_or_other_traffic_has_no_value(before, after, weights):
    sides = segments(a=rng.lognormal(size=before)), segments(a=rng.lognormal(size=after))
    assert math.isnan(block_reading(*sides, 0.5, weights).value)


def test_a_quantile_among_failed_requests_is_infinite():
    values = rng.lognormal(size=100)
    failing = np.where(np.arange(100) < 60, np.inf, values)
    reading = block_reading(segments(a=values), segments(a=failing), 0.5, {"a": 1.0})
    assert math.isinf(reading.value)
    assert reading.candidate == Trials(60, 100)
    errors = block_reading(segments(a=values), segments(a=failing), None, {})
    assert errors.value == pytest.approx(-0.6)


def test_tails_need_more_requests():
    assert [requests_needed(p) for p in (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)] == [
        20, 20, 50, 100, 500, 5000,
    ]  # fmt: skip


# -- the track -------------------------------------------------------------------------------


def run(track, values, first=0):
    for number, value in enumerate(values, start=first):
        track = track.look(number, BlockReading(value, Trials(0, 100), Trials(1, 100)))
    return track


def test_a_verdict_stays_while_evidence_goes_on():
    track = run(new_track(PLAN), rng.normal(1.0, 0.1, 12))
    assert track.verdict is Verdict.CONFIRMED
    later = run(track, rng.normal(-3.0, 0.1, 60), first=12)
    assert (later.verdict, later.decided, later.log_e_decided) == (
        track.verdict, track.decided, track.log_e_decided,
    )  # fmt: skip
    assert later.low >= track.low
    assert later.last == 71


def test_a_track_survives_the_state_at_any_moment():
    values = [*rng.normal(0.4, 0.1, 6), math.nan, *rng.normal(0.4, 0.1, 20)]
    whole = run(new_track(PLAN), values)
    track = new_track(PLAN)
    for number, value in enumerate(values):
        track = decode(Track, json.loads(json.dumps(asdict(track))))
        track = track.look(number, BlockReading(value, Trials(0, 100), Trials(1, 100)))
    assert track == whole
    assert whole.thin == 1
    assert len(json.dumps(asdict(whole))) < 1500


def test_a_lost_quantile_ends_an_undecided_track_only():
    undecided = run(new_track(PLAN), [0.9, 1.1, math.inf, *rng.normal(1.0, 0.1, 40)])
    assert undecided.blind
    assert undecided.verdict is None
    decided = run(new_track(PLAN), [*rng.normal(1.0, 0.1, 12), math.inf])
    assert not decided.blind
    assert decided.verdict is Verdict.CONFIRMED


def test_evidence_against_a_claim_is_kept_at_its_highest():
    against = run(new_track(PLAN), rng.normal(0.2, 0.05, 20))
    assert against.verdict is Verdict.REFUTED
    assert against.p_refute == pytest.approx(math.exp(-against.log_e_refute) / 2)
    back = run(against, rng.normal(3.0, 0.05, 20), first=20)
    assert back.p_refute == against.p_refute
    assert run(new_track(PLAN), rng.normal(1.0, 0.1, 12)).p_refute == 1.0


def test_error_shares_need_both_kinds_of_evidence():
    """Seven empty blocks have no scatter: blocks alone would be sure, the counts are not."""
    track = new_track(replace(PLAN, threshold=-0.001, shares=True))
    for number in range(20):
        track = track.look(number, BlockReading(0.0, Trials(0, 30), Trials(0, 30)))
    assert track.block_low > -0.001
    assert track.verdict is None
    assert track.low < -0.005
    for number in range(20, 60):
        track = track.look(number, BlockReading(0.0, Trials(0, 3000), Trials(0, 3000)))
    assert track.verdict is Verdict.CONFIRMED
    assert track.value == 0.0


def test_the_wait_is_said_when_it_can_be_known():
    track = run(new_track(PLAN), rng.normal(0.55, 0.1, 10))
    assert track.blocks_needed() > 10
    assert new_track(PLAN).blocks_needed() is None
    shares = new_track(replace(PLAN, threshold=-0.006, shares=True))
    for number in range(8):
        shares = shares.look(
            number, BlockReading(0.0005 * (number % 2), Trials(1, 300), Trials(1, 300))
        )
    assert shares.blocks_needed() > 8  # the counts are not sure yet


def test_minutes_of_a_deployment_are_nobodys_partner():
    cut = MONDAY + 9 * DAY
    clear = ClockPairs(cut, MONDAY, 3600.0)
    masked = ClockPairs(cut, MONDAY, 3600.0, until=cut - 5400)
    assert clear.partner(23) == cut - 3600
    assert masked.partner(23) == cut - 3600 - DAY
    assert (cut - DAY, cut - 2 * DAY) in clear.placebos()
    assert all(newer + DAY < cut for newer, _ in masked.placebos())


def test_revisions_that_are_forgotten_for_their_age_are_not_noted_at_every_block():
    track = new_track(PLAN)
    reading = BlockReading(0.0, Trials(0, 30), Trials(0, 30))
    for number, newest in enumerate((0, 7, 7, 0, 0, 0, 9, 0)):
        track = track.look(number, reading, newest)
    assert track.read_at == ((1, 7), (6, 9))
    assert [track.revision_known(number) for number in (0, 3, 5, 7)] == [0, 7, 7, 9]
