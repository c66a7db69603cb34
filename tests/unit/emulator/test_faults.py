# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of fault, seen from a raw client, and how faults choose their requests."""

from __future__ import annotations

import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.faults import PRESETS
from tests.emulator.testing import EmulatorError, EmulatorProcess
from tests.unit.emulator.client import Client

USAGE = "/api/v1/instances/usage"
LIMIT = "/api/v1/instances/configuration"


def raw(emulator: EmulatorProcess, request: bytes, tls: bool = False) -> bytes:
    """All bytes that the server sends until it closes the connection; fails when it leaves it open."""
    parts = urlsplit(emulator.tls_url if tls else emulator.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as plain:
        channel: socket.socket = plain
        if tls:
            channel = ssl.create_default_context(cafile=emulator.ca_file).wrap_socket(
                plain, server_hostname="localhost"
            )
            channel.settimeout(20)
        channel.sendall(request)
        received = b""
        while True:
            try:
                part = channel.recv(65536)
            except (ConnectionResetError, ssl.SSLError):
                return received
            if not part:
                return received
            received += part


def get(user: Client, path: str = USAGE, method: str = "GET", body: bytes = b"") -> bytes:
    """A request that asks for keep-alive: only the server's own will ends the connection."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: emulator",
        f"Authorization: {user.headers['Authorization']!s}",
        f"Service-CRN: {data.INSTANCE_US}",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        "Connection: keep-alive",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("tls", [False, True])
def test_dropped_before(emulator: EmulatorProcess, user: Client, tls: bool) -> None:
    emulator.fault("dropped", path="configuration", method="PUT")
    assert raw(emulator, get(user, LIMIT, "PUT", b'{"instance_limit": 4000}'), tls) == b""
    row = emulator.journal()[-1]
    assert (row["status"], row["fault"], row["path"]) == (None, "dropped", LIMIT)
    assert user.get(LIMIT).json() == {"instance_limit": 10000}, "nothing may have been processed"


@pytest.mark.parametrize("tls", [False, True])
def test_dropped_after(emulator: EmulatorProcess, user: Client, tls: bool) -> None:
    emulator.fault("lost_answer", path="configuration", method="PUT")
    assert raw(emulator, get(user, LIMIT, "PUT", b'{"instance_limit": 4000}'), tls) == b""
    row = emulator.journal()[-1]
    assert (row["status"], row["fault"]) == (204, "lost_answer")
    assert user.get(LIMIT).json() == {"instance_limit": 4000}, "it must have been processed"


@pytest.mark.parametrize("tls", [False, True])
def test_truncated(emulator: EmulatorProcess, user: Client, tls: bool) -> None:
    whole = user.get(USAGE).content
    emulator.fault("truncated", path="usage")
    head, _sep, body = raw(emulator, get(user), tls).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert f"content-length: {len(whole)}".encode() in head
    assert body
    assert len(body) == len(whole) // 2


def test_the_server_goes_on_after_drops(emulator: EmulatorProcess, user: Client) -> None:
    for preset in ("dropped", "lost_answer", "truncated") * 3:
        emulator.fault(preset, path="usage")
        raw(emulator, get(user))
    assert user.get(USAGE).status_code == 200
    assert emulator.log == "", "no drop may leave an error in the server's log"


@pytest.mark.parametrize("preset", [name for name, what in PRESETS.items() if "status" in what])
def test_presets_that_answer(emulator: EmulatorProcess, user: Client, preset: str) -> None:
    what = PRESETS[preset]
    emulator.fault(preset, path="usage")
    reply = user.get(USAGE)
    assert reply.status_code == what["status"]
    if isinstance(what["body"], str):
        assert reply.text == what["body"]
    else:
        assert reply.json()["errors"] == what["body"]["errors"]
    assert user.get(USAGE).status_code == 200


def test_the_edge_answers_html(emulator: EmulatorProcess, user: Client) -> None:
    emulator.fault("edge_403")
    reply = user.get(USAGE)
    assert (reply.status_code, reply.headers["content-type"]) == (403, "text/html")
    assert "Access Denied" in reply.text


def test_a_preset_can_be_changed(emulator: EmulatorProcess, user: Client) -> None:
    emulator.fault("429", headers={"Retry-After": "7"})
    reply = user.get(USAGE)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
    assert reply.json()["errors"][0]["code"] == 1202


@pytest.mark.parametrize(
    ("fault", "content_type", "text"),
    [
        ({"status": 418, "body": {"a": 1}}, "application/json", '{"a": 1}'),
        ({"status": 200, "body": "not json"}, "text/plain; charset=utf-8", "not json"),
        ({"status": 200, "body": "", "headers": {"content-type": "application/json"}}, "application/json", ""),
    ],
)
def test_any_status_headers_and_body(
    emulator: EmulatorProcess, user: Client, fault: dict[str, Any], content_type: str, text: str
) -> None:
    emulator.fault(path="usage", **fault)
    reply = user.get(USAGE)
    assert (reply.status_code, reply.headers["content-type"], reply.text) == (fault["status"], content_type, text)


def test_a_status_alone_has_ibms_body(emulator: EmulatorProcess, user: Client) -> None:
    emulator.fault(path="usage", status=401)
    assert user.get(USAGE).json()["errors"][0]["code"] == 1201


def test_a_fault_hides_the_request_from_the_service(emulator: EmulatorProcess, user: Client) -> None:
    emulator.fault("503", method="PUT")
    assert user.put(LIMIT, json={"instance_limit": 4000}).status_code == 503
    assert user.get(LIMIT).json() == {"instance_limit": 10000}


def test_a_delay_outlasts_an_impatient_client_and_the_request_still_counts(
    emulator: EmulatorProcess, user: Client
) -> None:
    emulator.fault(method="PUT", delay=0.6)
    with pytest.raises(OSError, match="timed out"):
        user.put(LIMIT, json={"instance_limit": 4000}, timeout=0.2)
    emulator.fault(path="usage", delay=0.6)  # answered after the PUT was
    assert user.get(USAGE).json()["usage_limit_seconds"] == 4000


def test_times_and_after(emulator: EmulatorProcess, user: Client) -> None:
    emulator.fault("503", path="usage", after=1, times=2)
    assert [user.get(USAGE).status_code for _turn in range(5)] == [200, 503, 503, 200, 200]
    (row,) = emulator.faults()
    assert (row["seen"], row["fired"]) == (3, 2)


@pytest.mark.parametrize("times", [0, None])
def test_for_ever_until_removed(emulator: EmulatorProcess, user: Client, times: int | None) -> None:
    emulator.fault("503", path="usage", times=times)
    assert {user.get(USAGE).status_code for _turn in range(4)} == {503}
    emulator.clear_faults()
    assert user.get(USAGE).status_code == 200


def test_faults_queue_up(emulator: EmulatorProcess, user: Client) -> None:
    emulator.fault("503", path="usage")
    emulator.fault("429", path="usage")
    assert [user.get(USAGE).status_code for _turn in range(3)] == [503, 429, 200]


@pytest.mark.parametrize(
    ("match", "met"),
    [
        ({}, True),
        ({"method": "get"}, True),
        ({"method": "PUT"}, False),
        ({"path": "^/api/v1/inst"}, True),
        ({"path": "^/v1"}, False),
        ({"host": "quantum.cloud.ibm.com"}, True),
        ({"host": "iam.cloud.ibm.com"}, False),
        ({"host": "quantum.cloud.ibm.com", "path": "backends"}, False),
    ],
)
def test_matching(emulator: EmulatorProcess, user: Client, match: dict[str, Any], met: bool) -> None:
    emulator.fault("500", **match)
    reply = user.get(USAGE, headers={"Host": "quantum.cloud.ibm.com"})
    assert (reply.status_code == 500) is met


def test_the_token_endpoint_can_fail_too(emulator: EmulatorProcess, client: Client) -> None:
    emulator.fault("429", path="/identity/token")
    assert client.exchange().status_code == 429
    assert client.exchange().status_code == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "must be a JSON object"),
        ({"fault": {}}, "at least one of"),
        ({"fault": {"preset": "nope"}}, "there are 401, 429"),
        ({"fault": {"status": 99}}, "from 200 to 599"),
        ({"fault": {"status": 500, "colour": 1}}, "unknown fields colour"),
        ({"match": {"url": "x"}, "fault": {"status": 500}}, "there are method, path, host"),
        ({"match": {"path": "("}, "fault": {"status": 500}}, "no regular expression"),
        ({"match": {"path": 3}, "fault": {"status": 500}}, "must be text"),
        ({"fault": {"drop": "sometimes"}}, "before, after, half"),
        ({"fault": {"delay": -1}}, "from 0 to 600"),
        ({"fault": {"delay": 1, "body": "x"}}, "need fault.status"),
        ({"fault": {"status": 500, "headers": []}}, "headers must be"),
        ({"times": -1, "fault": {"status": 500}}, "times must be"),
        ({"after": "x", "fault": {"status": 500}}, "after must be"),
    ],
)
def test_a_wrong_fault_is_explained(emulator: EmulatorProcess, body: Any, text: str) -> None:
    with pytest.raises(EmulatorError, match=text):
        emulator.control("POST", "faults", body)
    assert emulator.faults() == []
