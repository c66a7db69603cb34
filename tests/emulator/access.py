# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is asking: the bearer token of a request, checked. Shared by every service but the token endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from tests.emulator.errors import Refused
from tests.emulator.journal import bearer
from tests.emulator.state import BadToken, State


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
