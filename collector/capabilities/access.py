"""Which of SageMaker's descriptions may be read: every permission asked for once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from collector.aws.session import Caller
from collector.capabilities.asking import Answer, Judged, asked
from collector.sagemaker.permitted import GONE, INVALID
from nibai.errors import CollectError
from nibai.protocols import Capability, Standing

READS = 16
NOBODY = "nibai-doctor-asks-for-nothing"
"""A name that exists nowhere: a permission is there when AWS says that it is not found."""


def access(topic: str, caller: Caller) -> Iterator[Capability]:
    """One capability a permission."""
    for name, question in _questions(caller).items():
        yield asked(topic, f"sagemaker:{name}", lambda ask=question: _answered(ask))  # type: ignore[misc]


def _answered(question: Callable[[], Answer]) -> Judged:
    try:
        answer = question()
    except CollectError as error:
        # What is asked for does not exist, which only somebody who may ask is told.
        if error.reason in {*GONE, INVALID}:
            return Standing.PRESENT, "may be read"
        raise
    listed = next((len(value) for value in answer.values() if isinstance(value, list)), None)
    if listed is None:
        return Standing.PRESENT, "may be read"
    more = " or more" if answer.get("NextToken") else ""
    return Standing.PRESENT, f"may be read: {listed}{more} listed"


def _questions(caller: Caller) -> dict[str, Callable[[], Answer]]:
    return {
        "ListEndpoints": lambda: caller.call("ListEndpoints", MaxResults=100),
        "DescribeEndpoint": lambda: caller.call("DescribeEndpoint", EndpointName=NOBODY),
        "DescribeEndpointConfig": lambda: caller.call(
            "DescribeEndpointConfig", EndpointConfigName=NOBODY
        ),
        "DescribeModel": lambda: caller.call("DescribeModel", ModelName=NOBODY),
        "ListInferenceComponents": lambda: caller.call("ListInferenceComponents", MaxResults=100),
        "DescribeInferenceComponent": lambda: caller.call(
            "DescribeInferenceComponent", InferenceComponentName=NOBODY
        ),
        "ListOptimizationJobs": lambda: caller.call("ListOptimizationJobs", MaxResults=100),
        "DescribeOptimizationJob": lambda: caller.call(
            "DescribeOptimizationJob", OptimizationJobName=NOBODY
        ),
        "ListCompilationJobs": lambda: caller.call("ListCompilationJobs", MaxResults=100),
        "DescribeCompilationJob": lambda: caller.call(
            "DescribeCompilationJob", CompilationJobName=NOBODY
        ),
        "ListInferenceRecommendationsJobs": lambda: caller.call(
            "ListInferenceRecommendationsJobs", MaxResults=100
        ),
        "DescribeInferenceRecommendationsJob": lambda: caller.call(
            "DescribeInferenceRecommendationsJob", JobName=NOBODY
        ),
        "ListAIRecommendationJobs": lambda: caller.call("ListAIRecommendationJobs", MaxResults=100),
        "DescribeAIRecommendationJob": lambda: caller.call(
            "DescribeAIRecommendationJob", AIRecommendationJobName=NOBODY
        ),
        "ListAIBenchmarkJobs": lambda: caller.call("ListAIBenchmarkJobs", MaxResults=100),
        "DescribeAIBenchmarkJob": lambda: caller.call(
            "DescribeAIBenchmarkJob", AIBenchmarkJobName=NOBODY
        ),
    }
