"""A notice as Slack's blocks, within Slack's limits.

Text from outside stands in `plain_text` objects, which Slack does not parse: no mention, link or
markup can be made of it. Where Slack always parses (the notification's text), it is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alerts import words
from nibai.model import Alert, Notice

HEADER, SECTION, FIELD, FIELDS = 150, 3000, 2000, 10
"""Characters of a header, a section and a field; fields of a section."""

MOST_ALERTS = 10
WHOLE = 13_000
"""Characters of a message in all; Slack takes about 13,200."""

LONGEST_PART, LEAST_PART, LONGEST_LINE = 900, 60, 300
"""Characters of a part, of one in the fullest message, and of an alert's line among others."""

Block = dict[str, Any]


def escaped(text: str) -> str:
    """A text in which Slack finds no mention and no link.

    >>> escaped("<!channel> <https://evil.example|docs> & more")
    '&lt;!channel&gt; &lt;https://evil.example|docs&gt; &amp; more'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message(notice: Notice) -> list[Block]:
    """The message of a notice: what fires, what is over, what it rests on, what to do.

    The more it has to say, the shorter every part.
    """
    most = LONGEST_PART
    while True:
        blocks = _message(notice, most)
        if most <= LEAST_PART or sum(map(len, _texts(blocks))) <= WHOLE:
            return blocks
        most = max(most // 2, LEAST_PART)


def _texts(found: object) -> Iterator[str]:
    """Every text of some blocks."""
    if isinstance(found, list):
        for one in found:
            yield from _texts(one)
    elif isinstance(found, dict):
        for key, value in found.items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)


def _message(notice: Notice, most: int) -> list[Block]:
    blocks: list[Block] = [
        {"type": "header", "text": _plain(words.headline(notice), HEADER)},
    ]
    for alert in notice.alerts[:MOST_ALERTS]:
        if len(notice.alerts) > 1:
            blocks.append({"type": "section", "text": _plain(words.line(alert), LONGEST_LINE)})
        blocks += _about(alert, most, brief=len(notice.alerts) > 3)  # noqa: PLR2004 - a screenful
    left = len(notice.alerts) - MOST_ALERTS
    if left > 0:
        blocks.append(_context(f"and {left} more alerts of this change"))
    return blocks


def evidence(alert: Alert) -> list[Block]:
    """The reply in the message's thread: everything that the alert rests on."""
    said = "\n".join(f"{name}: {text}" for name, text in words.parts(alert))
    labels = ", ".join(f"{key}={value}" for key, value in sorted(alert.labels.items()))
    blocks: list[Block] = [
        {"type": "section", "text": _plain(words.line(alert), SECTION)},
        {"type": "section", "text": _plain(said or words.span(alert), SECTION)},
        _context(f"{words.span(alert)} · {labels}"),
    ]
    return blocks + _link(alert)


def _about(alert: Alert, most: int, *, brief: bool) -> list[Block]:
    shown = [(n, t) for n, t in words.parts(alert) if not brief or n in ("Measured", "What to do")]
    fields = [_plain(f"{n}\n{words.cut(t, most)}", FIELD) for n, t in shown][:FIELDS]
    blocks: list[Block] = [{"type": "section", "fields": fields}] if fields else []
    return [*blocks, _context(words.span(alert)), *_link(alert)]


def _link(alert: Alert) -> list[Block]:
    link = alert.annotations.get("link")
    if not link:
        return []
    text = f"<{escaped(link).replace('|', '%7C')}|Open the audit>"
    return [{"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}]


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_plain(text, FIELD)]}


def _plain(text: str, most: int) -> Block:
    return {"type": "plain_text", "text": words.cut(text, most), "emoji": False}
