"""The section `web`: pages and `/metrics`, on the address of the receiver."""

from __future__ import annotations

from pydantic import Field

from nibai.config.fields import Duration, SecretReference, Section


class Web(Section):
    """Who may read: `token` opens pages and `/metrics` and nothing else.

    `changes` is how many of the newest changes `/metrics` shows, `native_buckets` how many buckets
    a native histogram may have; both bound what Prometheus has to keep.
    """

    token: SecretReference | None = None
    refresh: Duration = Field(default=15.0, ge=1)
    changes: int = Field(default=20, ge=0)
    native_buckets: int = Field(default=160, ge=20)
