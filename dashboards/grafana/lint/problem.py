"""What a rule finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with one dashboard, and where."""

    file: str
    rule: str
    where: str
    fact: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.file}: {self.where}: {self.fact} [{self.rule}]"
