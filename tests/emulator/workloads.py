# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Runtime API's workloads, /v1/workloads, and the tags of jobs, /v1/tags.

A session is one workload, whatever jobs it has; a job outside of any is one as well. The workloads of the start are
history: of the jobs they name nothing else is kept.
"""

from __future__ import annotations

import re
from typing import Any, Iterator
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulator.access import Context, base_url, choices, endpoint, page_size, parse_time, time_parameter
from tests.emulator.errors import BAD_REQUEST, Refused
from tests.emulator.jobs import usage_of
from tests.emulator.state import State
from tests.emulator.work import CANCELLED, COMPLETED, FAILED, QUEUED, RUNNING, Job, Session

_CURSOR = re.compile(r"w[0-9]{1,9}\Z")
_STATUS = {
    QUEUED: "pending",
    RUNNING: "in_progress",
    COMPLETED: "completed",
    CANCELLED: "canceled",
    FAILED: "failed",
}


def _of_job(state: State, job: Job) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": job.id,
        "created": state.clock.stamp(job.created),
        "backend": job.backend,
        "instance": job.instance,
        "user_id": job.user_id,
        "mode": "job",
        "status": _STATUS[job.status],
        "tags": job.tags,
        "estimated_running_time_seconds": job.seconds,
    }
    if not job.pending:
        row |= {"ended": state.clock.stamp(job.finished), "usage": usage_of(state, job)}
    if job.reason:
        row["status_reason"] = job.reason
    return row


def _of_session(state: State, session: Session) -> dict[str, Any]:
    jobs = state.work.jobs_of(session)
    status = {"open": "pending", "closed": "canceled" if session.cancelled else "completed"}
    row: dict[str, Any] = {
        "id": session.id,
        "created": state.clock.stamp(session.created),
        "backend": session.backend,
        "instance": session.instance,
        "user_id": session.user_id,
        "mode": "batch" if session.mode == "batch" else "session",
        "status": status.get(session.state, "in_progress"),
        "accepting_jobs": session.accepting_jobs,
        "tags": sorted({tag for job in jobs for tag in job.tags}),
    }
    if session.closed:
        row |= {
            "ended": state.clock.stamp(session.closed),
            "usage": {"qpu_charge_time_seconds": sum(job.charged for job in jobs)},
        }
    return row


def all_rows(state: State) -> Iterator[dict[str, Any]]:
    """Every workload of every instance: the history, then what came since."""
    yield from state.workloads
    yield from (_of_session(state, session) for session in state.work.sessions.values())
    yield from (_of_job(state, job) for job in state.work.jobs.values() if not job.session_id)


def _page(state: State, context: Context) -> dict[str, Any]:
    """GET /v1/workloads: filters, then one page. The cursors are opaque to clients: an offset in disguise."""
    query = context.query
    limit = page_size(state, context.request, "limit", 10, 50, BAD_REQUEST)
    mine = choices(context, "user", ("me",))
    order = choices(context, "sort", ("createdAt", "-createdAt"))
    statuses = choices(context, "status", tuple(_STATUS.values()))
    modes = choices(context, "mode", ("job", "session", "batch"))
    after, before = time_parameter(context, "created_after"), time_parameter(context, "created_before")
    backend, search, tags = query.get("backend"), query.get("search"), set(query.getlist("tags"))

    def wanted(row: dict[str, Any]) -> bool:
        created = parse_time(row["created"])
        return (
            row["instance"] == context.instance.crn
            and (not mine or row["user_id"] == context.caller.iam_id)
            and (not statuses or row["status"] in statuses)
            and (not modes or row["mode"] in modes)
            and (backend is None or row["backend"] == backend)
            and (search is None or search in row["id"] or any(search in tag for tag in row["tags"]))
            and tags <= set(row["tags"])
            and (after is None or created > after)
            and (before is None or created < before)
        )

    rows = [row for row in all_rows(state) if wanted(row)]
    rows.sort(key=lambda row: str(row["created"]), reverse=order[-1:] == ["-createdAt"])
    start = 0
    for name in ("next", "previous"):
        if name in query:
            if not _CURSOR.match(query[name]):
                raise Refused(400, BAD_REQUEST, f"The cursor '{name}' is invalid.")
            start = int(query[name][1:])
    page: dict[str, Any] = {"workloads": rows[start : start + limit], "total_count": len(rows), "limit": limit}

    def link(name: str, offset: int) -> dict[str, str]:
        kept = [(k, v) for k, v in query.multi_items() if k not in ("next", "previous")]
        return {"href": f"{base_url(context.request)}/v1/workloads?{urlencode([*kept, (name, f'w{offset}')])}"}

    if start + limit < len(rows):
        page["next"] = link("next", start + limit)
    if start > 0:
        page["previous"] = link("previous", max(0, start - limit))
    return page


def routes(state: State) -> list[Route]:
    """/v1/workloads and /v1/tags."""

    def workloads(context: Context) -> Response:
        return JSONResponse(_page(state, context))

    def tags(context: Context) -> Response:
        search = context.query.get("search", "")
        if context.query.get("type") != "job":
            raise Refused(400, BAD_REQUEST, "The query parameter 'type' is required; it takes job.")
        if not 3 <= len(search) <= 100:
            raise Refused(400, BAD_REQUEST, "The query parameter 'search' is required, 3 to 100 characters.")
        rows = [row for row in all_rows(state) if row["instance"] == context.instance.crn]
        known = {tag for row in rows for tag in row["tags"] if search in tag}
        return JSONResponse({"tags": sorted(known)[:8]})

    return [endpoint(state, "/v1/workloads", GET=workloads), endpoint(state, "/v1/tags", GET=tags)]
