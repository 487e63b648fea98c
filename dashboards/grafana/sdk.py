"""Grafana's own builder package, needed to write dashboards and for nothing else.

A development dependency (`grafana-foundation-sdk~=0.0.21`): the only module that imports it.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # Its classic models warn, on import, that a newer schema exists; Grafana 10 cannot read that.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.cog import variants
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import (
        barchart,
        common,
        dashboard,
        heatmap,
        prometheus,
        stat,
        statetimeline,
        table,
        timeseries,
        trend,
    )

__all__ = [
    "JSONEncoder",
    "barchart",
    "common",
    "dashboard",
    "heatmap",
    "prometheus",
    "stat",
    "statetimeline",
    "table",
    "timeseries",
    "trend",
    "variants",
]
