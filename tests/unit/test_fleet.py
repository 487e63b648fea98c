"""Many endpoints at once: each judged as alone, decided together, stored and shown again."""

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from support.fleet_audits import fleet as golden_fleet
from support.fleet_truth import audit as audit_truth
from support.fleet_truth import found_shares, results, truth, wrong_shares
from support.fleets import DAY, MONDAY, fill

from nibai import cli
from nibai.app.audit import Desk
from nibai.app.compare import load_analyzers
from nibai.app.fleet import NOT_REPLAYED, Judge, Selection, audit_fleet, judge_chunk
from nibai.audit import judge
from nibai.claims import parse
from nibai.cli.audit import NO_AUDITS
from nibai.errors import UsageError
from nibai.fleet import EndpointResult, PartResult, fleet_audit
from nibai.fleet_document import dumps, from_document, to_document
from nibai.model import Change, Promise, Reason, ReasonCode, Verdict, Window
from nibai.store.lake.delta import Lake
from nibai.store.series.blocks import Engine
from nibai.store.state.database import open_state
from nibai.store.windows.sides import LakeWindows

AT = MONDAY + DAY
CLAIM = "2x faster at p50 and p90"
FACTORS = {
    "onprem/tokyo/a": 0.4, "onprem/tokyo/b": 0.45, "onprem/tokyo/c": 0.5, "onprem/tokyo/d": 0.6,
    "onprem/tokyo/e": 1.0, "onprem/tokyo/o'hara": 0.4,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("fleet")
    fill(Lake(found / "lake"), FACTORS, segments=("size=s", "size=l"))
    return found


@pytest.fixture
def desk(folder, tmp_path):
    state = open_state(tmp_path / "state.sqlite")
    yield Desk(state, Lake(folder / "lake"), lambda: AT + 2 * DAY)
    state.close()


def changes(**more):
    sentences = (parse(CLAIM), parse("errors up at most 1pp"))
    return [Change(f"c{i}", name, effective_at=AT, sentences=sentences, **more)
            for i, name in enumerate(FACTORS)]  # fmt: skip


def sent(objects):
    """As another process of the same audit gets them."""
    return pickle.loads(pickle.dumps(objects))  # noqa: S301 - our own


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"baseline_window": Window(MONDAY, AT), "candidate_window": Window(AT, AT + DAY)},
        {"baseline_window": Window(MONDAY + 60, AT), "candidate_window": Window(AT, AT + DAY / 3)},
        {"baseline_variant": "prod", "candidate_variant": "nobody"},
        {"baseline_variant": "prod", "candidate_variant": "prod", "runs": True},
    ],
    ids=["cut", "windows", "odd windows", "no data", "runs"],
)
def test_every_endpoint_is_judged_exactly_as_alone(folder, more):
    analyzers = load_analyzers(0.95)
    judged = changes(**more)[2::3]
    asked = sent((str(folder / "lake"), None, judged, Judge(0.95)))
    together = {r.endpoint: r for r in sent(judge_chunk(*asked))}
    for change in judged:
        windows = LakeWindows(Engine(Lake(folder / "lake")), change)
        findings = [f for result in judge(change, windows, analyzers) for f in result.findings]
        result = together[change.endpoint]
        assert [part.estimate for part in result.parts] == [f.estimate for f in findings]
        assert [part.verdict for part in result.parts] == [f.verdict for f in findings]
        assert [part.variance_factor for part in result.parts] == [
            f.evidence.variance_factor for f in findings
        ]
        assert result.reason.text in {f.reason.text for f in findings}


def test_days_come_from_the_hour_tables_where_they_are_rolled_up(folder):
    # The hour tables of this lake are empty: what is believed to be rolled up is not found.
    weeks = (Window(MONDAY - 6 * DAY, MONDAY + DAY), Window(MONDAY + DAY, MONDAY + 8 * DAY))
    judged = changes(baseline_window=weeks[0], candidate_window=weeks[1])
    (first, *_) = judge_chunk(str(folder / "lake"), "2022-01-10", judged, Judge(0.95))
    assert first.requests[0] == 0
    assert first.requests[1] > 0
    assert first.alone is Verdict.INCONCLUSIVE


def test_with_history_it_is_the_audit_of_each_alone(tmp_path):
    # Eight days before, an hour judged: without a past that is not enough, with it it is.
    moved = MONDAY + 8 * DAY
    names = {"onprem/tokyo/a": 0.4, "onprem/tokyo/b": 1.0}
    lake = Lake(tmp_path / "lake")
    fill(lake, names, moved=moved, days=9, step=5, per_step=20)
    state = open_state(tmp_path / "state.sqlite")
    desk = Desk(state, lake, lambda: moved + DAY)
    hour = [Window(moved - DAY, moved - DAY + 3600), Window(moved, moved + 3600)]
    claim = "2x faster at p50"
    bare = audit_fleet(desk, Selection(windows=tuple(hour)), [claim])
    assert {r.reason.code for r in bare.endpoints} == {ReasonCode.UNCALIBRATED_SHORT_WINDOW}
    audit = audit_fleet(desk, Selection(windows=tuple(hour)), [claim], history=True)
    for result in audit.endpoints:
        change = Change("fleet", result.endpoint, effective_at=None, baseline_window=hour[0],
                        candidate_window=hour[1], sentences=(parse(claim),))  # fmt: skip
        alone = desk.audit(change)
        assert (result.alone, result.reason) == (alone.verdict, alone.reason)
        assert result.parts[0].estimate == alone.findings[0].estimate
    assert audit.notes == ()
    state.close()


# Starting processes costs seconds; that what they are given and answer survives the way: above.
@pytest.mark.slow
def test_processes_say_the_same_as_one(desk):
    one = audit_fleet(desk, Selection(at=AT), [CLAIM], processes=1)
    two = audit_fleet(desk, Selection(at=AT), [CLAIM], processes=2)
    assert one.endpoints == two.endpoints


def test_the_fleet_is_decided_and_stored(desk):
    steps = []
    audit = audit_fleet(
        desk, Selection(at=AT), [CLAIM], progress=lambda done, total: steps.append((done, total))
    )
    verdicts = {r.endpoint.rpartition("/")[2]: r.verdict for r in audit.endpoints}
    assert verdicts["a"] is verdicts["o'hara"] is Verdict.CONFIRMED
    assert verdicts["d"] is verdicts["e"] is Verdict.REFUTED
    assert audit.verdict is Verdict.PARTLY
    assert audit.confirmed.share == pytest.approx(audit.confirmed.endpoints / 6)
    assert audit.confirmed.traffic == pytest.approx(audit.confirmed.share), "equal traffic"
    assert audit.true_endpoints.low <= 3 / 6 <= audit.true_endpoints.high
    assert steps[-1] == (6, 6)
    assert desk.stored(audit.id) == audit
    assert desk.state.audits()[0][:2] == (audit.id, "fleet")


def declared(desk, name, **more):
    change = Change("", f"onprem/tokyo/{name}", effective_at=AT, sentences=(parse(CLAIM),))
    return desk.declare(replace(change, **more))


def test_the_newest_fitting_change_of_an_endpoint_counts(desk):
    declared(desk, "a", effective_at=AT - 3600)
    newest = declared(desk, "a")
    declared(desk, "b")
    audit = audit_fleet(desk, Selection(since=AT - 1))
    assert [(r.endpoint, r.change == newest.id) for r in audit.endpoints] == [
        ("onprem/tokyo/a", True), ("onprem/tokyo/b", False),
    ]  # fmt: skip
    assert audit.notes == (NOT_REPLAYED,)
    assert audit_fleet(desk, Selection()).notes == (
        "1 older changes of the same endpoints were left out",
        NOT_REPLAYED,
    )


def test_nothing_to_audit_is_said(desk):
    with pytest.raises(UsageError, match="gives no endpoint"):
        audit_fleet(desk, Selection(kinds=("precision",)), [CLAIM])
    with pytest.raises(UsageError, match="nothing was claimed"):
        audit_fleet(desk, Selection(at=AT))
    declared(desk, "a", sentences=())
    with pytest.raises(UsageError, match="comes without a claim"):
        audit_fleet(desk, Selection())


# -- the decision, without data ---------------------------------------------------------------


def result(name, alone, p_confirm=1.0, p_refute=1.0, *, traffic=1.0, factor=1.0):
    part = PartResult("2x faster at p50", Promise.FASTER, alone, None, 0.1, p_confirm, p_refute, 24,
                      factor)  # fmt: skip
    code = {
        Verdict.CONFIRMED: ReasonCode.MEETS_CLAIM,
        Verdict.REFUTED: ReasonCode.FALLS_SHORT,
    }.get(alone, ReasonCode.INTERVAL_STRADDLES)
    reason = Reason(code, f"{name} was measured")
    return EndpointResult(name, "c", traffic, (10, 10), alone, alone, reason, (part,))


def decide(results, **more):
    return fleet_audit(
        results, audit_id="f", created_at=0.0, claims=("2x faster",), scope="", version="0", **more
    )


def test_enough_alone_is_not_enough_among_many():
    lucky = result("lucky", Verdict.CONFIRMED, 0.02)
    others = [result(f"x{i}", Verdict.INCONCLUSIVE, 0.5, 0.5) for i in range(99)]
    audit = decide([lucky, *others])
    found = audit.endpoints[0]
    assert (found.alone, found.verdict) == (Verdict.CONFIRMED, Verdict.INCONCLUSIVE)
    assert found.reason.code is ReasonCode.FLEET_LEVEL
    assert found.reason.text == (
        "lucky was measured; alone that is enough, among 100 endpoints it is not"
    )
    assert found.adjusted_confirm == 1.0
    assert audit.verdict is Verdict.INCONCLUSIVE
    assert decide([lucky]).verdict is Verdict.CONFIRMED


def test_what_the_own_audit_does_not_confirm_the_fleet_does_not_either():
    # A p-value of 0.04 passes Benjamini-Hochberg among many small ones, but not its own interval.
    sure = [result(f"s{i}", Verdict.CONFIRMED, 1e-9) for i in range(99)]
    audit = decide([*sure, result("open", Verdict.INCONCLUSIVE, 0.04)])
    assert audit.endpoints[-1].verdict is Verdict.INCONCLUSIVE
    assert audit.confirmed.endpoints == 99


def test_correlated_blocks_raise_small_p_values():
    calm = decide([result(f"x{i}", Verdict.CONFIRMED, 1e-4, factor=1.0) for i in range(20)])
    wild = decide([result(f"x{i}", Verdict.CONFIRMED, 1e-4, factor=2.5) for i in range(20)])
    assert calm.correlation == 0.0
    assert calm.endpoints[0].p_confirm == 1e-4
    assert wild.correlation == pytest.approx(3 / 7, abs=0.02)
    assert wild.endpoints[0].p_confirm > 1e-3


def test_shares_of_traffic_weigh_endpoints():
    some = [
        result("big", Verdict.REFUTED, p_refute=1e-9, traffic=90.0),
        result("small", Verdict.CONFIRMED, 1e-9, traffic=10.0),
    ]
    audit = decide(some)
    assert (audit.confirmed.share, audit.confirmed.traffic) == (0.5, 0.1)
    assert (audit.true_endpoints.low, audit.true_endpoints.high) == (0.5, 0.5)
    assert (audit.true_traffic.low, audit.true_traffic.high) == pytest.approx((0.1, 0.1))
    assert audit.reason == (
        "of 2 endpoints: confirmed 1 (50.0%, 10.0% of traffic), refuted 1 (50.0%, 90.0% of traffic)"
    )


def test_without_traffic_the_share_is_not_known():
    audit = decide([result("x", Verdict.NOT_COMPARABLE, traffic=0.0)])
    assert audit.verdict is Verdict.NOT_COMPARABLE
    assert (audit.true_traffic.low, audit.true_traffic.high) == (0.0, 1.0)


def test_a_document_comes_back_whole(desk):
    audit = audit_fleet(desk, Selection(at=AT), [CLAIM, "errors up at most 1pp"])
    assert from_document(json.loads(dumps(audit))) == audit
    assert to_document(audit)["schema"] == "nibai.fleet/1"
    with pytest.raises(ValueError, match="not a nibai"):
        from_document({"schema": "nibai.audit/1"})


# -- the command ------------------------------------------------------------------------------


@pytest.fixture
def nibai(folder, capsys):
    def run(*arguments):
        code = cli.invoke([*arguments, "--data", str(folder)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_command_judges_stores_and_shows_again(nibai, tmp_path):
    assert nibai("audit", "list")[::2] == (0, f"{NO_AUDITS}\n")
    page = tmp_path / "fleet.html"
    code, out, err = nibai(
        "audit", "fleet", "--at", "2022-01-11T00:00Z", "--claim", CLAIM, "--html", str(page)
    )
    assert code == 1, "some are refuted"
    assert "6 of 6 endpoints judged" in err
    assert re.search(r"confirmed\s+\d of 6\s+\d\d\.\d% of endpoints", out)
    assert "<svg" in page.read_text(encoding="utf-8")
    code, listed, _ = nibai("audit", "list")
    audit = listed.split()[0]
    assert audit.startswith("fleet-")
    assert nibai("audit", "show", audit)[:2] == (1, out)
    document = json.loads(nibai("audit", "show", audit, "--format", "json")[1])
    assert len(document["endpoints"]) == 6
    assert "| verdict | endpoints |" in nibai("audit", "show", audit, "--format", "markdown")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--at", "2022-01-11T00:00Z"), "nothing was claimed of these endpoints"),
        (("--baseline", "2022-01-10T00:00Z/2022-01-11T00:00Z"), "give both windows"),
        (("--at", "2022-01-11T00:00Z", "--kind", "precision"), "leave one of them out"),
        (("--kind", "precision"), "gives no endpoint"),
    ],
)
def test_wrong_use_is_said(nibai, arguments, said):
    code, _, err = nibai("audit", "fleet", *arguments)
    assert code == 2
    assert said in err


def test_the_document_is_valid_by_its_schema():
    path = Path(__file__).parents[2] / "docs" / "fleet.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    for audit in (golden_fleet(), decide([result("x", Verdict.NOT_COMPARABLE)])):
        jsonschema.validate(json.loads(dumps(audit)), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**to_document(golden_fleet()), "more": 1}, schema)


# -- known truth, in small --------------------------------------------------------------------


@pytest.mark.parametrize("phi", [0.0, 0.4])
def test_few_of_the_confirmed_and_refuted_are_wrong(phi):
    # R = 8 fleets of 300 endpoints, 90 % of them exactly at the claim; the full table is slow.
    rng = np.random.default_rng([20261126, int(10 * phi)])
    wrong, found = [], []
    for _ in range(8):
        kind, shift = truth(rng, 300, (0.05, 0.9, 0.05), 1.5)
        decided = audit_truth(results(rng, shift, phi))
        wrong.append(wrong_shares(decided, kind))
        found.append(found_shares(decided, kind))
        assert decided.true_endpoints.low <= (kind == 0).mean()
        assert decided.true_endpoints.high >= (kind != 2).mean()
    error = np.std(wrong, axis=0) / np.sqrt(8)
    assert np.all(np.mean(wrong, axis=0) <= 0.05 + 2 * error)
    if phi == 0.0:
        assert np.all(np.nanmean(found, axis=0) > 0.9)
