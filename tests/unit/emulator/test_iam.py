# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The token endpoint: grants, claims, lifetime, refusals."""

from __future__ import annotations

import jwt
import pytest
import requests

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import GRANT, Client

CR_GRANT = "urn:ibm:params:oauth:grant-type:cr-token"


def test_the_constants_look_like_the_real_ones() -> None:
    for key in (data.API_KEY, data.EXPIRED_API_KEY, data.OTHER_API_KEY, data.UNKNOWN_API_KEY):
        assert len(key) == 44
    assert len(data.ACCOUNT_ID) == 32


def test_a_key_becomes_a_signed_token(client: Client) -> None:
    reply = client.exchange()
    body = reply.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "expiration", "scope"}
    assert (body["token_type"], body["refresh_token"], body["expires_in"]) == ("Bearer", "not_supported", 3600)
    key = jwt.PyJWKSet.from_dict(client.get("/identity/keys").json()).keys[0]
    claims = jwt.decode(body["access_token"], key.key, algorithms=["RS256"])
    assert jwt.get_unverified_header(body["access_token"])["kid"] == key.key_id
    assert claims["exp"] == body["expiration"] == claims["iat"] + 3600
    assert claims["account"]["bss"] == data.ACCOUNT_ID
    assert claims["iam_id"] == claims["id"] == claims["sub"] == data.IAM_ID


def test_two_exchanges_give_two_tokens(client: Client) -> None:
    assert client.token() != client.token()


@pytest.mark.parametrize("key", [data.UNKNOWN_API_KEY, data.EXPIRED_API_KEY, "short"])
def test_a_wrong_key_is_400_and_not_401(client: Client, key: str) -> None:
    reply = client.exchange(key)
    body = reply.json()
    assert reply.status_code == 400
    assert (body["errorCode"], body["errorMessage"]) == ("BXNIM0415E", "Provided API key could not be found.")
    assert body["context"]["requestId"]
    assert key not in reply.text


def test_a_bearer_token_is_no_key(client: Client) -> None:
    reply = client.exchange(client.token())
    assert (reply.status_code, reply.json()["errorCode"]) == (400, "BXNIM0415E")


@pytest.mark.parametrize(
    ("fields", "missing"),
    [({}, "grant_type"), ({"apikey": data.API_KEY}, "grant_type"), ({"grant_type": GRANT}, "apikey")],
)
def test_a_missing_field_is_named(client: Client, fields: dict[str, str], missing: str) -> None:
    reply = client.post("/identity/token", data=fields)
    body = reply.json()
    assert (reply.status_code, body["errorCode"]) == (400, "BXNIM0109E")
    assert f"'{missing}'" in body["errorDetails"]


def test_json_is_not_a_form(client: Client) -> None:
    reply = client.post("/identity/token", json={"grant_type": GRANT, "apikey": data.API_KEY})
    assert (reply.status_code, reply.json()["errorCode"]) == (400, "BXNIM0109E")


def test_an_unknown_grant(client: Client) -> None:
    reply = client.post("/identity/token", data={"grant_type": "password", "apikey": data.API_KEY})
    assert reply.status_code == 400
    assert "password" in reply.json()["errorDetails"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post(client: Client, method: str) -> None:
    reply = client.request(method, "/identity/token")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert reply.json()["errorCode"] == "BXNIM0060E"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("profile_id", data.TRUSTED_PROFILE_ID),
        ("profile_name", data.TRUSTED_PROFILE_NAME),
        ("profile_crn", data.TRUSTED_PROFILE_CRN),
    ],
)
def test_a_compute_resource_takes_on_a_trusted_profile(client: Client, name: str, value: str) -> None:
    reply = client.post("/identity/token", data={"grant_type": CR_GRANT, "cr_token": data.CR_TOKEN, name: value})
    claims = jwt.decode(reply.json()["access_token"], options={"verify_signature": False})
    assert claims["iam_id"] == f"iam-{data.TRUSTED_PROFILE_ID}"
    assert claims["account"]["bss"] == data.ACCOUNT_ID
    headers = {"Authorization": f"Bearer {reply.json()['access_token']}", "Service-CRN": data.INSTANCE_US}
    assert client.get("/api/v1/instances/usage", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"cr_token": data.CR_TOKEN}, "BXNIM0109E"),
        ({"profile_id": data.TRUSTED_PROFILE_ID}, "BXNIM0109E"),
        ({"cr_token": data.CR_TOKEN, "profile_id": "Profile-x"}, "BXNIM0500E"),
        ({"cr_token": "wrong", "profile_id": data.TRUSTED_PROFILE_ID}, "BXNIM0407E"),
        ({"cr_token": data.CR_TOKEN, "profile_id": data.TRUSTED_PROFILE_ID, "profile_name": "x"}, "BXNIM0109E"),
    ],
)
def test_a_bad_compute_resource_grant(client: Client, fields: dict[str, str], code: str) -> None:
    reply = client.post("/identity/token", data={"grant_type": CR_GRANT, **fields})
    assert (reply.status_code, reply.json()["errorCode"]) == (400, code)


def test_the_lifetime_is_the_accounts(emulator: EmulatorProcess, client: Client) -> None:
    emulator.settings(token_lifetime=900)
    body = client.exchange().json()
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert body["expires_in"] == claims["exp"] - claims["iat"] == 900


def test_the_delay_holds_only_the_token_endpoint(emulator: EmulatorProcess, client: Client) -> None:
    emulator.settings(token_delay=600)
    with pytest.raises(requests.ReadTimeout):
        client.post("/identity/token", data={"grant_type": GRANT, "apikey": data.API_KEY}, timeout=0.5)
    assert client.get("/api/v1/versions").status_code == 200
