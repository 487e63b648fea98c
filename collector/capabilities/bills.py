"""Points that only a bill or time can settle: said, never guessed."""

from __future__ import annotations

from collections.abc import Iterator

from nibai.protocols import Capability, Standing


def bills(topic: str) -> Iterator[Capability]:
    """What to compare with what."""
    for number, name, said in (
        (
            3, "a trimmed count is billed as one statistic",
            "no API says so: compare what nibai collect metered with tomorrow's bill",
        ),
        (
            12, "one histogram sample is billed as one",
            "no API says so: compare the samples that nibai counted with tomorrow's bill",
        ),
        (
            13, "quotas of calls and datapoints",
            "not tried: nibai collect counts the throttled calls it meets",
        ),
    ):  # fmt: skip
        yield Capability(topic, name, Standing.UNKNOWN, said, "", number)
