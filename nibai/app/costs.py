"""What both sides of a change cost: declared with it, configured, or from a price list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nibai.config import Config, Cost, Price
from nibai.errors import CollectError, PluginError
from nibai.model import Change, Promise, SideCost
from nibai.protocols import PriceList

Lister = Callable[[], PriceList]
ROLES = ("baseline", "candidate")
INSTANCE_TYPE, INSTANCES = "_instance_type", "_instances"
"""With the role before them, keys of a change's evidence: an instance type, and how many."""


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices of a configuration; `lister` opens its price list, when it has one."""

    cost: Cost
    lister: Lister | None = None

    def priced(self, change: Change) -> Change:
        """The change with what both sides cost, as far as it is known; declared costs win.

        A price list that cannot be asked leaves the price out, `source` says why.
        """
        if not claims_cost(change):
            return change
        declared = change.costs or (SideCost(), SideCost())
        variants = (change.baseline_variant, change.candidate_variant)
        found = []
        for role, variant, said in zip(ROLES, variants, declared, strict=True):
            found.append(self._side(change, role, variant, said))
        return replace(change, costs=(found[0], found[1]))

    def _side(self, change: Change, role: str, variant: str | None, said: SideCost) -> SideCost:
        price = self._configured(change.endpoint, variant)
        kind = said.instance_type or change.evidence.get(role + INSTANCE_TYPE)
        kind = kind or price.instance_type or ""
        instances = said.instances if said.instances is not None else price.instances
        discovered = _number(change.evidence.get(role + INSTANCES))
        if said.usd_per_hour is not None:
            return replace(said, instances=instances, instance_type=kind, discovered=discovered)
        cost = SideCost(instances=instances, instance_type=kind, discovered=discovered)
        if price.usd_per_hour is not None:
            return replace(cost, usd_per_hour=price.usd_per_hour, source="price as configured")
        if price.usd_per_gb_second is not None:
            return replace(
                cost,
                usd_per_gb_second=price.usd_per_gb_second,
                memory_gb=price.memory_gb,
                source="price per GB-second as configured",
            )
        if price.usd_per_million:
            source = "prices per million tokens as configured"
            return replace(cost, usd_per_million=price.usd_per_million, source=source)
        return self._by_type(change.endpoint, cost)

    def _by_type(self, endpoint: str, cost: SideCost) -> SideCost:
        kind = cost.instance_type
        known = self.cost.instance_types.get(kind)
        if known is not None:
            return replace(cost, usd_per_hour=known, source=f"price of {kind} as configured")
        region = endpoint.split("/")[1].rpartition(".")[2] if endpoint.count("/") > 1 else ""
        if not kind or self.lister is None:
            return cost
        try:
            listed = self.lister().price(kind, region)
        except CollectError as error:
            return replace(cost, source=str(error))
        if listed is None:
            return replace(cost, source=f"the price list has no single price of {kind} in {region}")
        return replace(cost, usd_per_hour=listed.usd_per_hour, source=listed.source)

    def _configured(self, endpoint: str, variant: str | None) -> Price:
        of_endpoint = self.cost.endpoints.get(endpoint)
        if of_endpoint is None:
            return Price()
        own = of_endpoint.variants.get(variant or "", Price())
        told = own.model_dump(exclude_none=True)
        return Price(**{**of_endpoint.model_dump(exclude={"variants"}, exclude_none=True), **told})


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if found > 0 else None


def claims_cost(change: Change) -> bool:
    """Whether a sentence of a change promises something about cost."""
    parts = (part for sentence in change.sentences for part in sentence.parts)
    return any(part.promise in {Promise.CHEAPER, Promise.COST_AT_MOST} for part in parts)


def over(
    given: tuple[SideCost, SideCost] | None, declared: tuple[SideCost, SideCost] | None
) -> tuple[SideCost, SideCost] | None:
    """What is said now, over what was declared: a price without instances keeps those."""
    if given is None or declared is None:
        return given or declared
    found = []
    for now, before in zip(given, declared, strict=True):
        count = before.instances if now.instances is None else now.instances
        found.append(replace(before if now.usd_per_hour is None else now, instances=count))
    return found[0], found[1]


def pricing_of(config: Config, clock: Callable[[], float]) -> Pricing:
    """The prices of a configuration."""
    if config.cost.price_list == "none":
        return Pricing(config.cost)

    def lister() -> PriceList:
        from nibai import plugins  # noqa: PLC0415 - only where a price is looked up

        found = plugins.load(
            "nibai.price_lists",
            config.cost.price_list,
            {"cache": str(config.data / "prices.json"), "clock": clock},
        )
        if not isinstance(found, PriceList):
            raise PluginError("the plug-in 'aws' in nibai.price_lists lists no prices: reinstall")
        return found

    return Pricing(config.cost, lister)
