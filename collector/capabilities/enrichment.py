"""Whether AWS keeps histograms behind PromQL here; switched on by nobody but the user.

Source: nibai's aws.md, sections 1 and 16.
"""

from __future__ import annotations

from collections.abc import Iterator

from collector.capabilities.asking import Judged, Services, asked
from nibai.protocols import Capability, Standing

READS = 2
DOLLARS_PER_GB = 0.5
BYTES_PER_SAMPLE = 500.0
SERIES_PER_VARIANT = 22.0
"""Eleven metrics of a variant, by itself and by zone and instance type."""

MINUTES_PER_MONTH = 43_800.0


def dollars_per_variant() -> float:
    """What enrichment of one variant's metrics costs a month, assuming samples of 500 bytes.

    >>> round(dollars_per_variant(), 2)
    0.24
    """
    return SERIES_PER_VARIANT * MINUTES_PER_MONTH * BYTES_PER_SAMPLE / 1e9 * DOLLARS_PER_GB


def enrichment(topic: str, services: Services, region: str, variants: int) -> Iterator[Capability]:
    """Both switches, with the two commands and the bill where they are off."""
    many = f"{variants} variant{'' if variants == 1 else 's'}"
    remedy = (
        f"aws observabilityadmin start-telemetry-enrichment --region {region}\n"
        f"aws cloudwatch start-otel-enrichment --region {region}\n"
        f"costs about ${variants * dollars_per_variant():.2f} a month for {many} "
        "(500 bytes a sample assumed); nibai never runs these"
    )

    def cloudwatch() -> Judged:
        status = services("cloudwatch").call("GetOTelEnrichment").get("Status")
        if status == "Running":
            return Standing.PRESENT, "metrics are kept as histograms behind PromQL"
        return Standing.ABSENT, f"status {status}: histograms are rebuilt from counts", remedy

    def observability() -> Judged:
        status = services("observabilityadmin").call("GetTelemetryEnrichmentStatus").get("Status")
        if status == "Running":
            return Standing.PRESENT, "resources' tags are added"
        return Standing.ABSENT, f"status {status}"

    switch = asked(topic, "OTel enrichment of metrics", cloudwatch)
    yield switch
    yield asked(topic, "telemetry enrichment", observability)
    known = switch.standing in {Standing.PRESENT, Standing.ABSENT}
    said = "cloudwatch:GetOTelEnrichment is known to IAM" if known else switch.said
    name = "names of actions of 2026"
    yield Capability(
        topic, name, Standing.PRESENT if known else switch.standing, said, switch.remedy
        if switch.standing is Standing.DENIED else "", 19,
    )  # fmt: skip
