"""What `nibai dashboards` does; each function answers with the lines to print."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dashboards.grafana import build as files
from nibai.config import Grafana, resolve_secret
from nibai.errors import UsageError


def build(output: Path | None, *, check: bool) -> list[str]:
    """Write the files from the code, or with `check` raise UsageError when one differs."""
    folder = output or files.FOLDER
    if check:
        differing = files.differing(folder)
        if differing:
            raise UsageError(
                f"{', '.join(differing)} in {folder}: not what the code makes; "
                "run nibai dashboards build"
            )
        return [f"{len(files.DEFINITIONS)} dashboards are what the code makes"]
    changed = [f"wrote {path}" for path in files.write(folder)]
    return changed or [f"{len(files.DEFINITIONS)} dashboards were current"]


def check(paths: Sequence[Path]) -> list[str]:
    """Judge the installed dashboards or other files; UsageError names every problem."""
    try:
        from dashboards.grafana import lint  # noqa: PLC0415 - promql-parser, for developers
    except ImportError as error:
        raise UsageError(
            "checking dashboards needs promql-parser, which is not installed: "
            "pip install promql-parser"
        ) from error
    texts = {path.name: _text(path) for path in paths} or files.committed()
    found = lint.problems(texts, whole=not paths)
    if found:
        raise UsageError("\n".join(["dashboards have problems", *map(str, found)]))
    return [f"{len(texts)} dashboards, {len(lint.RULES) + 1} rules: nothing wrong"]


def ask(url: str, paths: Sequence[Path], chosen: Mapping[str, str]) -> list[str]:
    """Ask a Prometheus for everything on dashboards; a line each.

    UsageError when it refuses a query: what has no series yet is only said.
    """
    from dashboards.grafana.answers import Prometheus  # noqa: PLC0415 - urllib3
    from dashboards.grafana.answers import ask as asked  # noqa: PLC0415 - same
    from dashboards.grafana.board import Board  # noqa: PLC0415 - same

    texts = {path.name: _text(path) for path in paths} or files.committed()
    with contextlib.closing(Prometheus(url)) as prometheus:
        return [
            asked(prometheus, Board(name, json.loads(text)), chosen).line
            for name, text in texts.items()
        ]


def push(
    section: Grafana,
    environment: Mapping[str, str],
    message: str,
    rules: Path | None,
    contacts: Path | None = None,
    *,
    clock: Callable[[], float],
    verify: bool,
) -> list[str]:
    """Bring the installed dashboards to the Grafana of a configuration; raises NotifyError.

    `message` stands in the history of each dashboard, `rules` is a file of exported rule groups,
    `contacts` one of exported contact points; the secrets that it refers to are in `environment`.
    """
    from dashboards.grafana.client import LegacyGrafana  # noqa: PLC0415 - requests
    from dashboards.grafana.contacts import push_contacts, read_contacts  # noqa: PLC0415 - same
    from dashboards.grafana.push import push as bring  # noqa: PLC0415 - same
    from dashboards.grafana.push import push_rules, try_annotation  # noqa: PLC0415 - same
    from dashboards.grafana.transport import Transport  # noqa: PLC0415 - same

    if not section.url:
        raise UsageError("no Grafana is known: give --url, or grafana.url in nibai.yaml")
    if section.token is None:
        raise UsageError(
            "no token for Grafana: give --token env:NAME, or grafana.token in nibai.yaml"
        )
    transport = Transport(
        section.url,
        resolve_secret(section.token, environment),
        org_id=section.org_id,
        timeout_seconds=section.timeout,
    )
    groups = None if rules is None else _text(rules)
    with contextlib.closing(transport):
        grafana = LegacyGrafana(transport)

        def resolve(reference: str) -> str:
            secret = resolve_secret(reference, environment)
            transport.conceal(secret)
            return secret

        points = None if contacts is None else read_contacts(_text(contacts), resolve)
        lines = bring(grafana, files.committed(), section.folder, message, verify=verify)
        if groups is not None:
            lines += push_rules(grafana, groups, verify=verify)
        if points is not None:
            lines += push_contacts(grafana, points, verify=verify)
        if verify and section.annotate:
            lines += try_annotation(grafana, clock())
    if section.url.startswith("http://"):
        lines.append("note: http:// sends the token unencrypted")
    return lines


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}): check the path") from error
