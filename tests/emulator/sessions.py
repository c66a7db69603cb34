# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Runtime API's sessions and batches: /v1/sessions. How they live: work.py."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulator import data, errors
from tests.emulator.access import Context, endpoint
from tests.emulator.errors import BAD_REQUEST, SESSION_CLOSED, Refused
from tests.emulator.state import State
from tests.emulator.work import MAX_TTL, Session


def body_of(state: State, session: Session) -> dict[str, Any]:
    """A session as IBM's JobSession; what has not happened yet is left out."""
    jobs = state.work.jobs_of(session)
    body: dict[str, Any] = {
        "id": session.id,
        "backend_name": session.backend,
        "mode": session.mode,
        "interactive_ttl": session.interactive_ttl,
        "max_ttl": session.max_ttl,
        "active_ttl": session.max_ttl,
        "state": session.state,
        "accepting_jobs": session.accepting_jobs,
        "user_id": session.user_id,
        "timestamps": [{"status": status, "timestamp": state.clock.stamp(at)} for status, at in session.timestamps],
    }
    if session.activated:
        left = session.activated + session.max_ttl - state.clock.steady()
        body["active_ttl"] = max(1, min(session.max_ttl, int(left)))
    moments = {
        "started_at": session.started,
        "activated_at": session.activated,
        "closed_at": session.closed,
        "last_job_started": max((job.started for job in jobs), default=0.0),
        "last_job_completed": max((job.finished for job in jobs), default=0.0),
    }
    body |= {name: state.clock.stamp(at) for name, at in moments.items() if at}
    if session.state_reason:
        body["state_reason"] = session.state_reason
    elapsed = state.work.elapsed(session)
    if elapsed is not None:
        body["elapsed_time"] = round(elapsed, 3)
    return body


def routes(state: State) -> list[Route]:
    """All of /v1/sessions."""

    def find(context: Context) -> Session:
        wanted = context.request.path_params["id"]
        session = state.work.sessions.get(wanted)
        if session is None or session.instance != context.instance.crn:
            raise Refused(404, BAD_REQUEST, f"Session {wanted} not found.", "Verify the session's id.")
        return session

    async def create(context: Context) -> Response:
        body = await errors.json_body(context.request, BAD_REQUEST)
        mode, ttl = body.get("mode"), body.get("max_ttl", MAX_TTL)
        backend = body.get("backend", body.get("backend_name"))
        if mode not in ("batch", "dedicated"):
            raise Refused(400, BAD_REQUEST, "mode must be batch or dedicated.")
        if isinstance(ttl, bool) or not isinstance(ttl, int) or not 1 <= ttl < 2**31:
            raise Refused(400, BAD_REQUEST, "max_ttl must be a whole number of seconds from 1.")
        if "interactive_ttl" in body or "active_ttl" in body:
            text = "interactive_ttl and active_ttl need an instance of the Channel Partner plan."
            raise Refused(400, BAD_REQUEST, text)
        if not any(one.name == backend for one in state.devices(context.instance)):
            raise Refused(400, errors.BACKEND_NOT_FOUND, "Backend not found.", "Verify the backend's name.")
        if mode == "dedicated" and context.instance.plan_id == data.PLAN_OPEN:
            text = "The Open plan has no sessions."
            raise Refused(400, BAD_REQUEST, text, "Use job or batch mode, or another plan.")
        session = state.work.open(context.instance, context.caller.iam_id, str(backend), mode, ttl)
        return JSONResponse(body_of(state, session))

    def read(context: Context) -> Response:
        return JSONResponse(body_of(state, find(context)))

    async def change(context: Context) -> Response:
        session = find(context)
        body = await errors.json_body(context.request, BAD_REQUEST)
        accepting = body.get("accepting_jobs")
        if not isinstance(accepting, bool):
            raise Refused(400, BAD_REQUEST, "accepting_jobs must be true or false.")
        if accepting and session.state == "closed":
            raise Refused(400, SESSION_CLOSED, "Session has been closed.", "Create a new session.")
        if session.accepting_jobs and not accepting:
            session.refused_since = state.clock.steady()
        session.accepting_jobs = accepting
        state.work.advance()
        return Response(status_code=204)

    def close(context: Context) -> Response:
        state.work.cancel_session(find(context))
        state.work.advance()
        return Response(status_code=204)

    return [
        endpoint(state, "/v1/sessions", POST=create),
        endpoint(state, "/v1/sessions/{id}", GET=read, PATCH=change),
        endpoint(state, "/v1/sessions/{id}/close", DELETE=close),
    ]
