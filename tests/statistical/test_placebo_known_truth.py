"""The calibrated judge of points on known truth: false alarms, power, smallest effect, drift."""

import numpy as np
import pytest
from support.points import SLOW_PARTS, unchanged

from nibai.stats.point_judge import calibrate_pairs, judge_all
from nibai.stats.point_statistics import Level, PointStatistic, Quantile, Spread, UpperQuantile
from nibai.stats.point_windows import pair_windows
from nibai.stats.printed_rate import printed_rate
from nibai.stats.resolution import smallest_effect

pytestmark = pytest.mark.slow

STREAM, SERIES, POINTS, WINDOW = 20261126, 50, 4800, 60
NOMINAL = 0.05
STATISTICS: list[PointStatistic] = [
    Level(),
    Quantile(0.5),
    Quantile(0.9),
    UpperQuantile(),
    Spread(),
]
NAMES = [statistic.name for statistic in STATISTICS]


def series(kind: str, *, count: int = SERIES, points: int = POINTS):
    for r in range(count):
        rng = np.random.default_rng([STREAM, list(SLOW_PARTS).index(kind), r])
        yield unchanged(rng, kind, points)


def mean_and_error(shares: list[float]) -> tuple[float, float]:
    values = np.array(shares)[~np.isnan(shares)]
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def share(mask: np.ndarray, among: np.ndarray) -> float:
    return float(mask[among].mean()) if among.any() else float("nan")


@pytest.mark.parametrize("kind", SLOW_PARTS)
@pytest.mark.parametrize("statistic", STATISTICS, ids=NAMES)
def test_unchanged_series_are_flagged_at_the_nominal_rate_at_most(statistic, kind, figure):
    rates: dict[str, list[float]] = {"alone": [], "4+": [], "19+": [], "undecidable": []}
    for points in series(kind):
        calibrated = calibrate_pairs(pair_windows(points, WINDOW), statistic)
        found, windows = judge_all(calibrated), calibrated.walks[0].effective_windows
        alone = np.abs(statistic.signed(calibrated.pairs)) > statistic.floor(NOMINAL)
        rates["alone"].append(float(alone.mean()))
        rates["4+"].append(share(found.changed, found.decided))
        rates["19+"].append(share(found.changed, found.decided & (windows >= 19)))
        rates["undecidable"].append(share(found.unstable, windows >= 4))
    means = {name: mean_and_error(values) for name, values in rates.items()}
    text = ", ".join(f"{name} {100 * m:.1f}±{100 * e:.1f}" for name, (m, e) in means.items())
    figure(f"points A/A {kind} {statistic.name} w={WINDOW} R={SERIES}: {text} %")
    for name in ("4+", "19+"):
        rate, error = means[name]
        assert rate <= NOMINAL + 2 * error, f"{name}: {100 * rate:.1f} ± {100 * error:.1f} %"


@pytest.mark.parametrize(
    ("statistic", "kind", "least"),
    [
        (Level(), "iid", {0.02: 0.04, 0.05: 0.44, 0.1: 0.97}),
        (Level(), "regimes", {0.05: 0.13, 0.1: 0.6, 0.2: 0.95}),
        (Quantile(0.5), "iid", {0.05: 0.22, 0.1: 0.75, 0.2: 0.97}),
        (Quantile(0.9), "iid", {0.05: 0.09, 0.1: 0.35, 0.2: 0.72}),
        (UpperQuantile(), "iid", {0.05: 0.12, 0.1: 0.63, 0.2: 0.97}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_injected_steps_are_found(statistic, kind, least, figure):
    """Limits are a few points below what was measured: a loss of power fails.

    Six of sixty points lie beyond p90, so that its block t hardly passes 4 whatever the step.
    """
    found: dict[float, list[float]] = {step: [] for step in least}
    for points in series(kind):
        calibrated = calibrate_pairs(pair_windows(points, WINDOW), statistic)
        pairs, full = calibrated.pairs, calibrated.walks[0].effective_windows >= 19
        for step, shares in found.items():
            changed = pairs.with_candidate(pairs.candidate + np.log2(1 + step))
            shares.append(share(judge_all(calibrated, injected=changed).changed, full))
    power = {step: mean_and_error(shares) for step, shares in found.items()}
    text = ", ".join(f"+{100 * s:g} % {100 * m:.0f}±{100 * e:.0f}" for s, (m, e) in power.items())
    figure(f"points power {kind} {statistic.name} w={WINDOW} R={SERIES}: {text} %")
    for step, limit in least.items():
        assert power[step][0] >= limit


def test_tails_and_spreads_are_found_where_the_level_is_blind(figure):
    """Top tenth x1.2, and distances from the median doubled; judged at alpha / 3 as one family."""
    family = [Level(), UpperQuantile(), Spread()]
    found: dict[tuple[str, str], list[float]] = {}
    for points in series("iid"):
        pairs = pair_windows(points, WINDOW)
        c = pairs.candidate
        middle, top = np.quantile(c, [0.5, 0.9], axis=1)[:, :, None]
        changes = {"tail": c + np.log2(1.2) * (c > top), "spread": 2 * c - middle}
        for statistic in family:
            calibrated = calibrate_pairs(pairs, statistic, alpha=NOMINAL / len(family))
            full = calibrated.walks[0].effective_windows >= 19
            for name, changed in changes.items():
                answer = judge_all(calibrated, injected=pairs.with_candidate(changed))
                found.setdefault((name, statistic.name), []).append(share(answer.changed, full))
    means = {key: mean_and_error(shares)[0] for key, shares in found.items()}
    text = ", ".join(f"{a} {b} {100 * m:.0f}" for (a, b), m in means.items())
    figure(f"points family iid w={WINDOW} R={SERIES}: {text} %")
    assert max(means["tail", "level"], means["spread", "level"]) < 0.05
    assert means["spread", "spread"] > 0.7
    assert means["spread", "upper p90"] > 0.5


@pytest.mark.parametrize("statistic", [s for s in STATISTICS if s != Quantile(0.9)], ids=str)
@pytest.mark.parametrize(("kind", "margin"), [("iid", 0.0), ("drift", 0.05)])
def test_the_smallest_effect_is_found_in_four_of_five_windows(kind, statistic, margin, figure):
    """Injected at a pair that follows: the effect was computed from its past alone.

    At p90 no step at all is found in four of five windows of 60 points: None, see above.
    """
    hits: list[float] = []
    for points in series(kind, count=2 * SERIES, points=2880):
        calibrated = calibrate_pairs(pair_windows(points, WINDOW), statistic)
        pairs, k = calibrated.pairs, len(calibrated.pairs) - 1
        effect = smallest_effect(calibrated, k, margin=margin)
        assert effect is not None
        shift = np.log2(1 + effect)
        for sign in (-1, 1):
            candidate = pairs.candidate + sign * shift
            if isinstance(statistic, Spread):
                middle = np.median(pairs.candidate, axis=1, keepdims=True)
                candidate = middle + (pairs.candidate - middle) * 2 ** (sign * shift)
            injected = pairs.with_candidate(candidate)
            answer = judge_all(calibrated, margin=margin, injected=injected)
            hits.append(float(answer.changed[k]))
    rate, error = float(np.mean(hits)), float(np.sqrt(0.16 / (2 * SERIES)))
    figure(
        f"points smallest effect {kind} {statistic.name} margin {margin:g} R={2 * SERIES}: "
        f"found {100 * rate:.0f} % (aim 80 ± {100 * error:.0f})"
    )
    assert abs(rate - 0.8) < 0.04 + 3 * error


@pytest.mark.parametrize("kind", ["iid", "drift", "regimes"])
def test_printed_rate_foretells_the_later_count(kind, figure):
    """From the first 60 % of a series to the later 40 %, by the predictive interval of a count."""
    rng = np.random.default_rng([STREAM, 7])
    inside, printed, later = [], [], []
    for points in series(kind):
        calibrated = calibrate_pairs(pair_windows(points, WINDOW), Level())
        k = int(0.6 * len(calibrated.pairs))
        rate = printed_rate(calibrated, before=k)
        assert rate is not None
        changed = judge_all(calibrated).changed[k :: calibrated.pairs.lag]
        share_ = rng.beta(1.5 + rate.flagged, 28.5 + rate.placebos - rate.flagged, 4000)
        low, high = np.quantile(rng.binomial(len(changed), share_), [0.025, 0.975])
        inside.append(low <= changed.sum() <= high)
        printed.append(rate.value)
        later.append(changed.mean())
    figure(
        f"printed rate {kind} R={SERIES}: {100 * np.mean(printed):.1f} % printed, "
        f"{100 * np.mean(later):.1f} % later, inside its interval {100 * np.mean(inside):.0f} %"
    )
    assert np.mean(inside) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / SERIES)
    assert -0.01 < np.mean(printed) - np.mean(later) < 0.03
