"""
TLS towards callers: a certificate that changes while connections go on, and callers' own where wanted.

A handshake takes the files that are in force when it begins. A connection keeps what it began with.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from proxy.errors import ConfigurationError


class ListenerTls:
    """The certificate in force, and the files that it comes from."""

    def __init__(self, cert: Path, key: Path | None, client_ca: Path | None) -> None:
        """Raises ConfigurationError where the files cannot be used."""
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self.files = tuple(path for path in (cert, key, client_ca) if path is not None)
        self.context = self._in_force = self.load()
        """For the listening socket, once and for all."""
        self.context.sni_callback = self._choose

    def load(self, _: Path | None = None) -> ssl.SSLContext:
        """What the files say now. Raises ConfigurationError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # A passphrase would be asked for on the terminal: there is none.
            context.load_cert_chain(self._cert, self._key, password="")
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
                # A session that is taken up again would skip the look at the caller's certificate.
                # TLS 1.2 keeps sessions here, too, which Python has no way to forbid.
                context.minimum_version = ssl.TLSVersion.TLSv1_3
                context.num_tickets = 0
        except OSError as error:
            what = error.strerror or str(error)
            raise ConfigurationError(f"TLS files of the listener: {what}") from None
        return context

    def take(self, context: ssl.SSLContext) -> None:
        """Put what `load` has read in force."""
        self._in_force = context

    def _choose(
        self, handshake: ssl.SSLObject | ssl.SSLSocket, _: str | None, __: ssl.SSLContext
    ) -> None:
        # Asked at each handshake, also of a client that names no host.
        handshake.context = self._in_force
