"""Point series: statistics against their definitions, the judge, and the printed rate."""

import math

import numpy as np
import pytest
from support.points import unchanged

from nibai.model import ReasonCode
from nibai.stats.placebo import walk
from nibai.stats.point_judge import (
    Outcome,
    calibrate_pairs,
    judge,
    judge_all,
    rule_of,
    verdict_at,
)
from nibai.stats.point_statistics import (
    Level,
    PointStatistic,
    Quantile,
    Spread,
    UpperQuantile,
)
from nibai.stats.point_windows import PairWindows, log2_points, pair_windows
from nibai.stats.printed_rate import non_overlapping, printed_rate, rate_text, shrunk_rate
from nibai.stats.resolution import smallest_effect

ALL: list[PointStatistic] = [Level(), Quantile(0.5), Quantile(0.9), UpperQuantile(), Spread()]


def lognormal(size: int, seed: int = 1, sd: float = 0.1) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, sd, size))


def interval(statistic: PointStatistic, pairs: PairWindows, k: int, critical: float) -> tuple:
    return tuple(statistic.intervals(pairs, np.array([k]), critical)[0].tolist())


# -- windows ------------------------------------------------------------------------------------


def test_grid_starts_a_sixth_of_a_window_apart_and_ends_at_the_judged_pair():
    pairs = pair_windows(lognormal(500), 60)
    assert pairs.starts[:2].tolist() == [0, 10]
    assert pairs.starts[-1] + 120 <= 500
    judged = pair_windows(lognormal(500), 60, last_start=333)
    assert (judged.starts[0], judged.starts[-1]) == (3, 333)
    assert np.array_equal(judged.candidate[-7], judged.baseline[-1])


def test_pairs_that_hold_an_unusable_point_are_invalid():
    valid = np.ones(500, dtype=bool)
    valid[200] = False
    pairs = pair_windows(lognormal(500), 60, valid=valid)
    holds = (pairs.starts <= 200) & (pairs.starts + 120 > 200)
    assert np.array_equal(pairs.valid, ~holds)


def test_zeros_become_half_the_smallest_positive_value():
    assert log2_points([0.0, 8.0, 2.0]).tolist() == [0.0, 3.0, 1.0]
    assert log2_points([0.0, 0.0]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [[-1.0, 1.0], [math.nan], [math.inf], [[1.0]]])
def test_what_is_not_a_row_of_points_is_refused(bad):
    with pytest.raises(ValueError, match="one row of finite numbers"):
        log2_points(bad)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit at point 400"):
        pair_windows(lognormal(500), 60, last_start=400)
    with pytest.raises(ValueError, match="at least 10 points, not 9"):
        pair_windows(lognormal(500), 9)
    assert len(pair_windows(lognormal(100), 60)) == 0


# -- statistics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [1, 9])
def test_level_is_the_tie_corrected_rank_sum(scipy_stats, digits):
    points = np.round(lognormal(400), digits)
    pairs = pair_windows(points, 30)
    ours = Level().signed(pairs)
    for k in range(0, len(pairs), 7):
        b, c = pairs.baseline[k], pairs.candidate[k]
        theirs = scipy_stats.mannwhitneyu(b, c, method="asymptotic", use_continuity=False)
        assert 2 * (1 - _normal_cdf(abs(ours[k]))) == pytest.approx(theirs.pvalue, abs=1e-9)
        assert np.sign(ours[k]) == np.sign(theirs.statistic - 450)


def _normal_cdf(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


@pytest.mark.parametrize("statistic", ALL, ids=lambda s: s.name)
def test_statistics_see_the_direction_and_mirror_when_sides_swap(statistic):
    points = lognormal(400, sd=0.05)
    points[260:] = 1.0 + (points[260:] - 1.0) / 2 - (statistic.name != "spread") * 0.3
    pairs = pair_windows(points, 60, last_start=200)
    value, low, high = interval(statistic, pairs, len(pairs) - 1, 2.5)
    assert low < value < high
    assert low > 0
    assert statistic.signed(pairs)[-1] > 2.5
    mirrored = type(pairs)(
        pairs.candidate, pairs.baseline, pairs.valid, pairs.starts, pairs.lag
    ).take([len(pairs) - 1])
    if not isinstance(statistic, UpperQuantile):  # its error comes from past baselines
        assert statistic.signed(mirrored)[0] == pytest.approx(-statistic.signed(pairs)[-1])
        assert interval(statistic, mirrored, 0, 2.5) == pytest.approx((-value, -high, -low))


@pytest.mark.parametrize("digits", [2, 9])
@pytest.mark.parametrize("statistic", ALL, ids=lambda s: s.name)
def test_interval_holds_the_ratios_that_the_statistic_allows(statistic, digits):
    pairs = pair_windows(np.round(lognormal(600, 3), digits), 60)
    for k in (10, 40):
        value, low, high = interval(statistic, pairs, k, 2.0)
        width = high - low
        assert low <= value <= high
        for d in (low + 0.01 * width, value, high - 0.01 * width):
            assert abs(statistic.signed(pairs, d)[k]) <= 2.0
        for d in (low - 0.01 * width, high + 0.01 * width):
            assert abs(statistic.signed(pairs, d)[k]) > 2.0


@pytest.mark.parametrize("statistic", ALL, ids=lambda s: s.name)
def test_constant_points_on_both_sides_are_the_same(statistic):
    pairs = pair_windows(np.full(300, 0.25), 60)
    assert (statistic.signed(pairs) == 0).all()
    value, low, high = interval(statistic, pairs, 3, 3.0)
    assert value == 0.0
    assert low <= 0.0 <= high


def test_level_is_bounded_and_its_interval_is_infinite_at_the_bound():
    points = np.concatenate([np.full(60, 1.0) + np.arange(60), 1e-3 * (1 + np.arange(60))])
    pairs = pair_windows(points, 60)
    assert Level().signed(pairs)[0] == pytest.approx(Level().ceiling(60))
    assert interval(Level(), pairs, 0, Level().ceiling(60))[1:] == (-math.inf, math.inf)


def test_the_upper_quantile_takes_its_error_from_the_valid_past_alone():
    points = lognormal(1500, 21) * np.repeat(lognormal(25, 22, 0.3), 60)
    valid = np.random.default_rng(23).random(1500) > 0.002
    pairs = pair_windows(points, 30, valid=valid)
    assert 0.5 < pairs.valid.mean() < 1
    ends = [0.9 - 0.3 / math.sqrt(30), 0.9 + 0.3 / math.sqrt(30)]
    low, high = np.quantile(pairs.baseline, ends, axis=1, method="hazen")
    error = (high - low) / 2
    difference = np.quantile(pairs.baseline, 0.9, axis=1, method="hazen") - np.quantile(
        pairs.candidate, 0.9, axis=1, method="hazen"
    )
    for k in (3, 6, 40, len(pairs) - 1):
        known = error[: max(k - 5, 0)][pairs.valid[: max(k - 5, 0)]][-240:]
        scale = math.sqrt(2) * (np.median(known) if len(known) else error[k])
        assert UpperQuantile().signed(pairs)[k] == pytest.approx(difference[k] / scale)


# -- the judge ----------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", ALL, ids=lambda s: s.name)
def test_one_pair_and_all_pairs_are_judged_alike(statistic):
    points = lognormal(1500, 8) * np.repeat(lognormal(50, 9, 0.15), 30)
    for margin in (0.0, 0.05):
        calibrated = calibrate_pairs(pair_windows(points, 30), statistic)
        found = judge_all(calibrated, margin=margin)
        assert found.changed.any()
        for k in range(20, len(calibrated.pairs), 25):
            start = int(calibrated.pairs.starts[k])
            one = judge(points, start, 30, statistic, margin=margin)
            assert one == verdict_at(calibrated, k, margin=margin)
            expected = (
                Outcome.CHANGED
                if found.changed[k]
                else Outcome.UNCHANGED
                if found.decided[k]
                else Outcome.INCONCLUSIVE
            )
            assert one.outcome is expected
            edge = math.log2(1 + margin)
            beyond = one.low >= edge or one.high <= -edge
            if one.outcome is not Outcome.INCONCLUSIVE:
                assert beyond == (one.outcome is Outcome.CHANGED) or edge in {-one.high, one.low}


@pytest.mark.parametrize("statistic", ALL, ids=lambda s: s.name)
def test_the_candidate_and_what_follows_never_move_its_own_threshold(statistic):
    points = lognormal(1200, 4)
    before = judge(points, 900, 60, statistic)
    points[960:] *= 1.5 ** np.random.default_rng(1).normal(5, 1, 240)
    after = judge(points, 900, 60, statistic)
    assert after.calibration == before.calibration
    assert (before.outcome, after.outcome) == (Outcome.UNCHANGED, Outcome.CHANGED)
    points[900:960] *= 1.5 ** np.random.default_rng(2).normal(5, 1, 60)  # the baseline is history
    assert judge(points, 900, 60, statistic).calibration.critical > after.calibration.critical


def test_injected_changes_leave_history_and_thresholds_alone():
    calibrated = calibrate_pairs(pair_windows(lognormal(3000, 5), 60), Level())
    pairs = calibrated.pairs
    found = judge_all(calibrated, injected=pairs.with_candidate(pairs.candidate - 0.5))
    assert found.changed[found.decided].all()
    assert not judge_all(calibrated).changed[found.decided].all()


def test_thin_history_is_inconclusive_with_the_reason():
    points = lognormal(600, 6)
    points[340:] *= 2
    found = judge(points, 280, 60, Level())
    assert (found.outcome, found.reason) == (
        Outcome.INCONCLUSIVE,
        ReasonCode.UNCALIBRATED_SHORT_HISTORY,
    )
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.value == pytest.approx(-1.0, abs=0.1)
    assert judge(np.append(lognormal(60, 7), points), 340, 60, Level()).outcome is Outcome.CHANGED


def test_a_history_of_jumps_is_too_unstable_to_judge():
    points = lognormal(3000, 7, 0.01) * np.repeat(2.0 ** np.arange(50), 60)
    found = judge(points, 2800, 60, Level())
    assert (found.outcome, found.reason) == (
        Outcome.INCONCLUSIVE,
        ReasonCode.HISTORY_TOO_UNSTABLE,
    )


def test_near_its_bound_the_level_is_judged_by_the_median():
    """Half of the past windows jump: the rank sum's threshold nears its largest value."""
    regimes = np.random.default_rng(12).normal(0, 0.02, 60)
    points = lognormal(3600, 8, 0.02) * np.repeat(2.0**regimes, 60)
    calibrated = calibrate_pairs(pair_windows(points, 60), Level())
    share = calibrated.walks[0].critical / Level().ceiling(60)
    narrow = (share > 0.8) & (share < 0.97)
    assert narrow.any()
    assert np.array_equal(calibrated.judging() == 1, narrow)
    k = int(np.flatnonzero(narrow)[-1])
    assert verdict_at(calibrated, k).statistic == Quantile(0.5)


def test_a_declared_change_and_an_incident_are_not_history():
    points = lognormal(2400, 10)
    points[1000:] *= 3.0
    points[1500:1530] *= 50.0
    valid = np.ones(2400, dtype=bool)
    valid[1000] = False
    valid[1500:1530] = False
    quiet = judge(points, 2280, 60, Level(), valid=valid)
    naive = judge(points, 2280, 60, Level())
    assert quiet.calibration.critical < naive.calibration.critical
    pairs = pair_windows(points, 60, valid=valid, last_start=2280)
    t = np.abs(Level().signed(pairs))
    t[~pairs.valid] = 9.0
    assert walk(t, rule_of(Level(), pairs), pairs.valid).at(
        len(t) - 1, rule_of(Level(), pairs)
    ) == (quiet.calibration)


# -- the printed rate ---------------------------------------------------------------------------


def test_printed_rate_counts_what_the_judge_would_have_said_then():
    points = lognormal(2400, 11) * np.repeat(lognormal(40, 12, 0.1), 60)
    calibrated = calibrate_pairs(pair_windows(points, 60), Level())
    last = len(calibrated.pairs) - 1
    rate = printed_rate(calibrated, before=last, other_margin=0.3)
    assert rate is not None
    chosen = range(0, last - 5, 6)
    said = [judge(points, int(calibrated.pairs.starts[k]), 60, Level()) for k in chosen]
    decided = [v for v in said if v.outcome is not Outcome.INCONCLUSIVE]
    assert rate.placebos == len(decided)
    assert rate.flagged == sum(v.outcome is Outcome.CHANGED for v in decided)
    assert rate.undecidable == sum(v.reason is ReasonCode.HISTORY_TOO_UNSTABLE for v in said)
    assert rate.other_margin is not None
    assert rate.other_margin[0] == 0.3
    assert rate.other_margin[1] <= rate.flagged


def test_printed_rate_leaves_the_judged_pair_out_and_needs_history():
    points = lognormal(1000, 13)
    points[940:] *= 5
    calibrated = calibrate_pairs(pair_windows(points, 60), Level())
    rate = printed_rate(calibrated, before=len(calibrated.pairs) - 1)
    assert rate is not None
    assert rate.flagged == 0
    assert printed_rate(calibrate_pairs(pair_windows(points[:400], 60), Level())) is None


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, "not measured"),
        (shrunk_rate(0, 42), "0 of 42 past windows (2.1 %, 0.2–6.4 %)"),
        (
            shrunk_rate(2, 42, undecidable=5, other_margin=(0.02, 0, 42)),
            "2 of 42 past windows (4.9 %, 1.2–10.8 %), 5 undecidable; at margin 2 %: 0 of 42",
        ),
        (shrunk_rate(0, 9), "0 of 9 past windows (3.8 %, 0.3–11.6 %, mostly prior)"),
        (shrunk_rate(0, 0, undecidable=3), None),
    ],
)
def test_rate_is_printed_word_by_word(rate, text):
    assert rate_text(rate) == (
        text or "0 of 0 past windows (5.0 %, 0.4–15.0 %, mostly prior), 3 undecidable"
    )


def test_past_windows_of_the_rate_lie_a_window_apart():
    valid = np.ones(40, dtype=bool)
    valid[[6, 7]] = False
    assert non_overlapping(valid, 6).tolist() == [0, 8, 14, 20, 26, 32, 38]


# -- smallest effect, and the whole on known truth (big simulations: tests/statistical) -----------


def test_smallest_effect_is_that_of_the_past_at_todays_critical_value():
    calibrated = calibrate_pairs(pair_windows(lognormal(3000, 14), 60), Level())
    pairs, k = calibrated.pairs, len(calibrated.pairs) - 1
    effect = smallest_effect(calibrated, k)
    assert effect is not None
    critical = calibrated.walks[0].critical[k]
    past = np.arange(0, k - 5, 6)[-40:]

    def found(size: float) -> float:
        shifts = (math.log2(1 + size), -math.log2(1 + size))
        return float(np.mean([np.abs(Level().signed(pairs, d)[past]) > critical for d in shifts]))

    assert found(effect * 1.02) >= 0.8 > found(effect * 0.95)
    wider = smallest_effect(calibrated, k, margin=0.05)
    assert wider == pytest.approx((1 + effect) * 1.05 - 1)


def test_no_smallest_effect_without_history():
    calibrated = calibrate_pairs(pair_windows(lognormal(300, 15), 60), Level())
    assert smallest_effect(calibrated, len(calibrated.pairs) - 1) is None


@pytest.mark.parametrize("statistic", ALL, ids=lambda s: s.name)
def test_unchanged_drifting_series_stay_quiet(statistic):
    """Eight series; the rate is at most 5 % plus three standard errors between series."""
    rates, alone = [], []
    for r in range(8):
        points = unchanged(np.random.default_rng([20261126, 99, r]), "drift", 3600)
        calibrated = calibrate_pairs(pair_windows(points, 60), statistic)
        found = judge_all(calibrated)
        rates.append(found.changed[found.decided].mean())
        alone.append((np.abs(statistic.signed(calibrated.pairs)) > statistic.floor(0.05)).mean())
    error = np.std(rates, ddof=1) / math.sqrt(len(rates))
    assert np.mean(rates) <= 0.05 + 3 * error
    assert np.mean(rates) < np.mean(alone)
