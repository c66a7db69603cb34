# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API: journal, clock, settings, reset, who may use it."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.journal import CAPACITY, Journal, form, reduce_header
from tests.emulator.testing import EmulatorError, EmulatorProcess
from tests.unit.emulator.client import GRANT, Client


def test_a_journal_row(emulator: EmulatorProcess, user: Client) -> None:
    token = str(user.headers["Authorization"]).split()[1]
    user.get("/api/v1/workloads?limit=3&tags=a&tags=b")
    exchange, row = emulator.journal()
    assert (exchange["service"], exchange["grant_type"], exchange["status"]) == ("iam_token", GRANT, 200)
    body = requests.Request("POST", emulator.url, data={"grant_type": GRANT, "apikey": data.API_KEY}).prepare().body
    assert exchange["body_sha256"] == hashlib.sha256(str(body).encode()).hexdigest()
    assert (row["method"], row["path"], row["status"]) == ("GET", "/api/v1/workloads", 200)
    assert row["url"] == f"{emulator.url}/api/v1/workloads?limit=3&tags=a&tags=b"
    assert row["query"] == {"limit": ["3"], "tags": ["a", "b"]}
    assert (row["service"], row["region"], row["fault"]) == ("runtime", "us-east", None)
    digest = hashlib.sha256(token.encode()).hexdigest()
    assert row["token_sha256"] == digest
    assert row["headers"]["authorization"] == f"Bearer sha256:{digest[:12]}"
    assert row["headers"]["service-crn"] == data.INSTANCE_US


def test_the_journal_has_no_secret(emulator: EmulatorProcess, user: Client) -> None:
    user.get("/v1/apikeys/details", headers={"IAM-ApiKey": data.API_KEY})
    user.get("/api/v1/backends", headers={"Authorization": f"apikey {data.API_KEY}"})
    user.get("/api/v1/backends", headers={"Authorization": data.API_KEY, "Cookie": f"a={data.API_KEY}"})
    text = json.dumps(emulator.journal())
    assert emulator.secrets()
    for secret in emulator.secrets():
        assert secret not in text


def test_tokens_lists_every_secret(emulator: EmulatorProcess, user: Client) -> None:
    made = user.post("/v1/apikeys", json={"name": "n", "iam_id": data.IAM_ID}).json()
    user.delete(f"/v1/apikeys/{made['id']}")
    found = emulator.tokens()
    assert found["tokens"] == [str(user.headers["Authorization"]).split()[1]]
    assert {data.API_KEY, data.OTHER_API_KEY, made["apikey"]} <= set(found["api_keys"])
    assert found["cr_tokens"] == [data.CR_TOKEN]


def test_a_connection_is_kept_alive_and_told_apart(emulator: EmulatorProcess, client: Client) -> None:
    for _turn in range(3):
        client.get("/api/v1/versions")
    with Client(emulator) as other:
        other.get("/api/v1/versions")
    connections = [row["connection"] for row in emulator.journal()]
    assert len(set(connections[:3])) == 1
    assert connections[3] != connections[0]


def test_the_journal_is_cleared_and_filtered(emulator: EmulatorProcess, user: Client) -> None:
    assert len(emulator.exchanges()) == 1
    assert emulator.journal(service="runtime") == []
    emulator.clear_journal()
    assert emulator.journal() == []


def test_control_calls_are_no_traffic(emulator: EmulatorProcess) -> None:
    emulator.fault("500")
    emulator.journal()
    assert emulator.journal() == []
    assert emulator.faults()[0]["seen"] == 0


def test_the_journal_is_bounded_and_thread_safe() -> None:
    journal = Journal()

    def add() -> None:
        for number in range(CAPACITY // 4):
            journal.add({"number": number})

    threads = [threading.Thread(target=add) for _turn in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.rows()) == CAPACITY


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("accept", "application/json", "application/json"),
        ("authorization", "Bearer abc", "Bearer sha256:ba7816bf8f01"),
        ("authorization", "abc", "sha256:ba7816bf8f01"),
        ("iam-apikey", "abc", "sha256:ba7816bf8f01"),
    ],
)
def test_reduce_header(name: str, value: str, shown: str) -> None:
    assert reduce_header(name, value) == shown


def test_only_forms_have_fields() -> None:
    assert form({"content-type": "application/x-www-form-urlencoded; charset=utf-8"}, b"a=1&b=") == {"a": "1", "b": ""}
    assert form({"content-type": "application/json"}, b"a=1") == {}
    assert form({}, b"a=1") == {}


def test_the_clock_adds_up_and_is_wrong(emulator: EmulatorProcess, client: Client) -> None:
    start = emulator.clock(skew=0)["now"]
    assert emulator.clock(advance=100)["advanced"] == 100
    now = emulator.clock(advance=100)
    assert (now["advanced"], now["skew"]) == (200, 0)
    assert 200 <= now["now"] - start < 260
    assert emulator.clock(skew=-500)["skew"] == -500
    body = client.exchange().json()
    assert body["expiration"] < start + 3600
    assert client.get("/api/v1/versions").headers["date"]


@pytest.mark.parametrize("body", [{}, {"advance": "1"}, {"advance": True}, {"back": 1}, []])
def test_a_wrong_clock_is_explained(emulator: EmulatorProcess, body: Any) -> None:
    with pytest.raises(EmulatorError, match="second"):
        emulator.control("POST", "clock", body)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([], "JSON object"),
        ({"colour": 1}, "unknown setting 'colour'"),
        ({"token_lifetime": 3601}, "from 1 to 3600"),
        ({"token_lifetime": "1"}, "whole number"),
        ({"token_delay": -1}, "number of seconds"),
        ({"delay": "x"}, "number of seconds"),
        ({"page_size": 0}, "from 1 to 1000"),
        ({"restrict_create_platform_apikey": 1}, "true or false"),
        ({"backends": []}, "is an object"),
        ({"backends": {"ibm_fez": {"colour": 1}}}, "takes status"),
        ({"backends": {"ibm_fez": {"status": "gone"}}}, "online, paused or offline"),
        ({"backends": {"ibm_fez": {"queue_length": -1}}}, "whole number"),
        ({"usage": 3}, "is an object"),
        ({"usage": {data.INSTANCE_US: "3"}}, "whole number"),
        ({"token_lifetime": 60, "delay": "x"}, "number of seconds"),
    ],
)
def test_a_wrong_setting_is_explained_and_none_is_taken(emulator: EmulatorProcess, changes: Any, text: str) -> None:
    with pytest.raises(EmulatorError, match=text):
        emulator.control("POST", "settings", changes)
    assert emulator.control("GET", "settings")["token_lifetime"] == 3600


def test_reset_puts_everything_back(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(token_lifetime=60, page_size=1, usage={data.INSTANCE_US: 1})
    emulator.clock(advance=10)
    emulator.fault("500", path="nowhere")
    user.put("/api/v1/instances/configuration", json={"instance_limit": 2000})
    user.post("/v1/apikeys", json={"name": "more", "iam_id": data.IAM_ID})
    emulator.reset()
    assert emulator.journal() == emulator.faults() == []
    assert emulator.control("GET", "settings")["token_lifetime"] == 3600
    assert emulator.control("GET", "clock")["advanced"] == 0
    assert user.get("/api/v1/instances/configuration").json() == {"instance_limit": 10000}, "and the token stays good"
    names = [key["name"] for key in user.get("/v1/apikeys").json()["apikeys"]]
    assert names == ["fleet", "last-year"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "nothing", 404), ("PUT", "journal", 405), ("HEAD", "journal", 200)]
)
def test_paths_and_methods(client: Client, method: str, path: str, status: int) -> None:
    assert client.request(method, f"/_emulator/{path}").status_code == status


def test_a_body_that_is_no_json(client: Client) -> None:
    reply = client.post("/_emulator/settings", data="{")
    assert (reply.status_code, reply.json()) == (400, {"error": "the body is not valid JSON"})


def test_a_wrong_control_token_is_refused_even_here(emulator: EmulatorProcess, client: Client) -> None:
    headers = {"X-Emulator-Control": "wrong"}
    assert client.get("/_emulator/journal", headers=headers).status_code == 403
    headers = {"X-Emulator-Control": emulator.ready["control_token"]}
    assert client.get("/_emulator/journal", headers=headers).status_code == 200


def _own_address() -> str:
    """An address of this machine that is not a loopback one, or none. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = str(probe.getsockname()[0])
        except OSError:
            return ""
    return "" if address.startswith("127.") else address


def test_from_another_address_only_with_the_control_token() -> None:
    address = _own_address()
    if not address:
        pytest.skip("this machine has no address but loopback")
    with EmulatorProcess(args=["--listen", f"{address}:0"]) as emulator, Client(emulator) as client:
        url = emulator.ready["listeners"][1]
        assert client.get(f"{url}/api/v1/versions").status_code == 200
        assert client.get(f"{url}/_emulator/tokens").status_code == 403
        headers = {"X-Emulator-Control": emulator.ready["control_token"]}
        assert client.get(f"{url}/_emulator/tokens", headers=headers).status_code == 200


def test_the_record_has_whole_exchanges_and_no_secret(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    with EmulatorProcess(record=record) as emulator, Client(emulator) as client:
        user = client.login()
        client.exchange("a-mistyped-key-of-somebody-0123456789")
        made = user.post("/v1/apikeys", json={"name": "n", "iam_id": data.IAM_ID}).json()
        user.get("/api/v1/instances/usage")
        emulator.fault("dropped")
        with pytest.raises(requests.ConnectionError):
            user.get("/api/v1/backends")
        secrets = emulator.secrets()
    text = record.read_text()
    assert record.stat().st_mode & 0o777 == 0o600
    assert made["apikey"] in secrets
    for secret in [*secrets, "mistyped"]:
        assert secret not in text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["status"] for row in rows] == [200, 400, 201, 200, None]
    assert json.loads(rows[3]["response_body"])["usage_consumed_seconds"] == 1834
    assert json.loads(rows[2]["request_body"])["name"] == "n"
    assert rows[4]["fault"] == "dropped"
