"""Where single requests can be read: spans in CloudWatch Logs, X-Ray, Bedrock's invocation log.

Points 16 to 18 of what no document settles. Source: nibai's aws.md, section 10.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from collector.capabilities.asking import Judged, Services, asked
from collector.capabilities.metrics import moment
from nibai.errors import CollectError
from nibai.protocols import Capability, Standing

READS = 3 + 10 + 4
SPANS = "aws/spans"
WANTED = (
    "traceId", "spanId", "name", "startTimeUnixNano", "endTimeUnixNano", "durationNano",
    "attributes", "resource",
)  # fmt: skip
LOOKS = 10
LOOK_SECONDS = 1.0
HOURS = (6, 3, 1)


def traces(
    topic: str, services: Services, now: float, wait: Callable[[float], None]
) -> Iterator[Capability]:
    """One capability a source."""
    destination: list[str] = []

    def segments() -> Judged:
        answer = services("xray").call("GetTraceSegmentDestination")
        destination.append(str(answer.get("Destination")))
        said = f"spans go to {destination[0]}, {answer.get('Status')}"
        if destination[0] == "CloudWatchLogs":
            return Standing.PRESENT, said
        return Standing.ABSENT, f"{said}: X-Ray's sample only, whose quantiles are biased"

    yield asked(topic, "Transaction Search", segments)
    if "CloudWatchLogs" in destination:
        yield asked(topic, "keys of aws/spans", lambda: _keys(services, now, wait), number=16)
    else:
        said = "asked when spans go to CloudWatch Logs"
        yield Capability(topic, "keys of aws/spans", Standing.UNKNOWN, said, "", 16)
    yield asked(topic, "X-Ray's window", lambda: _window(services, now), number=17)
    yield asked(topic, "Bedrock's invocation log", lambda: _bedrock(services), number=18)


def _keys(services: Services, now: float, wait: Callable[[float], None]) -> Judged:
    """One record of the last minutes: a minute of spans is scanned and billed."""
    logs = services("logs")
    query = logs.call(
        "StartQuery", logGroupName=SPANS, startTime=int(now - 360), endTime=int(now - 300),
        queryString="fields @message | limit 1", limit=1,
    )  # fmt: skip
    for _ in range(LOOKS):
        wait(LOOK_SECONDS)
        answer = logs.call("GetQueryResults", queryId=query["queryId"])
        if answer.get("status") not in {"Running", "Scheduled"}:
            break
    rows = answer.get("results", ())
    if not rows:
        return Standing.UNKNOWN, "no span in the minute that was looked at"
    record = json.loads(next(one["value"] for one in rows[0] if one["field"] == "@message"))
    return keys_of(record)


def keys_of(record: Mapping[str, Any]) -> Judged:
    """Point 16: which of the keys that nibai reads are there."""
    missing = [key for key in WANTED if key not in record]
    if missing:
        return Standing.ABSENT, f"missing: {', '.join(missing)}; report this"
    return Standing.PRESENT, f"all {len(WANTED)} keys that nibai reads"


def _window(services: Services, now: float) -> Judged:
    """Point 17: the longest window that is accepted."""
    refusal = ""
    for hours in HOURS:
        try:
            services("xray").call(
                "GetTraceSummaries", StartTime=moment(now - hours * 3600), EndTime=moment(now)
            )
        except CollectError as error:
            if error.reason != "InvalidRequestException":
                raise
            refusal = str(error)
        else:
            return Standing.PRESENT, f"{hours} hours are accepted"
    return Standing.UNKNOWN, refusal


def _bedrock(services: Services) -> Judged:
    answer = services("bedrock").call("GetModelInvocationLoggingConfiguration")
    config = answer.get("loggingConfig") or {}
    where = [name for name in ("cloudWatchConfig", "s3Config") if config.get(name)]
    if not where:
        return Standing.ABSENT, "off: Bedrock's answers and segments are not seen"
    large = config.get("cloudWatchConfig", {}).get("largeDataDeliveryS3Config")
    said = f"to {' and '.join(name.removesuffix('Config') for name in where)}"
    return Standing.PRESENT, f"{said}{', large bodies to S3' if large else ''}"
