"""Bedrock as a source that is pulled: minutes of latency and failures, then the invocation logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.aws.errors import DeniedError
from collector.aws.session import AwsClient, Caller
from collector.bedrock.counts import counted, dollars
from collector.bedrock.failures import with_failures
from collector.bedrock.logs import FileLogs, GroupLogs, Logs, Told
from collector.bedrock.records import Reading, read_record
from collector.bedrock.series import (
    TOKENS,
    Model,
    latency_series,
    model_series,
    models,
    short,
)
from collector.bedrock.settings import Settings
from collector.cloudwatch.cadence import Cadence, Moments, more_readings, name
from collector.cloudwatch.execute import CONCURRENT_CALLS
from collector.cloudwatch.names import Names
from collector.cloudwatch.plan import Detail
from collector.cloudwatch.reading import CloudWatchSource
from collector.cloudwatch.units import Units
from collector.hourly.objects import DOLLARS_A_LIST
from collector.hourly.part import Part
from collector.hourly.places import HOUR, Place
from collector.insights import logs_client
from collector.redact import redaction
from collector.segments import Segments
from nibai.config import Bedrock, BedrockLogs
from nibai.errors import AuthError, CollectError
from nibai.outputs import OutputKind, OutputSpec
from nibai.predictions import PredictionRecord
from nibai.protocols import Preview, Pulled, Puller

MONTH_SECONDS = 730 * HOUR

Brought = tuple[str, str, str]
"""Endpoint, variant, metric."""


@dataclass(frozen=True, slots=True)
class LogReading:
    """Invocation logs: where they are, and what is made of a record."""

    logs: Logs
    reading: Reading
    most_segments: int


@dataclass(frozen=True, slots=True)
class _Reader:
    """Records of one reading: their segments and settings are counted when they are taken."""

    reading: Reading
    segments: Segments
    settings: Settings

    def read(self, line: bytes) -> Told:
        return read_record(line, self.reading)

    def take(self, told: Told) -> PredictionRecord:
        found, asked = told
        self.settings.add(asked)
        return replace(found, segment=self.segments.bounded(found.segment))


class BedrockSource:
    """Models of one account and region; `logs` None: their logs are not read.

    `tokens`: they are counted beside the latencies.
    """

    def __init__(
        self,
        latencies: CloudWatchSource,
        metrics: Caller,
        wanted: Sequence[Model],
        logs: LogReading | None,
        *,
        clock: Callable[[], float],
        cadence: Cadence,
        tokens: bool = True,
    ) -> None:
        self._tokens = tokens
        self._latencies = latencies
        self._metrics = metrics
        self._models = wanted
        self._logs = logs
        self._clock = clock
        self._cadence = cadence

    def attend(self, changes: Moments) -> None:
        """Moments of changes by endpoint."""
        self._latencies.attend(changes)

    def due_after(self, moment: float) -> float:
        """When a block of a watch may be read next."""
        return self._latencies.due_after(moment)

    @property
    def series(self) -> Sequence[str]:
        """Series of CloudWatch, and the place of the logs."""
        logs = () if self._logs is None else (self._logs.logs.name,)
        return (*self._latencies.series, *logs)

    def missing(
        self, series: Sequence[tuple[str, str]]
    ) -> tuple[Mapping[tuple[str, str], str], float]:
        """What CloudWatch lists in place of models that gave nothing."""
        own = set(self._latencies.series)
        return self._latencies.missing([one for one in series if one[0] in own])

    def preview(self, read_until: Mapping[str, float]) -> Preview:
        """What is asked of CloudWatch, and from which hour logs are listed."""
        found = self._latencies.preview(read_until)
        each = dollars(len(self._models), tokens=self._tokens) * found.calls
        readings = MONTH_SECONDS / self._cadence.every_seconds + more_readings(self._cadence)
        monthly = dollars(len(self._models), tokens=self._tokens) * readings
        said, calls = found.said, 2 * found.calls
        if self._logs is not None:
            said += f"; {self._logs.logs.said(read_until, self._clock())}"
            calls, each = calls + 1, each + DOLLARS_A_LIST
        return replace(
            found,
            calls=calls,
            dollars=found.dollars + each,
            dollars_per_month=found.dollars_per_month + monthly,
            said=said,
        )

    def first_dollars(self, read_until: Mapping[str, float]) -> float:
        """What the first minutes cost at most, with what is counted beside them."""
        return self._latencies.first_dollars(read_until) + self._beside

    def _ahead(self, part: Pulled) -> float | None:
        """What comes after a part costs at most; what logs cost nobody knows before."""
        if part.next_dollars:
            return part.next_dollars + self._beside
        return part.next_dollars if self._logs is None else None

    @property
    def _beside(self) -> float:
        """What is counted beside a few calls at most."""
        return CONCURRENT_CALLS * dollars(len(self._models), tokens=self._tokens)

    def pull(self, read_until: Mapping[str, float]) -> Iterator[Pulled]:
        """Minutes first; what is refused of one is told and leaves the other."""
        try:
            for part in self._latencies.pull(read_until):
                whole = self._with_failures(replace(part, next_dollars=self._ahead(part)))
                yield whole
                if whole.problems and not part.problems:
                    break  # later parts would count as read and hide this one
        except DeniedError as error:
            yield Part(problems=[str(error)]).taken()
        if self._logs is not None:
            yield from self._records(self._logs, read_until)

    def _with_failures(self, part: Pulled) -> Pulled:
        # A call holds some of the models: failures of the others belong to their own calls.
        told = [one for one in self._models if name(latency_series(one)) in part.read_until]
        seen = {(one.key.endpoint, one.key.variant) for one in part.observations}
        asked = [one for one in self._models if one in told or (one.endpoint, one.variant) in seen]
        if not asked:
            return part
        try:
            counts = counted(self._metrics, asked, part.window, tokens=self._tokens)
        except CollectError as error:
            # Without its failures a minute says too little: it is read again.
            problem = f"failed requests are not known, so minutes wait: {error}"
            return replace(
                part, observations=(), read_until={}, final_until={}, finished=(),
                problems=(problem,),
            )  # fmt: skip
        return replace(
            part,
            observations=[
                *with_failures(part.observations, counts.failed, told),
                *counts.observations(),
            ],
            brings=self._brings(part, told),
            dollars=part.dollars + dollars(len(asked), tokens=self._tokens),
        )

    def _brings(self, part: Pulled, told: Sequence[Model]) -> dict[str, list[Brought]]:
        """What the series of a part bring, with the tokens that come beside latencies."""
        found = {series: list(brought) for series, brought in part.brings.items()}
        for model in told if self._tokens else ():
            series = name(latency_series(model))
            if series in found:
                found[series] += [
                    (model.endpoint, model.variant, metric) for metric in TOKENS.values()
                ]
        return found

    def _records(self, wanted: LogReading, read_until: Mapping[str, float]) -> Iterator[Pulled]:
        reader = _Reader(wanted.reading, Segments(wanted.most_segments), Settings(read_until))
        part, logs = Part(), wanted.logs
        try:
            yield from logs.read(reader, read_until, self._clock(), part)
        except CollectError as error:
            if isinstance(error, AuthError) and not isinstance(error, DeniedError):
                raise
            part.problems.append(f"{logs.name}: {error}")
        if reader.segments.joined:
            part.notes["requests of further segments"] += reader.segments.joined
        judged = reader.settings.judged()
        part.read_until |= judged.marks
        part.finished += judged.finished
        yield replace(part.taken(), changes=judged.changes)


def build(options: Mapping[str, object]) -> Puller:
    """One account and region; `options` are those of `bedrock` in nibai.yaml."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    from collector.cloudwatch.client import CloudWatchClient  # noqa: PLC0415 - boto3

    chosen = Bedrock.model_construct(None, **options)
    address = chosen.endpoint_url
    wanted = models(f"{chosen.account}.{chosen.region}", chosen.endpoints)
    client = CloudWatchClient(chosen.region, endpoint_url=address)
    cadence = Cadence(chosen.every, by_blocks=chosen.finality == "learned")
    latencies = CloudWatchSource(
        client,
        [series for model in wanted for series in model_series(model, chosen.metrics)],
        clock=time.time,
        wait=time.sleep,
        detail=Detail(chosen.detail),
        cadence=cadence,
        dollars_per_month=chosen.dollars_per_month,
        units=Units(client, time.time),
        names=Names(client),
    )
    logs = None
    if chosen.logs is not None:
        logs = _log_reading(chosen, chosen.logs, wanted)
    return BedrockSource(
        latencies,
        AwsClient("cloudwatch", chosen.region, endpoint_url=address),
        wanted,
        logs,
        clock=time.time,
        cadence=cadence,
        tokens=chosen.tokens,
    )


def _log_reading(chosen: Bedrock, logs: BedrockLogs, wanted: Sequence[Model]) -> LogReading:
    import time  # noqa: PLC0415 - the plug-in's own clock

    address = chosen.endpoint_url
    if logs.destination is not None:
        below = ("AWSLogs", chosen.account, "BedrockModelInvocationLogs", chosen.region)
        place = Place.of(logs.destination, *below, ending=".json.gz")
        store = AwsClient("s3", chosen.region, endpoint_url=address)
        found: Logs = FileLogs(store, place, logs.since)
    else:
        group = logs_client(chosen.region, address)
        found = GroupLogs(group, str(logs.log_group), logs.since, time.time, time.sleep)
    reading = Reading(
        {short(one.model_id): one for one in wanted},
        OutputSpec(OutputKind(logs.answer), logs.path),
        logs.segments,
        redaction(logs.redact),
        dict(logs.bands.items()),
    )
    return LogReading(found, reading, logs.most_segments)
