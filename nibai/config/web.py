"""The section `web`: pages and `/metrics`, on the address of the receiver."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from nibai.config.fields import Duration, SecretReference, Section

HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")


def _host_name(value: str) -> str:
    name = value.lower().removesuffix(".")
    if HOST_NAME.fullmatch(name) is None:
        raise ValueError("a name is written without scheme and port, such as nibai.example.com")
    return name


class Web(Section):
    """Who may read: `token` opens pages and `/metrics` and nothing else.

    `names` are further names under which nibai may be asked without a token, such as that of a
    proxy on this machine, which then decides who may.
    `changes` is how many of the newest changes `/metrics` shows, `native_buckets` how many buckets
    a native histogram may have; both bound what Prometheus has to keep.
    """

    token: SecretReference | None = None
    names: tuple[Annotated[str, AfterValidator(_host_name)], ...] = ()
    refresh: Duration = Field(default=15.0, ge=1)
    changes: int = Field(default=20, ge=0)
    native_buckets: int = Field(default=160, ge=20)
