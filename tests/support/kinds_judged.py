"""What nibai has to find out about each kind of change, and to judge as its requests were."""

from datetime import UTC, datetime

import pytest

from support.kinds_of_change import TRUE
from support.sagemaker import SCOPE

TABLE = {0.5: 0.001, 0.9: 0.002, 0.99: 0.005}
"""RMS error of a ratio from `TC 109` of 44,500 requests a side (aws.md, section 5)."""

FEW = {0.5: 0.01, 0.9: 0.02}
"""Of 5,800 requests a side: single requests are further from any smooth curve through them."""


def check_discovered(world, case):
    """One change: its units, its minutes, its kinds and the evidence for them."""
    [change] = world.known[case.name]
    assert change["endpoint"] == f"{SCOPE}{case.name}"
    assert (change["baseline_variant"], change["candidate_variant"]) == case.units
    assert tuple(change["kinds"]) == case.kinds
    assert case.said in change["description"]
    if case.after:  # both serve at once: nothing is cut in time
        assert change["started_at"] is change["effective_at"] is None
        return
    assert (change["started_at"], change["effective_at"]) == (world.began, world.over)
    assert change["evidence"]["dated"].startswith(case.told)


def check_judged(world, case, within):
    """The audit agrees with the single requests: what holds is confirmed, the rest refuted."""
    [change] = world.known[case.name]
    audit = world.audit(change["id"])
    for claim in audit["claims"]:
        if claim["metric"] != "model_latency":
            continue
        truth = world.ratio(case.name, case.units, audit, claim["quantile"])
        estimate = claim["estimate"]
        assert estimate["value"] == pytest.approx(truth, rel=within[claim["quantile"]])
    keeps = 1 / case.factor > TRUE
    told = [(one["text"], one["verdict"]) for one in audit["sentences"]]
    assert [verdict for _, verdict in told[:2]] == ["confirmed" if keeps else "refuted", "refuted"]
    assert tuple(told[2:]) == case.promised, [one["reason"] for one in audit["claims"]]
    assert audit["verdict"] == ("partly" if keeps else "refuted")
    confounded = f"confounded: {', '.join(case.kinds)} changed together"
    assert (confounded in audit["reason"]) is (len(case.kinds) > 1)
    return audit


def check_left_alone(world, name, note):
    """No change was made of it; an audit over that time says what else happened."""
    assert name not in world.known
    given = {
        "endpoint": f"{SCOPE}{name}", "at": iso(world.over), "baseline-variant": "blue",
        "candidate-variant": "blue", "claim": "model_latency not slower within 10% at p50",
    }  # fmt: skip
    options = [one for key, value in given.items() for one in (f"--{key}", value)]
    _, declared, _ = world.nibai("changes", "declare", *options)
    audit = world.audit(declared.split()[0])
    assert audit["verdict"] == "confirmed", audit["reason"]
    assert any(note in one for one in audit["notes"]), audit["notes"]


def iso(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()
