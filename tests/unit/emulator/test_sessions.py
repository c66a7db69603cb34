# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions and batches over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import Client

PATH = "/api/v1/sessions"


def create(user: Client, **body: Any) -> dict[str, Any]:
    reply = user.post(PATH, json={"mode": "dedicated", "backend": "ibm_fez", **body})
    assert reply.status_code == 200, reply.text
    made: dict[str, Any] = reply.json()
    return made


def read(user: Client, session: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = user.get(f"{PATH}/{session['id']}").json()
    return found


def states(session: dict[str, Any]) -> list[str]:
    return [row["status"] for row in session["timestamps"]]


def test_a_session_from_open_to_closed(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(run_seconds=5, qpu_seconds=5)
    made = create(user)
    assert (made["state"], made["mode"], made["backend_name"]) == ("open", "dedicated", "ibm_fez")
    assert (made["max_ttl"], made["interactive_ttl"], made["accepting_jobs"]) == (28800, 60, True)
    assert len(made["id"]) <= 36
    assert not {"started_at", "closed_at", "elapsed_time", "last_job_started"} & set(made)
    job = user.submit(session_id=made["id"])
    assert job["session_id"] == made["id"]
    assert read(user, made)["state"] == "active"
    emulator.clock(advance=5)
    assert user.ended(job["id"])["session_id"] == made["id"]
    active = read(user, made)
    assert {"started_at", "activated_at", "last_job_started", "last_job_completed"} <= set(active)
    emulator.clock(advance=59)
    assert read(user, made)["state"] == "active"
    emulator.clock(advance=2)
    assert read(user, made)["state"] == "inactive"
    again = user.submit(session_id=made["id"])
    emulator.clock(advance=5)
    user.ended(again["id"])
    assert user.patch(f"{PATH}/{made['id']}", json={"accepting_jobs": False}).status_code == 204
    closed = read(user, made)
    assert states(closed) == ["open", "active", "inactive", "active", "closed"]
    assert closed["accepting_jobs"] is False and "closed_at" in closed
    assert 69 < closed["elapsed_time"] < 80
    assert [job["id"] for job in user.get(f"/api/v1/jobs?session_id={made['id']}&sort=ASC").json()["jobs"]] == [
        job["id"],
        again["id"],
    ]


def test_a_batch_uses_what_its_jobs_use(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(qpu_seconds=3)
    made = create(user, mode="batch")
    for _turn in range(2):
        user.ended(user.submit(session_id=made["id"])["id"])
    user.patch(f"{PATH}/{made['id']}", json={"accepting_jobs": False})
    assert read(user, made)["elapsed_time"] == 6


def test_not_accepting_lets_the_jobs_run(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(queue_seconds=100)
    made = create(user)
    job = user.submit(session_id=made["id"])["id"]
    user.patch(f"{PATH}/{made['id']}", json={"accepting_jobs": False})
    assert read(user, made)["state"] == "open"
    refused = user.submit(400, session_id=made["id"])["errors"][0]
    assert (refused["code"], refused["message"]) == ("1217", "Session has been closed.")
    user.patch(f"{PATH}/{made['id']}", json={"accepting_jobs": True})
    user.patch(f"{PATH}/{made['id']}", json={"accepting_jobs": False})
    emulator.clock(advance=101)
    assert user.ended(job)["state"]["status"] == "Completed"
    assert read(user, made)["state"] == "closed"
    assert user.patch(f"{PATH}/{made['id']}", json={"accepting_jobs": True}).status_code == 400


def test_closing_cancels_what_waits_and_lets_run_what_runs(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(run_seconds=10)
    made = create(user)
    running, waiting = (user.submit(session_id=made["id"])["id"] for _turn in range(2))
    for _turn in range(2):
        assert user.delete(f"{PATH}/{made['id']}/close").status_code == 204
    assert read(user, made)["state"] == "closed"
    assert user.job(waiting)["state"]["status"] == "Cancelled"
    emulator.clock(advance=11)
    assert user.ended(running)["state"]["status"] == "Completed"
    assert [row["job_id"] for row in emulator.executions()] == [running]


def test_the_maximum_time(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(run_seconds=50)
    made = create(user, max_ttl=70)
    first, second, third = (user.submit(session_id=made["id"])["id"] for _turn in range(3))
    emulator.clock(advance=50)
    user.ended(first)
    assert user.job(second)["state"]["status"] == "Running"
    emulator.clock(advance=25)
    state = user.job(third)["state"]
    assert (state["status"], state["reason_code"]) == ("Failed", 1217)
    emulator.clock(advance=25)
    assert user.ended(second)["state"]["status"] == "Completed"
    assert states(read(user, made)) == ["open", "active", "closed"]


def test_a_session_without_a_job_closes(emulator: EmulatorProcess, user: Client) -> None:
    made = create(user, max_ttl=10**9)
    assert made["max_ttl"] == 28800
    emulator.clock(advance=1801)
    closed = read(user, made)
    assert (closed["state"], closed["elapsed_time"]) == ("closed", 0)
    assert closed["state_reason"]


def test_jobs_of_an_active_session_do_not_queue(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(queue_seconds=100)
    made = create(user)
    first = user.submit(session_id=made["id"])["id"]
    emulator.clock(advance=101)
    user.ended(first)
    user.ended(user.submit(session_id=made["id"])["id"])


@pytest.mark.parametrize(
    ("body", "instance", "text"),
    [
        ({"mode": "fast"}, data.INSTANCE_US, "mode"),
        ({"mode": None}, data.INSTANCE_US, "mode"),
        ({"backend": "ibm_nowhere"}, data.INSTANCE_US, "Backend"),
        ({"max_ttl": 0}, data.INSTANCE_US, "max_ttl"),
        ({"max_ttl": "1h"}, data.INSTANCE_US, "max_ttl"),
        ({"interactive_ttl": 1}, data.INSTANCE_US, "Channel Partner"),
        ({}, data.INSTANCE_OPEN, "Open plan"),
    ],
)
def test_what_a_session_must_be(user: Client, body: dict[str, Any], instance: str, text: str) -> None:
    headers = {"Service-CRN": instance}
    reply = user.post(PATH, json={"mode": "dedicated", "backend": "ibm_fez", **body}, headers=headers)
    assert reply.status_code == 400
    assert text in reply.json()["errors"][0]["message"]


def test_the_open_plan_has_batches(user: Client) -> None:
    headers = {"Service-CRN": data.INSTANCE_OPEN}
    assert user.post(PATH, json={"mode": "batch", "backend_name": "ibm_fez"}, headers=headers).status_code == 200


def test_a_session_is_of_one_backend_and_instance(user: Client) -> None:
    made = create(user)
    assert "ibm_torino" in user.submit(400, backend="ibm_torino", session_id=made["id"])["errors"][0]["message"]
    for identifier, instance in (("nobody", data.INSTANCE_US), (made["id"], data.INSTANCE_OPEN)):
        headers = {"Service-CRN": instance}
        assert user.get(f"{PATH}/{identifier}", headers=headers).status_code == 404
        assert user.patch(f"{PATH}/{identifier}", json={"accepting_jobs": False}, headers=headers).status_code == 404
        assert user.delete(f"{PATH}/{identifier}/close", headers=headers).status_code == 404
    assert user.patch(f"{PATH}/{made['id']}", json={"accepting_jobs": 1}).status_code == 400
