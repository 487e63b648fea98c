"""`nibai changes find`: what changed in the lake without anybody announcing it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable

from nibai import plugins
from nibai.app.audit import Desk
from nibai.document import encode, iso
from nibai.errors import PluginError, UsageError
from nibai.history import Alarm, FoundChange, Scan, SeriesHistory, Suspect
from nibai.model import Window
from nibai.protocols import History, Scanner
from nibai.store.series.history import LakeHistory, scope_of

SCHEMA = "nibai.changes/1"


class _Nothing:
    """A history without a series."""

    def series(self) -> Iterable[SeriesHistory]:
        """None."""
        return ()


NOTHING: History = _Nothing()


def find_changes(
    desk: Desk,
    *,
    block_seconds: float,
    since: float | None = None,
    endpoint: str | None = None,
    by_segment: bool = False,
) -> Scan:
    """What the scanner finds in all series; an empty scan where there is nothing to look at."""
    engine = desk.engine()
    scope = scope_of(
        engine, block_seconds=block_seconds, since=since, endpoint=endpoint, by_segment=by_segment
    )
    require_endpoint({row[0] for row in engine.endpoints()}, endpoint)
    history = NOTHING if scope is None else LakeHistory(engine, scope)
    return load_scanner().scan(history, desk.changes())


def require_endpoint(there: Collection[str], endpoint: str | None) -> None:
    """UsageError when the endpoint that was asked for is not in the lake."""
    if endpoint is not None and endpoint not in there:
        listed = ", ".join(sorted(there)[:10]) or "none"
        raise UsageError(f"no endpoint {endpoint!r} in the lake: there is {listed}")


def load_scanner(name: str = "regression") -> Scanner:
    """An installed scanner; PluginError when it is none."""
    scanner = plugins.load("nibai.scanners", name)
    if not isinstance(scanner, Scanner):
        raise PluginError(f"plug-in {name!r} in nibai.scanners has no scan method")
    return scanner


def scan_document(scan: Scan) -> dict[str, object]:
    """A scan as plain data; times are ISO 8601 UTC, what has no bound is null."""
    document: dict[str, object] = {"schema": SCHEMA, **encode(scan)}
    document["window"] = window_document(scan.window)
    document["changes"] = [_change(change) for change in scan.changes]
    return document


def _change(change: FoundChange) -> dict[str, object]:
    document: dict[str, object] = encode(change)
    document["at"] = iso(change.at)
    for name in ("between", "before", "after"):
        document[name] = window_document(getattr(change, name))
    document["suspect"] = suspect_document(change.suspect)
    document["declare"] = declare_line(change)
    return document


def suspect_document(suspect: Suspect | None) -> dict[str, object] | None:
    """A known change that may be the reason, as plain data."""
    if suspect is None:
        return None
    return {**encode(suspect), "effective_at": iso(suspect.effective_at)}


def declare_line(change: FoundChange | Alarm) -> str:
    """The command that makes a change of what was found, so that it can be audited."""
    return declare_line_at(change.endpoint, change.variant, change.at)


def declare_line_at(endpoint: str, variant: str | None, at: float) -> str:
    """The command that makes a change of an endpoint, or of one variant of it, at a moment."""
    line = f"nibai changes declare --endpoint {_quoted(endpoint)} --at {iso(at)}"
    if variant is not None:
        name = _quoted(variant)
        line += f" --baseline-variant {name} --candidate-variant {name}"
    return line


def _quoted(text: str) -> str:

    return shlex.quote(text)


def window_document(window: Window | None) -> dict[str, str | None] | None:
    """A window as ISO 8601 UTC."""
    return None if window is None else {"from": iso(window.start), "until": iso(window.end)}
