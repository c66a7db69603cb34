# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway before the emulator, for what the emulator cannot do: refuse connections, and act between two requests."""

from __future__ import annotations

import contextlib
import http.client
import socket
import socketserver
import struct
import threading
from http.server import BaseHTTPRequestHandler
from typing import Callable, NamedTuple
from urllib.parse import urlsplit

_TIMEOUT = 30.0
_OF_ONE_HOP = ("connection", "content-length", "keep-alive", "transfer-encoding")


class Answer(NamedTuple):
    """What goes back; its length is told as it is."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Exchange(NamedTuple):
    """A request. ``send()`` lets the emulator answer it."""

    method: str
    path: str
    query: str
    send: Callable[[], Answer]


#: What is done with a request; None breaks the connection.
Hook = Callable[[Exchange], "Answer | None"]


class Gate:
    """Passes requests on, each through ``hook``, which may act before, after and instead. A context manager."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target).netloc
        self._port = 0
        self._server: _Server | None = None
        self.hook: Hook = pass_on

    def __enter__(self) -> Gate:
        self.open()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.shut()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def is_open(self) -> bool:
        return self._server is not None

    def open(self) -> None:
        """Take connections, always at the same port."""
        if self._server is None:
            self._server = _Server(self, self._port)
            self._port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def shut(self) -> None:
        """Refuse connections; one that is answered at the moment ends with the answer."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Ask the emulator."""
        connection = http.client.HTTPConnection(self._target, timeout=_TIMEOUT)
        with contextlib.closing(connection):
            connection.request(method, target, body or None, headers)
            reply = connection.getresponse()
            kept = [(name, value) for name, value in reply.getheaders() if name.lower() not in _OF_ONE_HOP]
            return Answer(reply.status, kept, reply.read())


def pass_on(exchange: Exchange) -> Answer | None:
    return exchange.send()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, gate: Gate, port: int) -> None:
        self.gate = gate
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _TIMEOUT
    server: _Server

    def _handle(self) -> None:
        gate, method, target = self.server.gate, self.command, self.path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}

        def send() -> Answer:  # perhaps later, when this connection is at another request
            return gate.send(method, target, headers, body)

        parts = urlsplit(target)
        answer = gate.hook(Exchange(method, parts.path, parts.query, send))
        if answer is None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        if not gate.is_open:
            self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked may be killed
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = _handle

    def log_message(self, *_args: object) -> None:
        """Nothing is printed."""
