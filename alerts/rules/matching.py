"""Which endpoints, changes and sentences a rule is about."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import replace

from alerts.rules.ruleset import ClaimRule, Match
from nibai.claims import print_sentence
from nibai.model import Alert, Change, Sentence


@functools.cache
def endpoint_pattern(glob: str) -> str:
    """A glob over the parts of an endpoint as a regular expression (RE2 and Python alike).

    >>> endpoint_pattern("sagemaker/*/chat-*")
    'sagemaker/[^/]*/chat-[^/]*'
    >>> endpoint_pattern("**"), endpoint_pattern("*")
    ('.*', '.*')
    """
    if glob == "*":
        return ".*"  # alone it means all, and could match no endpoint otherwise
    parts = re.split(r"(\*\*|\*|\?)", glob)
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(signs.get(part, _literal(part)) for part in parts)


def _literal(text: str) -> str:
    # re.escape also escapes what RE2 takes literally and may refuse (such as "-" or "/").
    return re.sub(r"([\\.+(){}\[\]^$|])", r"\\\1", text)


def endpoint_matches(glob: str, endpoint: str) -> bool:
    """Whether an endpoint is meant by a glob.

    >>> endpoint_matches("sagemaker/*/chat-*", "sagemaker/1.eu/chat-prod")
    True
    >>> endpoint_matches("sagemaker/*", "sagemaker/1.eu/chat-prod")
    False
    """
    return re.fullmatch(endpoint_pattern(glob), endpoint, re.DOTALL) is not None


def change_matches(rule: ClaimRule, change: Change) -> bool:
    """Whether a rule is about a change."""
    kinds = rule.where.change.kinds
    return endpoint_matches(rule.where.endpoint, change.endpoint) and (
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
        and (match.endpoint == "**" or endpoint_matches(match.endpoint, endpoint))
        and (match.claim == "*" or endpoint_matches(match.claim, claim))
    )
