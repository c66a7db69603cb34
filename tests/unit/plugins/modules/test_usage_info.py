# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import usage_info
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import ACCOUNT, API_KEY, CRN, Module, ibm_error

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


# Analytics

ANALYTICS = "/v1/analytics"
ROW = {"usage": 120500, "jobs": 17, "avg_sessions_usage": 0, "sessions": 2, "max_queue_time": None, "queue_time": 2500}
SECONDS = {
    "usage_seconds": 120.5,
    "jobs": 17,
    "avg_sessions_usage_seconds": 0,
    "sessions": 2,
    "max_queue_time_seconds": None,
    "queue_time_seconds": 2.5,
}


def analytics(ibm, path, query=None, **answer):
    ibm.exchange()
    ibm.runtime("GET", PATH, reply=USAGE)
    ibm.runtime("GET", f"{ANALYTICS}/{path}", query=query, **answer)


@pytest.mark.parametrize(
    "group_by, parameter",
    [
        ("instance", "instance"),
        ("user", "user_id"),
        ("backend", "backend"),
        ("plan", "plan"),
        ("subscription", "subscription_id"),
    ],
)
def test_groups_in_seconds(ibm, group_by, parameter):
    analytics(
        ibm, "usage_grouped", {"group_by": parameter}, reply={"data": [{"key": "a", **ROW}, {"key": None, **ROW}]}
    )
    result = usage_info.run(module(group_by=group_by))
    assert result["usage"] == {**USAGE, "usage_remaining_seconds": None}
    assert result["analytics"] == {
        "group_by": group_by,
        "interval_start": None,
        "interval_end": None,
        "rows": [{"key": "a", **SECONDS}, {"key": None, **SECONDS}],
    }


def test_the_sums_of_an_account_with_all_filters(ibm):
    subscription = "91b2c828-2952-4f05-aed8-bedf92c6c480"
    query = {
        "interval_start": "2026-01-01T00:00:00.000Z",
        "interval_end": "2026-02-01T10:15:30.000Z",
        "instance": CRN,
        "backend": ["ibm_fez", "ibm_torino"],
        "user_id": "IBMid-1",
        "plan": "premium",
        "subscription_id": subscription,
        "simulators": "false",
    }
    analytics(ibm, "usage", query, reply=ROW)
    options = {
        "interval_start": "2026-01-01",
        "interval_end": "2026-02-01 12:15:30+02:00",
        "instances": [CRN],
        "backends": ["ibm_fez", "ibm_torino"],
        "users": ["IBMid-1"],
        "plans": ["premium"],
        "subscriptions": [subscription],
        "simulators": False,
    }
    result = usage_info.run(module(group_by="account", **options))["analytics"]
    assert result == {
        "group_by": "account",
        "interval_start": "2026-01-01T00:00:00.000Z",
        "interval_end": "2026-02-01T10:15:30.000Z",
        "rows": [{"key": ACCOUNT, **SECONDS}],
    }


def test_by_date(ibm):
    whole = {"interval_start": "2026-01-01T00:00:00.000Z", "interval_end": "2026-01-03T00:00:00.000Z"}
    day = {"interval_start": "2026-01-02T00:00:00.000Z", "interval_end": "2026-01-03T00:00:00.000Z"}
    reply = {**whole, "data": [{"key": CRN, **day, **ROW}]}
    analytics(ibm, "usage_grouped_by_date", {"group_by": "instance"}, reply=reply)
    assert usage_info.run(module(group_by="date"))["analytics"] == {
        "group_by": "date",
        **whole,
        "rows": [{"date": "2026-01-02", "instance": CRN, "key": CRN, **day, **SECONDS}],
    }


@pytest.mark.parametrize("group_by, path", [("user", "usage_grouped"), ("date", "usage_grouped_by_date")])
def test_another_answer(ibm, group_by, path):
    analytics(ibm, path, {"group_by": "user_id" if group_by == "user" else "instance"}, reply={"data": None})
    assert (
        "the answer has no list 'data'. Check 'runtime_url'"
        in outcome(usage_info.run, module(group_by=group_by))["msg"]
    )


@pytest.mark.parametrize(
    "options, text",
    [
        ({"users": ["a"]}, "'users': this selects among analytics; set 'group_by', for sums 'group_by: account'"),
        ({"interval_end": "2026-01-01", "simulators": False}, "'interval_end', 'simulators': this selects among"),
        ({"group_by": "user", "backends": []}, "'backends' is empty: leave it out for all"),
        ({"group_by": "user", "plans": [""]}, "'plans' is empty: leave it out for all"),
        ({"group_by": "user", "subscriptions": ["a"] * 201}, "'subscriptions': IBM takes 200 at most"),
        ({"group_by": "user", "interval_start": "May"}, "'interval_start' must be a date or time of ISO 8601"),
        (
            {"group_by": "date", "interval_start": "2026-02-01", "interval_end": "2026-01-01"},
            "'interval_start' must be before 'interval_end'",
        ),
    ],
)
def test_options_that_cannot_be(ibm, options, text):
    assert text in outcome(usage_info.run, module(**options))["msg"]
