# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic against IBM's OpenAPI document, whose path OPENAPI_SPEC gives; it is not part of the project.

Here are calls of every Runtime path that the collection uses, with all their query parameters. What the other tests
send is checked when their emulator stops, see conftest.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.emulator import data
from tests.integration.playbook import Controller

pytestmark = pytest.mark.skipif(
    not os.environ.get("OPENAPI_SPEC"), reason="OPENAPI_SPEC is not set: the path of IBM's OpenAPI document"
)


def test_all_runtime_calls_fit_the_document(controller: Controller, record: Path) -> None:
    from tests.emulator.conformance import Checker

    start = len(record.read_text().splitlines())
    controller.tasks(
        """
        - name: usage
          ibm_quantum.platform.usage_info:
        - name: backends
          ibm_quantum.platform.backend_info:
            name: ibm_torino
            fields: [wait_time_seconds]
            details: [configuration, properties, status, defaults]
        - name: backends of germany
          ibm_quantum.platform.backend_info:
            instance: "{{ de }}"
            runtime_url: "{{ url }}/eu-de/api"
            details: [status]
        - name: limit
          ibm_quantum.platform.api:
            method: PUT
            path: /v1/instances/configuration
            body: {instance_limit: 6000}
            current: {}
        - name: reads
          ibm_quantum.platform.api: {path: "{{ item.path }}", query: "{{ item.query | default({}) }}", paginate: true}
          loop:
            - {path: /v1/versions}
            - {path: /v1/instance}
            - {path: "/v1/accounts/{{ account }}"}
            - {path: /v1/tags, query: {type: job, search: nightly}}
            - {path: /v1/workloads, query: {limit: 5, status: [completed, failed], sort: -createdAt}}
        - name: refused
          ibm_quantum.platform.usage_info: {instance: "{{ other }}"}
          ignore_errors: true
        """,
        variables={"de": data.INSTANCE_DE, "account": data.ACCOUNT_ID, "other": data.OTHER_INSTANCE},
    ).succeeded()
    checker = Checker(os.environ["OPENAPI_SPEC"])
    rows = [json.loads(line) for line in record.read_text().splitlines()[start:]]
    runtime = [row for row in rows if row["service"] == "runtime"]
    assert len({row["url"].partition("?")[0] for row in runtime}) >= 12
    found = []
    for row in runtime:
        asked = (row["method"], row["url"], row["request_headers"], row["request_body"])
        found += checker.check(*asked, row["status"], row["response_headers"], row["response_body"])
    assert not found, "\n".join(found)

    # the same exchange with a wrong parameter or a wrong answer does not fit
    row = next(row for row in runtime if "/workloads" in row["url"])
    url, answer = row["url"].replace("limit=5", "limit=many"), row["response_body"]
    asked = (row["method"], url, row["request_headers"], row["request_body"])
    assert checker.check(*asked, 200, row["response_headers"], answer)
    asked = (row["method"], row["url"], row["request_headers"], row["request_body"])
    assert checker.check(*asked, 200, row["response_headers"], answer.replace('"total_count"', '"total"'))
