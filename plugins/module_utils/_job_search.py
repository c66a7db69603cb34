# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The work of the module ``job_info``: jobs by ID, name or filters, waited for and brought home.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tags
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._collect import Collector, Wanted, why_lost
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import Job, Jobs, is_pending
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import between
from ansible_collections.ibm_quantum.platform.plugins.module_utils._result_file import ResultFile
from ansible_collections.ibm_quantum.platform.plugins.module_utils._times import ibm_interval
from ansible_collections.ibm_quantum.platform.plugins.module_utils._waiting import (
    LONGEST_TIMEOUT,
    Waiter,
    took_too_long,
)

#: Options that IBM filters by, and the query parameters that they are.
_FILTERS = {
    "program_id": "program",
    "backend": "backend",
    "pending": "pending",
    "session_id": "session_id",
    "created_after": "created_after",
    "created_before": "created_before",
}
_OF_LISTS = (*_FILTERS, "tags", "session")


def search(module: ModuleLike) -> dict[str, Any]:
    """The result of a task of ``job_info``. Raises OptionError, for a job that is not there too, and ApiError."""
    params = module.params
    _check(params)
    client = Client(module)
    jobs = Jobs(client)
    if params["result_dir"] and not module.check_mode:
        ResultFile(os.path.join(params["result_dir"], "ID.json"), "result_dir").prepare()  # before a long wait
    found = _by_id(jobs, params["ids"]) if params["ids"] is not None else _listed(jobs, params)
    if params["wait"]:
        waited = Waiter(jobs, params["wait_timeout"], module.progress, client.http.sleep).wait(found)
        found = [waited[job["id"]] for job in found if job["id"] in waited]
    collector = Collector(module, jobs)
    rows = [collector.bring(job, Wanted(params["results"], params["details"], _file(params, job))) for job in found]
    if collector.lost:
        module.warn(why_lost(collector.lost))
    answer: dict[str, Any] = {"changed": collector.changed, "jobs": rows}
    late = [job for job in found if is_pending(job)]
    if params["wait"] and late:
        text = took_too_long(late, params["wait_timeout"])
        answer.update(failed=True, msg=f"{text[0].upper()}{text[1:]}")
    return answer


def _check(params: dict[str, Any]) -> None:
    used = [name for name in (*_OF_LISTS, "name") if params[name] is not None]
    if params["ids"] is not None and used:
        raise OptionError(f"'ids' names the jobs: leave {used[0]!r} out")
    for job_id in params["ids"] or []:
        if not job_id.strip():
            raise OptionError("'ids' has an empty element: a job that check mode did not submit has no ID")
    params.update(ibm_interval(params, "created_after", "created_before"))
    if params["limit"] < 0:
        raise OptionError(f"'limit' must be 0, for all jobs, or more, not {params['limit']}")
    between(params, "wait_timeout", 1, LONGEST_TIMEOUT, "seconds")
    if params["session"] and params["session_id"]:
        raise OptionError("give one of 'session', a name, and 'session_id'")
    if params["name"] is not None:
        _tags.checked_name("name", params["name"], _tags.LONGEST_NAME)
    if params["session"]:
        _tags.checked_name("session", params["session"], _tags.LONGEST_SESSION_NAME)
    if params["result_dir"] and not os.path.isdir(params["result_dir"]):
        raise OptionError(f"'result_dir': {params['result_dir']} is not a folder: make it first")


def _by_id(jobs: Jobs, ids: list[str]) -> list[Job]:
    found = jobs.many(ids)
    missing = [job_id for job_id, job in found.items() if job is None]
    if missing:
        raise OptionError(
            f"'ids': the instance has no job {', '.join(missing)}: check the ID and 'instance'; a deleted job is gone "
            "for good"
        )
    return [job for job in found.values() if job is not None]


def _listed(jobs: Jobs, params: dict[str, Any]) -> list[Job]:
    query = {name: params[option] for option, name in _FILTERS.items()}
    if params["session"]:
        query["tags"] = [_tags.SESSION + params["session"]]
    if params["tags"] or params["name"] is not None:
        names = [_tags.JOB + params["name"]] if params["name"] is not None else []
        query["tags"] = [*query.get("tags", []), *names, *(params["tags"] or [])]
    query["sort"] = "ASC" if params["sort"] == "oldest" else "DESC"
    return jobs.list(query, most=params["limit"] or None)


def _file(params: dict[str, Any], job: Job) -> ResultFile | None:
    if not params["result_dir"] or is_pending(job):
        return None
    return ResultFile(os.path.join(params["result_dir"], f"{job['id']}.json"), "result_dir")
