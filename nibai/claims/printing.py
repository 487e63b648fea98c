"""Claims as sentences that parse to the same claims again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from nibai.claims.parser import quoted
from nibai.model import Claim, Promise, Sentence

LONGEST_NAME = 64
"""Signs of a name; longer ones end in a digest of the whole, and those that would lose a sign of a
segment that another one may differ by."""


def print_claim(claim: Claim) -> str:
    """The claim as a sentence part that parses to the same claim again.

    >>> from nibai.claims import parse
    >>> print_claim(parse("ttft no more than 5 % slower at p99 for tenant=acme").parts[0])
    'ttft no more than 5% slower at p99 for tenant=acme'
    """
    words = [claim.metric] if claim.metric_named else []
    words.append(_PRINT[claim.promise](claim.amount))
    if claim.margin or not claim.margin_assumed:
        words.append(f"within {_percent(claim.margin)}%")
    if claim.quantile is not None:
        words.append(f"at {quantile_label(claim.quantile)}")
    if claim.segment is not None:
        words.append(f"for {'='.join(map(quoted, claim.segment))}")
    if claim.raw:
        words.append("raw")
    return " ".join(words)


def print_sentence(parts: Sequence[Claim]) -> str:
    """The parts as one sentence that parses to them again, quantiles of one promise together.

    >>> from nibai.claims import parse
    >>> print_sentence(parse("2x faster, same predictions within 2 %").parts)
    '2x faster at p50, p90 and p99, same predictions within 2%'
    """
    groups: list[list[Claim]] = []
    for part in parts:
        same = groups and replace(groups[-1][0], quantile=None) == replace(part, quantile=None)
        if same and part.quantile is not None:
            groups[-1].append(part)
        else:
            groups.append([part])
    return ", ".join(_print_group(group) for group in groups)


def claim_name(sentence: Sentence) -> str:
    """A stable name of a sentence for labels: the same promises have the same one, others another.

    >>> from nibai.claims import parse
    >>> claim_name(parse("2x faster at p50 and p99.9"))
    '2x-faster-at-p50-and-p99.9'
    >>> claim_name(parse("2x faster at p50 for model=chat"))
    '2x-faster-at-p50-for-model-chat'
    >>> [claim_name(parse(f"2x faster at p50 for model={name}")) for name in ("Chat", "猫")]
    ['2x-faster-at-p50-for-model-chat-ce229a38', '2x-faster-at-p50-for-model-21dabe1d']
    """
    text = print_sentence(sentence.parts)
    name = as_label(text)
    if len(name) <= LONGEST_NAME and all(_is_told_by_its_label(part) for part in sentence.parts):
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9].rstrip('-.')}-{digest}"


def _is_told_by_its_label(claim: Claim) -> bool:
    if claim.segment is None:
        return True
    name, value = claim.segment
    return re.fullmatch(r"[a-z0-9_]+", name) is not None and (
        re.fullmatch(r"[a-z0-9.]*[a-z0-9]", value) is not None
    )


def as_label(text: str) -> str:
    """A text in the signs that a name is made of.

    >>> as_label("no more than 5% slower for model=Chat 7B")
    'no-more-than-5pct-slower-for-model-chat-7b'
    """
    return re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("%", "pct")).strip("-.")


def _print_group(group: Sequence[Claim]) -> str:
    labels = [quantile_label(part.quantile) for part in group if part.quantile is not None]
    text = print_claim(group[0])
    if len(labels) < 2:  # noqa: PLR2004 - one quantile is there already
        return text
    several = f"{', '.join(labels[:-1])} and {labels[-1]}"
    return text.replace(f" at {labels[0]}", f" at {several}", 1)


def quantile_label(quantile: float) -> str:
    """The usual name of a quantile.

    >>> quantile_label(0.5), quantile_label(0.999)
    ('p50', 'p99.9')
    """
    return f"p{_number(quantile * 100)}"


def _number(value: float) -> str:
    return format(Decimal(f"{value:.10g}"), "f")


def _percent(share: float) -> str:
    return _number(share * 100)


_PRINT: dict[Promise, Callable[[float], str]] = {
    Promise.FASTER: lambda ratio: f"{_number(ratio)}x faster",
    Promise.NO_SLOWER: lambda share: (
        f"no more than {_percent(share)}% slower" if share else "not slower"
    ),
    Promise.THROUGHPUT: lambda ratio: f"{_number(ratio)}x more throughput",
    Promise.CHEAPER: lambda ratio: f"{_number(ratio)}x cheaper",
    Promise.COST_AT_MOST: lambda ratio: f"cost at most {_number(ratio)}x",
    Promise.ERRORS: lambda share: f"errors up at most {_percent(share)}pp",
    Promise.SAME_PREDICTIONS: lambda _: "same predictions",
    Promise.SAME_OUTPUT_MIX: lambda _: "same output mix",
    Promise.ACCURACY: lambda share: f"accuracy down at most {_percent(share)}pp",
    Promise.SAME_JSON_VALIDITY: lambda _: "same JSON validity",
}
