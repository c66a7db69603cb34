# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import requests

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import api
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, IAM, Module, ibm_error

KEYS = f"{IAM}/v1/apikeys"


def run(**options):
    module = Module(api.ARGUMENT_SPEC, **{"api_key": API_KEY, "instance": CRN, **options})
    result = outcome(api.run, module)
    assert API_KEY not in str(result)
    return result, module


def test_a_read(ibm):
    ibm.exchange()
    headers = {"X-Trace": "t", "Set-Cookie": "session=secret"}
    ibm.runtime(
        "GET", "/v1/jobs", query={"tags": ["a", "b"], "pending": "true"}, reply={"jobs": []}, reply_headers=headers
    )
    result, _module = run(path="/v1/jobs", query={"tags": ["a", "b"], "pending": True})
    headers = result.pop("headers")
    assert result == {"changed": False, "status": 200, "json": {"jobs": []}}
    assert headers["x-trace"] == "t" and "set-cookie" not in headers


def test_results_come_as_text(ibm):
    ibm.exchange()
    ibm.runtime("GET", "/v1/jobs/1/results", reply='{"a": 1}', reply_headers={"Content-Type": "text/plain"})
    assert run(path="/v1/jobs/1/results")[0]["json"] == '{"a": 1}'


def test_all_pages_of_the_jobs(ibm):
    ibm.exchange()
    ibm.runtime("GET", "/v1/jobs", query={"limit": "2"}, reply={"jobs": [1, 2], "count": 3, "limit": 2, "offset": 0})
    ibm.runtime(
        "GET", "/v1/jobs", query={"limit": "2", "offset": "2"}, reply={"jobs": [3], "count": 3, "limit": 2, "offset": 2}
    )
    assert run(path="/v1/jobs", query={"limit": 2}, paginate=True)[0]["json"] == {
        "jobs": [1, 2, 3],
        "count": 3,
        "limit": 2,
    }


def test_a_write_that_is_needed_and_one_that_is_not(ibm):
    options = {"method": "PUT", "path": "/v1/instances/configuration", "body": {"instance_limit": 600}, "current": {}}
    ibm.exchange()
    ibm.runtime("GET", "/v1/instances/configuration", reply={"instance_limit": 60})
    ibm.runtime("PUT", "/v1/instances/configuration", json={"instance_limit": 600}, status=204)
    ibm.runtime("GET", "/v1/instances/configuration", reply={"instance_limit": 600})
    first, second = run(**options)[0], run(**options)[0]
    assert (first["changed"], first["status"], first["json"]) == (True, 204, None)
    assert first["diff"] == {
        "before": {"instance_limit": 60},
        "after": {"instance_limit": 600},
        "before_header": "/v1/instances/configuration",
        "after_header": "/v1/instances/configuration",
    }
    assert (second["changed"], second["status"], second["json"]) == (False, None, {"instance_limit": 600})
    assert second["diff"]["before"] == second["diff"]["after"]


def test_check_mode_predicts_and_sends_nothing(ibm):
    ibm.exchange()
    ibm.cloud("GET", KEYS, query={"account_id": "a"}, reply={"apikeys": [{"id": "1", "name": "old"}]})
    current = {"path": KEYS, "query": {"account_id": "a"}, "match": {"name": "old"}}
    result, _module = run(method="DELETE", path=KEYS + "/{id}", current=current, check_mode=True)
    assert (result["changed"], result["status"]) == (True, None)
    assert result["diff"]["before"] == {"id": "1", "name": "old"} and result["diff"]["after"] == {}


def test_a_lost_answer_that_took_effect_is_a_warning(ibm):
    ibm.exchange()
    ibm.cloud("GET", KEYS, reply={"apikeys": []})
    ibm.cloud("POST", KEYS, json={"name": "new"}, fails=requests.exceptions.ReadTimeout())
    ibm.cloud("GET", KEYS, reply={"apikeys": [{"id": "1", "name": "new"}]})
    result, module = run(method="POST", path=KEYS, body={"name": "new"}, current={"match": {"name": "new"}})
    assert result["changed"] and result["json"] == {"id": "1", "name": "new"}
    assert len(module.warnings) == 1 and "the answer was lost, but the call took effect" in module.warnings[0]


@pytest.mark.parametrize(
    "options, text",
    [
        ({"path": "v1/jobs"}, "'path' must begin with '/' or be a URL of one of IBM's services"),
        ({"path": "https://evil.test/"}, "the bearer token is sent to no other host"),
        ({"path": "/v1/../x"}, "'path' must not hold '..'"),
        ({"path": "/v1/jobs", "instance": None}, "'instance' is needed for the Runtime API"),
        ({"path": "/v1/jobs", "headers": {"Authorization": "x"}}, "'headers' must not set Authorization"),
        ({"path": "/v1/jobs/{id}", "method": "DELETE", "current": {}}, "'current' needs its own 'path'"),
    ],
)
def test_bad_options(ibm, options, text):
    result, _module = run(**options)
    assert result["failed"] and text in result["msg"]


def test_an_error(ibm):
    ibm.exchange()
    body = ibm_error(1291, "Job not found.", solution="Check the job ID.", more_info="https://docs.test/errors#1291")
    ibm.runtime("GET", "/v1/jobs/1", status=404, reply=body)
    result, _module = run(path="/v1/jobs/1")
    assert result["failed"] and result["msg"] == (
        "GET https://quantum.cloud.ibm.com/api/v1/jobs/1: Job not found (404, code 1291). "
        "IBM's advice: Check the job ID. "
        "Check 'instance', 'runtime_url' and the name or path in the task. More: https://docs.test/errors#1291. "
        "Trace id: trace-1."
    )
    assert result["error"]["trace"] == "trace-1"


@pytest.mark.parametrize(
    "method, answer, before, after",
    [
        ("GET", {"apikeys": []}, False, False),
        ("GET", {"apikey": "secret"}, False, True),
        ("POST", {"id": "1", "apikey": "secret"}, True, True),
        ("POST", {"id": "1"}, True, False),
        ("DELETE", None, True, False),
    ],
)
def test_when_a_result_is_a_secret(method, answer, before, after):
    assert api.returns_secret({"method": method}) is before
    assert api.returns_secret({"method": method}, {"json": answer}) is after
    assert api.returns_secret({"method": method}, {"failed": True, "msg": "no"}) is False
