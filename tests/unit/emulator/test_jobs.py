# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs over HTTP: submission, life, results, lists, limits; run by the built-in simulator, no Qiskit."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.testing import EmulatorError, EmulatorProcess
from tests.unit.emulator.client import Client

HEAD = 'OPENQASM 3.0; include "stdgates.inc";'
ESTIMATOR = {"pubs": [[data.BELL, "ZZ"]], "version": 2}


def error_of(answer: dict[str, Any]) -> tuple[int, str]:
    (error,) = answer["errors"]
    return int(error["code"]), error["message"]


def test_a_bell_circuit(emulator: EmulatorProcess, user: Client) -> None:
    user.headers["X-Qx-Client-Application"] = "qiskit-version-2/qiskit_ibm_runtime-0.51.0,qiskit-2.6.2*"
    made = user.submit(tags=["nightly"], cost=300)
    assert set(made) == {"id", "backend"} and made["backend"] == "ibm_fez"
    job = user.ended(made["id"])
    assert (job["state"], job["status"]) == ({"status": "Completed"}, "Completed")
    assert (job["program"], job["backend"], job["tags"], job["cost"]) == (
        {"id": "sampler"},
        "ibm_fez",
        ["nightly"],
        300,
    )
    assert job["usage"] == {"qpu_charge_time_seconds": 2, "status": "complete"}
    assert (job["user_id"], job["estimated_running_time_seconds"]) == (data.IAM_ID, 2)
    reply = user.get(f"/api/v1/jobs/{made['id']}/results")
    assert reply.headers["content-type"].startswith("text/plain")
    (result,) = reply.json()["results"]
    counts = Counter(result["data"]["meas"]["samples"])
    assert set(counts) == {"0x0", "0x3"} and sum(counts.values()) == 100 and result["data"]["meas"]["num_bits"] == 2
    assert reply.json()["metadata"]["version"] == 2
    metrics = user.get(f"/api/v1/jobs/{made['id']}/metrics").json()
    assert set(metrics["timestamps"]) == {"created", "running", "finished"}
    assert (metrics["usage"], metrics["caller"]) == (job["usage"], "qiskit/2.6.2")
    (row,) = emulator.journal(method="POST", path="/api/v1/jobs")
    assert row["job_id"] == made["id"]
    (execution,) = emulator.executions()
    assert (execution["job_id"], execution["execution"], execution["tags"]) == (made["id"], 1, ["nightly"])


def test_the_same_params_give_the_same_result(user: Client) -> None:
    texts = set()
    for _turn in range(2):
        made = user.submit()
        user.ended(made["id"])
        texts.add(json.dumps(user.get(f"/api/v1/jobs/{made['id']}/results").json()["results"]))
    assert len(texts) == 1


def test_usage_adds_up(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(qpu_seconds=7)
    for _turn in range(3):
        made = user.submit()
        user.ended(made["id"])
    assert user.delete(f"/api/v1/jobs/{made['id']}").status_code == 204
    assert user.get("/api/v1/instances/usage").json()["usage_consumed_seconds"] == 1834 + 21


@pytest.mark.parametrize(
    ("changes", "status", "code", "text"),
    [
        ({"program_id": None}, 400, 1300, "program_id"),
        ({"backend": None}, 400, 1300, "backend"),
        ({"backend": ""}, 400, 1300, "backend"),
        ({"backend": "ibm_nowhere"}, 404, 1007, "Backend not found"),
        ({"backend": "ibm_aachen"}, 404, 1007, "Backend not found"),
        ({"program_id": "noise-learner"}, 404, 1300, "noise-learner"),
        ({"program_id": "hello"}, 404, 1300, "hello"),
        ({"params": []}, 400, 1300, "params must be an object"),
        ({"params": {"pubs": []}}, 400, 1300, "pubs"),
        ({"params": {"pubs": [["a"]], "colour": 1}}, 400, 1300, "unknown colour"),
        ({"params": {"pubs": [[data.BELL, None, 1, 2]]}}, 400, 1300, "1 to 3 elements"),
        ({"params": {"pubs": [[7]]}}, 400, 1300, "must be a circuit"),
        ({"params": {"pubs": ["a"], "version": 1}}, 400, 1300, "version"),
        ({"params": {"pubs": ["a"], "shots": 0}}, 400, 1300, "shots"),
        ({"params": {"pubs": ["a"], "options": 1}}, 400, 1300, "options"),
        ({"params": {"pubs": ["a"], "support_qiskit": 1}}, 400, 1300, "support_qiskit"),
        ({"program_id": "executor"}, 400, 1300, "unknown pubs"),
        ({"program_id": "executor", "params": {"options": {}}}, 400, 1300, "schema_version"),
        ({"tags": ["a"] * 9}, 400, 1204, "9 > 8"),
        ({"tags": ["a" * 87]}, 400, 1205, "87 > 86"),
        ({"tags": "a"}, 400, 1300, "tags"),
        ({"cost": -1}, 400, 1300, "cost"),
        ({"log_level": "loud"}, 400, 1300, "log_level"),
        ({"private": "yes"}, 400, 1300, "private"),
        ({"calibration_id": "c" * 101}, 400, 1300, "calibration_id"),
        ({"session_id": "s" * 37}, 400, 1300, "session_id"),
        ({"session_id": "nobody"}, 404, 1300, "Session nobody not found"),
        ({"remote_storage": {}}, 400, 1300, "Channel Partner"),
        ({"start_session": True}, 400, 1300, "2024"),
    ],
)
def test_what_a_submission_must_be(user: Client, changes: dict[str, Any], status: int, code: int, text: str) -> None:
    found, message = error_of(user.submit(status, **changes))
    assert found == code and text in message
    assert user.get("/api/v1/jobs").json()["count"] == 0


def test_the_body_must_be_json(user: Client) -> None:
    assert user.post("/api/v1/jobs", data="{").status_code == 400


def test_limits_of_tags_and_cost_are_reached_exactly(user: Client) -> None:
    made = user.submit(tags=["a" * 86] * 8, cost=999999, log_level="WARNING")
    assert user.job(made["id"])["cost"] == 10800


@pytest.mark.parametrize(
    ("circuit", "code", "text"),
    [
        (f"{HEAD} qubit[2] q; bit[2] c; h q[0]; c = measure q;", 1517, "h on qubits (0,)"),
        (f"{HEAD} bit[1] c; cz $0, $5; c = measure $0;", 1517, "cz on qubits (0, 5)"),
        (f"{HEAD} bit[1] c; x $156; c = measure $156;", 1517, "x on qubits (156,)"),
        ("OPENQASM 3.0; bit[1] c; x $0; c = measure $0;", 1002, "gate 'x' is not defined"),
        ("OPENQASM 3.0; bit[1] c; reset $0; c = measure $0;", 1002, "requirements-worker.txt"),
        ("OPENQASM 3.0; bit c; c = measure $0;", 1002, "no register"),
        ("nonsense", 1002, "requirements-worker.txt"),
        ("OPENQASM 3.0; bit[0] c; c = measure $0;", 1002, "cannot measure"),
        (f"{HEAD} bit[1] c; rx({'(' * 999}) $0; c = measure $0;", 1002, "angle"),
        ([data.BELL, None, 0], 1002, "not 0"),
        ([data.BELL, None, "many"], 1002, "not 'many'"),
    ],
)
def test_a_circuit_that_cannot_run(user: Client, circuit: Any, code: int, text: str) -> None:
    job = user.ended(user.submit(params={"pubs": [circuit]})["id"])
    assert (job["state"]["status"], job["state"]["reason_code"]) == ("Failed", code)
    assert text in job["state"]["reason"]
    assert job["usage"]["qpu_charge_time_seconds"] == 0
    assert text in user.get(f"/api/v1/jobs/{job['id']}/results").text
    assert "Failed" in user.get(f"/api/v1/jobs/{job['id']}/logs").text


@pytest.mark.parametrize("changes", [{"program_id": "estimator", "params": ESTIMATOR}])
def test_without_aer_the_job_says_what_to_install(user: Client, changes: dict[str, Any]) -> None:
    reason = user.ended(user.submit(**changes)["id"])["state"]["reason"]
    assert "make venv-worker" in reason and "requirements-worker.txt" in reason


def test_any_circuit_when_asked(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(native_circuits=False)
    circuit = f"{HEAD} qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;"
    assert user.ended(user.submit(params={"pubs": [circuit]})["id"])["state"]["status"] == "Completed"


# Time


def test_the_queue_follows_the_clock(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(queue_seconds=1000, run_seconds=500)
    first, second = user.submit()["id"], user.submit()["id"]
    other = user.submit(backend="ibm_torino")["id"]
    assert user.job(first)["state"] == {"status": "Queued"}
    metrics = [user.get(f"/api/v1/jobs/{job}/metrics").json() for job in (first, second, other)]
    assert [row["position_in_queue"] for row in metrics] == [1, 2, 1]
    assert metrics[0]["estimated_completion_time"][:16] == metrics[1]["estimated_start_time"][:16]
    assert metrics[0]["usage"] == {"qpu_charge_time_seconds": 0, "status": "pending"}
    queue = {row["name"]: row["queue_length"] for row in user.get("/api/v1/backends").json()["devices"]}
    assert (queue["ibm_fez"], queue["ibm_torino"]) == (4 + 2, 2 + 1)
    assert user.get("/api/v1/backends/ibm_fez/status").json()["length_queue"] == 6
    assert user.get(f"/api/v1/jobs/{first}/results").status_code == 204
    emulator.clock(advance=1001)
    assert [user.job(job)["state"]["status"] for job in (first, second, other)] == ["Running", "Queued", "Running"]
    assert len(emulator.executions()) == 2
    emulator.clock(advance=500)
    assert user.ended(first)["state"]["status"] == "Completed"
    assert user.job(second)["state"]["status"] == "Running"
    emulator.clock(advance=500)
    user.ended(second)
    moments = user.get(f"/api/v1/jobs/{first}/metrics").json()["timestamps"]
    assert moments["finished"] == user.get(f"/api/v1/jobs/{second}/metrics").json()["timestamps"]["running"]
    assert [row["execution"] for row in emulator.executions()] == [1, 1, 1]


def test_a_short_wait_needs_no_control(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(queue_seconds=0.2, run_seconds=0.2)
    assert user.ended(user.submit()["id"])["state"]["status"] == "Completed"


def test_a_clock_that_is_set_wrong_makes_nothing_happen(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(queue_seconds=0.3)
    made = user.submit()["id"]
    before = user.job(made)["created"]
    emulator.clock(skew=-7200)
    user.login()
    assert user.ended(made)["state"]["status"] == "Completed"
    assert user.job(made)["created"] < before
    emulator.clock(skew=7200)
    emulator.settings(queue_seconds=1000)
    assert user.login().job(user.submit()["id"])["state"]["status"] == "Queued"


def test_nothing_starts_while_held(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(hold=True)
    made = user.submit()["id"]
    emulator.clock(advance=86400)
    assert user.login().job(made)["state"]["status"] == "Queued"
    assert "estimated_start_time" not in user.get(f"/api/v1/jobs/{made}/metrics").json()
    emulator.settings(hold=False)
    user.ended(made)
    moments = user.get(f"/api/v1/jobs/{made}/metrics").json()["timestamps"]
    assert moments["running"][:10] > moments["created"][:10]


def test_one_job_is_held_or_hurried(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(queue_seconds=1000)
    first, second = user.submit()["id"], user.submit()["id"]
    emulator.change_jobs(id=second, queue_seconds=0)
    emulator.change_jobs(id=first, hold=True)
    user.ended(second)
    emulator.clock(advance=2000)
    rows = {row["id"]: row for row in emulator.jobs()}
    assert [(rows[job]["status"], rows[job]["executions"]) for job in (first, second)] == [
        ("Queued", 0),
        ("Completed", 1),
    ]
    emulator.change_jobs(hold=False)
    user.ended(first)


def test_a_backend_that_is_not_online_runs_nothing(emulator: EmulatorProcess, user: Client) -> None:
    made = user.submit(backend="ibm_marrakesh")["id"]
    assert user.job(made)["state"]["status"] == "Queued"
    emulator.settings(backends={"ibm_marrakesh": {"status": "online"}})
    user.ended(made)


def test_the_next_jobs_fail_on_demand(emulator: EmulatorProcess, user: Client) -> None:
    emulator.fail_jobs(reason="The circuit is too deep.", code=1517, solution="Make it shorter.", times=2)
    jobs = [user.ended(user.submit()["id"]) for _turn in range(3)]
    assert [job["state"]["status"] for job in jobs] == ["Failed", "Failed", "Completed"]
    assert jobs[0]["state"] == {
        "status": "Failed",
        "reason": "The circuit is too deep.",
        "reason_code": 1517,
        "reason_solution": "Make it shorter.",
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("failures", {"code": 5}),
        ("failures", {"times": 0}),
        ("failures", {"reason": 1}),
        ("failures", {"colour": 1}),
        ("jobs", {}),
        ("jobs", {"hold": 1}),
        ("jobs", {"id": "nobody", "hold": True}),
        ("jobs", {"queue_seconds": "x"}),
        ("settings", {"engine": "fast"}),
        ("settings", {"queue_seconds": -1}),
        ("settings", {"qpu_seconds": 1.5}),
    ],
)
def test_what_control_refuses(emulator: EmulatorProcess, path: str, body: dict[str, Any]) -> None:
    before = emulator.control("GET", path)
    with pytest.raises(EmulatorError):
        emulator.control("POST", path, body)
    assert emulator.control("GET", path) == before


def test_a_job_that_runs_too_long(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(qpu_seconds=11)
    job = user.ended(user.submit(cost=10)["id"])
    assert (job["state"]["status"], job["state"]["reason_code"]) == ("Cancelled", 1305)
    assert job["status"] == "Cancelled - Ran too long"
    assert job["usage"]["qpu_charge_time_seconds"] == 10
    assert user.get(f"/api/v1/jobs/{job['id']}/results").status_code == 204


def test_billing_may_lag(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(billing_seconds=300)
    made = user.submit()["id"]
    assert user.ended(made)["usage"] == {"qpu_charge_time_seconds": 2, "status": "pending"}
    emulator.clock(advance=301)
    assert user.job(made)["usage"]["status"] == "complete"


# Cancel, delete, tags


def test_a_cancelled_job_never_runs(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(queue_seconds=60)
    made = user.submit()["id"]
    assert user.delete(f"/api/v1/jobs/{made}").status_code == 400
    assert user.post(f"/api/v1/jobs/{made}/cancel").status_code == 204
    assert user.post(f"/api/v1/jobs/{made}/cancel").status_code == 409
    emulator.clock(advance=120)
    assert user.job(made)["state"]["status"] == "Cancelled"
    assert emulator.executions() == []
    assert user.get(f"/api/v1/jobs/{made}/results").status_code == 204


def test_a_running_job_is_cancelled_and_charged_for_what_it_ran(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(run_seconds=600, qpu_seconds=400)
    made = user.submit()["id"]
    emulator.clock(advance=100)
    assert user.post(f"/api/v1/jobs/{made}/cancel").status_code == 204
    assert 100 <= user.job(made)["usage"]["qpu_charge_time_seconds"] <= 130


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("GET", "/results"),
        ("GET", "/logs"),
        ("GET", "/metrics"),
        ("PUT", "/tags"),
    ],
)
def test_an_unknown_job(user: Client, method: str, path: str) -> None:
    made = user.submit()["id"]
    for identifier, instance in (("nobody", data.INSTANCE_US), (made, data.INSTANCE_OPEN)):
        headers = {"Service-CRN": instance}
        reply = user.request(method, f"/api/v1/jobs/{identifier}{path}", headers=headers, json={"tags": []})
        assert (reply.status_code, error_of(reply.json())[0]) == (404, 1291)


@pytest.mark.parametrize("path", ["interim_results", "transpiled_circuits"])
def test_what_ibm_removed(user: Client, path: str) -> None:
    assert user.get(f"/api/v1/jobs/{user.submit()['id']}/{path}").status_code == 404


def test_tags_are_replaced(user: Client) -> None:
    path = f"/api/v1/jobs/{user.submit(tags=['old-tag'])['id']}/tags"
    assert user.put(path, json={"tags": ["new-tag"]}).status_code == 204
    assert user.get("/api/v1/tags?type=job&search=-tag").json() == {"tags": ["new-tag"]}
    for body, code in (({"tags": ["a"] * 9}, 1204), ({"tags": ["a" * 87]}, 1205), ({}, 1300), ({"tags": 1}, 1300)):
        reply = user.put(path, json=body)
        assert (reply.status_code, error_of(reply.json())[0]) == (400, code)
    assert user.put(path, json={"tags": []}).status_code == 204


# Private jobs and params


def test_a_private_result_is_read_once(user: Client) -> None:
    made = user.submit(private=True)
    assert made["private"] is True
    job = user.ended(made["id"])
    assert job["private"] is True
    assert "params" not in user.get(f"/api/v1/jobs/{made['id']}").json()
    assert user.get(f"/api/v1/jobs/{made['id']}/results").json()["results"]
    again = user.get(f"/api/v1/jobs/{made['id']}/results")
    assert (again.status_code, again.content) == (204, b"")


def test_params_are_given_when_asked_for(user: Client) -> None:
    made = user.submit()
    path = f"/api/v1/jobs/{made['id']}"
    assert user.get(path).json()["params"]["pubs"][0][0] == data.BELL
    assert "params" not in user.get(f"{path}?exclude_params=true").json()
    assert "private" not in user.get(path).json()
    assert "params" not in user.get("/api/v1/jobs").json()["jobs"][0]
    assert "params" in user.get("/api/v1/jobs?exclude_params=false").json()["jobs"][0]
    assert user.get(f"{path}?exclude_params=perhaps").status_code == 400


# Lists


def test_filters_and_pages(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(hold=True)
    shuffle = random.Random(5)
    rows: list[dict[str, Any]] = []
    for number in range(30):
        tags = shuffle.sample(["red", "green", "blue"], shuffle.randrange(4))
        backend = shuffle.choice(["ibm_fez", "ibm_torino"])
        made = user.submit(tags=tags, backend=backend)["id"]
        if number % 3 == 0:
            assert user.post(f"/api/v1/jobs/{made}/cancel").status_code == 204
        rows.append({"id": made, "tags": set(tags), "backend": backend, "pending": number % 3 != 0})
        emulator.clock(advance=10)
    for _turn in range(25):
        query: list[tuple[str, str]] = []
        wanted = list(reversed(rows))
        if shuffle.random() < 0.5:
            tags = shuffle.sample(["red", "green", "blue"], shuffle.randrange(1, 3))
            query += [("tags", tag) for tag in tags]
            wanted = [row for row in wanted if set(tags) <= row["tags"]]
        if shuffle.random() < 0.5:
            pending = shuffle.random() < 0.5
            query.append(("pending", str(pending).lower()))
            wanted = [row for row in wanted if row["pending"] == pending]
        if shuffle.random() < 0.5:
            query.append(("backend", "ibm_fez"))
            wanted = [row for row in wanted if row["backend"] == "ibm_fez"]
        if shuffle.random() < 0.3:
            query.append(("sort", "ASC"))
            wanted.reverse()
        limit, offset = shuffle.randrange(1, 12), shuffle.randrange(20)
        body = user.get("/api/v1/jobs", params=[*query, ("limit", limit), ("offset", offset)]).json()
        assert [row["id"] for row in body["jobs"]] == [row["id"] for row in wanted[offset : offset + limit]], query
        assert (body["count"], body["limit"], body["offset"]) == (len(wanted), limit, offset)


@pytest.mark.parametrize(
    ("query", "status"),
    [("sort=UP", 400), ("pending=1", 400), ("created_after=now", 400), ("limit=0", 200), ("limit=x", 200)],
)
def test_odd_queries(user: Client, query: str, status: int) -> None:
    reply = user.get(f"/api/v1/jobs?{query}")
    assert reply.status_code == status
    if status == 200:  # the document: out of range means the default
        assert reply.json()["limit"] == 100


def test_the_times_of_a_filter_belong_to_it(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(hold=True)
    made = []
    for _turn in range(3):
        made.append(user.job(user.submit()["id"]))
        emulator.clock(advance=60)
    middle = made[1]["created"]
    after = user.get("/api/v1/jobs", params={"created_after": middle, "sort": "ASC"}).json()
    before = user.get("/api/v1/jobs", params={"created_before": middle, "sort": "ASC"}).json()
    assert [job["id"] for job in after["jobs"]] == [job["id"] for job in made[1:]]
    assert [job["id"] for job in before["jobs"]] == [job["id"] for job in made[:2]]


def test_a_user_lists_the_own_jobs_of_an_instance(user: Client) -> None:
    user.submit()
    assert user.get("/api/v1/jobs", headers={"Service-CRN": data.INSTANCE_OPEN}).json()["count"] == 0
    assert user.get("/api/v1/jobs?program=sampler").json()["count"] == 1
    assert user.get("/api/v1/jobs?program=estimator").json()["count"] == 0
    assert user.get("/api/v1/jobs?session_id=none").json()["count"] == 0


# Limits


def test_the_rate_limit(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(jobs_per_minute=5, hold=True)
    for _turn in range(5):
        user.submit()
    reply = user.post("/api/v1/jobs", json={})
    assert (reply.status_code, error_of(reply.json())[0]) == (429, 1202)
    wait = int(reply.headers["retry-after"])
    assert 0 < wait <= 60
    emulator.clock(advance=wait)
    user.submit()


def test_the_limit_of_pending_jobs(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(max_pending=1, hold=True)
    made = user.submit()["id"]
    assert error_of(user.submit(409))[0] == 1012
    user.post(f"/api/v1/jobs/{made}/cancel")
    user.submit()


def test_the_limit_of_the_instance(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(usage={data.INSTANCE_US: 9999}, qpu_seconds=1)
    user.ended(user.submit()["id"])
    assert "instance limit" in error_of(user.submit(409))[1]


def test_a_lost_answer_leaves_a_job(emulator: EmulatorProcess, user: Client) -> None:
    """What IBM's own client, which repeats a POST, turns into two."""
    emulator.fault("lost_answer", method="POST", path="/jobs$")
    with pytest.raises(OSError):
        user.submit()
    made = user.submit()["id"]
    user.ended(made)
    assert user.get("/api/v1/jobs").json()["count"] == 2
    assert len(emulator.executions()) == 2
    assert [row["job_id"] for row in emulator.journal(method="POST", path="/api/v1/jobs")][1] == made


def test_a_reset_forgets_jobs(emulator: EmulatorProcess, user: Client) -> None:
    emulator.settings(run_seconds=100)
    user.submit()
    emulator.reset()
    assert user.get("/api/v1/jobs").json()["count"] == 0
    assert emulator.executions() == [] and emulator.jobs() == []
    user.ended(user.submit()["id"])
