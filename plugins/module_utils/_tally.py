# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a playbook used, counted by all of Ansible's processes in one file, which the callback quantum_usage sums up.

The callback makes the file and names it in the environment, which workers and local modules inherit. Each event is one
short write at the end of the file, which the kernel does not mix with others. Written are names of services, IDs and
statuses of jobs, and numbers. Without the variable, or when the file is gone, nothing happens: no count is worth an
error.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import Any, Iterable, Mapping
from urllib.parse import urlsplit

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _endpoints

#: The environment variable with the path of the file.
VARIABLE = "IBM_QUANTUM_TALLY"

#: Services: exchanges of credentials for tokens, the Runtime API, all else.
IAM_TOKEN, RUNTIME, OTHER = "iam_token", "runtime", "other"

_ENDED = ("Completed", "Cancelled", "Failed")
#: Paths of the Runtime API, for hosts that are not IBM's own, such as a gateway or an emulator.
_RUNTIME_PATH = re.compile(
    r"/api/v\d+/|/v\d+/(accounts|analytics|backends|instances?|jobs|sessions|tags|versions|workloads)(/|$)"
)


# -- what happens


def sent(url: str) -> None:
    """Count one request to a URL."""
    if VARIABLE in os.environ:
        call(service_of(url))


def call(service: str) -> None:
    """Count one request to a service."""
    _append(call=service)


def submitted(job_id: str) -> None:
    """Count a job that IBM accepted."""
    _append(submitted=str(job_id)[:100])


def seen(job: Mapping[str, Any]) -> None:
    """Count a job that has ended, and what it is charged; ``job`` is IBM's JobResponse. Others are not worth a line."""
    status = str(job.get("status") or _dict(job.get("state")).get("status"))
    if status.partition(" - ")[0] in _ENDED:
        usage = _dict(job.get("usage"))
        seconds = usage.get("qpu_charge_time_seconds")
        charged = {"seconds": seconds if _is_number(seconds) else None, "pending": usage.get("status") == "pending"}
        _append(ended=str(job.get("id"))[:100], status=status[:100], **(charged if usage else {}))


def service_of(url: str) -> str:
    """The service that a URL belongs to: by its host where that is IBM's, else by its path."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return OTHER
    if parts.path.endswith("/identity/token"):
        return IAM_TOKEN
    if _endpoints.runtime_region(url):
        return RUNTIME
    is_runtime = _RUNTIME_PATH.search(parts.path) and "/globalcatalog/" not in parts.path
    return RUNTIME if is_runtime and not _endpoints.is_ibm_host(host) else OTHER


def _append(**row: Any) -> None:
    path = os.environ.get(VARIABLE)
    if not path:
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # the line break comes first: so a line that a full disk cut off does not take the next one with it
            os.write(descriptor, f"\n{json.dumps(row)}".encode())
        finally:
            os.close(descriptor)


# -- the sums


def sums(lines: Iterable[str]) -> dict[str, Any]:
    """What the lines of such files come to; those that are damaged are left out.

    ``calls`` {iam_token, runtime, other, total}; ``jobs`` {submitted, open: submitted but not seen to end, ended:
    {status: number}}; ``qpu_seconds`` {submitted: those of the jobs submitted, total: those of all that were seen to
    end}; ``billing_pending``: how many of the latter IBM has not billed to the end. A job that is seen again counts
    once, with what is known last.
    """
    calls = dict.fromkeys((IAM_TOKEN, RUNTIME, OTHER), 0)
    new: set[str] = set()
    ended: dict[str, dict[str, Any]] = {}
    for row in filter(None, map(_row, lines)):
        if isinstance(row.get("call"), str):
            calls[row["call"] if row["call"] in calls else OTHER] += 1
        elif isinstance(row.get("submitted"), str):
            new.add(row["submitted"])
        elif isinstance(row.get("ended"), str) and isinstance(row.get("status"), str):
            ended[row["ended"]] = {**ended.get(row["ended"], {}), **row}
    statuses = [job["status"] for job in ended.values()]
    return {
        "calls": {**calls, "total": sum(calls.values())},
        "jobs": {
            "submitted": len(new),
            "open": len(new - set(ended)),
            "ended": {status: statuses.count(status) for status in sorted(set(statuses))},
        },
        "qpu_seconds": {
            "submitted": _seconds(job for name, job in ended.items() if name in new),
            "total": _seconds(ended.values()),
        },
        "billing_pending": sum(job.get("pending") is True for job in ended.values()),
    }


def _row(line: str) -> dict[str, Any]:
    try:
        return _dict(json.loads(line))
    except (ValueError, RecursionError):
        return {}


def _seconds(jobs: Iterable[dict[str, Any]]) -> float:
    """The seconds of some jobs, a whole number where they are."""
    total = round(sum(job["seconds"] for job in jobs if _is_number(job.get("seconds"))), 3)
    return int(total) if total == int(total) else total


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value < 1e12  # neither infinite nor NaN


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
