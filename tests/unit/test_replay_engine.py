"""Order, rate, journal and retries of a replay, with a clock of our own."""

import random
import threading
from collections import Counter

import pytest

from nibai.errors import (
    AuthError,
    CollectError,
    PluginError,
    StoreError,
    ThrottledError,
    UsageError,
)
from nibai.protocols import Answer, ReplayInput
from nibai.replaying.journal import Journal
from nibai.replaying.pace import Pace
from nibai.replaying.plan import VARIANTS, Profile, calls, count_calls, most_inputs
from nibai.replaying.run import LONGEST_REST_SECONDS, Limits, Runner, Stop
from nibai.replaying.tables import gather, tables


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self):
        self.now = 100.0
        self.stopped = False

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        return self.stopped


# -- the plan ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "batch", "repeats"), [(1, 1, 2), (7, 3, 2), (700, 8, 3), (300, 1, 2)]
)
def test_every_variant_answers_every_input_in_every_repeat_once(n, batch, repeats):
    profile = Profile(repeats, batch, 4, 5)
    found = list(calls(n, profile))
    assert len(found) == count_calls(n, profile)
    assert [call.number for call in found] == list(range(len(found)))
    seen = Counter((c.variant, c.repeat, i) for c in found for i in c.inputs)
    assert set(seen.values()) == {1}
    assert len(seen) == 2 * repeats * n
    assert max(len(call.inputs) for call in found) <= batch
    assert most_inputs(len(found), profile) >= n
    assert found == list(calls(n, profile))


def test_no_repeat_has_the_batch_mates_of_another():
    groups = {}
    for call in calls(512, Profile(2, 8)):
        for i in call.inputs:
            groups[call.variant, call.repeat, i] = set(call.inputs) - {i}
    for i in range(512):
        sides = [groups[v, r, i] for v in VARIANTS for r in range(2)]
        shared = [len(a & b) for k, a in enumerate(sides) for b in sides[:k]]
        assert max(shared) <= 4
    # Two groups of 7 mates out of 255 share 0.19 by chance.
    assert sum(len(groups["baseline", 0, i] & groups["baseline", 1, i]) for i in range(512)) < 160


def test_a_replay_that_ends_early_holds_complete_pairs():
    done = list(calls(1024, Profile(2, 8)))[: 32 * 4 * 2]
    seen = Counter(i for call in done for i in call.inputs)
    assert set(seen.values()) == {4}
    assert len(seen) == 512
    assert abs(sum(seen) / 512 - 511.5) < 60  # a random sample, not the first half


# -- the rate ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_no_window_holds_more_starts_than_the_rate_allows(seed):
    clock, dice = Clock(), random.Random(seed)
    pace, starts = Pace(0.1, clock, clock.sleep), []
    for _ in range(300):
        clock.now += dice.choice([0, 0, 0, 0.03, 0.35])  # others take their time
        assert pace.turn(lambda: clock.sleep(dice.choice([0, 0.02, 0.15])) or True)
        starts.append(clock.now)
    for i, start in enumerate(starts):
        inside = [at for at in starts[i:] if at - start < 1.0 - 1e-9]
        assert len(inside) <= 10
    assert starts[-1] - starts[0] < 300 * 0.35


def test_rest_holds_everybody_back():
    clock = Clock()
    pace = Pace(0.1, clock, clock.sleep)
    assert pace.turn()
    pace.rest(7.0)
    assert pace.turn()
    assert clock.now == pytest.approx(107.0)


def test_a_stop_undoes_the_turn_that_waits():
    clock = Clock()
    pace, undone = Pace(1.0, clock, clock.sleep), []
    assert pace.turn()
    clock.stopped = True
    assert not pace.turn(lambda: True, lambda: undone.append(1))
    assert undone == [1]


# -- the journal ------------------------------------------------------------------------------

SETTINGS = {"inputs": "abc", "batch": 8}


def test_the_journal_remembers_what_was_sent_and_answered(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, SETTINGS) as journal:
        for call in range(5):
            journal.sent(call)
        journal.answers(0, [{"label": "é\ud800"}])
        journal.failed(1)
        journal.unsent(2)
        journal.answers(3, [{"invalid": "timeout"}])
    with Journal(path, SETTINGS) as journal:
        assert journal.requests == 4
        assert journal.answered == {0, 3}
        assert journal.in_flight == {4}
        journal.sent(3)
        journal.failed(3)
        journal.sent(3)
        journal.answers(3, [{"label": "b"}])
        assert [call for call, _ in journal.outputs()] == [0, 3, 3]
        assert list(journal.outputs())[-1] == (3, [{"label": "b"}])


def test_a_torn_last_line_is_dropped(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.sent(0)
        journal.answers(0, [{"label": "a" * 200_000}])
        journal.sent(1)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"sent":')
    with Journal(path, SETTINGS) as journal:
        assert journal.requests == 2
    assert path.read_bytes() == whole
    path.write_bytes(whole[: len(whole) - 100_000])
    with Journal(path, SETTINGS) as journal:
        assert journal.in_flight == {0}


def test_a_journal_of_other_settings_is_refused(tmp_path):
    with Journal(tmp_path / "j", SETTINGS) as journal:
        journal.sent(0)
    with pytest.raises(UsageError) as error:
        Journal(tmp_path / "j", SETTINGS | {"batch": 16})
    assert str(error.value) == (
        f"{tmp_path} holds a replay with another batch (8, now 16): go on with the same settings, "
        "or choose another --out"
    )


def test_a_plan_alone_leaves_no_journal(tmp_path):
    Journal(tmp_path / "j", SETTINGS).close()
    assert not (tmp_path / "j").exists()


def test_one_process_at_a_time(tmp_path):
    with (
        Journal(tmp_path / "j", SETTINGS),
        pytest.raises(StoreError, match="another nibai process"),
    ):
        Journal(tmp_path / "j", SETTINGS)


@pytest.mark.parametrize("content", ["[1]\n", '{"other": 1}\n'])
def test_a_file_that_is_no_journal_is_refused(tmp_path, content):
    (tmp_path / "j").write_text(content)
    with pytest.raises(UsageError, match="no journal"):
        Journal(tmp_path / "j", SETTINGS)


# -- sending ----------------------------------------------------------------------------------


class Scripted:
    """A target that answers, or raises what the script says for each of its requests."""

    def __init__(self, script=()):
        self.script = list(script)
        self.sent = []
        self.lock = threading.Lock()

    def send(self, inputs):
        with self.lock:
            self.sent.append([one.request_id for one in inputs])
            step = self.script.pop(0) if self.script else None
        if isinstance(step, BaseException):
            raise step
        if callable(step):
            return step(inputs)
        return [Answer({"label": one.request_id}) for one in inputs]


def reading(answer):
    return {"invalid": answer.invalid} if answer.invalid else dict(answer.payload)


def inputs(n):
    return [ReplayInput(f"r{i}", f"h{i}", {"x": i}) for i in range(n)]


def run(tmp_path, old, new, *, n=8, profile=None, limits=None, interval=0.0):
    """One run with one thread; (progress, journal, clock)."""
    profile = profile or Profile(2, 2, 1)
    clock, stop = Clock(), threading.Event()
    journal = Journal(tmp_path / "journal.jsonl", {})

    def sleep(seconds):
        clock.sleep(seconds)
        return stop.is_set()

    runner = Runner(
        inputs(n),
        dict(zip(VARIANTS, (old, new), strict=True)),
        reading=reading,
        journal=journal,
        pace=Pace(interval, clock, sleep),
        limits=limits or Limits(1000),
        stop=stop,
        sleep=sleep,
    )
    try:
        runner.run(calls(n, profile), profile.concurrency, lambda _: None)
    finally:
        journal.close()
    return runner.progress, journal, clock


def test_everything_is_sent_once(tmp_path):
    old, new = Scripted(), Scripted()
    progress, journal, _ = run(tmp_path, old, new)
    assert progress.stop is None
    assert progress.answered == journal.requests == 16
    for target in (old, new):
        assert set(Counter(i for sent in target.sent for i in sent).values()) == {2}
    again = Scripted()
    run(tmp_path, again, again)
    assert again.sent == []


def test_what_fails_for_a_while_is_tried_again_and_counted(tmp_path):
    wait = ThrottledError("busy", retry_after_seconds=9.0)
    down = CollectError("down", retryable=True, reason="http_503")
    progress, journal, clock = run(tmp_path, Scripted([wait, down, down]), Scripted())
    assert progress.stop is None
    assert progress.failures == {"throttled": 1, "http_503": 2}
    assert journal.requests == progress.tries == 16 + 3
    assert clock.now >= 109.0


def test_what_keeps_failing_is_an_invalid_answer_and_never_dropped(tmp_path):
    down = CollectError("down", retryable=True, reason="timeout")
    bad = CollectError("bad request", reason="http_400")
    progress, journal, _ = run(
        tmp_path, Scripted([down] * 3 + [bad]), Scripted(), limits=Limits(99, 2)
    )
    assert progress.stop is None
    assert journal.requests == 16 + 2
    found = [o.get("invalid") for _, outputs in journal.outputs() for o in outputs]
    assert Counter(found) == {None: 28, "timeout": 2, "http_400": 2}


def test_the_budget_holds_with_retries_and_over_runs(tmp_path):
    down = CollectError("down", retryable=True, reason="http_500")
    progress, journal, _ = run(tmp_path, Scripted([down] * 3), Scripted(), limits=Limits(10))
    assert (progress.stop, journal.requests) == (Stop.BUDGET, 10)
    assert progress.reason == "the budget of 10 requests is spent"
    progress, journal, _ = run(tmp_path, Scripted(), Scripted(), limits=Limits(10))
    assert (progress.stop, journal.requests, progress.tries) == (Stop.BUDGET, 10, 0)
    progress, journal, _ = run(tmp_path, Scripted(), Scripted(), limits=Limits(30))
    assert (progress.stop, journal.requests) == (None, 19)


def test_a_variant_that_only_fails_ends_the_run_and_is_sent_again(tmp_path):
    bad = CollectError("bad", reason="http_404")
    progress, journal, _ = run(tmp_path, Scripted(), Scripted([bad] * 99), limits=Limits(99, 2, 3))
    assert progress.stop is Stop.FAILING
    assert (
        progress.reason == "candidate: 3 requests in a row without one valid answer (http_404): bad"
    )
    assert not [o for _, outputs in journal.outputs() for o in outputs if "invalid" in o]
    progress, journal, _ = run(tmp_path, Scripted(), Scripted(), limits=Limits(99))
    assert progress.stop is None
    assert len(journal.answered) == 16


def test_give_up_after_0_never_ends_the_run(tmp_path):
    bad = CollectError("bad", reason="http_404")
    progress, journal, _ = run(tmp_path, Scripted(), Scripted([bad] * 99), limits=Limits(99, 2, 0))
    assert progress.stop is None
    assert len(journal.answered) == 16


def test_refused_credentials_end_the_run_at_once(tmp_path):
    progress, journal, _ = run(tmp_path, Scripted([AuthError("HTTP 401")]), Scripted())
    assert (progress.stop, progress.reason) == (Stop.REFUSED, "baseline: HTTP 401")
    assert not journal.in_flight


def test_a_rest_of_hours_ends_the_run(tmp_path):
    wait = ThrottledError("HTTP 429", retry_after_seconds=LONGEST_REST_SECONDS + 1)
    progress, _, clock = run(tmp_path, Scripted([wait]), Scripted())
    assert progress.stop is Stop.THROTTLED
    assert clock.now < 200


def test_an_interrupt_keeps_what_was_answered(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Scripted([None, None, KeyboardInterrupt()]), Scripted())
    progress, journal, _ = run(tmp_path, Scripted(), Scripted())
    assert progress.stop is None
    assert len(journal.answered | journal.in_flight) == 16


def test_a_target_that_miscounts_is_a_broken_plug_in(tmp_path):
    with pytest.raises(PluginError, match="0 answers to 2 inputs"):
        run(tmp_path, Scripted([lambda _: []]), Scripted())


# -- the tables -------------------------------------------------------------------------------


def test_pairs_and_noise_hold_what_was_sent_and_say_what_was_lost():
    profile = Profile(2, 1, 1)
    every = list(calls(4, profile))
    place = {(c.variant, c.repeat, c.inputs[0]): c.number for c in every}
    unsent, lost = place["candidate", 1, 0], place["candidate", 0, 1]
    known = [
        (c.number, [{"answer": f"{c.variant[0]}{c.repeat}", "score": 0.5, "margin": 0.1}])
        for c in every
        if c.number not in {unsent, lost, place["candidate", 0, 2]}
    ]
    known.append((place["candidate", 0, 2], [{"invalid": "timeout"}]))
    one = [ReplayInput(f"r{i}", f"h{i}", i, "de" if i else "", "b0") for i in range(4)]
    found = tables(one, gather(every, known, {lost}, 4, profile), profile)
    assert found.lost == 1
    rows = found.pairs.to_pylist()
    assert rows[0] == {
        "request_id": "r0", "input_hash": "h0", "segment": None, "label": "b0", "batch": 1,
        "baseline": "b0", "candidate": "c0", "margin": 0.1, "baseline_score": 0.5,
        "candidate_score": 0.5, "baseline_invalid": None, "candidate_invalid": None,
        "baseline_finish": None, "candidate_finish": None,
    }  # fmt: skip
    assert (rows[1]["candidate"], rows[1]["candidate_invalid"]) == (None, None)
    assert (rows[2]["candidate"], rows[2]["candidate_invalid"]) == (None, "timeout")
    noise = [(r["variant"], r["baseline"], r["candidate"]) for r in found.noise.to_pylist()]
    assert Counter(noise) == {
        ("baseline", "b0", "b1"): 4, ("candidate", "c0", "c1"): 1, ("candidate", None, "c1"): 2,
    }  # fmt: skip


def test_further_repeats_are_further_requests_with_the_same_input():
    profile = Profile(3, 1, 1)
    every = list(calls(1, profile))
    known = [(c.number, [{"answer": f"{c.repeat}"}]) for c in every]
    found = tables([ReplayInput("r", "h", 0)], gather(every, known, (), 1, profile), profile)
    rows = [(r["request_id"], r["baseline"], r["candidate"]) for r in found.pairs.to_pylist()]
    assert rows == [("r", "0", "0"), ("r#2", "1", "1")]
    rows = [(r["request_id"], r["baseline"], r["candidate"]) for r in found.noise.to_pylist()]
    assert rows == [("r", "0", "1"), ("r#2", "1", "2")] * 2
