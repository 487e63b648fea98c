"""Audits are marked where people look, once a minute, until everything is as it should be.

What was marked is remembered in the process only: marking again changes nothing, so that a restart
costs a few questions and no second mark.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nibai.app.audit import Desk
from nibai.app.onwatch.names import WATCH
from nibai.app.onwatch.tally import Tally
from nibai.errors import NotifyError
from nibai.model import Audit
from nibai.protocols import Annotator

LOG = logging.getLogger("nibai.annotations")


@dataclass(slots=True)
class Annotating:
    """Marks the audit that counts of each of the newest `most` changes, by every annotator."""

    desk: Desk
    annotators: Mapping[str, Annotator]
    tally: Tally
    most: int
    done: set[tuple[str, str]] = field(default_factory=set)

    def take(self, stopping: Callable[[], bool]) -> None:
        """Mark what is not marked yet; what failed for the moment is tried at the next call."""
        for audit in self._audits():
            for name, annotator in self.annotators.items():
                if stopping():
                    return
                if (name, audit.id) not in self.done:
                    self._mark(name, annotator, audit)

    def _mark(self, name: str, annotator: Annotator, audit: Audit) -> None:
        result, again = "ok", False
        try:
            annotator.annotate(audit)
        except NotifyError as error:
            LOG.error("audit %s is not marked: %s", audit.id, error)  # noqa: TRY400 - the text is the message
            result, again = "failed", error.retryable
        self.tally.add("nibai_notifications_total", notifier=name, result=result)
        if not again:  # done, or refused for good
            self.done.add((name, audit.id))

    def _audits(self) -> list[Audit]:
        rows = self.desk.state.audits()
        found = []
        for change in self.desk.changes()[: self.most]:
            ids = [row[0] for row in rows if row[1] == change.id]
            # The watch decides; a report describes.
            chosen = next((one for one in ids if one.startswith(WATCH)), ids[0] if ids else None)
            audit = None if chosen is None else self.desk.stored(chosen)
            if isinstance(audit, Audit):
                found.append(audit)
        return found
