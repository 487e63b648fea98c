"""`nibai compare`: the answer from files."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from nibai.cli import output
from nibai.errors import UsageError
from nibai.units import Unit

if TYPE_CHECKING:
    from nibai.protocols import FileRequest

DEFAULT_CLAIM = "not slower"


@click.command("compare")
@click.argument("file", required=False)
@click.option(
    "-b",
    "--baseline",
    multiple=True,
    metavar="FILE",
    help="Before: a file, a folder or a quoted glob; repeat for more replicas.",
)
@click.option("-c", "--candidate", multiple=True, metavar="FILE", help="After: the same.")
@click.option(
    "--at", metavar="TIME", help="Cut FILE at this time (ISO 8601 or seconds since 1970)."
)
@click.option(
    "--split",
    metavar="COLUMN",
    help="Cut FILE by a column's two values; COLUMN=BASE,CAND says which.",
)
@click.option(
    "--claim",
    multiple=True,
    metavar="SENTENCE",
    help=f'What was promised, such as "2x faster at p50 and p99" (default "{DEFAULT_CLAIM}").',
)
@click.option("--metric", metavar="NAME", help="Metric to judge, such as ttft.")
@click.option("--value", metavar="COL", help="Column of the measurements.")
@click.option("--unit", type=click.Choice([unit.value for unit in Unit]), help="Their unit.")
@click.option("--higher-is-better", is_flag=True, help="Larger values are better.")
@click.option("--time", "time_column", metavar="COL", help="Column of the times.")
@click.option(
    "--segment",
    multiple=True,
    metavar="COL",
    help="Compare like with like within this column's values; repeat.",
)
@click.option("--replica", metavar="COL", help="Column that names the replica, host or run.")
@click.option(
    "--ok", metavar="EXPR", help='Condition of a successful request, such as "status < 400".'
)
@click.option(
    "--offered",
    multiple=True,
    type=click.IntRange(0),
    metavar="N",
    help="Requests sent, per replica, baseline first.",
)
@click.option("--runs", is_flag=True, help="Every replica is one bounded run.")
@click.option(
    "--history",
    multiple=True,
    metavar="FILE",
    help="The unchanged past of the baseline, same columns; repeat.",
)
@output.audit_options
def command(**given: object) -> int:
    r"""Is it really faster? The answer from files.

    Reads CSV, JSON Lines, JSON and Parquet (gz, zst), vLLM benchmark results and k6 JSON; "-" is
    standard input.

    \b
      nibai compare -b before.csv -c after.csv --claim "2x faster at p50 and p99"
      nibai compare requests.parquet --at 2026-03-01T12:00Z --segment model
      nibai compare runs.csv --split variant=fp32,int8 --replica run

    Exit code: 0 confirmed, 1 refuted, 3 inconclusive or not comparable, 2 and above: see the docs.
    """
    # The readers and statistics take a second to import; `nibai --help` must not.
    from nibai.app.compare import compare_files  # noqa: PLC0415

    claims = _texts(given["claim"]) or (DEFAULT_CLAIM,)
    html, form = given["html"], str(given["form"])
    audit = compare_files(
        _request(given),
        claims,
        level=float(str(given["level"])),
        clock=time.time,
        meanwhile=lambda: output.prepare(form),
    )
    output.show(audit, form, None if html is None else str(html))
    return output.exit_code(audit, inconclusive_ok=bool(given["inconclusive_ok"]))


def _request(given: dict[str, object]) -> FileRequest:
    from nibai.protocols import FileRequest as Request  # noqa: PLC0415 - imports pyarrow

    file, at = given["file"], given["at"]
    baseline = _texts(given["baseline"])
    if file is not None and baseline:
        raise UsageError("give either FILE with --at or --split, or both sides with -b and -c")
    return Request(
        baseline=(str(file),) if file is not None else baseline,
        candidate=_texts(given["candidate"]),
        at=None if at is None else moment(str(at), "--at"),
        split=_text(given["split"]),
        metric=_text(given["metric"]),
        value=_text(given["value"]),
        unit=_text(given["unit"]),
        higher_is_better=bool(given["higher_is_better"]),
        time=_text(given["time_column"]),
        segments=_texts(given["segment"]),
        replica=_text(given["replica"]),
        ok=_text(given["ok"]),
        offered=tuple(int(n) for n in _texts(given["offered"])),
        runs=bool(given["runs"]),
        history=_texts(given["history"]),
    )


def moment(text: str, option: str) -> float:
    """A time from the command line in seconds since the epoch; UTC unless it says otherwise.

    >>> moment("2026-03-01T12:00Z", "--at")
    1772366400.0
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text!r} is not a time: "
            "use ISO 8601 (2026-03-01T12:00Z) or seconds since 1970"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, tuple) else ()
