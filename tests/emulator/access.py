# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is asking: the bearer token of a request, checked. Shared by every service but the token endpoint.

And what all of the Runtime API shares: its admission, its query parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Awaitable, Callable, Union

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.emulator import data
from tests.emulator.errors import (
    BAD_REQUEST,
    INSTANCE_NOT_FOUND,
    INVALID_CREDENTIALS,
    NOT_AUTHORISED,
    Refused,
)
from tests.emulator.journal import bearer
from tests.emulator.state import BadToken, Instance, State

_VERSIONS = {version for version, _sunset, _status in data.VERSIONS}


@dataclass
class Caller:
    iam_id: str
    account_id: str


def caller(state: State, request: Request, code: int | str, message: str, details: str = "") -> Caller:
    """The identity of a good bearer token. Raises :class:`Refused` (401) with the service's own words.

    Only ``Authorization: Bearer`` counts. IBM's Runtime API also takes ``apikey KEY`` and then calls IAM itself, which
    fails under context-based restrictions; a client must never send the key there, so the emulator refuses it.
    """
    token = bearer(dict(request.headers))
    try:
        claims = state.claims(token) if token else None
    except BadToken:
        claims = None
    if claims is None:
        raise Refused(401, code, message, details)
    return Caller(claims["iam_id"], claims["account"]["bss"])


def base_url(request: Request) -> str:
    """The URL that the client used for this service, for absolute links: scheme, host and the prefix of the path."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope['emulator']['prefix']}"


def page_size(state: State, request: Request, name: str, default: int, most: int, code: int | str) -> int:
    """The rows of a page, from a query parameter. Raises :class:`Refused` (400) outside 1 to ``most``."""
    text = request.query_params.get(name, str(default))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise Refused(400, code, f"The query parameter '{name}' must be a whole number from 1 to {most}.")
    return min(int(text), state.settings.page_size)


class Context:
    """What an authorised request is about."""

    def __init__(self, request: Request, who: Caller, instance: Instance) -> None:
        self.request = request
        self.caller = who
        self.instance = instance
        self.query = request.query_params


def admit(state: State, request: Request) -> Context:
    """The checks that every call but /versions passes, in the order in which a gateway makes them."""
    version = request.headers.get("ibm-api-version")
    if version is not None and version not in _VERSIONS:
        raise Refused(
            400,
            BAD_REQUEST,
            f"The API version '{version}' of the header IBM-API-Version does not exist.",
            f"Use one of {', '.join(sorted(_VERSIONS))}.",
        )
    solution = "Provide a valid IAM bearer token: Authorization: Bearer TOKEN."
    who = caller(state, request, INVALID_CREDENTIALS, "Invalid credentials.", solution)
    crn = request.headers.get("service-crn", "")
    if not crn:
        raise Refused(
            403, NOT_AUTHORISED, "You are not authorized to perform this action.", "Send the header Service-CRN."
        )
    instance = state.instances.get(crn)
    region = request.scope["emulator"]["region"]
    if instance is None or instance.state != "active" or instance.region != region:
        raise Refused(
            404, INSTANCE_NOT_FOUND, f"Instance {crn} not found.", "Verify the CRN, and that its region is this host's."
        )
    if instance.account_id != who.account_id:
        raise Refused(
            403, NOT_AUTHORISED, "You are not authorized to perform this action.", "The CRN is one of another account."
        )
    return Context(request, who, instance)


Handler = Callable[[Context], Union[Awaitable[Response], Response]]


def endpoint(state: State, path: str, **methods: Handler) -> Route:
    """A route of the Runtime API: admission first, then all that is due by the clock, then the method's handler."""

    async def admitted(request: Request) -> Response:
        context = admit(state, request)
        state.work.advance()
        reply = methods["GET" if request.method == "HEAD" else request.method](context)
        return reply if isinstance(reply, Response) else await reply

    return Route(path, admitted, methods=list(methods))


def parse_time(text: str) -> datetime:
    """An ISO 8601 date and time. Raises ValueError, also for one without a zone."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


def time_parameter(context: Context, name: str) -> datetime | None:
    """A query parameter that is a time. Raises :class:`Refused` (400) for anything else."""
    text = context.query.get(name)
    try:
        return parse_time(text) if text is not None else None
    except ValueError:
        raise Refused(400, BAD_REQUEST, f"The query parameter '{name}' must be a date and time with a zone.") from None


def boolean_parameter(context: Context, name: str) -> bool | None:
    text = context.query.get(name)
    if text is not None and text.lower() not in ("true", "false"):
        raise Refused(400, BAD_REQUEST, f"The query parameter '{name}' is true or false.")
    return None if text is None else text.lower() == "true"


def choices(context: Context, name: str, known: tuple[str, ...]) -> list[str]:
    """A repeated query parameter of known values. Raises :class:`Refused` (400) for another."""
    values = context.query.getlist(name)
    for value in values:
        if value not in known:
            raise Refused(400, BAD_REQUEST, f"The query parameter '{name}' takes {', '.join(known)}.")
    return values
