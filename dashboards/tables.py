"""The tables of the HTML report; every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from dashboards import phrases
from dashboards.charts import VISIBLE
from nibai.claims import quantile_label
from nibai.conventions import NOT_MEASURED
from nibai.model import Audit, Estimate, Exhibits, Finding, Promise, SentenceResult, Verdict
from nibai.units import usd


def sentence(result: SentenceResult, audit: Audit) -> str:
    """One claim sentence: its parts with measured values, intervals and verdicts."""
    units = {exhibits.metric: exhibits.value_unit for exhibits in audit.exhibits}
    rows = [_row(finding, units.get(finding.claim.metric, "")) for finding in result.findings]
    head = ["part", "traffic", "baseline", "candidate", "measured", f"{audit.level:.0%} interval"]
    body = "".join(_claim_row(row, [*head, "verdict"]) for row in rows)
    reasons = dict.fromkeys(finding.reason.text for finding in result.findings)
    return (
        f"<section><h2>“{escape(result.sentence.text)}”: {_word(result.verdict)}</h2>"
        f'<div class="scroll"><table class="claims"><thead>{_heads([*head, "verdict"])}</thead>'
        f"<tbody>{body}</tbody></table></div>{_wrong_before(result)}{_list(reasons)}</section>"
    )


def basis(audit: Audit) -> str:
    """What the verdict rests on: requests, blocks, replicas, tail, scope."""
    lines: dict[str, list[str]] = {}
    for finding in audit.findings:
        if any(finding.evidence.requests):
            lines.setdefault(phrases.rests_on(finding), []).append(_label(finding))
    if not lines:
        return ""
    items = (f"{', '.join(labels)}: {text}" for text, labels in lines.items())
    return f"<section><h2>What the verdict rests on</h2>{_list(items)}</section>"


def notes(audit: Audit) -> str:
    """Everything that was assumed, guessed, left out or counted."""
    texts = [*audit.notes]
    for finding in audit.findings:
        texts += [text for text in finding.evidence.notes if text != NOT_MEASURED]
        failed = finding.evidence.censored_share
        if failed and max(failed) > 0:
            where = phrases.segment_label(finding.claim)
            texts.append(
                f"failed or missing requests of {where}: {failed[0]:.2%} and {failed[1]:.2%}, "
                "counted as slowest"
            )
    if not texts:
        return ""
    return f"<section><h2>Notes</h2>{_list(dict.fromkeys(texts))}</section>"


def _wrong_before(result: SentenceResult) -> str:
    """How often the judge was wrong on this endpoint, right under the verdicts."""
    lines = "<br>".join(escape(line) for line in phrases.false_alarms(result))
    return f'<p class="wrong-before">{lines}</p>'


def curve(exhibits: Exhibits) -> str:
    """The numbers under the speed-up curve."""
    rows = [
        [quantile_label(point.quantile), *_estimate(point.estimate)]
        for point in exhibits.curve
        if point.estimate.value is not None
    ]
    return numbers(["quantile", "times faster", "interval"], rows)


def segments(exhibits: Exhibits) -> str:
    """The numbers under the forest."""
    rows = [
        [
            escape(row.segment),
            quantile_label(row.quantile),
            *_estimate(row.estimate),
            f"{row.requests[0]:,}",
            f"{row.requests[1]:,}",
        ]
        for row in exhibits.segments
    ]
    return numbers(
        ["segment", "quantile", "times faster", "interval", "baseline n", "candidate n"], rows
    )


def decomposition(exhibits: Exhibits) -> str:
    """Raw = like for like × load × mix × support, as factors."""
    rows = [
        [
            quantile_label(row.quantile),
            *(
                f"{2.0**term:.3f}"
                for term in (row.raw, row.like_for_like, row.load, row.mix, row.support)
            ),
            "yes" if row.simpson else "no",
        ]
        for row in exhibits.decomposition
    ]
    head = ["quantile", "raw", "like for like", "load", "mix", "support", "Simpson's paradox"]
    return numbers(head, rows)


def no_mix_effect(exhibits: Exhibits) -> str:
    """Said aloud when there is nothing to adjust, so that the missing chart is not a riddle."""
    if not exhibits.decomposition:
        return ""
    split = "no traffic segments were given, so only the raw ratio exists"
    if exhibits.segments:
        worst = max(max(abs(r.mix), abs(r.support)) for r in exhibits.decomposition)
        split = f"the traffic mix explains less than {2.0 ** max(worst, VISIBLE) - 1:.1%}"
    return f"<section><h2>Raw against like for like</h2><p>Nothing to show: {split}.</p></section>"


def failed_shares(exhibits: Exhibits) -> str:
    """The share of requests that a distribution cannot show."""
    shares = [(density.side, density.censored_share) for density in exhibits.densities]
    if not any(share for _, share in shares):
        return ""
    said = ", ".join(f"{side} {share:.2%}" for side, share in shares)
    return f"Failed requests are slower than any value shown: {said}."


# -- cells ----------------------------------------------------------------------------------


def _row(finding: Finding, unit: str) -> list[str]:
    evidence = finding.evidence
    return [
        escape(phrases.part_label(finding.claim)),
        escape(phrases.segment_label(finding.claim)),
        _value(finding, evidence.baseline_value, unit),
        _value(finding, evidence.candidate_value, unit),
        f"<strong>{escape(phrases.measured(finding))}</strong>",
        escape(phrases.interval(finding)),
        _word(finding.verdict),
    ]


def _value(finding: Finding, value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if finding.claim.promise is Promise.ERRORS:
        return f"{value:.3%}"
    if finding.claim.promise is Promise.THROUGHPUT:
        return f"{value:.4g} per s"
    if finding.claim.promise in phrases.COST:
        return f"{usd(value * 1000)} per 1,000"
    return quantity(value, unit)


def quantity(value: float, unit: str) -> str:
    """A measurement with three digits and its unit.

    >>> quantity(0.13668, "s"), quantity(1.2, "s"), quantity(31.4159, "count")
    ('137 ms', '1.2 s', '31.4')
    """
    if unit != "s":
        return f"{value:.3g} per s" if unit == "1/s" else f"{value:.3g}"
    for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor:
            return f"{value / factor:.3g} {name}" if value < 1e3 * factor else f"{value:,.0f} s"
    return f"{value * 1e9:.3g} ns"


def _claim_row(cells: Sequence[str], head: Sequence[str]) -> str:
    return (
        "<tr>"
        + "".join(
            f'<td data-label="{label}"><span>{cell}</span></td>'
            for label, cell in zip(head, cells, strict=True)
        )
        + "</tr>"
    )


def _word(verdict: Verdict) -> str:
    text = f"{phrases.MARKS[verdict]} {phrases.WORDS[verdict]}"
    return f'<span class="word {verdict.value}">{text}</span>'


def _label(finding: Finding) -> str:
    label = phrases.part_label(finding.claim)
    if finding.claim.segment is None:
        return label
    return f"{label} {phrases.segment_label(finding.claim)}"


def _estimate(estimate: Estimate) -> list[str]:
    if estimate.low is None and estimate.high is None:
        return [_times(estimate.value), "no bound"]
    low = "0" if estimate.low is None else _times(estimate.low)
    high = "∞" if estimate.high is None else _times(estimate.high)
    return [_times(estimate.value), f"[{low}, {high}]"]


def _times(value: float | None) -> str:
    return "–" if value is None else phrases.times(value)


def numbers(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table under a fold; cells are escaped already."""
    if not rows:
        return ""
    body = "".join(
        '<tr><td class="cut">'
        + row[0]
        + "</td>"
        + "".join(f'<td class="number">{cell}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    heads = f"<th>{head[0]}</th>" + "".join(f'<th class="number">{text}</th>' for text in head[1:])
    return (
        '<details><summary>The numbers</summary><div class="scroll"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def _heads(head: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<th>{text}</th>" for text in head) + "</tr>"


def _list(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"
