"""The section `grafana`: where dashboards are pushed and changes are marked."""

from __future__ import annotations

from pydantic import Field

from nibai.config.fields import Duration, SecretReference, Section


class Grafana(Section):
    """One Grafana; without `url` there is none. `annotate`: windows of changes are drawn there."""

    url: str = ""
    token: SecretReference | None = None
    folder: str = Field(default="nibai", min_length=1, max_length=189)
    org_id: int | None = Field(default=None, ge=1)
    timeout: Duration = 10.0
    annotate: bool = True
