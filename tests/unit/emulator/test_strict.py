# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Runtime API refuses, and in which shape; where a request lands."""

from __future__ import annotations

import base64
import json
import uuid

import pytest
import requests

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import Client

#: One path of each of IBM's two error schemas: whether its code is text.
PATHS = [("/api/v1/backends", False), ("/api/v1/instances/usage", False), ("/api/v1/instance", True)]


def code_of(reply: requests.Response, status: int) -> int:
    """The error's code as a number, with the shape checked."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert uuid.UUID(body["trace"])
    (error,) = body["errors"]
    assert error["message"]
    assert error["more_info"].startswith("https://")
    return int(error["code"])


def tampered(token: str) -> str:
    """The token with another account in its claims and the old signature."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["account"]["bss"] = data.OTHER_ACCOUNT_ID
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{header}.{forged}.{signature}"


@pytest.mark.parametrize(("path", "textual"), PATHS)
@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer x.y.z", "Basic abc", f"apikey {data.API_KEY}", "good"]
)
def test_only_a_good_bearer_token_counts(client: Client, path: str, textual: bool, authorization: str | None) -> None:
    headers = {"Service-CRN": data.INSTANCE_US}
    if authorization:
        headers["Authorization"] = f"Bearer {client.token()}" if authorization == "good" else authorization
    reply = client.get(path, headers=headers)
    if authorization == "good":
        assert reply.status_code == 200
        return
    assert code_of(reply, 401) == 1201
    assert isinstance(reply.json()["errors"][0]["code"], str) is textual


def test_a_tampered_token(user: Client) -> None:
    good = str(user.headers["Authorization"]).split()[1]
    assert code_of(user.get("/api/v1/backends", headers={"Authorization": f"Bearer {tampered(good)}"}), 401) == 1201


def test_an_unsigned_token(user: Client) -> None:
    good = str(user.headers["Authorization"]).split()[1]
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    bearer = f"Bearer {none}.{good.split('.')[1]}."
    assert code_of(user.get("/api/v1/backends", headers={"Authorization": bearer}), 401) == 1201


def test_an_expired_token(emulator: EmulatorProcess, user: Client) -> None:
    emulator.clock(advance=3599)
    assert user.get("/api/v1/backends").status_code == 200
    emulator.clock(advance=2)
    assert code_of(user.get("/api/v1/backends"), 401) == 1201


def test_a_revoked_token(emulator: EmulatorProcess, user: Client) -> None:
    assert emulator.revoke_tokens() == 1
    assert code_of(user.get("/api/v1/backends"), 401) == 1201
    assert user.login().get("/api/v1/backends").status_code == 200


@pytest.mark.parametrize(
    ("instance", "status", "code"),
    [
        ("", 403, 1200),
        ("not-a-crn", 404, 1279),
        (data.UNKNOWN_INSTANCE, 404, 1279),
        (data.INSTANCE_DE, 404, 1279),
        (data.INSTANCE_US.rstrip(":"), 404, 1279),
        (data.OTHER_INSTANCE, 403, 1200),
    ],
)
def test_the_crn_must_be_ones_own_and_of_this_region(user: Client, instance: str, status: int, code: int) -> None:
    reply = user.get("/api/v1/backends", headers={"Service-CRN": instance or None})
    assert code_of(reply, status) == code


def test_each_region_has_its_own_instances(user: Client) -> None:
    assert user.get("/eu-de/api/v1/backends", headers={"Service-CRN": data.INSTANCE_DE}).status_code == 200
    assert code_of(user.get("/eu-de/api/v1/backends"), 404) == 1279
    assert user.get("/experimental/api/v1/backends").status_code == 200


def test_the_token_of_another_account(client: Client) -> None:
    client.login(data.OTHER_API_KEY)
    assert code_of(client.get("/api/v1/backends"), 403) == 1200
    assert client.get("/api/v1/backends", headers={"Service-CRN": data.OTHER_INSTANCE}).status_code == 200


@pytest.mark.parametrize(
    ("version", "status"), [("2026-04-15", 200), ("2024-01-01", 200), ("2026-04-16", 400), ("x", 400)]
)
def test_the_api_version(user: Client, version: str, status: int) -> None:
    reply = user.get("/api/v1/instances/usage", headers={"IBM-API-Version": version})
    assert reply.status_code == status
    if status == 400:
        assert code_of(reply, 400)
        assert version in reply.json()["errors"][0]["message"]


@pytest.mark.parametrize("path", ["/api/v1/backends", "/api/v1/instances/usage", "/api/v1/versions", "/api/v1/tags"])
def test_a_wrong_method_is_json(user: Client, path: str) -> None:
    reply = user.post(path)
    assert code_of(reply, 405)
    assert "GET" in reply.headers["allow"]


@pytest.mark.parametrize(
    "path", ["/api/v1/usage", "/api/v1/backends/", "/api/v2/backends", "/nothing", "/api/v1/jobs/x"]
)
def test_an_unknown_path_is_json(user: Client, path: str) -> None:
    assert code_of(user.get(path), 404)


def test_versions_need_no_token(client: Client) -> None:
    rows = client.get("/api/v1/versions").json()["versions"]
    assert [row["version"] for row in rows if row["status"] == "live"] == ["2026-04-15"]


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("iam.cloud.ibm.com", "/identity/keys", 200),
        ("private.iam.cloud.ibm.com", "/identity/keys", 200),
        ("quantum.cloud.ibm.com", "/api/v1/backends", 200),
        ("QUANTUM.cloud.ibm.com:443", "/api/v1/backends", 200),
        ("private.us-east.quantum.cloud.ibm.com", "/api/v1/backends", 200),
        ("eu-de.quantum.cloud.ibm.com", "/api/v1/backends", 404),
        ("quantum.cloud.ibm.com", "/eu-de/api/v1/backends", 404),
        ("quantum.cloud.ibm.com", "/identity/keys", 404),
        ("resource-controller.cloud.ibm.com", "/v2/resource_instances", 200),
        ("globalcatalog.cloud.ibm.com", f"/api/v1/{data.PLAN_OPEN}", 200),
        ("iam.cloud.ibm.com", "/v1/apikeys", 200),
        ("cloud.ibm.com", "/", 200),
        ("s3.us-east.cloud-object-storage.appdomain.cloud", "/", 403),
        ("qiskit-serverless.quantum.ibm.com", "/", 401),
    ],
)
def test_ibms_host_names_choose_the_service(user: Client, host: str, path: str, status: int) -> None:
    assert user.get(path, headers={"Host": host}).status_code == status


def test_a_request_as_through_an_http_proxy(emulator: EmulatorProcess, user: Client) -> None:
    user.proxies = {"http": emulator.url}
    assert user.get("http://quantum.cloud.ibm.com/api/v1/backends").status_code == 200
    assert code_of(user.get("http://eu-de.quantum.cloud.ibm.com/api/v1/backends"), 404) == 1279
    assert emulator.journal()[-1]["host"] == "eu-de.quantum.cloud.ibm.com"


def test_unknown_query_parameters_are_ignored(user: Client) -> None:
    assert user.get("/api/v1/backends?include_mocks=True&colour=blue").status_code == 200
