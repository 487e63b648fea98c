"""Which endpoints, changes and sentences a rule is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alerts.rules.ruleset import ClaimRule, Match
from nibai.claims import print_sentence
from nibai.globs import matches
from nibai.model import Alert, Change, Sentence


def change_matches(rule: ClaimRule, change: Change) -> bool:
    """Whether a rule is about a change."""
    kinds = rule.where.change.kinds
    return matches(rule.where.endpoint, change.endpoint) and (
        not kinds or any(kind in kinds for kind in change.kinds)
    )


def sentence_matches(rule: ClaimRule, sentence: Sentence) -> bool:
    """Whether a rule is about a sentence: the same promises in other words are the same.

    With `segments` also where the sentence is about one segment of these names.
    """
    if rule.sentence is None:
        return True
    parts = sentence.parts
    names = {None if part.segment is None else part.segment[0] for part in parts}
    if len(names) == 1 and names <= {*rule.segments}:
        parts = tuple(replace(part, segment=None) for part in parts)
    return print_sentence(rule.sentence.parts) == print_sentence(parts)


def by_segment(sentence: Sentence, name: str, values: Sequence[str]) -> list[Sentence]:
    """The same claimed of every value of a segment: a family that shares one error rate."""
    found = []
    for value in values:
        parts = tuple(replace(part, segment=(name, value)) for part in sentence.parts)
        found.append(Sentence(print_sentence(parts), parts, len(values)))
    return found


def route_matches(match: Match, alert: Alert) -> bool:
    """Whether an alert takes a branch of the route."""
    endpoint = alert.labels.get("endpoint", "")
    claim = alert.labels.get("claim", "")
    return (
        (not match.severity or alert.severity in match.severity)
        and (match.endpoint == "**" or matches(match.endpoint, endpoint))
        and (match.claim == "*" or matches(match.claim, claim))
    )
