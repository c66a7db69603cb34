# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM's API keys: made, listed in pages, changed, locked, disabled, deleted; and what the token endpoint says then."""

from __future__ import annotations

from typing import Any

import pytest
import requests

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import Client

KEYS = "/v1/apikeys"


def make(user: Client, name: str = "made", headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    reply = user.post(KEYS, json={"name": name, "iam_id": data.IAM_ID, **fields}, headers=headers)
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


def refused(reply: requests.Response, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert body["status_code"] == status
    assert body["trace"]
    assert body["context"]["operation"] == reply.request.method
    error: dict[str, Any] = body["errors"][0]
    assert error["message_code"].startswith("BXNIM")
    return error


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_token_is_needed(client: Client, method: str) -> None:
    assert refused(client.request(method, KEYS), 401)["message_code"] == "BXNIM0308E"


def test_a_new_key_works_until_it_is_deleted(user: Client) -> None:
    made = make(user, description="for a test")
    assert len(made["apikey"]) == 44
    assert made["account_id"] == data.ACCOUNT_ID
    assert user.exchange(made["apikey"]).status_code == 200
    shown = user.get(f"{KEYS}/{made['id']}").json()
    assert "apikey" not in shown
    assert shown["description"] == "for a test"
    assert user.delete(f"{KEYS}/{made['id']}").status_code == 204
    assert user.exchange(made["apikey"]).json()["errorCode"] == "BXNIM0415E"
    refused(user.get(f"{KEYS}/{made['id']}"), 404)


def test_names_are_not_unique(user: Client) -> None:
    one, two = make(user, "twin"), make(user, "twin")
    assert one["id"] != two["id"]
    assert one["apikey"] != two["apikey"]


def test_a_disabled_key_does_not_work(user: Client) -> None:
    made = make(user)
    path = f"{KEYS}/{made['id']}/disable"
    assert user.post(path).status_code == 204
    assert user.exchange(made["apikey"]).status_code == 400
    assert user.get(f"{KEYS}/{made['id']}").json()["disabled"] is True
    assert user.delete(path).status_code == 204
    assert user.exchange(made["apikey"]).status_code == 200


def test_a_locked_key_works_and_stays(user: Client) -> None:
    made = make(user, headers={"Entity-Lock": "true"})
    path = f"{KEYS}/{made['id']}"
    assert made["locked"] is True
    assert user.exchange(made["apikey"]).status_code == 200
    refused(user.delete(path), 409)
    refused(user.put(path, json={"name": "x"}, headers={"If-Match": "*"}), 409)
    assert user.delete(f"{path}/lock").status_code == 204
    assert user.delete(path).status_code == 204


def test_made_disabled(user: Client) -> None:
    assert user.exchange(make(user, headers={"Entity-Disable": "true"})["apikey"]).status_code == 400


def test_a_key_expires(emulator: EmulatorProcess, user: Client) -> None:
    made = make(user, expires_at="2099-01-01T00:00+0000")
    assert user.exchange(made["apikey"]).status_code == 200
    emulator.clock(advance=100 * 365 * 86400)
    assert user.exchange(made["apikey"]).status_code == 400


def test_an_update_needs_the_entity_tag(user: Client) -> None:
    made = make(user)
    path = f"{KEYS}/{made['id']}"
    refused(user.put(path, json={"name": "x"}), 400)
    refused(user.put(path, json={"name": "x"}, headers={"If-Match": "0-old"}), 409)
    updated = user.put(path, json={"name": "new"}, headers={"If-Match": made["entity_tag"]})
    assert (updated.status_code, updated.json()["name"]) == (200, "new")
    assert updated.json()["entity_tag"] != made["entity_tag"]
    refused(user.put(path, json={"name": "x"}, headers={"If-Match": made["entity_tag"]}), 409)
    assert user.put(path, json={"description": "d"}, headers={"If-Match": "*"}).json()["name"] == "new"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"iam_id": data.IAM_ID}, 400),
        ({"name": "n"}, 400),
        ({"name": "", "iam_id": data.IAM_ID}, 400),
        ({"name": "n", "iam_id": data.OTHER_IAM_ID}, 403),
        ({"name": "n", "iam_id": data.IAM_ID, "account_id": data.OTHER_ACCOUNT_ID}, 403),
        ({"name": "n", "iam_id": data.IAM_ID, "apikey": "x" * 31}, 400),
        ({"name": "n", "iam_id": data.IAM_ID, "store_value": True}, 400),
        ({"name": "n", "iam_id": data.IAM_ID, "expires_at": "tomorrow"}, 400),
        ({"name": "n", "iam_id": data.IAM_ID, "action_when_leaked": "shout"}, 400),
        ({"name": "n", "iam_id": data.IAM_ID, "support_sessions": 1}, 400),
        ({"name": "n", "iam_id": data.IAM_ID, "description": 1}, 400),
        ({"name": "n", "iam_id": data.IAM_ID, "apikey": data.API_KEY}, 409),
        ([], 400),
    ],
)
def test_a_bad_create_makes_nothing(user: Client, body: Any, status: int) -> None:
    before = user.get(KEYS).json()["apikeys"]
    refused(user.post(KEYS, json=body), status)
    assert user.get(KEYS).json()["apikeys"] == before


def test_ones_own_value(user: Client) -> None:
    value = "a-value-of-ones-own-that-is-long-enough"
    assert make(user, apikey=value)["apikey"] == value
    assert user.exchange(value).status_code == 200


def test_details_by_value(user: Client) -> None:
    reply = user.get(f"{KEYS}/details", headers={"IAM-ApiKey": data.API_KEY})
    assert (reply.json()["name"], reply.json()["account_id"]) == ("fleet", data.ACCOUNT_ID)
    refused(user.get(f"{KEYS}/details"), 400)
    refused(user.get(f"{KEYS}/details", headers={"IAM-ApiKey": data.UNKNOWN_API_KEY}), 404)


def test_the_list_comes_in_pages_with_absolute_links(emulator: EmulatorProcess, user: Client) -> None:
    for number in range(5):
        make(user, f"paged-{number}")
    url, names, pages = f"{KEYS}?account_id={data.ACCOUNT_ID}&pagesize=3", [], 0
    while url:
        page = user.get(url).json()
        names += [key["name"] for key in page["apikeys"]]
        url, pages = page.get("next", ""), pages + 1
        assert not url or url.startswith(f"{emulator.url}/v1/apikeys?")
    assert (pages, len(names), len(set(names))) == (3, 7, 7)


def test_the_links_follow_the_host_that_was_asked(user: Client) -> None:
    reply = user.get(f"{KEYS}?pagesize=1", headers={"Host": "iam.cloud.ibm.com"}).json()
    assert reply["next"].startswith("http://iam.cloud.ibm.com/v1/apikeys?")


def test_a_page_can_be_made_small(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(page_size=1)
    assert len(user.get(KEYS).json()["apikeys"]) == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (f"account_id={data.OTHER_ACCOUNT_ID}", 403),
        ("pagesize=0", 400),
        ("pagesize=101", 400),
        ("pagetoken=x", 400),
        ("scope=world", 400),
    ],
)
def test_a_bad_list(user: Client, query: str, status: int) -> None:
    refused(user.get(f"{KEYS}?{query}"), status)


def test_scopes_and_owners(user: Client) -> None:
    assert len(user.get(f"{KEYS}?scope=account").json()["apikeys"]) == 2
    assert user.get(f"{KEYS}?iam_id=IBMid-nobody").json()["apikeys"] == []


def test_another_account_sees_other_keys(emulator: EmulatorProcess, user: Client) -> None:
    made = make(user)
    with Client(emulator) as session:
        other = session.login(data.OTHER_API_KEY)
        assert [key["name"] for key in other.get(KEYS).json()["apikeys"]] == ["other"]
        refused(other.get(f"{KEYS}/{made['id']}"), 404)
        refused(other.delete(f"{KEYS}/{made['id']}"), 404)


@pytest.mark.parametrize(("method", "path", "status"), [("PATCH", KEYS, 405), ("GET", f"{KEYS}/", 404)])
def test_paths_and_methods(user: Client, method: str, path: str, status: int) -> None:
    refused(user.request(method, path), status)


@pytest.mark.parametrize("end", ["disable", "delete", "expire"])
def test_tokens_of_a_dead_key_live_on(emulator: EmulatorProcess, user: Client, end: str) -> None:
    made = make(user, expires_at="2099-01-01T00:00+0000")
    with Client(emulator) as session:
        other = session.login(made["apikey"])
        path = f"{KEYS}/{made['id']}"
        if end == "expire":
            past = {"expires_at": "2020-01-01T00:00+0000"}
            assert user.put(path, json=past, headers={"If-Match": "*"}).status_code == 200
        else:
            assert user.request("POST" if end == "disable" else "DELETE", path + "/disable" * (end == "disable")).ok
        code = "BXNIM0462E" if end == "disable" else "BXNIM0415E"
        assert other.exchange(made["apikey"]).json()["errorCode"] == code
        assert other.get(KEYS).status_code == 200


def test_a_locked_key_is_refused_in_ibms_words(user: Client) -> None:
    made = make(user, headers={"Entity-Lock": "true"})
    assert refused(user.delete(f"{KEYS}/{made['id']}"), 409)["message_code"] == "BXNIM0105E"
    assert user.post(f"{KEYS}/{made['id']}/disable").status_code == 204  # 409 is not among its documented answers


def test_what_was_not_given_is_not_there(user: Client) -> None:
    assert not {"description", "expires_at"} & set(make(user))
    made = make(user, description="d", expires_at="2099-01-01T00:00+0000")
    cleared = {"description": "", "expires_at": ""}
    shown = user.put(f"{KEYS}/{made['id']}", json=cleared, headers={"If-Match": "*"}).json()
    assert not {"description", "expires_at"} & set(shown)


def test_an_account_that_restricts_who_makes_keys(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(restrict_create_platform_apikey=True)
    assert refused(user.post(KEYS, json={"name": "n", "iam_id": data.IAM_ID}), 403)["message_code"] == "BXNIM0513E"
    emulator.settings(restrict_create_platform_apikey=False)
    make(user)
