# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The Runtime API's workloads, ``/v1/workloads``, and the tags of jobs, ``/v1/tags``.

A session is one workload, whatever jobs it has; a job outside of any is one as well. Source: IBM's OpenAPI document of
the Quantum Compute Service.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._paging import collect
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime

#: The most workloads that IBM lists in a page.
PAGE = 50
NEWEST_FIRST, OLDEST_FIRST = "-createdAt", "createdAt"
_PATH = "/v1/workloads"
_TAGS = "/v1/tags"


class Workloads(Runtime):
    """The workloads of one instance. Each call raises ApiError."""

    def find(self, filters: Mapping[str, Any], most: int | None = None) -> tuple[list[dict[str, Any]], int]:
        """The workloads that match, ``most`` of them, None for all; and how many match in all.

        ``filters`` are the query parameters of ``GET /v1/workloads``; those that are None are left out.
        """
        read = 0

        def send(query: Mapping[str, Any], _body: Any) -> dict[str, Any]:
            nonlocal read
            page = self._get(_PATH, query)
            if not isinstance(page.get("workloads"), list):
                raise ApiError("the answer has no list of workloads", url=_PATH, remedy="Check 'runtime_url'")
            read += len(page["workloads"])
            return {**page, "next": None} if most and read >= most else page

        given = {name: value for name, value in filters.items() if value is not None}
        answer = collect(send, {"limit": min(PAGE, most or PAGE), **given}, None)
        # what is made meanwhile moves others to the next page
        rows = list({row["id"]: row for row in answer["workloads"]}.values())
        return rows[:most], int(answer.get("total_count", len(rows)))

    def tags(self, search: str) -> list[str]:
        """``GET /v1/tags``: the tags of jobs that have this text in them."""
        answer = self._get(_TAGS, {"type": "job", "search": search})
        if not isinstance(answer.get("tags"), list):
            raise ApiError("the answer has no list of tags", url=_TAGS, remedy="Check 'runtime_url'")
        return list(answer["tags"])
