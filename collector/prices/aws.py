"""The AWS Price List: what an instance of a SageMaker endpoint costs per hour, on demand.

Public prices only, no discounts or Savings Plans. Spellings of products vary, so a product counts
by its instance name, region and a component that says Hosting; two different prices are none.
Models of Bedrock are priced per thousand or million tokens, by kind of token and service tier; what
optimized latency costs is not told apart there. Source: aws.md, section 11.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.aws.session import AwsClient, Caller, each_page
from nibai.config.regions import USUAL_DOMAIN, domain_of
from nibai.errors import CollectError
from nibai.protocols import ListedPrice, ListedTokens, PriceList

PRICING_REGION = "us-east-1"
"""The price list is asked in few regions; it knows the prices of all."""

WEEK_SECONDS = 7 * 86400.0
SERVICE = "AmazonSageMaker"
BEDROCK = "AmazonBedrock"
HOSTING = "Hosting"
HOURS = "Hrs"
ON_DEMAND = "On-demand Inference"
TOKENS_OF = re.compile(
    r"(?:prompt cache (?P<cache>read|write) )?(?P<way>input|output) tokens"
    r"(?:[ -](?P<tier>flex|priority|reserved))?"
)
PER_MILLION = {"1k tokens": 1e3, "1m tokens": 1.0}
"""Units of the list, and how many of them are a million tokens."""


class AwsPrices:
    """Prices by instance type and region, kept in a file and asked again after a week.

    When the list cannot be asked, an older price is used and says of when it is; a price that could
    not be kept says so.
    """

    def __init__(
        self, caller: Callable[[], Caller], cache: Path, clock: Callable[[], float]
    ) -> None:
        self._caller = caller
        self._cache = cache
        self._clock = clock

    def price(self, instance_type: str, region: str) -> ListedPrice | None:
        """The one on-demand price per hour, None when there is none or several."""
        _in_dollars(region)
        key = f"{region}/{instance_type}"
        known, note = self._known(key, lambda: self._per_hour(instance_type, region))
        if known["usd_per_hour"] is None:
            return None
        return ListedPrice(known["usd_per_hour"], f"{_dated(known)}, {instance_type}{note}")

    def token_prices(self, model: str, region: str, tier: str) -> ListedTokens | None:
        """Prices per million tokens of a Bedrock model, by the name that the list has for it."""
        _in_dollars(region)
        key = f"{region}/{BEDROCK}/{model}"
        known, note = self._known(key, lambda: self._per_million(model, region))
        prices = known.get("per_million", {}).get(tier)
        if not prices:
            return None
        return ListedTokens(prices, f"{_dated(known)}, {model}{f', {tier}' * bool(tier)}{note}")

    def _per_million(self, model: str, region: str) -> dict[str, Any]:
        found = token_prices(self._products(BEDROCK, {"model": model, "regionCode": region}))
        return {"usd_per_hour": None, "per_million": found}

    def _per_hour(self, instance_type: str, region: str) -> dict[str, Any]:
        wanted = {"instanceName": instance_type, "regionCode": region}
        found = hourly_prices(self._products(SERVICE, wanted))
        return {"usd_per_hour": found.pop() if len(found) == 1 else None}

    def _known(self, key: str, ask: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], str]:
        """What is kept under a key, asked for where it is missing or old; a note on keeping it."""
        kept, note = self._read(), ""
        known = kept.get(key)
        if known is None or self._clock() - known["asked_at"] > WEEK_SECONDS:
            try:
                found = ask()
            except CollectError:
                if known is None:
                    raise
            else:
                known = {**found, "asked_at": self._clock()}
                try:
                    self._write({**kept, key: known})
                except OSError as error:
                    note = f" (not kept, asked again next time: {error.strerror or error})"
        return known, note

    def _products(self, service: str, wanted: Mapping[str, str]) -> Iterator[str]:
        filters = [
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in wanted.items()
        ]
        asked: dict[str, object] = {"ServiceCode": service, "Filters": filters}
        for page in each_page(self._caller(), "GetProducts", **asked):
            yield from page.get("PriceList", ())

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            kept = json.loads(self._cache.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # a lost or broken cache costs one request
        return kept if isinstance(kept, dict) and all(map(_sound, kept.values())) else {}

    def _write(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        written = self._cache.with_suffix(".part")
        written.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        written.replace(self._cache)


def hourly_prices(products: Iterable[str]) -> set[float]:
    """Distinct on-demand dollars per hour of hosting products; each product is a JSON text."""
    found: set[float] = set()
    for text in products:
        try:
            product = json.loads(text)
            if HOSTING in product["product"]["attributes"].get("component", ""):
                found |= set(_on_demand(product["terms"].get("OnDemand", {})))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # one product in a shape nobody knows is no price
    return {usd for usd in found if usd > 0}


def token_prices(products: Iterable[str]) -> dict[str, dict[str, float]]:
    """Dollars per million tokens of Bedrock products, by tier and metric; two prices are none.

    `inferenceType` reads like "Input tokens", "Output tokens flex", "Prompt cache read input
    tokens"; batches and custom models are other features, profiles of all regions other types.
    """
    found: dict[tuple[str, str], set[float]] = {}
    for text in products:
        try:
            product = json.loads(text)
            named = product["product"]["attributes"]
            kind = TOKENS_OF.fullmatch(named.get("inferenceType", "").lower())
            if kind is None or named.get("feature", ON_DEMAND) != ON_DEMAND:
                continue
            metric = f"cache_{kind['cache']}_tokens" if kind["cache"] else f"{kind['way']}_tokens"
            for usd in _per_tokens(product["terms"].get("OnDemand", {})):
                found.setdefault((kind["tier"] or "", metric), set()).add(usd)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # as above
    priced: dict[str, dict[str, float]] = {}
    for (tier, metric), prices in sorted(found.items()):
        if len(prices) == 1 and min(prices) > 0:
            priced.setdefault(tier, {})[metric] = prices.pop()
    return priced


def _per_tokens(terms: Mapping[str, Any]) -> Iterator[float]:
    for term in terms.values():
        for dimension in term["priceDimensions"].values():
            many = PER_MILLION.get(dimension["unit"].lower())
            if many is not None:
                yield round(float(dimension["pricePerUnit"]["USD"]) * many, 9)


def _in_dollars(region: str) -> None:
    """CollectError for a region of a partition that bills in another currency, by another list."""
    if domain_of(region) != USUAL_DOMAIN:
        raise CollectError(
            f"the AWS price list says nothing of {region}, whose partition has prices of its own: "
            "write them down (cost: instance_types, or endpoints)",
            reason="prices",
        )


def _dated(known: Mapping[str, Any]) -> str:
    day = datetime.fromtimestamp(known["asked_at"], UTC).date().isoformat()
    return f"AWS price list of {day}"


def _on_demand(terms: Mapping[str, Any]) -> Iterator[float]:
    for term in terms.values():
        for dimension in term["priceDimensions"].values():
            if dimension["unit"] == HOURS:
                yield float(dimension["pricePerUnit"]["USD"])


def _sound(entry: object) -> bool:
    return isinstance(entry, dict) and {"usd_per_hour", "asked_at"} <= entry.keys()


def build(options: Mapping[str, object]) -> PriceList:
    """The price list; options `cache` (a file), `clock` and `endpoint_url`."""
    clock, url = options["clock"], options.get("endpoint_url")
    assert callable(clock)  # noqa: S101 - the composition root's

    def caller() -> Caller:
        return AwsClient("pricing", PRICING_REGION, endpoint_url=None if url is None else str(url))

    return AwsPrices(caller, Path(str(options["cache"])), clock)
