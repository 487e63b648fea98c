"""AWS as something to examine: the accounts of `sagemaker` and `cloudwatch` in nibai.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.aws.session import AwsClient, Caller
from collector.capabilities import (
    access,
    bills,
    captures,
    endpoints,
    enrichment,
    histograms,
    metrics,
    prices,
    traces,
    weights,
)
from collector.capabilities.fixtures import Fixtures
from collector.prices.aws import PRICING_REGION
from collector.promql.client import Http, PromqlClient, urllib3_http
from collector.promql.sigv4 import SigV4, address
from collector.sagemaker.describe import Described, Describer
from collector.sagemaker.permitted import Permitted
from collector.sagemaker.snapshot import Role, Snapshot, Unit
from nibai.errors import CollectError
from nibai.protocols import Capability, Effort, Examiner, Standing

MOST_ENDPOINTS = 3
MOST_VARIANTS = 2


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
        wait: Callable[[float], None],
        promql: Callable[[Place], PromqlClient] | None = None,
        http: Callable[[], Http] = urllib3_http,
    ) -> None:
        self._places = tuple(places)
        self._services = services
        self._clock = clock
        self._wait = wait
        self._promql = promql or self._prometheus
        self._http = http

    def effort(self) -> Iterable[Effort]:
        """What every place will be asked, at most."""
        for place in self._places:
            reads = (
                access.READS
                + enrichment.READS
                + traces.READS
                + histograms.READS
                + 2 * MOST_ENDPOINTS
            )
            reads += MOST_ENDPOINTS * (
                3 + weights.READS + captures.READS + MOST_VARIANTS * metrics.READS
            )
            dollars = MOST_ENDPOINTS * (
                weights.DOLLARS + captures.DOLLARS + MOST_VARIANTS * metrics.DOLLARS
            )
            yield Effort(place.topic, reads, dollars)

    def examine(self) -> Iterator[Capability]:
        """Place by place."""
        for place in self._places:
            yield from self._place(place)

    def _prometheus(self, place: Place) -> PromqlClient:
        url = place.endpoint_url or address(place.region)
        return PromqlClient(url, self._http(), SigV4(place.region), self._wait, tries=2)

    def _place(self, place: Place) -> Iterator[Capability]:
        made: dict[str, Caller] = {}

        def services(name: str) -> Caller:
            if name not in made:
                made[name] = self._services(place, name)
            return made[name]

        now, topic = self._clock(), place.topic
        yield from access.access(topic, services("sagemaker"))
        found, trouble = _endpoints(place, services("sagemaker"))
        yield from trouble
        snapshots = [one.snapshot for one in found]
        variants = max(sum(len(one.units) for one in snapshots), 1)
        switches = list(enrichment.enrichment(topic, services, place.region, variants))
        yield from switches
        yield from histograms.histograms(
            topic,
            lambda: self._promql(place),
            [one.name for one in snapshots],
            now,
            running=switches[0].standing is Standing.PRESENT,
        )
        yield from traces.traces(topic, services, now, self._wait)
        yield from prices.prices(topic, services, place.region, snapshots)
        for one in found:
            yield from endpoints.endpoint(one.snapshot, one.alarms)
            yield from weights.weights(services, one.snapshot, now)
            yield from captures.captures(services, one.snapshot, now)
            for unit in _measured(one.snapshot):
                asking = metrics.VariantMetrics(services, one.snapshot, unit, now)
                yield from asking.capabilities()
        yield from bills.bills(topic)


def _endpoints(place: Place, caller: Caller) -> tuple[list[Described], list[Capability]]:
    """The first few endpoints that match, and what was in the way."""
    permitted = Permitted()
    describer = Describer(caller, "", permitted)
    try:
        names = describer.names(place.patterns, place.account)
        found = [describer.describe(name) for name in names[:MOST_ENDPOINTS]]
    except CollectError as error:
        return [], [Capability(place.topic, "endpoints", Standing.UNKNOWN, str(error))]
    if not names:
        said = f"no endpoint matches {', '.join(place.patterns)}"
        return [], [Capability(place.topic, "endpoints", Standing.ABSENT, said)]
    said = f"{len(names)} match; looked at: {', '.join(names[:MOST_ENDPOINTS])}"
    there = [one for one in found if one is not None]
    return there, [Capability(place.topic, "endpoints", Standing.PRESENT, said)]


def _measured(snapshot: Snapshot) -> list[Unit]:
    """The first units: variants before components."""
    ordered = sorted(snapshot.units, key=lambda unit: unit.role is Role.COMPONENT)
    return ordered[:MOST_VARIANTS]


def build(options: Mapping[str, object]) -> Examiner:
    """All accounts of the configuration, or one endpoint of them."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    folder = options.get("save_fixtures")
    saved = None if folder is None else Fixtures(Path(str(folder)))

    def service(place: Place, name: str) -> Caller:
        client = _client(name, place.region, place.endpoint_url)
        return client if saved is None else saved.watching(name, client)

    config: Any = options.get("config") or {}
    return AwsExaminer(
        places(config, options.get("endpoint")),
        service,
        clock=time.time,
        wait=time.sleep,
        http=urllib3_http if saved is None else lambda: saved.http(urllib3_http()),
    )


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
        "bedrock": lambda: AwsClient("bedrock", region, endpoint_url=url),
        "cloudwatch": lambda: AwsClient("cloudwatch", region, endpoint_url=url),
        "logs": lambda: AwsClient("logs", region, endpoint_url=url),
        "pricing": lambda: AwsClient("pricing", PRICING_REGION, endpoint_url=url),
        "s3": lambda: AwsClient("s3", region, endpoint_url=url),
        "xray": lambda: AwsClient("xray", region, endpoint_url=url),
        "observabilityadmin": lambda: AwsClient("observabilityadmin", region, endpoint_url=url),
        "sagemaker": lambda: AwsClient("sagemaker", region, endpoint_url=url),
    }
    return made[name]()
