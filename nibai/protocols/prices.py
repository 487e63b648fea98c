"""The seam of price lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """A public price of one instance; `source` says whose and of when."""

    usd_per_hour: float
    source: str


@runtime_checkable
class PriceList(Protocol):
    """Public prices by instance type and region (entry point group `nibai.price_lists`)."""

    def price(self, instance_type: str, region: str) -> ListedPrice | None:
        """The price, None when there is not exactly one; CollectError when it cannot be asked."""
        ...


@dataclass(frozen=True, slots=True)
class ListedTokens:
    """Public prices per million tokens, by metric of tokens; `source` says whose and of when."""

    usd_per_million: Mapping[str, float]
    source: str


@runtime_checkable
class TokenPriceList(Protocol):
    """A price list that knows models, too."""

    def token_prices(self, model: str, region: str, tier: str) -> ListedTokens | None:
        """The prices of a model in a tier ("": as usual), by the list's own name; None: unknown.

        CollectError when the list cannot be asked.
        """
        ...
