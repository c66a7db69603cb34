# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM's token endpoint: POST /identity/token and GET /identity/keys.

Source: IBM's IAM specification (TokenOperations); the codes are those of IBM's published answers and clients.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.emulator import data, errors
from tests.emulator.errors import Refused
from tests.emulator.journal import form
from tests.emulator.state import State

GRANT_APIKEY = "urn:ibm:params:oauth:grant-type:apikey"
GRANT_CR_TOKEN = "urn:ibm:params:oauth:grant-type:cr-token"


def _required(fields: dict[str, str], name: str) -> str:
    value = fields.get(name, "")
    if not value:
        raise Refused(400, "BXNIM0109E", "Property missing or empty.", f"Property '{name}' either missing or empty.")
    return value


def _apikey(state: State, fields: dict[str, str]) -> tuple[str, str, dict[str, Any]]:
    """The identity behind an API key: IAM id, account, further claims."""
    key = state.key_by_value(_required(fields, "apikey"))
    if key is None or state.key_expired(key):
        raise Refused(400, "BXNIM0415E", "Provided API key could not be found.")
    if key.disabled:
        raise Refused(400, "BXNIM0462E", "Provided API key is disabled.")
    return key.iam_id, key.account_id, {"name": "Fleet Operator", "email": "operator@example.com"}


def _cr_token(state: State, fields: dict[str, str]) -> tuple[str, str, dict[str, Any]]:
    """The trusted profile that a compute resource may take on."""
    token = _required(fields, "cr_token")
    known = {
        "profile_id": data.TRUSTED_PROFILE_ID,
        "profile_name": data.TRUSTED_PROFILE_NAME,
        "profile_crn": data.TRUSTED_PROFILE_CRN,
    }
    given = [name for name in known if fields.get(name)]
    if len(given) != 1:
        raise Refused(
            400,
            "BXNIM0109E",
            "Property missing or empty.",
            "Exactly one of 'profile_id', 'profile_name' and 'profile_crn' must be given.",
        )
    if token != data.CR_TOKEN:
        raise Refused(400, "BXNIM0407E", "Provided compute resource token is invalid.")
    if fields[given[0]] != known[given[0]]:
        raise Refused(400, "BXNIM0500E", "The trusted profile could not be found, or does not trust this resource.")
    profile = data.TRUSTED_PROFILE_ID
    return f"iam-{profile}", data.ACCOUNT_ID, {"sub": profile, "sub_type": "Profile", "realmid": "iam"}


_GRANTS = {GRANT_APIKEY: _apikey, GRANT_CR_TOKEN: _cr_token}


def app(state: State) -> Starlette:
    """The ASGI application of the token endpoint."""

    async def token(request: Request) -> Response:
        await asyncio.sleep(state.settings.token_delay)
        fields = form(dict(request.headers), await request.body())
        grant = _required(fields, "grant_type")
        if grant not in _GRANTS:
            raise Refused(400, "BXNIM0106E", "Unsupported grant type.", f"The grant type '{grant}' is not supported.")
        iam_id, account, extra = _GRANTS[grant](state, fields)
        access_token, claims = state.issue(iam_id, account, grant, extra)
        reply = {
            "access_token": access_token,
            "refresh_token": "not_supported",
            "token_type": "Bearer",
            "expires_in": claims["exp"] - claims["iat"],
            "expiration": claims["exp"],
            "scope": claims["scope"],
        }
        return errors.json_response(reply, 200, {"cache-control": "no-cache, no-store"})

    async def keys(request: Request) -> Response:
        return errors.json_response(state.jwks(), 200)

    return errors.service(
        [
            Route("/identity/token", token, methods=["POST"]),
            Route("/identity/keys", keys, methods=["GET"]),
        ],
        errors.iam_token,
    )
