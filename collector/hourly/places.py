"""Where such files lie: keys by hour below a prefix, and from where to list them.

Keys are `PREFIX/yyyy/mm/dd/hh/NAME`, the hour being that of the request (UTC); they arrive some
minutes late.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

HOUR = 3600.0
LISTED_AGAIN_HOURS = 2
"""Whole hours that are listed again, besides the present one: files arrive late."""

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
_HOUR_OF_KEY = re.compile(r"(\d{4})/(\d{2})/(\d{2})/(\d{2})/[^/]+")


def bucket_and_key(address: str) -> tuple[str, str]:
    """Both parts of an address; ValueError for what is none.

    >>> bucket_and_key("s3://models/base/model.tar.gz")
    ('models', 'base/model.tar.gz')
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError("written like s3://BUCKET/PREFIX")
    return match.group(1), match.group(2) or ""


@dataclass(frozen=True, slots=True)
class Place:
    """Files of one prefix (it ends with "/") whose names have one ending."""

    bucket: str
    prefix: str
    ending: str = ".jsonl"

    @classmethod
    def of(cls, destination: str, *below: str, ending: str = ".jsonl") -> Place:
        """The place below an address.

        >>> Place.of("s3://captures/prod/", "chat", "blue").name
        's3://captures/prod/chat/blue/'
        """
        bucket, key = bucket_and_key(destination)
        head = key.strip("/")
        prefix = "/".join([*([head] if head else []), *below, ""])
        return cls(bucket, prefix, ending)

    @property
    def name(self) -> str:
        """Its address; also the name under which its progress is kept."""
        return f"s3://{self.bucket}/{self.prefix}"

    def after(self, hour: float) -> str:
        """What StartAfter must be to list an hour (seconds since the epoch) and what follows.

        >>> Place("b", "chat/blue/").after(0.0)
        'chat/blue/1970/01/01/00'
        """
        return self.prefix + datetime.fromtimestamp(hour, UTC).strftime("%Y/%m/%d/%H")

    def hour_of(self, key: str) -> float | None:
        """The hour that a key belongs to; None: this is another file.

        >>> Place("b", "chat/blue/").hour_of("chat/blue/1970/01/01/01/00-07-152.jsonl")
        3600.0
        """
        match = _HOUR_OF_KEY.fullmatch(key.removeprefix(self.prefix))
        if match is None or not key.endswith(self.ending):
            return None
        try:
            found = datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
        except ValueError:
            return None
        return found.timestamp()


def hour_start(moment: float) -> float:
    """The start of the hour of a moment."""
    return math.floor(moment / HOUR) * HOUR


def settled_until(now: float) -> float:
    """Hours before this one are not listed again.

    >>> settled_until(10 * 3600.0 + 5)
    28800.0
    """
    return hour_start(now) - LISTED_AGAIN_HOURS * HOUR
