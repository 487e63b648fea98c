"""Whether the price list has exactly one price for what runs here: point 20."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from collector.aws.session import pages
from collector.capabilities.asking import Judged, Services, asked
from collector.prices.aws import SERVICE, hourly_prices
from collector.sagemaker.snapshot import Snapshot
from nibai.protocols import Capability, Standing


def prices(
    topic: str, services: Services, region: str, snapshots: Iterable[Snapshot]
) -> Iterator[Capability]:
    """One capability an instance type."""
    types = {
        value
        for snapshot in snapshots
        for unit in snapshot.units
        for path, value in unit.facts.items()
        if path.endswith(".InstanceType")
    }
    for kind in sorted(types):
        name = f"price of {kind}"
        yield asked(topic, name, lambda kind=kind: _price(services, kind, region), number=20)  # type: ignore[misc]


def _price(services: Services, kind: str, region: str) -> Judged:
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value}
        for field, value in (("instanceName", kind), ("regionCode", region))
    ]
    listed = pages(
        services("pricing"), "GetProducts", "PriceList", ServiceCode=SERVICE, Filters=filters
    )
    found = hourly_prices(str(one) for one in listed)
    if len(found) == 1:
        return Standing.PRESENT, f"${found.pop():g} an hour, on demand"
    return (
        Standing.ABSENT,
        f"{len(found) or 'no'} prices match",
        f"cost.instance_types: {{{kind}: PRICE}} (nibai.yaml)",
    )
