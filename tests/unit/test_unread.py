"""A source that is behind: what it does not cover yet is not judged, what it covers is."""

import numpy as np
import pytest
from support.spans import batch

from nibai.app.audit import Desk
from nibai.claims import parse
from nibai.config import Config
from nibai.document import iso
from nibai.model import Change, ReasonCode, Verdict, Window
from nibai.store.lake.delta import Lake
from nibai.store.state.database import open_state
from nibai.store.state.watermarks import put_watermarks
from nibai.store.wal.ingest import Ingest, MemoryLedger

HOUR, DAY = 3600.0, 86_400.0
MONDAY = 19_002 * DAY  # 2022-01-10
CUT = MONDAY + DAY
ENDPOINT, SOURCE = "sagemaker/123456789012.eu-west-1/chat", "cloudwatch-123456789012-eu-west-1"
READ = CUT + 12 * HOUR


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A day before a change that made everything twice as fast, and twelve hours after it."""
    folder = tmp_path_factory.mktemp("unread")
    ingest = Ingest(folder, "main", MemoryLedger(), clock=lambda: CUT)
    minutes = np.repeat(np.arange(0, 36 * 60, 5), 10)
    seconds = np.random.default_rng(1).lognormal(-2, 0.4, len(minutes))
    seconds[minutes >= 1440] /= 2
    at = (int(MONDAY // 60) + minutes).astype(np.int32)
    ingest.append(batch(seconds, minute=at, endpoint=ENDPOINT))
    ingest.close()
    return Lake(folder / "lake")


@pytest.fixture
def audited(lake, tmp_path):
    state = open_state(tmp_path / "state.sqlite")
    put_watermarks(
        state, SOURCE, {"chat": READ}, {"chat": READ - 3 * HOUR},
        {"chat": [(ENDPOINT, "fp32", "latency")]},
    )  # fmt: skip

    def audit(now, windows=None, every=HOUR, *others):
        desk = Desk(state, lake, lambda: now, every_seconds={SOURCE: every})
        sentences = (parse("1.6x faster at p50"),)
        change = desk.declare(Change("", ENDPOINT, effective_at=CUT, sentences=sentences))
        for moment in others:
            desk.declare(Change("", ENDPOINT, effective_at=moment))
        return desk.audit(change, windows=windows)

    yield audit
    state.close()


def code(audit):
    return audit.findings[0].reason.code


def days(end):
    return Window(MONDAY, MONDAY + end), Window(CUT, CUT + end)


@pytest.mark.parametrize(
    ("behind", "every", "covered"),
    [(4, 1, True), (5, 1, False), (5, 6, True)],
)
def test_a_window_that_goes_on_until_now_waits_for_a_source_that_is_behind(
    audited, behind, every, covered
):
    audit = audited(READ + behind * HOUR, None, every * HOUR)
    assert (audit.verdict is Verdict.CONFIRMED) is covered
    finding = audit.findings[0]
    if not covered:
        assert (audit.verdict, code(audit)) == (Verdict.INCONCLUSIVE, ReasonCode.NO_DATA)
        late = max(4, 2 * every) * HOUR
        assert finding.reason.text == (
            f"no data since {iso(READ)}: {SOURCE} was read until then, and what is judged of "
            f"latency goes on until {iso(READ + behind * HOUR - late)}: read on (nibai collect "
            "--once), or judge windows that were read (--baseline START/END --candidate START/END)"
        )


def test_a_given_window_is_judged_as_far_as_it_was_read_or_not_at_all(audited):
    now = READ + 10 * DAY
    covered = audited(now, days(12 * HOUR))
    assert covered.verdict is Verdict.CONFIRMED
    since = iso(READ - 3 * HOUR)
    said = f"minutes of latency since {since} are provisional: {SOURCE} reads them again"
    assert said in covered.notes
    final = audited(now, days(9 * HOUR))
    assert "provisional" not in " ".join(final.notes)
    half = audited(now, days(13 * HOUR))
    assert (half.verdict, code(half)) == (Verdict.INCONCLUSIVE, ReasonCode.NO_DATA)
    assert half.findings[0].estimate is not None, "what is known is shown"


def test_a_window_that_something_else_ended_is_covered_however_old_it_is(audited):
    audit = audited(READ + 10 * DAY, None, HOUR, CUT + 8 * HOUR)
    assert audit.verdict is Verdict.CONFIRMED


def test_the_configuration_says_how_often_each_source_is_read():
    one = {"account": "123456789012", "region": "eu-west-1", "every": "6h"}
    document = {"cloudwatch": [{**one, "endpoints": {"chat": ["blue"]}}]}
    assert Config.model_validate(document).every_seconds == {SOURCE: 6 * HOUR}
