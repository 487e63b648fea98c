"""What every registered analyzer owes, whatever its question is."""

from dataclasses import replace

import numpy as np
import pytest
from support import comparisons
from support.comparisons import Given, live, lognormal, runs, swapped
from support.pairs import Pairs, sample
from support.past import hour_pair, traffic
from support.spending import priced

from nibai import plugins
from nibai.audit import run_audit
from nibai.conventions import NOT_MEASURED
from nibai.model import ReasonCode, Side, Verdict
from nibai.protocols import Analyzer

RENDERERS = [entry.name for entry in plugins.registered("nibai.renderers")]
NAMES = [entry.name for entry in plugins.registered("nibai.analyzers")]

# A claim that is false on unchanged data, and one that is true of a candidate twice as good.
BIG = {
    "speedup": "2x faster at p50, p90 and p99",
    "errors": None,
    "throughput": "2x more throughput",
    "predictions": None,
    "cost": "2x cheaper",
}
ANY = {
    "speedup": "no more than 5% slower at p50, p90 and p99",
    "errors": "errors up at most 0.1pp",
    "throughput": "1.1x more throughput",
    "predictions": "same predictions within 2%",
    "cost": "cost at most 1.1x",
}


def change(*claims):
    """A change whose sides cost the same."""
    return priced(comparisons.change(*claims), (1.0, 1.0), (1, 1))


@pytest.fixture(params=NAMES)
def named(request):
    return request.param, plugins.load("nibai.analyzers", request.param)


def unchanged(seed, n=6000):
    """The same system twice: live, and as six runs per side."""
    draws = [lognormal(seed * 100 + i, n // 6) for i in range(12)]
    flips = np.random.default_rng(seed).binomial(n, 0.03, 3).tolist()
    pairs = sample(n, flips[0], old=(n, flips[1]), new=(n, flips[2]))
    yield Pairs(pairs, latency=live(lognormal(seed, n), lognormal(seed + 50, n)))
    yield Given(latency=runs(draws[:6], draws[6:], matched=True))


def test_it_is_an_analyzer(named):
    assert isinstance(named[1], Analyzer)


def test_it_answers_exactly_its_own_parts(named):
    name, analyzer = named
    everything = change(*ANY.values())
    findings = analyzer.analyze(everything, next(unchanged(1)))
    own = change(ANY[name]).sentences[0].parts
    assert tuple(finding.claim for finding in findings) == own
    assert all(finding.analyzer == name for finding in findings)


@pytest.mark.parametrize("seed", range(5))
def test_unchanged_data_never_confirm_a_big_claim(named, seed):
    name, analyzer = named
    if BIG[name] is None:
        pytest.skip("nothing to win in this question")
    for windows in unchanged(seed):
        for finding in analyzer.analyze(change(BIG[name]), windows):
            assert finding.verdict is not Verdict.CONFIRMED, finding.reason


@pytest.mark.parametrize("seed", range(5))
def test_unchanged_data_are_not_refuted_for_getting_worse(named, seed):
    name, analyzer = named
    claim = {**ANY, "throughput": "0.9x more throughput"}[name]
    for windows in unchanged(seed):
        for finding in analyzer.analyze(change(claim), windows):
            assert finding.verdict is not Verdict.REFUTED, finding.reason


def test_swapping_the_sides_inverts_every_raw_ratio_exactly(named):
    name, analyzer = named
    comparison = live(lognormal(1, 5000), lognormal(2, 5000, median=0.04))
    one = analyzer.analyze(change(ANY[name]), Given(latency=comparison))
    other = analyzer.analyze(change(ANY[name]), Given(latency=swapped(comparison)))
    for a, b in zip(one, other, strict=True):
        if a.evidence.raw_ratio is not None:
            assert a.evidence.raw_ratio * b.evidence.raw_ratio == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_thin_data_are_inconclusive_with_a_reason(named, n):
    name, analyzer = named
    for comparison in (
        live(lognormal(1, n), lognormal(2, n)),
        runs([lognormal(1, n)] * 2, [lognormal(2, n)] * 2),
    ):
        pairs = sample(n, 0, old=(n, 0), new=(n, 0))
        for finding in analyzer.analyze(change(ANY[name]), Pairs(pairs, latency=comparison)):
            assert finding.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE)
            assert len(finding.reason.text) > 10


def test_no_data_is_a_reason(named):
    name, analyzer = named
    findings = analyzer.analyze(change(ANY[name]), Given())
    assert {finding.reason.code for finding in findings} == {ReasonCode.NO_DATA}


def test_one_empty_side_is_no_data(named):
    name, analyzer = named
    comparison = live(lognormal(1, 4000), np.zeros(0))
    for finding in analyzer.analyze(change(ANY[name]), Given(latency=comparison)):
        assert finding.verdict is not Verdict.CONFIRMED
        assert finding.reason.code in (ReasonCode.NO_DATA, ReasonCode.SIDES_DIFFER)


def test_splitting_a_replica_and_adding_it_up_changes_nothing(named):
    name, analyzer = named
    values = lognormal(3, 9600)
    whole = live(values, lognormal(4, 9600))
    parts = []
    for start in (0, 1):
        part = live(values[start::2], values).baseline.replicas[0]
        parts.append(replace(part, name=f"r{start}"))
    split = replace(whole, baseline=Side("before", tuple(parts)))
    for a, b in zip(
        analyzer.analyze(change(ANY[name]), Given(latency=whole)),
        analyzer.analyze(change(ANY[name]), Given(latency=split)),
        strict=True,
    ):
        assert a.verdict is b.verdict
        if a.estimate is not None and a.estimate.value is not None:
            assert b.estimate.value == pytest.approx(a.estimate.value, rel=1e-9)


@pytest.mark.usefixtures("undrawn")
def test_every_verdict_prints_its_measured_error_rate_or_that_there_is_none(named):
    name, analyzer = named
    hour = hour_pair(*traffic(1, rate=30.0))
    for windows in (*unchanged(2), Given(latency=hour), Given()):
        audit = run_audit(
            change(ANY[name], "2x cheaper"), windows, {name: analyzer},
            audit_id="a1", created_at=1.75e9, version="0.0.0",
        )  # fmt: skip
        for finding in audit.findings:
            measured = finding.evidence.false_positive_rate is not None
            assert measured != (NOT_MEASURED in finding.evidence.notes)
        for shown in RENDERERS:
            text = plugins.load("nibai.renderers", shown).render(audit)
            assert text.count("How often this judge was wrong here") >= len(audit.sentences)
            assert "A/A: not measured" in text or "past windows (" in text
