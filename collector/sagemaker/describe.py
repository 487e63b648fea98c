"""SageMaker asked what serves an endpoint: lists with paging, descriptions, one snapshot of them.

A missing permission leaves out that part only; it is named in `unread` and in `problems`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from collector.aws.session import Caller, pages
from collector.sagemaker.facts import environment, flat, text
from collector.sagemaker.kinds import kind_of
from collector.sagemaker.permitted import Permitted, is_gone
from collector.sagemaker.snapshot import Role, Snapshot, Unit
from nibai.errors import AuthError, CollectError
from nibai.model import ChangeKind

PAGE = 100
"""The most that lists give at once; the default of ten would take ten times the calls."""

AT_REST = "InService"
ROLES = {"ProductionVariants": Role.PRODUCTION, "ShadowProductionVariants": Role.SHADOW}

CONCURRENCY = ("MaxConcurrency", "ProvisionedConcurrency")

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """An endpoint as it answered: `pending` is AWS's own summary of a deployment in progress.

    `rolls`: its deployments exchange the instances themselves, a batch at a time.
    """

    snapshot: Snapshot
    at_rest: bool
    pending: Raw
    alarms: tuple[str, ...] = ()
    instances: Mapping[str, float] = field(default_factory=dict)
    rolls: bool = False


class Describer:
    """Asks through `caller`; models and configurations never change and are asked once.

    They may be deleted and made again under the same name, though (a model also for a configuration
    of another name), so those of an endpoint that was modified since are asked again.
    """

    def __init__(self, caller: Caller, salt: str, permitted: Permitted) -> None:
        self._caller = caller
        self._salt = salt
        self._permitted = permitted
        self._configs: dict[str, Raw] = {}
        self._models: dict[str, Raw] = {}
        self._modified: dict[str, object] = {}
        self._recorded: tuple[Mapping[str, Raw], Mapping[str, Raw]] = ({}, {})

    def names(self, patterns: Iterable[str], account: str = "") -> list[str]:
        """Endpoints of the account and region that match, sorted.

        Raises AuthError where another account answers than the one that was told.
        """
        globs, found = tuple(patterns), set[str]()
        for one in pages(self._caller, "ListEndpoints", "Endpoints", MaxResults=PAGE):
            found.add(str(one["EndpointName"]))
            owner = _owner(one)
            if account and owner not in {"", account}:
                raise AuthError(
                    f"sagemaker:ListEndpoints answers for account {owner}, nibai.yaml says "
                    f"{account}: take the credentials of that account (AWS_PROFILE), or correct "
                    "account in nibai.yaml"
                )
        return sorted(name for name in found if self.matches(name, globs))

    @staticmethod
    def matches(name: str, patterns: Iterable[str]) -> bool:
        """Whether an endpoint is looked at."""
        return any(fnmatchcase(name, glob) for glob in patterns)

    def describe(self, name: str) -> Described | None:
        """An endpoint, None when it is gone by now."""
        try:
            endpoint = self._caller.call("DescribeEndpoint", EndpointName=name)
        except CollectError as error:
            if is_gone(error):
                return None
            raise
        config_name = str(endpoint.get("EndpointConfigName", ""))
        moved = self._moved(name, endpoint["LastModifiedTime"])
        if moved:
            self._configs.pop(config_name, None)
        config = self._config(config_name)
        if moved:
            self._forget_models(config or {})
        unread: set[str] = set() if config is not None else {"config", "model"}
        units = [
            *(u for key in ROLES for u in self._variants(endpoint, config, key, unread)),
            *self._components(name, config, unread),
        ]
        snapshot = Snapshot(
            name=name,
            status=str(endpoint["EndpointStatus"]),
            config=config_name,
            modified=endpoint["LastModifiedTime"].timestamp(),
            units=tuple(sorted(units, key=lambda unit: unit.name)),
            context=_context(endpoint),
            unread=tuple(sorted(unread)),
            account=_owner(endpoint),
            created=_created(config),
        )
        pending = endpoint.get("PendingDeploymentSummary") or {}
        at_rest = snapshot.status == AT_REST and not pending
        rolls = bool((endpoint.get("LastDeploymentConfig") or {}).get("RollingUpdatePolicy"))
        return Described(snapshot, at_rest, pending, _alarms(endpoint), _instances(endpoint), rolls)

    def recorded(self, *, configs: Mapping[str, Raw], models: Mapping[str, Raw]) -> None:
        """What was asked for when configurations and models were made, for those that are gone."""
        self._recorded = (configs, models)

    def configured(self, name: str, config_name: str, moment: float) -> Snapshot | None:
        """An endpoint as a configuration makes it, without what only a running one knows.

        None when nothing is left of the configuration.
        """
        config = self._config(config_name)
        if config is None:
            return None
        unread = {"image"}
        units = [
            self._variant({"VariantName": one["VariantName"]}, one, role, unread)
            for key, role in ROLES.items()
            for one in config.get(key, ())
        ]
        ordered = tuple(sorted(units, key=lambda unit: unit.name))
        return Snapshot(name, AT_REST, config_name, moment, ordered, {}, tuple(sorted(unread)))

    # -- parts ----------------------------------------------------------------------------
    def _variants(
        self, endpoint: Raw, config: Raw | None, key: str, unread: set[str]
    ) -> list[Unit]:
        configured = {one["VariantName"]: one for one in (config or {}).get(key, ())}
        return [
            self._variant(live, configured.get(live["VariantName"], {}), ROLES[key], unread)
            for live in endpoint.get(key, ())
        ]

    def _variant(self, live: Raw, configured: Raw, role: Role, unread: set[str]) -> Unit:
        facts = flat("config", configured, without=("VariantName", "ModelName"))
        facts |= _images(live.get("DeployedImages", ()))
        facts |= {
            f"live.{key}": text(live[key])
            for key in ("DesiredWeight", "DesiredInstanceCount")
            if key in live
        }
        facts = _as_it_runs(facts, live)
        names = {}
        if model := configured.get("ModelName"):
            names["model"] = str(model)
            facts |= self._model_facts(str(model), unread)
            if "image" in unread and (made := self._models.get(str(model))) is not None:
                facts |= _images({"SpecifiedImage": c.get("Image")} for c in containers(made))
        return _unit(str(live["VariantName"]), role, facts, names)

    def _components(self, endpoint: str, config: Raw | None, unread: set[str]) -> list[Unit]:
        """Inference components, where a variant has no model of its own."""
        variants = (config or {}).get("ProductionVariants", ())
        if config is not None and all("ModelName" in one for one in variants):
            return []
        listed = self._permitted.ask(
            lambda: list(
                pages(
                    self._caller, "ListInferenceComponents", "InferenceComponents",
                    EndpointNameEquals=endpoint, MaxResults=PAGE,
                )
            ),
            "inference components are not watched",
        )  # fmt: skip
        found = [] if listed is None else [
            self._component(str(one["InferenceComponentName"]), unread) for one in listed
        ]  # fmt: skip
        return [one for one in found if one is not None]

    def _component(self, name: str, unread: set[str]) -> Unit | None:
        told = self._permitted.ask(
            lambda: self._caller.call("DescribeInferenceComponent", InferenceComponentName=name),
            "inference components are not watched",
        )
        if told is None:
            return None
        specification = told.get("Specification") or (told.get("Specifications") or [{}])[0]
        facts = flat("component", specification, without=("Container", "ModelName"))
        container = specification.get("Container", {})
        facts |= _images([container["DeployedImage"]] if "DeployedImage" in container else ())
        facts |= environment("model[0].env", container.get("Environment", {}), self._salt)
        if url := container.get("ArtifactUrl"):
            facts["model[0].ModelDataUrl"] = str(url)
        facts |= flat(
            "component.RuntimeConfig", told.get("RuntimeConfig", {}), ("PlacementStatus",)
        )
        names = {"variant": str(told.get("VariantName", ""))}
        if model := specification.get("ModelName"):
            if self._moved(f"component {name}", told["LastModifiedTime"]):
                self._models.pop(str(model), None)
            names["model"] = str(model)
            facts |= self._model_facts(str(model), unread)
        modified = told["LastModifiedTime"].timestamp()
        status = str(told.get("InferenceComponentStatus", AT_REST))
        return _unit(f"ic:{name}", Role.COMPONENT, facts, names | {"status": status}, modified)

    def _model_facts(self, name: str, unread: set[str]) -> dict[str, str]:
        model = self._models.get(name) or self._permitted.ask(
            lambda: self._caller.call("DescribeModel", ModelName=name),
            "weights, precision and environment of models are not seen",
            self._recorded[1].get(name),
        )
        if model is not None:
            self._models[name] = model
        hidden = model is None or not all(
            isinstance(one.get("Environment", {}), Mapping) for one in containers(model)
        )
        if model is None or hidden:
            unread.add("model")
            return {}
        return model_facts(model, self._salt)

    def _config(self, name: str) -> Raw | None:
        config = self._configs.get(name) or self._permitted.ask(
            lambda: self._caller.call("DescribeEndpointConfig", EndpointConfigName=name),
            "instance types, routing, drivers and models are not seen",
            self._recorded[0].get(name),
        )
        if config is not None:
            self._configs[name] = config
        return config

    def _forget_models(self, config: Raw) -> None:
        for one in (one for key in ROLES for one in config.get(key, ())):
            self._models.pop(one.get("ModelName"), None)

    def _moved(self, what: str, modified: object) -> bool:
        """Whether something was modified since it was described last."""
        before, self._modified[what] = self._modified.get(what, modified), modified
        return before != modified


def _owner(endpoint: Raw) -> str:
    """The account of an ARN; nothing where there is none."""
    return next(iter(str(endpoint.get("EndpointArn", "")).split(":")[4:5]), "")


def _created(config: Raw | None) -> float | None:
    """When a configuration was made; not known of one that CloudTrail recorded."""
    made = None if config is None else config.get("CreationTime")
    return None if made is None else float(made.timestamp())


def containers(model: Raw) -> list[Raw]:
    """The containers of a model, one or several in a row."""
    return list(model.get("Containers") or [model.get("PrimaryContainer") or {}])


def model_facts(model: Raw, salt: str) -> dict[str, str]:
    """What a model is made of, container by container."""
    facts: dict[str, str] = {}
    for number, container in enumerate(containers(model)):
        here = f"model[{number}]"
        facts |= flat(here, container, without=NOT_SERVING)
        facts |= environment(f"{here}.env", container.get("Environment", {}), salt)
    return facts


NOT_SERVING = (
    "Image", "ImageConfig", "Environment", "ContainerHostname", "ContainerMetricsConfig",
)  # fmt: skip


def _images(deployed: Iterable[Raw]) -> dict[str, str]:
    facts = {}
    for number, image in enumerate(deployed):
        if resolved := image.get("ResolvedImage"):
            facts[f"image[{number}]"] = str(resolved)
        if specified := image.get("SpecifiedImage"):
            facts[f"image_tag[{number}]"] = str(specified)
    return facts


def _unit(
    name: str,
    role: Role,
    facts: Mapping[str, str],
    names: Mapping[str, str],
    modified: float | None = None,
) -> Unit:
    """A unit with capacity apart from what serves."""
    capacity = {path: value for path, value in facts.items() if _is_capacity(path)}
    serving = {path: value for path, value in facts.items() if path not in capacity}
    return Unit(name, role, serving, capacity, names, modified)


def _is_capacity(path: str) -> bool:
    return kind_of(path) is ChangeKind.CAPACITY


def _context(endpoint: Raw) -> dict[str, str]:
    parts = ("MetricsConfig", "AsyncInferenceConfig", "CrossRegionTrafficConfig")
    context: dict[str, str] = {}
    for part in parts:
        context |= flat(part, endpoint.get(part))
    return context | flat("DataCaptureConfig", endpoint.get("DataCaptureConfig"))


def _as_it_runs(facts: Mapping[str, str], live: Raw) -> dict[str, str]:
    """With the concurrency of a serverless variant that is asked for now.

    UpdateEndpointWeightsAndCapacities changes it, and autoscaling, while the configuration stays.
    """
    running = live.get("DesiredServerlessConfig") or live.get("CurrentServerlessConfig")
    if not running:
        return dict(facts)
    paths = [f"config.ServerlessConfig.{key}" for key in CONCURRENCY]
    kept = {path: value for path, value in facts.items() if path not in paths}
    told = {key: running[key] for key in CONCURRENCY if key in running}
    return kept | flat("config.ServerlessConfig", told)


def _instances(endpoint: Raw) -> dict[str, float]:
    """What runs now, by variant."""
    live = [one for key in ROLES for one in endpoint.get(key, ())]
    return {
        str(one["VariantName"]): float(one["CurrentInstanceCount"])
        for one in live
        if one.get("CurrentInstanceCount")
    }


def _alarms(endpoint: Raw) -> tuple[str, ...]:
    rollback = (endpoint.get("LastDeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
    return tuple(str(one.get("AlarmName", "")) for one in rollback.get("Alarms", ()))
