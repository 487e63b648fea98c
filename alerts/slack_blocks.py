"""A notice as Slack's blocks, within Slack's limits.

Text from outside stands in `plain_text` objects, which Slack does not parse: no mention, link or
markup can be made of it. Where Slack always parses (the notification's text), it is escaped.
"""

from __future__ import annotations

from typing import Any

from alerts import words
from nibai.model import Alert, Notice

HEADER, SECTION, FIELD, FIELDS = 150, 3000, 2000, 10
"""Characters of a header, a section and a field; fields of a section."""

MOST_ALERTS = 10
LONGEST_PART = 900
"""Characters: ten alerts stay below the 13,200 that a message may have in all."""

Block = dict[str, Any]


def escaped(text: str) -> str:
    """A text in which Slack finds no mention and no link.

    >>> escaped("<!channel> <https://evil.example|docs> & more")
    '&lt;!channel&gt; &lt;https://evil.example|docs&gt; &amp; more'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, most: int) -> str:
    """A text of at most so many characters.

    >>> cut("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def message(notice: Notice) -> list[Block]:
    """The message of a notice: what fires, what is over, what it rests on, what to do."""
    blocks: list[Block] = [
        {"type": "header", "text": _plain(words.headline(notice), HEADER)},
    ]
    for alert in notice.alerts[:MOST_ALERTS]:
        if len(notice.alerts) > 1:
            blocks.append({"type": "section", "text": _plain(words.line(alert), SECTION)})
        blocks += _about(alert, brief=len(notice.alerts) > 3)  # noqa: PLR2004 - a screenful
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


def _about(alert: Alert, *, brief: bool) -> list[Block]:
    shown = [(n, t) for n, t in words.parts(alert) if not brief or n in ("Measured", "What to do")]
    fields = [_plain(f"{n}\n{cut(t, LONGEST_PART)}", FIELD) for n, t in shown][:FIELDS]
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
    return {"type": "plain_text", "text": cut(text, most), "emoji": False}
