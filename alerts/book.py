"""The plug-in `file` of `nibai.rules`: a rule file behind the seam that nibai knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from alerts import examples, lifecycle
from alerts.exports import grafana, grafana_contacts, prometheus
from alerts.rules.matching import by_segment, change_matches, route_matches, sentence_matches
from alerts.rules.reading import load_rules
from alerts.rules.ruleset import RuleSet
from nibai.errors import ConfigError, UsageError
from nibai.model import Alert, Change, Round, Sentence
from nibai.protocols import Addressee, RuleBook, SegmentValues


def build(options: Mapping[str, object]) -> RuleBook:
    """The rules of the file `path`; ConfigError lists everything that is wrong with it."""
    path = Path(str(options["path"]))
    rules = load_rules(path)
    problems = examples.message_problems(rules)
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems))
    return Book(rules)


run_examples = examples.run
"""Tests of rule files: `nibai rules test`."""


class Book:
    """A rule set, and what follows from it."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules

    @property
    def receivers(self) -> Sequence[Addressee]:
        """Every way of every receiver."""
        if self.rules.route is None:
            return ()
        return [Addressee(*way[1:]) for way in self.rules.route.ways()]

    def claims(self, change: Change, values: SegmentValues) -> Sequence[Sentence]:
        """Sentences of all rules about a change, and of its segments where a rule names them.

        A rule about declared claims adds only the segments of these.
        """
        found: list[Sentence] = []
        for rule in self.rules.claim_rules:
            if not change_matches(rule, change):
                continue
            declared = [s for s in change.sentences if not any(part.segment for part in s.parts)]
            whole = declared if rule.sentence is None else [rule.sentence]
            found += whole
            for sentence in whole:
                for name in rule.segments:
                    there = values(sentence.parts[0].metric, name)
                    found += by_segment(sentence, name, there)
        return found

    def asked(self, change: Change, sentence: Sentence) -> float | None:
        """The level of the rule that has a sentence: of several the first one."""
        levels = (
            rule.level
            for rule in self.rules.claim_rules
            if change_matches(rule, change) and sentence_matches(rule, sentence)
        )
        return next(levels, None)

    def advance(self, known: Sequence[Alert], seen: Round) -> Sequence[Alert]:
        """Alerts that are new or stand differently."""
        rules = self.rules
        changed = lifecycle.advance(
            rules.claim_rules, rules.collectors, known, seen, rules.detected
        )
        pages = None if self.rules.route is None else self.rules.route.pages
        return changed if pages is None else [_linked(alert, pages) for alert in changed]

    def forgotten(self, known: Sequence[Alert], seen: Round) -> Sequence[str]:
        """Fingerprints of alerts that need not be kept."""
        return lifecycle.forgotten(known, seen)

    def route(self, alert: Alert) -> Sequence[str]:
        """The ways of the first receiver whose branch matches, else of the default."""
        route = self.rules.route
        if route is None:
            return ()
        matching = (b.receiver for b in route.branches if route_matches(b.match, alert))
        receiver = next(matching, route.default)
        return [name for to, name, *_ in route.ways() if to == receiver]

    def summary(self) -> str:
        """How many rules there are, and who is told."""
        plain = sum(len(group.rules) for group in self.rules.groups) - len(self.rules.claim_rules)
        lines = [f"{len(self.rules.claim_rules)} rules about claims, {plain} rules of Prometheus"]
        lines += [f"receiver {one.name}" for one in self.receivers]
        return "\n".join(lines)

    def sample(self, rule: str | None) -> Sequence[Alert]:
        """What a rule (None: the first) fires when its claim is refuted."""
        pages = None if self.rules.route is None else self.rules.route.pages
        found = examples.sample(self.rules, rule)
        return found if pages is None else [_linked(alert, pages) for alert in found]

    def export(self, form: str, options: Mapping[str, object]) -> str:
        """The rules for Prometheus (`keep_firing_for`) or Grafana (`folder`, `datasource`).

        `grafana-contacts`: whom they are told, as contact points and a policy.
        """
        if form == "prometheus":
            keep = bool(options.get("keep_firing_for", True))
            return prometheus.export(self.rules, keep_firing_for=keep)
        if form == "grafana":
            texts = {k: str(options[k]) for k in ("folder", "datasource") if k in options}
            return grafana.export(self.rules, **texts)
        if form == "grafana-contacts":
            return grafana_contacts.export(self.rules)
        raise UsageError(f"no export {form!r}: choose prometheus, grafana or grafana-contacts")


def _linked(alert: Alert, pages: str) -> Alert:
    """With the address of its audit; it says where to look, not which alert it is."""
    audit = alert.annotations.get("audit")
    if audit is None:
        return alert
    link = f"{pages.rstrip('/')}/audits/{quote(audit, safe='')}"
    return replace(alert, annotations={**alert.annotations, "link": link})
