"""What CloudWatch holds of an endpoint: metrics, their units and exact dimension sets.

Source: aws.md, section 2; units of GetMetricData answers are not told, hence the static table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

Dimensions = tuple[tuple[str, str], ...]


class Kind(StrEnum):
    """How a metric's values are to be read."""

    DISTRIBUTION = "distribution"
    COUNT = "count"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Published:
    """A metric of a namespace: nibai's name for it and how many of its units are one base unit."""

    namespace: str
    name: str
    metric: str
    kind: Kind
    units_per_base: float = 1.0


SAGEMAKER = "AWS/SageMaker"
BEDROCK = "AWS/Bedrock"
MICROSECONDS, MILLISECONDS = 1e6, 1e3
USE_OF_ENDPOINTS = "/aws/sagemaker/Endpoints"
USE_OF_COMPONENTS = "/aws/sagemaker/InferenceComponents"
PERCENT = 1e2
COMPONENT = "ic:"
"""What stands before the name of an inference component where a variant is named."""

PUBLISHED = (
    Published(SAGEMAKER, "ModelLatency", "model_latency", Kind.DISTRIBUTION, MICROSECONDS),
    Published(SAGEMAKER, "OverheadLatency", "overhead_latency", Kind.DISTRIBUTION, MICROSECONDS),
    Published(SAGEMAKER, "FirstChunkLatency", "ttft", Kind.DISTRIBUTION, MICROSECONDS),
    Published(SAGEMAKER, "ModelSetupTime", "cold_start", Kind.DISTRIBUTION, MICROSECONDS),
    Published(SAGEMAKER, "Invocations", "invocations", Kind.COUNT),
    Published(SAGEMAKER, "Invocation4XXErrors", "errors_4xx", Kind.COUNT),
    Published(SAGEMAKER, "Invocation5XXErrors", "errors_5xx", Kind.COUNT),
    Published(SAGEMAKER, "InvocationModelErrors", "model_errors", Kind.COUNT),
    # Of all accelerators of an instance together: four busy ones are 400 %.
    Published(USE_OF_ENDPOINTS, "GPUUtilization", "accelerator_use", Kind.GAUGE, PERCENT),
    Published(BEDROCK, "InvocationLatency", "latency", Kind.DISTRIBUTION, MILLISECONDS),
    Published(BEDROCK, "TimeToFirstToken", "ttft", Kind.DISTRIBUTION, MILLISECONDS),
    Published(BEDROCK, "Invocations", "invocations", Kind.COUNT),
    Published(BEDROCK, "InvocationClientErrors", "errors_4xx", Kind.COUNT),
    Published(BEDROCK, "InvocationServerErrors", "errors_5xx", Kind.COUNT),
    Published(BEDROCK, "InvocationThrottles", "throttles", Kind.COUNT),
)


@dataclass(frozen=True, slots=True)
class Series:
    """One metric with one exact set of dimensions, and whose series it is in nibai.

    CloudWatch answers only for a set that was published as it stands: nothing is summed over
    dimensions that are left out.
    """

    published: Published
    dimensions: Dimensions
    endpoint: str
    variant: str
    replica: str = ""

    @property
    def metric(self) -> str:
        """The name in the lake: aggregates by type overlap the variant's own and stand apart."""
        apart = self.replica.startswith("type=")
        return f"{self.published.metric}_by_type" if apart else self.published.metric


def variant_series(published: Published, account_region: str, name: str, variant: str) -> Series:
    """All traffic of a variant (dimension set V), or of an inference component `ic:NAME` (C).

    >>> variant_series(PUBLISHED[0], "123456789012.eu-west-1", "chat", "blue").dimensions
    (('EndpointName', 'chat'), ('VariantName', 'blue'))
    >>> variant_series(PUBLISHED[0], "123456789012.eu-west-1", "chat", "ic:llama").dimensions
    (('InferenceComponentName', 'llama'),)
    """
    dimensions: Dimensions = (("EndpointName", name), ("VariantName", variant))
    if variant.startswith(COMPONENT):
        dimensions = (("InferenceComponentName", variant.removeprefix(COMPONENT)),)
        if published.namespace == USE_OF_ENDPOINTS:
            published = replace(published, namespace=USE_OF_COMPONENTS)
    return Series(published, dimensions, f"sagemaker/{account_region}/{name}", variant)


def by_type_series(
    published: Published, account_region: str, name: str, variant: str, *, zone: str, kind: str
) -> Series:
    """One zone and instance type of a variant (VZ): instance types under the same traffic."""
    region = account_region.rpartition(".")[2]
    dimensions = (
        ("AvailabilityZone", zone),
        ("EndpointName", name),
        ("InstanceType", kind),
        ("Region", region),
        ("VariantName", variant),
    )
    endpoint = f"sagemaker/{account_region}/{name}"
    return Series(published, dimensions, endpoint, variant, f"type={kind},az={zone}")
