"""What both sides of a change cost: declared with it, configured, or from a price list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nibai.config import Config, Cost, Price, TokenPrice
from nibai.errors import CollectError, PluginError
from nibai.model import Change, Promise, SideCost
from nibai.protocols import PriceList, TokenPriceList

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
        tiers = tiers_of(change)
        variants = (change.baseline_variant, change.candidate_variant)
        found = []
        for role, variant, said, tier in zip(ROLES, variants, declared, tiers, strict=True):
            found.append(self._side(change, role, variant, said, tier))
        if any(tiers):
            found = alike((found[0], found[1]), tiers)
        return replace(change, costs=(found[0], found[1]))

    def _side(
        self, change: Change, role: str, variant: str | None, said: SideCost, tier: str
    ) -> SideCost:
        price = self._configured(change.endpoint, variant)
        kind = said.instance_type or change.evidence.get(role + INSTANCE_TYPE)
        kind = kind or price.instance_type or ""
        instances = said.instances if said.instances is not None else price.instances
        discovered = _number(change.evidence.get(role + INSTANCES))
        if said.usd_per_hour is not None:
            return replace(said, instances=instances, instance_type=kind, discovered=discovered)
        if tier or (price.model and not (price.usd_per_hour or price.usd_per_million)):
            return self._by_token(change.endpoint, variant, price, tier)
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

    def _by_token(self, endpoint: str, variant: str | None, price: Price, tier: str) -> SideCost:
        """Prices of a tier: those of the model as usual are never taken for them."""
        own = next((o for known, o in (price.tiers or {}).items() if known == tier), TokenPrice())
        name = f"{tier or 'standard'} tier of {variant or 'the model'}"
        if own.usd_per_million:
            source = f"prices per million tokens of the {name} as configured"
            return SideCost(usd_per_million=own.usd_per_million, source=source)
        where = f"cost.endpoints: {endpoint}: variants: {variant}: tiers: {tier}"
        missing = SideCost(source=f"no price of the {name} is known: {where}")
        lister: object = None if self.lister is None or price.model is None else self.lister()
        if price.model is None or not isinstance(lister, TokenPriceList):
            return missing
        try:
            listed = lister.token_prices(price.model, region_of(endpoint), tier)
        except CollectError as error:
            return SideCost(source=str(error))
        if listed is None:
            in_list = f"nor in the price list under {price.model!r} in {region_of(endpoint)}"
            return replace(missing, source=f"{missing.source}, {in_list}")
        return SideCost(usd_per_million=tuple(listed.usd_per_million.items()), source=listed.source)

    def _by_type(self, endpoint: str, cost: SideCost) -> SideCost:
        kind = cost.instance_type
        known = self.cost.instance_types.get(kind)
        if known is not None:
            return replace(cost, usd_per_hour=known, source=f"price of {kind} as configured")
        region = region_of(endpoint)
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


def region_of(endpoint: str) -> str:
    """The region in an endpoint's name.

    >>> region_of("bedrock/123456789012.us-east-1/chat")
    'us-east-1'
    """
    return endpoint.split("/")[1].rpartition(".")[2] if endpoint.count("/") > 1 else ""


def tiers_of(change: Change) -> tuple[str, str]:
    """How requests were served on both sides, "" as usual: by what was seen or declared.

    >>> tiers_of(Change("c", "e", evidence={"tier": "default -> flex"}))
    ('', 'flex')
    """
    for what in ("tier", "performance"):
        before, arrow, after = change.evidence.get(what, "").partition(" -> ")
        if arrow:
            usual = {"default": "", "standard": ""}
            return usual.get(before, before), usual.get(after, after)
    return "", ""


def alike(costs: tuple[SideCost, SideCost], tiers: tuple[str, str]) -> list[SideCost]:
    """Both sides, where they price the same tokens: what one side leaves out would be free there.

    >>> one, two = (SideCost(usd_per_million=(("input_tokens", 1.0),)),
    ...             SideCost(usd_per_million=(("input_tokens", 0.5), ("output_tokens", 2.0))))
    >>> alike((one, two), ("flex", ""))[0].source
    'no price of output tokens in the flex tier is known'
    """
    named = [{metric for metric, _ in cost.usd_per_million} for cost in costs]
    found = []
    for cost, own, other, tier in zip(costs, named, named[::-1], tiers, strict=True):
        lacking = sorted(one.replace("_", " ") for one in other - own)
        if own and lacking:
            source = (
                f"no price of {' and '.join(lacking)} in the {tier or 'standard'} tier is known"
            )
            found.append(SideCost(source=source))
        else:
            found.append(cost)
    return found


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
