"""Which answers are pairs, as SQL over the kept ones.

Two variants are joined by request id, else by input hash; a variant is joined with itself by its
repeats, or by inputs that came again.
"""

from __future__ import annotations

from dataclasses import dataclass

from nibai.conventions import LIVE_SOURCES
from nibai.model import Window
from nibai.store.engine.sql import literal

LIVE = ""
"""The origin of answers to live traffic; replays have their source's name."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Answers given under one batch size, live or replayed."""

    batch: int
    live: bool

    @property
    def where(self) -> str:
        """The condition of its rows."""
        return f"batch = {self.batch} AND origin {'=' if self.live else '<>'} {literal(LIVE)}"


@dataclass(frozen=True, slots=True)
class Party:
    """One side: a variant's answers, the live ones in a window (None: all that are kept)."""

    variant: str
    window: Window | None = None

    @property
    def where(self) -> str:
        """The condition of its rows."""
        where = f"variant = {literal(self.variant)}"
        if self.window is None:
            return where
        start, end = (round(edge * 1e6) for edge in (self.window.start, self.window.end))
        inside = f"at_us >= {start} AND at_us < {end}"
        return f"{where} AND (origin <> {literal(LIVE)} OR {inside})"


@dataclass(frozen=True, slots=True)
class Pairing:
    """SQL for pairs: two relations and how their rows meet."""

    left: str
    right: str
    on: str

    def select(self, columns: str) -> str:
        """A query over the pairs (a is the left row, b the right one)."""
        return f"SELECT {columns} FROM ({self.left}) a JOIN ({self.right}) b ON {self.on}"

    def alone(self, *, left: bool) -> str:
        """Answers of one side without a partner, by segment."""
        sides = [(self.left, "a"), (self.right, "b")]
        (kept, name), (partner, other) = sides if left else sides[::-1]
        return (
            f"SELECT segment, count(*) FROM (SELECT {name}.segment FROM ({kept}) {name} "
            f"ANTI JOIN ({partner}) {other} ON {self.on}) GROUP BY 1"
        )


def rows_sql(files: str, endpoint: str) -> str:
    """An endpoint's answers with what they are joined and compared by."""
    live = ", ".join(literal(source) for source in LIVE_SOURCES)
    return (
        "SELECT *, "
        f"CASE WHEN source IN ({live}) THEN {literal(LIVE)} ELSE source END AS origin, "
        "CASE WHEN input_hash <> '' THEN input_hash ELSE request_id END AS input, "
        # Equal codes are equal answers; of answers without a label the scores are compared.
        "CASE WHEN invalid <> '' THEN hash('invalid', invalid) "
        "WHEN label <> '' THEN hash('label', label) "
        "ELSE hash('score', coalesce(score, 'nan'::DOUBLE) + 0.0) END AS code "
        f"FROM {files} WHERE endpoint = {literal(endpoint)}"
    )


def side_sql(rows: str, party: Party, profile: Profile) -> str:
    """One side's answers in a profile, without second answers to one request."""
    return (
        f"SELECT * FROM ({rows}) WHERE {party.where} AND {profile.where} "
        "QUALIFY request_id = '' OR row_number() OVER "
        "(PARTITION BY hash(origin, request_id, input_hash, repeat) ORDER BY at_us, replica) = 1"
    )


def by_request(left: str, right: str) -> Pairing:
    """Answers to the same request."""
    return Pairing(
        left,
        right,
        "a.request_id = b.request_id AND a.repeat = b.repeat AND a.origin = b.origin "
        "AND a.request_id <> '' "
        "AND (a.input_hash = b.input_hash OR a.input_hash = '' OR b.input_hash = '')",
    )


def by_input(left: str, right: str) -> Pairing:
    """The i-th answers to the same input."""
    numbered = (
        "SELECT *, row_number() OVER (PARTITION BY origin, input_hash, repeat ORDER BY at_us) "
        "AS nth FROM ({}) WHERE input_hash <> ''"
    )
    return Pairing(
        numbered.format(left),
        numbered.format(right),
        "a.input_hash = b.input_hash AND a.repeat = b.repeat AND a.origin = b.origin "
        "AND a.nth = b.nth",
    )


def repeats(rows: str, party: Party, batch: int) -> Pairing:
    """First and second of the repeated answers of a variant to an input, live or replayed."""
    one = (
        f"SELECT * FROM ({rows}) WHERE {party.where} AND batch = {batch} AND input <> '' "
        "QUALIFY row_number() OVER (PARTITION BY origin, input, repeat ORDER BY at_us) = 1"
    )
    return _first_and_second(one, "repeat, at_us")


def sightings(rows: str, party: Party, batch: int) -> Pairing:
    """First and second answer of a variant to an input that came again as another request."""
    one = (
        f"SELECT * FROM ({rows}) WHERE {party.where} AND batch = {batch} AND input_hash <> '' "
        "AND repeat = 0"
    )
    return _first_and_second(one, "at_us, replica, request_id")


def _first_and_second(one: str, order: str) -> Pairing:
    numbered = (
        f"SELECT *, row_number() OVER (PARTITION BY origin, input ORDER BY {order}) AS nth "
        f"FROM ({one})"
    )
    return Pairing(
        f"SELECT * FROM ({numbered}) WHERE nth = 1",
        f"SELECT * FROM ({numbered}) WHERE nth = 2",
        "a.input = b.input AND a.origin = b.origin",
    )
