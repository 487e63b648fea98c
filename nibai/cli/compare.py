"""`nibai compare`: the answer from files."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from nibai.cli import output
from nibai.cli.common import answer_options, moment
from nibai.cli.costs import cost_options, costs_of
from nibai.cli.saying import say
from nibai.errors import UsageError
from nibai.units import Unit

if TYPE_CHECKING:
    from nibai.protocols import FileRequest, OutputsRequest, PairsRequest

DEFAULT_CLAIM = "not slower"
SWITCH_SECONDS = 0.00002


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
    help='What was promised, such as "2x faster at p50 and p99" '
    f'(default "{DEFAULT_CLAIM}", of pairs "same predictions", of --prediction "same output mix").',
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
@click.option(
    "--pairs",
    multiple=True,
    metavar="FILE",
    help="Both variants' answers to the same requests, one pair a row; repeat.",
)
@click.option(
    "--columns",
    multiple=True,
    metavar="ROLE=COL",
    help="Columns of --pairs, such as baseline=old,candidate=new,label=truth.",
)
@click.option(
    "--noise-pairs",
    multiple=True,
    metavar="FILE",
    help="Two answers of one variant to the same requests; column variant says which.",
)
@click.option(
    "--noise-floor",
    metavar="P",
    help="Share of its answers that the baseline changes by itself, such as 0 or 0.5%.",
)
@click.option(
    "--schema", metavar="FILE", help="JSON schema that the answers ought to fit (JSON answers)."
)
@click.option(
    "--evidently",
    metavar="FILE",
    help="Also write Evidently's report (.html) or snapshot (.json) of the pairs; decides nothing.",
)
@click.option(
    "--shadow",
    is_flag=True,
    help="The pairs are live requests that both variants answered, not a replay.",
)
@click.option(
    "--prediction",
    metavar="COL",
    help="Column of the answers of both sides, given to different requests: a class or a score.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="COL",
    help="Column that describes the request of an answer, such as its length; repeat.",
)
@click.option(
    "--kind",
    multiple=True,
    metavar="KIND",
    help="What was changed, such as int8 or compilation: gives the margin of predictions.",
)
@click.option(
    "--output",
    metavar="KIND[:PATH]",
    help="Answers are class, proba, score, regression, embedding, ranking, text or json.",
)
@answer_options
@cost_options
@output.audit_options
def command(**given: object) -> int:
    """Is it really faster, and are the answers still the same? The answer from files.

    Reads CSV, JSON Lines, JSON and Parquet (gz, zst), vLLM benchmark results and k6 JSON; "-" is
    standard input.

    \b
      nibai compare -b before.csv -c after.csv --claim "2x faster at p50 and p99"
      nibai compare requests.parquet --at 2026-03-01T12:00Z --segment model
      nibai compare runs.csv --split variant=fp32,int8 --replica run
      nibai compare --pairs pairs.parquet --claim "same predictions within 2%"
      nibai compare log.parquet --at 2026-03-01 --prediction label --input tokens --input lang

    Exit code: 0 confirmed, 1 refuted, 3 inconclusive or not comparable, 2 and above: see the docs.
    """  # noqa: D301 - click's mark for lines to keep
    # The readers and statistics take a second to import; `nibai --help` must not.
    from nibai.app.compare import compare_files  # noqa: PLC0415

    # Counting and importing take turns at the interpreter, and a batch takes many short turns:
    # waiting 5 ms for each would leave the counting until after the imports.
    sys.setswitchinterval(SWITCH_SECONDS)
    html, form = given["html"], str(given["form"])
    files, pairs = _request(given), _pairs(given)
    audit = compare_files(
        files,
        _texts(given["claim"]),
        pairs=pairs,
        outputs=_outputs(given, files),
        evidently=_text(given["evidently"]),
        kinds=_texts(given["kind"]),
        costs=costs_of(given),
        level=float(str(given["level"])),
        clock=time.time,
        meanwhile=lambda: output.prepare(form),
    )
    output.show(audit, form, None if html is None else str(html))
    if given["evidently"] is not None:
        say(f"report of pairs: {given['evidently']}", err=True)
    return output.exit_code(audit, inconclusive_ok=bool(given["inconclusive_ok"]))


def _request(given: dict[str, object]) -> FileRequest | None:
    from nibai.protocols import FileRequest as Request  # noqa: PLC0415 - imports pyarrow

    file, at = given["file"], given["at"]
    baseline = _texts(given["baseline"])
    if file is not None and baseline:
        raise UsageError("give either FILE with --at or --split, or both sides with -b and -c")
    if given["pairs"] and file is None and not baseline and not given["candidate"]:
        return None
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


def _pairs(given: dict[str, object]) -> PairsRequest | None:
    from nibai.protocols import PairsRequest as Request  # noqa: PLC0415 - imports pyarrow

    sources, labels = _texts(given["pairs"]), _text(given["labels"])
    if not sources:
        for option in _OF_PAIRS:
            if option == "output" and given["prediction"] is not None:
                continue
            if given[option.replace("-", "_")] not in ((), None, False):
                raise UsageError(f"--{option} is about pairs of answers: give them (--pairs FILE)")
        return None
    return Request(
        sources=sources,
        columns=_columns(_texts(given["columns"])),
        segments=_texts(given["segment"]),
        noise=_texts(given["noise_pairs"]),
        noise_floor=_share(_text(given["noise_floor"])),
        output=_text(given["output"]),
        labels=() if labels is None else tuple(label.strip() for label in labels.split(",")),
        threshold=_number(given["threshold"]),
        tolerance=_number(given["tolerance"]),
        shadow=bool(given["shadow"]),
        schema=_text(given["schema"]),
    )


def _outputs(given: dict[str, object], files: FileRequest | None) -> OutputsRequest | None:
    from nibai.app.compare import NOT_BOTH  # noqa: PLC0415 - see command
    from nibai.protocols import OutputsRequest as Request  # noqa: PLC0415 - imports pyarrow

    prediction, inputs = _text(given["prediction"]), _texts(given["inputs"])
    if prediction is None:
        if inputs:
            raise UsageError("--input describes answers: name their column (--prediction COL)")
        return None
    if files is None or given["pairs"]:
        raise UsageError(NOT_BOTH)
    return Request(files, prediction, inputs, _text(given["output"]))


_OF_PAIRS = (
    "columns", "noise-pairs", "noise-floor", "output", "labels", "threshold", "tolerance",
    "shadow", "schema", "evidently",
)  # fmt: skip


def _columns(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in (part for text in given for part in text.split(",")):
        role, separator, column = part.partition("=")
        if not separator or not column:
            raise UsageError(f"--columns {part!r} names no column: write ROLE=COLUMN")
        found[role.strip()] = column
    return found


def _share(text: str | None) -> float | None:
    """A share from 0 to 1, or a percentage.

    >>> _share("0"), _share("0.5%"), _share("0.01")
    (0.0, 0.005, 0.01)
    """
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise UsageError(f"--noise-floor {text!r} is no share: write 0, 0.005 or 0.5%")
    return share


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, tuple) else ()
