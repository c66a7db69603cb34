# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import usage_info
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, Module, ibm_error

PATH = "/v1/instances/usage"
USAGE = {
    "instance_id": CRN,
    "plan_id": "850b21a7-71de-4e53-9441-1abdd202f35d",
    "usage_consumed_seconds": 120,
    "usage_limit_reached": False,
}


def module(**options):
    return Module(usage_info.ARGUMENT_SPEC, **{"api_key": API_KEY, "instance": CRN, **options})


@pytest.mark.parametrize(
    "limits, remaining",
    [
        ({}, None),
        ({"usage_limit_seconds": None}, None),
        ({"usage_limit_seconds": 600}, 480),
        ({"usage_allocation_seconds": 500}, 380),
        ({"usage_limit_seconds": 600, "usage_allocation_seconds": 500}, 380),
        ({"usage_limit_seconds": 100}, 0),
        ({"usage_limit_seconds": 0}, 0),
    ],
)
def test_usage(ibm, limits, remaining):
    ibm.exchange()
    ibm.runtime("GET", PATH, reply={**USAGE, **limits})
    result = usage_info.run(module())
    assert result == {"changed": False, "usage": {**USAGE, **limits, "usage_remaining_seconds": remaining}}


def test_check_mode_reads_too(ibm):
    ibm.exchange()
    ibm.runtime("GET", PATH, reply=USAGE)
    assert usage_info.run(module(check_mode=True))["changed"] is False


@pytest.mark.parametrize(
    "status, reply, text",
    [
        (401, ibm_error(1201, "Invalid credentials."), "Check 'api_key'; a bearer token given where"),
        (403, ibm_error("1200", "Not authorised."), "check that 'instance' belongs to the account"),
        (404, ibm_error(1279, f"Instance {CRN} not found"), "'runtime_url' is the one of the CRN's region"),
        (200, [1], "not a JSON object. Check 'runtime_url'"),
        (200, "<html>Log in</html>", "not a JSON object. Check 'runtime_url'"),
    ],
)
def test_failure_is_one_clear_message(ibm, status, reply, text):
    ibm.exchange()
    ibm.runtime("GET", PATH, status=status, reply=reply)
    if status == 401:  # the token could have been revoked: one more exchange, one more try
        ibm.exchange()
        ibm.runtime("GET", PATH, status=status, reply=reply)
    result = outcome(usage_info.run, module())
    assert result["failed"] is True
    assert text in result["msg"]
    assert API_KEY not in str(result)


def test_the_instance_is_needed(ibm):
    result = outcome(usage_info.run, module(instance=None))
    assert result["failed"] and "'instance' is needed for the Runtime API" in result["msg"]
