"""A day in the life of an on-call team: 50 endpoints, a fake clock, and what goes wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from alerts.book import Book
from alerts.rules.ruleset import RuleSet
from nibai.app.alerting.delivery import Courier, Telling
from nibai.app.alerting.engine import Engine
from nibai.errors import NotifyError
from nibai.model import ChangeKind, Verdict
from nibai.store.state.database import open_state
from support.listeners import Listener, down
from support.standings import change, collector, seen, standing, superseded

MINUTE, HOUR = 60.0, 3600.0
# 2026-03-29: at 01:00 UTC clocks in Europe go from 02:00 to 03:00; the day of the story goes from
# 00:00 to 24:00 UTC and through that night.
START = datetime(2026, 3, 28, 18, 0, tzinfo=UTC).timestamp()
LOOK = 15 * MINUTE

SPEED = "2x faster at p50, p90 and p99"
ANSWERS = "same predictions within 2%"

RULES = RuleSet.model_validate(
    {
        "apiVersion": "nibai.dev/v1alpha1",
        "kind": "RuleSet",
        "groups": [
            {
                "name": "claims",
                "rules": [
                    {
                        "claim": SPEED,
                        "name": "twice-as-fast",
                        "where": {"endpoint": "sagemaker/*/chat-*"},
                        "deadline": "12h",
                    },
                    {"claim": ANSWERS, "name": "same-answers", "deadline": "12h"},
                ],
            }
        ],
        "route": {"default": "oncall", "receivers": {"oncall": []}},
    }
)


class Life:
    """The story as a script: what is true at a time, and what the team hears of it."""

    def __init__(self, path) -> None:
        self.path = path
        self.now = START
        self.slack, self.alertmanager = Listener(), Listener(repeat_seconds=900.0)
        self.lines: list[str] = []
        self.heard = {"slack": 0, "alertmanager": 0}
        self.open()

    def open(self) -> None:
        self.state = open_state(self.path)
        receivers = [
            Telling("oncall.slack", "slack", self.slack),
            Telling("oncall.alertmanager", "alertmanager", self.alertmanager),
        ]
        names = [one.name for one in receivers]
        courier = Courier(self.state, receivers, lambda _alert: names, lambda _n, _r: None)
        self.engine = Engine(Book(RULES), self.state, courier, lambda: self.now)

    def restart(self) -> None:
        """The process ends and begins anew on the same state."""
        self.state.close()
        self.open()
        self.say("nibai restarts")

    # -- the world ----------------------------------------------------------------------------
    def hour(self) -> float:
        return (self.now - START) / HOUR

    def round(self):
        """What a look sees now."""
        hour = self.hour()
        standings = []
        for number in range(50):
            endpoint = f"sagemaker/123456789012.eu-west-1/chat-{number:02d}"
            if number in STORY and hour >= STORY[number].landed:
                one = STORY[number]
                landed = START + one.landed * HOUR
                changed = change(number, endpoint=endpoint, kinds=(one.kind,), at=landed)
                standings += one.standings(changed, hour, landed)
        since = START + OUTAGE[0] * HOUR
        silent = OUTAGE[0] + 0.25 <= hour < OUTAGE[1]
        health = collector(quiet_since=since if silent else None)
        return seen(self.now, *standings, collectors=[health])

    # -- what happens -------------------------------------------------------------------------
    def look(self) -> None:
        """One look at everything, and a quarter of an hour passes."""
        hour = self.hour()
        broken = SLACK_OUTAGE[0] <= hour < SLACK_OUTAGE[1]
        self.slack.broken = down() if broken else None
        try:
            self.engine(self.round())
        except NotifyError:
            assert broken, "nothing else fails in this story"
        for name, listener in (("slack", self.slack), ("alertmanager", self.alertmanager)):
            for key, news in listener.told[self.heard[name] :]:
                group = listener.messages[key].group
                for alert, state in news:
                    self.say(f"{name:<12} {state:<8} {alert} {group} in {key}")
            self.heard[name] = len(listener.told)
        self.now += LOOK

    def say(self, text: str) -> None:
        moment = datetime.fromtimestamp(self.now, UTC)
        self.lines.append(f"{moment:%m-%d %H:%M}  {text}")

    def timeline(self) -> str:
        """What was heard, with messages of Alertmanager's repetitions left out."""
        return re.sub(r" +$", "", "\n".join(self.lines), flags=re.MULTILINE) + "\n"


class Chapter:
    """One change: when it landed, when its claims are decided, and what comes after."""

    def __init__(self, landed, kind, verdicts, ends=None, *, rolled_back=False) -> None:
        self.landed, self.kind, self.verdicts = landed, kind, verdicts
        self.ends, self.rolled_back = ends, rolled_back

    def standings(self, changed, hour, landed):
        dry = START + OUTAGE[0] * HOUR if OUTAGE[0] + 0.25 <= hour < OUTAGE[1] else None
        for sentence, decided, verdict, more in self.verdicts:
            if hour >= decided:
                one = standing(
                    changed, sentence, verdict, watched_since=landed,
                    decided_at=START + decided * HOUR, no_data_since=dry, **more,
                )  # fmt: skip
            else:
                one = standing(changed, sentence, watched_since=landed, no_data_since=dry)
            if self.ends is not None and hour >= self.ends:
                one = superseded(one, rolled_back=self.rolled_back)
            yield one


MEDIAN_ONLY = {
    "parts": [Verdict.CONFIRMED, Verdict.INCONCLUSIVE, Verdict.REFUTED],
    "values": [2.2, 1.7, 1.1],
    "reason": "p99 is 1.10x faster, not 2x",
}
OUTAGE = (4.0, 6.5)
"""The collector says nothing from 22:00 to 00:30 UTC."""

SLACK_OUTAGE = (8.0, 9.5)
"""Slack is away from 02:00 to 03:30 UTC, when a verdict falls."""

RESTART = 9.0
"""In the middle of that."""

STORY = {
    # True: 2x at every quantile. Nobody hears of it.
    3: Chapter(1.0, ChangeKind.PRECISION, [(SPEED, 3.0, Verdict.CONFIRMED, {})]),
    # True at the median only; a newer change replaces it in the end.
    17: Chapter(2.0, ChangeKind.COMPILATION, [(SPEED, 8.25, Verdict.REFUTED, MEDIAN_ONLY)], 20.0),
    # Faster, but other answers; rolled back.
    42: Chapter(
        2.5,
        ChangeKind.PRUNING,
        [(SPEED, 3.5, Verdict.CONFIRMED, {}), (ANSWERS, 16.0, Verdict.REFUTED, {})],
        18.0,
        rolled_back=True,
    ),
}
