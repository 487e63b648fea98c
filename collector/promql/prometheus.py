"""A Prometheus of one's own: any metric by name, series by templates of its labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from collector.promql.aliases import engine_alias
from collector.promql.answers import Labels
from collector.promql.client import PromqlClient, Signer, bearer, unsigned, urllib3_http
from collector.promql.source import Cadence, PromqlSource
from collector.promql.wanted import Kind, Temporality, Wanted
from collector.promql.wanted import Mapping as KeyOf
from nibai.config import PrometheusMetric, environment, resolve_secret
from nibai.errors import ConfigError
from nibai.model import SeriesKey
from nibai.protocols import Puller
from nibai.units import Unit, unit_in_name

PERCENT = "%"
_PLACE = re.compile(r"\{([^{}]+)\}")


def filled(template: str, labels: Labels) -> str:
    """A template with labels in its places; a missing label is empty.

    >>> filled("onprem/{namespace}/{model}", {"namespace": "tokyo", "model": "ocr"})
    'onprem/tokyo/ocr'
    """
    return _PLACE.sub(lambda place: labels.get(place[1], ""), template)


def keyed(
    metric: str, *, endpoint: str, variant: str, replica: str, segment_by: Sequence[str]
) -> KeyOf:
    """Series by templates; None (left out) where the endpoint lacks a part or the variant is ''."""

    def key(labels: Labels) -> SeriesKey | None:
        name, chosen = filled(endpoint, labels), filled(variant, labels)
        if not chosen or name.count("/") < 2 or "" in name.split("/"):  # noqa: PLR2004 - P/S/N
            return None
        segment = ",".join(f"{one}={labels[one]}" for one in segment_by if labels.get(one))
        return SeriesKey(name, chosen, filled(replica, labels), segment, metric)

    return key


def wanted_metrics(options: Mapping[str, object]) -> list[Wanted]:
    """The metrics of a configured server; ConfigError where a unit is not known."""
    metrics = options["metrics"]
    assert isinstance(metrics, Mapping)  # noqa: S101 - checked with the configuration
    return [_wanted(str(metric), one, options) for metric, one in metrics.items()]


def build(options: Mapping[str, object]) -> Puller:
    """A server; `options` are those of `prometheus` in nibai.yaml."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    token = options.get("token")
    sign: Signer = bearer(resolve_secret(str(token), environment())) if token else unsigned
    client = PromqlClient(str(options["url"]), urllib3_http(), sign, time.sleep)
    cadence = Cadence(
        every_seconds=float(str(options.get("every", 60.0))),
        backfill_seconds=float(str(options.get("backfill", 7 * 86400.0))),
    )
    return PromqlSource(client, wanted_metrics(options), cadence, clock=time.time)


def _wanted(metric: str, given: object, options: Mapping[str, object]) -> Wanted:
    told = dict(given) if isinstance(given, PrometheusMetric) else {"name": given}
    name, kind = str(told["name"]), Kind(str(told.get("kind") or Kind.HISTOGRAM))
    alias = engine_alias(metric) if name == "auto" else None
    if name == "auto" and alias is None:
        raise ConfigError(f"prometheus: no engine's name of {metric!r} is known: give the name")
    segment_by = options.get("segment_by") or ()
    assert isinstance(segment_by, tuple | list)  # noqa: S101 - checked with the configuration
    temporality = told.get("temporality")
    return Wanted(
        metric,
        (name,) if alias is None else alias.names,
        keyed(
            metric,
            endpoint=str(options["endpoint"]),
            variant=str(options.get("variant") or "{version}"),
            replica=str(options.get("replica") or "{instance}"),
            segment_by=[str(one) for one in segment_by],
        ),
        kind=kind if alias is None else alias.kind,
        factor=_factor(metric, name, told.get("unit"), kind) if alias is None else alias.factor,
        more=str(options.get("match") or ""),
        temporality=Temporality(str(temporality)) if temporality else None,
    )


def _factor(metric: str, name: str, unit: object, kind: Kind) -> float:
    """Base units in one of the metric's units, from its name where nothing else says it."""
    if unit == PERCENT:
        return 0.01
    if unit:
        return Unit(str(unit)).to_base
    known = unit_in_name(name)
    if known is not None:
        return known.to_base
    if kind is not Kind.HISTOGRAM:
        return 1.0
    raise ConfigError(
        f"prometheus: nothing says the unit of {name!r} ({metric}): give unit: s, ms, us or ns"
    )
