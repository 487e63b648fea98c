"""CloudWatch's Prometheus API: histograms that AWS stores of its own endpoints.

Read where an account has them, never switched on: they cost the customer money. Source: aws.md,
sections 1 to 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from collector.cloudwatch.series import PUBLISHED
from collector.cloudwatch.source import FAILURES
from collector.promql.aliases import BY_INSTANCE, BY_TYPE, ENGINES, OF_COMPONENT, VENDED, Alias
from collector.promql.answers import Labels
from collector.promql.client import PromqlClient, urllib3_http
from collector.promql.sigv4 import SigV4, address
from collector.promql.source import DOLLARS_PER_SAMPLE, Cadence, PromqlSource
from collector.promql.units import Units
from collector.promql.wanted import Matchers, Temporality, Wanted
from nibai.errors import CollectError, ConfigError
from nibai.model import SeriesKey
from nibai.protocols import Puller

ACTIONS = (
    "cloudwatch:GetMetricData",
    "cloudwatch:ListMetrics",
    "cloudwatch:QueryMetrics",
    "cloudwatch:DescribeMetrics",
)
"""Permissions of the API, as documented in two places that differ: all of both."""

COMPONENT = "ic:"
CADENCE = Cadence(
    every_seconds=3600.0,
    delay_seconds=180.0,
    reread_seconds=3 * 3600.0,
    backfill_seconds=7 * 86400.0,
)
"""Ranges reach back a week; late minutes are read again for three hours."""

VENDED_LABELS = ("EndpointName", "VariantName")
COMPONENT_LABEL = "InferenceComponentName"
ENDPOINT = "aws.sagemaker.endpoint.name"
VARIANT = "aws.sagemaker.variant.name"
REPLICA = ("@resource.host.id", "aws.sagemaker.container.id")


def wanted_metrics(options: Mapping[str, object]) -> list[Wanted]:
    """Every metric of every endpoint that the configuration names."""
    endpoints, metrics = options["endpoints"], options["metrics"]
    errors = FAILURES if options.get("errors", True) else ()
    assert isinstance(endpoints, Mapping)  # noqa: S101 - checked with the configuration
    assert isinstance(metrics, tuple | list)  # noqa: S101 - same
    for name in metrics:
        if f"{name}{BY_INSTANCE}" in metrics:
            raise ConfigError(
                f"cloudwatch: {name} and {name}{BY_INSTANCE} hold the same requests: read one"
            )
    scope = f"{options['account']}.{options['region']}"
    found: list[Wanted] = []
    for endpoint, variants in endpoints.items():
        for name in metrics:
            key = f"sagemaker/{scope}/{endpoint}"
            found += [
                _expecting(one, key, variants)
                for one in _of(str(name), key, str(endpoint), variants)
            ]
    return [replace(one, failures=_beside(one, errors)) for one in found]


def _expecting(one: Wanted, key: str, variants: Sequence[str]) -> Wanted:
    """With the variants that are to come by it."""
    label, value = one.matchers[0]
    labels, own = VENDED_LABELS, [name for name in variants if not name.startswith(COMPONENT)]
    if label == COMPONENT_LABEL:
        labels, own = (COMPONENT_LABEL, COMPONENT_LABEL), [COMPONENT + value]
    elif label == ENDPOINT:
        labels, own = (ENDPOINT, VARIANT), list(variants)
    metric = f"{one.metric}_by_type" if one.names[0].endswith(BY_TYPE) else one.metric
    return replace(one, expects=tuple((key, name, metric) for name in own), labels=labels)


def build(options: Mapping[str, object]) -> Puller:
    """One account and region; `path: auto` takes classic metrics where PromQL has nothing."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    from collector.cloudwatch.client import CloudWatchClient  # noqa: PLC0415 - boto3

    region = str(options["region"])
    signer = SigV4(region)
    client = PromqlClient(
        str(options.get("endpoint_url") or address(region)),
        urllib3_http(),
        signer,
        time.sleep,
        refused=signer.renew,
    )
    if options.get("path") == "auto" and not _stored(client, options):
        from collector.cloudwatch.source import build as classic  # noqa: PLC0415 - only then

        return classic({**options, "metrics": _classic_metrics(options["metrics"])})
    cadence = Cadence(
        float(str(options.get("every", CADENCE.every_seconds))),
        CADENCE.delay_seconds,
        CADENCE.reread_seconds,
        CADENCE.backfill_seconds,
        by_blocks=options.get("finality", "learned") == "learned",
    )
    return PromqlSource(
        client,
        wanted_metrics(options),
        cadence,
        clock=time.time,
        dollars_per_sample=DOLLARS_PER_SAMPLE,
        dollars_per_month=float(str(options.get("dollars_per_month", math.inf))),
        units=Units(client, CloudWatchClient(region, endpoint_url=_address(options))),
    )


def _address(options: Mapping[str, object]) -> str | None:
    address = options.get("endpoint_url")
    return None if address is None else str(address)


def _stored(client: PromqlClient, options: Mapping[str, object]) -> bool:
    """Whether the account has any of the wanted names."""
    wanted = {name for one in wanted_metrics(options) for name in one.names}
    try:
        names = client.label_values("__name__", None, None)
    except CollectError as error:
        if error.retryable:
            raise
        return False  # not there, or not allowed: the classic path says what is missing
    return bool(wanted & set(names))


def _classic_metrics(metrics: object) -> tuple[str, ...]:
    """What of the metrics has a name on the classic path; all of them where none has."""
    assert isinstance(metrics, tuple | list)  # noqa: S101 - checked with the configuration
    known = {one.name for one in PUBLISHED}
    return tuple(name for name in metrics if name in known) or tuple(metrics)


def _of(name: str, key: str, endpoint: str, variants: Sequence[str]) -> list[Wanted]:
    vended = VENDED.get(name)
    if vended is not None:
        own = tuple(one for one in variants if not one.startswith(COMPONENT))
        found = [_component(vended, key, one) for one in variants if one.startswith(COMPONENT)]
        return [*([_variants(vended, key, endpoint, own)] if own else []), *found]
    if (by_instance := VENDED.get(name.removesuffix(BY_INSTANCE))) and name.endswith(BY_INSTANCE):
        return [_by_instance(by_instance, key, endpoint, tuple(variants))]
    by_types = VENDED.get(name.removesuffix(BY_TYPE)) if name.endswith(BY_TYPE) else None
    if by_types is not None:
        return [_by_type(by_types, key, endpoint, tuple(variants))]
    alias = next((one for one in ENGINES if name in one.names or name == one.metric), None)
    if alias is None:
        known = ", ".join((*VENDED, *(one.metric for one in ENGINES)))
        raise ConfigError(f"cloudwatch: metric {name!r} is not known by PromQL; there are {known}")
    names = (name, *alias.names) if name in alias.names else alias.names
    return [
        Wanted(
            alias.metric,
            tuple(dict.fromkeys(names)),
            _served(alias.metric, key, tuple(variants)),
            kind=alias.kind,
            factor=alias.factor,
            matchers=((ENDPOINT, endpoint),),
        )
    ]


def _beside(wanted: Wanted, counters: tuple[str, ...]) -> tuple[str, ...]:
    """Counters of the same dimension set as one of AWS's own histograms."""
    vended = next((name for name in VENDED if wanted.names[0].startswith(name)), None)
    if vended is None:
        return ()
    return tuple(name + wanted.names[0].removeprefix(vended) for name in counters)


def _variants(alias: Alias, key: str, endpoint: str, variants: tuple[str, ...]) -> Wanted:
    """All traffic of variants (dimension set V): AWS's own histograms count since the last one."""

    def of(labels: Labels) -> SeriesKey | None:
        variant = labels.get("VariantName", "")
        return SeriesKey(key, variant, "", "", alias.metric) if variant in variants else None

    return _vended(alias, alias.names, of, (("EndpointName", endpoint),))


def _component(alias: Alias, key: str, variant: str) -> Wanted:
    """An inference component (dimension set C)."""
    names = tuple(f"{name}{OF_COMPONENT}" for name in alias.names)
    matchers = (("InferenceComponentName", variant.removeprefix(COMPONENT)),)
    return _vended(
        alias, names, lambda _labels: SeriesKey(key, variant, "", "", alias.metric), matchers
    )


def _by_type(alias: Alias, key: str, endpoint: str, variants: tuple[str, ...]) -> Wanted:
    """Zones and instance types of variants (VZ): they overlap the rows of V, hence `_by_type`."""

    def of(labels: Labels) -> SeriesKey | None:
        variant = labels.get("VariantName", "")
        kind, zone = labels.get("InstanceType", ""), labels.get("AvailabilityZone", "")
        if variant not in variants or not kind:
            return None
        return SeriesKey(key, variant, f"type={kind},az={zone}", "", f"{alias.metric}_by_type")

    names = tuple(f"{name}{BY_TYPE}" for name in alias.names)
    return _vended(alias, names, of, (("EndpointName", endpoint),))


def _by_instance(alias: Alias, key: str, endpoint: str, variants: tuple[str, ...]) -> Wanted:
    """Instances of variants (VI): the rows of V told apart, so that instances can be counted."""

    def of(labels: Labels) -> SeriesKey | None:
        variant, instance = labels.get("VariantName", ""), labels.get("InstanceId", "")
        if variant not in variants or not instance:
            return None
        return SeriesKey(key, variant, instance, "", alias.metric)

    names = tuple(f"{name}{BY_INSTANCE}" for name in alias.names)
    return _vended(alias, names, of, (("EndpointName", endpoint),))


def _vended(
    alias: Alias,
    names: tuple[str, ...],
    key: Callable[[Labels], SeriesKey | None],
    matchers: Matchers,
) -> Wanted:
    return Wanted(
        alias.metric, names, key, alias.kind, alias.factor, matchers,
        otherwise=Temporality.DELTA,
    )  # fmt: skip


def _served(
    metric: str, key: str, variants: tuple[str, ...]
) -> Callable[[Labels], SeriesKey | None]:
    """Metrics of the containers, by the labels of detailed observability."""

    def of(labels: Labels) -> SeriesKey | None:
        component = labels.get("aws.sagemaker.inference_component.name", "")
        variant = COMPONENT + component if component else labels.get(VARIANT, "")
        if variant not in variants:
            return None
        replica = next((labels[one] for one in REPLICA if labels.get(one)), "")
        return SeriesKey(key, variant, replica, "", metric)

    return of
