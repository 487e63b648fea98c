"""One matcher: rules, routes, silences and exported expressions mean the same endpoints."""

import re

import pytest
from support.standings import HOUR, START, change, seen, standing

from alerts.lifecycle import advance
from alerts.rules.matching import change_matches, route_matches
from alerts.rules.ruleset import ClaimRule, Match
from nibai.globs import matches, pattern_of
from nibai.model import Silence, Verdict

ENDPOINT = "sagemaker/123456789012.eu-west-1/chat-1"


@pytest.mark.parametrize(
    ("glob", "meant"),
    [
        ("*", True),
        ("**", True),
        ("sagemaker/*", False),
        ("sagemaker/**", True),
        ("sagemaker/*/chat-*", True),
        ("sagemaker/*/chat-?", True),
        ("*chat-1", False),
        ("**chat-1", True),
        ("sagemaker/*/chat-[12]", False),
        (ENDPOINT, True),
        ("sagemaker/123456789012xeu-west-1/chat-1", False),
        ("", False),
    ],
)
def test_a_rule_a_route_a_silence_and_an_export_agree(glob, meant):
    (alert,) = advance(
        [ClaimRule(claim="declared")], None, [],
        seen(START + HOUR, standing(change(), verdict=Verdict.REFUTED)),
    )  # fmt: skip
    assert alert.labels["endpoint"] == ENDPOINT
    assert matches(glob, ENDPOINT) is meant
    assert Silence("s", {"endpoint": glob}, START, START + 9 * HOUR).covers(alert, START) is meant
    assert route_matches(Match(endpoint=glob), alert) is meant
    # As Prometheus reads it: anchored at both ends.
    assert (re.fullmatch(pattern_of(glob), ENDPOINT) is not None) is meant
    if glob:
        rule = ClaimRule.model_validate({"claim": "2x faster", "where": {"endpoint": glob}})
        assert change_matches(rule, change()) is meant
