"""Certificates that are renewed while the server runs: who greets it next is shown the new one.

The files are looked at when a client connects, so that a certificate of cert-manager or certbot
needs no restart and no signal. What cannot be used is said once, and the one before goes on.
"""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

from nibai.errors import ConfigError
from nibai.server.tls import Certificates

LOG = logging.getLogger("nibai.tls")

Contents = tuple[bytes, bytes, bytes | None]


class Renewal:
    """What the files hold now, as a context and as it was read; thread-safe.

    Raises ConfigError at the start where they cannot be used.
    """

    def __init__(self, files: Certificates) -> None:
        self._files = files
        self._lock = threading.Lock()
        # Before they are read: what changes meanwhile is seen at the next greeting.
        self._looked = self._stand()
        self._contents, self._context = files.read(), files.context()

    def context(self) -> ssl.SSLContext:
        """What a server is opened with."""
        opened = self._files.context()
        # The certificate, and who is trusted, are chosen at each greeting.
        opened.sni_callback = self._greet
        return opened

    def contents(self) -> Contents:
        """Certificate, key and authorities of clients (or None), in PEM form."""
        self._renew()
        return self._contents

    def _greet(self, client: ssl.SSLObject, name: str | None, opened: ssl.SSLContext) -> None:
        del name, opened
        self._renew()
        client.context = self._context

    def _renew(self) -> None:
        with self._lock:
            stand = self._stand()
            if stand == self._looked:
                return
            self._looked = stand
            try:
                self._contents, self._context = self._files.read(), self._files.context()
            except ConfigError as error:
                LOG.error("%s; the certificate of before goes on", error)  # noqa: TRY400 - the text is the message
            except OSError as error:
                LOG.error("otlp.tls: %s; the certificate of before goes on", error)  # noqa: TRY400 - the text is the message
            else:
                LOG.info("otlp.tls: %s was renewed", self._files.certificate)

    def _stand(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What tells that a file is another one; links are followed, as volumes swap them."""
        files = (self._files.certificate, self._files.key, self._files.clients)
        return tuple(_stand(one) for one in files if one is not None)


def _stand(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
