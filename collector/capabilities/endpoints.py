"""What an endpoint is set up to give: captures, metrics of its own, alarms that roll back."""

from __future__ import annotations

from collections.abc import Iterator

from collector.sagemaker.snapshot import Role, Snapshot
from nibai.protocols import Capability, Standing

CAPTURE, METRICS = "DataCaptureConfig", "MetricsConfig"


def endpoint(snapshot: Snapshot, alarms: tuple[str, ...]) -> Iterator[Capability]:
    """Facts of the endpoint's own configuration; nothing is asked."""
    topic = f"endpoint {snapshot.name}"
    units = ", ".join(f"{unit.name} ({unit.role.value})" for unit in snapshot.units)
    yield Capability(topic, "units", Standing.PRESENT, units or "none that can be read")
    yield _capture(topic, snapshot)
    yield _observability(topic, snapshot)
    shadows = [unit.name for unit in snapshot.units if unit.role is Role.SHADOW]
    yield Capability(
        topic,
        "shadow variant",
        Standing.PRESENT if shadows else Standing.ABSENT,
        f"{', '.join(shadows)}: answers to the same requests can be compared"
        if shadows
        else "none: answers are compared before and after only",
    )
    yield Capability(
        topic,
        "alarms that roll back",
        Standing.PRESENT if alarms else Standing.ABSENT,
        ", ".join(alarms) if alarms else "none in the last deployment's AutoRollbackConfiguration",
    )


def _capture(topic: str, snapshot: Snapshot) -> Capability:
    said = snapshot.context
    if said.get(f"{CAPTURE}.EnableCapture") != "true":
        return Capability(
            topic, "Data Capture", Standing.ABSENT, "off: whether answers change is not seen",
            "a new endpoint configuration with DataCaptureConfig (EnableCapture, "
            "InitialSamplingPercentage,\nDestinationS3Uri, CaptureOptions Input and Output); "
            "S3 bills what is stored",
        )  # fmt: skip
    share = said.get(f"{CAPTURE}.CurrentSamplingPercentage", "?")
    where = said.get(f"{CAPTURE}.DestinationS3Uri", "?")
    status = said.get(f"{CAPTURE}.CaptureStatus", "?")
    standing = Standing.PRESENT if status == "Started" else Standing.ABSENT
    return Capability(topic, "Data Capture", standing, f"{status}, {share} % to {where}")


def _observability(topic: str, snapshot: Snapshot) -> Capability:
    detailed = snapshot.context.get(f"{METRICS}.EnableDetailedObservability", "not set")
    enhanced = snapshot.context.get(f"{METRICS}.EnableEnhancedMetrics", "not set")
    every = snapshot.context.get(f"{METRICS}.MetricPublishFrequencyInSeconds", "60")
    standing = Standing.PRESENT if "true" in {detailed, enhanced} else Standing.ABSENT
    said = f"detailed observability {detailed}, enhanced metrics {enhanced}, every {every} s"
    return Capability(topic, "metrics by instance", standing, said)
