# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Runtime API's reads, and the limit of an instance."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import Client


def test_the_backends_of_a_region(user: Client) -> None:
    devices = {d["name"]: d for d in user.get("/api/v1/backends").json()["devices"]}
    assert list(devices) == ["ibm_fez", "ibm_torino", "ibm_kingston", "ibm_marrakesh", "ibm_miami"]
    assert devices["ibm_marrakesh"]["status"] == {"name": "paused", "reason": "calibration"}
    assert devices["ibm_miami"]["status"]["name"] == "offline"
    online = [d for d in devices.values() if d["status"]["name"] == "online"]
    assert min(online, key=lambda d: d["queue_length"])["name"] == "ibm_torino"
    fez = devices["ibm_fez"]
    assert (fez["qubits"], fez["is_simulator"], fez["clops"]["value"]) == (156, False, 195000)
    assert fez["processor_type"] == {"family": "Heron", "revision": "2"}
    assert 0 < fez["performance_metrics"]["two_q_error_best"]["value"] < 0.01
    assert "wait_time_seconds" not in fez
    other = user.get("/eu-de/api/v1/backends", headers={"Service-CRN": data.INSTANCE_DE}).json()["devices"]
    assert [d["name"] for d in other] == ["ibm_aachen", "ibm_brussels", "ibm_strasbourg"]


def test_the_waiting_time_is_asked_for(user: Client) -> None:
    devices = user.get("/api/v1/backends?fields=wait_time_seconds").json()["devices"]
    assert set(devices[0]["wait_time_seconds"]) == {"average", "p50", "p95"}
    assert user.get("/api/v1/backends?fields=colour").status_code == 400


def test_an_instance_sees_the_backends_it_may_use(user: Client) -> None:
    headers = {"Service-CRN": data.INSTANCE_OPEN}
    devices = user.get("/api/v1/backends", headers=headers).json()["devices"]
    assert [d["name"] for d in devices] == ["ibm_fez", "ibm_torino"]
    assert user.get("/api/v1/backends/ibm_kingston/status", headers=headers).status_code == 404


def test_configuration_and_properties_are_ibms_own(user: Client) -> None:
    configuration = user.get("/api/v1/backends/ibm_fez/configuration").json()
    assert (configuration["backend_name"], configuration["n_qubits"]) == ("ibm_fez", 156)
    properties = user.get("/api/v1/backends/ibm_fez/properties").json()
    assert len(properties["qubits"]) == 156


@pytest.mark.parametrize(
    ("before", "status"), [("2026-11-22T00:00:00Z", 200), ("2020-01-01T00:00:00Z", 404), ("yesterday", 400)]
)
def test_properties_of_before(user: Client, before: str, status: int) -> None:
    reply = user.get("/api/v1/backends/ibm_fez/properties", params={"updated_before": before})
    assert reply.status_code == status


def test_the_status_of_a_backend(user: Client) -> None:
    assert user.get("/api/v1/backends/ibm_fez/status").json() == {
        "state": True,
        "status": "active",
        "message": "",
        "length_queue": 4,
        "backend_version": "1.2.8",
    }
    paused = user.get("/api/v1/backends/ibm_marrakesh/status").json()
    assert (paused["state"], paused["message"]) == (False, "calibration")


@pytest.mark.parametrize("what", ["configuration", "properties", "status", "defaults"])
def test_an_unknown_backend(user: Client, what: str) -> None:
    reply = user.get(f"/api/v1/backends/ibm_nowhere/{what}")
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (404, 1007)


def test_no_snapshot_has_defaults(user: Client) -> None:
    assert user.get("/api/v1/backends/ibm_fez/defaults").status_code == 404


def test_a_backend_can_be_changed(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(backends={"ibm_marrakesh": {"status": "online"}, "ibm_fez": {"queue_length": 0}})
    devices = {d["name"]: d for d in user.get("/api/v1/backends").json()["devices"]}
    assert devices["ibm_marrakesh"]["status"] == {"name": "online"}
    assert devices["ibm_fez"]["queue_length"] == 0
    assert user.get("/api/v1/backends/ibm_marrakesh/status").json()["state"] is True


def test_usage(emulator: EmulatorProcess, user: Client) -> None:
    usage = user.get("/api/v1/instances/usage").json()
    assert usage["instance_id"] == data.INSTANCE_US
    assert usage["plan_id"] == data.PLAN_FLEX
    assert usage["usage_consumed_seconds"] == 1834
    assert usage["usage_limit_seconds"] == 10000
    assert usage["usage_allocation_seconds"] == 12000
    assert usage["usage_limit_reached"] is False
    emulator.settings(usage={data.INSTANCE_US: 10000})
    usage = user.get("/api/v1/instances/usage").json()
    assert (usage["usage_consumed_seconds"], usage["usage_limit_reached"]) == (10000, True)


def test_usage_without_a_limit(user: Client) -> None:
    usage = user.get("/eu-de/api/v1/instances/usage", headers={"Service-CRN": data.INSTANCE_DE}).json()
    assert "usage_limit_seconds" not in usage
    assert "usage_limit_reached" not in usage


def test_the_instance(user: Client) -> None:
    instance = user.get("/api/v1/instance").json()
    assert instance["plan_id"] == data.PLAN_FLEX
    assert (instance["instance_limit_seconds"], instance["usage_allocation_seconds"]) == ("10000", "12000")
    assert "ibm_fez" in instance["backends"]


def test_the_limit_is_written_and_removed(user: Client) -> None:
    path = "/api/v1/instances/configuration"
    assert user.get(path).json() == {"instance_limit": 10000}
    reply = user.put(path, json={"instance_limit": 5000})
    assert (reply.status_code, reply.content) == (204, b"")
    assert user.get(path).json() == {"instance_limit": 5000}
    assert user.get("/api/v1/instances/usage").json()["usage_limit_seconds"] == 5000
    assert user.put(path, json={"instance_limit": None}).status_code == 204
    assert user.get(path).json() == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"instance_limit": 1833}, 409),
        ({"instance_limit": 0}, 400),
        ({"instance_limit": "5000"}, 400),
        ({"instance_limit": 2**31}, 400),
        ({"instance_limit": True}, 400),
        ({}, 400),
        ([], 400),
        (None, 400),
    ],
)
def test_a_bad_limit_changes_nothing(user: Client, body: Any, status: int) -> None:
    path = "/api/v1/instances/configuration"
    assert user.put(path, json=body).status_code == status
    assert user.get(path).json() == {"instance_limit": 10000}


@pytest.mark.parametrize(
    ("account", "status"),
    [(data.ACCOUNT_ID, 200), (data.OTHER_ACCOUNT_ID, 404), (f"a%2F{data.ACCOUNT_ID}", 404), ("a.b", 400)],
)
def test_accounts(user: Client, account: str, status: int) -> None:
    assert user.get(f"/api/v1/accounts/{account}").status_code == status


def test_the_plans_of_an_account(user: Client) -> None:
    plans = user.get(f"/api/v1/accounts/{data.ACCOUNT_ID}").json()["plans"]
    assert {plan["plan_id"] for plan in plans} == {data.PLAN_FLEX, data.PLAN_PREMIUM, data.PLAN_OPEN}
    one = user.get(f"/api/v1/accounts/{data.ACCOUNT_ID}", params={"plan_id": data.PLAN_FLEX}).json()["plans"]
    assert [plan["usage_allocation_seconds"] for plan in one] == [12000]


def test_workloads_by_cursor_both_ways(user: Client) -> None:
    url, pages = "/api/v1/workloads?limit=10&sort=-createdAt", []
    while url:
        page = user.get(url).json()
        pages.append(page)
        url = page.get("next", {}).get("href", "")
    ids = [row["id"] for page in pages for row in page["workloads"]]
    assert [len(page["workloads"]) for page in pages] == [10, 10, 3]
    assert len(set(ids)) == 23 == pages[0]["total_count"]
    assert "previous" not in pages[0]
    back = user.get(pages[2]["previous"]["href"]).json()
    assert back["workloads"] == pages[1]["workloads"]
    created = [row["created"] for page in pages for row in page["workloads"]]
    assert created == sorted(created, reverse=True)


def test_workload_filters(user: Client) -> None:
    def ask(query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = user.get(f"/api/v1/workloads?limit=50&{query}").json()["workloads"]
        return rows

    assert {row["status"] for row in ask("status=failed&status=pending")} == {"failed", "pending"}
    assert {row["mode"] for row in ask("mode=session")} == {"session"}
    assert all({"nightly", "run-03"} <= set(row["tags"]) for row in ask("tags=nightly&tags=run-03"))
    assert len(ask("tags=nightly&tags=run-03")) == len(ask("search=run-03")) == 1
    assert {row["backend"] for row in ask("backend=ibm_torino")} == {"ibm_torino"}
    assert user.get("/api/v1/workloads?created_after=2999-01-01T00:00:00Z").json()["total_count"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=51",
        "limit=x",
        "status=cancelled",
        "mode=task",
        "sort=created",
        "user=you",
        "next=w-1",
        "next=x",
    ],
)
def test_bad_workload_queries(user: Client, query: str) -> None:
    assert user.get(f"/api/v1/workloads?{query}").status_code == 400


def test_other_instances_have_no_workloads(user: Client) -> None:
    reply = user.get("/api/v1/workloads", headers={"Service-CRN": data.INSTANCE_OPEN}).json()
    assert reply == {"workloads": [], "total_count": 0, "limit": 10}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("type=job&search=nig", 200),
        ("type=job&search=ni", 400),
        ("search=nightly", 400),
        ("type=x&search=nightly", 400),
    ],
)
def test_tags(user: Client, query: str, status: int) -> None:
    reply = user.get(f"/api/v1/tags?{query}")
    assert reply.status_code == status
    if status == 200:
        assert reply.json() == {"tags": ["nightly"]}
