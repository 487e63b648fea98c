"""What nibai needs of a Grafana, whatever version serves it and however."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nibai.errors import NotifyError


class GrafanaError(NotifyError):
    """Grafana refused, or could not be asked; `status` is its HTTP status, 0 for none."""

    def __init__(self, message: str, *, retryable: bool, reason: str, status: int = 0) -> None:
        super().__init__(message, retryable=retryable, reason=reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Health:
    """Version as Grafana says it; empty when it hides it."""

    version: str
    database_ok: bool

    @property
    def major(self) -> int | None:
        """The leading number of the version."""
        head = self.version.partition(".")[0]
        return int(head) if head.isdigit() else None


@dataclass(frozen=True, slots=True)
class DataSource:
    """One that dashboards may ask."""

    uid: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """A region of time, known again by its tags. Times are seconds since the epoch."""

    start: float
    end: float
    text: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredAnnotation:
    """One that Grafana holds."""

    id: int
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class ContactPoint:
    """One way to tell somebody; several of one name are told together.

    `settings` hold secrets: it is never printed. `quiet_end`: ends are not told. `provenance` is
    empty where it may be edited in the browser.
    """

    uid: str
    name: str
    kind: str
    settings: Mapping[str, Any] = field(repr=False)
    quiet_end: bool = False
    provenance: str = ""


class Grafana(Protocol):
    """The port; every method raises GrafanaError."""

    def health(self) -> Health:
        """Whether it is well."""
        ...

    def data_sources(self) -> tuple[DataSource, ...]:
        """Sources that the token may see."""
        ...

    def upsert_folder(self, uid: str, title: str, parent_uid: str | None = None) -> None:
        """The folder exists and has this title afterwards."""
        ...

    def upsert_dashboard(self, document: Mapping[str, Any], folder_uid: str, message: str) -> str:
        """The dashboard is as given afterwards; the path of its page."""
        ...

    def read_dashboard(self, uid: str) -> dict[str, Any] | None:
        """A dashboard as Grafana holds it, and its folder under `folderUid`."""
        ...

    def annotate(self, annotation: Annotation) -> int:
        """A new annotation's number."""
        ...

    def find_annotation(self, tags: Sequence[str]) -> tuple[StoredAnnotation, ...]:
        """Annotations that have all of these tags."""
        ...

    def patch_annotation(self, number: int, annotation: Annotation) -> None:
        """The annotation is as given afterwards."""
        ...

    def delete_annotation(self, number: int) -> None:
        """The annotation is gone."""
        ...

    def put_rule_group(
        self, folder_uid: str, group: str, interval_seconds: int, rules: Sequence[Mapping[str, Any]]
    ) -> None:
        """The whole group is as given afterwards, and can be edited in the browser."""
        ...

    def read_rule_group(self, folder_uid: str, group: str) -> dict[str, Any] | None:
        """A group as Grafana holds it."""
        ...

    def contact_points(self) -> tuple[ContactPoint, ...]:
        """All of them; of secrets only that there is one."""
        ...

    def put_contact_point(self, point: ContactPoint, *, new: bool) -> None:
        """It is as given afterwards, and can be edited in the browser."""
        ...

    def policies(self) -> dict[str, Any]:
        """The tree of notification policies."""
        ...

    def put_policies(self, tree: Mapping[str, Any]) -> None:
        """The whole tree is as given afterwards, and can be edited in the browser."""
        ...
