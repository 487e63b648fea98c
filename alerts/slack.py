"""Slack: a message a change, updated when it is over, with evidence and chart in its thread.

A bot token (scopes chat:write, and files:write for charts) is the full way; an incoming webhook can
neither update nor thread nor upload, and says RESOLVED as a new message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from alerts import http, options, slack_blocks, words
from nibai.config import SecretReference, Section
from nibai.errors import NotifyError, PluginError
from nibai.model import Alert, AlertState, Notice, Severity
from nibai.protocols import Notifier, Surroundings

if TYPE_CHECKING:
    from slack_sdk import WebClient

LOG = logging.getLogger("nibai.alerts.slack")

TIMEOUT_SECONDS = 15
GONE = ("message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found")
"""The message cannot be updated any more: another one is posted."""

PASSING = (
    "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable",
    "request_timeout", "team_added_to_org", "accesslimited",
)  # fmt: skip

REMEDIES = {
    "not_in_channel": "invite the bot to the channel",
    "channel_not_found": "check the channel's id, and invite the bot where it is private",
    "is_archived": "choose another channel",
    "invalid_auth": "check the token",
    "not_authed": "check the token",
    "token_revoked": "make a new token",
    "account_inactive": "make a new token",
}


class Options(Section):
    """`channel` with a bot's `token`, or an incoming `webhook`."""

    channel: str | None = None
    token: SecretReference = "env:SLACK_BOT_TOKEN"  # noqa: S105 - a reference
    webhook: SecretReference | None = None
    update: bool = True
    thread: bool = True
    chart: bool = True
    api: options.Url = "https://slack.com/api/"

    @model_validator(mode="after")
    def _one_way(self) -> Options:
        if (self.channel is None) == (self.webhook is None):
            raise ValueError("write either channel (with a bot's token) or webhook")
        return self


def preview(notice: Notice) -> object:
    """The message and the replies in its thread, as Slack gets them."""
    return {
        "text": slack_blocks.escaped(words.headline(notice)),
        "blocks": slack_blocks.message(notice),
        "thread": [slack_blocks.evidence(alert) for alert in notice.news],
    }


def build(given: Mapping[str, object]) -> Notifier:
    """A bot, or the simple mode."""
    chosen, around = options.read(Options, given)
    if chosen.webhook is not None:
        return Hook(options.secret(chosen.webhook, around))
    try:
        from slack_sdk import WebClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PluginError("slack needs its package: pip install 'nibai[slack]'") from error

    token = options.secret(chosen.token, around)
    # The queue waits for a receiver that asks for patience; the client must not.
    client = WebClient(
        token, base_url=chosen.api, timeout=TIMEOUT_SECONDS, retry_handlers=[], team_id=None
    )
    return Bot(chosen, client, around)


class Hook:
    """An incoming webhook: every news is a new message."""

    def __init__(self, url: str) -> None:
        self._url = url

    def notify(self, notice: Notice) -> str | None:
        """Post what is new."""
        if notice.news:
            text = slack_blocks.escaped(words.headline(notice))
            http.post(self._url, {"text": text, "blocks": slack_blocks.message(notice)})
        return None


class Bot:
    """A bot in one channel."""

    def __init__(self, chosen: Options, client: WebClient, around: Surroundings) -> None:
        self._options = chosen
        self._client = client
        self._chart = around.chart

    def notify(self, notice: Notice) -> str | None:
        """Post or update the message, then answer in its thread what is new."""
        where = self._told(notice)
        try:
            for alert in notice.news:
                was = notice.severity_before(alert)
                if was is None:
                    self._answer(where, alert, again=bool(notice.told))
                else:
                    self._reword(where, alert, was)
        except NotifyError as error:
            error.message_id = where
            raise
        return where

    def _told(self, notice: Notice) -> str:
        """Channel and time stamp of the message, which is how Slack names it."""
        said: dict[str, Any] = {
            "text": slack_blocks.escaped(words.headline(notice)),
            "blocks": slack_blocks.message(notice),
        }
        if notice.message_id is not None and self._options.update:
            channel, _, ts = notice.message_id.partition("/")
            try:
                self._call(self._client.chat_update, channel=channel, ts=ts, **said)
            except NotifyError as error:
                if error.reason not in GONE:
                    raise
            else:
                return notice.message_id
        found = self._call(self._client.chat_postMessage, channel=self._options.channel, **said)
        return f"{found['channel']}/{found['ts']}"

    def _answer(self, where: str, alert: Alert, *, again: bool) -> None:
        if not self._options.thread:
            return
        channel, _, ts = where.partition("/")
        firing = alert.state is AlertState.FIRING
        self._call(
            self._client.chat_postMessage,
            channel=channel,
            thread_ts=ts,
            # Something new in an old message is worth a look; that it is over wakes nobody.
            reply_broadcast=again and firing,
            text=slack_blocks.escaped(words.line(alert)),
            blocks=slack_blocks.evidence(alert),
        )
        if firing and self._options.chart:
            self._draw(channel, ts, alert)

    def _reword(self, where: str, alert: Alert, was: Severity) -> None:
        """Say in the thread that the severity is another; the evidence is there already."""
        if not self._options.thread:
            return
        channel, _, ts = where.partition("/")
        louder = list(Severity).index(alert.severity) < list(Severity).index(was)
        text = slack_blocks.escaped(words.severity_changed(alert, was))
        self._call(
            self._client.chat_postMessage,
            channel=channel,
            thread_ts=ts,
            reply_broadcast=louder,
            text=text,
        )

    def _draw(self, channel: str, ts: str, alert: Alert) -> None:
        picture = self._drawn(alert.annotations.get("audit", ""))
        if picture is None:
            return
        title = words.cut(alert.annotations.get("sentence", "audit"), 200)
        try:
            self._call(
                self._client.files_upload_v2,
                channel=channel,
                thread_ts=ts,
                content=picture,
                filename="audit.png",
                title=title,
                alt_txt=words.cut(f"{title}: {alert.annotations.get('figures', '')}", 1000),
            )
        except NotifyError as error:
            if error.retryable:
                raise
            # A message without its chart is better than none: the reason is in the log.
            LOG.warning("the chart was not sent: %s", error)

    def _drawn(self, audit: str) -> bytes | None:
        try:
            return self._chart(audit)
        except Exception as error:  # noqa: BLE001 - else the message would be posted anew each turn
            LOG.warning("the chart of audit %s is not drawn: %s", audit, type(error).__name__)
            return None

    def _call(self, method: Callable[..., Any], **arguments: object) -> Any:  # noqa: ANN401 - SlackResponse
        from slack_sdk.errors import SlackApiError, SlackClientError  # noqa: PLC0415 - an extra

        try:
            if "text" in arguments:
                arguments |= {"link_names": False, "parse": "none"}
            if getattr(method, "__name__", "") == "chat_postMessage":
                arguments |= {"unfurl_links": False, "unfurl_media": False}
            return method(**arguments)
        except SlackApiError as error:
            raise _problem(error.response) from None
        except (SlackClientError, OSError, ValueError) as error:
            raise NotifyError(
                f"slack: cannot be reached ({type(error).__name__}): check the network",
                retryable=True,
                reason="unreachable",
            ) from None


def _problem(response: Any) -> NotifyError:  # noqa: ANN401 - SlackResponse
    status = int(getattr(response, "status_code", 200) or 200)
    code = str(response.get("error", "")) if hasattr(response, "get") else ""
    if status == http.THROTTLED or status >= http.SERVER_ERRORS:
        return http.refused("slack", status, http.retry_after(_headers(response)))
    if not code.isidentifier():
        code = "unknown_error"
    if code == "missing_scope":
        remedy = f"give the bot the scope {response.get('needed', '?')} and install it again"
    else:
        remedy = REMEDIES.get(code, "see Slack's description of this error")
    # The reason is a metric label: only codes that are known.
    known = code in (*GONE, *PASSING, *REMEDIES, "missing_scope")
    reason = code if known else "refused"
    return NotifyError(f"slack: {code}: {remedy}", retryable=code in PASSING, reason=reason)


def _headers(response: Any) -> dict[str, str]:  # noqa: ANN401 - SlackResponse
    """Headers by the names that are asked for, whatever their case was."""
    given = {key.title(): value for key, value in (response.headers or {}).items()}
    return {key: value[0] if isinstance(value, list) else value for key, value in given.items()}
