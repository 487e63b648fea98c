"""Cost: dollars per successful request, from prices, instances and traffic."""

from dataclasses import replace

import numpy as np
import pytest
from support.comparisons import Given, change, lognormal, runs
from support.spending import demand, priced, samples, served

from analyzers.cost import Cost
from nibai.app.costs import Pricing
from nibai.config import Cost as Prices
from nibai.model import Reason, ReasonCode, SideCost, UnitKind, Verdict

STEADY = np.full(24, 1000)


def judged(claim, comparison, per_hour=(2.0, 1.0), instances=(4, 4), **others):
    windows = Given(latency=comparison, **others)
    (finding,) = Cost().analyze(priced(change(claim), per_hour, instances), windows)
    return finding


def test_half_the_price_at_the_same_traffic_is_half_the_cost():
    finding = judged("2x cheaper", served(STEADY, STEADY))
    assert finding.verdict is Verdict.CONFIRMED
    assert finding.reason.text == (
        "1,000 successful requests cost $8.00 before and $4.00 after, 2.00x cheaper [2.00, 2.00], "
        "as promised"
    )
    assert finding.evidence.cost.usd_per_1000_requests == (8.0, 4.0)
    assert finding.evidence.cost.usd_per_hour == (8.0, 4.0)
    assert finding.evidence.cost.instances == (4.0, 4.0)
    assert finding.evidence.baseline_value == pytest.approx(0.008)
    assert finding.evidence.cost.sources[0] == "price as stated; 4 instances as stated"


def test_half_the_instances_are_half_the_cost():
    finding = judged("2x cheaper", served(STEADY, STEADY), (2.0, 2.0), (4, 2))
    assert finding.verdict is Verdict.CONFIRMED
    assert finding.estimate.value == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("cost at most 0.6x", Verdict.CONFIRMED),
        ("cost at most 0.4x", Verdict.REFUTED),
        ("3x cheaper", Verdict.REFUTED),
        ("2x cheaper within 10%", Verdict.CONFIRMED),
        ("1.5x cheaper", Verdict.CONFIRMED),
    ],
)
def test_promises_about_cost(claim, verdict):
    rng = np.random.default_rng(1)
    finding = judged(claim, served(demand(rng, sd=0.02), demand(rng, sd=0.02)))
    assert finding.verdict is verdict, finding.reason.text


def test_dearer_is_said_as_such():
    finding = judged("cost at most 1x", served(STEADY, STEADY), (1.0, 1.5))
    assert finding.verdict is Verdict.REFUTED
    assert finding.reason.text.endswith("1.50x dearer [1.50, 1.50], not at most 1x of it")


def test_failed_requests_are_paid_for_and_not_served():
    from support.spending import Side, replica  # noqa: PLC0415 - only here

    comparison = served(STEADY, STEADY)
    after = Side("after", (replica(STEADY, "after-0", failed=np.full(24, 500)),))
    finding = judged("2x cheaper", replace(comparison, candidate=after))
    assert finding.estimate.value == pytest.approx(1.0)
    assert finding.verdict is not Verdict.CONFIRMED


def test_growing_traffic_of_a_fixed_fleet_is_no_saving():
    finding = judged("2x cheaper", served(STEADY, 3 * STEADY), (1.0, 1.0))
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert finding.reason.code is ReasonCode.TRAFFIC_CHANGED
    assert finding.reason.text.endswith(
        "but requests went from 1,000 to 3,000 an hour while the instances went from $4.00 to "
        "$4.00 an hour (1.00x cheaper): the difference is the traffic's; compare windows of the "
        "same traffic"
    )


def test_a_canary_with_little_traffic_is_not_called_dear():
    finding = judged("cost at most 1x", served(9 * STEADY, STEADY), (1.0, 1.0), (1, 1))
    assert finding.reason.code is ReasonCode.TRAFFIC_CHANGED


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        (None, "no price of the baseline (before) and the candidate (after): give USD per hour"),
        (
            (SideCost(1.0), SideCost(source="the price list has no single price of x in y")),
            "no price of the candidate (after) (the price list has no single price of x in y)",
        ),
    ],
)
def test_without_a_price_the_claim_is_inconclusive(costs, said):
    asked = replace(change("2x cheaper"), costs=costs)
    (finding,) = Cost().analyze(asked, Given(latency=served(STEADY, STEADY)))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason.code is ReasonCode.NO_PRICE
    assert finding.reason.text.startswith(said)


def nameless(comparison):
    sides = [
        replace(side, replicas=tuple(replace(one, name="") for one in side.replicas))
        for side in (comparison.baseline, comparison.candidate)
    ]
    return replace(comparison, baseline=sides[0], candidate=sides[1])


def test_unknown_instances_are_inconclusive():
    finding = judged("2x cheaper", nameless(served(STEADY, STEADY)), instances=(None, None))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason.code is ReasonCode.INSTANCES_UNKNOWN
    assert finding.reason.text.startswith("nothing says how many instances the baseline (before)")


def test_replicas_that_were_seen_are_counted_block_by_block():
    before = [STEADY // 2, STEADY // 2]
    after = [STEADY, np.where(np.arange(24) < 12, 0, 1000)]
    finding = judged("2x cheaper", served(before, after), (1.0, 1.0), (None, None))
    assert finding.evidence.cost.instances == (2.0, 1.5)
    assert finding.evidence.cost.sources[1] == "price as stated; 2 replicas seen"


def test_collected_counts_beat_replicas_that_were_seen():
    counted = samples([4.0] * 24, [2.0] * 12 + [1.0] * 12, "instances")
    windows = Given(latency=served(STEADY, STEADY), instances=counted)
    (finding,) = Cost().analyze(priced(change("2x cheaper"), (1.0, 1.0)), windows)
    assert finding.evidence.cost.instances == (4.0, 1.5)
    assert finding.estimate.value == pytest.approx(4 / 1.5)


def test_tokens_give_a_price_per_million():
    tokens = samples([50_000.0] * 24, [50_000.0] * 24, "output_tokens")
    finding = judged("2x cheaper", served(STEADY, STEADY), output_tokens=tokens)
    assert finding.evidence.cost.usd_per_million_output_tokens == pytest.approx((160.0, 80.0))


def test_serverless_is_billed_while_requests_run():
    costs = tuple(
        SideCost(usd_per_gb_second=0.00002, memory_gb=gb, source="as configured") for gb in (4, 2)
    )
    windows = Given(latency=served(STEADY, 3 * STEADY))
    (finding,) = Cost().analyze(replace(change("2x cheaper"), costs=costs), windows)
    assert finding.verdict is Verdict.CONFIRMED, finding.reason.text
    assert finding.evidence.cost.instances is None
    assert finding.evidence.cost.usd_per_1000_requests == pytest.approx((0.008, 0.004))


BY_TOKENS = tuple(
    SideCost(
        source="as configured",
        usd_per_million=(("input_tokens", i), ("output_tokens", o), ("cache_read_tokens", 0.1)),
    )
    for i, o in ((1.0, 4.0), (0.5, 2.0))
)


def test_models_are_billed_by_the_token():
    windows = Given(
        latency=served(STEADY, 3 * STEADY),
        input_tokens=samples([4e6] * 24, [12e6] * 24, "input_tokens"),
        output_tokens=samples([1e6] * 24, [3e6] * 24, "output_tokens"),
    )
    (finding,) = Cost().analyze(replace(change("2x cheaper"), costs=BY_TOKENS), windows)
    assert finding.verdict is Verdict.CONFIRMED, finding.reason.text
    cost = finding.evidence.cost
    assert cost.instances is None
    assert cost.usd_per_1000_requests == pytest.approx((8.0, 4.0)), "growing traffic is no matter"
    assert cost.usd_per_million_output_tokens == pytest.approx((8.0, 4.0))
    assert cost.sources[0] == "as configured; input tokens, output tokens"


def test_two_tiers_of_one_model_are_judged_by_their_own_prices():
    """Half the price, answers as long: 1.9x cheaper is true, and 2.1x is not."""
    windows = Given(
        latency=served(STEADY, STEADY),
        input_tokens=samples([4e6] * 24, [4e6] * 24, "input_tokens"),
        output_tokens=samples([1e6] * 24, [1e6] * 24, "output_tokens"),
    )
    prices = {"usd_per_million_input_tokens": 0.8, "usd_per_million_output_tokens": 3.2}
    flex = {name: usd / 2 for name, usd in prices.items()}
    for tiers, claim, verdict in (
        ({"flex": flex}, "1.9x cheaper", Verdict.CONFIRMED),
        ({"flex": flex}, "2.1x cheaper", Verdict.REFUTED),
        ({"priority": flex}, "1.9x cheaper", Verdict.INCONCLUSIVE),
    ):
        asked = replace(
            change(claim), endpoint="e", baseline_variant="nova", candidate_variant="nova",
            evidence={"tier": "default -> flex"}, costs=None,
        )  # fmt: skip
        variants = {"nova": {**prices, "tiers": tiers}}
        book = Pricing(Prices.model_validate({"endpoints": {"e": {"variants": variants}}}))
        (finding,) = Cost().analyze(book.priced(asked), windows)
        assert finding.verdict is verdict, finding.reason.text
    assert finding.reason.code is ReasonCode.NO_PRICE
    assert "(no price of the flex tier of nova is known: cost.endpoints: e: variants" in (
        finding.reason.text
    )


def test_longer_answers_cost_more_than_the_price_list_says():
    windows = Given(
        latency=served(STEADY, STEADY),
        input_tokens=samples([4e6] * 24, [4e6] * 24, "input_tokens"),
        output_tokens=samples([1e6] * 24, [3e6] * 24, "output_tokens"),
        cache_read_tokens=samples([0.0] * 24, [1e6] * 24, "cache_read_tokens"),
    )
    (finding,) = Cost().analyze(replace(change("2x cheaper"), costs=BY_TOKENS), windows)
    assert finding.verdict is Verdict.REFUTED
    assert finding.evidence.cost.usd_per_1000_requests == pytest.approx((8.0, 8.1))


def test_tokens_that_are_paid_for_and_were_not_recorded_leave_cost_open():
    windows = Given(
        latency=served(STEADY, STEADY),
        output_tokens=samples([1e6] * 24, [1e6] * 24, "output_tokens"),
    )
    (finding,) = Cost().analyze(replace(change("2x cheaper"), costs=BY_TOKENS), windows)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason.code is ReasonCode.NO_PRICE
    assert "the baseline (before) is paid by tokens, and none were recorded" in finding.reason.text


def test_a_segment_has_no_cost_of_its_own():
    finding = judged("2x cheaper for model=chat", served(STEADY, STEADY))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "nothing says what model=chat costs of it" in finding.reason.text


def test_short_live_windows_and_missing_clocks_are_not_judged():
    short = served(STEADY[:5], STEADY[:5])
    finding = judged("2x cheaper", short)
    assert finding.reason.code is ReasonCode.UNCALIBRATED_SHORT_WINDOW
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.evidence.cost.usd_per_hour == (8.0, 4.0), "the figures are shown all the same"
    other_hours = Reason(ReasonCode.UNMATCHED_CLOCK, "other hours of the day")
    finding = judged("2x cheaper", replace(served(STEADY, STEADY), gate=other_hours))
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert finding.estimate.value == pytest.approx(2.0)
    blind = replace(served(STEADY, STEADY), clock=False)
    assert judged("2x cheaper", blind).reason.code is ReasonCode.SIDES_DIFFER


def test_model_latency_counts_requests_where_latency_is_not_known():
    asked = priced(change("2x cheaper"), (2.0, 1.0), (1, 1))
    (finding,) = Cost().analyze(asked, Given(model_latency=served(STEADY, STEADY)))
    assert finding.verdict is Verdict.CONFIRMED


def test_a_handful_of_requests_has_no_cost():
    finding = judged("2x cheaper", served(np.ones(24, dtype=int), STEADY[:24] * 0))
    assert finding.reason.code is ReasonCode.NO_DATA
    few = np.where(np.arange(24) < 19, 1, 0)
    finding = judged("2x cheaper", served(few, STEADY))
    assert finding.reason.text == (
        "a side needs at least 20 successful requests to have a cost, the one with the fewest has "
        "19: measure longer"
    )


# -- runs -----------------------------------------------------------------------------------


def completing(counts, seed=0):
    return [lognormal(seed + i, n) for i, n in enumerate(counts)]


BEFORE = completing([400, 410, 395, 405, 402, 398])


def test_runs_at_full_load_are_paid_for_as_long_as_they_last():
    after = completing([800, 830, 790, 815, 805, 799], 50)
    finding = judged("1.9x cheaper", runs(BEFORE, after), (1.2, 1.2), (None, None))
    assert finding.verdict is Verdict.CONFIRMED, finding.reason.text
    assert finding.evidence.unit == "run"
    # 6 runs of 100 seconds at $1.2 an hour, for the requests of all of them.
    assert finding.evidence.baseline_value == pytest.approx(6 * 1.2 * 100 / 3600 / 2410)
    assert finding.evidence.cost.sources[0] == "price as stated; one instance per run"


def test_one_run_per_side_settles_nothing():
    finding = judged("1.9x cheaper", runs(BEFORE[:1], completing([800])), (1.2, 1.2))
    assert finding.reason.code is ReasonCode.ONE_RUN_PER_SIDE
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.estimate.value == pytest.approx(2.0)


def test_days_are_units_as_runs_are():
    before, after = (
        served([demand(np.random.default_rng(s + i)) for i in range(6)], [STEADY]).baseline
        for s in (1, 20)
    )
    comparison = replace(
        served(STEADY, STEADY),
        baseline=before,
        candidate=after,
        unit=UnitKind.DAY,
        same_hosts=False,
    )
    finding = judged("1.5x cheaper", comparison, (2.0, 1.0), (3, 3))
    assert finding.evidence.unit == "day"
    assert finding.verdict is Verdict.CONFIRMED, finding.reason.text


# -- known truth -------------------------------------------------------------------------------


def test_the_planted_ratio_is_covered_and_identical_sides_stay_quiet():
    """60 pairs of days whose demand swings by 10 % with correlation .6 from hour to hour.

    The slow tests have the figures; no verdict depends on the interval alone, because spending per
    hour has to say the same.
    """
    covered = loud = 0
    rounds = 60
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        comparison = served(demand(rng), demand(rng))
        estimate = judged("1.5x cheaper", comparison, (3.0, 2.0), (1, 1)).estimate
        covered += estimate.low <= 1.5 <= estimate.high
        for claim, per_hour in (
            ("1.02x cheaper", (1.0, 1.0)),
            ("1.55x cheaper", (3.0, 2.0)),
        ):
            finding = judged(claim, comparison, per_hour, (1, 1))
            loud += finding.verdict is Verdict.CONFIRMED
    assert covered / rounds >= 0.8
    assert loud == 0


def test_instances_of_a_discovered_change_are_the_last_resort():
    costs = tuple(SideCost(1.0, source="list", discovered=n) for n in (4.0, 2.0))
    windows = Given(latency=nameless(served(STEADY, STEADY)))
    (finding,) = Cost().analyze(replace(change("2x cheaper"), costs=costs), windows)
    assert finding.verdict is Verdict.CONFIRMED
    assert finding.evidence.cost.sources == (
        "list; 4 when the change was discovered", "list; 2 when the change was discovered",
    )  # fmt: skip
