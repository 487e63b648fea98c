"""Streams of pairs with a known truth, looked at again and again, or judged once."""

from collections import Counter

import numpy as np
from scipy.special import betaln

from analyzers.predictions import Predictions
from nibai.stats.discordant import Discordant
from nibai.stats.paired import Share
from support.pairs import Pairs, declared, sample


def peeked_misses(rng, *, share, pairs, repeats, alpha=0.05):
    """Shares of streams whose interval excluded the truth after any pair: (ours, Wilson's)."""
    n = np.arange(1, pairs + 1)
    k = (rng.random((repeats, pairs)) < share).cumsum(axis=1)
    mixture = betaln(0.5 + k, 0.5 + n - k) - betaln(0.5, 0.5)
    log_e = mixture - k * np.log(share) - (n - k) * np.log1p(-share)
    for row, at in ((0, 10), (repeats // 2, pairs // 2), (repeats - 1, pairs)):
        one = Share(int(k[row, at - 1]), at)
        assert np.isclose(one.log_e(share), log_e[row, at - 1], atol=1e-8)
    z = 1.959964
    value = k / n
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    ours = (log_e >= -np.log(alpha)).any(axis=1).mean()
    # Wilson gets a start of 30 pairs.
    theirs = (np.abs(centre - share) > half)[:, 29:].any(axis=1).mean()
    return float(ours), float(theirs)


def peeked_difference_misses(rng, *, plus, minus, pairs, step, repeats, alpha=0.05):
    """Share of streams whose interval of plus - minus excluded the truth at a look every `step`."""
    missed = 0
    for _ in range(repeats):
        outcomes = rng.multinomial(step, [plus, minus, 1 - plus - minus], size=pairs // step)
        won, lost, _ = outcomes.cumsum(axis=0).T
        missed += any(
            Discordant(step * (i + 1), int(won[i]), int(lost[i])).log_e(plus - minus)
            >= -np.log(alpha)
            for i in range(pairs // step)
        )
    return missed / repeats


def planted_verdicts(rng, rate, *, pairs, repeats, old=0.0, new=0.0, claim=None, **options):
    """Shares of verdicts where the variants differ on this share of inputs.

    `old` and `new` are true self-flip rates, not measured where a file is all there is (`raw`);
    `options` go to the sample, drawn anew where they are functions.
    """
    found = Counter()
    for _ in range(repeats):
        flips, own_old, own_new = (int(rng.binomial(pairs, p)) for p in (rate, old, new))
        floors = {} if options.get("raw") else {"old": (pairs, own_old), "new": (pairs, own_new)}
        given = floors | {
            name: made() if callable(made) else made for name, made in options.items()
        }
        one = sample(pairs, flips, **given)
        change = declared(claim or "same predictions within 2%")
        verdict = Predictions().analyze(change, Pairs(one))[0].verdict
        found[verdict.value] += 1
    return {
        name: found[name] / repeats
        for name in ("confirmed", "refuted", "inconclusive", "not_comparable")
    }
