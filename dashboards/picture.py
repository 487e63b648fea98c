"""The chart of an audit as a picture, for receivers that show one beside a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dashboards import charts
from dashboards.theme import Spec, png
from nibai.model import Audit, Exhibits
from nibai.protocols import Illustrator

WIDTH = 720

CHOICE: tuple[Callable[[Audit, Exhibits], Spec | None], ...] = (
    charts.speedup_curve,
    charts.timeline,
    charts.distributions,
)
"""The first that has something to show is drawn."""


def build(options: Mapping[str, object]) -> Illustrator:
    """The picture has no options."""
    del options
    return Picture()


class Picture:
    """The same chart as in the report."""

    def draw(self, audit: Audit) -> bytes | None:
        """A PNG picture; None when the audit has nothing to draw."""
        for make in CHOICE:
            for exhibits in audit.exhibits:
                spec = make(audit, exhibits)
                if spec is not None:
                    return png(spec, WIDTH)
        return None
