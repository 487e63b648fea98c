"""`python -m demo.watch`: a change, the scheduled audit that judges it, and who hears of it.

Nothing here judges: the model is measured, weeks of its requests are sent to `nibai run` on a
compressed clock, and everything else is nibai's, a Prometheus' and an Alertmanager's doing.
"""

from __future__ import annotations

import queue
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from urllib.parse import quote

import click
import yaml

from demo import machine, model
from demo.preparing import Wanted, prepare
from demo.processes import Receiver, nibai
from demo.steps import Steps
from demo.traffic import Plan
from demo.watch import programs
from demo.watch.lapse import Latency, Stretch, fill
from demo.watch.live import Serving, measure
from demo.watch.terminal import Terminal, lines
from nibai.errors import CollectError, NibaiError
from nibai.redaction import redacted

ENDPOINT, VARIANT = "demo/lapse/docstrings", "prod"
HONEST = "2x faster at p50, p90 and p99"
BOLD = "6x faster at p50"
"""What a slide might say; int8 does not reach it on any machine that was tried."""

BEFORE_DAYS, AFTER_HOURS = 14.0, 20.0
PER_MINUTE = 20.0
DECIDED_SECONDS = 180.0
FOLDED_SECONDS = 180.0
"""Requests are counted when their minute is folded, so that a rate takes two minutes to be seen."""

HEAD_TEXTS = 400
"""Answers are not what is watched here."""

COUNTED = f'nibai_requests_total{{endpoint="{ENDPOINT}"}}'
HOUR, DAY = 3600.0, 86400.0


@dataclass(slots=True)
class Around:
    """What runs beside nibai."""

    url: str
    terminal: Terminal
    alertmanager: int | None
    prometheus: int | None = None


@click.command("watch-demo")
@click.option(
    "--seconds",
    type=click.FloatRange(5, 600),
    default=20.0,
    show_default=True,
    help="How long both variants are measured.",
)
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C, to look around.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("nibai-watch-demo"),
    show_default=True,
    help="Where data and logs go.",
)
@click.option("--seed", type=int, default=20, show_default=True, help="Order of texts and draws.")
def command(*, seconds: float, keep: bool, out: Path, seed: int) -> int:
    """Watch a live model through a change, with what is installed around it."""  # fmt: skip
    model.require_packages()
    steps = Steps(sys.stdout.isatty())
    click.echo(f"nibai on watch: fp32 becomes int8, “{HONEST}” was promised, and “{BOLD}”")
    for name, value in machine.facts().items():
        click.echo(f"  {name}: {value}")
    shutil.rmtree(out, ignore_errors=True)
    (out / "data").mkdir(parents=True)
    plan = prepare(
        out, steps, Wanted("per-tensor", "int8", seconds, 1, seed, head_texts=HEAD_TEXTS)
    )
    with ExitStack() as stack:
        _watch(stack, out, steps, plan, seconds=seconds, seed=seed, keep=keep)
    click.echo(f"data and logs: {out.resolve()}")
    return 0


def _watch(
    stack: ExitStack, out: Path, steps: Steps, plan: Plan, *, seconds: float, seed: int, keep: bool
) -> None:
    log = out / "watch.log"
    around = _start(stack, out, steps, log)
    with steps.step(f"both variants measured side by side for {seconds:g} s") as said:
        measured = measure(plan, around.url, log, seconds)
        said += [_summary(plan.names[role], found) for role, found in measured.items()]
    # It goes on serving, so that there is something to see now.
    stack.enter_context(Serving(plan, around.url, log, endpoint=ENDPOINT, variant=VARIANT))
    now = time.time()
    change_at = now - AFTER_HOURS * HOUR
    text = f"{BEFORE_DAYS:g} days of fp32 and {AFTER_HOURS:g} h of int8, drawn from these"
    with steps.step(f"time-lapse: {text}") as said:
        resource = {"nibai.endpoint": ENDPOINT, "nibai.variant": VARIANT, "nibai.replica": "a"}
        stretches = [
            Stretch(change_at - BEFORE_DAYS * DAY, change_at, measured["fp32"]),
            Stretch(change_at, now - 60, measured["candidate"]),
        ]
        sent = fill(around.url, resource, stretches, PER_MINUTE, seed)
        said.append(f"{sent:,} requests")
    with steps.step("all of it folded into the lake"):
        # The first reading of a block counts: nothing may be looked at that is only half there.
        if not programs.wait_for(lambda: _counted(around.url) >= sent, FOLDED_SECONDS):
            raise CollectError("the lake does not hold what was sent: see the log")
    with steps.step("change declared, both promises with it") as said:
        said.append(_declare(out, change_at))
    _hear(around, steps)
    _alertmanager_says(around, steps)
    _dashboards(stack, out, around, steps)
    click.echo(f"pages: {around.url}/")
    if keep:
        click.echo("everything runs on; Ctrl-C ends it")
        while True:
            time.sleep(3600)


def _start(stack: ExitStack, out: Path, steps: Steps, log: Path) -> Around:
    terminal = stack.enter_context(Terminal())
    with steps.step("nibai run, and what is installed beside it") as said:
        manager = programs.alertmanager(out, log)
        port = None
        if manager is None:
            said.append("no Alertmanager installed")
        else:
            port = manager[1]
            stack.enter_context(manager[0])
            programs.wait_for(lambda: programs.get(port, "/api/v2/status"))
            said.append(f"Alertmanager on http://127.0.0.1:{port}")
        config = _configure(out, terminal.url, port)
        receiver = stack.enter_context(Receiver(out / "data", log, "--config", str(config)))
        url = receiver.url()
        said.append(f"nibai on {url}")
    return Around(url, terminal, port)


def _configure(out: Path, terminal: str, alertmanager: int | None) -> Path:
    """nibai.yaml and the rule file, as a user would write them."""
    ways: list[dict[str, object]] = [{"webhook": {"url": terminal}}]
    if alertmanager is not None:
        ways.append({"alertmanager": {"urls": [f"http://127.0.0.1:{alertmanager}"]}})
    rules = {
        "apiVersion": "nibai.dev/v1alpha1",
        "kind": "RuleSet",
        "groups": [{"name": "claims", "interval": "1m", "rules": [{"claim": "declared"}]}],
        "route": {"default": "here", "receivers": {"here": ways}},
    }
    config = {
        "rules": str((out / "rules.yaml").resolve()),
        # The change is declared when all of its past is there: nothing has to be waited for.
        "otlp": {"past_wait": "0s"},
        "schedule": {"follow": {"every": "15s"}, "reports": [], "fleet": None, "changes": None,
                     "outputs": None, "jitter": "0s"},
    }  # fmt: skip
    (out / "rules.yaml").write_text(yaml.safe_dump(rules, sort_keys=False), encoding="utf-8")
    (out / "nibai.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return out / "nibai.yaml"


def _declare(out: Path, change_at: float) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(change_at))
    arguments = ["changes", "declare", "--endpoint", ENDPOINT, "--at", at, "--kind", "int8"]
    arguments += ["--claim", HONEST, "--claim", BOLD, "--data", str(out / "data")]
    return nibai(*arguments)[1].strip().splitlines()[0]


def _hear(around: Around, steps: Steps) -> None:
    with steps.step("the scheduled audit decides; an alert comes") as said:
        started = time.monotonic()
        alert = None
        while alert is None and time.monotonic() - started < DECIDED_SECONDS:
            try:
                alert = around.terminal.told.get(timeout=1)
            except queue.Empty:
                continue
        if alert is None:
            raise CollectError(f"no alert within {DECIDED_SECONDS:g} s: see the log")
        said.append(f"{time.monotonic() - started:.0f} s after the change was declared")
    heard = [alert]
    while not around.terminal.told.empty():
        heard.append(around.terminal.told.get())
    for one in heard:
        for line in lines(one):
            click.echo(f"    {line}")


def _alertmanager_says(around: Around, steps: Steps) -> None:
    port = around.alertmanager
    if port is None:
        return
    with steps.step("the same alert in Alertmanager") as said:
        found = programs.wait_for(lambda: programs.get(port, "/api/v2/alerts"))
        if not found:
            raise CollectError("Alertmanager holds no alert: see the log")
        said += [f"{one['labels']['alertname']} is {one['status']['state']}" for one in found]


def _dashboards(stack: ExitStack, out: Path, around: Around, steps: Steps) -> None:
    target = around.url.removeprefix("http://")
    started = programs.prometheus(out, out / "watch.log", target)
    if started is None:
        click.echo("  no Prometheus installed: dashboards are not tried")
        return
    process, port = started
    with steps.step("Prometheus scrapes nibai, dashboards ask it") as said:
        stack.enter_context(process)
        query = "/api/v1/query?query=" + quote(f"sum(rate({COUNTED}[1m])) > 0")
        programs.wait_for(
            lambda: (programs.get(port, query) or {}).get("data", {}).get("result"), FOLDED_SECONDS
        )
        around.prometheus = port
        address = f"http://127.0.0.1:{port}"
        _, text, _ = nibai(
            "dashboards", "check", "--prometheus", address, "--set", f"endpoint={ENDPOINT}"
        )
        said.append(address)
    click.echo("".join(f"    {line}\n" for line in text.splitlines()), nl=False)


def _counted(url: str) -> float:
    """Requests of the endpoint as nibai's own metrics count them."""
    text = programs.get(int(url.rpartition(":")[2]), "/metrics") or ""
    rows = [line for line in text.splitlines() if line.startswith("nibai_requests_total{")]
    return sum(float(row.rpartition(" ")[2]) for row in rows if f'"{ENDPOINT}"' in row)


def _summary(name: str, found: list[Latency]) -> str:
    cuts = quantiles([seconds for _, seconds in found], n=100)
    p50, p99 = 1000 * cuts[49], 1000 * cuts[98]
    return f"{name} p50 {p50:.2f} ms, p99 {p99:.2f} ms of {len(found):,}"


def main() -> int:
    """Run it; errors in one line."""
    try:
        return int(command.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return 2
    except NibaiError as error:
        click.echo(f"nibai: {redacted(str(error))}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("ended")
        return 0


if __name__ == "__main__":
    sys.exit(main())
