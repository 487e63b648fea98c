"""TLS of the server: its own certificate, and those of clients as an alternative to tokens.

Everything that can be wrong with the files is said at the start, not by clients that are turned
away: the certificate is shown to a client in memory that trusts nothing else.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nibai.errors import ConfigError

CERTIFICATE, KEY = "-----BEGIN CERTIFICATE-----", "PRIVATE KEY-----"
EXPIRED, NOT_YET_VALID = 10, 9
"""OpenSSL's numbers of what is wrong with a certificate (x509_vfy.h)."""

MOST_FLIGHTS = 8
"""A greeting takes four messages at most."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the certificate with its chain, its key, and the authorities of clients."""

    certificate: Path
    key: Path
    clients: Path | None = None

    def read(self) -> tuple[bytes, bytes, bytes | None]:
        """The contents; ConfigError names the setting, the file and what is wrong with it."""
        certificate = _text("certificate", self.certificate, CERTIFICATE, "certificate")
        key = _text("key", self.key, KEY, "private key")
        if "ENCRYPTED" in key:
            raise _wrong("key", self.key, "is encrypted: give it without a password")
        clients = None
        if self.clients is not None:
            clients = _text("clients", self.clients, CERTIFICATE, "certificate").encode()
        return certificate.encode(), key.encode(), clients

    def context(self) -> ssl.SSLContext:
        """How the server greets: clients may show a certificate where `clients` is given.

        Raises ConfigError where a file is missing, no PEM, expired, or does not fit the other.
        """
        self.read()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(context)
        if self.clients is not None:
            _trust(context, self.clients)
        _rehearse(context, self.certificate)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                fact = f"is not the key of {self.certificate}: give the one it was made with"
                raise _wrong("key", self.key, fact) from error
            fact = f"is no certificate and key that OpenSSL takes ({_reason(error)}): make it anew"
            raise _wrong("certificate", self.certificate, fact) from error


def names_of(certificate: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """The names in a client's checked certificate: common name and alternatives; None without one.

    >>> names_of({"subject": ((("commonName", "otel"),),), "subjectAltName": (("DNS", "a.b"),)})
    ('otel', 'a.b')
    """
    if not certificate:
        return None
    subject = [pair for group in certificate.get("subject", ()) for pair in group]
    common = [value for kind, value in subject if kind == "commonName"]
    others = [value for _, value in certificate.get("subjectAltName", ())]
    return tuple(dict.fromkeys(str(name) for name in [*common, *others]))


def _text(setting: str, path: Path, marker: str, what: str) -> str:
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise _wrong(setting, path, f"cannot be read ({error.strerror}): check the path") from error
    if marker not in text:
        raise _wrong(setting, path, f"holds no {what} in PEM form")
    return text


def _trust(context: ssl.SSLContext, clients: Path) -> None:
    """Ask clients for a certificate of these authorities; one without is told by what it may do."""
    try:
        context.load_verify_locations(cafile=clients)
    except ssl.SSLError as error:
        fact = f"holds no authority that OpenSSL takes ({_reason(error)}): make it anew"
        raise _wrong("clients", clients, fact) from error
    context.verify_mode = ssl.CERT_OPTIONAL


def _rehearse(server: ssl.SSLContext, certificate: Path) -> None:
    """Greet a client that trusts just this certificate."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cafile=certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True))
    try:
        for _ in range(MOST_FLIGHTS):
            for end in ends:
                _shake(end)
    except ssl.SSLCertVerificationError as error:
        facts = {
            EXPIRED: "has expired: renew it",
            NOT_YET_VALID: "is not valid yet: check it, and the clock of this machine",
        }
        fact = facts.get(
            error.verify_code, f"is refused by clients ({error.verify_message}): make it anew"
        )
        raise _wrong("certificate", certificate, fact) from error


def _shake(end: ssl.SSLObject) -> None:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "unreadable").replace("_", " ").lower()


def _wrong(setting: str, path: Path, fact: str) -> ConfigError:
    return ConfigError(f"otlp.tls.{setting}: {path} {fact}")
