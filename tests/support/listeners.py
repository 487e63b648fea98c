"""Receivers of alerts for tests: they note what they are told, and fail as told."""

import itertools

from nibai.errors import NotifyError


class Listener:
    """A notifier that keeps the messages it has, as a channel would; `broken` is raised."""

    def __init__(self, repeat_seconds=None):
        self.told = []
        self.messages = {}
        self.broken = None
        self.dies = False
        self._numbers = itertools.count(1)
        if repeat_seconds is not None:
            self.repeat_seconds = repeat_seconds

    def notify(self, notice):
        if self.broken is not None:
            raise self.broken
        key = notice.message_id or f"m{next(self._numbers)}"
        news = [(a.labels["alertname"], a.state.value) for a in notice.news]
        self.told.append((key, news))
        self.messages[key] = notice
        if self.dies:
            raise KeyboardInterrupt
        return key


def down(**more):
    return NotifyError("slack: is not there", retryable=True, reason="unreachable", **more)


def refused():
    return NotifyError("slack: invalid_blocks", retryable=False, reason="refused")
