"""Seams towards people: notifiers and renderers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nibai.model import Alert, Audit, Change, Notice, Round, Sentence


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a notifier is built with, as its option `surroundings`.

    `environment` holds the secrets that options refer to, `chart` draws an audit (by its id) as a
    PNG picture, None where there is none.
    """

    environment: Mapping[str, str]
    chart: Callable[[str], bytes | None]
    clock: Callable[[], float]


@runtime_checkable
class Notifier(Protocol):
    """Tells somebody (entry point group `nibai.notifiers`)."""

    def notify(self, notice: Notice) -> str | None:
        """Deliver the alerts of one group, resolved ones too.

        The answer identifies the message, so that the next notice can update it; None where a
        receiver has no such thing. Raises NotifyError.
        """
        ...


@runtime_checkable
class Repeating(Protocol):
    """A notifier whose receiver forgets alerts that are not told again and again."""

    @property
    def repeat_seconds(self) -> float:
        """How often firing alerts are told anew."""
        ...


@dataclass(frozen=True, slots=True)
class Addressee:
    """One way to tell: the notifier's entry point and its options, secrets as references."""

    name: str
    notifier: str
    options: Mapping[str, object]


SegmentValues = Callable[[str, str], Sequence[str]]
"""(metric, name of a segment) -> the values that the change's endpoint has of it."""


@runtime_checkable
class RuleBook(Protocol):
    """A file of rules (entry point group `nibai.rules`, built with its `path`)."""

    @property
    def receivers(self) -> Sequence[Addressee]:
        """Everybody who may be told."""
        ...

    def claims(self, change: Change, values: SegmentValues) -> Sequence[Sentence]:
        """What the rules claim of a change, whether it was declared or not."""
        ...

    def asked(self, change: Change, sentence: Sentence) -> float | None:
        """From which level on a refutation counts for the rule that has it; None: no rule has."""
        ...

    def advance(self, known: Sequence[Alert], seen: Round) -> Sequence[Alert]:
        """Alerts that are new or stand differently after a look; a pure function."""
        ...

    def forgotten(self, known: Sequence[Alert], seen: Round) -> Sequence[str]:
        """Fingerprints of alerts that need not be kept any longer."""
        ...

    def route(self, alert: Alert) -> Sequence[str]:
        """Names of the receivers of an alert."""
        ...

    def summary(self) -> str:
        """What the file holds, in a few lines."""
        ...

    def sample(self, rule: str | None) -> Sequence[Alert]:
        """What a rule (None: the first) fires when its claim is refuted; UsageError."""
        ...

    def export(self, form: str, options: Mapping[str, object]) -> str:
        """The rules for another system: `prometheus`, `grafana` or `grafana-contacts`."""
        ...


@runtime_checkable
class Alerting(Protocol):
    """What `nibai run` tells what it saw: rules, lifecycle and sinks behind one call."""

    def __call__(self, seen: Round) -> None:
        """Consider the newest round.

        Called after every look, and once a minute with the same round, or where the newest look
        failed or is another process's with one without a look, so that deliveries can be tried
        again. Raises NibaiError when something was not told; the next call tells it.
        """
        ...


@runtime_checkable
class Annotator(Protocol):
    """Marks the windows of a change where people look (entry point group `nibai.annotators`)."""

    def annotate(self, audit: Audit) -> None:
        """Draw or bring up to date; the same audit again changes nothing. Raises NotifyError."""
        ...


@runtime_checkable
class Renderer(Protocol):
    """An audit as a document (entry point group `nibai.renderers`)."""

    def render(self, audit: Audit) -> str:
        """The whole document."""
        ...


@runtime_checkable
class Illustrator(Protocol):
    """Draws an audit (entry point group `nibai.pictures`)."""

    def draw(self, audit: Audit) -> bytes | None:
        """A PNG picture; None when there is nothing to draw."""
        ...
