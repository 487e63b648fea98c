"""What the Prometheus API of an account really answers: points 1 and 11.

Asked only where enrichment runs: elsewhere there is nothing to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from collector.capabilities.asking import Judged, asked
from collector.promql.aliases import ENGINES
from collector.promql.answers import Native, Series
from collector.promql.client import PromqlClient
from collector.promql.cloudwatch import ACTIONS
from collector.promql.selectors import selector
from collector.sagemaker.facts import text
from nibai.errors import AuthError
from nibai.model import Window
from nibai.protocols import Capability, Standing

READS = 5
DOLLARS = 1e-6
"""A hundred samples or less at $0.01 a million."""

NATIVE, NAMES = "native histograms of PromQL", "names of vLLM's metrics"
MINUTES = 10
SHOWN = 5


def histograms(
    topic: str,
    client: Callable[[], PromqlClient],
    endpoints: Sequence[str],
    now: float,
    *,
    running: bool,
) -> Iterator[Capability]:
    """Both points, of the first endpoint that has such histograms."""
    if not running:
        for number, name in ((1, NATIVE), (11, NAMES)):
            said = "asked when enrichment runs"
            yield Capability(topic, name, Standing.UNKNOWN, said, "", number)
        return
    end = now // 60 * 60 - 180
    window = Window(end - MINUTES * 60, end)
    yield asked(
        topic, NATIVE, lambda: _allowed(lambda: _native(client(), endpoints, window)), number=1
    )
    yield asked(topic, NAMES, lambda: _allowed(lambda: _engines(client(), window)), number=11)


def _allowed(question: Callable[[], Judged]) -> Judged:
    """The answer; a refusal names all permissions that the API is documented to need."""
    try:
        return question()
    except AuthError as error:
        return Standing.DENIED, str(error), f"allow {', '.join(ACTIONS)}"


def _native(client: PromqlClient, endpoints: Sequence[str], window: Window) -> Judged:
    for name in endpoints:
        chosen = selector("ModelLatency", (("EndpointName", name),))
        found = client.query_range(chosen, window, 60.0)
        if found.series:
            return form_of(found.series, name)
    return Standing.UNKNOWN, f"no ModelLatency in {MINUTES} minutes of {', '.join(endpoints)}"


def form_of(series: Sequence[Series], name: str) -> Judged:
    """Point 1: histograms with buckets, or only numbers; how wide, and whether they add up."""
    natives = [one for each in series for one in each.histograms.values() if one.count]
    if not natives:
        return Standing.ABSENT, f"{name}: numbers only; fractions of a histogram are asked instead"
    largest = max(natives, key=lambda one: one.count)
    whole = sum(count for _, _, count in largest.buckets)
    said = f"{name}: {len(largest.buckets)} buckets, {_width(largest)}"
    if round(whole) == round(largest.count):
        return Standing.PRESENT, f"{said}, together {whole:,.0f} as histogram_count says"
    return (
        Standing.ABSENT,
        f"{said}, together {whole:,.0f} where histogram_count is {largest.count:g}",
    )


def _width(one: Native) -> str:
    ratios = [high / low for low, high, count in one.buckets if low > 0 and count]
    return f"a bucket's end is {min(ratios):.4g} times its start" if ratios else "no width"


def _engines(client: PromqlClient, window: Window) -> Judged:
    """Point 11: which of the known spellings are there, and which metrics nobody knows."""
    names = {text(name) for name in client.label_values("__name__", None, None)}
    known = [name for one in ENGINES for name in one.names]
    there = [n for n in known if n in names or f"{n}_bucket" in names]
    served = sorted(n for n in names if n.startswith(("vllm", "sglang")))
    if not served:
        return Standing.ABSENT, "no metric of vLLM or SGLang (detailed observability is off?)"
    kinds, temporality = (
        [text(value) for value in client.label_values(label, None, window)]
        for label in ("__type__", "__temporality__")
    )
    unknown = [n for n in served if n.removesuffix("_bucket") not in known]
    said = f"{', '.join(there[:SHOWN]) or 'none that nibai reads'}"
    said += f"; types {', '.join(kinds) or 'not told'}, {', '.join(temporality) or 'not told'}"
    more = f"; {len(unknown)} more, such as {', '.join(unknown[:SHOWN])}" if unknown else ""
    return (Standing.PRESENT if there else Standing.ABSENT), f"{said}{more}"
