# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API under /_emulator: faults, journal, clock, settings, tokens.

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
        return {"rows": state.journal.rows()}

    def clear_journal(_body: Any) -> Any:
        state.journal.clear()
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
        return read_clock(body)

    def read_settings(_body: Any) -> Any:
        return state.settings.as_dict()

    def set_settings(body: Any) -> Any:
        state.settings.update(body)
        return state.settings.as_dict()

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
            route("/_emulator/reset", POST=reset),
        ],
        exception_handlers={
            HTTPException: _refuse,
            InvalidFault: _refuse,
            InvalidSetting: _refuse,
            _Bad: _refuse,
        },
    )
