# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API under /_emulator: faults, journal, clock, settings, jobs, tokens.

It answers this machine's own addresses only, or any address that has the control token.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from typing import Any, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulator.faults import PRESETS, InvalidFault
from tests.emulator.jobs import body_of
from tests.emulator.settings import InvalidSetting
from tests.emulator.state import State

#: Carries the control token; needed from any address but this machine's own.
HEADER = "x-emulator-control"


class _Bad(ValueError):
    pass


def _allowed(state: State, request: Request) -> bool:
    token = request.headers.get(HEADER)
    if token is not None:
        return hmac.compare_digest(token.encode(), state.control_token.encode())
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise _Bad(f"{name} must be a number of seconds, not {value!r}")
    return value


async def _refuse(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    return JSONResponse({"error": detail}, status_code=status)


def app(state: State) -> Starlette:
    """The ASGI application of /_emulator."""

    def route(path: str, **methods: Callable[[Any], Any]) -> Route:
        async def handle(request: Request) -> Response:
            if not _allowed(state, request):
                raise HTTPException(403, f"the control API answers this machine only, or needs the header {HEADER}")
            raw = await request.body()
            try:
                body = json.loads(raw) if raw else {}
            except ValueError:
                raise _Bad("the body is not valid JSON") from None
            return JSONResponse(methods["GET" if request.method == "HEAD" else request.method](body))

        return Route(path, handle, methods=list(methods))

    def read_journal(_body: Any) -> Any:
        state.work.advance()
        return {"rows": state.journal.rows(), "executions": state.work.executions}

    def clear_journal(_body: Any) -> Any:
        state.journal.clear()
        state.work.executions.clear()
        return {}

    def read_faults(_body: Any) -> Any:
        return {"faults": state.faults.rows(), "presets": list(PRESETS)}

    def add_fault(body: Any) -> Any:
        return state.faults.add(body).as_dict()

    def clear_faults(_body: Any) -> Any:
        state.faults.clear()
        return {}

    def read_tokens(_body: Any) -> Any:
        return state.secrets()

    def revoke_tokens(_body: Any) -> Any:
        return {"revoked": state.revoke_all()}

    def read_clock(_body: Any) -> Any:
        return {"now": state.clock.now(), "advanced": state.clock.advanced, "skew": state.clock.skew}

    def set_clock(body: Any) -> Any:
        if not isinstance(body, dict) or not body or set(body) - {"advance", "skew"}:
            raise _Bad("the clock takes advance and skew, in seconds")
        advance, skew = _number(body, "advance"), _number(body, "skew")
        state.clock.advanced += advance or 0
        state.clock.skew = state.clock.skew if skew is None else skew
        state.work.advance()
        return read_clock(body)

    def read_settings(_body: Any) -> Any:
        return state.settings.as_dict()

    def set_settings(body: Any) -> Any:
        state.settings.update(body)
        state.work.advance()
        return state.settings.as_dict()

    def read_jobs(_body: Any) -> Any:
        state.work.advance()
        rows = []
        for job in state.work.jobs.values():
            names = ("instance", "executions", "hold", "queue_until", "run_seconds")
            own = {name: getattr(job, name) for name in names}
            rows.append({**own, **body_of(state, job, False)})
        return {"jobs": rows}

    def change_jobs(body: Any) -> Any:
        """Changes of jobs that wait: of the one with this id, else of all."""
        known = {"id", "hold", "queue_seconds", "run_seconds"}
        if not isinstance(body, dict) or not set(body) - {"id"} or set(body) - known:
            raise _Bad("jobs take hold, queue_seconds (from now on) and run_seconds, and the id of one job")
        wanted, hold = body.get("id"), body.get("hold")
        if not isinstance(hold, (bool, type(None))):
            raise _Bad(f"hold must be true or false, not {hold!r}")
        queue, run = _number(body, "queue_seconds"), _number(body, "run_seconds")
        found = [job for job in state.work.jobs.values() if wanted in (None, job.id)]
        if wanted and not found:
            raise _Bad(f"there is no job {wanted!r}")
        for job in found:
            if job.pending:
                job.hold = job.hold if hold is None else hold
                job.queue_until = job.queue_until if queue is None else state.clock.steady() + queue
                job.run_seconds = job.run_seconds if run is None else run
        return read_jobs(body)

    def read_failures(_body: Any) -> Any:
        return {"failures": state.work.failures}

    def add_failure(body: Any) -> Any:
        """The next jobs that run fail."""
        given = {"reason": "An error of the emulator.", "code": 1010, "solution": "", "times": 1}
        if not isinstance(body, dict) or set(body) - set(given):
            raise _Bad(f"a failure takes {', '.join(given)}")
        given.update(body)
        if not isinstance(given["reason"], str) or not isinstance(given["solution"], str):
            raise _Bad("reason and solution are texts")
        for name, low, high in (("code", 1000, 9999), ("times", 1, 1000000)):
            value = given[name]
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise _Bad(f"{name} must be a whole number from {low} to {high}, not {value!r}")
        state.work.failures.append(given)
        return read_failures(body)

    def clear_failures(_body: Any) -> Any:
        state.work.failures.clear()
        return {}

    def reset(_body: Any) -> Any:
        state.reset()
        return {}

    return Starlette(
        routes=[
            route("/_emulator/journal", GET=read_journal, DELETE=clear_journal),
            route("/_emulator/faults", GET=read_faults, POST=add_fault, DELETE=clear_faults),
            route("/_emulator/tokens", GET=read_tokens, DELETE=revoke_tokens),
            route("/_emulator/clock", GET=read_clock, POST=set_clock),
            route("/_emulator/settings", GET=read_settings, POST=set_settings),
            route("/_emulator/jobs", GET=read_jobs, POST=change_jobs),
            route("/_emulator/failures", GET=read_failures, POST=add_failure, DELETE=clear_failures),
            route("/_emulator/reset", POST=reset),
        ],
        exception_handlers={
            HTTPException: _refuse,
            InvalidFault: _refuse,
            InvalidSetting: _refuse,
            _Bad: _refuse,
        },
    )
