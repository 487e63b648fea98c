"""How durations, sizes, addresses and secrets are written; the base of every section."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
)

DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")


SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)?")


BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def _duration(value: object) -> object:
    match = DURATION.fullmatch(str(value))
    if match is None:
        raise ValueError("a duration is written like 90s, 15m, 2h or 30d")
    return float(match.group(1)) * SECONDS[match.group(2)]


def _patience(value: object) -> object:
    return value if value in ("learned", "never") else _duration(value)


def _size(value: object) -> object:
    match = SIZE.fullmatch(str(value))
    if match is None:
        raise ValueError("a size is written like 64MiB")
    return int(match.group(1)) * BYTES[match.group(2)]


def _reference(value: str) -> str:
    if not value.startswith(("env:", "file:")):
        raise ValueError("a secret is a reference: env:NAME or file:PATH, never the value itself")
    return value


def _address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise ValueError("an address is written HOST:PORT, such as 127.0.0.1:4318")
    return f"{host}:{port}"


Duration = Annotated[float, BeforeValidator(_duration)]


Patience = Annotated[float | Literal["learned", "never"], BeforeValidator(_patience)]
"""A duration, or as long as is usual, or for ever."""


Size = Annotated[int, BeforeValidator(_size)]


Address = Annotated[str, AfterValidator(_address)]


SecretReference = Annotated[str, AfterValidator(_reference)]


def is_loopback(listen: str) -> bool:
    """Whether an address is reachable from this machine only."""
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
