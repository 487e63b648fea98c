"""AWS as something to examine: the accounts of `sagemaker` and `cloudwatch` in nibai.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from collector.aws.session import AwsClient, Caller
from collector.capabilities import access, bills, enrichment
from collector.sagemaker.describe import Describer
from collector.sagemaker.permitted import Permitted
from collector.sagemaker.snapshot import Snapshot
from nibai.errors import CollectError
from nibai.protocols import Capability, Effort, Examiner, Standing

MOST_ENDPOINTS = 3


@dataclass(frozen=True, slots=True)
class Place:
    """One account and region, and which endpoints of it are meant."""

    account: str
    region: str
    patterns: tuple[str, ...]
    endpoint_url: str | None = None

    @property
    def topic(self) -> str:
        """How it is called in what is printed."""
        return f"account {self.account} {self.region}"


class AwsExaminer:
    """Examines every place; `services` makes a client of (place, service)."""

    def __init__(
        self,
        places: Iterable[Place],
        services: Callable[[Place, str], Caller],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._places = tuple(places)
        self._services = services
        self._clock = clock

    def effort(self) -> Iterable[Effort]:
        """What every place will be asked, at most."""
        for place in self._places:
            yield Effort(place.topic, access.READS + enrichment.READS, 0.0)

    def examine(self) -> Iterator[Capability]:
        """Place by place."""
        for place in self._places:
            yield from self._place(place)

    def _place(self, place: Place) -> Iterator[Capability]:
        made: dict[str, Caller] = {}

        def services(name: str) -> Caller:
            if name not in made:
                made[name] = self._services(place, name)
            return made[name]

        yield from access.access(place.topic, services("sagemaker"))
        endpoints, trouble = self._endpoints(place, services("sagemaker"))
        yield from trouble
        variants = max(sum(len(one.units) for one in endpoints), 1)
        yield from enrichment.enrichment(place.topic, services, place.region, variants)
        yield from bills.bills(place.topic)

    def _endpoints(self, place: Place, caller: Caller) -> tuple[list[Snapshot], list[Capability]]:
        """The first few endpoints that match, and what was in the way."""
        describer = Describer(caller, "", Permitted())
        found: list[Snapshot] = []
        try:
            for name in describer.names(place.patterns)[:MOST_ENDPOINTS]:
                described = describer.describe(name)
                if described is not None:
                    found.append(described.snapshot)
        except CollectError as error:
            return found, [Capability(place.topic, "endpoints", Standing.UNKNOWN, str(error))]
        if not found:
            said = f"no endpoint matches {', '.join(place.patterns)}"
            return [], [Capability(place.topic, "endpoints", Standing.ABSENT, said)]
        return found, []


def build(options: Mapping[str, object]) -> Examiner:
    """All accounts of the configuration, or one endpoint of them."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    def service(place: Place, name: str) -> Caller:
        return _client(name, place.region, place.endpoint_url)

    config: Any = options.get("config") or {}
    return AwsExaminer(places(config, options.get("endpoint")), service, clock=time.time)


def places(config: Mapping[str, Any], endpoint: object = None) -> list[Place]:
    """Accounts and regions, each once; `sagemaker` says more than `cloudwatch`."""
    found: dict[tuple[str, str], Place] = {}
    for section in ("sagemaker", "cloudwatch"):
        for one in config.get(section, ()):
            patterns = (str(endpoint),) if endpoint is not None else tuple(one["endpoints"])
            place = Place(one["account"], one["region"], patterns, one.get("endpoint_url"))
            found.setdefault((place.account, place.region), place)
    return list(found.values())


def _client(name: str, region: str, url: str | None) -> Caller:
    made: dict[str, Callable[[], Caller]] = {
        "cloudwatch": lambda: AwsClient("cloudwatch", region, endpoint_url=url),
        "observabilityadmin": lambda: AwsClient("observabilityadmin", region, endpoint_url=url),
        "sagemaker": lambda: AwsClient("sagemaker", region, endpoint_url=url),
    }
    return made[name]()
