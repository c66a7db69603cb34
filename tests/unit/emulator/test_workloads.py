# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads and analytics of jobs and sessions."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import Client

ANALYTICS = "/api/v1/analytics"


def newest(user: Client, **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = user.get(
        "/api/v1/workloads", params={"sort": "-createdAt", "limit": 50, **query}
    ).json()["workloads"]
    return rows


def test_a_job_is_a_workload(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(queue_seconds=10, run_seconds=10)
    made = user.submit(tags=["mine"])["id"]
    seen = [newest(user)[0]["status"]]
    emulator.clock(advance=10)
    seen.append(newest(user)[0]["status"])
    emulator.clock(advance=10)
    user.ended(made)
    row = newest(user, search=made)[0]
    assert [*seen, row["status"]] == ["pending", "in_progress", "completed"]
    assert (row["mode"], row["tags"], row["user_id"]) == ("job", ["mine"], data.IAM_ID)
    assert row["usage"] == {"qpu_charge_time_seconds": 2, "status": "complete"}
    assert row["ended"] > row["created"]


def test_the_statuses_of_jobs_that_end_badly(emulator: EmulatorProcess, user: Client) -> None:
    emulator.fail_jobs(reason="Too deep.")
    failed = user.submit()["id"]
    user.ended(failed)
    emulator.settings(hold=True)
    cancelled = user.submit()["id"]
    user.post(f"/api/v1/jobs/{cancelled}/cancel")
    rows = {row["id"]: row for row in newest(user)}
    assert (rows[failed]["status"], rows[failed]["status_reason"]) == ("failed", "Too deep.")
    assert rows[cancelled]["status"] == "canceled"


def test_a_session_is_one_workload(emulator: EmulatorProcess, user: Client) -> None:
    body = {"mode": "batch", "backend": "ibm_fez"}
    session = user.post("/api/v1/sessions", json=body).json()["id"]
    assert newest(user)[0]["status"] == "pending"
    jobs = [user.submit(session_id=session, tags=[f"part-{number}"])["id"] for number in range(2)]
    for job in jobs:
        user.ended(job)
    row = newest(user)[0]
    assert (row["id"], row["mode"], row["status"], row["accepting_jobs"]) == (session, "batch", "in_progress", True)
    assert row["tags"] == ["part-0", "part-1"]
    assert not {row["id"] for row in newest(user)} & set(jobs)
    user.patch(f"/api/v1/sessions/{session}", json={"accepting_jobs": False})
    row = newest(user)[0]
    assert (row["status"], row["usage"]["qpu_charge_time_seconds"]) == ("completed", 4)
    other = user.post("/api/v1/sessions", json=body).json()["id"]
    user.delete(f"/api/v1/sessions/{other}/close")
    assert newest(user)[0]["status"] == "canceled"


def numbers(user: Client, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = user.get(f"{ANALYTICS}/usage", params=query).json()
    return found


def test_analytics_are_in_milliseconds(emulator: EmulatorProcess, user: Client) -> None:
    before = numbers(user)
    emulator.settings(queue_seconds=30, qpu_seconds=9)
    made = user.submit()["id"]
    emulator.clock(advance=30)
    user.ended(made)
    after = numbers(user)
    assert after["usage"] - before["usage"] == 9000
    assert after["individual_jobs_usage"] - before["individual_jobs_usage"] == 9000
    assert after["jobs"] - before["jobs"] == after["individual_jobs"] - before["individual_jobs"] == 1
    assert after["queue_time"] - before["queue_time"] == pytest.approx(30000)
    assert after["sessions"] == after["batch_sessions"] + after["dedicated_sessions"]
    assert after["max_individual_jobs_usage"] >= after["avg_individual_jobs_usage"] > 0


@pytest.mark.parametrize("group", ["instance", "backend", "user_id", "plan", "subscription_id"])
def test_groups_add_up(user: Client, group: str) -> None:
    user.ended(user.submit()["id"])
    whole = numbers(user)
    groups = user.get(f"{ANALYTICS}/usage_grouped", params={"group_by": group}).json()["data"]
    assert sum(row["usage"] for row in groups) == whole["usage"]
    assert sum(row["jobs"] for row in groups) == whole["jobs"]
    for row in groups:
        only = numbers(user, **{group: row["key"]})
        assert only == {name: value for name, value in row.items() if name != "key"}


def test_by_date(user: Client) -> None:
    user.ended(user.submit()["id"])
    body = user.get(f"{ANALYTICS}/usage_grouped_by_date?group_by=instance").json()
    assert body["interval_start"] < body["interval_end"]
    assert {row["key"] for row in body["data"]} == {data.INSTANCE_US}
    assert sum(row["usage"] for row in body["data"]) == numbers(user)["usage"]
    assert [row["interval_start"] for row in body["data"]] == sorted(row["interval_start"] for row in body["data"])


def test_intervals_and_unknown_values(user: Client) -> None:
    user.ended(user.submit()["id"])
    assert numbers(user, interval_end="2020-01-01T00:00:00Z")["usage"] == 0
    assert numbers(user, interval_start="2020-01-01T00:00:00Z") == numbers(user)
    assert numbers(user, backend="ibm_nowhere")["jobs"] == 0
    for query in ("interval_start=now", "simulators=maybe", "interval_start=2999-01-01T00:00:00Z"):
        assert user.get(f"{ANALYTICS}/usage?{query}").status_code == 400
    for query in ("", "group_by=colour"):
        assert user.get(f"{ANALYTICS}/usage_grouped?{query}").status_code == 400
    assert user.get(f"{ANALYTICS}/usage_grouped_by_date?group_by=plan").status_code == 400


def test_filters_are_what_there_is(user: Client) -> None:
    body = user.get(f"{ANALYTICS}/filters").json()
    assert body["instances"] == [{"id": data.INSTANCE_US, "deleted": False}]
    assert body["backends"] == [{"name": "ibm_fez"}, {"name": "ibm_torino"}]
    assert (body["users"], body["plans"]) == ([{"id": data.IAM_ID}], [{"name": "flex"}])
    assert body["subscriptions"] == [{"id": data.PLAN_FLEX, "name": "Flex"}]
    assert user.get(f"{ANALYTICS}/filters", params={"instance": data.INSTANCE_DE}).json()["instances"] == []


def test_another_account_sees_nothing_of_it(client: Client) -> None:
    client.login(data.OTHER_API_KEY, data.OTHER_INSTANCE)
    assert numbers(client)["jobs"] == 0
    assert newest(client) == []
