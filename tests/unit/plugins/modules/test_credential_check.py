# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it: a process of its own, real files, IAM and the Runtime API as small servers here."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import select
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import parse_qs

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _credential
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import Variable, assignments
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_call import Answer
from ansible_collections.ibm_quantum.platform.plugins.modules import credential_check
from ansible_collections.ibm_quantum.platform.tests.unit.invocation import SHOW_INVOCATION
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.servers import Authority, Server, closed_port

KEY, OTHER = "Key0-Aa1Bb2Cc3Dd4Ee5Ff6Gg7Hh8Ii9Jj0Kk1Ll2Mm3", "Oth0-Aa1Bb2Cc3Dd4Ee5Ff6Gg7Hh8Ii9Jj0Kk1Ll2Mm3"
TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123:4567::"
UNKNOWN = (400, {"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."})
DENIED = (403, {"errors": [{"code": 1200, "message": "Not authorized.", "solution": "Ask."}], "trace": "t-1"})
NO_WAY_OUT = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}  # a wrong URL must not reach IBM
ME = pwd.getpwuid(os.getuid()).pw_name


class Ibm:
    """IAM, which knows KEY, and the Runtime API; ``script`` has answers that come first (status, body, headers)."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.calls: list[tuple[str, dict[str, str], str]] = []

    def __call__(self, connection: Any) -> bytes:
        head, body = b"", b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                return head
            head += piece
        head, _blank, body = head.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(4096)
        self.calls.append((lines[0], headers, body.decode()))
        status, answer, *more = self.script.pop(0) if self.script else self.answer(lines[0], headers, body.decode())
        if status is None:
            return head  # cut the connection
        text = answer if isinstance(answer, str) else json.dumps(answer)
        extra = "".join(f"{name}: {value}\r\n" for name, value in (more[0] if more else {}).items())
        length = "" if "Content-Length" in extra or "Transfer-Encoding" in extra else f"Content-Length: {len(text)}\r\n"
        connection.sendall(f"HTTP/1.1 {status} Word\r\n{extra}{length}Connection: close\r\n\r\n{text}".encode())
        return head + body

    @staticmethod
    def answer(line: str, headers: dict[str, str], body: str) -> Any:
        if line == "POST /identity/token HTTP/1.1":
            form = {name: values[0] for name, values in parse_qs(body).items()}
            assert headers["content-type"] == "application/x-www-form-urlencoded"
            assert form["grant_type"] == "urn:ibm:params:oauth:grant-type:apikey"
            return (200, {"access_token": TOKEN, "expires_in": 3600}) if form["apikey"] == KEY else UNKNOWN
        assert line == "GET /api/v1/instances/usage HTTP/1.1", line
        assert headers["authorization"] == f"Bearer {TOKEN}" and headers["ibm-api-version"]
        return (200, {}) if headers["service-crn"] == CRN else DENIED

    @property
    def lines(self) -> list[str]:
        return [line.partition(" HTTP")[0] for line, _headers, _body in self.calls]


class Host:
    """The home of this user, on which the module runs with scope=user."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.output = ""

    def environment(self, **values: str) -> None:
        folder = self.home / ".config" / "ibm_quantum"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "environment").write_text(assignments([Variable(name, value) for name, value in values.items()]))

    def accounts(self, content: Any) -> None:
        (self.home / ".qiskit").mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (self.home / ".qiskit" / "qiskit-ibm.json").write_text(text)

    def check(self, env: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
        params = {"scope": "user", "timeout": 5, "retries": 0, **params}
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        path = os.pathsep.join(path for path in sys.path if path)
        done = subprocess.run(
            [sys.executable, "-m", credential_check.__name__],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {**params, **SHOW_INVOCATION, "_ansible_check_mode": True}}),
            env={**kept, **NO_WAY_OUT, "HOME": str(self.home), "PYTHONPATH": path, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.output = done.stdout + done.stderr
        assert "Traceback" not in self.output, self.output
        for secret in (KEY, OTHER, TOKEN):
            assert secret not in self.output
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert not result.get("changed")
        return result


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(Server(*args, **kwargs))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    home = tmp_path / "alice"
    home.mkdir()
    return Host(home)


def urls(server: Server, scheme: str = "http", name: str = "127.0.0.1") -> dict[str, Any]:
    base = f"{scheme}://{name}:{server.port}"
    return {"iam_url": base, "runtime_url": f"{base}/api"}


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_each_key_is_proven_once_and_never_shown(host: Host, serve: Callable[..., Server]) -> None:
    ibm = Ibm()
    host.environment(IQP_API_TOKEN=KEY, QISKIT_IBM_TOKEN=KEY, QISKIT_IBM_INSTANCE=CRN, EDITOR="vi")
    good = {"channel": "ibm_quantum_platform", "token": KEY, "instance": CRN, "url": "https://cloud.ibm.com"}
    host.accounts({"mine": good, "by-name": {**good, "instance": "prod"}, "far": {"channel": "local", "token": "x"}})
    result = host.check(users=[ME], sha256=[sha256(KEY).upper()], **urls(serve(ibm)))
    assert not result.get("failed"), result
    file, saved = str(host.home / ".config/ibm_quantum/environment"), str(host.home / ".qiskit/qiskit-ibm.json")
    row = {"sha256": sha256(KEY), "expected": True, "works": True, "reason": "", "user": None}
    assert result["places"] == [
        {**row, "place": file, "name": "IQP_API_TOKEN"},
        {**row, "place": file, "name": "QISKIT_IBM_TOKEN"},
        {**row, "place": saved, "name": "mine", "user": ME},
        {**row, "place": saved, "name": "by-name", "user": ME},
    ]
    assert result["failed_places"] == []
    assert ibm.lines == ["POST /identity/token", "GET /api/v1/instances/usage"]


def test_each_place_that_is_not_in_order_is_named_with_its_remedy(host: Host, serve: Callable[..., Server]) -> None:
    ibm = Ibm()
    host.environment(IQP_API_TOKEN=KEY, QISKIT_IBM_TOKEN=OTHER, IBMCLOUD_API_KEY=TOKEN)
    host.accounts({"theirs": {"token": KEY, "instance": CRN.replace("0123", "9999")}, "short": {"token": "näy"}})
    result = host.check(users=[ME], sha256=[sha256(KEY), sha256("x" * 44)], **urls(serve(ibm)))
    assert result["failed"]
    rows = {row["name"]: row for row in result["places"]}
    assert [name for name, row in rows.items() if row["works"]] == ["IQP_API_TOKEN"]
    assert [name for name, row in rows.items() if row["expected"]] == ["IQP_API_TOKEN", "theirs"]
    assert rows["short"]["sha256"] is None and rows["short"]["expected"] is False
    lines = result["msg"].splitlines()
    assert lines[0] == "4 of 5 places of an API key are not in order:" and len(lines) == 5
    assert len(result["failed_places"]) == 4 and result["failed_places"][-1].endswith("qiskit-ibm.json short")
    assert "QISKIT_IBM_TOKEN: it is another key than the expected one" in lines[1] and "BXNIM0415E" in lines[1]
    assert "IBMCLOUD_API_KEY: " in lines[2] and "it is a bearer token, not an API key" in lines[2]
    assert f"qiskit-ibm.json theirs of {ME}: " in lines[3] and "code 1200" in lines[3] and "Trace id: t-1" in lines[3]
    assert "characters that no API key has" in lines[4]


def test_no_key_at_all_is_a_failure_that_says_where_it_looked(host: Host) -> None:
    host.environment(QISKIT_IBM_INSTANCE=CRN)
    result = host.check(users=[ME])
    assert result["failed"] and result["places"] == []
    assert str(host.home / ".config/ibm_quantum/environment") in result["msg"]
    assert f"nor in the saved accounts of {ME}" in result["msg"]


def test_what_is_tried_besides_the_exchange(host: Host, serve: Callable[..., Server]) -> None:
    host.environment(IQP_API_TOKEN=KEY, QISKIT_IBM_INSTANCE=CRN.replace("0123", "9999"))
    for params, calls, good in (
        ({}, 2, False),
        ({"instance": CRN}, 2, True),
        ({"check_instance": False}, 1, True),
    ):
        ibm = Ibm()
        result = host.check(**urls(serve(ibm)), **params)
        assert (len(ibm.calls), not result.get("failed")) == (calls, good), params


def test_where_the_urls_come_from(host: Host, serve: Callable[..., Server]) -> None:
    ibm = Ibm()
    base = f"http://127.0.0.1:{serve(ibm).port}"
    wrong = {"IAM_URL": "http://127.0.0.1:9", "IBM_QUANTUM_RUNTIME_URL": f"{base}/api/v1"}
    host.environment(IQP_API_TOKEN=KEY, QISKIT_IBM_INSTANCE=CRN, IAM_URL=f"{base}/identity/token")
    assert not host.check(env=wrong).get("failed")
    host.environment(IQP_API_TOKEN=KEY)
    assert not host.check(env={"IAM_URL": base}).get("failed")
    assert "127.0.0.1:9 cannot be reached (refused)" in host.check(env=wrong)["msg"]
    host.environment(IQP_API_TOKEN=KEY, IAM_URL="http://iam.example.com")
    assert "'IAM_URL' must use https" in host.check()["msg"]
    assert len(ibm.calls) == 3


@pytest.mark.parametrize(
    "params, text",
    [
        ({"sha256": ["abc"]}, "sha256 must be 64 hexadecimal digits"),
        ({"timeout": 0}, "timeout must be 1 to 60 seconds, not 0"),
        ({"retries": 11}, "retries must be 0 to 10 repetitions, not 11"),
        ({"instance": "prod"}, "'instance': not a CRN"),
        ({"iam_url": "http://iam.example.com"}, "'iam_url' must use https"),
        ({"runtime_url": "quantum"}, "'runtime_url' must be a URL"),
        ({"ca_path": "/nonexistent.pem"}, "ca_path (or REQUESTS_CA_BUNDLE) must name a PEM file"),
        ({"users": ["nobody-of-this-name"]}, "users: no user 'nobody-of-this-name' on this host"),
    ],
)
def test_bad_options(host: Host, params: dict[str, Any], text: str) -> None:
    host.environment(IQP_API_TOKEN=KEY)
    result = host.check(**params)
    assert result["failed"] and text in result["msg"]


def test_a_bad_proxy_is_named_without_its_password(host: Host) -> None:
    host.environment(IQP_API_TOKEN=KEY)
    result = host.check(proxy="ftp://me:pa55word@proxy.example.com")
    assert result["failed"] and "proxy must be http://HOST:PORT" in result["msg"] and "pa55word" not in host.output


@pytest.mark.parametrize("content", ["{", "[]", '{"mine": 1}', b"\xff\xfe".decode("latin-1")])
def test_a_file_that_holds_no_accounts_is_named(host: Host, content: str) -> None:
    host.accounts(content)
    result = host.check(users=[ME])
    assert result["failed"] and "qiskit-ibm.json holds no accounts" in result["msg"]


def test_odd_fields_of_an_account_are_no_obstacle(host: Host, serve: Callable[..., Server]) -> None:
    odd = {"token": KEY, "proxies": {"urls": ["x"]}, "instance": 3, "private_endpoint": "yes"}
    host.accounts({"odd": odd, "none": {"token": None}, "more": {"token": KEY, "proxies": "x"}})
    result = host.check(users=[ME], **urls(serve(Ibm())))
    assert not result.get("failed") and [row["name"] for row in result["places"]] == ["odd", "more"]


def test_some_accounts_only(host: Host, serve: Callable[..., Server]) -> None:
    host.accounts({"fleet": {"token": KEY}, "mine": {"token": OTHER}})
    server = serve(Ibm())
    result = host.check(users=[ME], accounts=["fleet"], sha256=[sha256(KEY)], **urls(server))
    assert not result.get("failed") and [row["name"] for row in result["places"]] == ["fleet"]
    host.accounts({"mine": {"token": OTHER}, "odd": {"channel": "ibm_cloud"}})
    result = host.check(users=[ME], accounts=["fleet", "odd"], **urls(server))
    assert result["msg"].count("there is no API key: run the role") == 2 and len(result["places"]) == 2
    assert result["places"][0]["sha256"] is None


def test_a_file_in_the_way(host: Host) -> None:
    (host.home / ".config" / "ibm_quantum" / "environment").mkdir(parents=True)
    result = host.check()
    assert result["failed"] and "environment cannot be read: Is a directory" in result["msg"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(host: Host) -> None:
    host.environment(IQP_API_TOKEN=KEY)
    (host.home / ".config/ibm_quantum/environment").chmod(0)
    assert "set become: true" in host.check()["msg"]


BUSY = (503, {"errors": [{"message": "Maintenance."}]})


@pytest.mark.parametrize(
    "script, retries, calls, text",
    [
        ([(429, {}, {"Retry-After": "0"}), BUSY, (None, "")], 3, 4, ""),
        ([BUSY, BUSY], 1, 2, "Maintenance (503)"),
        ([(429, {}, {"Retry-After": "3600"})], 3, 1, "IBM limits the rate"),
        ([(429, {}, {"Retry-After": "Fri, 31 Dec 2999 23:59:59 GMT"})], 3, 1, "IBM limits the rate"),
        ([(429, {}, {"Retry-After": "Sat, 01 Jan 2000 00:00:00"}), (429, {}, {"Retry-After": "soon"})], 2, 3, ""),
        ([UNKNOWN], 3, 1, "BXNIM0415E"),
        ([(302, "", {"Location": "https://elsewhere"})], 3, 1, "The redirection was not followed"),
        ([(200, "<html>Sign in</html>")], 3, 1, "the answer is not a token"),
        ([(200, "[]")], 3, 1, "the answer is not a token"),
        ([(200, "{", {"Content-Length": "100"})], 0, 1, "cannot be reached (reset)"),
        ([(200, "zz", {"Transfer-Encoding": "chunked"})], 0, 1, "cannot be reached (reset)"),
        ([(99, "")], 0, 1, "answers, but not with HTTP"),
    ],
)
def test_answers_of_all_kinds(
    host: Host, serve: Callable[..., Server], script: list[Any], retries: int, calls: int, text: str
) -> None:
    ibm = Ibm(*script)
    host.environment(IQP_API_TOKEN=KEY)
    result = host.check(retries=retries, **urls(serve(ibm)))
    assert len(ibm.calls) == calls and bool(result.get("failed")) == bool(text), result
    assert text in result.get("msg", "")


def relay(head: list[bytes]) -> Callable[[Any], bytes]:
    """A proxy that notes what it was asked for and what went through it."""

    def talk(connection: Any) -> bytes:
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += connection.recv(4096)
        head.append(asked)
        port = int(asked.split()[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port), 10) as server:
            connection.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
            other, passed = {connection: server, server: connection}, b""
            while True:
                for sock in select.select(list(other), [], [], 10)[0]:
                    piece = sock.recv(65536)
                    if not piece:
                        return passed
                    passed += piece
                    other[sock].sendall(piece)

    return talk


def test_through_the_hosts_own_proxy_and_ca(host: Host, serve: Callable[..., Server], tmp_path: Path) -> None:
    ibm = Ibm()
    asked: list[bytes] = []
    authority = Authority(tmp_path, "Lab CA")
    server, proxy = serve(ibm, authority.server_context("localhost")), serve(relay(asked))
    way = {"HTTPS_PROXY": f"http://me:pa55word@127.0.0.1:{proxy.port}", "REQUESTS_CA_BUNDLE": str(authority.path)}
    host.environment(IQP_API_TOKEN=KEY, QISKIT_IBM_INSTANCE=CRN, **way)
    result = host.check(**urls(server, "https", "localhost"))
    assert not result.get("failed"), result
    assert [request.split()[:2] for request in asked] == [[b"CONNECT", f"localhost:{server.port}".encode()]] * 2
    assert all(b"Proxy-Authorization: Basic " in request for request in asked)
    assert all(KEY.encode() not in passed for passed in proxy.requests) and "pa55word" not in host.output

    host.environment(IQP_API_TOKEN=KEY)
    untrusted = host.check(proxy="", **urls(server, "https", "localhost"))
    assert "cannot be reached (tls_intercepted)" in untrusted["msg"]
    own: dict[str, Any] = {"proxy": f"http://127.0.0.1:{closed_port()}", "ca_path": str(authority.path)}
    assert "cannot be reached (proxy_unreachable)" in host.check(**urls(server, "https", "localhost"), **own)["msg"]
    assert len(asked) == 2


def test_an_accounts_own_proxy_counts_for_it(host: Host, serve: Callable[..., Server], tmp_path: Path) -> None:
    ibm = Ibm()
    asked: list[bytes] = []
    authority = Authority(tmp_path, "Lab CA")
    server, proxy = serve(ibm, authority.server_context("localhost")), serve(relay(asked))
    host.environment(QISKIT_IBM_TOKEN=KEY, REQUESTS_CA_BUNDLE=str(authority.path))
    host.accounts({"mine": {"token": KEY, "proxies": {"urls": {"https": f"http://127.0.0.1:{proxy.port}"}}}})
    direct = {"NO_PROXY": "localhost"}
    assert not host.check(env=direct, users=[ME], **urls(server, "https", "localhost")).get("failed")
    assert len(asked) == 1 and len(ibm.calls) == 2
    host.accounts({"mine": {"token": KEY, "proxies": {"urls": {"https": "ftp://me:pa55word@x"}}}})
    result = host.check(env=direct, users=[ME], **urls(server, "https", "localhost"))
    assert "the proxy of the saved account or of HTTPS_PROXY must be http" in result["msg"]
    assert "pa55word" not in host.output


def test_plain_http_goes_by_no_proxy(host: Host, serve: Callable[..., Server]) -> None:
    ibm = Ibm()
    host.environment(IQP_API_TOKEN=KEY)
    assert not host.check(env={"HTTP_PROXY": "http://127.0.0.1:9"}, **urls(serve(ibm))).get("failed")
    assert len(ibm.calls) == 1


def test_a_private_account_asks_the_private_endpoints() -> None:
    asked: list[str] = []

    class Recorded:
        def request(self, _method: str, url: str, **_more: Any) -> Any:
            asked.append(url)
            return Answer(200, "OK", json.dumps({"access_token": TOKEN, "expires_in": 60}), None)

    caller: Any = Recorded()
    told: list[str] = []
    options: dict[str, Any] = dict.fromkeys(("iam_url", "runtime_url", "instance"))
    prover = _credential.Prover(caller, check_instance=True, on_secret=told.append, environment={}, **options)
    place = _credential.Place("/f", "n", "alice", KEY, CRN, private=True)
    assert prover.reason(place) == "" and prover.reason(place._replace(private=False)) == ""
    assert told == [TOKEN, TOKEN]
    assert asked == [
        "https://private.iam.cloud.ibm.com/identity/token",
        "https://private.us-east.quantum.cloud.ibm.com/api/v1/instances/usage",
        "https://iam.cloud.ibm.com/identity/token",
        "https://quantum.cloud.ibm.com/api/v1/instances/usage",
    ]


def test_the_files_of_the_whole_host(tmp_path: Path) -> None:
    secrets, public = tmp_path / "secrets.env", tmp_path / "environment"
    value = 'a"b\\c$d`e'
    secrets.write_text(assignments([Variable("QISKIT_IBM_TOKEN", value)]))
    public.write_text(assignments([Variable("QISKIT_IBM_INSTANCE", CRN), Variable("IAM_URL", "https://i.example")]))
    place = _credential.Place(str(secrets), "QISKIT_IBM_TOKEN", None, value, CRN, "https://i.example")
    assert _credential.in_environment([str(secrets), str(public), str(tmp_path / "missing")]) == [place]
    assert _credential.in_environment([str(tmp_path / "missing"), str(secrets / "below")]) == []
