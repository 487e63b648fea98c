"""A rule file as frozen models: groups of rules, and the route to the receivers."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from alerts.rules.texts import Template
from nibai import plugins
from nibai.claims import claim_name, parse, print_sentence
from nibai.config import Duration, Section
from nibai.errors import PluginError, UsageError
from nibai.model import ChangeKind, Moved, Promise, Sentence, Severity

DECLARED = "declared"
"""As a claim: every sentence that was declared of a change."""

NAME = r"^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$"
SEGMENT = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"


def _prometheus_duration(text: str) -> str:
    if not re.fullmatch(r"(\d+(ms|[smhdwy]))+", text):
        raise ValueError("a duration of Prometheus is written like 30s, 5m or 1h30m")
    return text


PrometheusDuration = Annotated[str, AfterValidator(_prometheus_duration)]


class ChangeMatch(Section):
    """Which changes: of one of these kinds; without kinds every change."""

    kinds: tuple[ChangeKind, ...] = ()


class Where(Section):
    """Which endpoints (`*` stands for anything within a part, `**` for whole parts) and changes."""

    endpoint: str = Field(default="**", min_length=1)
    change: ChangeMatch = ChangeMatch()


class Loudness(Section):
    """How loud an alert is."""

    severity: Severity


class AlertOn(Section):
    """What is told of a claim; what is missing here stays on dashboards and in the audit."""

    refuted: Loudness | None = None
    inconclusive: Loudness | None = None
    no_data: Loudness | None = Loudness(severity=Severity.WARNING)


USUAL = AlertOn(
    refuted=Loudness(severity=Severity.CRITICAL), inconclusive=Loudness(severity=Severity.INFO)
)
"""Of a rule that does not say what is told."""


class Message(Section):
    """Texts of an alert as Jinja2 templates; what is missing is nibai's own."""

    title: Template | None = None
    todo: Template | None = None


_parsed = functools.cache(parse)
SPEED = (Promise.FASTER, Promise.NO_SLOWER)


@functools.cache
def _raw(claim: str) -> Sentence:
    parts = [replace(one, raw=one.promise in SPEED) for one in _parsed(claim).parts]
    return Sentence(print_sentence(parts), tuple(parts))


class ClaimRule(Section):
    """A claim sentence whose states are the verdicts; `claim: declared` is every declared one.

    A verdict counts at `level`. Undecided is silent until `deadline`. Of every segment of a name in
    `segments` (a model, a band of tokens) the same is claimed, beside all traffic; `adjust` without
    mix claims it of the requests as they came.
    """

    claim: str
    name: str = Field(default="", pattern=NAME)
    where: Where = Where()
    segments: tuple[Annotated[str, Field(pattern=SEGMENT)], ...] = ()
    adjust: tuple[Literal["mix", "load"], ...] = ("mix", "load")
    level: float = Field(default=0.95, gt=0.5, lt=1)
    deadline: Duration = 86400.0
    alert: AlertOn = USUAL
    message: Message = Message()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
        if isinstance(given, dict) and isinstance(given.get("claim"), str) and "name" not in given:
            claim = given["claim"]
            try:
                name = DECLARED if claim == DECLARED else claim_name(parse(claim))
            except UsageError:
                name = "unreadable"  # the claim itself is the problem that is reported
            return {**given, "name": name}
        return given

    @field_validator("claim")
    @classmethod
    def _sentence(cls, claim: str) -> str:
        if claim == DECLARED:
            return claim
        try:
            parse(claim)
        except UsageError as error:
            raise ValueError(str(error).splitlines()[0]) from error
        return claim

    @model_validator(mode="after")
    def _can_be_done(self) -> ClaimRule:
        if "load" not in self.adjust:
            raise ValueError(
                "adjust: load cannot be left out: the watch compares the same minutes of the day, "
                "or both variants at the same time; write [mix, load] or [load]"
            )
        parts = () if self.sentence is None else _parsed(self.claim).parts
        if "mix" not in self.adjust and not any(part.promise in SPEED for part in parts):
            raise ValueError(
                "adjust: only speed that the rule itself claims can be judged without mix: write "
                "“raw” into the declared claim, or [mix, load]"
            )
        if self.segments and any(part.segment is not None for part in parts):
            raise ValueError("segments: the claim is about a segment already: name it in one place")
        return self

    @property
    def sentence(self) -> Sentence | None:
        """The claim; None stands for every declared one."""
        if self.claim == DECLARED:
            return None
        return _parsed(self.claim) if "mix" in self.adjust else _raw(self.claim)


class PrometheusRule(Section):
    """A rule of Prometheus: exported as it is, never evaluated by nibai."""

    alert: str | None = Field(default=None, pattern=LABEL)
    record: str | None = Field(default=None, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    expr: str = Field(min_length=1)
    for_: PrometheusDuration | None = Field(default=None, alias="for")
    keep_firing_for: PrometheusDuration | None = None
    labels: Mapping[Annotated[str, Field(pattern=LABEL)], str] = {}
    annotations: Mapping[Annotated[str, Field(pattern=LABEL)], str] = {}

    @model_validator(mode="after")
    def _one_of_both(self) -> PrometheusRule:
        if (self.alert is None) == (self.record is None):
            raise ValueError("write either alert or record")
        if self.record is not None and (self.for_ or self.keep_firing_for or self.annotations):
            raise ValueError("record: has no for, keep_firing_for and annotations")
        return self


def _kind(given: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    if isinstance(given, ClaimRule):
        return "claim"
    return "claim" if isinstance(given, dict) and "claim" in given else "prometheus"


Rule = Annotated[
    Annotated[ClaimRule, Tag("claim")] | Annotated[PrometheusRule, Tag("prometheus")],
    Discriminator(_kind),
]


class Group(Section):
    """Rules that belong together; `interval` is Prometheus'."""

    name: str = Field(min_length=1, max_length=120)
    interval: PrometheusDuration = "1m"
    rules: tuple[Rule, ...]


class Quiet(Section):
    """The dead man's switch: a collector without a new minute for longer than it explains."""

    severity: Severity = Severity.WARNING
    after: Duration = 0.0


class Detected(Section):
    """Changes that detectors noticed and no claim follows: which are told how loud.

    `worse` and `better` are latencies and failures, `answers` and `traffic` what the model says and
    what it is asked. What is null is not told.
    """

    endpoint: str = Field(default="**", min_length=1)
    worse: Loudness | None = Loudness(severity=Severity.WARNING)
    better: Loudness | None = Loudness(severity=Severity.INFO)
    answers: Loudness | None = Loudness(severity=Severity.WARNING)
    traffic: Loudness | None = Loudness(severity=Severity.INFO)

    def loudness(self, moved: Moved) -> Loudness | None:
        """How loud a detection is; None: it is not told."""
        found = {
            Moved.WORSE: self.worse,
            Moved.BETTER: self.better,
            Moved.ANSWERS: self.answers,
            Moved.TRAFFIC: self.traffic,
        }
        return found[moved]


class Match(Section):
    """Which alerts; what is missing matches everything."""

    severity: tuple[Severity, ...] = ()
    endpoint: str = "**"
    claim: str = "*"


class Branch(Section):
    """Alerts that go to a receiver of their own."""

    match: Match
    receiver: str


class Route(Section):
    """To whom: the first branch that matches, else the default.

    `pages` is where readers reach the pages of `nibai run`: messages link to the audit there.
    """

    default: str
    pages: str | None = Field(default=None, pattern=r"^https?://[^\s<>|]+$")
    branches: tuple[Branch, ...] = ()
    receivers: Mapping[str, tuple[Mapping[str, Mapping[str, Any]], ...]]

    @model_validator(mode="after")
    def _known(self) -> Route:
        for name in (self.default, *(branch.receiver for branch in self.branches)):
            if name not in self.receivers:
                known = ", ".join(self.receivers) or "none"
                raise ValueError(f"there is no receiver {name!r} (there are: {known})")
        return self

    @field_validator("receivers")
    @classmethod
    def _installed(cls, receivers: Mapping[str, Any]) -> Mapping[str, Any]:
        installed = [entry.name for entry in plugins.registered("nibai.notifiers")]
        for name, ways in receivers.items():
            for at, way in enumerate(ways):
                if len(way) != 1:
                    raise ValueError(f"{name}[{at}]: one notifier a line, such as - slack: {{…}}")
                (notifier,) = way
                if notifier not in installed:
                    raise ValueError(
                        f"{name}[{at}]: there is no notifier {notifier!r} "
                        f"(installed: {', '.join(installed)})"
                    )
        return receivers

    def ways(self) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
        """(receiver, name, notifier, options) of every way to tell.

        A name is the receiver's and the notifier's, numbered from the second of its kind on: what
        was told is kept under it, so it must survive another line in the file.
        """
        for receiver, several in self.receivers.items():
            kinds: Counter[str] = Counter()
            for way in several:
                for notifier, options in way.items():
                    kinds[notifier] += 1
                    number = f"-{kinds[notifier]}" if kinds[notifier] > 1 else ""
                    yield receiver, f"{receiver}.{notifier}{number}", notifier, options


class RuleSet(Section):
    """The whole file."""

    apiVersion: Literal["nibai.dev/v1alpha1"]  # noqa: N815 - as Kubernetes writes it
    kind: Literal["RuleSet"]
    groups: tuple[Group, ...] = ()
    collectors: Quiet | None = Quiet()
    detected: Detected | None = Detected()
    route: Route | None = None

    @model_validator(mode="after")
    def _names_once(self) -> RuleSet:
        seen: set[str] = set()
        for group in self.groups:
            if group.name in seen:
                raise ValueError(f"groups: two are called {group.name!r}")
            seen.add(group.name)
        names: set[str] = set()
        for rule in self.claim_rules:
            if rule.name in names:
                raise ValueError(
                    f"groups: two claim rules are called {rule.name!r}: give one another name"
                )
            names.add(rule.name)
        return self

    @property
    def claim_rules(self) -> tuple[ClaimRule, ...]:
        """Every rule about a claim, in the order of the file."""
        return tuple(r for group in self.groups for r in group.rules if isinstance(r, ClaimRule))


def option_model(notifier: str) -> type[Section] | None:
    """The options of a notifier as a model (its module's `Options`); None where it has none."""
    try:
        model = getattr(plugins.load_module("nibai.notifiers", notifier), "Options", None)
    except PluginError:
        return None  # its package is not installed: told when the receiver is built
    return model if isinstance(model, type) and issubclass(model, Section) else None
