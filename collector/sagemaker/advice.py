"""AWS's own figures as claims to verify: Inference Recommender and AI recommendations.

They are about AWS's test traffic. Only a ratio of two figures of one job is a claim: what the new
instance type was recommended with, against the old one's. The job's other figures are evidence.
Source: nibai's aws.md, section 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from collector.aws.session import Caller, pages
from collector.sagemaker.describe import PAGE
from collector.sagemaker.diff import Step
from collector.sagemaker.facts import text
from collector.sagemaker.figures import Figure
from collector.sagemaker.jobs import inside, weights
from collector.sagemaker.permitted import Permitted

Raw = Mapping[str, Any]
MOST_JOBS = 200
"""The newest of a list: they may be about any endpoint of the account."""

STATS = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "avg": "p50", "mean": "p50"}


class Advice:
    """Finished jobs of AWS that compared the instance types of a step."""

    def __init__(self, caller: Caller, permitted: Permitted) -> None:
        self._caller = caller
        self._permitted = permitted
        self._described: dict[str, Raw] = {}

    def figures(self, step: Step) -> list[Figure]:
        """What AWS promised of a change of instance type; nothing for any other change."""
        types = _types(step)
        if types is None:
            return []
        recommender = self._permitted.ask(
            lambda: self._recommender(step.after.names.get("model", ""), *types),
            "figures of Inference Recommender are not turned into claims",
        )
        recommended = self._permitted.ask(
            lambda: self._recommended(step, *types),
            "figures of AI recommendation jobs are not read",
        )
        return [*(recommender or ()), *(recommended or ())]

    def _recommender(self, model: str, old: str, new: str) -> list[Figure]:
        if not model:
            return []
        listed = pages(
            self._caller, "ListInferenceRecommendationsJobs", "InferenceRecommendationsJobs",
            StatusEquals="COMPLETED", ModelNameEquals=model, SortBy="CreationTime",
            SortOrder="Descending", MaxResults=PAGE,
        )  # fmt: skip
        found: list[Figure] = []
        for one in islice(listed, MOST_JOBS):
            name = str(one["JobName"])
            if name not in self._described:
                self._described[name] = self._caller.call(
                    "DescribeInferenceRecommendationsJob", JobName=name
                )
            found += recommended_ratios(self._described[name], old, new)
        return found

    def _recommended(self, step: Step, old: str, new: str) -> list[Figure]:
        """Of jobs about these weights: the list tells the model of none of them."""
        own = [*weights(step.before), *weights(step.after)]
        listed = pages(
            self._caller, "ListAIRecommendationJobs", "AIRecommendationJobs",
            StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending",
            MaxResults=PAGE,
        )  # fmt: skip
        found: list[Figure] = []
        for one in islice(listed, MOST_JOBS):
            name = str(one["AIRecommendationJobName"])
            if name not in self._described:
                self._described[name] = self._caller.call(
                    "DescribeAIRecommendationJob", AIRecommendationJobName=name
                )
            source = str(
                self._described[name].get("ModelSource", {}).get("S3", {}).get("S3Uri", "")
            )
            if source and any(inside(at, source) or inside(source, at) for at in own):
                found += expected_ratios(self._described[name], old, new)
        return found


def recommended_ratios(job: Raw, old: str, new: str) -> list[Figure]:
    """Latency and cost of two instance types in one job of Inference Recommender.

    AWS does not say which quantile its ModelLatency is: it is held against the median.
    """
    by_type = {
        str(one["EndpointConfiguration"].get("InstanceType", "")): one.get("Metrics", {})
        for one in job.get("InferenceRecommendations", ())
    }
    before, after = by_type.get(old, {}), by_type.get(new, {})
    name = f"Inference Recommender job {text(job['JobName'])}"
    found = []
    for key, promise, unit in (
        ("ModelLatency", "model_latency {}x faster at p50", "ms"),
        ("CostPerInference", "{}x cheaper", "$"),
    ):
        if before.get(key) and after.get(key):
            said = f"{name}: {key} {before[key]:g} {unit} on {old}, {after[key]:g} {unit} on {new}"
            found.append(Figure(promise, before[key] / after[key], said))
    return found


def expected_ratios(job: Raw, old: str, new: str) -> list[Figure]:
    """Time to first token and throughput that an AI recommendation job expects of two types."""
    by_type: dict[str, dict[tuple[str, str], float]] = {}
    for one in job.get("Recommendations", ()):
        kind = str(one.get("DeploymentConfiguration", {}).get("InstanceType", ""))
        figures = by_type.setdefault(kind, {})
        for expected in one.get("ExpectedPerformance", ()):
            number = _number(expected.get("Value"))
            if number is not None:
                key = (str(expected["Metric"]).lower(), str(expected.get("Stat", "")).lower())
                figures.setdefault(key, number)
    name = f"AI recommendation job {text(job['AIRecommendationJobName'])}"
    found = []
    for (metric, stat), before in by_type.get(old, {}).items():
        after = by_type.get(new, {}).get((metric, stat))
        if not before or not after:
            continue
        said = f"{name}: {text(metric)} {text(stat)} {before:g} on {old}, {after:g} on {new}"
        if metric.startswith("ttft"):
            promise = f"ttft {{}}x faster at {STATS.get(stat, 'p50')}"
            found.append(Figure(promise, before / after, said))
        elif "throughput" in metric:
            found.append(Figure("{}x more throughput", after / before, said))
    return found


def _types(step: Step) -> tuple[str, str] | None:
    path = next((p for p in step.after.facts if p.endswith(".InstanceType")), "")
    old, new = step.before.facts.get(path), step.after.facts.get(path)
    return (old, new) if old and new and old != new else None


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
