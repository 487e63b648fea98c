"""Which answers of two streams belong together, and how many found no partner."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import median

from nibai.predictions import JoinReport, PredictionRecord

MATCH_WARNED = 0.9
"""Below this share of matched records a finding carries a warning."""

MATCH_NEEDED = 0.5
"""Below this share nothing is comparable."""

BY_REQUEST, BY_INPUT = "request id", "input hash"

LATE = "partner came too late"
ANONYMOUS = "neither request id nor input hash"


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Pairs, baseline first, in order of the baseline; and the answers that are left."""

    pairs: tuple[tuple[PredictionRecord, PredictionRecord], ...]
    alone: tuple[tuple[PredictionRecord, ...], tuple[PredictionRecord, ...]]
    report: JoinReport


def join(
    baseline: Iterable[PredictionRecord],
    candidate: Iterable[PredictionRecord],
    *,
    window_seconds: float = inf,
) -> Joined:
    """Pair two streams by request id, else by input hash; in both by `repeat` too.

    An input hash decides only where request ids match fewer than half of the smaller stream: then
    the ids of the two variants are not the same ids. The i-th answer to an input meets the i-th.
    Partners further apart than `window_seconds` are late: both count as missing. A second answer
    with the same id and repeat is a duplicate and left out.

    >>> old = [PredictionRecord("1", "", 0.0, label="cat"), PredictionRecord("2", "", 1.0)]
    >>> new = [PredictionRecord("1", "", 0.5, label="cow")]
    >>> found = join(old, new)
    >>> len(found.pairs), found.report.match_rate, found.report.skew_seconds
    (1, 1.0, 0.5)
    """
    sides = [_distinct(side) for side in (baseline, candidate)]
    requests = (len(sides[0].records), len(sides[1].records))
    matched = _match(sides, _request_key)
    key = BY_REQUEST
    if 2 * len(matched.pairs) < min(requests):
        by_input = _match(sides, _input_key)
        if len(by_input.pairs) > len(matched.pairs):
            matched, key = by_input, BY_INPUT
    near = [pair for pair in matched.pairs if _apart(pair) <= window_seconds]
    late = [pair for pair in matched.pairs if _apart(pair) > window_seconds]
    counts = Counter(
        {
            LATE: len(late),
            ANONYMOUS: sum(not record.key for side in sides for record in side.records),
        }
    )
    skews = [b.at - a.at for a, b in near if isfinite(a.at) and isfinite(b.at)]
    report = JoinReport(
        key=key,
        requests=requests,
        matched=len(near),
        duplicates=(sides[0].duplicates, sides[1].duplicates),
        quarantined={name: count for name, count in counts.items() if count},
        skew_seconds=median(skews) if skews else None,
    )
    alone = (
        (*matched.alone[0], *(a for a, _ in late)),
        (*matched.alone[1], *(b for _, b in late)),
    )
    return Joined(tuple(near), alone, report)


@dataclass(frozen=True, slots=True)
class _Side:
    records: Sequence[PredictionRecord]
    duplicates: int


@dataclass(frozen=True, slots=True)
class _Matched:
    pairs: list[tuple[PredictionRecord, PredictionRecord]]
    alone: tuple[list[PredictionRecord], list[PredictionRecord]]


def _distinct(records: Iterable[PredictionRecord]) -> _Side:
    """In order of time, without second answers to one request."""
    kept: list[PredictionRecord] = []
    seen: set[Hashable] = set()
    duplicates = 0
    for record in sorted(records, key=lambda one: one.at if isfinite(one.at) else inf):
        key = _request_key(record)
        if key is not None and key in seen:
            duplicates += 1
            continue
        seen.add(key)
        kept.append(record)
    return _Side(kept, duplicates)


def _request_key(record: PredictionRecord) -> Hashable | None:
    return (record.request_id, record.repeat) if record.request_id else None


def _input_key(record: PredictionRecord) -> Hashable | None:
    return (record.input_hash, record.repeat) if record.input_hash else None


def _match(sides: Sequence[_Side], key: Callable[[PredictionRecord], Hashable | None]) -> _Matched:
    waiting: defaultdict[Hashable, deque[PredictionRecord]] = defaultdict(deque)
    alone: tuple[list[PredictionRecord], list[PredictionRecord]] = ([], [])
    for record in sides[1].records:
        if (found := key(record)) is not None:
            waiting[found].append(record)
        else:
            alone[1].append(record)
    pairs = []
    for record in sides[0].records:
        if (found := key(record)) is not None and waiting.get(found):
            pairs.append((record, waiting[found].popleft()))
        else:
            alone[0].append(record)
    alone[1].extend(record for queue in waiting.values() for record in queue)
    return _Matched(pairs, alone)


def _apart(pair: tuple[PredictionRecord, PredictionRecord]) -> float:
    seconds = abs(pair[1].at - pair[0].at)
    return seconds if isfinite(seconds) else 0.0
