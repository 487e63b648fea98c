"""A process that alerts: python alert_worker.py STATE URL NOW CHANGES; made to be killed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from alerts import webhook
from alerts.book import Book
from alerts.rules.ruleset import RuleSet
from nibai.app.alerting.delivery import Courier, Telling
from nibai.app.alerting.engine import Engine
from nibai.model import Verdict
from nibai.store.state.database import open_state
from support.standings import HOUR, START, change, seen, standing

RULES = {
    "apiVersion": "nibai.dev/v1alpha1", "kind": "RuleSet",
    "groups": [{"name": "g", "rules": [{"claim": "declared"}]}],
}  # fmt: skip


def main(where, url, now, changes):
    """Consider one round and deliver until everything is told."""
    state = open_state(where)
    receiver = Telling("r", "webhook", webhook.build({"url": url}))
    courier = Courier(state, [receiver], lambda _alert: ["r"], lambda _n, _r: None)
    engine = Engine(Book(RuleSet.model_validate(RULES)), state, courier, lambda: now)
    refuted = [standing(change(n), verdict=Verdict.REFUTED) for n in range(changes)]
    for _ in range(1 + changes // 20):
        engine(seen(START + HOUR, *refuted))
    state.close()
    sys.stdout.write("told\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
