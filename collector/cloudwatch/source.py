"""The source of one account and region, as nibai.yaml describes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from collector.cloudwatch.cadence import Cadence
from collector.cloudwatch.names import Names
from collector.cloudwatch.pace import CALLS_PER_SECOND, DATAPOINTS_PER_SECOND, Pace
from collector.cloudwatch.plan import Detail, Wanted
from collector.cloudwatch.reading import CloudWatchSource
from collector.cloudwatch.series import (
    BEDROCK,
    PUBLISHED,
    Kind,
    Published,
    Series,
    by_type_series,
    variant_series,
)
from collector.cloudwatch.units import Units
from nibai.errors import ConfigError
from nibai.protocols import Puller

DEFAULT_METRICS = ("ModelLatency", "OverheadLatency")


FAILURES = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")
"""All requests, then the failed ones."""


def build(options: Mapping[str, object]) -> Puller:
    """One account and region; `options` are those of `cloudwatch` in nibai.yaml."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    from collector.cloudwatch.client import CloudWatchClient  # noqa: PLC0415 - boto3

    endpoint_url = options.get("endpoint_url")
    client = CloudWatchClient(
        str(options["region"]), endpoint_url=None if endpoint_url is None else str(endpoint_url)
    )
    return CloudWatchSource(
        client,
        configured_series(options),
        clock=time.time,
        wait=time.sleep,
        detail=Detail(str(options.get("detail", Detail.BUCKETS_109.value))),
        cadence=_cadence(options),
        own_range=bool(options.get("own_range", True)),
        dollars_per_month=float(str(options.get("dollars_per_month", math.inf))),
        pace=Pace(
            float(str(options.get("calls_per_second", CALLS_PER_SECOND))),
            float(str(options.get("datapoints_per_second", DATAPOINTS_PER_SECOND))),
        ),
        units=Units(client, time.time),
        names=Names(client),
    )


def _cadence(options: Mapping[str, object]) -> Cadence:
    alert = options.get("alert_every")
    return Cadence(
        float(str(options.get("every", 3600.0))),
        None if alert is None else float(str(alert)),
        bool(options.get("alert_always", False)),
        by_blocks=options.get("finality", "learned") == "learned",
    )


def configured_series(options: Mapping[str, object]) -> list[Wanted]:
    """Every metric of every variant that the configuration names, its failures beside it."""
    published = {one.name: one for one in PUBLISHED if one.namespace != BEDROCK}
    metrics = options.get("metrics") or DEFAULT_METRICS
    assert isinstance(metrics, list | tuple)  # noqa: S101 - checked with the configuration
    unknown = sorted(set(metrics) - set(published))
    if unknown:
        raise ConfigError(
            f"cloudwatch: metric {unknown[0]!r} is not known; there are {', '.join(published)}"
        )
    account_region = f"{options['account']}.{options['region']}"
    endpoints = options["endpoints"]
    assert isinstance(endpoints, Mapping)  # noqa: S101 - same
    counted = [published[one] for one in FAILURES] if options.get("errors", True) else []
    by_type = options.get("by_type") or {}
    assert isinstance(by_type, Mapping)  # noqa: S101 - same
    unknown = sorted(set(by_type) - set(endpoints))
    if unknown:
        raise ConfigError(
            f"cloudwatch: by_type names {unknown[0]!r}, which is none of the endpoints "
            f"({', '.join(endpoints)})"
        )

    def wanted(one: Published, series: Callable[[Published], Series]) -> Wanted:
        beside = counted if one.kind is Kind.DISTRIBUTION else []
        return Wanted(series(one), failures=tuple(series(other) for other in beside))

    chosen = [published[metric] for metric in metrics]
    requests = [one for one in chosen if one.kind is not Kind.GAUGE]
    found = []
    for endpoint, variants in endpoints.items():
        levels = [_of_one(one, options, endpoint) for one in chosen if one.kind is Kind.GAUGE]
        for variant in variants:
            series = partial(_variant, account_region, endpoint, variant)
            found += [wanted(one, series) for one in (*requests, *levels)]
            for text in by_type.get(endpoint, ()):
                series = partial(_by_type, account_region, endpoint, variant, *_type_and_zone(text))
                found += [wanted(one, series) for one in requests]
    return found


def _of_one(published: Published, options: Mapping[str, object], endpoint: str) -> Published:
    """A metric that adds up the accelerators of an instance, as that of one of them."""
    told = options.get("accelerators") or {}
    assert isinstance(told, Mapping)  # noqa: S101 - checked with the configuration
    several = int(told.get(endpoint, 1))
    return replace(published, units_per_base=published.units_per_base * several)


def _variant(account_region: str, endpoint: str, variant: str, published: Published) -> Series:
    return variant_series(published, account_region, endpoint, variant)


def _by_type(  # noqa: PLR0917 - the last one is the metric, the others are fixed before
    account_region: str, endpoint: str, variant: str, kind: str, zone: str, published: Published
) -> Series:
    return by_type_series(published, account_region, endpoint, variant, zone=zone, kind=kind)


def _type_and_zone(text: str) -> tuple[str, str]:
    kind, slash, zone = text.partition("/")
    if not (slash and kind and zone):
        raise ConfigError(
            f"cloudwatch: by_type: {text!r} is no instance type and zone: write "
            "ml.g5.xlarge/eu-west-1a"
        )
    return kind, zone
