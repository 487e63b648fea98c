"""CloudWatch as a source that is pulled: from where each series stands, call by call.

What a call answered is handed over before the next few are asked, with how far it takes every
series: whoever keeps that pays for nothing twice. Source: aws.md, sections 4 to 6 and 14.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from collector.cloudwatch.execute import Answered, Executor, MetricsClient
from collector.cloudwatch.pace import Pace
from collector.cloudwatch.plan import (
    DOLLARS_PER_BILLED_METRIC,
    Detail,
    Plan,
    Wanted,
    monthly_dollars,
    plan,
    within_budget,
)
from collector.cloudwatch.rebuild import Tally, observations
from collector.cloudwatch.series import PUBLISHED, SAGEMAKER, Series, variant_series
from nibai.errors import ConfigError
from nibai.model import Observation, Window
from nibai.protocols import Preview, Pulled, Puller

REREAD_SECONDS = 3 * 3600.0
"""Minutes fill up and are revised for a while; what is older is final."""

BACKFILL_SECONDS = 15 * 86400.0
"""As far back as single minutes are kept."""

PUBLISHING_DELAY_SECONDS = 180.0
"""The newest minutes are not there yet."""

DEFAULT_METRICS = ("ModelLatency", "OverheadLatency")


FAILURES = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")
"""All requests, then the failed ones."""


class CloudWatchSource:
    """Series of one account and region.

    `detail` is what is bought of a distribution; where `dollars_per_month` does not pay it at one
    reading every `every_seconds`, less is bought, and below the least nothing is read.
    """

    def __init__(
        self,
        client: MetricsClient,
        series: Sequence[Series | Wanted],
        *,
        clock: Callable[[], float],
        wait: Callable[[float], None],
        detail: Detail = Detail.BUCKETS_109,
        every_seconds: float = 3600.0,
        dollars_per_month: float = math.inf,
        pace: Pace | None = None,
    ) -> None:
        self._clock = clock
        self._executor = Executor(client, pace or Pace(), clock=clock, wait=wait)
        wanted = [
            Wanted(one, detail) if isinstance(one, Series) else replace(one, detail=detail)
            for one in series
        ]
        fitted = within_budget(wanted, every_seconds, dollars_per_month)
        self._wanted = {name(one.series): one for one in fitted}
        self._every = every_seconds
        self._monthly = monthly_dollars(fitted, every_seconds)
        self._limit = dollars_per_month

    @property
    def series(self) -> Sequence[str]:
        """Names under which it is kept how far each series was read."""
        return tuple(self._wanted)

    def preview(self, read_until: Mapping[str, float]) -> Preview:
        """What the next pull will ask and cost, and what reading on costs a month."""
        self._affordable()
        made = self._plan(read_until)
        details = sorted({one.detail.value for one in self._wanted.values()})
        return Preview(
            calls=len(made.calls),
            datapoints=sum(call.datapoints for call in made.calls),
            dollars=made.dollars,
            dollars_per_month=self._monthly,
            said=f"{len(self._wanted)} series, {', '.join(details)}, "
            f"read every {self._every / 60:g} minutes",
        )

    def pull(self, read_until: Mapping[str, float]) -> Iterator[Pulled]:
        """Everything since each series was read, and its last three hours again."""
        self._affordable()
        for answered in self._executor.run(self._plan(read_until).calls):
            yield self._pulled(answered)

    def _plan(self, read_until: Mapping[str, float]) -> Plan:
        """Series that stand equally far share calls."""
        now = self._clock()
        end = math.floor((now - PUBLISHING_DELAY_SECONDS) / 60.0) * 60.0
        standing: dict[float, list[Wanted]] = {}
        for one, wanted in self._wanted.items():
            known = read_until.get(one)
            start = now - BACKFILL_SECONDS if known is None else known - REREAD_SECONDS
            standing.setdefault(start, []).append(wanted)
        calls = [
            call
            for start, wanted in standing.items()
            if start < end
            for call in plan(wanted, Window(start, end), now).calls
        ]
        return Plan(tuple(sorted(calls, key=lambda call: call.window.start)))

    def _pulled(self, answered: Answered) -> Pulled:
        tally = Tally()
        found: list[Observation] = list(observations(answered, tally))
        whole = [wanted for wanted in answered.call.wanted if answered.whole(wanted)]
        notes = {f"CloudWatch: {text}": n for text, n in tally.messages.items()}
        notes |= {
            text: n
            for text, n in (
                ("minutes whose buckets do not add up to SampleCount", tally.inconsistent),
                ("minutes of which something is missing", tally.partial),
                ("requests outside the grid", tally.outside_grid),
                ("failed requests, the slowest of all", tally.failed),
            )
            if n
        }
        window = answered.call.window
        return Pulled(
            observations=found,
            window=window,
            read_until={name(wanted.series): window.end for wanted in whole},
            dollars=answered.metered.billed_metrics * DOLLARS_PER_BILLED_METRIC,
            notes=notes,
        )

    def _affordable(self) -> None:
        if self._monthly > self._limit:
            raise ConfigError(
                f"cloudwatch: even base statistics of {len(self._wanted)} series cost "
                f"${self._monthly:.2f} a month, the limit is ${self._limit:.2f}: read less often "
                "(every), fewer endpoints or metrics, or raise dollars_per_month"
            )


def name(series: Series) -> str:
    """How a series is told apart from all others."""
    dimensions = ",".join(f"{key}={value}" for key, value in series.dimensions)
    return f"{series.published.namespace}/{series.published.name}/{dimensions}"


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
        every_seconds=float(str(options.get("every", 3600.0))),
        dollars_per_month=float(str(options.get("dollars_per_month", math.inf))),
    )


def configured_series(options: Mapping[str, object]) -> list[Wanted]:
    """Every metric of every variant that the configuration names, its failures beside it."""
    published = {one.name: one for one in PUBLISHED if one.namespace == SAGEMAKER}
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
    return [
        Wanted(
            variant_series(published[metric], account_region, endpoint, variant),
            failures=tuple(
                variant_series(one, account_region, endpoint, variant) for one in counted
            ),
        )
        for endpoint, variants in endpoints.items()
        for variant in variants
        for metric in metrics
    ]
