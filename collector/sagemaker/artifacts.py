"""What lies behind the S3 addresses of a model: overwritten weights keep their address.

HeadObject of single objects, one page of ListObjectsV2 of folders; each asked again when its unit
was modified, and otherwise once an hour. What is refused is left out and named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from collector.aws.errors import DeniedError
from collector.aws.session import Caller
from collector.hourly.places import bucket_and_key
from collector.sagemaker.facts import text
from collector.sagemaker.snapshot import Snapshot, Unit
from nibai.errors import AuthError, CollectError

PART = "artifact"
"""The first word of these facts' paths."""

ASKED_AGAIN_SECONDS = 3600.0
MOST_OBJECTS = 1000
MOST_MODELS = 200
"""Models of one multi-model folder that are told apart."""

ADDRESSES = ("ModelDataUrl", "S3Uri")
LISTED, MODELS = ".listed", ".models["


@dataclass(frozen=True, slots=True)
class _Known:
    facts: Mapping[str, str]
    asked_at: float
    modified: float


class Artifacts:
    """Asks S3 about what a snapshot's units load; `problems` say what could not be asked."""

    def __init__(self, store: Caller, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[tuple[str, bool], _Known] = {}
        self.problems: dict[str, str] = {}
        self.denied: DeniedError | None = None

    def seen(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with facts about every address; what cannot be read is in `unread`."""
        units = [self._unit(unit, snapshot.modified) for unit in snapshot.units]
        lacking = any(facts is None for _, facts in units)
        filled = tuple(
            replace(unit, facts={**unit.facts, **(facts or {})}) for unit, facts in units
        )
        unread = {*snapshot.unread, *([PART] if lacking else [])}
        return replace(snapshot, units=filled, unread=tuple(sorted(unread)))

    def _unit(self, unit: Unit, modified: float) -> tuple[Unit, dict[str, str] | None]:
        found: dict[str, str] = {}
        for path, address in addresses(unit.facts):
            many = unit.facts.get(f"{path.split('.')[0]}.Mode") == "MultiModel"
            when = modified if unit.modified is None else unit.modified
            known = self._asked(address, many=many, modified=when)
            if known is None:
                return unit, None
            found |= {f"{PART}.{path}{key}": value for key, value in known.items()}
        return unit, found

    def _asked(self, address: str, *, many: bool, modified: float) -> Mapping[str, str] | None:
        known, now = self._known.get((address, many)), self._clock()
        if known is not None:
            fresh = now - known.asked_at < ASKED_AGAIN_SECONDS and known.modified == modified
            if fresh:
                return known.facts
        try:
            facts = self._behind(address, many=many)
        except DeniedError as error:
            self.denied = error
            self.problems[error.action] = (
                f"{error.action} of {text(address)} is refused: weights that are overwritten at "
                "their address are not seen; allow it for the models' bucket, or say weights: false"
            )
            return None
        except AuthError:
            raise
        except CollectError as error:
            self.problems[address] = (
                f"{text(address)}: {error}: whether it was overwritten is not known"
            )
            return None
        self._known[address, many] = _Known(facts, now, modified)
        return facts

    def _behind(self, address: str, *, many: bool) -> Mapping[str, str]:
        """Facts by the end of their path."""
        try:
            bucket, key = bucket_and_key(address)
        except ValueError as error:
            raise CollectError(f"is not {error}") from None
        if many or not key or key.endswith("/"):
            return self._folder(bucket, key, most=MOST_MODELS if many else MOST_OBJECTS, many=many)
        try:
            told = self._store.call("HeadObject", Bucket=bucket, Key=key)
        except CollectError as error:
            if error.reason not in {"404", "NoSuchKey", "NotFound"}:
                raise
            # A prefix without the slash, as S3DataType S3Prefix allows.
            return self._folder(bucket, f"{key}/", most=MOST_OBJECTS, many=False)
        return {"": _version(told)}

    def _folder(self, bucket: str, prefix: str, *, most: int, many: bool) -> Mapping[str, str]:
        page = self._store.call("ListObjectsV2", Bucket=bucket, Prefix=prefix, MaxKeys=most)
        objects = page.get("Contents", ())
        more = " or more" if page.get("IsTruncated") else ""
        said = f"{len(objects)}{more} objects"
        if not many:
            lines = "\n".join(f"{one['Key']} {_version(one)} {one['Size']}" for one in objects)
            return {"": f"{said}, sha256:{hashlib.sha256(lines.encode()).hexdigest()[:16]}"}
        models = {
            f"{MODELS}{text(str(one['Key']).removeprefix(prefix))}]": _version(one)
            for one in objects
        }
        return {LISTED: said, **models}


def addresses(facts: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Where a unit's models and weights lie in S3, by the path of the fact."""
    return [
        (path, value)
        for path, value in sorted(facts.items())
        if path.startswith("model[") and path.endswith(ADDRESSES) and value.startswith("s3://")
    ]


def _version(told: Mapping[str, Any]) -> str:
    """What changes whenever an object is written again."""
    etag = str(told.get("ETag", "")).strip('"')
    version = told.get("VersionId")
    return f"etag {text(etag)}" + (f", version {text(version)}" if version else "")
