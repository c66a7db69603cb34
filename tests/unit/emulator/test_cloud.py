# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource Controller, Global Search, Global Catalog."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import requests

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import Client

INSTANCES = "/v2/resource_instances"
SEARCH = "/v3/resources/search"
NEW = {
    "name": "made",
    "target": "us-east",
    "resource_group": data.RESOURCE_GROUP_ID,
    "resource_plan_id": data.PLAN_PAYG,
}


def refused(reply: requests.Response, status: int, code: str = "RC-") -> None:
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert body["error_code"].startswith(code)
    assert body["status_code"] == status
    assert body["transaction_id"]


def test_a_token_is_needed(client: Client) -> None:
    refused(client.get(INSTANCES), 401, "RC-IamUnauthorizedUser")
    assert client.post(SEARCH, json={"query": "service_name:quantum-computing"}).status_code == 401


def test_the_list_comes_in_pages_with_relative_links(user: Client) -> None:
    url, names, pages = f"{INSTANCES}?limit=2", [], 0
    while url:
        page = user.get(url).json()
        assert page["rows_count"] == len(page["resources"])
        names += [row["name"] for row in page["resources"]]
        url, pages = page["next_url"], pages + 1
        assert not url or url.startswith(f"{INSTANCES}?")
    assert (pages, sorted(names)) == (2, ["fleet-de", "fleet-us", "playground"])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=fleet-us", ["fleet-us"]),
        (f"guid={data.INSTANCE_DE.split(':')[7]}", ["fleet-de"]),
        (f"resource_plan_id={data.PLAN_OPEN}", ["playground"]),
        (f"resource_id={data.SERVICE_ID}&name=fleet-de", ["fleet-de"]),
        ("state=removed", []),
        ("name=nobody", []),
    ],
)
def test_filters(user: Client, query: str, names: list[str]) -> None:
    assert [row["name"] for row in user.get(f"{INSTANCES}?{query}").json()["resources"]] == names


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "start=x"])
def test_a_bad_list(user: Client, query: str) -> None:
    refused(user.get(f"{INSTANCES}?{query}"), 400)


def test_by_guid_and_by_encoded_crn(user: Client) -> None:
    by_guid = user.get(f"{INSTANCES}/{data.INSTANCE_US.split(':')[7]}").json()
    by_crn = user.get(f"{INSTANCES}/{quote(data.INSTANCE_US, safe='')}").json()
    assert by_guid == by_crn
    assert by_crn["id"] == by_crn["crn"] == data.INSTANCE_US
    assert by_crn["extensions"] == {
        "backends": ["ANY"],
        "instance_limit_seconds": 10000,
        "usage_allocation_seconds": 12000,
    }
    refused(user.get(f"{INSTANCES}/nobody"), 404, "RC-ServiceInstanceNotFound")
    refused(user.get(f"{INSTANCES}/{quote(data.OTHER_INSTANCE, safe='')}"), 404)


def test_an_instance_is_made_used_and_deleted(user: Client) -> None:
    made = user.post(INSTANCES, json={**NEW, "parameters": {"instance_limit_seconds": "60"}})
    assert made.status_code == 201
    crn = made.json()["crn"]
    headers = {"Service-CRN": crn}
    assert user.get("/api/v1/instances/usage", headers=headers).json()["usage_limit_seconds"] == 60
    assert user.delete(f"{INSTANCES}/{quote(crn, safe='')}").status_code == 204
    assert user.get(f"{INSTANCES}/{quote(crn, safe='')}").json()["state"] == "pending_reclamation"
    assert crn not in [row["crn"] for row in user.get(INSTANCES).json()["resources"]]
    assert user.get("/api/v1/instances/usage", headers=headers).status_code == 404


def test_a_patch_replaces_the_parameters_whole(user: Client) -> None:
    path = f"{INSTANCES}/{data.INSTANCE_US.split(':')[7]}"
    body = user.patch(path, json={"parameters": {"instance_limit_seconds": "9000"}}).json()
    assert body["parameters"] == {"instance_limit_seconds": "9000"}
    assert body["extensions"]["usage_allocation_seconds"] is None
    assert user.patch(path, json={"name": "renamed"}).json()["extensions"]["instance_limit_seconds"] == 9000
    assert user.patch(path, json={"parameters": {"backends": ["ibm_fez"]}}).status_code == 200
    assert [d["name"] for d in user.get("/api/v1/backends").json()["devices"]] == ["ibm_fez"]


def test_the_open_plan_has_ten_minutes_unless_told_otherwise(user: Client) -> None:
    made = user.post(INSTANCES, json={**NEW, "resource_plan_id": data.PLAN_OPEN}).json()
    assert made["extensions"]["instance_limit_seconds"] == 600


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": ""}, "RC-InvalidParameter"),
        ({"name": "no/slash"}, "RC-InvalidParameter"),
        ({"name": "x" * 181}, "RC-InvalidParameter"),
        ({"resource_group": None}, "RC-InvalidParameter"),
        ({"resource_group": "x"}, "RC-ResourceGroupNotFound"),
        ({"resource_plan_id": "x"}, "RC-PlanNotFound"),
        ({"resource_plan_id": data.PLAN_ARCHIVED}, "RC-PlanNotFound"),
        ({"target": "us-south"}, "RC-InvalidTarget"),
        ({"resource_plan_id": data.PLAN_OPEN, "target": "eu-de"}, "RC-InvalidTarget"),
        ({"parameters": []}, "RC-InvalidParameter"),
        ({"parameters": {"instance_limit_seconds": 60}}, "RC-InvalidParameter"),
        ({"parameters": {"usage_allocation_seconds": "60"}}, "RC-InvalidParameter"),
        ({"parameters": {"backends": "ANY"}}, "RC-InvalidParameter"),
        ({"parameters": {"colour": "blue"}}, "RC-InvalidParameter"),
    ],
)
def test_a_bad_create_makes_nothing(user: Client, changes: dict[str, Any], code: str) -> None:
    refused(user.post(INSTANCES, json={**NEW, **changes}), 400, code)
    assert user.get(INSTANCES).json()["rows_count"] == 3


def test_search_by_cursor(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(page_size=2)
    body: dict[str, Any] = {"query": "service_name:quantum-computing", "fields": ["crn", "name"]}
    found, pages = [], 0
    while body:
        reply = user.post(f"{SEARCH}?limit=100", json=body).json()
        found += [item["crn"] for item in reply["items"]]
        pages += 1
        body = {"search_cursor": reply["search_cursor"]} if "search_cursor" in reply else {}
    assert (pages, set(found)) == (2, {data.INSTANCE_US, data.INSTANCE_DE, data.INSTANCE_OPEN})


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ('service_name:quantum-computing AND name:"fleet-us"', 1),
        ("service_name:databases", 0),
        ("region:us-east", 2),
        (f'crn:"{data.OTHER_INSTANCE}"', 0),
    ],
)
def test_queries(user: Client, query: str, count: int) -> None:
    items = user.post(SEARCH, json={"query": query}).json()["items"]
    assert len(items) == count
    assert all(item["doc"]["extensions"] for item in items)


@pytest.mark.parametrize("body", [{}, {"query": "colour:blue"}, {"query": 3}, {"search_cursor": "x"}])
def test_bad_queries(user: Client, body: dict[str, Any]) -> None:
    reply = user.post(SEARCH, json=body)
    assert (reply.status_code, reply.json()["status_code"]) == (400, 400)


@pytest.mark.parametrize("prefix", ["/globalcatalog/api/v1", "/globalcatalog"])
def test_plans(client: Client, prefix: str) -> None:
    plan = client.get(f"{prefix}/{data.PLAN_PAYG}").json()
    assert plan["overview_ui"]["en"]["display_name"] == "Pay-As-You-Go"
    assert plan["metadata"]["pricing"]["type"] == "paygo"
    assert client.get(f"{prefix}/{data.PLAN_ARCHIVED}").status_code == 403
    assert client.get(f"{prefix}/nothing").status_code == 404
