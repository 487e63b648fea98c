"""A claim sentence read word by word; the grammar stands in `nibai.claims`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from nibai.conventions import DEFAULT_QUANTILES
from nibai.errors import UsageError
from nibai.model import Claim, Promise, Sentence

_A_PROMISE = "a promise such as “2x faster”, “not slower” or “errors up at most 0.1pp”"

EXAMPLES = (
    "2x faster at p50 and p99",
    "ttft no more than 5% slower at p99 for model=chat",
    "1.5x faster within 5%, errors up at most 0.1pp",
)

_TOKEN = re.compile(
    r'"(?:[^"]|"")*"|\d+(?:\.\d+)?\s*(?:pp|%|[x×](?![a-z0-9_-]))|[,=]|[^\s,="]+', re.IGNORECASE
)
_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*(pp|%|x|×)", re.IGNORECASE)
_METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")
_LARGEST = 1e9
_DECIMALS = 10
"""Of a quantile, and digits of any number: as many as are printed."""
_SPEED = (Promise.FASTER, Promise.NO_SLOWER)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int

    @property
    def word(self) -> str:
        return self.text.lower()


def parse(text: str, *, default_metric: str = "latency") -> Sentence:
    """Read one claim sentence; UsageError points at the word that does not fit.

    >>> from nibai.claims import print_claim
    >>> [print_claim(part) for part in parse("2x faster at p50 and p99, not slower at p99.9").parts]
    ['2x faster at p50', '2x faster at p99', 'not slower at p99.9']
    """
    return Sentence(text.strip(), tuple(_Parser(text, default_metric).sentence()))


class _Parser:
    """Recursive descent over the words of one sentence."""

    def __init__(self, text: str, default_metric: str) -> None:
        self.text = text
        self.default_metric = default_metric
        self.tokens = [_Token(match.group(), match.start()) for match in _TOKEN.finditer(text)]
        self.at = 0

    def sentence(self) -> list[Claim]:
        if not self.tokens:
            self.fail(_A_PROMISE)
        claims = self.part()
        while self.at < len(self.tokens):
            if not self.accept(",", "and"):
                self.fail("“,” or “and”, or one of “within”, “at”, “for”, “raw”")
            self.accept("and")
            claims += self.part()
        return claims

    def part(self) -> list[Claim]:
        metric = self.metric()
        promise, amount = self.promise()
        claim = Claim(
            promise, amount, metric=metric or self.default_metric, metric_named=metric is not None
        )
        quantiles: Sequence[float] | None = None
        seen: set[str] = set()
        while (word := self.accept("within", "at", "for", "raw")) is not None:
            if word in seen:
                self.at -= 1
                self.fail(f"only one “{word}” in a part")
            seen.add(word)
            if word == "within":
                claim = replace(claim, margin=self.amount("%") / 100, margin_assumed=False)
            elif word == "at":
                quantiles = self.quantiles(promise)
            elif word == "raw":
                claim = replace(claim, raw=self.raw(promise))
            else:
                claim = replace(claim, segment=self.segment())
        if promise not in _SPEED:
            return [claim]
        return [replace(claim, quantile=quantile) for quantile in quantiles or DEFAULT_QUANTILES]

    def metric(self) -> str | None:
        token = self.peek()
        if token is None or not _METRIC.fullmatch(token.text) or token.word in _NO_METRICS:
            return None
        # A metric is followed by a promise; otherwise the word itself is what is wrong.
        following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        if following is None or not _starts_promise(following):
            return None
        if _QUANTILE.fullmatch(token.text) or token.word == "median":
            self.fail("the quantile after the promise, such as “2x faster at p99”")
        self.at += 1
        return token.text

    def promise(self) -> tuple[Promise, float]:
        token = self.peek()
        if token is None:
            self.fail(_A_PROMISE)
        if _NUMBER.fullmatch(token.text):
            return self.numeric_promise()
        for phrase, unit, promise, factor in _PHRASES:
            if token.word == phrase[0]:
                for word in phrase:
                    self.expect(word)
                amount = self.amount(unit) * factor if unit else 0.0
                if promise is Promise.NO_SLOWER and unit:
                    self.expect("slower")
                return promise, amount
        if token.word == "same":
            return self.same(), 0.0
        bare_number = re.fullmatch(r"\d+(\.\d+)?", token.text)
        return self.fail(f"“{token.text}x” or “{token.text}%”" if bare_number else _A_PROMISE)

    def numeric_promise(self) -> tuple[Promise, float]:
        token = self.tokens[self.at]
        number, unit = self.number(token)
        self.at += 1
        if unit == "pp":
            self.at -= 1
            self.fail("“x” or “%” after the number")
        if number <= 0:
            self.at -= 1
            self.fail("a number above 0")
        if unit == "%":
            self.expect("faster")
            return Promise.FASTER, _printable(1 + number / 100)
        word = self.accept("faster", "cheaper", "more")
        if word is None:
            self.fail(f"“faster”, “cheaper” or “more throughput” after “{token.text}”")
        if word == "more":
            self.expect("throughput")
        return {
            "faster": Promise.FASTER,
            "cheaper": Promise.CHEAPER,
            "more": Promise.THROUGHPUT,
        }[word], number

    def same(self) -> Promise:
        self.expect("same")
        word = self.accept("predictions", "output", "json")
        if word is None:
            self.fail("“predictions”, “output mix” or “JSON validity” after “same”")
        if word == "output":
            self.expect("mix")
            return Promise.SAME_OUTPUT_MIX
        if word == "json":
            self.expect("validity")
            return Promise.SAME_JSON_VALIDITY
        return Promise.SAME_PREDICTIONS

    def quantiles(self, promise: Promise) -> list[float]:
        if promise not in _SPEED:
            self.at -= 1
            self.fail("no quantile: only a speed promise has one")
        found = [self.quantile()]
        while (token := self.peek()) is not None and token.word in (",", "and"):
            step = 2 if token.word == "," and self.word_at(1) == "and" else 1
            following = self.word_at(step)
            if following is None or not _is_quantile(following):
                break
            self.at += step
            found.append(self.quantile())
        return found

    def quantile(self) -> float:
        token = self.peek()
        if token is None or not _is_quantile(token.word):
            self.fail("a quantile such as p50, p99 or p99.9")
        self.at += 1
        match = _QUANTILE.fullmatch(token.text)
        value = round(float(match.group(1)) / 100 if match else 0.5, _DECIMALS)
        if not 0 < value < 1:
            self.at -= 1
            self.fail("a quantile between p0 and p100, both excluded")
        return value

    def raw(self, promise: Promise) -> bool:
        if promise not in _SPEED:
            self.at -= 1
            self.fail("no “raw”: only a speed promise is adjusted for the mix")
        return True

    def segment(self) -> tuple[str, str]:
        name = self.take("a segment such as model=chat")
        self.expect("=")
        return _unquoted(name.text), _unquoted(self.take("the segment's value").text)

    def amount(self, unit: str) -> float:
        token = self.peek()
        if token is None or not _NUMBER.fullmatch(token.text):
            self.fail(f"a number with “{unit}”, such as {_SAMPLE[unit]}")
        number, found = self.number(token)
        if found != unit:
            self.fail(f"a number with “{unit}”, such as {_SAMPLE[unit]}")
        self.at += 1
        return number

    def number(self, token: _Token) -> tuple[float, str]:
        match = _NUMBER.fullmatch(token.text)
        assert match is not None  # noqa: S101 - every caller has matched it already
        number = _printable(float(match.group(1)))
        if number >= _LARGEST:
            self.fail("a number below a thousand million")
        return number, match.group(2).lower().replace("×", "x")

    # -- words ----------------------------------------------------------------------------
    def peek(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def word_at(self, ahead: int) -> str | None:
        index = self.at + ahead
        return self.tokens[index].word if index < len(self.tokens) else None

    def accept(self, *words: str) -> str | None:
        token = self.peek()
        if token is None or token.word not in words:
            return None
        self.at += 1
        return token.word

    def expect(self, word: str) -> None:
        if self.accept(word) is None:
            self.fail(f"“{word}”")

    def take(self, expected: str) -> _Token:
        token = self.peek()
        if token is None or token.word in (",", "="):
            self.fail(expected)
        self.at += 1
        return token

    def fail(self, expected: str) -> NoReturn:
        token = self.peek()
        line = self.text.replace("\n", " ").replace("\t", " ")
        where = f"“{token.text}”" if token else "the end"
        start = token.start if token else len(line.rstrip())
        marks = "^" * (len(token.text) if token else 1)
        raise UsageError(
            f"cannot read the claim at {where}: expected {expected}\n"
            f"  {line}\n  {' ' * start}{marks}\n"
            "these parse:\n" + "\n".join(f"  {example}" for example in EXAMPLES)
        )


# (words, unit of the amount that follows, promise, factor to a share)
_PHRASES: tuple[tuple[tuple[str, ...], str | None, Promise, float], ...] = (
    (("no", "more", "than"), "%", Promise.NO_SLOWER, 0.01),
    (("not", "slower"), None, Promise.NO_SLOWER, 0.0),
    (("cost", "at", "most"), "x", Promise.COST_AT_MOST, 1.0),
    (("errors", "up", "at", "most"), "pp", Promise.ERRORS, 0.01),
    (("accuracy", "down", "at", "most"), "pp", Promise.ACCURACY, 0.01),
)
_PROMISE_WORDS = {phrase[0] for phrase, *_ in _PHRASES} | {"same"}
_NO_METRICS = {*_PROMISE_WORDS, "and", "at", "for", "raw", "within"}
_SAMPLE = {"%": "5%", "pp": "0.1pp", "x": "2x"}


def _starts_promise(token: _Token) -> bool:
    return token.word in _PROMISE_WORDS or _NUMBER.fullmatch(token.text) is not None


def _is_quantile(word: str) -> bool:
    return word == "median" or _QUANTILE.fullmatch(word) is not None


def _printable(number: float) -> float:
    return float(f"{number:.{_DECIMALS}g}")


def _unquoted(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def quoted(text: str) -> str:
    """A name or value as it is read again: in quotes unless it is one word of a sentence.

    >>> quoted("chat"), quoted("8 x"), quoted('the "new" one')
    ('chat', '"8 x"', '"the ""new"" one"')
    """
    word = _TOKEN.match(text)
    if word is not None and word.group() == text and text[0] not in ',="' and " " not in text:
        return text
    return '"' + text.replace('"', '""') + '"'
