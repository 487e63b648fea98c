"""AWS's answers without what is the user's own: the shape stays, every name becomes another one.

A text is kept only where it is a number, a time or known to be AWS's own word; all others become
`name-1`, `name-2`, …, the same text always the same, inside ARNs and addresses too. Payloads are
never kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

KEPT = frozenset({
    "__name__", "__type__", "__temporality__", "le", "Action", "CaptureMode", "CaptureStatus",
    "Code", "CompressionType", "Currency", "Destination", "EndpointStatus", "Field",
    "FormatVersion", "InferenceAmiVersion", "InferenceComponentStatus", "InstanceType",
    "MetricName", "Mode", "Namespace", "Region", "RoutingStrategy", "S3DataType", "ServiceCode",
    "Stat",
    "Statistics", "Status", "StatusCode", "TimeRangeType", "Type", "Unit", "VariantStatus",
    "component", "encoding", "eventVersion", "field", "instanceName", "mode",
    "observedContentType", "operation", "productFamily", "regionCode", "resultType", "schemaType",
    "schemaVersion", "serviceCode", "status", "type", "unit", "usagetype",
})  # fmt: skip
"""Keys whose texts are AWS's own words."""

DIMENSIONS = frozenset({
    "AvailabilityZone", "ContainerId", "EndpointName", "InferenceComponentName", "InstanceId",
    "InstanceType", "ModelId", "Region", "VariantName",
})  # fmt: skip
"""What a `Name` may be where it is kept."""

KINDS = frozenset({
    "alias", "assumed-role", "endpoint", "endpoint-config", "inference-component", "key",
    "log-group", "model", "model-package", "policy", "role", "user",
})  # fmt: skip
"""Kinds of resources that stay readable in an ARN."""

NUMBER = re.compile(r"[+-]?(\d{1,11}|\d{13,})?(\.\d+)?(e[+-]?\d+)?|NaN|[+-]?Inf", re.IGNORECASE)
TIME = re.compile(r"\d{4}-\d{2}-\d{2}([T ][\d:.]+(Z|[+-]\d{2}:?\d{2})?)?")
ARN = re.compile(r"arn:(aws[\w-]*):([\w-]*):([\w-]*):(\d*):([^\s\"',]+)")
ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
ADDRESS = re.compile(r"s3://[^\s\"',]+")
PLAIN_KEY = re.compile(r"[A-Za-z_@][\w.@:\[\]-]{0,63}")
PAYLOADS = frozenset({"Body", "inputBodyJson", "outputBodyJson"})
MOST_ITEMS = 200
SHORT_WORDS = re.compile(r"[\w.:/@-]{3,}")


class Redaction:
    """Replaces consistently over everything that one examination saves."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._accounts: dict[str, str] = {}

    def value(self, found: object, key: str = "") -> Any:  # noqa: ANN401 - JSON
        """A plain value without anything of the user's; `key` is where it stands."""
        if found is None or isinstance(found, bool | int | float):
            return found
        if isinstance(found, datetime):
            return found.isoformat()
        if isinstance(found, Mapping):
            return self._mapping(found)
        if isinstance(found, list | tuple):
            return [self.value(one, key) for one in found[:MOST_ITEMS]]
        return self._text(str(found), key) if isinstance(found, str) else "not saved"

    def words(self, message: str) -> str:
        """A message for people: names that are known, ARNs, addresses and accounts replaced."""
        text = ADDRESS.sub(lambda m: self._address(m.group()), self._arns(message))
        for name in sorted(self._names, key=len, reverse=True):
            if SHORT_WORDS.fullmatch(name):
                text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", self._names[name], text)
        text = re.sub(r"[\"'“][^\"'”]*[\"'”]", self._quoted, text)
        return ACCOUNT.sub(lambda m: self._account(m.group()), text)

    def _quoted(self, match: re.Match[str]) -> str:
        inside = match.group()[1:-1]
        known = inside in self._names.values() or inside.startswith(("arn:", "s3://"))
        return match.group() if known else f'"{self._name(inside)}"'

    def _mapping(self, found: Mapping[Any, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, one in found.items():
            name = str(key)
            shown = name if PLAIN_KEY.fullmatch(name) and not ACCOUNT.search(name) else None
            inside = "not saved" if name in PAYLOADS else self._of(found, name, one)
            made[self._name(name) if shown is None else shown] = inside
        return made

    def _of(self, whole: Mapping[Any, Any], key: str, one: object) -> Any:  # noqa: ANN401 - JSON
        if key == "Name" and isinstance(one, str):
            return one if one in DIMENSIONS else self._name(one)
        if key == "Environment" and isinstance(one, Mapping):
            return {str(name): self._name(str(value)) for name, value in one.items()}
        if key == "value" and whole.get("field") == "@ptr":
            return "not saved"
        return self.value(one, key)

    def _text(self, text: str, key: str) -> str:
        if key in KEPT or NUMBER.fullmatch(text) or TIME.fullmatch(text):
            return ACCOUNT.sub(lambda m: self._account(m.group()), text)
        if ACCOUNT.fullmatch(text):
            return self._account(text)
        if ARN.fullmatch(text):
            return self._arns(text)
        if text.startswith("s3://"):
            return self._address(text)
        return self._document(text) or self._name(text)

    def _document(self, text: str) -> str | None:
        """JSON inside a text keeps its keys."""
        if not text.startswith(("{", "[")):
            return None
        try:
            return json.dumps(self.value(json.loads(text)), sort_keys=True)
        except ValueError:
            return None

    def _arns(self, text: str) -> str:
        return ARN.sub(self._arn, text)

    def _arn(self, match: re.Match[str]) -> str:
        partition, service, region, account, resource = match.groups()
        kind, mark, rest = _split(resource)
        names = "/".join(self._name(one) for one in rest.split("/")) if rest else ""
        number = self._account(account) if account else ""
        return f"arn:{partition}:{service}:{region}:{number}:{kind}{mark}{names}"

    def _address(self, text: str) -> str:
        bucket, slash, key = text.removeprefix("s3://").partition("/")
        parts = "/".join(self._name(one) if one else "" for one in key.split("/"))
        return f"s3://{self._name(bucket)}{slash}{parts}"

    def _name(self, text: str) -> str:
        if not text or text in self._names.values():
            return text
        return self._names.setdefault(text, f"name-{len(self._names) + 1}")

    def _account(self, number: str) -> str:
        if number in self._accounts.values():
            return number
        return self._accounts.setdefault(number, f"{len(self._accounts) + 1:012d}")


def _split(resource: str) -> tuple[str, str, str]:
    """Kind, what stands behind it, and the user's own names of an ARN's last part."""
    for mark in ("/", ":"):
        kind, found, rest = resource.partition(mark)
        if found and kind in KINDS:
            return kind, mark, rest
    return "", "", resource
