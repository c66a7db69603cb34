# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import workload_info
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, RUNTIME, Module

PATH = "/v1/workloads"
SORT = {"sort": "-createdAt"}


def run(**options):
    return outcome(workload_info.run, Module(workload_info.ARGUMENT_SPEC, api_key=API_KEY, instance=CRN, **options))


def rows(*numbers):
    return [{"id": f"w{number}", "mode": "job"} for number in numbers]


def page(ibm, found, following=None, total=3, **query):
    reply = {"workloads": found, "total_count": total, "limit": 50}
    if following:
        reply["next"] = {"href": f"{RUNTIME}{PATH}?next={following}"}
    ibm.runtime("GET", PATH, query={**SORT, "limit": 50, **query}, reply=reply)


def test_all_options(ibm):
    ibm.exchange()
    filters = {
        "user": "me",
        "sort": "createdAt",
        "backend": "ibm_fez",
        "search": "night",
        "status": ["pending", "failed"],
        "mode": "job",
        "tags": ["a", "b"],
        "created_after": "2026-01-01T00:00:00.000Z",
        "created_before": "2026-02-01T10:30:00.000Z",
    }
    page(ibm, rows(1), total=1, **filters)
    result = run(
        mine=True,
        sort="oldest",
        backend="ibm_fez",
        search="night",
        status=["pending", "failed"],
        mode="job",
        tags=["a", "b"],
        created_after="2026-01-01",
        created_before="2026-02-01T11:30:00+01:00",
        check_mode=True,
    )
    assert result == {"changed": False, "workloads": rows(1), "total_count": 1}


def test_all_pages(ibm):
    ibm.exchange()
    page(ibm, rows(1, 2), "c1")
    page(ibm, rows(2, 3), "c2", next="c1")  # one was made meanwhile
    page(ibm, rows(4), next="c2", total=4)
    result = run(limit=0)
    assert (result["workloads"], result["total_count"]) == (rows(1, 2, 3, 4), 3)


@pytest.mark.parametrize("limit, size", [(1, 1), (2, 2), (60, 50)])
def test_no_more_than_the_limit(ibm, limit, size):
    ibm.exchange()
    page(ibm, rows(*range(size)), "c1", total=500, limit=size)
    if limit > size:
        page(ibm, rows(*range(50, 100)), "c2", total=500, next="c1")
    result = run(limit=limit)
    assert (result["workloads"], result["total_count"]) == (rows(*range(limit)), 500)


@pytest.mark.parametrize("limit", [0, 200])
def test_a_list_without_end(ibm, limit):
    ibm.exchange()
    page(ibm, rows(1), "c1")
    page(ibm, rows(2), "c1", next="c1")
    assert "the list does not end" in run(limit=limit)["msg"]


@pytest.mark.parametrize("reply", [{}, {"workloads": None}, {"jobs": []}, [1]])
def test_another_answer(ibm, reply):
    ibm.exchange()
    ibm.runtime("GET", PATH, query={**SORT, "limit": 50}, reply=reply)
    assert "Check 'runtime_url'" in run()["msg"]


@pytest.mark.parametrize(
    "options, text",
    [
        ({"limit": -1}, "'limit' must be 0, for all, or more, not -1"),
        ({"created_after": "yesterday"}, "'created_after' must be a date or time of ISO 8601"),
        ({"created_before": ""}, "'created_before' must be a date or time of ISO 8601, such as 2026-11-22 or"),
        (
            {"created_after": "2026-02-01", "created_before": "2026-02-01T00:00:00Z"},
            "'created_after' must be before 'created_before': nothing is between",
        ),
    ],
)
def test_what_cannot_be(ibm, options, text):
    assert text in run(**options)["msg"]
