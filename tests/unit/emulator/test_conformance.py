# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checker itself, and the Runtime API of the emulator against IBM's OpenAPI document (path in OPENAPI_SPEC)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterator

import pytest

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import Client

pytest.importorskip("openapi_core", reason="tests/emulator/requirements-conformance.txt is not installed")

from tests.emulator.conformance import Checker, main

SPEC = os.environ.get("OPENAPI_SPEC", "")
needs_spec = pytest.mark.skipif(not SPEC, reason="OPENAPI_SPEC does not name IBM's OpenAPI document")

#: A document of our own, for the checker's own tests.
SMALL = """
openapi: 3.0.0
info: {title: t, version: "1"}
servers: [{url: "https://quantum.cloud.ibm.com/api"}]
paths:
  /v1/things/{id}:
    get:
      parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
      - {name: limit, in: query, schema: {type: integer, maximum: 5}}
      responses:
        "200":
          description: ""
          content:
            application/json:
              schema: {type: object, required: [size], properties: {size: {type: integer}}}
    put:
      parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
      requestBody:
        required: true
        content: {application/json: {schema: {type: object, required: [size]}}}
      responses: {"204": {description: ""}}
"""
JSON = {"content-type": "application/json"}
URL = "http://127.0.0.1:1/eu-de/api/v1/things/1"
ERROR = json.dumps({"errors": [{"code": 1, "message": "m"}], "trace": "t"})


@pytest.fixture
def small(tmp_path: Path) -> Checker:
    path = tmp_path / "spec.yml"
    path.write_text(SMALL)
    return Checker(path)


@pytest.mark.parametrize(
    ("method", "url", "sent", "status", "got", "deviation"),
    [
        ("GET", URL, None, 200, '{"size": 3}', ""),
        ("GET", URL, None, 200, '{"size": "3"}', "response /size: '3' is not of type 'integer'"),
        ("GET", URL, None, 200, "{}", "'size' is a required property"),
        ("GET", f"{URL}?limit=6", None, 200, '{"size": 3}', "request /: 6 is greater than the maximum of 5"),
        ("GET", f"{URL}/more", None, 200, "{}", "PathNotFound"),
        ("GET", "http://127.0.0.1:1/v1/things/1", None, 200, "{}", "not a URL of the Runtime API"),
        ("GET", URL, None, 200, "<html>", "response"),
        ("GET", URL, None, 418, "{}", "Unknown response http status"),
        ("GET", URL, None, 404, ERROR, ""),
        ("GET", URL, None, 404, "{}", "none of the document's error shapes"),
        ("GET", URL, None, 404, "", "none of the document's error shapes"),
        ("PUT", URL, '{"size": 3}', 204, "", ""),
        ("PUT", URL, "{}", 204, "", "request /: 'size' is a required property"),
        ("PUT", URL, "{}", 400, ERROR, ""),
    ],
)
def test_the_checker_finds_what_deviates(
    small: Checker, method: str, url: str, sent: str | None, status: int, got: str, deviation: str
) -> None:
    found = small.check(method, url, JSON, sent, status, JSON, got)
    assert bool(found) is bool(deviation), found
    assert deviation in "\n".join(found)


def test_a_record_is_checked_but_for_faults_and_other_services(tmp_path: Path, small: Checker) -> None:
    row: dict[str, Any] = {
        "method": "GET",
        "url": URL,
        "service": "runtime",
        "fault": None,
        "request_headers": JSON,
        "request_body": "",
        "status": 200,
        "response_headers": JSON,
        "response_body": '{"size": "bad"}',
    }
    rows = [row, row, {**row, "fault": "500"}, {**row, "service": "iam"}, {**row, "status": None}]
    record = tmp_path / "record.jsonl"
    record.write_text("".join(json.dumps(each) + "\n" for each in rows))
    assert len(small.check_file(record)) == 1


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, record = tmp_path / "spec.yml", tmp_path / "record.jsonl"
    spec.write_text(SMALL)
    record.write_text("")
    assert main([str(spec), str(record)]) == 0
    assert "fits" in capsys.readouterr().out
    assert main([str(spec)]) == 2


def traffic(user: Client) -> Iterator[tuple[str, str]]:
    """Requests that cover every Runtime path of both regions."""
    for base, instance in (
        ("/api", data.INSTANCE_US),
        ("/eu-de/api", data.INSTANCE_DE),
        ("/experimental/api", data.INSTANCE_OPEN),
    ):
        user.headers["Service-CRN"] = instance
        names = [device["name"] for device in user.get(f"{base}/v1/backends").json()["devices"]]
        for path in (
            "versions",
            "backends?fields=wait_time_seconds",
            "instance",
            "instances/usage",
            "instances/configuration",
            f"accounts/{data.ACCOUNT_ID}",
            "workloads?limit=3&sort=-createdAt",
            "workloads?limit=3&status=failed&status=pending&mode=job",
            "tags?type=job&search=run",
            "nothing",
            "jobs/1",
            "jobs?limit=5&sort=ASC&pending=false",
            "sessions/1",
            "analytics/usage?simulators=false",
            "analytics/usage_grouped?group_by=backend",
            "analytics/usage_grouped_by_date?group_by=instance",
            "analytics/filters",
            *(f"backends/{name}/{what}" for name in names for what in ("configuration", "properties", "status")),
            f"backends/{names[0]}/defaults",
            "backends/nobody/status",
        ):
            yield "GET", f"{base}/v1/{path}"


def work(emulator: EmulatorProcess, user: Client) -> None:
    """Jobs and sessions, from their submission to their end, in every state."""
    jobs = [
        user.submit(tags=["nightly"], log_level="info", cost=100)["id"],
        user.submit(private=True, calibration_id="c")["id"],
        user.submit(params={"pubs": ["nonsense"], "support_qiskit": True})["id"],
    ]
    for job in jobs:
        user.ended(job)
    emulator.settings(qpu_seconds=11)
    jobs.append(user.submit(cost=10)["id"])
    user.ended(jobs[-1])
    emulator.settings(queue_seconds=10, run_seconds=10)
    sessions = []
    for mode in ("dedicated", "batch"):
        body = {"mode": mode, "backend": "ibm_fez", "max_ttl": 600}
        sessions.append(user.post("/api/v1/sessions", json=body).json()["id"])
        jobs += [user.submit(session_id=sessions[-1])["id"] for _turn in range(2)]

    def read() -> None:
        for job in jobs:
            for what in ("", "?exclude_params=true", "/results", "/metrics", "/logs"):
                user.get(f"/api/v1/jobs/{job}{what}")
        for session in sessions:
            user.get(f"/api/v1/sessions/{session}")
        for query in ("", "?tags=nightly&limit=2&offset=1", "?exclude_params=false", f"?session_id={sessions[0]}"):
            user.get(f"/api/v1/jobs{query}")
        user.get("/api/v1/workloads?sort=-createdAt&limit=20")

    for _turn in range(3):
        read()
        emulator.clock(advance=10)
    user.post(f"/api/v1/jobs/{jobs[-1]}/cancel")
    user.post(f"/api/v1/jobs/{jobs[-1]}/cancel")
    for session in sessions:
        user.patch(f"/api/v1/sessions/{session}", json={"accepting_jobs": False})
        user.submit(400, session_id=session)
    user.delete(f"/api/v1/sessions/{sessions[1]}/close")
    emulator.clock(advance=600)
    for job in jobs:
        user.ended(job)
    read()
    for tags in (["a"], ["a"] * 9, ["b" * 87]):
        user.put(f"/api/v1/jobs/{jobs[0]}/tags", json={"tags": tags})
    user.delete(f"/api/v1/jobs/{jobs[0]}")
    user.delete(f"/api/v1/jobs/{jobs[0]}")
    emulator.settings(jobs_per_minute=1)
    user.delete(f"/api/v1/jobs/{user.submit()['id']}")
    user.submit(429)
    for group in ("usage", "usage_grouped?group_by=user_id", "usage_grouped_by_date?group_by=instance", "filters"):
        user.get(f"/api/v1/analytics/{group}")


@needs_spec
@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"log_level": "debug"}, True),
        ({"log_level": "WARNING"}, True),
        ({"log_level": "loud"}, False),
        ({"params": {"schema_version": "v2.0", "quantum_program": {}}}, True),
        ({"params": {"schema_version": "v0.2", "quantum_program": {}}}, False),
        ({"params": {"schema_version": "v2.0"}}, False),
    ],
)
def test_what_ibms_client_submits_fits_the_document(changes: dict[str, Any], good: bool) -> None:
    body = {"program_id": "sampler", "backend": "ibm_fez", "params": {"pubs": [["", None, 1]], "version": 2}, **changes}
    headers = {**JSON, "Authorization": "Bearer a", "Service-CRN": data.INSTANCE_US, "IBM-API-Version": "2026-04-15"}
    url, answer = "http://127.0.0.1:1/api/v1/jobs", json.dumps({"id": "d1", "backend": "ibm_fez"})
    found = Checker(SPEC).check("POST", url, headers, json.dumps(body), 200, JSON, answer)
    assert (found == []) is good, found


@needs_spec
@pytest.mark.timeout(300)
def test_the_emulator_fits_ibms_document(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    arguments = ["--worker-python", "none", "--backend", "manila"]
    with EmulatorProcess(record=record, args=arguments) as emulator, Client(emulator) as client:
        user = client.login()
        user.headers["IBM-API-Version"] = "2026-04-15"
        for method, path in traffic(user):
            user.request(method, path)
        user.headers["Service-CRN"] = data.INSTANCE_US
        for body in ({"instance_limit": 20000}, {"instance_limit": None}, {"instance_limit": 1}, {}):
            user.put("/api/v1/instances/configuration", json=body)
        for changed in ({"Authorization": None}, {"Service-CRN": "x"}, {"Service-CRN": None}, {"IBM-API-Version": "x"}):
            for path in ("backends", "instance", "instances/usage", "workloads", "accounts/a", "tags"):
                user.get(f"/api/v1/{path}", headers=changed)
        user.post("/api/v1/backends")
        work(emulator, user)
    checker = Checker(SPEC)
    assert checker.check_file(record) == []
    from tests.emulator.openapi_exceptions import EXCEPTIONS

    assert checker.used == {exception.reason for exception in EXCEPTIONS}, "an exception that nothing needs"
