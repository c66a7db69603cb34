# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import CRN, TOKEN, Module, ibm_error


@pytest.fixture
def runtime():
    return Runtime(Client(Module(argument_spec(), bearer_token=TOKEN, instance=CRN)))


def test_backends(ibm, runtime):
    ibm.runtime("GET", "/v1/backends", reply={"devices": [{"name": "a"}]})
    ibm.runtime("GET", "/v1/backends", query={"fields": "wait_time_seconds"}, reply={"devices": []})
    assert runtime.backends() == [{"name": "a"}]
    assert runtime.backends(["wait_time_seconds"]) == []


@pytest.mark.parametrize("reply", [{}, {"devices": None}, [], "<html></html>"])
def test_something_else_than_the_runtime_answers(ibm, runtime, reply):
    ibm.runtime("GET", "/v1/backends", reply=reply)
    with pytest.raises(ApiError, match="/v1/backends: the answer .* Check 'runtime_url': something else"):
        runtime.backends()


@pytest.mark.parametrize(
    "detail, calibration, query",
    [
        ("configuration", None, {}),
        ("configuration", "c1", {"calibration_id": "c1"}),
        ("properties", "c1", {"calibration_id": "c1"}),
        ("status", "c1", {}),
        ("defaults", "c1", {}),
    ],
)
def test_details(ibm, runtime, detail, calibration, query):
    ibm.runtime("GET", f"/v1/backends/ibm_fez/{detail}", query=query, reply={"a": 1})
    assert runtime.backend_detail("ibm_fez", detail, calibration) == {"a": 1}


@pytest.mark.parametrize("answer", [{"status": 404, "reply": ibm_error(1011, "no")}, {"reply": {}}])
@pytest.mark.parametrize("detail", ["defaults", "properties"])
def test_details_that_there_need_not_be(ibm, runtime, detail, answer):
    ibm.runtime("GET", f"/v1/backends/sim/{detail}", **answer)
    assert runtime.backend_detail("sim", detail) is None


@pytest.mark.parametrize("detail, status", [("configuration", 404), ("status", 404), ("properties", 403)])
def test_details_that_must_be(ibm, runtime, detail, status):
    ibm.runtime("GET", f"/v1/backends/sim/{detail}", status=status, reply={})
    with pytest.raises(ApiError):
        runtime.backend_detail("sim", detail)


def test_a_name_stays_one_part_of_the_path(ibm, runtime):
    ibm.runtime("GET", "/v1/backends/a%2Fb%3F/status", reply={"state": True})
    assert runtime.backend_detail("a/b?", "status") == {"state": True}
