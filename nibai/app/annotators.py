"""Who marks the windows of changes, as the configuration has it."""

from __future__ import annotations

from collections.abc import Mapping

from nibai import plugins
from nibai.config import Config, resolve_secret
from nibai.errors import ConfigError, PluginError
from nibai.protocols import Annotator


def annotators(config: Config, environment: Mapping[str, str]) -> dict[str, Annotator]:
    """By name, the annotator of `grafana`; none without an address, or when it is switched off."""
    section = config.grafana
    if not section.url or not section.annotate:
        return {}
    if section.token is None:
        raise ConfigError(
            "grafana.annotate needs grafana.token: give env:NAME or file:PATH, "
            "or set annotate: false"
        )
    options = {
        "url": section.url,
        "token": resolve_secret(section.token, environment),
        "org_id": section.org_id,
        "timeout_seconds": section.timeout,
    }
    found = plugins.load("nibai.annotators", "grafana", options)
    if not isinstance(found, Annotator):
        raise PluginError("plug-in 'grafana' in nibai.annotators builds nothing that annotates")
    return {"grafana": found}
