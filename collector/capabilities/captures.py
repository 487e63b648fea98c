"""What captures really hold: the same event in production and shadow, streams, a cap of size.

Points 14 and 15 of what no document settles.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.capabilities.asking import Judged, Services, asked
from collector.hourly.objects import DOLLARS_A_GET, DOLLARS_A_LIST, listed, object_lines
from collector.hourly.places import Place
from collector.lines import Line
from collector.sagemaker.facts import text
from collector.sagemaker.snapshot import Role, Snapshot
from nibai.protocols import Capability, Standing

READS = 5
DOLLARS = 3 * DOLLARS_A_LIST + 2 * DOLLARS_A_GET
MOST_LINES = 2000
LAST_HOURS = 2
PILE = 0.05
FEWEST = 10


@dataclass(slots=True)
class Sample:
    """What was found in the last whole hour of a variant."""

    events: set[str] = field(default_factory=set)
    inferences: set[str] = field(default_factory=set)
    lengths: list[int] = field(default_factory=list)


def captures(services: Services, snapshot: Snapshot, now: float) -> Iterator[Capability]:
    """Nothing where capture is off."""
    destination = snapshot.context.get("DataCaptureConfig.DestinationS3Uri")
    if not destination or snapshot.context.get("DataCaptureConfig.EnableCapture") != "true":
        return
    topic = f"endpoint {snapshot.name}"
    production = [u.name for u in snapshot.units if u.role is Role.PRODUCTION]
    shadows = [u.name for u in snapshot.units if u.role is Role.SHADOW]
    hour = (now // 3600 - LAST_HOURS) * 3600
    samples: dict[str, Sample] = {}

    def sample(variant: str) -> Sample:
        if variant not in samples:
            place = Place.of(destination, snapshot.name, variant)
            samples[variant] = _sample(services, place, hour)
        return samples[variant]

    yield asked(topic, "folders of captures", lambda: _folders(services, destination, snapshot))
    if shadows and production:
        yield asked(
            topic, "events equal in production and shadow captures",
            lambda: shared(sample(production[0]), sample(shadows[0])), number=14,
        )  # fmt: skip
    if production:
        yield asked(
            topic, "a cap of captured payloads", lambda: cap(sample(production[0])), number=15
        )


def _folders(services: Services, destination: str, snapshot: Snapshot) -> Judged:
    """Where captures really lie: of inference components no document says it."""
    place = Place.of(destination, snapshot.name)
    page = services("s3").call(
        "ListObjectsV2", Bucket=place.bucket, Prefix=place.prefix, Delimiter="/"
    )
    found = [
        text(str(one["Prefix"]).removeprefix(place.prefix).strip("/"))
        for one in page.get("CommonPrefixes", ())
    ]
    if not found:
        return Standing.ABSENT, f"nothing below {text(place.name)} yet"
    return Standing.PRESENT, f"{', '.join(found)} (data_capture: folders, where named otherwise)"


def _sample(services: Services, place: Place, hour: float) -> Sample:
    """The first object of an hour."""
    found, store = Sample(), services("s3")
    for page in listed(store, place.bucket, f"{place.after(hour)}/"):
        for one in page[:1]:
            for line in object_lines(store, place.bucket, one.key):
                _take(line, found)
                if len(found.lengths) >= MOST_LINES:
                    break
        break
    return found


def _take(line: Line, found: Sample) -> None:
    found.lengths.append(line.size)
    try:
        metadata = json.loads(line.start)["eventMetadata"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    found.events.add(str(metadata.get("eventId", "")))
    if metadata.get("inferenceId"):
        found.inferences.add(str(metadata["inferenceId"]))


def shared(production: Sample, shadow: Sample) -> Judged:
    """Point 14: what joins a production answer and its shadow's."""
    if not production.events or not shadow.events:
        return Standing.UNKNOWN, "no captures of both in the last whole hour"
    events = len(production.events & shadow.events)
    inferences = len(production.inferences & shadow.inferences)
    said = f"{events} of {len(production.events)} eventIds and {inferences} inferenceIds in common"
    if events or inferences:
        return Standing.PRESENT, said
    return Standing.ABSENT, said, "let callers of InvokeEndpoint pass an InferenceId"


def cap(sample: Sample) -> Judged:
    """Point 15: many lines of the longest length are lines that were cut."""
    if not sample.lengths:
        return Standing.UNKNOWN, "no captures in the last whole hour"
    longest = max(sample.lengths)
    longest_ones = Counter(sample.lengths)[longest]
    share = longest_ones / len(sample.lengths)
    said = f"{share:.0%} of {len(sample.lengths)} lines have the longest length, {longest:,} bytes"
    piled = longest_ones >= FEWEST and share > PILE and len(set(sample.lengths)) > 1
    return (Standing.PRESENT if piled else Standing.ABSENT), said
