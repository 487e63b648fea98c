"""`nibai changes`, `audit` and `lake` on a folder, word by word."""

import json
import re

import numpy as np
import pytest
from support.answers import answers, record
from support.spans import batch

from nibai import cli, plugins
from nibai.artifacts import Artifact
from nibai.prediction_evidence import DriftScore
from nibai.store.lake.delta import Lake
from nibai.store.wal.ingest import Ingest, MemoryLedger
from nibai.store.wal.lock import WriterLock
from nibai.store.wal.log import WriteAheadLog, segments

MONDAY = 19_002 * 86_400.0
ENDPOINT = "onprem/tokyo/ocr"
AT = "2022-01-11T00:00Z"


@pytest.fixture
def nibai(tmp_path, capsys):
    """Run a command on one data folder: (exit code, output, errors)."""

    def run(*arguments):
        code = cli.invoke([*arguments, "--data", str(tmp_path / "data")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def filled(tmp_path):
    """Two days of traffic; the second is twice as fast."""
    rng = np.random.default_rng(2)
    now = [MONDAY]
    ingest = Ingest(tmp_path / "data", "main", MemoryLedger(), clock=lambda: now[0])
    step = np.repeat(np.arange(2 * 288), 12)
    values = rng.lognormal(-2, 0.3, len(step)) * np.where(step < 288, 1.0, 0.5)
    segments = [f"tenant={'ab'[i % 2]}" for i in step]
    ingest.append(batch(values, minute=int(MONDAY // 60) + 5 * step, segment=segments))
    now[0] += 120
    ingest.close()


NONE_YET = (
    "which change? there is none yet: nibai changes discover finds, nibai changes declare states "
    "one"
)


def declare(nibai, *more):
    return nibai("changes", "declare", "--endpoint", ENDPOINT, "--kind", "precision", *more)


@pytest.mark.usefixtures("filled")
def test_a_declared_change_is_judged_stored_and_shown_again(nibai):
    code, out, err = declare(nibai, "--at", AT, "--claim", "1.8x faster at p50")
    assert code == 0
    assert "claim: 1.8x faster at p50 (margin 0%)" in err, "margins stand before the data are read"
    change = out.strip()
    code, first, _ = nibai("audit", change)
    assert code == 0
    assert "CONFIRMED" in first
    code, listed, _ = nibai("audit", "list")
    audit = listed.split()[0]
    assert nibai("audit", "show", audit)[:2] == (0, first)
    document = json.loads(nibai("audit", "show", audit, "--format", "json")[1])
    assert document["change"]["id"] == change
    assert document["claims"][0]["evidence"]["scope"].startswith("live window")


def test_a_deployment_that_took_a_while_is_declared_with_its_beginning(nibai):
    code, out, _ = declare(nibai, "--at", AT, "--began", "2022-01-10T23:20Z")
    assert code == 0
    document = json.loads(nibai("changes", "show", out.strip())[1])
    assert document["started_at"] < document["effective_at"]
    code, _, err = declare(nibai, "--began", AT)
    assert code == 2
    assert "say with --at when it was over, and not before" in err


def test_margins_of_predictions_are_shown_and_kept_before_the_data_are_read(nibai):
    claims = ("--claim", "2x faster, same predictions", "--claim", "same output mix within 3%")
    code, out, err = declare(nibai, "--at", AT, "--kind", "int8", *claims)
    assert code == 0
    assert "margin    2 % of answers (default for precision int8, a proposal:" in err
    assert "confirm   after 357 if none changes, 895 if 0.5 % change, 2,511 if 1 % change" in err
    assert "requests  4 per input when replayed, both variants twice: 12,000" in err
    document = json.loads(nibai("changes", "show", out.strip())[1])
    assert document["kinds"] == ["precision"]
    assert document["evidence"]["precision"] == "int8"
    assert [
        (plan["claim"], plan["margin"], plan["source"]) for plan in document["predictions"]
    ] == [
        ("same predictions", 0.02, "default for precision int8"),
        ("same output mix", 0.03, "stated"),
    ]


def test_a_name_from_outside_does_not_steer_the_terminal_or_feign_a_line(nibai):
    name = "onprem/tokyo/\x1b[2Jocr\nchg-0  forged"
    assert nibai("changes", "declare", "--endpoint", name, "--at", "2026-03-01T12:00Z")[0] == 0
    lines = nibai("changes", "list")[1].splitlines()
    assert sum(r"onprem/tokyo/\x1b[2Jocr\nchg-0  forged" in line for line in lines) == 1
    assert not any(line.startswith("chg-0 ") for line in lines)


@pytest.mark.usefixtures("filled")
def test_the_only_change_needs_no_id_and_another_claim_can_be_judged(nibai):
    declare(nibai, "--at", AT, "--claim", "1.8x faster at p50")
    assert nibai("audit", "--claim", "3x faster at p50")[0] == 1
    declare(nibai, "--at", AT, "--claim", "1.8x faster at p50")
    code, _, err = nibai("audit")
    assert code == 2
    assert re.search(r"which change\? there are chg-\w+, chg-\w+", err)


@pytest.mark.usefixtures("filled")
def test_a_change_of_which_nothing_is_claimed_is_judged_by_a_claim_that_is_given(nibai):
    change = declare(nibai, "--at", AT)[1].strip()
    code, _, err = nibai("audit")
    said = f"nibai: change {change} comes without a claim: give one (--claim “2x faster”)"
    assert (code, err.strip()) == (2, said)
    assert nibai("audit", "--claim", "1.8x faster at p50")[0] == 0


@pytest.mark.usefixtures("filled")
def test_windows_can_be_given(nibai):
    declare(nibai, "--at", AT, "--claim", "1.8x faster at p50")
    same = "2022-01-10T00:00Z/2022-01-11T00:00Z"
    assert nibai("audit", "--baseline", same, "--candidate", same)[0] == 1
    code, _, err = nibai("audit", "--baseline", same)
    assert (code, err.strip()) == (
        2, "nibai: give both windows: --baseline START/END and --candidate START/END",
    )  # fmt: skip
    code, _, err = nibai("audit", "--since", AT)
    assert (code, err.strip()) == (
        2, "nibai: give both ends of the window: --since TIME and --until TIME",
    )  # fmt: skip


@pytest.mark.usefixtures("filled")
def test_a_change_is_watched_until_nothing_more_can_be_learnt(nibai):
    """One day before, one after: 12 requests in five minutes are enough for p50."""
    declare(nibai, "--at", AT, "--claim", "1.5x faster at p50")
    code, out, err = nibai("audit", "--watch", "--for", "0s")
    assert code == 3, "without six pairs of unchanged days a day of blocks has little power"
    assert "costs power" in out
    assert "p50: 1.98x faster [" in err
    assert err.strip().endswith("nothing more to wait for, or out of time")
    code, out, _ = nibai("audit", "--watch", "--for", "0s", "--format", "json")
    evidence = json.loads(out)["claims"][0]["evidence"]
    assert evidence["scope"] == "live window, watched block by block"
    assert evidence["log_e_value"] is not None
    assert len(nibai("audit", "list")[1].splitlines()) == 2


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--since", AT, "--until", "2022-01-12T00:00Z"),
         "--since is about a fixed window, --watch follows the change as it goes"),
        (("--every", "5"), "--every '5' is no duration: write 90s, 5m, 24h or 2d"),
        (("--every", "0s"), "--every 0s: look at most once a second"),
        (("--for", "long"), "--for 'long' is no duration: write 90s, 5m, 24h or 2d"),
    ],
)  # fmt: skip
def test_wrong_options_of_a_watch_are_named(nibai, options, message):
    declare(nibai, "--at", AT, "--claim", "1.5x faster at p50")
    code, _, err = nibai("audit", "--watch", *options)
    assert (code, err.strip()) == (2, f"nibai: {message}")


def test_without_data_the_verdict_is_inconclusive(nibai):
    declare(nibai, "--at", AT, "--claim", "2x faster")
    assert nibai("audit")[0] == 3
    assert nibai("audit", "--inconclusive-ok")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("audit",), NONE_YET),
        (("audit", "chg-x"), "no change 'chg-x': there is none"),
        (("audit", "show", "aud-x"), "no audit 'aud-x': there is none"),
        (("audit", "show"), "audit show needs one ID: see nibai audit list"),
        (("lake", "purge"), "purge what? give --endpoint, --segment, --before or --predictions"),
        (
            ("lake", "purge", "--before", "soon"),
            "--before 'soon' is no day: write 2026-03-01",
        ),
    ],
)
def test_errors_name_the_remedy(nibai, arguments, message):
    code, out, err = nibai(*arguments)
    assert (code, out, err.strip()) == (2, "", f"nibai: {message}")


def test_a_change_that_says_nothing_to_compare_is_refused(nibai):
    code, _, err = declare(nibai, "--claim", "2x faster")
    assert code == 2
    assert "nothing says what to compare" in err


def test_a_claim_that_does_not_parse_is_refused_before_anything_is_stored(nibai):
    code, _, err = declare(nibai, "--at", AT, "--claim", "very fast")
    assert code == 2
    assert "very" in err
    assert nibai("changes", "list")[1] == ""


def test_changes_are_listed_and_shown(nibai):
    change = declare(nibai, "--at", AT, "--claim", "2x faster", "--description", "int8")[1].strip()
    _, out, _ = nibai("changes", "list")
    assert out == f"{change}  {ENDPOINT}  precision  2x faster\n"
    document = json.loads(nibai("changes", "show", change)[1])
    assert (document["description"], document["sentences"]) == ("int8", ["2x faster"])
    assert document["effective_at"] == MONDAY + 86_400


@pytest.mark.usefixtures("filled")
def test_a_purge_is_counted_first(nibai):
    code, out, err = nibai("lake", "purge", "--segment", "tenant=a")
    assert code == 0
    assert "to remove" in out
    assert "nothing was removed: add --yes" in err
    assert "6,912 requests" in nibai("lake", "info")[1]
    assert "removed" in nibai("lake", "purge", "--segment", "tenant=a", "--yes")[1]
    assert "3,456 requests" in nibai("lake", "info")[1]


@pytest.mark.usefixtures("filled")
def test_a_purge_reaches_rows_that_wait_in_the_log(nibai, tmp_path):
    home = tmp_path / "data" / "wal" / "gone"
    log = WriteAheadLog(home, clock=lambda: MONDAY)
    rows = batch(np.full(5, 0.1), minute=int(MONDAY // 60), segment="tenant=a")
    log.append(rows)
    log.rotate()
    lake = Lake(tmp_path / "data" / "lake")
    with WriterLock(home / "writer.lock"):
        code, _, err = nibai("lake", "purge", "--segment", "tenant=a", "--yes")
    assert code == 0
    assert err.strip() == (
        "collector 'gone' is running and its newest rows are not in the lake yet: "
        "purge again in two minutes"
    )
    assert segments(home)
    _, _, err = nibai("lake", "purge", "--segment", "tenant=a", "--yes")
    assert (err, segments(home)) == ("", [])
    assert "3,456 requests" in nibai("lake", "info")[1]
    assert lake.committed("hist", "gone") == 1, "its row was folded before it was removed"


def test_an_empty_lake_says_how_to_fill_it(nibai):
    code, out, err = nibai("lake", "info")
    assert (code, out) == (0, "")
    assert "start `nibai run`" in err


def test_answers_in_the_lake_are_audited_with_the_margin_that_was_declared(nibai, tmp_path):
    """600 requests answered by both variants, every tenth differently; asked once, so no floor."""
    ingest = Ingest(tmp_path / "data", "main", MemoryLedger(), clock=lambda: 1_680_000_000.0)
    for variant in ("fp32", "int8"):
        labels = ["dog" if variant == "int8" and i % 10 == 0 else "cat" for i in range(600)]
        records = [record(i, label, variant=variant) for i, label in enumerate(labels)]
        ingest.append(None, None, answers(*records))
    ingest.close()
    sides = ("--baseline-variant", "fp32", "--candidate-variant", "int8")
    change = declare(nibai, *sides, "--kind", "int8", "--claim", "same predictions")[1].strip()
    code, out, _ = nibai("audit", change, "--format", "json")
    found = json.loads(out)["claims"][0]
    assert (code, found["verdict"]) == (3, "inconclusive")
    assert found["reason_code"] == "noise_floor_unknown"
    evidence = found["evidence"]["predictions"]
    assert (evidence["level"], evidence["pairs"], evidence["margin"]) == ("A", 600, 0.02)
    assert evidence["margin_source"] == "default for precision int8"
    assert evidence["margin_confirmed_at"] is not None
    _, out, _ = nibai("audit", change, "--claim", "same predictions within 30%", "--format", "json")
    found = json.loads(out)["claims"][0]
    assert found["verdict"] == "confirmed"
    assert found["evidence"]["predictions"]["margin_source"] == "edited, 2% was declared"
    assert nibai("audit", change, "--claim", "same predictions within 30%")[0] == 0


def test_evidently_gets_single_pairs_of_the_lake_and_changes_no_verdict(
    nibai, tmp_path, monkeypatch
):
    ingest = Ingest(tmp_path / "data", "main", MemoryLedger(), clock=lambda: 1_680_000_000.0)
    for variant in ("fp32", "int8"):
        labels = ["dog" if variant == "int8" and i % 10 == 0 else "cat" for i in range(400)]
        records = [record(i, la, variant=variant, score=i / 400) for i, la in enumerate(labels)]
        ingest.append(None, None, answers(*records))
    ingest.close()
    sides = ("--baseline-variant", "fp32", "--candidate-variant", "int8")
    change = declare(nibai, *sides, "--kind", "int8", "--claim", "same predictions")[1].strip()
    given = []

    class Maker:
        def make(self, rows, findings):
            given.append((rows, findings))
            return Artifact("<p>page</p>", "{}", (DriftScore("psi", 0.1),), ())

    load = plugins.load
    monkeypatch.setattr(
        plugins, "load",
        lambda group, *more: Maker() if group == "nibai.artifacts" else load(group, *more),
    )  # fmt: skip
    page = tmp_path / "evidently.html"
    _, plain, _ = nibai("audit", change, "--format", "json")
    _, out, _ = nibai("audit", change, "--format", "json", "--evidently", str(page))
    [(rows, _)] = given
    old, new = rows.columns[0].sides
    assert (len(old), sum(a != b for a, b in zip(old, new, strict=True))) == (400, 40)
    assert [column.name for column in rows.columns] == ["answer", "score"]
    before, after = (json.loads(text)["claims"][0] for text in (plain, out))
    assert (before["verdict"], before["reason"]) == (after["verdict"], after["reason"])
    assert after["evidence"]["predictions"]["artifact"] == "evidently.html"
    assert page.read_text(encoding="utf-8") == "<p>page</p>"


# -- cost ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("filled")
def test_a_declared_price_is_kept_and_another_one_may_be_asked(nibai):
    code, out, _ = declare(
        nibai, "--at", AT, "--claim", "1.5x cheaper", "--cost-per-hour", "3,2", "--instances", "4,4"
    )
    assert code == 0
    code, text, _ = nibai("audit", out.strip())
    assert code == 0
    assert "1.5x cheaper   all traffic   1.50x cheaper   [1.50, 1.50]x   ✔ confirmed" in text
    text = " ".join(text.split())
    assert "$12.00 and $8.00 an hour · 4 and 4 instances on average · price as stated" in text
    code, text, _ = nibai("audit", out.strip(), "--cost-per-hour", "3,2.5")
    assert code == 1
    assert "1.20x cheaper [1.20, 1.20], not 1.5x" in text.replace("\n", " ")
    code, _, error = nibai("audit", out.strip(), "--watch", "--cost-per-hour", "3,2.5")
    assert code == 2
    assert "--cost-per-hour is about a fixed window" in error


@pytest.mark.usefixtures("filled")
def test_configured_prices_serve_a_change_without_any(nibai, tmp_path):
    config = tmp_path / "nibai.yaml"
    config.write_text(
        "cost: {endpoints: {onprem/tokyo/ocr: {usd_per_hour: 2.0}}}\n", encoding="utf-8"
    )
    _, out, _ = declare(nibai, "--at", AT, "--claim", "cost at most 1x")
    code, text, _ = nibai("audit", out.strip(), "--config", str(config))
    assert (code, "price as configured; 1 replica seen" in text.replace("\n", " ")) == (0, True)


@pytest.mark.usefixtures("filled")
def test_a_fleet_is_asked_about_cost_too(nibai, tmp_path):
    config = tmp_path / "nibai.yaml"
    config.write_text(
        "cost: {endpoints: {onprem/tokyo/ocr: {usd_per_hour: 2.0}}}\n", encoding="utf-8"
    )
    declare(nibai, "--at", AT, "--claim", "cost at most 1x")
    code, text, error = nibai("audit", "fleet", "--config", str(config), "--format", "json")
    assert code in {0, 1, 3}, error
    [endpoint] = json.loads(text)["endpoints"]
    assert "1.00x cheaper" in json.dumps(endpoint), endpoint


@pytest.mark.usefixtures("filled")
def test_a_bare_audit_judges_the_only_change_and_says_what_the_lake_has_instead(
    nibai, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("NIBAI_DATA_DIR", str(tmp_path / "data"))
    nibai(
        "changes", "declare", "--endpoint", "gpu/lab/nothing", "--at", AT, "--claim", "not slower"
    )
    assert cli.invoke(["audit"]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "no measurements of latency on either side" in said
    assert "the lake holds nothing of gpu/lab/nothing; there is " in said
