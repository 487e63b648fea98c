"""Says what is being done and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click


@dataclass(slots=True)
class Steps:
    """Says what is being done and how long it took; a bar only on a terminal."""

    interactive: bool

    @contextmanager
    def step(self, text: str) -> Iterator[list[str]]:
        """One step; what is appended to the list is said when it is done."""
        start, said = time.monotonic(), list[str]()
        if self.interactive:
            click.echo(f"  … {text}", nl=False)
        yield said
        seconds = time.monotonic() - start
        start_of_line = "\r\x1b[K" if self.interactive else ""
        tail = f": {'; '.join(said)}" if said else ""
        click.echo(f"{start_of_line}  ✔ {text} ({seconds:.1f} s){tail}")
