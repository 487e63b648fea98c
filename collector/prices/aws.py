"""The AWS Price List: what an instance of a SageMaker endpoint costs per hour, on demand.

Public prices only, no discounts or Savings Plans. Spellings of products vary, so a product counts
by its instance name, region and a component that says Hosting; two different prices are none.
Source: aws.md, section 11.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.aws.session import AwsClient, Caller
from nibai.errors import CollectError
from nibai.protocols import ListedPrice, PriceList

PRICING_REGION = "us-east-1"
"""The price list is asked in few regions; it knows the prices of all."""

WEEK_SECONDS = 7 * 86400.0
SERVICE = "AmazonSageMaker"
HOSTING = "Hosting"
HOURS = "Hrs"


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
        kept, note = self._read(), ""
        key = f"{region}/{instance_type}"
        known = kept.get(key)
        if known is None or self._clock() - known["asked_at"] > WEEK_SECONDS:
            try:
                found = hourly_prices(self._products(instance_type, region))
            except CollectError:
                if known is None:
                    raise
            else:
                usd = found.pop() if len(found) == 1 else None
                known = {"usd_per_hour": usd, "asked_at": self._clock()}
                try:
                    self._write({**kept, key: known})
                except OSError as error:
                    note = f" (not kept, asked again next time: {error.strerror or error})"
        if known["usd_per_hour"] is None:
            return None
        day = datetime.fromtimestamp(known["asked_at"], UTC).date().isoformat()
        return ListedPrice(known["usd_per_hour"], f"AWS price list of {day}, {instance_type}{note}")

    def _products(self, instance_type: str, region: str) -> Iterator[str]:
        filters = [
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in (("instanceName", instance_type), ("regionCode", region))
        ]
        caller = self._caller()
        token: str | None = None
        while True:
            following = {"NextToken": token} if token else {}
            page = caller.call("GetProducts", ServiceCode=SERVICE, Filters=filters, **following)
            yield from page.get("PriceList", ())
            token = page.get("NextToken")
            if not token:
                return

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
