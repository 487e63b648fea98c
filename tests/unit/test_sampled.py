"""Sampled decoding on known truth: several answers per prompt, one effect over prompts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nibai.stats import sampled
from nibai.stats.sampled import sampled_effect
from nibai.texts.samples import MAX_SAMPLES, answer_distances

VOCABULARY = [f"w{i}" for i in range(12)]


def answers(rng, weights, k):
    return [" ".join(rng.choice(VOCABULARY, size=6, p=weights)) for _ in range(k)]


def prompts(rng, n, k, drift=0.0):
    """Matrices of n prompts; `drift` of the candidate's words come from another distribution."""
    matrices = []
    for _ in range(n):
        old = rng.dirichlet(np.full(len(VOCABULARY), 0.5))
        new = (1 - drift) * old + drift * rng.dirichlet(np.full(len(VOCABULARY), 0.5))
        matrices.append(answer_distances(answers(rng, old, k), answers(rng, new / new.sum(), k)))
    return matrices, [k] * n


def test_unchanged_sampling_is_rejected_as_often_as_it_says(monkeypatch):
    # 100 repetitions at 5 %: the standard error is 2.2 points.
    monkeypatch.setattr(sampled, "SHUFFLES", 99)
    rng = np.random.default_rng(8)
    found = [sampled_effect(*prompts(rng, 8, 3), rng) for _ in range(100)]
    assert np.mean([one.p <= 0.05 for one in found]) <= 0.12
    assert np.mean([one.p <= 0.5 for one in found]) == pytest.approx(0.5, abs=0.15)
    assert np.mean([one.low <= 0 <= one.high for one in found]) > 0.88


def test_a_changed_sampler_is_seen():
    rng = np.random.default_rng(9)
    found = sampled_effect(*prompts(rng, 60, 4, drift=0.6), rng)
    assert found.p == 0.001
    assert found.low > 0
    assert found.prompts == 60
    assert 0 < found.effect < found.within


def test_prompts_of_other_numbers_of_answers_go_together():
    rng = np.random.default_rng(10)
    many, few = prompts(rng, 5, 4), prompts(rng, 5, 2)
    lone = answer_distances(["a"], ["b", "c"])
    found = sampled_effect([*many[0], *few[0], lone], [*many[1], *few[1], 1], rng)
    assert found.prompts == 10  # one answer of a variant tells nothing about its noise


def test_the_effect_of_known_distances():
    # Between 1, within 0: 2 x 1 - 0 - 0.
    apart = np.kron(1 - np.eye(2), np.ones((3, 3)))
    found = sampled_effect([apart], [3], np.random.default_rng(1))
    assert found.effect == 2.0
    assert found.within == 0.0
    assert found.high == math.inf
    # 2 of the 20 splits of one prompt reach it.
    assert found.p == pytest.approx(0.1, abs=0.03)


def test_nothing_to_compare_is_no_effect():
    assert sampled_effect([], [], np.random.default_rng(1)) is None
    assert sampled_effect([np.zeros((2, 2))], [1], np.random.default_rng(1)) is None


def test_distances_are_those_of_tokens_and_capped_in_number():
    found = answer_distances(["a  b", "a b"], ["a c"])
    assert found.tolist() == [[0, 0, 0.5], [0, 0, 0.5], [0.5, 0.5, 0]]
    assert answer_distances(["x"] * 50, ["y"]).shape == (MAX_SAMPLES + 1, MAX_SAMPLES + 1)
