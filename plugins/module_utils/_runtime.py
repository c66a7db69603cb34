# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The Runtime REST API, the part that only reads. Source: IBM's OpenAPI document of the Quantum Compute Service.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping
from urllib.parse import quote

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError

#: What there is to know of one backend besides its row in the list.
DETAILS = ("configuration", "defaults", "properties", "status")

#: IBM's code, with 404, for an instance that this host does not know.
INSTANCE_NOT_FOUND = "1279"

_OTHER_SERVER = "Check 'runtime_url': something else than the Runtime API answers there"


def not_there(error: ApiError) -> bool:
    """Whether IBM says that a thing does not exist: not that the instance is unknown, and nobody else's page."""
    return error.status == 404 and error.body.code not in ("", INSTANCE_NOT_FOUND)


class Runtime:
    """The calls of one instance. Each raises ApiError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def backends(self, fields: Iterable[str] = ()) -> list[dict[str, Any]]:
        """``GET /v1/backends``: rows with name, status {name, reason}, qubits, queue_length, processor_type, clops."""
        answer = self._get("/v1/backends", {"fields": list(fields) or None})
        if not isinstance(answer.get("devices"), list):
            raise ApiError("the answer has no list of devices", url="/v1/backends", remedy=_OTHER_SERVER)
        return list(answer["devices"])

    def backend_detail(self, name: str, detail: str, calibration_id: str | None = None) -> dict[str, Any] | None:
        """``GET /v1/backends/{id}/DETAIL``; None where IBM has none, as simulators have no properties."""
        query = {"calibration_id": calibration_id} if detail in ("configuration", "properties") else {}
        try:
            return self._get(f"/v1/backends/{quote(name, safe='')}/{detail}", query) or None
        except ApiError as error:
            if error.status == 404 and detail in ("defaults", "properties"):
                return None
            raise

    def usage(self) -> dict[str, Any]:
        """``GET /v1/instances/usage``, seconds; ``usage_remaining_seconds`` is added: None where nothing limits it."""
        usage = self._get("/v1/instances/usage")
        limits = [usage.get("usage_limit_seconds"), usage.get("usage_allocation_seconds")]
        known = [limit for limit in limits if limit is not None]
        remaining = max(0, min(known) - usage.get("usage_consumed_seconds", 0)) if known else None
        return {**usage, "usage_remaining_seconds": remaining}

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = self._client.call("GET", path, query=query).json
        if not isinstance(answer, dict):
            raise ApiError("the answer is not a JSON object", url=path, remedy=_OTHER_SERVER)
        return answer
