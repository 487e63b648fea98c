"""The section `cost`: what instances cost, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from nibai.config.fields import Section
from nibai.conventions import TOKENS

Tier = Literal["priority", "flex", "reserved", "optimized"]
"""How requests are served that are not served as usual: a service tier, or optimized latency."""


class TokenPrice(Section):
    """Prices in US dollars per million tokens."""

    usd_per_million_input_tokens: float | None = Field(default=None, gt=0)
    usd_per_million_output_tokens: float | None = Field(default=None, gt=0)
    usd_per_million_cache_read_tokens: float | None = Field(default=None, gt=0)
    usd_per_million_cache_write_tokens: float | None = Field(default=None, gt=0)

    @property
    def usd_per_million(self) -> tuple[tuple[str, float], ...]:
        """Prices by metric of tokens."""
        named = ((metric, getattr(self, f"usd_per_million_{metric}")) for metric in TOKENS)
        return tuple((metric, price) for metric, price in named if price is not None)


class Price(TokenPrice):
    """What a variant runs on. A price beats an instance type; no `instances`: as many as seen.

    Models that are paid by tokens have prices per million of them, others in `tiers`; `model` is
    the name under which the price list knows one.
    """

    usd_per_hour: float | None = Field(default=None, gt=0)
    instances: float | None = Field(default=None, gt=0)
    instance_type: str | None = None
    usd_per_gb_second: float | None = Field(default=None, gt=0)
    memory_gb: float | None = Field(default=None, gt=0)
    tiers: Mapping[Tier, TokenPrice] | None = None
    model: str | None = None


class EndpointPrice(Price):
    """The same for all variants of an endpoint; what a variant says of itself wins."""

    variants: Mapping[str, Price] = {}


class Cost(Section):
    """Prices in US dollars. `instance_types` are prices per hour that beat the price list.

    `price_list`: where other types are looked up; "aws" asks the AWS Price List once a week.
    """

    endpoints: Mapping[str, EndpointPrice] = {}
    instance_types: Mapping[str, float] = {}
    price_list: Literal["none", "aws"] = "none"
