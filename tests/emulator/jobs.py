# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Runtime API's jobs: /v1/jobs and all below it. How they run: work.py.

Source: IBM's specification 0.45.3. ``interim_results`` and ``transpiled_circuits``, which it no longer has, answer 404.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.emulator import errors, programs
from tests.emulator.access import Context, boolean_parameter, choices, endpoint, time_parameter
from tests.emulator.errors import BAD_REQUEST, JOB_NOT_FOUND, SESSION_CLOSED, Refused
from tests.emulator.state import State
from tests.emulator.work import FAILED, MAX_COST, QUEUED, RAN_TOO_LONG, Conflict, Job, Session, reckon

MAX_TAGS = 8
MAX_TAG = 86
#: IBM takes inputs of up to 50 MB.
MAX_BODY = 50 * 1000 * 1000
_LEVELS = ("critical", "error", "warning", "info", "debug")
_PAGE = 200
_QISKIT = re.compile(r"qiskit-(\d[\w.]*)")


def check_tags(tags: Any) -> list[str]:
    """Tags as IBM takes them. Raises :class:`Refused` (400) with IBM's codes for too many and for one too long."""
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise Refused(400, BAD_REQUEST, "tags must be a list of texts.")
    if len(tags) > MAX_TAGS:
        text = f"Exceeded the maximum number of tags that a job can have ({len(tags)} > {MAX_TAGS})."
        raise Refused(400, errors.TOO_MANY_TAGS, text, "Remove some tags and try again.")
    for tag in tags:
        if len(tag) > MAX_TAG:
            text = f"Exceeded the maximum length of a job tag ({len(tag)} > {MAX_TAG})."
            raise Refused(400, errors.TAG_TOO_LONG, text, "Shorten the tag and try again.")
    return list(tags)


def body_of(state: State, job: Job, with_params: bool) -> dict[str, Any]:
    """A job as IBM's JobResponse. A private job's params are never in it."""
    status = {"status": job.status}
    reason = {"reason": job.reason, "reason_code": job.reason_code, "reason_solution": job.reason_solution}
    body: dict[str, Any] = {
        "id": job.id,
        "backend": job.backend,
        "state": {**status, **{name: value for name, value in reason.items() if value}},
        "status": RAN_TOO_LONG if job.ran_too_long else job.status,
        "program": {"id": job.program},
        "created": state.clock.stamp(job.created),
        "cost": job.cost,
        "tags": job.tags,
        "user_id": job.user_id,
        "estimated_running_time_seconds": job.seconds,
    }
    if not job.pending:
        body["usage"] = usage_of(state, job)
    for name in ("session_id", "private", "calibration_id", "runtime"):
        if getattr(job, name):
            body[name] = getattr(job, name)
    if with_params and not job.private:
        body["params"] = job.params
    return body


def usage_of(state: State, job: Job) -> dict[str, Any]:
    done = not job.pending and state.clock.steady() >= job.finished + state.settings.billing_seconds
    return {"qpu_charge_time_seconds": job.charged, "status": "complete" if done else "pending"}


def _metrics(state: State, job: Job) -> dict[str, Any]:
    """IBM's JobMetrics. Of a waiting job also the fields that older versions of the specification document."""
    moments = {"created": job.created, "running": job.started, "finished": job.finished}
    body: dict[str, Any] = {
        "timestamps": {name: state.clock.stamp(at) for name, at in moments.items() if at},
        "usage": usage_of(state, job),
    }
    if job.caller:
        body["caller"] = job.caller
    if not job.pending and job.started:
        body["circuits_execution_time_ns"] = job.charged * 1000000000
        if state.engine.qiskit_version:
            body["qiskit_version"] = state.engine.qiskit_version
    if job.status == QUEUED:
        body["position_in_queue"] = state.work.queue(job.backend).index(job) + 1
        start = state.work.estimate(job)
        if start is not None:
            body["estimated_start_time"] = state.clock.stamp(start)
            body["estimated_completion_time"] = state.clock.stamp(start + job.run_seconds)
    return body


class _Submission:
    """The checks of POST /v1/jobs, in the order in which IBM's service would meet them."""

    def __init__(self, state: State, context: Context, body: dict[str, Any]) -> None:
        self.state, self.context, self.body = state, context, body

    def job(self) -> Job:
        settings, now = self.state.settings, self.state.clock.steady()
        self._limits(now)
        program, backend = self._text("program_id", required=True), self._text("backend", required=True)
        self._program(program)
        if not any(one.name == backend for one in self.state.devices(self.context.instance)):
            raise Refused(404, errors.BACKEND_NOT_FOUND, "Backend not found.", "Verify the backend's name.")
        params = self._params(program)
        session = self._session(backend)
        caller = _QISKIT.search(self.context.request.headers.get("x-qx-client-application", ""))
        return Job(
            instance=self.context.instance.crn,
            user_id=self.context.caller.iam_id,
            backend=backend,
            program=program,
            params=params,
            created=now,
            queue_until=now + settings.queue_seconds,
            run_seconds=settings.run_seconds,
            seconds=reckon(program, params, settings.qpu_seconds),
            tags=check_tags(self.body.get("tags", [])),
            cost=self._cost(),
            log_level=self._level(),
            session_id=session.id if session else "",
            private=self._switch("private"),
            calibration_id=self._text("calibration_id", 100),
            runtime=self._text("runtime"),
            caller=f"qiskit/{caller[1]}" if caller else "",
        )

    def _limits(self, now: float) -> None:
        settings, instance = self.state.settings, self.context.instance
        user = self.context.caller.iam_id
        mine = [job for job in self.state.work.jobs.values() if job.user_id == user]
        recent = self.state.work.submissions(user, now - 60)
        most = settings.jobs_per_minute
        if most and len(recent) >= most:
            wait = str(max(1, int(recent[-most] + 60 - now + 0.999)))
            text = f"Too many requests received: the limit is {most} per minute."
            raise Refused(429, errors.TOO_MANY_REQUESTS, text, "Reduce the request rate.", {"retry-after": wait})
        if settings.max_pending and sum(job.pending for job in mine) >= settings.max_pending:
            text = f"The user reached the maximum number of jobs running concurrently ({settings.max_pending})."
            raise Refused(409, errors.TOO_MANY_JOBS, text, "Wait until some previous jobs were finished.")
        if instance.limit is not None and self.state.consumed(instance) >= instance.limit:
            text = f"Usage exceeds the instance limit of {instance.limit} seconds."
            raise Refused(409, BAD_REQUEST, text, "Raise the limit of the instance, or wait for the next period.")

    def _text(self, name: str, longest: int = 10000, required: bool = False) -> str:
        value = self.body.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or not 1 <= len(value) <= longest:
            raise Refused(400, BAD_REQUEST, f"{name} must be text of 1 to {longest} characters.")
        return value

    def _switch(self, name: str) -> bool:
        value = self.body.get(name, False)
        if not isinstance(value, bool):
            raise Refused(400, BAD_REQUEST, f"{name} must be true or false.")
        return value

    def _program(self, program: str) -> None:
        if program not in programs.known():
            own = f"The emulator does not run it; it runs {', '.join(programs.known())}."
            text = "Use another program." if program not in programs.REFUSED else own
            raise Refused(404, BAD_REQUEST, f"Program '{program}' not found.", text)
        if self.body.get("remote_storage") is not None:
            raise Refused(400, BAD_REQUEST, "remote_storage needs an instance of the Channel Partner plan.")
        if self.body.get("start_session"):
            text = "Starting a session with a job ended in March 2024."
            raise Refused(400, BAD_REQUEST, text, "Create the session first: POST /v1/sessions.")

    def _params(self, program: str) -> dict[str, Any]:
        params = self.body.get("params", {})
        if not isinstance(params, dict):
            raise Refused(400, BAD_REQUEST, "params must be an object.")
        try:
            programs.check(program, params)
        except programs.BadParams as error:
            raise Refused(400, BAD_REQUEST, f"{error}.") from None
        return params

    def _session(self, backend: str) -> Session | None:
        wanted = self._text("session_id", 36)
        if not wanted:
            return None
        session = self.state.work.sessions.get(wanted)
        if session is None or session.instance != self.context.instance.crn:
            raise Refused(404, BAD_REQUEST, f"Session {wanted} not found.", "Verify the session's id.")
        if not session.accepting_jobs:
            raise Refused(400, SESSION_CLOSED, "Session has been closed.", "Create a new session.")
        if session.backend != backend:
            text = f"The session is on {session.backend}, the job is for {backend}."
            raise Refused(400, BAD_REQUEST, text, "Use the backend of the session.")
        return session

    def _cost(self) -> int:
        cost = self.body.get("cost", MAX_COST)
        if isinstance(cost, bool) or not isinstance(cost, int) or cost < 0:
            raise Refused(400, BAD_REQUEST, "cost must be a whole number of seconds.")
        return min(cost, MAX_COST) or MAX_COST

    def _level(self) -> str:
        level = str(self.body.get("log_level") or "warning").lower()  # IBM's client sends capitals too
        if level not in _LEVELS:
            raise Refused(400, BAD_REQUEST, f"log_level is one of {', '.join(_LEVELS)}.")
        return level


def _within(context: Context, name: str, default: int, low: int, high: int) -> int:
    """A number of the list's paging: IBM takes the default in place of one out of range."""
    text = context.query.get(name, "")
    return int(text) if text.isdigit() and low <= int(text) <= high else default


def _list(state: State, context: Context) -> dict[str, Any]:
    """GET /v1/jobs: the caller's jobs of this instance; ``count`` is of all that match."""
    query = context.query
    limit = min(_within(context, "limit", _PAGE, 1, _PAGE), state.settings.page_size)
    offset = _within(context, "offset", 0, 0, 2147483647)
    pending, excluded = boolean_parameter(context, "pending"), boolean_parameter(context, "exclude_params")
    after, before = time_parameter(context, "created_after"), time_parameter(context, "created_before")
    order, tags = choices(context, "sort", ("ASC", "DESC")), set(query.getlist("tags"))

    def wanted(job: Job) -> bool:
        created = datetime.fromisoformat(state.clock.stamp(job.created).replace("Z", "+00:00"))
        return (
            job.instance == context.instance.crn
            and job.user_id == context.caller.iam_id
            and (pending is None or job.pending == pending)
            and query.get("program", job.program) == job.program
            and query.get("backend", job.backend) == job.backend
            and query.get("session_id", job.session_id) == job.session_id
            and tags <= set(job.tags)
            and (after is None or created >= after)
            and (before is None or created <= before)
        )

    found = [job for job in state.work.jobs.values() if wanted(job)]
    found.sort(key=lambda job: (job.created, job.number), reverse=order[-1:] != ["ASC"])
    rows = [body_of(state, job, excluded is False) for job in found[offset : offset + limit]]
    return {"jobs": rows, "count": len(found), "offset": offset, "limit": limit}


def routes(state: State) -> list[Route]:
    """All of /v1/jobs."""

    def find(context: Context) -> Job:
        wanted = context.request.path_params["id"]
        job = state.work.jobs.get(wanted)
        if job is None or job.instance != context.instance.crn:
            solution = "Verify that the job's id and the instance are right."
            raise Refused(404, JOB_NOT_FOUND, f"Job not found. Job ID: {wanted}", solution)
        return job

    async def create(context: Context) -> Response:
        if len(await context.request.body()) > MAX_BODY:
            raise Refused(400, BAD_REQUEST, "The job is larger than 50 MB.", "Split it into smaller jobs.")
        job = _Submission(state, context, await errors.json_body(context.request, BAD_REQUEST)).job()
        context.request.scope["emulator"]["job_id"] = state.work.submit(job).id
        body: dict[str, Any] = {"id": job.id, "backend": job.backend}
        for name in ("session_id", "private", "calibration_id"):
            if getattr(job, name):
                body[name] = getattr(job, name)
        return JSONResponse(body)

    def listed(context: Context) -> Response:
        return JSONResponse(_list(state, context))

    def read(context: Context) -> Response:
        return JSONResponse(body_of(state, find(context), not boolean_parameter(context, "exclude_params")))

    def delete(context: Context) -> Response:
        try:
            state.work.delete(find(context))
        except Conflict as error:
            raise Refused(400, BAD_REQUEST, f"The job cannot be deleted. {error}", "Cancel it first.") from None
        return Response(status_code=204)

    def cancel(context: Context) -> Response:
        try:
            state.work.cancel(find(context))
        except Conflict as error:
            raise Refused(409, BAD_REQUEST, f"The job cannot be cancelled. {error}") from None
        return Response(status_code=204)

    def results(context: Context) -> Response:
        """Text, as IBM sends it whatever its document says. Of a private job once; of a job without any, 204."""
        job = find(context)
        text = job.result
        if text is None:
            return Response(status_code=204)
        if job.private:
            job.result = None
        return PlainTextResponse(text)

    def logs(context: Context) -> Response:
        job = find(context)
        shown = job.logs if job.log_level in ("info", "debug") or job.status == FAILED else []
        return PlainTextResponse("" if job.pending else "".join(f"{line}\n" for line in shown))

    def metrics(context: Context) -> Response:
        return JSONResponse(_metrics(state, find(context)))

    async def tags(context: Context) -> Response:
        job = find(context)
        body = await errors.json_body(context.request, BAD_REQUEST)
        if "tags" not in body:
            raise Refused(400, BAD_REQUEST, "tags is required.")
        job.tags = check_tags(body["tags"])
        return Response(status_code=204)

    return [
        endpoint(state, "/v1/jobs", GET=listed, POST=create),
        endpoint(state, "/v1/jobs/{id}", GET=read, DELETE=delete),
        endpoint(state, "/v1/jobs/{id}/cancel", POST=cancel),
        endpoint(state, "/v1/jobs/{id}/results", GET=results),
        endpoint(state, "/v1/jobs/{id}/logs", GET=logs),
        endpoint(state, "/v1/jobs/{id}/metrics", GET=metrics),
        endpoint(state, "/v1/jobs/{id}/tags", PUT=tags),
    ]
