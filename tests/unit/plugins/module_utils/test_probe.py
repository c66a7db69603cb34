# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on 127.0.0.1, one for every thing that can go wrong; each diagnosis has a test."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import struct
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _probe
from ansible_collections.ibm_quantum.platform.plugins.module_utils._certificate import certificate
from ansible_collections.ibm_quantum.platform.plugins.module_utils._probe import (
    KEPT_OUT,
    REMEDIES,
    ProbeError,
    Proxy,
    environment_proxy,
    kept_out,
    parse_proxy,
    probe,
    probe_all,
    trust,
)
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.servers import (
    Authority,
    Server,
    closed_port,
    http_answer,
    speak_http,
)

LOCAL = "127.0.0.1"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "Lab CA")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "Snooping Appliance")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(Server(*args, **kwargs))


def diagnosis(row: dict[str, Any]) -> str:
    """The diagnosis, after a look at what every row must keep to."""
    stages = [stage for stage in row["stages"].values() if stage]
    assert row["reachable"] is (row["diagnosis"] == "ok") is (row["remedy"] == "")
    assert [stage["ok"] for stage in stages] == [True] * (len(stages) - 1) + [row["reachable"]]
    assert all((stage["error"] is None) is stage["ok"] and stage["ms"] >= 0 for stage in stages)
    assert "{" not in row["remedy"]
    return str(row["diagnosis"])


def test_all_is_well_over_tls(authority: Authority, serve: Callable[..., Server]) -> None:
    server = serve(speak_http(http_answer(401)), authority.server_context("localhost"))
    row = probe("localhost", server.port, path="/api/v1/versions", context=trust(str(authority.path)))
    assert diagnosis(row) == "ok" and row["status"] == 401 and not kept_out(row)
    assert {"address": LOCAL, "ok": True, "error": None} in row["addresses"]
    assert row["tls"]["issuer"] == "O=ibm_quantum.platform tests, CN=Lab CA" and row["tls"]["subject"] == "CN=localhost"
    assert row["tls"]["names"] == ["localhost", LOCAL] and row["tls"]["days_left"] == 29
    assert row["tls"]["version"].startswith("TLSv1.") and row["stages"]["proxy"] is None
    (request,) = server.requests
    assert request.startswith(b"GET /api/v1/versions HTTP/1.1\r\nHost: localhost:%d\r\n" % server.port)
    assert b"authorization" not in request.lower()


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 429])
def test_any_answer_of_the_service_will_do(status: int, serve: Callable[..., Server]) -> None:
    server = serve(speak_http(http_answer(status)))
    row = probe(LOCAL, server.port, tls=False)
    assert diagnosis(row) == "ok" and row["status"] == status and row["tls"] is None


def test_an_address_instead_of_a_name(authority: Authority, serve: Callable[..., Server]) -> None:
    server = serve(speak_http(http_answer(200)), authority.server_context("localhost"))
    assert diagnosis(probe(LOCAL, server.port, context=trust(str(authority.path)))) == "ok"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_http_error(status: int, serve: Callable[..., Server]) -> None:
    row = probe(LOCAL, serve(speak_http(http_answer(status))).port, tls=False)
    assert diagnosis(row) == "http_error" and str(status) in row["remedy"]


def test_edge_refused(serve: Callable[..., Server]) -> None:
    row = probe(LOCAL, serve(speak_http(http_answer(403, "Text/HTML; charset=utf-8"))).port, tls=False)
    assert diagnosis(row) == "edge_refused" and row["status"] == 403


def test_not_http(serve: Callable[..., Server]) -> None:
    assert diagnosis(probe(LOCAL, serve(speak_http(b"SSH-2.0-x\r\n\r\n")).port, tls=False)) == "not_http"


def test_not_tls(serve: Callable[..., Server]) -> None:
    assert diagnosis(probe(LOCAL, serve(speak_http(http_answer(400), first=True)).port)) == "not_tls"


def test_tls_intercepted_names_the_issuer_and_sends_nothing(
    authority: Authority, stranger: Authority, serve: Callable[..., Server]
) -> None:
    server = serve(speak_http(http_answer(200)), stranger.server_context("localhost"))
    row = probe("localhost", server.port, context=trust(str(authority.path)))
    assert diagnosis(row) == "tls_intercepted" and "Snooping Appliance" in row["remedy"]
    assert row["tls"]["issuer"].endswith("CN=Snooping Appliance") and not kept_out(row)
    assert server.connections == 2 and server.requests == []


def test_tls_self_signed(authority: Authority, stranger: Authority, serve: Callable[..., Server]) -> None:
    server = serve(speak_http(http_answer(200)), stranger.own_context())
    assert diagnosis(probe("localhost", server.port, context=trust(str(authority.path)))) == "tls_intercepted"


def test_tls_intercepted_by_one_who_takes_one_connection(
    authority: Authority, stranger: Authority, serve: Callable[..., Server]
) -> None:
    server = serve(speak_http(http_answer(200)), stranger.server_context("localhost"), limit=1)
    row = probe("localhost", server.port, context=trust(str(authority.path)), timeout=1)
    assert diagnosis(row) == "tls_intercepted" and row["tls"] is None and "(unknown)" in row["remedy"]


@pytest.mark.parametrize("days", [(-20, -10), (10, 20)])
def test_tls_expired_or_not_yet_valid(
    authority: Authority, serve: Callable[..., Server], days: tuple[int, int]
) -> None:
    server = serve(speak_http(http_answer(200)), authority.server_context("localhost", days))
    row = probe("localhost", server.port, context=trust(str(authority.path)))
    assert diagnosis(row) == "tls_expired" and row["tls"]["not_after"] in row["remedy"]
    assert (row["tls"]["days_left"] < 0) is (days[1] < 0)


@pytest.mark.parametrize("host", ["localhost", LOCAL])
def test_tls_wrong_name(authority: Authority, serve: Callable[..., Server], host: str) -> None:
    server = serve(speak_http(http_answer(200)), authority.server_context("other.example.com", addresses=[]))
    row = probe(host, server.port, context=trust(str(authority.path)))
    assert diagnosis(row) == "tls_wrong_name" and "other.example.com" in row["remedy"]


def test_tls_failed(authority: Authority, serve: Callable[..., Server]) -> None:
    context = authority.server_context("localhost")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    mine = trust(str(authority.path))
    mine.minimum_version = ssl.TLSVersion.TLSv1_3
    assert diagnosis(probe("localhost", serve(speak_http(b""), context).port, context=mine)) == "tls_failed"


def test_refused() -> None:
    row = probe(LOCAL, closed_port(), tls=False)
    assert diagnosis(row) == "refused" and kept_out(row)
    assert row["addresses"] == [{"address": LOCAL, "ok": False, "error": "Connection refused"}]


def test_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full drops what comes, as a firewall does."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOCAL, 0))
        listener.listen(0)
        for _number in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        row = probe(LOCAL, listener.getsockname()[1], timeout=0.5)
    assert diagnosis(row) == "blocked" and kept_out(row) and row["stages"]["tcp"]["ms"] >= 450


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (errno.EHOSTUNREACH, "rejected"),
        (errno.EACCES, "rejected"),
        (errno.EPERM, "rejected"),
        (errno.ENETUNREACH, "no_route"),
        (errno.ECONNRESET, "reset"),
        (errno.ENOBUFS, "rejected"),
    ],
)
def test_what_the_kernel_says(code: int, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sock(socket.socket):
        def connect_ex(self, address: Any) -> int:
            return code

    monkeypatch.setattr(_probe.socket, "socket", Sock)
    assert diagnosis(probe(LOCAL, 443)) == word


@pytest.mark.parametrize("tls", [True, False])
def test_no_answer(tls: bool) -> None:
    with socket.socket() as listener:  # the kernel accepts, nobody speaks
        listener.bind((LOCAL, 0))
        listener.listen(8)
        row = probe(LOCAL, listener.getsockname()[1], tls=tls, timeout=0.5)
    assert diagnosis(row) == "no_answer" and kept_out(row)


def test_an_answer_in_drops_does_not_hold_the_probe_up(serve: Callable[..., Server]) -> None:
    stop = threading.Event()

    def drip(connection: Any) -> bytes:
        connection.recv(4096)
        while not stop.wait(0.1):
            connection.sendall(b"H")
        return b""

    try:
        assert diagnosis(probe(LOCAL, serve(drip).port, tls=False, timeout=0.5)) == "no_answer"
    finally:
        stop.set()


@pytest.mark.parametrize("tls", [True, False])
def test_reset(tls: bool, serve: Callable[..., Server]) -> None:
    def cut(connection: Any) -> bytes:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return b""

    assert diagnosis(probe(LOCAL, serve(cut).port, tls=tls)) == "reset"


@pytest.mark.parametrize("tls", [True, False])
def test_closed_without_an_answer(tls: bool, serve: Callable[..., Server]) -> None:
    assert diagnosis(probe(LOCAL, serve(speak_http(b"", first=True)).port, tls=tls)) == "reset"


def test_an_answer_cut_after_tls_held_is_not_kept_out(authority: Authority, serve: Callable[..., Server]) -> None:
    server = serve(speak_http(b""), authority.server_context("localhost"))
    row = probe("localhost", server.port, context=trust(str(authority.path)))
    assert diagnosis(row) == "reset" and not kept_out(row)


@pytest.mark.parametrize(
    ("code", "word"), [(socket.EAI_NONAME, "no_dns"), (socket.EAI_FAIL, "no_dns"), (socket.EAI_AGAIN, "dns_timeout")]
)
def test_dns(code: int, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise socket.gaierror(code, os.strerror(1))

    monkeypatch.setattr(_probe.socket, "getaddrinfo", fail)
    row = probe("name.invalid", 443)
    assert diagnosis(row) == word and "name.invalid" in row["remedy"] and not kept_out(row)


def test_dns_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(_probe.socket, "getaddrinfo", lambda *_args, **_kwargs: release.wait(30))
    try:
        assert diagnosis(probe("name.invalid", 443, timeout=0.2)) == "dns_timeout"
    finally:
        release.set()


def test_a_name_that_is_none() -> None:
    assert diagnosis(probe("a" * 64 + ".example", 443)) == "no_dns"


def addresses(*rows: tuple[int, str, int]) -> list[Any]:
    return [(family, socket.SOCK_STREAM, 6, "", (host, port)) for family, host, port in rows]


def test_one_address_that_answers_is_enough_and_the_others_are_told(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(speak_http(http_answer(200)))
    found = addresses((socket.AF_INET6, "::1", closed_port()), (socket.AF_INET, LOCAL, server.port))
    monkeypatch.setattr(_probe.socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    row = probe("two.example", 80, tls=False)
    assert diagnosis(row) == "ok"
    assert [(entry["address"], entry["ok"]) for entry in row["addresses"]] == [("::1", False), (LOCAL, True)]


def test_an_address_that_hangs_does_not_hold_up_one_that_answers(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(speak_http(http_answer(200)))
    found = addresses((socket.AF_INET, "127.0.0.2", 1), (socket.AF_INET, LOCAL, server.port))
    monkeypatch.setattr(_probe.socket, "getaddrinfo", lambda *_args, **_kwargs: found)

    class Sock(socket.socket):
        def connect_ex(self, address: Any) -> int:
            # a socket that is not connected is never writable here: connect to nowhere by listening
            if address[0] == "127.0.0.2":
                self.bind((LOCAL, 0))
                self.listen(1)
                return errno.EINPROGRESS
            return super().connect_ex(address)

    monkeypatch.setattr(_probe.socket, "socket", Sock)
    row = probe("two.example", 80, tls=False, timeout=20)
    assert diagnosis(row) == "ok" and row["addresses"][0]["ok"] is None
    assert row["stages"]["tcp"]["ms"] < 10000


def test_the_worst_of_several_failures_is_the_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {"::1": errno.ENETUNREACH, LOCAL: errno.EHOSTUNREACH, "127.0.0.2": errno.ECONNREFUSED}

    class Sock(socket.socket):
        def connect_ex(self, address: Any) -> int:
            return codes[address[0]]

    found = addresses(*((socket.AF_INET6 if ":" in host else socket.AF_INET, host, 443) for host in codes))
    monkeypatch.setattr(_probe.socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    monkeypatch.setattr(_probe.socket, "socket", Sock)
    assert diagnosis(probe("three.example", 443)) == "rejected"


# --- proxies


def proxy_server(status: bytes, target: int = 0) -> Callable[[Any], bytes]:
    """A proxy that answers CONNECT with ``status`` and, if that is 200, passes bytes to a port of this machine."""

    def talk(connection: Any) -> bytes:
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(4096)
            if not piece:
                return request
            request += piece
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nServer: test\r\n\r\n")
        if status.startswith(b"200"):
            with socket.create_connection((LOCAL, target), 10) as other:
                back = threading.Thread(target=pump, args=(other, connection), daemon=True)
                back.start()
                pump(connection, other)
                back.join(10)
        return request

    return talk


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while True:
            piece = source.recv(65536)
            if not piece:
                break
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_through_a_proxy_with_a_password(authority: Authority, serve: Callable[..., Server]) -> None:
    service = serve(speak_http(http_answer(200)), authority.server_context("only.the-proxy.example"))
    middle = serve(proxy_server(b"200 Connection established", service.port))
    proxy = parse_proxy(f"http://user:p%40ss@{LOCAL}:{middle.port}")
    row = probe("only.the-proxy.example", 443, proxy=proxy, context=trust(str(authority.path)))
    assert diagnosis(row) == "ok" and row["proxy"] == f"http://{LOCAL}:{middle.port}" and row["stages"]["proxy"]["ok"]
    assert middle.requests == [
        b"CONNECT only.the-proxy.example:443 HTTP/1.1\r\nHost: only.the-proxy.example:443\r\n"
        b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n"
    ]
    assert service.requests[0].startswith(b"GET / HTTP/1.1\r\nHost: only.the-proxy.example\r\n")
    assert b"Proxy-Authorization" not in service.requests[0] and "p@ss" not in str(row)


def test_intercepted_by_the_proxy(authority: Authority, stranger: Authority, serve: Callable[..., Server]) -> None:
    service = serve(speak_http(http_answer(200)), stranger.server_context("x.example"))
    middle = serve(proxy_server(b"200 OK", service.port))
    row = probe("x.example", proxy=Proxy(LOCAL, middle.port, None), context=trust(str(authority.path)))
    assert diagnosis(row) == "tls_intercepted" and "Snooping Appliance" in row["remedy"]
    assert middle.connections == 2 and b"Proxy-Authorization" not in middle.requests[0]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (b"407 Proxy Authentication Required", "proxy_auth_required"),
        (b"403 Forbidden", "proxy_refused"),
        (b"405 Method Not Allowed", "proxy_refused"),
        (b"502 Bad Gateway", "proxy_failed"),
        (b"504 Gateway Timeout", "proxy_failed"),
    ],
)
def test_what_a_proxy_says(status: bytes, word: str, serve: Callable[..., Server]) -> None:
    row = probe("x.example", proxy=Proxy(LOCAL, serve(proxy_server(status)).port, None))
    assert diagnosis(row) == word and kept_out(row) is (word == "proxy_refused")


@pytest.mark.parametrize(("status", "word"), [(200, "ok"), (403, "proxy_refused"), (407, "proxy_auth_required")])
def test_plain_http_through_a_proxy(status: int, word: str, serve: Callable[..., Server]) -> None:
    middle = serve(speak_http(http_answer(status)))
    row = probe("x.example", 80, tls=False, path="/p", proxy=Proxy(LOCAL, middle.port, "Basic eA=="))
    assert diagnosis(row) == word
    assert middle.requests[0].startswith(b"GET http://x.example:80/p HTTP/1.1\r\nHost: x.example\r\n")
    assert b"Proxy-Authorization: Basic eA==\r\n" in middle.requests[0]


def test_squid_says_more(serve: Callable[..., Server]) -> None:
    answer = b"HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n"
    for tls in (True, False):
        row = probe("x.example", tls=tls, proxy=Proxy(LOCAL, serve(speak_http(answer)).port, None))
        assert diagnosis(row) == "proxy_failed" and "the proxy answers 503, err_dns_fail" in row["remedy"]


def test_a_refusal_names_proxy_and_endpoint(serve: Callable[..., Server]) -> None:
    row = probe("x.example", proxy=Proxy(LOCAL, serve(proxy_server(b"403 Forbidden")).port, None))
    assert row["remedy"].startswith(f"the proxy {LOCAL} does not allow this name: add x.example:443 to")


@pytest.mark.parametrize("tls", [True, False])
def test_a_proxy_that_is_spoken_to_by_tls(tls: bool, authority: Authority, serve: Callable[..., Server]) -> None:
    service = serve(speak_http(http_answer(200)), authority.server_context("only.the-proxy.example"))
    talk = proxy_server(b"200 OK", service.port) if tls else speak_http(http_answer(200))
    middle = serve(talk, authority.server_context("localhost"))
    proxy = parse_proxy(f"https://user:secret@localhost:{middle.port}")
    row = probe("only.the-proxy.example", 443, tls, proxy=proxy, context=trust(str(authority.path)))
    assert (
        diagnosis(row) == "ok" and row["proxy"] == f"https://localhost:{middle.port}" and row["stages"]["proxy"]["ok"]
    )
    assert b"Proxy-Authorization: Basic " in middle.requests[0]
    if tls:
        assert row["tls"]["names"][0] == "only.the-proxy.example" and row["tls"]["version"].startswith("TLSv1.")
        assert service.requests[0].startswith(b"GET / HTTP/1.1\r\nHost: only.the-proxy.example\r\n")


def test_intercepted_behind_a_proxy_with_tls(
    authority: Authority, stranger: Authority, serve: Callable[..., Server]
) -> None:
    service = serve(speak_http(http_answer(200)), stranger.server_context("x.example"))
    context = authority.server_context("localhost")
    row = probe(
        "x.example",
        proxy=Proxy("localhost", serve(proxy_server(b"200 OK", service.port), context).port, None, True),
        context=trust(str(authority.path)),
    )
    assert diagnosis(row) == "tls_intercepted" and "Snooping Appliance" in row["remedy"]


def test_cut_off_within_the_tls_of_a_proxy(authority: Authority, serve: Callable[..., Server]) -> None:
    middle = serve(
        proxy_server(b"200 OK", serve(speak_http(b"", first=True)).port), authority.server_context("localhost")
    )
    row = probe("x.example", proxy=Proxy("localhost", middle.port, None, True), context=trust(str(authority.path)))
    assert diagnosis(row) == "reset"


def test_no_tls_with_the_proxy(authority: Authority, stranger: Authority, serve: Callable[..., Server]) -> None:
    servers = [
        (serve(proxy_server(b"200 OK"), stranger.server_context("localhost")), "certificate"),
        (serve(speak_http(http_answer(400), first=True)), "no TLS with it: "),
    ]
    for server, words in servers:
        row = probe("x.example", proxy=Proxy("localhost", server.port, None, True), context=trust(str(authority.path)))
        assert diagnosis(row) == "proxy_unreachable" and words in row["remedy"] and not kept_out(row)


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    row = probe("x.example", proxy=Proxy(LOCAL, closed_port(), None))
    assert diagnosis(row) == "proxy_unreachable" and "Connection refused" in row["remedy"] and not kept_out(row)

    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(_probe.socket, "getaddrinfo", fail)
    assert diagnosis(probe("x.example", proxy=Proxy("proxy.invalid", 3128, None))) == "proxy_unreachable"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://p.example:3128", Proxy("p.example", 3128, None)),
        ("http://p.example", Proxy("p.example", 80, None)),
        ("p.example:3128/", Proxy("p.example", 3128, None)),
        ("http://u:w@[::1]:8080", Proxy("::1", 8080, "Basic dTp3")),
        ("u:w@p.example:1", Proxy("p.example", 1, "Basic dTp3")),
        ("http://u@p.example:1", Proxy("p.example", 1, "Basic dTo=")),
        ("https://p.example", Proxy("p.example", 443, None, True)),
        ("https://u:w@p.example:3129", Proxy("p.example", 3129, "Basic dTp3", True)),
    ],
)
def test_parse_proxy(url: str, proxy: Proxy) -> None:
    assert parse_proxy(url) == proxy


@pytest.mark.parametrize(
    "url", ["ftp://u:hidden@p:1", "socks5://u:hidden@p", "http://", "http://u:hidden@p:x", "http://[::1"]
)
def test_a_bad_proxy_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="must be http://HOST:PORT") as caught:
        parse_proxy(url)
    assert "hidden" not in str(caught.value)


def test_environment_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment_proxy("x.example", 443, True) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://p.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example,other.example:8443")
    assert environment_proxy("x.example", 443, True) == Proxy("p.example", 3128, None)
    assert environment_proxy("x.example", 80, False) is None
    assert environment_proxy("host.inside.example", 443, True) is None
    assert environment_proxy("other.example", 8443, True) is None
    assert environment_proxy("other.example", 443, True) is not None


def test_trust(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = len(trust(str(authority.path)).get_ca_certs())
    assert own == 1
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.path))
    assert len(trust().get_ca_certs()) == 1
    assert trust(str(tmp_path)).get_ca_certs() == []  # a folder is read when it is needed
    (tmp_path / "empty.pem").write_text("no certificate\n")
    for path in (tmp_path / "empty.pem", tmp_path / "missing.pem"):
        with pytest.raises(OSError):
            trust(str(path))


def test_probe_all_keeps_the_order() -> None:
    assert probe_all([partial(int, str(number)) for number in range(40)]) == list(range(40))


def test_every_diagnosis_has_a_remedy() -> None:
    assert set(REMEDIES) >= KEPT_OUT
    for word in REMEDIES:
        work = _probe._Probe("h.example", 443, True, "/", None, 1.0, trust())
        work.row["stages"]["tcp"] = {"ok": True}
        work.diagnose(ProbeError(word, "why"))
        assert work.row["remedy"] and "{" not in work.row["remedy"]


# --- certificates


def test_a_certificate_that_is_none() -> None:
    for junk in (b"", b"\x30", b"\x30\x82\xff\xff", b"\x30\x03\x02\x01\x01", bytes(range(256))):
        assert certificate(junk) == {}


def test_a_certificate_is_read_as_a_library_reads_it(authority: Authority) -> None:
    """Also the odd ones: cut off anywhere, it is unreadable and nothing worse."""
    der = ssl.PEM_cert_to_DER_cert(authority.path.read_text())
    found = certificate(der)
    assert found["subject"] == found["issuer"] == "O=ibm_quantum.platform tests, CN=Lab CA" and found["names"] == []
    for length in range(len(der)):
        assert certificate(der[:length]) == {}
