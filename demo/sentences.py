"""What an audit found, a sentence for each promise about predictions: speed and answers together.

One sentence speaks of one batch profile; another profile has a sentence of its own.
"""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def joint_sentences(document: Document) -> list[str]:
    """A line for every promise of an audit document that speaks of predictions."""
    said = []
    for number, sentence in enumerate(document["sentences"]):
        claims = [claim for claim in document["claims"] if claim["sentence"] == number]
        answers = [claim for claim in claims if claim["promise"] == "same_predictions"]
        if not answers:
            continue
        facts = [*_speed(claims), *_answers(answers[0])]
        said.append("; ".join([*facts, f"“{sentence['text']}”: {_verdict(sentence)}"]))
    return said


def _speed(claims: list[Document]) -> list[str]:
    """The least of the measured ratios."""
    known = [
        claim
        for claim in claims
        if claim["promise"] == "faster" and _bounds(claim["estimate"]) is not None
    ]
    if not known:
        return []
    least = min(known, key=lambda claim: float(claim["estimate"]["value"]))
    value, low, high = _bounds(least["estimate"]) or (0.0, 0.0, 0.0)
    if low >= 1:
        interval = f"[{low:.2f}, {high:.2f}]"
    elif high <= 1:
        interval = f"[{1 / high:.2f}, {1 / low:.2f}]"
    else:
        interval = f"[{_times(low)} to {_times(high)}]"
    return [f"{_times(value)} at p{least['quantile'] * 100:g} {interval}"]


def _times(ratio: float) -> str:
    return f"{ratio:.2f}x faster" if ratio >= 1 else f"{1 / ratio:.2f}x slower"


def _answers(claim: Document) -> list[str]:
    """How many answers changed and, where both were asked twice, contradicted themselves."""
    found = claim["evidence"]["predictions"]
    if found is None:
        return []
    batch = f"at {claim['segment'].replace('=', ' ')} " if claim["segment"] else ""
    said = []
    flips = _bounds(found["flips"])
    if flips is not None:
        value, low, high = (100 * one for one in flips)
        said.append(f"{batch}{value:.1f}% of answers changed [{low:.1f}, {high:.1f}]")
    old, new = found["floor_old"], found["floor_new"]
    if old is not None and new is not None:
        said.append(
            f"the new variant disagrees with itself on {_share(new)} of answers (the old on "
            f"{_share(old)})"
        )
    return said


def _bounds(estimate: Document | None) -> tuple[float, float, float] | None:
    if estimate is None:
        return None
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    return None if None in (value, low, high) else (value, low, high)


def _share(rate: Document) -> str:
    return f"{100 * rate['hits'] / rate['n']:.1f}%" if rate["n"] else "?"


def _verdict(sentence: Document) -> str:
    return str(sentence["verdict"]).replace("_", " ").upper()
