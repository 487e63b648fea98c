"""Pending, firing, resolved: what rules make of standings."""

from dataclasses import replace

import pytest
from support.standings import (
    DAY,
    HOUR,
    START,
    change,
    collector,
    detection,
    seen,
    standing,
    superseded,
)  # fmt: skip

from alerts.lifecycle import advance, forgotten
from alerts.rules.ruleset import ClaimRule, Detected, Quiet
from nibai.model import AlertState, ChangeKind, Moved, Resolution, Severity, Verdict

REFUTED, UNDECIDED = Verdict.REFUTED, Verdict.INCONCLUSIVE


class Watch:
    """Alerts as they are kept over several rounds."""

    def __init__(self, *rules, quiet=None, detected=None):
        self.rules = [ClaimRule.model_validate(r) for r in rules or ({"claim": "declared"},)]
        self.quiet, self.detected = quiet, detected
        self.known = {}

    def look(self, at, *standings, **more):
        """What changed: (name, state, resolution) of each."""
        round_ = seen(START + at, *standings, **more)
        changed = self.step(round_)
        before = {key: (one.state, one.resolution) for key, one in self.known.items()}
        self.known |= {alert.fingerprint: alert for alert in changed}
        again = self.step(round_)
        assert not again, "the same round again changes nothing"
        return [
            (a.labels["alertname"].removeprefix("Nibai"), a.state.value, a.resolution)
            for a in changed
            if before.get(a.fingerprint) != (a.state, a.resolution)
        ]

    def step(self, round_):
        return advance(self.rules, self.quiet, list(self.known.values()), round_, self.detected)

    def alert(self, name):
        found = [a for a in self.known.values() if a.labels["alertname"] == f"Nibai{name}"]
        assert len(found) == 1
        return found[0]


def test_a_refuted_claim_fires_once_with_stable_labels_and_numbers_only_in_annotations():
    watch = Watch()
    assert watch.look(HOUR, standing(change(), "2x faster at p50 and p99", REFUTED)) == [
        ("ClaimRefuted", "firing", None)
    ]
    alert = watch.alert("ClaimRefuted")
    assert dict(alert.labels) == {
        "alertname": "NibaiClaimRefuted",
        "endpoint": "sagemaker/123456789012.eu-west-1/chat-1",
        "change": "c1",
        "claim": "2x-faster-at-p50-and-p99",
        "severity": "critical",
    }
    assert alert.annotations["figures"].splitlines() == [
        "✘ p50: 1.12x [1.01, 1.23] of the 2x promised",
        "✘ p99: 1.12x [1.01, 1.23] of the 2x promised",
    ]
    assert alert.annotations["rests_on"] == "864,000 requests before, 871,200 after, 24 hours"
    assert alert.annotations["false_alarms"] == (
        "4.8 % [0.6, 16] in 42 windows where nothing changed"
    )
    moved = standing(change(), "2x faster at p50 and p99", REFUTED, values=[1.2, 1.3])
    assert watch.look(2 * HOUR, moved) == []


def test_a_confirmed_claim_is_silent():
    watch = Watch()
    assert watch.look(HOUR, standing(change(), verdict=Verdict.CONFIRMED)) == []
    assert watch.look(9 * DAY, standing(change(), verdict=Verdict.CONFIRMED)) == []


def test_what_is_not_comparable_is_silent():
    watch = Watch()
    assert watch.look(2 * DAY, standing(change(), verdict=Verdict.NOT_COMPARABLE)) == []


def test_an_estimate_beyond_the_margin_is_pending_and_time_never_promotes_it():
    watch = Watch({"claim": "declared", "alert": {"refuted": {"severity": "critical"}}})
    short = standing(change(), values=[1.4])
    assert watch.look(HOUR, short) == [("ClaimRefuted", "pending", None)]
    assert watch.look(6 * DAY, short) == []
    assert watch.look(6 * DAY + 1, standing(change(), verdict=REFUTED)) == [
        ("ClaimRefuted", "firing", None)
    ]
    assert watch.alert("ClaimRefuted").since == START + HOUR


def test_pending_that_is_over_never_fired():
    watch = Watch()
    watch.look(HOUR, standing(change(), values=[1.4]))
    watch.look(2 * HOUR, standing(change(), values=[2.4]))
    assert watch.alert("ClaimRefuted").fired_at is None
    assert watch.alert("ClaimRefuted").state is AlertState.RESOLVED
    assert watch.look(3 * HOUR, standing(change(), verdict=REFUTED)) == [
        ("ClaimRefuted", "firing", None)
    ]


def test_a_refuted_claim_is_not_resolved_by_one_good_window():
    watch = Watch()
    watch.look(HOUR, standing(change(), verdict=REFUTED))
    assert watch.look(2 * HOUR, standing(change(), verdict=UNDECIDED, values=[2.5])) == []
    assert watch.look(3 * HOUR, standing(change(), verdict=Verdict.CONFIRMED)) == []
    assert watch.alert("ClaimRefuted").state is AlertState.FIRING


@pytest.mark.parametrize(
    ("rolled_back", "reason"),
    [(False, Resolution.SUPERSEDED), (True, Resolution.ROLLED_BACK)],
)
def test_a_newer_change_resolves_for_good(rolled_back, reason):
    watch = Watch()
    one = standing(change(), verdict=REFUTED)
    watch.look(HOUR, one)
    after = superseded(one, rolled_back=rolled_back)
    assert watch.look(2 * HOUR, after) == [("ClaimRefuted", "resolved", reason)]
    assert watch.look(3 * HOUR, after) == []
    assert watch.look(4 * HOUR, one) == []


def test_a_change_that_could_not_be_looked_at_is_not_withdrawn():
    watch = Watch()
    watch.look(HOUR, standing(change(), verdict=REFUTED))
    for hour in range(2, 9):
        assert watch.look(hour * HOUR, unseen={change().id}) == []
    assert watch.look(9 * HOUR) == []
    assert watch.look(10 * HOUR) == [("ClaimRefuted", "resolved", Resolution.WITHDRAWN)]


def test_a_claim_taken_back_is_withdrawn_and_fires_again_when_claimed_again():
    watch = Watch()
    one = standing(change(), verdict=REFUTED)
    watch.look(HOUR, one)
    assert watch.look(2 * HOUR) == []
    assert watch.look(3 * HOUR) == [("ClaimRefuted", "resolved", Resolution.WITHDRAWN)]
    assert watch.look(4 * HOUR, one) == [("ClaimRefuted", "firing", None)]


def test_a_look_that_leaves_a_claim_out_withdraws_nothing():
    watch = Watch()
    one = standing(change(), verdict=REFUTED)
    watch.look(HOUR, one)
    assert watch.look(2 * HOUR) == []
    assert watch.look(12 * HOUR, one) == []
    assert watch.look(13 * HOUR) == []
    assert watch.look(13.5 * HOUR) == []
    assert watch.alert("ClaimRefuted").missing_since == START + 13 * HOUR


def test_after_seven_days_a_firing_alert_expires_and_stays_so():
    watch = Watch()
    one = standing(change(), verdict=REFUTED)
    watch.look(HOUR, one)
    assert watch.look(7 * DAY + HOUR - 1, one) == []
    assert watch.look(7 * DAY + HOUR, one) == [("ClaimRefuted", "resolved", Resolution.EXPIRED)]
    assert watch.look(8 * DAY, one) == []


def test_what_was_decided_long_ago_does_not_fire_on_the_first_day_of_alerting():
    watch = Watch()
    assert watch.look(30 * DAY, standing(change(), verdict=REFUTED)) == []
    assert watch.look(30 * DAY, standing(change())) == []


def test_undecided_is_silent_until_the_deadline_and_resolved_when_decided():
    watch = Watch({"claim": "declared", "deadline": "24h"})
    assert watch.look(DAY - 1, standing(change())) == []
    assert watch.look(DAY, standing(change())) == [("ClaimUndecided", "firing", None)]
    assert watch.alert("ClaimUndecided").severity is Severity.INFO
    decided = standing(change(), verdict=REFUTED, decided_at=START + 2 * DAY)
    assert watch.look(2 * DAY, decided) == [
        ("ClaimRefuted", "firing", None),
        ("ClaimUndecided", "resolved", Resolution.DECIDED),
    ]


def test_no_data_is_a_warning_after_the_deadline_until_data_return():
    watch = Watch()
    dry = standing(change(), no_data_since=START + HOUR)
    assert watch.look(5 * HOUR, dry) == []
    assert watch.look(DAY, dry) == [("NoData", "firing", None)]
    assert watch.alert("NoData").severity is Severity.WARNING
    assert watch.look(DAY + HOUR, standing(change())) == [
        ("ClaimUndecided", "firing", None),
        ("NoData", "resolved", Resolution.DATA_RETURNED),
    ]
    assert watch.look(DAY + 2 * HOUR, dry) == [("NoData", "firing", None)]


def test_a_quiet_collector_is_told_once_and_not_for_each_endpoint():
    watch = Watch(quiet=Quiet())
    dry = [standing(change(n), no_data_since=START + DAY) for n in range(50)]
    silent = collector(quiet_since=START + DAY)
    assert watch.look(2 * DAY, *dry, collectors=[silent]) == [("CollectorQuiet", "firing", None)]
    assert watch.look(2 * DAY + 60, *dry, collectors=[silent]) == []
    back = watch.look(3 * DAY, collectors=[collector()])
    assert back == [("CollectorQuiet", "resolved", Resolution.DATA_RETURNED)]
    again = watch.look(4 * DAY, collectors=[silent])
    assert again == [("CollectorQuiet", "firing", None)]


def test_a_collector_may_be_quieter_than_the_look_is_old():
    watch = Watch(quiet=Quiet())
    silent = collector(quiet_since=START + HOUR + 60)
    assert watch.look(HOUR, collectors=[silent]) == [("CollectorQuiet", "firing", None)]
    patient = Watch(quiet=Quiet.model_validate({"after": "30m"}))
    assert patient.look(HOUR, collectors=[silent]) == []
    assert patient.look(2 * HOUR, collectors=[silent]) == [("CollectorQuiet", "firing", None)]


def test_a_verdict_below_the_rules_level_is_undecided():
    watch = Watch({"claim": "declared", "level": 0.99})
    assert watch.look(HOUR, standing(change(), verdict=REFUTED)) == [
        ("ClaimRefuted", "pending", None)
    ]
    # e-value ln 3.4 = 30: enough for 95 % (20), not for 99 % (100).
    weaker = Watch({"claim": "declared", "level": 0.96})
    assert weaker.look(HOUR, standing(change(), verdict=REFUTED))[0][1] == "firing"


def test_the_first_rule_about_a_sentence_has_it():
    loud = {
        "claim": "2x faster at p50",
        "name": "chat",
        "where": {"endpoint": "sagemaker/*/chat-*", "change": {"kinds": ["precision"]}},
        "alert": {"refuted": {"severity": "critical"}},
    }
    rest = {"claim": "declared", "alert": {"refuted": {"severity": "info"}}}
    watch = Watch(loud, rest)
    watch.look(
        HOUR,
        standing(change(1), "2x faster at median", REFUTED),
        standing(change(2, kinds=[ChangeKind.DRIVER]), "2x faster at p50", REFUTED),
        standing(change(3, endpoint="onprem/tokyo/chat-3"), "2x faster at p50", REFUTED),
        standing(change(4), "3x faster at p50", REFUTED),
    )
    found = sorted(
        (a.labels["change"], a.labels["claim"], a.severity) for a in watch.known.values()
    )
    assert found == [
        ("c1", "chat", "critical"),
        ("c2", "2x-faster-at-p50", "info"),
        ("c3", "2x-faster-at-p50", "info"),
        ("c4", "3x-faster-at-p50", "info"),
    ]


@pytest.mark.parametrize(
    ("sentence", "value", "short"),
    [
        ("2x faster within 5% at p50", 1.95, False),
        ("2x faster within 5% at p50", 1.89, True),
        ("no more than 5% slower at p50", 0.96, False),
        ("no more than 5% slower at p50", 0.94, True),
        ("cost at most 1.5x", 0.6, True),
        ("cost at most 1.5x", 0.7, False),
        ("2x cheaper", 1.9, True),
        ("errors up at most 0.1pp", 0.0009, False),
        ("errors up at most 0.1pp", 0.0011, True),
        ("accuracy down at most 1pp", -0.011, True),
        ("accuracy down at most 1pp", 0.5, False),
        ("same predictions within 2%", 0.021, True),
        ("same predictions within 2%", 0.019, False),
    ],
)
def test_pending_needs_an_estimate_beyond_the_margin(sentence, value, short):
    watch = Watch()
    found = watch.look(HOUR, standing(change(), sentence, values=[value]))
    assert found == ([("ClaimRefuted", "pending", None)] if short else [])


def test_a_segment_and_a_variant_are_labels():
    watch = Watch()
    side = change(baseline_variant="a", candidate_variant="b")
    watch.look(HOUR, standing(side, "2x faster at p50 for model=chat", REFUTED))
    labels = watch.alert("ClaimRefuted").labels
    assert (labels["segment"], labels["variant"]) == ("model=chat", "b")


def test_own_texts_are_filled_and_one_that_fails_keeps_no_alert_back():
    good = {"claim": "declared", "message": {"title": "{{ change }}: {{ sentence|upper }}"}}
    bad = {"claim": "declared", "message": {"title": "{{ nothing.known }}", "todo": "{{ 1/0 }}"}}
    for rule, title in (
        (good, "c1: 2X FASTER AT P50"),
        (bad, "“2x faster at p50” is refuted on sagemaker/123456789012.eu-west-1/chat-1"),
    ):
        watch = Watch(rule)
        watch.look(HOUR, standing(change(), verdict=REFUTED))
        assert watch.alert("ClaimRefuted").annotations["title"] == title


def test_what_was_resolved_long_ago_is_forgotten_once_its_change_is_gone():
    watch = Watch()
    one = standing(change(), verdict=REFUTED)
    watch.look(HOUR, one)
    watch.look(2 * HOUR, superseded(one))
    known = list(watch.known.values())
    assert forgotten(known, seen(START + 30 * DAY, one)) == []
    assert forgotten(known, seen(START + 2 * DAY)) == []
    assert forgotten(known, seen(START + 30 * DAY)) == [known[0].fingerprint]


# -- what detectors noticed, and looks that fail ----------------------------------------------


def test_what_detectors_noticed_fires_once_and_says_what_moved_and_what_to_do():
    watch = Watch(detected=Detected())
    noticed = detection(suspect="change c7 (container) at 2025-11-24T20:00:00Z")
    assert watch.look(60, detections=[noticed]) == [("UnannouncedChange", "firing", None)]
    alert = watch.alert("UnannouncedChange")
    assert dict(alert.labels) == {
        "alertname": "NibaiUnannouncedChange",
        "endpoint": "sagemaker/123456789012.eu-west-1/chat-1",
        "detection": "d1",
        "moved": "worse",
        "severity": "warning",
    }
    assert alert.group == "detection:d1"
    said = alert.annotations
    assert said["title"] == (
        "sagemaker/123456789012.eu-west-1/chat-1 became worse, and no claim is about it"
    )
    assert said["reason"] == (
        "noticed 2025-11-25 00:00 UTC, begun about 2025-11-24 22:30 UTC; no verdict; it may come "
        "from change c7 (container) at 2025-11-24T20:00:00Z"
    )
    assert said["figures"] == noticed.movements[0]
    assert said["false_alarms"] == "one of all series together in 30 days is tolerated"
    assert said["todo"].endswith(f"{noticed.declare} --claim …")


def test_a_detection_ends_when_a_claim_is_about_it_or_after_a_week():
    watch = Watch(detected=Detected())
    watch.look(0, detections=[detection(), detection(name="d2")])
    followed = [detection(followed_by="c1"), detection(name="d2")]
    assert watch.look(HOUR, detections=followed) == [
        ("UnannouncedChange", "resolved", Resolution.FOLLOWED)
    ]
    assert watch.look(2 * HOUR, detections=[detection(), detection(name="d2")]) == []
    assert watch.look(7 * DAY, detections=followed) == [
        ("UnannouncedChange", "resolved", Resolution.EXPIRED)
    ]
    assert watch.look(8 * DAY, detections=followed) == []


def test_what_is_explained_already_or_long_past_is_not_told():
    watch = Watch(detected=Detected())
    old = detection(name="d2", raised_at=START - 7 * DAY)
    assert watch.look(0, detections=[detection(followed_by="c1"), old]) == []


def test_detections_are_told_as_loud_as_the_rules_say_and_where_they_say():
    both = [detection(), detection(Moved.TRAFFIC, name="d2"), detection(Moved.BETTER, name="d3")]
    watch = Watch(detected=Detected.model_validate({"better": None}))
    watch.look(0, detections=both)
    assert {a.labels["moved"]: a.severity for a in watch.known.values()} == {
        "worse": Severity.WARNING, "traffic": Severity.INFO,
    }  # fmt: skip
    elsewhere = Watch(detected=Detected(endpoint="onprem/**"))
    assert elsewhere.look(0, detections=both) == []
    assert Watch(detected=None).look(0, detections=both) == []


def test_a_round_without_a_look_leaves_claims_alone_and_considers_the_rest():
    watch = Watch(quiet=Quiet(), detected=Detected())
    watch.look(HOUR, standing(change(), verdict=REFUTED))
    quiet = [collector(quiet_since=START)]
    assert watch.look(5 * HOUR, collectors=quiet, detections=[detection()], looked=False) == [
        ("CollectorQuiet", "firing", None),
        ("UnannouncedChange", "firing", None),
    ]
    assert watch.alert("ClaimRefuted").missing_since is None
    # Neither is anything forgotten: its change may still be followed.
    watch.look(6 * HOUR, superseded(standing(change(), verdict=REFUTED)))
    late = seen(START + 20 * DAY, looked=False)
    assert forgotten(watch.known.values(), late) == []


def test_a_collector_that_nobody_sends_to_is_quiet_until_somebody_does():
    watch = Watch(quiet=Quiet())
    unsent = collector("main", unsent_since=START, usual_seconds=5 * HOUR)
    assert watch.look(6 * HOUR, collectors=[unsent]) == [("CollectorQuiet", "firing", None)]
    said = watch.alert("CollectorQuiet").annotations
    assert said["reason"] == (
        "nobody has sent anything since 2025-11-25 00:00 UTC; up to 5 h is usual"
    )
    assert "otlp.quiet_after" in said["todo"]
    assert watch.look(7 * HOUR, collectors=[collector("main")]) == [
        ("CollectorQuiet", "resolved", Resolution.DATA_RETURNED)
    ]


def test_a_rule_of_a_higher_level_divides_its_error_rate_among_segments_too():
    rule = {"claim": "2x faster at p50", "level": 0.99, "segments": ["m"]}
    one = standing(change(), "2x faster at p50 for m=a", REFUTED, level=0.995)
    family = replace(one, sentence=replace(one.sentence, family=10))
    # The evidence of a standing here is e^3.4: enough for 0.95, not for 1 - 0.01 / 10.
    assert Watch(rule).look(HOUR, one) == [("ClaimRefuted", "firing", None)]
    assert Watch(rule).look(HOUR, family) == [("ClaimRefuted", "pending", None)]
