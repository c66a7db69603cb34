# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The Runtime API's jobs, ``/v1/jobs``. Source: IBM's OpenAPI document of the Quantum Compute Service.

A job is a dict as IBM represents it (``JobResponse``): id, backend, created, program {id}, state {status, reason,
reason_code, reason_solution}, status, cost, tags, user_id and, where there are, session_id, private, usage
{qpu_charge_time_seconds, status}, estimated_running_time_seconds, calibration_id, params.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping
from urllib.parse import quote

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tally
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime, not_there

Job = dict  # a job as IBM represents it

QUEUED, RUNNING, COMPLETED, CANCELLED, FAILED = "Queued", "Running", "Completed", "Cancelled", "Failed"
PENDING = (QUEUED, RUNNING)

#: The most jobs that IBM lists in a page.
PAGE = 200
_PATH = "/v1/jobs"


def status(job: Mapping[str, Any]) -> str:
    """``Queued``, ``Running``, ``Completed``, ``Cancelled`` or ``Failed``."""
    return str((job.get("state") or {}).get("status") or job.get("status") or "").partition(" - ")[0]


def is_pending(job: Mapping[str, Any]) -> bool:
    """Whether a job has not ended. A status that is not known here is taken for one of a job that goes on."""
    return status(job) not in (COMPLETED, CANCELLED, FAILED)


def age(job: Mapping[str, Any]) -> tuple[str, str]:
    """What sorts jobs by age, the same on every controller: when IBM made it, then its ID."""
    return str(job.get("created") or ""), str(job["id"])


class Jobs(Runtime):
    """The jobs of one instance. Each call raises ApiError."""

    def submit(self, body: Mapping[str, Any]) -> str:
        """``POST /v1/jobs``, once: neither a lost answer nor a rate limit (429) is met by sending it again. The ID."""
        answer = self._client.call("POST", _PATH, json=body, repeatable=False, wait_if_limited=False).json
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
            raise ApiError("the answer has no ID of a job", method="POST", url=_PATH, outcome_unknown=True)
        _tally.submitted(answer["id"])
        return answer["id"]

    def get(self, job_id: str, params: bool = False) -> Job | None:
        """One job, None where there is no such; with ``params``, which may be large, also what was submitted."""
        try:
            return self._get(_one(job_id), {"exclude_params": not params})
        except ApiError as error:
            if not_there(error):
                return None
            raise

    def list(self, filters: Mapping[str, Any], most: int | None = None) -> list[Job]:
        """The jobs that match, the newest first unless ``sort`` is ASC; ``most`` of them, None for all.

        ``filters`` are the query parameters of ``GET /v1/jobs``; those that are None are left out.
        """
        query = {"sort": "DESC", "limit": min(PAGE, most or PAGE), "exclude_params": True, **filters}
        rows: dict[str, Job] = {}  # what is submitted meanwhile moves others to the next page
        read = 0
        while True:
            answer = self._get(_PATH, {**query, **({"offset": read} if read else {})})
            page = answer.get("jobs")
            if not isinstance(page, list):
                raise ApiError("the answer has no list of jobs", method="GET", url=_PATH, remedy="Check 'runtime_url'")
            rows.update({row["id"]: row for row in page})
            read += len(page)
            total = answer.get("count")
            more = read < total if isinstance(total, int) else len(page) >= answer.get("limit", PAGE)
            if not page or not more or (most is not None and len(rows) >= most):
                return list(rows.values())[:most]

    def many(self, ids: Iterable[str]) -> dict[str, Job | None]:
        """Jobs by their IDs, in that order; None for those that are not there. Many cost a request a page."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Job | None] = {}
        if len(wanted) > 3:
            # one page more than they would fill: what is older or another user's is asked for one by one
            rows = self.list({}, most=PAGE * (len(wanted) // PAGE + 1))
            found = {row["id"]: row for row in rows if row["id"] in set(wanted)}
        return {job_id: found[job_id] if job_id in found else self.get(job_id) for job_id in wanted}

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; whether it was still pending. One that is not there was not."""
        try:
            self._client.call("POST", f"{_one(job_id)}/cancel", repeatable=True)
        except ApiError as error:
            if error.status == 409 or not_there(error):
                return False
            raise
        return True

    def delete(self, job_id: str) -> None:
        """Delete a job that has ended; one that is not there is as good as deleted."""
        try:
            self._client.call("DELETE", _one(job_id))
        except ApiError as error:
            if not not_there(error):
                raise

    def tag(self, job_id: str, tags: Iterable[str]) -> None:
        """Give a job these tags in place of those that it has."""
        self._client.call("PUT", f"{_one(job_id)}/tags", json={"tags": [*tags]})

    def results(self, job_id: str) -> str | None:
        """The results as text, as IBM sends them; None where there are none (yet): 204 is no error.

        Those of a private job IBM deletes as it sends them.
        """
        reply = self._client.call("GET", f"{_one(job_id)}/results", text=True)
        return reply.text if reply.status != 204 and reply.text else None

    def logs(self, job_id: str) -> str:
        """The log; empty where there is none."""
        try:
            return self._client.call("GET", f"{_one(job_id)}/logs", text=True).text
        except ApiError as error:
            if not_there(error):
                return ""
            raise

    def metrics(self, job_id: str) -> dict[str, Any]:
        """Timestamps, usage in QPU seconds, circuits_execution_time_ns, qiskit_version, caller."""
        return self._get(f"{_one(job_id)}/metrics")


def _one(job_id: str) -> str:
    return f"{_PATH}/{quote(job_id, safe='')}"
