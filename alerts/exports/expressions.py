"""Rules about claims as PromQL over the gauges that nibai exports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from alerts import facts
from alerts.rules.matching import by_segment
from alerts.rules.ruleset import ClaimRule, Detected, Group, PrometheusRule, Quiet, RuleSet
from alerts.rules.texts import fill
from nibai.claims import LONGEST_NAME, as_label, claim_name, print_sentence
from nibai.globs import pattern_of
from nibai.metric_registry import VERDICT_CODES
from nibai.model import Moved, Sentence, Severity, Verdict

STALE = "nibai_collector_lag_seconds > nibai_collector_lag_limit_seconds"
"""Every source has its own limit: one that is read once an hour may be older."""

SILENT = "nibai_collector_silence_seconds > nibai_collector_silence_limit_seconds"

GAP = "15m"
"""A restart of nibai must not look like the end of an alert."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One alert, or one recorded series, in Prometheus' terms."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    for_: str | None = None
    keep_firing_for: str | None = None
    record: bool = False


def of_group(rules: RuleSet, group: Group) -> Iterator[Expression]:
    """The rules of a group in their order; an earlier rule of the file has a sentence first."""
    for rule in group.rules:
        if isinstance(rule, PrometheusRule):
            yield _plain(rule)
        else:
            earlier = rules.claim_rules[: rules.claim_rules.index(rule)]
            yield from _claim(rule, [one for one in earlier if _may_be_one(one, rule)])


def own(rules: RuleSet) -> Iterator[Expression]:
    """What watches nibai itself: a dead nibai must not look like good news."""
    yield Expression(
        "NibaiDown",
        "absent(nibai_build_info)",
        {"severity": Severity.CRITICAL.value},
        {
            "title": "nibai is down or not scraped",
            "todo": "Until it is back, silence about claims means nothing: check its log.",
        },
        for_="5m",
    )
    yield Expression(
        "NibaiReceiverFailing",
        'sum by (notifier) (increase(nibai_notifications_total{result!="ok"}[15m])) > 0',
        {"severity": Severity.WARNING.value},
        {
            "title": "{{ $labels.notifier }} does not take nibai's messages",
            "todo": "nibai rules alerts lists what was not told, and why.",
        },
        for_="15m",
    )
    if rules.collectors is not None:
        yield _quiet(rules.collectors)
    if rules.detected is not None:
        yield from _detected(rules.detected)


def literal(text: str) -> str:
    """A text as a string of PromQL.

    >>> print(literal('chat"} or vector(1) #').replace(chr(92), "BACKSLASH "))
    "chatBACKSLASH "} or vector(1) #"
    """
    return json.dumps(text, ensure_ascii=False)


def inert(text: str) -> str:
    """A text in an annotation of Prometheus, where `{{` would begin a template.

    >>> inert("{{ query }}")
    '{{ "{{" }} query }}'
    """
    return text.replace("{{", '{{ "{{" }}')


def _quiet(quiet: Quiet) -> Expression:
    stale = STALE
    if quiet.after:
        stale = f"({STALE}) and nibai_collector_lag_seconds > {quiet.after:g}"
    return Expression(
        facts.QUIET,
        f"({stale}) or ({SILENT})",
        {"severity": quiet.severity.value},
        {
            "title": "collector {{ $labels.collector }} has gone quiet",
            "todo": inert(facts.TODO[facts.QUIET]),
        },
        keep_firing_for="5m",
    )


def _detected(detected: Detected) -> Iterator[Expression]:
    for moved in Moved:
        loud = detected.loudness(moved)
        if loud is None:
            continue
        matchers = [f'moved="{moved.value}"']
        if detected.endpoint != "**":
            matchers.append(f"endpoint=~{literal(pattern_of(detected.endpoint))}")
        yield Expression(
            facts.UNANNOUNCED,
            f"nibai_unannounced_changes{{{', '.join(matchers)}}} > 0",
            {"severity": loud.severity.value, "moved": moved.value},
            {
                "title": fill(facts.HAPPENED[moved], {"endpoint": "{{ $labels.endpoint }}"}),
                "todo": inert(facts.TODO[facts.UNANNOUNCED]),
            },
            keep_firing_for=GAP,
        )


def _plain(rule: PrometheusRule) -> Expression:
    return Expression(
        rule.alert or rule.record or "",
        rule.expr,
        rule.labels,
        rule.annotations,
        for_=rule.for_,
        keep_firing_for=rule.keep_firing_for,
        record=rule.record is not None,
    )


def _claim(rule: ClaimRule, earlier: Sequence[ClaimRule]) -> Iterator[Expression]:
    sentence = "the claim {{ $labels.claim }}" if rule.sentence is None else f"“{rule.claim}”"
    said = sentence if rule.sentence is None else inert(sentence)
    if rule.segments and rule.sentence is not None:
        said += " ({{ $labels.claim }})"
    if rule.alert.refuted:
        yield Expression(
            facts.REFUTED,
            _verdict(rule, Verdict.REFUTED, earlier),
            _labels(rule, rule.alert.refuted.severity),
            _annotations(f"{said} is refuted on", facts.REFUTED),
            keep_firing_for=GAP,
        )
    if rule.alert.inconclusive:
        age = f"(time() - nibai_change_effective_timestamp_seconds > {rule.deadline:g})"
        yield Expression(
            facts.UNDECIDED,
            f"{_verdict(rule, Verdict.INCONCLUSIVE, earlier)} and on (endpoint, change) {age}",
            _labels(rule, rule.alert.inconclusive.severity),
            _annotations(f"{said} is still undecided on", facts.UNDECIDED),
            keep_firing_for=GAP,
        )


def _verdict(rule: ClaimRule, verdict: Verdict, earlier: Sequence[ClaimRule]) -> str:
    reached = _selector(rule, "nibai_claim_refuted_level_ratio")
    text = f"{reached} >= {rule.level!r}"
    if verdict is Verdict.INCONCLUSIVE:
        # Refuted at a lower level than the rule's is undecided.
        undecided = f"{_selector(rule)} == {VERDICT_CODES[verdict]}"
        text = f"({undecided} or {reached} > 0 < {rule.level!r})"
    kinds = _kinds(rule)
    if kinds:
        text += f" and {kinds}"
    for one in earlier:
        taken = " and ".join(part for part in (_selector(one), _kinds(one)) if part)
        text = f"({text}) unless ({taken})"
    return text


def _selector(rule: ClaimRule, gauge: str = "nibai_claim_verdict") -> str:
    matchers = []
    if rule.sentence is not None:
        matchers.append(_named(rule.sentence, rule.segments))
    if rule.where.endpoint != "**":
        matchers.append(f"endpoint=~{literal(pattern_of(rule.where.endpoint))}")
    return f"{gauge}{{{', '.join(matchers)}}}" if matchers else gauge


def _named(sentence: Sentence, segments: Sequence[str]) -> str:
    """The claim and, where its segments are claimed too, everything that begins as they do."""
    name = claim_name(sentence)
    if not segments:
        return f"claim={literal(name)}"
    several = [name.replace(".", r"\.")]
    for segment in segments:
        whole = as_label(print_sentence(by_segment(sentence, segment, ["zz0zz"])[0].parts))
        # Names that are too long end in a digest; what begins them is kept.
        begin = whole.partition("zz0zz")[0][: LONGEST_NAME - 10].rstrip("-.")
        several.append(begin.replace(".", r"\.") + "[-.].*")
    return f"claim=~{literal('|'.join(several))}"


def _kinds(rule: ClaimRule) -> str:
    kinds = "|".join(kind.value for kind in rule.where.change.kinds)
    return f"on (endpoint, change) nibai_change_info{{kind=~{literal(kinds)}}}" if kinds else ""


def _may_be_one(earlier: ClaimRule, rule: ClaimRule) -> bool:
    """Whether both rules may be about one sentence."""
    first, second = earlier.sentence, rule.sentence
    return first is None or second is None or _bare(first) == _bare(second)


def _bare(sentence: Sentence) -> str:
    """A sentence without its segments."""
    return print_sentence([replace(part, segment=None) for part in sentence.parts])


def _labels(rule: ClaimRule, severity: Severity) -> dict[str, str]:
    labels = {"severity": severity.value}
    if rule.segments:
        # The claim's own name says which segment: one label for all of them would join them.
        labels["rule"] = rule.name
    elif rule.sentence is not None:
        labels["claim"] = rule.name
    return labels


def _annotations(title: str, name: str) -> dict[str, str]:
    return {
        "title": f"{title} {{{{ $labels.endpoint }}}}",
        "todo": inert(facts.TODO[name]),
        "change": "{{ $labels.change }}",
    }
