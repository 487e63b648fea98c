"""SageMaker's lists and descriptions of endpoints whose every step the test decides.

Shapes: botocore's service model (checked by the server for every answer). Behaviour, from the
API reference: configurations are immutable; DescribeEndpoint shows the old configuration and a
PendingDeploymentSummary while a deployment runs; DeployedImages resolve a tag when a deployment
starts; lists give MaxResults (default 10) a page. Time is given.
"""

from copy import deepcopy
from datetime import UTC, datetime

from fakeaws.metrics import ServiceError

ACCOUNT, REGION = "123456789012", "eu-west-1"
DEFAULT_PAGE = 10


def at(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def arn(kind, name):
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


class SageMaker:
    """Endpoints, configurations, models, components and jobs; `denied` operations are refused."""

    def __init__(self, now):
        self.now = now
        self.denied, self.throttled = set(), set()
        self.endpoints, self.configs, self.models, self.components = {}, {}, {}, {}
        self.optimizations, self.compilations = {}, {}
        self.recommendations, self.advice, self.benchmarks = {}, {}, {}
        self.experiments = {}
        self.digests, self._starting = {}, {}
        self.calls = []

    # -- what a test does -----------------------------------------------------------------
    def model(self, name, image="repo/vllm:1", url="s3://models/base/", env=None, **more):
        container = {"Image": image, "ModelDataUrl": url, "Environment": env or {}, **more}
        self.models[name] = {
            "ModelName": name, "ModelArn": arn("model", name),
            "CreationTime": at(self.now), "PrimaryContainer": container,
        }  # fmt: skip
        return name

    def pipeline(self, name, *containers):
        self.model(name)
        del self.models[name]["PrimaryContainer"]
        self.models[name]["Containers"] = list(containers)
        return name

    def config(self, name, *variants, shadow=()):
        self.configs[name] = {
            "EndpointConfigName": name, "EndpointConfigArn": arn("endpoint-config", name),
            "CreationTime": at(self.now), "ProductionVariants": list(variants),
        }  # fmt: skip
        if shadow:
            self.configs[name]["ShadowProductionVariants"] = list(shadow)
        return name

    def endpoint(self, name, config):
        self.endpoints[name] = {
            "EndpointName": name, "EndpointArn": arn("endpoint", name),
            "EndpointConfigName": config, "EndpointStatus": "InService",
            "CreationTime": at(self.now), "LastModifiedTime": at(self.now),
            **self._live(config),
        }  # fmt: skip
        return name

    def begin(self, name, config, status="Creating"):
        """UpdateEndpoint: the old fleet answers, the new one is made."""
        one = self.endpoints[name]
        variants = [
            {
                "VariantName": v["VariantName"],
                "VariantStatus": [{"Status": status, "StartTime": at(self.now)}],
            }
            for v in self.configs[config]["ProductionVariants"]
        ]
        one["EndpointStatus"] = "Updating"
        one["PendingDeploymentSummary"] = {
            "EndpointConfigName": config, "StartTime": at(self.now), "ProductionVariants": variants,
        }  # fmt: skip
        self._starting[name] = self._live(config)

    def stage(self, name, status):
        """A canary takes its share, or all traffic has moved and alarms are watched."""
        for variant in self.endpoints[name]["PendingDeploymentSummary"]["ProductionVariants"]:
            variant["VariantStatus"] = [{"Status": status, "StartTime": at(self.now)}]

    def finish(self, name):
        """The new fleet is the endpoint."""
        one = self.endpoints[name]
        config = one.pop("PendingDeploymentSummary")["EndpointConfigName"]
        one |= {
            "EndpointConfigName": config, "EndpointStatus": "InService",
            "LastModifiedTime": at(self.now), **self._starting.pop(name),
        }  # fmt: skip

    def roll_back(self, name):
        one = self.endpoints[name]
        one.pop("PendingDeploymentSummary")
        one |= {"EndpointStatus": "InService", "LastModifiedTime": at(self.now)}

    def update(self, name, config, seconds=600.0):
        self.begin(name, config)
        self.now += seconds
        self.finish(name)

    def scale(self, name, count):
        """UpdateEndpointWeightsAndCapacities."""
        one = self.endpoints[name]
        for variant in one["ProductionVariants"]:
            variant["DesiredInstanceCount"] = variant["CurrentInstanceCount"] = count
        one["LastModifiedTime"] = at(self.now)

    def component(self, name, endpoint, variant="all", **specification):
        known = self.components.get(name, {})
        self.components[name] = {
            "InferenceComponentName": name,
            "InferenceComponentArn": arn("inference-component", name),
            "EndpointName": endpoint, "EndpointArn": arn("endpoint", endpoint),
            "VariantName": variant, "CreationTime": known.get("CreationTime", at(self.now)),
            "LastModifiedTime": at(self.now), "InferenceComponentStatus": "InService",
            "Specification": specification,
            "RuntimeConfig": {"DesiredCopyCount": 1, "CurrentCopyCount": 1},
        }  # fmt: skip

    def optimization(self, name, configs, *, source, output, env=None):
        self.optimizations[name] = {
            "OptimizationJobName": name, "OptimizationJobArn": arn("optimization-job", name),
            "OptimizationJobStatus": "COMPLETED", "CreationTime": at(self.now),
            "LastModifiedTime": at(self.now), "ModelSource": source,
            "OptimizationEnvironment": env or {}, "DeploymentInstanceType": "ml.g6.xlarge",
            "OptimizationConfigs": configs, "OutputConfig": output,
            "RoleArn": arn("role", "optimizer-of-models"), "StoppingCondition": {},
        }  # fmt: skip

    def _live(self, config):
        live = {}
        for key in ("ProductionVariants", "ShadowProductionVariants"):
            variants = []
            for one in self.configs[config].get(key, ()):
                variant = {
                    "VariantName": one["VariantName"],
                    "DesiredWeight": one.get("InitialVariantWeight", 1.0),
                }
                if "InitialInstanceCount" in one:
                    variant["DesiredInstanceCount"] = one["InitialInstanceCount"]
                    variant["CurrentInstanceCount"] = one["InitialInstanceCount"]
                if "ModelName" in one:
                    model = self.models[one["ModelName"]]
                    containers = model.get("Containers") or [model["PrimaryContainer"]]
                    variant["DeployedImages"] = [self.resolved(c["Image"]) for c in containers]
                variants.append(variant)
            if variants:
                live[key] = variants
        return live

    def resolved(self, image):
        """A tag as it resolves now; `digests` says what was pushed behind it."""
        digest = self.digests.get(image, "0" * 64)
        return {
            "SpecifiedImage": image,
            "ResolvedImage": f"{image.rpartition(':')[0]}@sha256:{digest}",
            "ResolutionTime": at(self.now),
        }

    # -- operations -----------------------------------------------------------------------
    def list_endpoints(self, **request):
        self._asked("ListEndpoints")
        rows = [_only(one, "EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime",
                      "EndpointStatus") for one in self.endpoints.values()]  # fmt: skip
        return _page("Endpoints", rows, request)

    def describe_endpoint(self, EndpointName):
        self._asked("DescribeEndpoint")
        return _found(self.endpoints, EndpointName, "endpoint")

    def describe_endpoint_config(self, EndpointConfigName):
        self._asked("DescribeEndpointConfig")
        return _found(self.configs, EndpointConfigName, "endpoint configuration")

    def describe_model(self, ModelName):
        self._asked("DescribeModel")
        return _found(self.models, ModelName, "model")

    def list_inference_components(self, **request):
        self._asked("ListInferenceComponents")
        wanted = request.get("EndpointNameEquals")
        rows = [_only(one, "CreationTime", "InferenceComponentArn", "InferenceComponentName",
                      "EndpointArn", "EndpointName", "VariantName", "LastModifiedTime")
                for one in self.components.values()
                if wanted in (None, one["EndpointName"])]  # fmt: skip
        return _page("InferenceComponents", rows, request)

    def describe_inference_component(self, InferenceComponentName):
        self._asked("DescribeInferenceComponent")
        return _found(self.components, InferenceComponentName, "inference component")

    def list_optimization_jobs(self, **request):
        self._asked("ListOptimizationJobs")
        rows = [
            {**_only(one, "OptimizationJobName", "OptimizationJobArn", "CreationTime",
                     "OptimizationJobStatus", "DeploymentInstanceType"), "OptimizationTypes": []}
            for one in _asked_for(self.optimizations, request, "OptimizationJobStatus")
        ]  # fmt: skip
        return _page("OptimizationJobSummaries", rows, request)

    def describe_optimization_job(self, OptimizationJobName):
        self._asked("DescribeOptimizationJob")
        return _found(self.optimizations, OptimizationJobName, "optimization job")

    def list_compilation_jobs(self, **request):
        self._asked("ListCompilationJobs")
        rows = [
            _only(one, "CompilationJobName", "CompilationJobArn", "CreationTime",
                  "CompilationJobStatus")
            for one in _asked_for(self.compilations, request, "CompilationJobStatus")
        ]  # fmt: skip
        return _page("CompilationJobSummaries", rows, request)

    def describe_compilation_job(self, CompilationJobName):
        self._asked("DescribeCompilationJob")
        return _found(self.compilations, CompilationJobName, "compilation job")

    def list_inference_recommendations_jobs(self, **request):
        self._asked("ListInferenceRecommendationsJobs")
        rows = [
            {**_only(one, "JobName", "JobType", "JobArn", "Status", "CreationTime", "RoleArn",
                     "LastModifiedTime"), "JobDescription": ""}
            for one in _asked_for(self.recommendations, request, "Status")
            if request.get("ModelNameEquals", one["InputConfig"]["ModelName"])
            == one["InputConfig"]["ModelName"]
        ]  # fmt: skip
        return _page("InferenceRecommendationsJobs", rows, request)

    def describe_inference_recommendations_job(self, JobName):
        self._asked("DescribeInferenceRecommendationsJob")
        return _found(self.recommendations, JobName, "job")

    def list_ai_recommendation_jobs(self, **request):
        self._asked("ListAIRecommendationJobs")
        rows = [
            _only(one, "AIRecommendationJobName", "AIRecommendationJobArn",
                  "AIRecommendationJobStatus", "CreationTime")
            for one in _asked_for(self.advice, request, "AIRecommendationJobStatus")
        ]  # fmt: skip
        return _page("AIRecommendationJobs", rows, request)

    def describe_ai_recommendation_job(self, AIRecommendationJobName):
        self._asked("DescribeAIRecommendationJob")
        return _found(self.advice, AIRecommendationJobName, "job")

    def list_ai_benchmark_jobs(self, **request):
        self._asked("ListAIBenchmarkJobs")
        rows = [
            _only(one, "AIBenchmarkJobName", "AIBenchmarkJobArn", "AIBenchmarkJobStatus",
                  "CreationTime")
            for one in _asked_for(self.benchmarks, request, "AIBenchmarkJobStatus")
        ]  # fmt: skip
        return _page("AIBenchmarkJobs", rows, request)

    def describe_ai_benchmark_job(self, AIBenchmarkJobName):
        self._asked("DescribeAIBenchmarkJob")
        return _found(self.benchmarks, AIBenchmarkJobName, "job")

    def list_inference_experiments(self, **request):
        self._asked("ListInferenceExperiments")
        rows = list(self.experiments.values())
        return _page("InferenceExperiments", rows, request)

    def _asked(self, operation):
        self.calls.append(operation)
        if operation in self.throttled:
            raise ServiceError(400, "ThrottlingException", "Rate exceeded")
        if operation in self.denied:
            who = f"arn:aws:sts::{ACCOUNT}:assumed-role/nibai/1"
            raise ServiceError(
                400,
                "AccessDeniedException",
                f"User: {who} is not authorized to perform: sagemaker:{operation}",
            )


def variant(name="blue", model=None, kind="ml.g5.xlarge", count=2, weight=1.0, **more):
    """A production variant of a configuration; without a model it holds components."""
    found = {"VariantName": name, "InitialVariantWeight": weight, **more}
    if kind is not None:
        found |= {"InstanceType": kind, "InitialInstanceCount": count}
    return found if model is None else {**found, "ModelName": model}


def recommender(name, model, figures):
    """A finished job of Inference Recommender: (latency in ms, cost) by instance type."""
    return {
        "JobName": name, "JobType": "Default", "JobArn": arn("inference-recommendations-job", name),
        "RoleArn": arn("role", "somebody-who-recommends"), "Status": "COMPLETED",
        "CreationTime": at(0), "LastModifiedTime": at(0),
        "InputConfig": {"ModelName": model},
        "InferenceRecommendations": [
            {
                "EndpointConfiguration": {
                    "EndpointName": "test", "VariantName": "v", "InstanceType": kind,
                    "InitialInstanceCount": 1,
                },
                "ModelConfiguration": {},
                "Metrics": {"ModelLatency": latency, "CostPerInference": cost},
            }
            for kind, (latency, cost) in figures.items()
        ],
    }  # fmt: skip


def ai_recommendation(name, source, figures):
    """A finished AI recommendation job about weights: time to first token by instance type."""
    return {
        "AIRecommendationJobName": name, "AIRecommendationJobArn": arn("ai-job", name),
        "AIRecommendationJobStatus": "Completed", "CreationTime": at(0),
        "ModelSource": {"S3": {"S3Uri": source}}, "RoleArn": arn("role", "somebody-who-advises"),
        "OutputConfig": {"S3OutputLocation": "s3://advice/"}, "AIWorkloadConfigIdentifier": "w",
        "Recommendations": [
            {
                "DeploymentConfiguration": {"InstanceType": kind},
                "ExpectedPerformance": [
                    {"Metric": "ttft-ms", "Stat": "p50", "Value": str(value), "Unit": "ms"}
                ],
            }
            for kind, value in figures.items()
        ],
    }  # fmt: skip


def _found(what, name, kind):
    if name not in what:
        raise ServiceError(400, "ValidationException", f'Could not find {kind} "{name}".')
    return deepcopy(what[name])


def _only(one, *keys):
    return {key: one[key] for key in keys if key in one}


def _asked_for(jobs, request, status):
    """Jobs that the filters of a list leave, newest first."""
    after, wanted = request.get("CreationTimeAfter"), request.get("StatusEquals")
    found = [
        one
        for one in jobs.values()
        if (after is None or one["CreationTime"] >= after) and wanted in (None, one[status])
    ]
    return sorted(found, key=lambda one: one["CreationTime"], reverse=True)


def _page(key, rows, request):
    first = int(request.get("NextToken", "0"))
    size = request.get("MaxResults", DEFAULT_PAGE)
    page = {key: rows[first : first + size]}
    return page if first + size >= len(rows) else {**page, "NextToken": str(first + size)}
