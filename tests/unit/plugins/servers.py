# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small servers on 127.0.0.1 that behave well or badly, and certificate authorities, for tests of probes."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from pathlib import Path
from typing import Any, Callable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def http_answer(status: int, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()


def speak_http(answer: bytes, first: bool = False) -> Callable[[Any], bytes]:
    """Read one request and answer it, or without waiting for its end (``first``)."""

    def talk(connection: Any) -> bytes:
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(4096)
            if not piece:
                return request
            request += piece
            if first:
                break
        connection.sendall(answer)
        return request

    return talk


class Server:
    """Listens on 127.0.0.1 while the context lasts; ``talk`` serves a connection and returns the request it read."""

    def __init__(self, talk: Callable[[Any], bytes], tls: ssl.SSLContext | None = None, limit: int = 100) -> None:
        self.talk, self.tls, self.limit = talk, tls, limit
        self._requests: list[bytes] = []
        self.connections = 0
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.port = int(self.listener.getsockname()[1])
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> Server:
        thread = threading.Thread(target=self._accept, daemon=True)
        self.threads.append(thread)
        thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)

    @property
    def requests(self) -> list[bytes]:
        """The requests of the connections that were accepted, which are waited for."""
        for thread in self.threads[1:]:
            thread.join(10)
        return self._requests

    def _accept(self) -> None:
        while self.connections < self.limit:
            try:
                connection, _address = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(10)
            with self.tls.wrap_socket(connection, server_side=True) if self.tls else connection as secured:
                request = self.talk(secured)
                if request:
                    self._requests.append(request)
        except OSError:
            pass  # the client went away, which many a test wants
        finally:
            connection.close()


class Authority:
    """A certificate authority; ``path`` is its certificate as PEM."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ibm_quantum.platform tests"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        extensions = [(x509.BasicConstraints(True, None), True), (usage, True)]
        self.certificate = self._sign(self.name, self.key, (-1, 30), extensions)
        self.path = folder / "ca.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[int, int], extensions: Sequence[Any]
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now + datetime.timedelta(days=days[0]))
        builder = builder.not_valid_after(now + datetime.timedelta(days=days[1]))
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(issuer, False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def server_context(
        self, name: str, days: tuple[int, int] = (-1, 30), addresses: Sequence[str] = ("127.0.0.1",)
    ) -> ssl.SSLContext:
        """The context of a server with a certificate for a name and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._context(self._sign(subject, key, days, [(x509.SubjectAlternativeName(names), False)]), key)

    def own_context(self) -> ssl.SSLContext:
        """The context of a server that shows the authority's own, self-signed certificate."""
        return self._context(self.certificate, self.key)

    def _context(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
        path = self.folder / f"{certificate.serial_number}.pem"
        encoding = serialization.Encoding.PEM
        private = serialization.PrivateFormat.PKCS8
        path.touch(mode=0o600)
        path.write_bytes(
            key.private_bytes(encoding, private, serialization.NoEncryption()) + certificate.public_bytes(encoding)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
