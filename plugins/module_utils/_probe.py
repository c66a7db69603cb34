# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Can this host reach an endpoint? DNS, TCP, the proxy, TLS and HTTP, one after the other, and a diagnosis.

Standard library only. Nothing but a GET without credentials is sent, and that only to a server whose certificate holds.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import base64
import errno
import os
import re
import selectors
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Literal, Mapping, NamedTuple, Sequence, TypeVar, Union
from urllib.parse import unquote, urlsplit

from ansible_collections.ibm_quantum.platform.plugins.module_utils._certificate import certificate
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_environment import (
    ca_bundle,
    host_environment,
    proxy_url,
)

#: What may be wrong, and what to do about it. ``{...}`` is filled from the row of the endpoint.
REMEDIES: dict[str, str] = {
    "no_dns": "the name {target} does not resolve: look at its spelling, and at the resolver in /etc/resolv.conf",
    "dns_timeout": "no DNS server answers for {target}: let this host reach port 53 of those in /etc/resolv.conf",
    "blocked": "no answer from {target} port {target_port}, so a firewall drops it: allow it, or set a proxy",
    "rejected": "a firewall rejects {target} port {target_port}: allow it, or set a proxy",
    "no_route": "no route to {target}: look at this host's network, or set a proxy",
    "refused": "{target} refuses port {target_port}: nothing listens there, or a firewall says so: allow it there",
    "reset": "the connection was cut, as a firewall does that looks into traffic: have it let {host} through",
    "no_answer": "{target} takes the connection and says nothing, as a filter does: have it let {host} through",
    "not_tls": "{host} port {port} answers, but not with TLS: look at the port, or for a captive portal",
    "tls_intercepted": "the certificate is by {issuer}, which this host does not trust: if that is your own proxy, "
    "give its CA file as ca_path, else somebody listens in",
    "tls_expired": "the certificate is valid from {not_before} to {not_after}: look at this host's clock first",
    "tls_wrong_name": "the certificate is for {names}, not for {host}: another server answers, look at DNS and proxy",
    "tls_failed": "no TLS with {host} ({error}): a filter in between, or an OpenSSL that is too old",
    "proxy_unreachable": "the proxy {target} port {target_port} cannot be reached ({error}): look at its name and port",
    "proxy_auth_required": "the proxy {target} wants a user and a password: its URL has to be "
    "http://USER:PASSWORD@HOST:PORT",
    "proxy_refused": "the proxy {target} does not allow this name: add {host}:{port} to that proxy's allowlist",
    "proxy_failed": "the proxy {target} cannot reach {host} ({error}): look at the proxy's own network and log",
    "not_http": "{host} port {port} answers, but not with HTTP: look at the port",
    "http_error": "{host} is there but answers {status}: try again later, and see IBM Cloud's status page",
    "edge_refused": "{host} answers with the 403 page of its edge, not of its API: IBM refuses some countries and "
    "networks, so look at where this host's traffic comes out",
}

#: What proves that traffic was kept from passing. A name that does not resolve proves nothing.
KEPT_OUT = frozenset(["blocked", "rejected", "no_route", "refused", "reset", "no_answer", "proxy_refused"])

STAGES = ("dns", "tcp", "proxy", "tls", "http")
WORKERS = 16
_GRACE = 0.3  # seconds that slower addresses get to answer once one has
_CONNECT = {  # worst last: a drop says more about a firewall than a family without a route
    errno.ENETUNREACH: "no_route",
    errno.EADDRNOTAVAIL: "no_route",
    errno.EAFNOSUPPORT: "no_route",
    errno.ECONNRESET: "reset",
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "rejected",
    errno.EACCES: "rejected",
    errno.EPERM: "rejected",
    errno.ETIMEDOUT: "blocked",
}
_SEVERITY = list(dict.fromkeys(_CONNECT.values()))
_AGENT = "ibm_quantum.platform endpoint_check"
_LONGEST_HEAD = 65536  # bytes
_VERIFY = {9: "tls_expired", 10: "tls_expired", 62: "tls_wrong_name", 64: "tls_wrong_name"}  # X509_V_ERR_* of OpenSSL
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")

T = TypeVar("T")


class Proxy(NamedTuple):
    """An HTTP proxy. ``authorization`` is the value of its header, or None; ``tls``: it is spoken to by TLS."""

    host: str
    port: int
    authorization: str | None
    tls: bool = False

    @property
    def shown(self) -> str:
        """The proxy as a URL without credentials."""
        return f"http{'s' if self.tls else ''}://{_authority(self.host, self.port)}"


class ProbeError(Exception):
    """A stage failed: one of :data:`REMEDIES`, and what the system said."""

    def __init__(self, diagnosis: str, error: str) -> None:
        super().__init__(error)
        self.diagnosis = diagnosis


def parse_proxy(url: str) -> Proxy:
    """A proxy from its URL, ``http[s]://[USER:PASSWORD@]HOST[:PORT]``. ValueError, without the password, for others."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    tls = parts.scheme == "https"
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/"):
        raise ValueError("must be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, or the same with https")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
    return Proxy(host, port or (443 if tls else 80), authorization, tls)


def environment_proxy(host: str, port: int, tls: bool, environment: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy that this host's environment names for a host (``HTTPS_PROXY``, ``NO_PROXY`` ...). ValueError."""
    url = proxy_url(host_environment() if environment is None else environment, host, port, tls)
    return parse_proxy(url) if url else None


def trust(ca_path: str | None = None, environment: Mapping[str, str] | None = None) -> ssl.SSLContext:
    """A context that trusts a CA file or folder; by default what ``REQUESTS_CA_BUNDLE`` names, as for IBM's own client,
    else what this host trusts. OSError where it cannot be read or has no certificates."""
    path = ca_path or ca_bundle(host_environment() if environment is None else environment)
    if path is None:
        return ssl.create_default_context()
    if os.path.isdir(path):
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def probe(
    host: str,
    port: int = 443,
    tls: bool = True,
    path: str = "/",
    proxy: Proxy | None = None,
    timeout: float = 5.0,
    context: ssl.SSLContext | None = None,
) -> dict[str, Any]:
    """Probe one endpoint; each stage has ``timeout`` seconds. Never raises for what the network does. The row::

    host, port, proxy (URL without credentials, or None), addresses: [{address, ok (None: not waited for), error}],
    stages: {dns, tcp, proxy, tls, http: None where not come to, else {ok, ms, error}},
    tls: None or {issuer, subject, names, not_before, not_after, days_left, version},
    status: None or the HTTP status, reachable: bool, diagnosis: "ok" or one of REMEDIES, remedy: "" or a sentence
    """
    work = _Probe(host, port, tls, path, proxy, timeout, context or trust())
    try:
        work.run()
    except ProbeError as error:
        work.diagnose(error)
    finally:
        if work.sock:
            work.sock.close()
    return work.row


def probe_all(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of some probes, a few at a time, in the order given."""
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def kept_out(row: dict[str, Any]) -> bool:
    """Whether a row of :func:`probe` proves that no traffic gets to the endpoint."""
    stage = row["stages"]["tls"]
    return row["diagnosis"] in KEPT_OUT and not (stage and stage["ok"])


class _Probe:
    """One probe under way."""

    def __init__(
        self, host: str, port: int, tls: bool, path: str, proxy: Proxy | None, timeout: float, context: ssl.SSLContext
    ) -> None:
        self.host, self.port, self.tls, self.path, self.proxy = host, port, tls, path, proxy
        self.timeout, self.context = timeout, context
        self.target, self.target_port = (proxy.host, proxy.port) if proxy else (host, port)
        self.found: list[Any] = []
        self.sock: _Socket | None = None
        self.address = ("", 0)  # where it is connected to
        self.row: dict[str, Any] = {
            "host": host,
            "port": port,
            "proxy": proxy.shown if proxy else None,
            "addresses": [],
            "stages": dict.fromkeys(STAGES),
            "tls": None,
            "status": None,
            "reachable": False,
            "diagnosis": "ok",
            "remedy": "",
        }

    def run(self) -> None:
        """All stages that this endpoint has. Raises :class:`ProbeError` at the first that fails."""
        self._stage("dns", self._dns)
        self._stage("tcp", self._tcp)
        if self.proxy and (self.tls or self.proxy.tls):
            self._stage("proxy", self._through_proxy)
        if self.tls:
            self._stage("tls", self._handshake)
        self._stage("http", self._http)
        self.row["reachable"] = True

    def diagnose(self, error: ProbeError) -> None:
        """Note in the row what went wrong and what to do."""
        diagnosis = error.diagnosis
        if self.proxy and not (self.row["stages"]["tcp"] or {}).get("ok"):
            diagnosis = "proxy_unreachable"
        about: dict[str, Any] = dict.fromkeys(("issuer", "subject", "not_before", "not_after"), "(unknown)")
        about.update(self.row["tls"] or {}, error=error, status=self.row["status"])
        about["names"] = ", ".join(about.get("names", [])[:5]) or about["subject"]
        about.update(host=self.host, port=self.port, target=self.target, target_port=self.target_port)
        self.row.update(diagnosis=diagnosis, remedy=REMEDIES[diagnosis].format(**about))

    @property
    def _socket(self) -> _Socket:
        if self.sock is None:
            raise AssertionError("the stage tcp comes first")
        return self.sock

    def _stage(self, name: str, work: Callable[[], None]) -> None:
        """Run one stage and note how it went. Every error of the network leaves here as a ProbeError."""
        start = time.monotonic()
        error = None
        try:
            work()
        except (OSError, ProbeError) as exc:
            error = exc if isinstance(exc, ProbeError) else _translated(exc)
        took = round((time.monotonic() - start) * 1000, 1)
        self.row["stages"][name] = {"ok": error is None, "ms": took, "error": str(error) if error else None}
        if error:
            raise error

    def _dns(self) -> None:
        self.found = _resolve(self.target, self.target_port, self.timeout)

    def _tcp(self) -> None:
        sock = _connect(self.found, self.timeout, self.row["addresses"])
        self.sock, self.address = sock, sock.getpeername()[:2]

    def _through_proxy(self) -> None:
        self.sock = self._tunnel(self._socket)

    def _tunnel(self, sock: _Socket) -> _Socket:
        """Speak TLS with the proxy, if that is its way, and ask it for a way to the endpoint, if that takes one."""
        if self.proxy and self.proxy.tls:
            try:
                sock = _secured(sock, self.context, self.proxy.host)
            except ssl.SSLError as error:
                why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
                raise ProbeError("proxy_unreachable", f"no TLS with it: {why or 'connection cut'}") from None
        if self.tls:
            self._connect_through(sock)
        return sock

    def _connect_through(self, sock: _Socket) -> None:
        authority = _authority(self.host, self.port)
        request = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *self._authorization()]
        status, headers = _answer(sock, request, self.timeout)
        if status >= 300:
            _refused_by_proxy(status, headers)

    def _handshake(self) -> None:
        try:
            secured = _secured(self._socket, self.context, self.host)
        except ssl.SSLCertVerificationError as error:
            self.row["tls"] = self._peer()
            raise ProbeError(_VERIFY.get(error.verify_code, "tls_intercepted"), error.verify_message) from None
        self.sock = secured
        self.row["tls"] = {**certificate(secured.getpeercert(True) or b""), "version": secured.version()}

    def _peer(self) -> dict[str, Any] | None:
        """Whose certificate did not hold: a second handshake, which accepts any. Nothing is sent after it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            sock: _Socket = socket.create_connection(self.address, self.timeout)
            try:
                sock = self._tunnel(sock) if self.proxy else sock
                sock = secured = _secured(sock, context, self.host)
                return {**certificate(secured.getpeercert(True) or b""), "version": secured.version()}
            finally:
                sock.close()
        except (OSError, ProbeError):
            return None

    def _http(self) -> None:
        authority = self.host if self.port == (443 if self.tls else 80) else _authority(self.host, self.port)
        plain_proxy = self.proxy is not None and not self.tls
        where = f"http://{_authority(self.host, self.port)}{self.path}" if plain_proxy else self.path
        request = [f"GET {where} HTTP/1.1", f"Host: {authority}", f"User-Agent: {_AGENT}", "Accept: */*"]
        request += [*(self._authorization() if plain_proxy else []), "Connection: close"]
        status, headers = _answer(self._socket, request, self.timeout)
        self.row["status"] = status
        if plain_proxy and (status in (403, 407) or (status >= 500 and "x-squid-error" in headers)):
            _refused_by_proxy(status, headers)
        if status >= 500:
            raise ProbeError("http_error", f"HTTP {status}")
        if status == 403 and "html" in headers.get("content-type", ""):
            raise ProbeError("edge_refused", "HTTP 403 with an HTML page")

    def _authorization(self) -> list[str]:
        proxy = self.proxy
        return [f"Proxy-Authorization: {proxy.authorization}"] if proxy and proxy.authorization else []


class _Layered:
    """TLS inside of the TLS that a proxy is spoken to by, for which Python has no socket. What of one is used here."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str) -> None:
        self._outer, self._read, self._written = outer, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._read, self._written, server_hostname=host)
        self._pass(self._tls.do_handshake)

    def settimeout(self, seconds: float) -> None:
        self._outer.settimeout(seconds)

    def close(self) -> None:
        self._outer.close()

    def getpeercert(self, binary_form: Literal[True]) -> bytes | None:
        return self._tls.getpeercert(binary_form)

    def version(self) -> str | None:
        return self._tls.version()

    def sendall(self, data: bytes) -> None:
        self._pass(lambda: self._tls.write(data))

    def recv(self, size: int) -> bytes:
        return self._pass(lambda: self._tls.read(size))

    def _pass(self, work: Callable[[], T]) -> T:
        """Do something with the inner TLS, and carry to and fro what it needs for that."""
        while True:
            try:
                result = work()
            except ssl.SSLWantReadError:
                self._outer.sendall(self._written.read())
                piece = self._outer.recv(16384)
                if piece:
                    self._read.write(piece)
                else:
                    self._read.write_eof()
                continue
            self._outer.sendall(self._written.read())
            return result


_Secured = Union[ssl.SSLSocket, _Layered]
_Socket = Union[socket.socket, _Secured]


def _secured(sock: _Socket, context: ssl.SSLContext, host: str) -> _Secured:
    """A connection with TLS on top. Raises OSError."""
    if isinstance(sock, ssl.SSLSocket):
        return _Layered(sock, context, host)
    if isinstance(sock, _Layered):
        raise AssertionError("there is one proxy at most")
    return context.wrap_socket(sock, server_hostname=host)


def _refused_by_proxy(status: int, headers: dict[str, str]) -> None:
    """Raise what a proxy means by a status; squid says more in a header."""
    word = {407: "proxy_auth_required"}.get(status, "proxy_failed" if status >= 500 else "proxy_refused")
    more = headers.get("x-squid-error", "").partition(" ")[0]
    raise ProbeError(word, f"the proxy answers {status}" + (f", {more}" if more else ""))


def _translated(error: OSError) -> ProbeError:
    """An error of the socket layer as a diagnosis."""
    if isinstance(error, socket.timeout):
        return ProbeError("no_answer", "timed out")
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, BrokenPipeError)):
        return ProbeError("reset", "connection cut")
    if isinstance(error, ssl.SSLError):
        reason = error.reason or "TLS error"
        return ProbeError("not_tls" if reason in _NO_TLS else "tls_failed", reason)
    return ProbeError(_CONNECT.get(error.errno or 0, "reset"), error.strerror or type(error).__name__)


def _resolve(host: str, port: int, timeout: float) -> list[Any]:
    """getaddrinfo has no time limit of its own, hence the thread, which ends with the process at the latest."""
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    if not answer:
        raise ProbeError("dns_timeout", f"no answer in {timeout:g} s")
    if isinstance(answer[0], socket.gaierror):
        busy = answer[0].errno == socket.EAI_AGAIN
        raise ProbeError("dns_timeout" if busy else "no_dns", answer[0].strerror or str(answer[0]))
    if isinstance(answer[0], Exception):
        raise ProbeError("no_dns", str(answer[0]))
    return list(answer[0])


def _connect(found: list[Any], timeout: float, rows: list[dict[str, Any]]) -> socket.socket:
    """Connect to all addresses at once; the first that answers is used, and how each one went is noted in ``rows``."""
    open_sockets: dict[socket.socket, dict[str, Any]] = {}
    winner: socket.socket | None = None
    worst, deadline = ProbeError("no_route", "no address"), time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:

        def settle(sock: socket.socket | None, row: dict[str, Any], code: int) -> None:
            nonlocal winner, worst, deadline
            row["ok"] = code == 0
            if code == 0 and winner is None:
                winner, deadline = sock, min(deadline, time.monotonic() + _GRACE)
            elif code:
                row["error"] = os.strerror(code)
                diagnosis = _CONNECT.get(code, "rejected")
                if _SEVERITY.index(diagnosis) >= _SEVERITY.index(worst.diagnosis):
                    worst = ProbeError(diagnosis, os.strerror(code))

        try:
            for family, kind, proto, _name, address in found:
                row = {"address": address[0], "ok": None, "error": None}
                rows.append(row)
                try:
                    sock = socket.socket(family, kind, proto)
                except OSError as error:
                    settle(None, row, error.errno or errno.EAFNOSUPPORT)
                    continue
                open_sockets[sock] = row
                sock.setblocking(False)
                code = sock.connect_ex(address)
                if code == errno.EINPROGRESS:
                    selector.register(sock, selectors.EVENT_WRITE, sock)
                else:
                    settle(sock, row, code)
            while selector.get_map() and time.monotonic() < deadline:
                for key, _events in selector.select(max(0.0, deadline - time.monotonic())):
                    done = key.data
                    selector.unregister(done)
                    settle(done, open_sockets[done], done.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            if winner is None:
                for row in open_sockets.values():
                    if row["ok"] is None:
                        settle(None, row, errno.ETIMEDOUT)
                raise worst
        finally:
            for sock in open_sockets:
                if sock is not winner:
                    sock.close()
    winner.settimeout(timeout)
    return winner


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _answer(sock: _Socket, request: list[str], timeout: float) -> tuple[int, dict[str, str]]:
    """Send a request and read the head of the answer: its status and headers (names in lower case)."""
    deadline = time.monotonic() + timeout
    sock.settimeout(timeout)
    sock.sendall("\r\n".join([*request, "", ""]).encode("utf-8"))
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _LONGEST_HEAD:
        sock.settimeout(max(0.01, deadline - time.monotonic()))  # the whole head within the time, not each piece
        piece = sock.recv(4096)
        if not piece:
            break
        data += piece
    if not data:
        raise ProbeError("reset", "closed without an answer")
    lines = data.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    status = re.match(r"HTTP/1\.[01] (\d{3})", lines[0])
    if not status:
        raise ProbeError("not_http", "the answer is not HTTP")
    headers = [line.partition(":") for line in lines[1:]]
    return int(status.group(1)), {name.strip().lower(): value.strip().lower() for name, _colon, value in headers}
