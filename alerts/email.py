"""E-mail: what belongs together is one conversation."""

from __future__ import annotations

import hashlib
import logging
import smtplib
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from alerts import options, words
from nibai.config import SecretReference, Section
from nibai.errors import NotifyError
from nibai.model import Notice
from nibai.protocols import Notifier

LOG = logging.getLogger("nibai.alerts.email")

TIMEOUT_SECONDS = 20.0
PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _mailbox(text: str) -> str:
    if "@" not in text or any(sign in text for sign in "\r\n,;<> "):
        raise ValueError("an address is written name@example.com")
    return text


Mailbox = Annotated[str, AfterValidator(_mailbox)]


class Options(Section):
    """A mail server and who writes to whom."""

    host: str
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretReference | None = None
    sender: Mailbox
    to: tuple[Mailbox, ...] = Field(min_length=1)


def preview(notice: Notice) -> object:
    """The letter."""
    moment = max(alert.changed_at for alert in notice.alerts)
    return letter(notice, "nibai@example.com", ("you@example.com",), moment).as_string()


def build(given: Mapping[str, object]) -> Notifier:
    """A notifier for one list of readers."""
    chosen, around = options.read(Options, given)
    password = None if chosen.password is None else options.secret(chosen.password, around)
    return Mail(chosen, password, around.clock)


class Mail:
    """One list of readers."""

    def __init__(self, chosen: Options, password: str | None, clock: Callable[[], float]) -> None:
        self._options, self._password, self._clock = chosen, password, clock

    def notify(self, notice: Notice) -> str | None:
        """Send the notice; later ones of the same message answer the first."""
        message = letter(notice, self._options.sender, self._options.to, self._clock())
        try:
            with self._server() as server:
                if self._options.username is not None and self._password is not None:
                    server.login(self._options.username, self._password)
                left_out = server.send_message(message)
        except smtplib.SMTPResponseException as error:
            raise _refused(self._options.host, error.smtp_code) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise _refused(self._options.host, min(codes, default=550)) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotifyError(
                f"{self._options.host} cannot be reached ({type(error).__name__}): "
                "check host, port and security",
                retryable=True,
                reason="unreachable",
            ) from None
        for address, (code, _) in left_out.items():
            # The others have it: sending it again would tell them twice.
            LOG.warning("%s does not take mail for %s (%d)", self._options.host, address, code)
        return notice.message_id or str(message["Message-ID"])

    def _server(self) -> smtplib.SMTP:
        chosen = self._options
        port = chosen.port or PORTS[chosen.security]
        if chosen.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(chosen.host, port, timeout=TIMEOUT_SECONDS, context=context)
        server = smtplib.SMTP(chosen.host, port, timeout=TIMEOUT_SECONDS)
        if chosen.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        return server


def letter(notice: Notice, sender: str, to: tuple[str, ...], now: float) -> EmailMessage:
    """The e-mail of a notice; line breaks from outside cannot become headers."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = " ".join(words.headline(notice).split())[:200]
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    key = hashlib.sha256(f"{notice.group} {now}".encode()).hexdigest()[:24]
    message["Message-ID"] = f"<{key}@nibai.{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if notice.message_id is not None:
        message["In-Reply-To"] = notice.message_id
        message["References"] = notice.message_id
    message.set_content(words.text(notice))
    return message


def _refused(host: str, code: int) -> NotifyError:
    passing = 400 <= code < 500  # noqa: PLR2004 - what SMTP calls transient
    return NotifyError(
        f"{host} refuses the message ({code}): check username, password and addresses",
        retryable=passing,
        reason="throttled" if passing else "refused",
    )
