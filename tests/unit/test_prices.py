"""The AWS price list through boto3: one price or none, kept for a week, never in the way."""

import pytest
from fakeaws.pricing import Pricing
from fakeaws.server import FakeAws

from collector.aws.session import AwsClient
from collector.prices.aws import AwsPrices, build, hourly_prices, token_prices
from nibai.app.costs import Pricing as Book
from nibai.app.costs import over, pricing_of
from nibai.app.kinds import tiers
from nibai.claims import parse
from nibai.config import Config, Cost
from nibai.errors import CollectError, UsageError
from nibai.model import Change, SideCost
from nibai.protocols import ListedPrice, ListedTokens, PriceList

DAY = 86400.0
NOW = 1_764_000_000.0
XLARGE = ("ml.g5.xlarge", "eu-west-1", "Hosting", 1.57)
PRODUCTS = (
    XLARGE,
    ("ml.g5.xlarge", "eu-west-1", "Training", 1.9),
    ("ml.g5.xlarge", "eu-west-1", "Hosting", 0.0),  # reserved capacity is listed as free
    ("ml.g5.xlarge", "eu-west-1", "Hosting", 7.0, "GB-Mo"),
    ("ml.g5.xlarge", "us-east-1", "Hosting", 1.41),
    ("ml.p4d", "eu-west-1", "Real-Time Hosting", 30.0),
    ("ml.p4d", "eu-west-1", "Async-Hosting", 31.0),
)


@pytest.fixture(scope="module", autouse=True)
def _credentials():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        yield


@pytest.fixture(scope="module")
def shop():
    """One server and one client for all tests of this file."""
    with FakeAws(pricing=Pricing(*PRODUCTS, page=1)) as fake:
        yield fake, AwsClient("pricing", "us-east-1", endpoint_url=fake.url, tries=1)


class Clock:
    now = NOW

    def __call__(self):
        return self.now


def test_exactly_one_hourly_hosting_price_counts(shop, tmp_path):
    prices = AwsPrices(lambda: shop[1], tmp_path / "prices.json", Clock())
    listed = prices.price("ml.g5.xlarge", "eu-west-1")
    assert listed == ListedPrice(1.57, "AWS price list of 2025-11-24, ml.g5.xlarge")
    assert prices.price("ml.p4d", "eu-west-1") is None, "two prices are none"
    assert prices.price("ml.none", "eu-west-1") is None
    assert set(shop[0].seen) == {"pricing:GetProducts"}


def test_a_price_is_kept_for_a_week_and_outlives_a_failing_list(shop, tmp_path):
    backend = shop[0].backends["pricing"]
    clock, before = Clock(), backend.asked
    prices = AwsPrices(lambda: shop[1], tmp_path / "prices.json", clock)
    assert prices.price("ml.g5.xlarge", "us-east-1").usd_per_hour == 1.41
    clock.now += 6 * DAY
    prices.price("ml.g5.xlarge", "us-east-1")
    assert backend.asked == before + 1
    clock.now += 2 * DAY
    backend.fails = (400, "AccessDeniedException", "not authorized")
    assert "2025-11-24" in prices.price("ml.g5.xlarge", "us-east-1").source
    with pytest.raises(CollectError, match="allow pricing:GetProducts"):
        prices.price("ml.other", "us-east-1")
    backend.fails = None
    assert prices.price("ml.g5.xlarge", "us-east-1").source.startswith("AWS price list of 2025-12")


def test_a_partition_with_prices_of_its_own_is_named(shop, tmp_path):
    prices = AwsPrices(lambda: shop[1], tmp_path / "prices.json", Clock())
    for asked in (
        lambda: prices.price("ml.g5.xlarge", "cn-north-1"),
        lambda: prices.token_prices("Nova Lite", "eusc-de-east-1", ""),
    ):
        with pytest.raises(CollectError, match="whose partition has prices of its own: write them"):
            asked()


def test_a_broken_cache_and_broken_products_are_not_believed(shop, tmp_path):
    cache = tmp_path / "prices.json"
    for broken in ("{", "[]", '{"eu-west-1/ml.g5.xlarge": 3}'):
        cache.write_text(broken, encoding="utf-8")
        assert AwsPrices(lambda: shop[1], cache, Clock()).price(*XLARGE[:2]).usd_per_hour == 1.57
    assert hourly_prices(["{", "{}", "[]", '{"product": {"attributes": {}}, "terms": {}}']) == set()


def test_the_plug_in_lists_prices(tmp_path):
    assert isinstance(build({"cache": tmp_path / "p", "clock": Clock()}), PriceList)
    book = pricing_of(Config(data=tmp_path, cost=Cost(price_list="aws")), Clock())
    assert isinstance(book.lister(), PriceList)


# -- which price it is ----------------------------------------------------------------------

CHAT = "sagemaker/123456789012.eu-west-1/chat"
COST = Cost.model_validate(
    {
        "endpoints": {
            CHAT: {
                "instance_type": "ml.g5.2xlarge",
                "instances": 4,
                "variants": {
                    "own": {"usd_per_hour": 9.0},
                    "less": {"instance_type": "ml.less", "instances": 2},
                    "free": {"instance_type": "ml.g5.xlarge"},
                    "small": {"usd_per_gb_second": 0.00002, "memory_gb": 4},
                    "nova": {
                        "usd_per_million_input_tokens": 0.06,
                        "usd_per_million_output_tokens": 0.24,
                    },
                },
            }
        },
        "instance_types": {"ml.g5.2xlarge": 2.5, "ml.less": 1.25},
    }
)


class Listed:
    def price(self, instance_type, region):
        if region != "eu-west-1":
            raise CollectError("pricing: not reached")
        return ListedPrice(1.57, "list") if instance_type == "ml.g5.xlarge" else None


def costs(variants=(None, None), endpoint=CHAT, book=None, **given):
    change = Change(
        "c", endpoint, sentences=(parse("2x cheaper"),), baseline_variant=variants[0],
        candidate_variant=variants[1], **given,
    )  # fmt: skip
    return (book or Book(COST, Listed)).priced(change).costs


def test_a_variant_beats_its_endpoint_and_a_price_its_type():
    b, c = costs(("own", "less"))
    assert (b.usd_per_hour, b.instances, b.source) == (9.0, 4, "price as configured")
    assert (c.usd_per_hour, c.instances) == (1.25, 2)
    assert c.source == "price of ml.less as configured"


def test_the_list_is_asked_last_and_its_failure_is_told():
    assert costs(("free", "small"))[0].usd_per_hour == 1.57
    assert costs(("free", "small"))[1].usd_per_gb_second == 0.00002
    nova = costs(("free", "nova"))[1]
    assert nova.usd_per_million == (("input_tokens", 0.06), ("output_tokens", 0.24))
    assert nova.source == "prices per million tokens as configured"
    evidence = {"baseline_instance_type": "ml.g5.xlarge", "candidate_instance_type": "ml.odd"}
    b, c = costs(evidence=evidence)
    assert (b.usd_per_hour, c.usd_per_hour) == (1.57, None)
    assert c.source == "the price list has no single price of ml.odd in eu-west-1"
    evidence |= {"baseline_instances": "3", "candidate_instances": "many"}
    b, c = costs(evidence=evidence, endpoint="sagemaker/123456789012.eu-west-1/other")
    assert (b.instances, b.discovered, c.discovered) == (None, 3.0, None)
    far = costs(evidence=evidence, endpoint="sagemaker/123456789012.us-east-1/chat")
    assert (far[0].usd_per_hour, far[0].source) == (None, "pricing: not reached")
    assert costs(evidence=evidence, book=Book(COST))[1].source == ""


def test_what_was_declared_wins_and_what_is_said_now_wins_over_that():
    declared = SideCost(3.0, None, "price as stated"), SideCost(2.0, 5, "price as stated")
    b, c = costs(costs=declared)
    assert (b.usd_per_hour, b.instances, c.usd_per_hour, c.instances) == (3.0, 4, 2.0, 5)
    now = SideCost(instances=1), SideCost(7.0, None, "now")
    assert over(now, declared) == (SideCost(3.0, 1, "price as stated"), SideCost(7.0, 5, "now"))
    assert over(None, declared) is declared


def test_changes_without_a_claim_about_cost_ask_nothing():
    change = Change("c", CHAT, sentences=(parse("2x faster"),))
    assert Book(COST, lambda: pytest.fail("asked")).priced(change) is change


def test_a_folder_that_cannot_be_written_is_said_beside_the_price(shop, tmp_path):
    (tmp_path / "file").write_text("")  # in the way of the folder, for root too
    prices = AwsPrices(lambda: shop[1], tmp_path / "file" / "prices.json", Clock())
    listed = prices.price("ml.g5.xlarge", "eu-west-1")
    assert listed.usd_per_hour == 1.57
    assert "(not kept, asked again next time: " in listed.source


# -- service tiers of a model -------------------------------------------------------------------

NOVA, REGION = "Nova Pro", "us-east-1"
MODELS = (
    (NOVA, REGION, "Input tokens", 0.0008),
    (NOVA, REGION, "Output tokens", 0.0032),
    (NOVA, REGION, "Input tokens flex", 0.0004),
    (NOVA, REGION, "Output tokens flex", 1.6, "1M tokens"),
    (NOVA, REGION, "Prompt cache read input tokens", 0.0002),
    (NOVA, REGION, "Input tokens priority", 0.0014),
    (NOVA, REGION, "Input tokens priority", 0.0015),  # two prices are none
    (NOVA, REGION, "Output tokens priority", 0.0056),
    (NOVA, REGION, "Input tokens", 0.0001, "1K tokens", "Batch Inference"),
    (NOVA, REGION, "Output tokens reserved", 3.0, "Hrs"),
    (NOVA, "eu-west-1", "Input tokens", 0.001),
)
BEDROCK = f"bedrock/123456789012.{REGION}/chat"
MILLION = (("input_tokens", 0.8), ("output_tokens", 3.2))


def tier_book(variant, lister=None):
    return Book(
        Cost.model_validate({"endpoints": {BEDROCK: {"variants": {"nova": variant}}}}), lister
    )


def million(i, o=None):
    found = {"usd_per_million_input_tokens": i}
    return found if o is None else {**found, "usd_per_million_output_tokens": o}


def tier_costs(said, variant, lister=None):
    book = tier_book(variant, lister)
    return costs(("nova", "nova"), BEDROCK, book, evidence={"tier": said})


def test_the_list_prices_models_by_tier(shop, tmp_path):
    fake, client = shop
    fake.backends["pricing"] = Pricing(*PRODUCTS, page=1, models=MODELS)
    prices = AwsPrices(lambda: client, tmp_path / "prices.json", Clock())
    usual, flex, priority, odd = (
        prices.token_prices(NOVA, REGION, tier) for tier in ("", "flex", "priority", "optimized")
    )
    assert usual.usd_per_million == dict(MILLION) | {"cache_read_tokens": 0.2}
    assert flex == ListedTokens(
        {"input_tokens": 0.4, "output_tokens": 1.6}, "AWS price list of 2025-11-24, Nova Pro, flex"
    )
    assert priority.usd_per_million == {"output_tokens": 5.6}
    assert odd is None
    assert prices.price(*XLARGE[:2]).usd_per_hour == 1.57, "one cache for both"
    asked = fake.backends["pricing"].asked
    assert prices.token_prices(NOVA, REGION, "flex") == flex
    assert fake.backends["pricing"].asked == asked
    assert token_prices(["{", "{}", "[]"]) == {}


def test_tiers_of_one_model_have_prices_of_their_own():
    b, c = tier_costs(
        "default -> flex", {**million(0.8, 3.2), "tiers": {"flex": million(0.4, 1.6)}}
    )
    assert (b.usd_per_million, b.source) == (MILLION, "prices per million tokens as configured")
    assert c.usd_per_million == (("input_tokens", 0.4), ("output_tokens", 1.6))
    assert c.source == "prices per million tokens of the flex tier of nova as configured"
    # Seen in the logs, it is told in the same words.
    seen = costs(
        ("nova", "nova"), BEDROCK,
        tier_book({**million(0.8, 3.2), "tiers": {"optimized": million(1.0, 4.0)}}),
        evidence={"performance": "default -> optimized"},
    )  # fmt: skip
    assert seen[1].usd_per_million == (("input_tokens", 1.0), ("output_tokens", 4.0))


def test_the_price_of_another_tier_is_never_taken():
    where = f"cost.endpoints: {BEDROCK}: variants: nova: tiers: flex"
    for variant, said in (
        (million(0.8, 3.2), f"no price of the flex tier of nova is known: {where}"),
        (
            {**million(0.8, 3.2), "tiers": {"flex": million(0.4)}},
            "no price of output tokens in the flex tier is known",
        ),
    ):
        b, c = tier_costs("default -> flex", variant)
        assert (b.usd_per_million, c.usd_per_million, c.source) == (MILLION, (), said)


def test_the_list_is_asked_for_tiers_by_the_name_that_was_given():
    class Tokens:
        def price(self, instance_type, region):
            raise AssertionError(instance_type, region)

        def token_prices(self, model, region, tier):
            assert (model, region) == (NOVA, REGION)
            if tier == "reserved":
                raise CollectError("pricing: not reached")
            known = {"": 0.8, "flex": 0.4}
            return ListedTokens({"input_tokens": known[tier]}, "list") if tier in known else None

    b, c = tier_costs("default -> flex", {"model": NOVA}, Tokens)
    assert (b.usd_per_million, c.usd_per_million) == (
        (("input_tokens", 0.8),), (("input_tokens", 0.4),),
    )  # fmt: skip
    assert tier_costs("flex -> reserved", {"model": NOVA}, Tokens)[1].source == (
        "pricing: not reached"
    )
    assert tier_costs("flex -> priority", {"model": NOVA}, Tokens)[1].source.endswith(
        "tiers: priority, nor in the price list under 'Nova Pro' in us-east-1"
    )


def test_tiers_are_declared_in_words():
    assert tiers("priority, default") == "priority -> default"
    for odd in ("flex", "default,cheap", "a,b,c"):
        with pytest.raises(UsageError, match="write FROM,TO, each of them one of default, prior"):
            tiers(odd)
