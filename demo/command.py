"""`nibai demo`: audit “2x faster, same predictions” on a real model, here and now.

The demo has no statistics of its own: it produces traffic and runs the ordinary commands.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from demo.model import CANDIDATES
from demo.sentences import joint_sentences
from demo.steps import Steps
from nibai.errors import CollectError, UsageError

SPEED = "2x faster at p50, p90 and p99"
SAME = "same predictions within 2%"
CLAIM = f"{SPEED}, {SAME}"
ERROR_CLAIM = "errors up at most 0.1pp"
CONTROL_CLAIM = "no more than 5% slower at p50, p90 and p99 raw"
"""The control's texts hold every segment's share already: no mix to adjust, no floor a segment."""
ROUNDS = 6
MEASURING_SECONDS = 60.0
CONTROL = "fp32c"
SEED = 20


@click.command("demo")
@click.option(
    "--seconds",
    type=click.FloatRange(5, 3600),
    default=MEASURING_SECONDS,
    show_default=True,
    help="How long to measure latencies in all; batches take 5/12 of it more.",
)
@click.option(
    "--rounds",
    type=click.IntRange(2, 100),
    default=ROUNDS,
    show_default=True,
    help="Rounds of freshly started replicas.",
)
@click.option(
    "--candidate",
    type=click.Choice(CANDIDATES),
    default=CANDIDATES[0],
    show_default=True,
    help="How the candidate is quantized; fp32 is the honesty test.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("nibai-demo"),
    show_default=True,
    help="Where the report and the data go.",
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="Order of the texts.")
@click.option("--no-cache", is_flag=True, help="Make the model files again.")
def command(
    *, seconds: float, rounds: int, candidate: str, out: Path, seed: int, no_cache: bool
) -> int:
    """Audit a live model on this machine.

    A real transformer is served in fp32 and int8, real texts are sent to both, spans go over OTLP
    into nibai's own receiver, and the claim "2x faster at p50, p90 and p99, same predictions within
    2%" is audited. Nothing is simulated; the verdict is about this machine. The exit code is the
    audit's: 0, 1 or 3.
    """
    from demo import machine, model  # noqa: PLC0415 - numpy and the demo's packages

    model.require_packages()
    started = time.monotonic()
    steps = Steps(sys.stdout.isatty())
    click.echo(f"nibai demo: is int8 really as promised? “{CLAIM}”, measured here")
    for name, value in machine.facts().items():
        click.echo(f"  {name}: {value}")
    code = _Demo(out, steps, seed, candidate).run(seconds / rounds, rounds, no_cache=no_cache)
    click.echo(f"load now {machine.load()}; everything took {time.monotonic() - started:.0f} s")
    return code


class _Demo:
    """The steps of the demo, in order."""

    def __init__(self, out: Path, steps: Steps, seed: int, candidate: str) -> None:
        self._out = out
        self._data = out / "data"
        self._log = out / "demo.log"
        self._steps = steps
        self._seed = seed
        self._candidate = candidate
        self._name = "fp32x" if candidate == "fp32" else "int8"

    def run(self, round_seconds: float, rounds: int, *, no_cache: bool) -> int:
        """Everything; the exit code of the audit."""
        from demo.processes import Receiver  # noqa: PLC0415 - see command

        self._fresh_folder()
        plan = self._prepare(round_seconds, rounds, no_cache=no_cache)
        with Receiver(self._data, self._log) as receiver:
            with self._steps.step("receiver up"):
                url = receiver.url()
            changes = self._declare(plan, url)
            sent = self._measure(plan, url, rounds)
            with self._steps.step("receiver stopped, open minute folded"):
                receiver.stop()
                receiver.wait()
        self._check(sent)
        return self._audit(*changes)

    # -- before the traffic ---------------------------------------------------------------
    def _fresh_folder(self) -> None:
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            if self._data.exists():
                shutil.rmtree(self._data)
            self._data.mkdir()
            self._log.write_bytes(b"")
        except OSError as error:
            raise UsageError(
                f"{self._out} cannot be written ({error.strerror}): choose another --out"
            ) from error

    def _prepare(self, round_seconds: float, rounds: int, *, no_cache: bool) -> Any:  # noqa: ANN401 - Plan, imported late
        from demo.preparing import Wanted, prepare  # noqa: PLC0415 - see command

        wanted = Wanted(
            self._candidate,
            self._name,
            round_seconds,
            rounds,
            self._seed,
            CONTROL,
            no_cache=no_cache,
        )
        return prepare(self._out, self._steps, wanted)

    def _declare(self, plan: Any, url: str) -> tuple[str, str]:  # noqa: ANN401 - see _prepare
        """The change and its claims stand before the first request is sent."""
        from demo.traffic import BATCH, check_set_up  # noqa: PLC0415 - see command

        with self._steps.step("set-up checked with empty calls") as said:
            defect = check_set_up(plan, url, self._log)
            said.append(defect or "no stalls")
        claims = [CLAIM, *(f"{SPEED} for tokens={name}" for name in plan.segments)]
        claims += [f"{SAME} for batch={BATCH}", ERROR_CLAIM]
        with self._steps.step("change declared") as said, ThreadPoolExecutor(1) as pool:
            controlled = pool.submit(self._change, CONTROL, [CONTROL_CLAIM, SAME], defect)
            main, margins = self._change(self._name, claims, defect, "--control-variant", CONTROL)
            control, _ = controlled.result()
            said.append(f"{main}; A/A control {control}; margins, before the traffic:")
        click.echo(margins, nl=False)
        return main, control

    def _change(
        self, variant: str, claims: list[str], defect: str | None, *more: str
    ) -> tuple[str, str]:
        """The id of a declared change, and its margins as they are shown."""
        from demo.processes import nibai  # noqa: PLC0415 - see command
        from demo.service import ENDPOINT  # noqa: PLC0415 - see command

        arguments = ["changes", "declare", "--endpoint", ENDPOINT, "--kind", "int8", "--runs"]
        arguments += ["--baseline-variant", "fp32", "--candidate-variant", variant]
        arguments += ["--order", "random", "--data", str(self._data), *more]
        arguments += [word for claim in claims for word in ("--claim", claim)]
        if defect is not None:
            arguments += ["--setup-defect", defect]
        _, change, margins = nibai(*arguments)
        return change.strip(), margins

    # -- the traffic ----------------------------------------------------------------------
    def _measure(self, plan: Any, url: str, rounds: int) -> Any:  # noqa: ANN401 - see _prepare
        from demo.traffic import BATCH, WARM_UP, Sent, run_round  # noqa: PLC0415 - see command

        sent = Sent()
        text = f"{rounds} rounds of {plan.round_seconds:g} s, fp32 and {self._name} side by side"
        measuring = rounds * plan.round_seconds + plan.batch_seconds
        with self._steps.step(text) as said, self._bar(measuring) as advance:
            for number in range(1, rounds + 1):
                last = time.monotonic()

                def tick() -> None:
                    nonlocal last
                    now = time.monotonic()
                    advance(now - last)
                    last = now

                run_round(
                    number, plan, url, log=self._log, sent=sent, tick=tick, last=number == rounds
                )
                if not self._steps.interactive:
                    click.echo(f"    round {number} of {rounds}: {sent.total:,} requests so far")
            said += [f"{sent.total:,} requests", f"{sent.failures} failed"]
            said.append(f"{sent.batched:,} answers in batches of {BATCH}, not timed")
            said.append(f"warm-up of {WARM_UP} per replica and segment left out")
        return sent

    @contextmanager
    def _bar(self, total: float) -> Iterator[Any]:
        """A progress bar over the measuring time, on a terminal only."""
        if not self._steps.interactive:
            yield lambda _seconds: None
            return
        with click.progressbar(length=round(total * 10), label="    measuring") as bar:
            yield lambda seconds: bar.update(round(seconds * 10))

    # -- after the traffic ----------------------------------------------------------------
    def _check(self, sent: Any) -> None:  # noqa: ANN401 - see _prepare
        """Every request and every answer must be in the lake, replica by replica."""
        from demo.service import ENDPOINT  # noqa: PLC0415 - see command
        from nibai.store.lake.delta import Lake  # noqa: PLC0415 - see command
        from nibai.store.series.blocks import Engine  # noqa: PLC0415 - see command

        with self._steps.step("every request and answer is in the lake") as said:
            engine = Engine(Lake(self._data / "lake"))
            found = {span.replica: span.count for span in engine.spans(ENDPOINT, "latency")}
            answers = {(variant, batch): n for _, variant, batch, *_, n in engine.answers()}
            for what, there, expected in (
                ("requests", found, sent.by_replica),
                ("answers", answers, sent.answers),
            ):
                if there != expected:
                    raise CollectError(
                        f"{what} sent {expected} but found in the lake {there}: see {self._log}"
                    )
            said.append(f"{sum(found.values()):,} of {sent.total:,} requests")
            said.append(f"{sum(answers.values()):,} of {sum(sent.answers.values()):,} answers")

    def _audit(self, main: str, control: str) -> int:
        """The ordinary audit, its report, and the A/A control through the same judge."""
        from demo.processes import nibai  # noqa: PLC0415 - see command

        data = ("--data", str(self._data))
        report, preset = self._out / "report.html", self._out / "evidently.html"
        # Evidently, with its defaults, looks at the same answers; it decides nothing.
        pages = ("--html", str(report), "--evidently", str(preset))
        with (
            self._steps.step("audit, and Evidently beside it"),
            ThreadPoolExecutor(1) as pool,
        ):
            controlled = pool.submit(nibai, "audit", control, "--format", "json", *data)
            code, found, _ = nibai("audit", main, "--format", "json", *pages, *data)
            document = json.loads(found)
            _, text, _ = nibai("audit", "show", document["id"], *data)
            _, same, _ = controlled.result()
        click.echo()
        click.echo(text)
        click.echo(
            "A/A control: fp32 against a second fp32 replica, one draw through the same judge"
        )
        for line in control_lines(json.loads(same)):
            click.echo(f"  {line}")
        click.echo()
        for line in joint_sentences(document):
            click.echo(line)
        click.echo()
        click.echo(f"report: {report.resolve()}")
        click.echo(f"Evidently's page: {preset.resolve()}")
        return code


def control_lines(document: dict[str, Any]) -> list[str]:
    """The control's claims, one line each."""
    return [
        f"“{claim['claim']}”: {claim['verdict']}, {claim['reason']}" for claim in document["claims"]
    ]
