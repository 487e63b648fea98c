"""Every query asks the data source that the reader chose."""

from __future__ import annotations

from collections.abc import Iterator

from dashboards.grafana.board import Board, named

CHOSEN = "${datasource}"


def check(board: Board) -> Iterator[tuple[str, str]]:
    """Panels, queries, variables and annotations with a source of their own."""
    if not any(one.get("type") == "datasource" for one in board.variables):
        yield "variables", "there is none of the type datasource: add one"
    for panel in board.panels:
        for holder, where in [
            (panel, named(panel)),
            *((target, named(panel)) for target in panel.get("targets", [])),
        ]:
            yield from _judge(holder.get("datasource"), where)
    for variable in board.variables:
        if variable.get("type") == "query":
            yield from _judge(variable.get("datasource"), f"variable {variable.get('name')}")
    for marker in board.annotations:
        if (marker.get("datasource") or {}).get("type") != "grafana":
            yield from _judge(marker.get("datasource"), f"annotation {marker.get('name')}")


def _judge(source: object, where: str) -> Iterator[tuple[str, str]]:
    uid = source.get("uid") if isinstance(source, dict) else source
    if uid != CHOSEN:
        yield where, f"asks the data source {uid!r}: use {CHOSEN}"
