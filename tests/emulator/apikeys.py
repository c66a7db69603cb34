# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM's identity API for API keys: /v1/apikeys. Keys made here work at the token endpoint.

Source: IBM's IAM Identity specification and platform services SDK. Names are not unique there, nor here.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.emulator import errors
from tests.emulator.access import Caller, base_url, caller, page_size
from tests.emulator.errors import Refused
from tests.emulator.state import ApiKey, State

_INVALID = "BXNIM0109E"
_EDITABLE = ("name", "description", "support_sessions", "action_when_leaked", "expires_at")
_FLAGS = {"lock": "locked", "disable": "disabled"}
_LEAKED = ("none", "disable", "delete")


def _authenticate(state: State, request: Request) -> Caller:
    return caller(state, request, "BXNIM0308E", "No authorization header found, or its token is invalid or expired.")


def _represent(key: ApiKey, value: bool = False) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": key.id,
        "entity_tag": key.entity_tag,
        "crn": f"crn:v1:bluemix:public:iam-identity::a/{key.account_id}::apikey:{key.id}",
        "locked": key.locked,
        "disabled": key.disabled,
        "created_at": key.created_at,
        "created_by": key.iam_id,
        "modified_at": key.modified_at,
        "name": key.name,
        "support_sessions": key.support_sessions,
        "action_when_leaked": key.action_when_leaked,
        "iam_id": key.iam_id,
        "account_id": key.account_id,
    }
    for name in ("description", "expires_at"):  # "only available if provided"
        if getattr(key, name):
            body[name] = getattr(key, name)
    if value:
        body["apikey"] = key.value
    return body


def _edit(key: ApiKey, body: dict[str, Any]) -> None:
    """Take the editable fields of a create or update. Raises :class:`Refused` (400), and then takes none."""
    for name in ("name", "description", "expires_at"):
        if name in body and not isinstance(body[name], str):
            raise Refused(400, _INVALID, f"The field '{name}' must be text.")
    if "name" in body and not body["name"]:
        raise Refused(400, _INVALID, "The field 'name' must not be empty.")
    if not isinstance(body.get("support_sessions", False), bool):
        raise Refused(400, _INVALID, "The field 'support_sessions' must be true or false.")
    if body.get("action_when_leaked", "none") not in _LEAKED:
        raise Refused(400, _INVALID, f"The field 'action_when_leaked' must be one of {', '.join(_LEAKED)}.")
    expires = key.expires
    if "expires_at" in body:
        try:
            moment = datetime.strptime(body["expires_at"], "%Y-%m-%dT%H:%M%z") if body["expires_at"] else None
        except ValueError:
            raise Refused(400, _INVALID, "The field 'expires_at' must look like yyyy-MM-ddTHH:mm+0000.") from None
        expires = moment.astimezone(timezone.utc).timestamp() if moment else 0.0
    for name in _EDITABLE:
        if name in body:
            setattr(key, name, body[name])
    key.expires = expires


def app(state: State) -> Starlette:
    """The ASGI application of /v1/apikeys."""

    def find(request: Request) -> ApiKey:
        who = _authenticate(state, request)
        key = state.keys.get(request.path_params["id"])
        if key is None or key.account_id != who.account_id:
            raise Refused(404, "BXNIM0416E", "Provided API key ID could not be found.")
        return key

    def touch(key: ApiKey) -> None:
        key.version += 1
        key.modified_at = state.clock.iso()

    def listing(request: Request) -> Response:
        who = _authenticate(state, request)
        query = request.query_params
        if query.get("account_id", who.account_id) != who.account_id:
            raise Refused(403, "BXNIM0513E", "You are not authorized to list the API keys of this account.")
        limit = page_size(state, request, "pagesize", 20, 100, _INVALID)
        scope = query.get("scope", "entity")
        if scope not in ("entity", "account"):
            raise Refused(400, _INVALID, "The query parameter 'scope' takes entity or account.")
        owner = query.get("iam_id", who.iam_id if scope == "entity" else None)
        token = query.get("pagetoken", "p0")
        if not (token[:1] == "p" and token[1:].isdigit()):
            raise Refused(400, _INVALID, "The query parameter 'pagetoken' is invalid.")
        start = int(token[1:])
        keys = [k for k in state.keys.values() if k.account_id == who.account_id and owner in (None, k.iam_id)]
        keys.sort(key=lambda key: (key.name, key.id), reverse=query.get("order") == "desc")

        def link(offset: int) -> str:
            kept = [(k, v) for k, v in query.multi_items() if k != "pagetoken"]
            return f"{base_url(request)}/v1/apikeys?{urlencode([*kept, ('pagetoken', f'p{offset}')])}"

        body: dict[str, Any] = {
            "context": {"operation": "ListApiKeys"},
            "offset": start,
            "limit": limit,
            "first": link(0),
            "apikeys": [_represent(key) for key in keys[start : start + limit]],
        }
        if start > 0:
            body["previous"] = link(max(0, start - limit))
        if start + limit < len(keys):
            body["next"] = link(start + limit)
        return errors.json_response(body, 200)

    async def create(request: Request) -> Response:
        who = _authenticate(state, request)
        body = await errors.json_body(request, _INVALID)
        for name in ("name", "iam_id"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise Refused(400, _INVALID, f"The field '{name}' is required.")
        if body["iam_id"] != who.iam_id or body.get("account_id", who.account_id) != who.account_id:
            raise Refused(403, "BXNIM0513E", "You are not authorized to create API keys for this identity.")
        if state.settings.restrict_create_platform_apikey:
            raise Refused(403, "BXNIM0513E", "You are not authorized to create API keys in this account.")
        value = body.get("apikey", "")
        if not isinstance(value, str) or (value and len(value) < 32):
            raise Refused(400, _INVALID, "The field 'apikey' must have at least 32 characters.")
        if body.get("store_value"):
            raise Refused(400, _INVALID, "The field 'store_value' is not allowed for the API keys of users.")
        if value and state.key_by_value(value):
            raise Refused(409, "BXNIM0418E", "The API key exists already.")
        _edit(ApiKey("", "", "", "", ""), body)  # refuse before anything is made
        key = state.new_key(body["name"], who.iam_id, who.account_id, value)
        _edit(key, body)
        key.locked = request.headers.get("entity-lock", "").lower() == "true"
        key.disabled = request.headers.get("entity-disable", "").lower() == "true"
        return errors.json_response(_represent(key, value=True), 201)

    async def collection(request: Request) -> Response:
        return await create(request) if request.method == "POST" else listing(request)

    async def details(request: Request) -> Response:
        _authenticate(state, request)
        value = request.headers.get("iam-apikey", "")
        if not value:
            raise Refused(400, _INVALID, "The header IAM-ApiKey is required.")
        key = state.key_by_value(value)
        if key is None:
            raise Refused(404, "BXNIM0415E", "Provided API key could not be found.")
        return errors.json_response(_represent(key), 200)

    async def item(request: Request) -> Response:
        key = find(request)
        if request.method in ("GET", "HEAD"):
            return errors.json_response(_represent(key), 200)
        if key.locked:
            what = "delete" if request.method == "DELETE" else "update"
            raise Refused(409, "BXNIM0105E", f"Unable to {what} object", f"API key '{key.id}' is locked.")
        if request.method == "DELETE":
            del state.keys[key.id]
            return Response(status_code=204)
        tag = request.headers.get("if-match", "")
        if not tag:
            raise Refused(400, _INVALID, "The header If-Match is required.")
        if tag not in ("*", key.entity_tag):
            raise Refused(409, "BXNIM0417E", "The entity tag does not match: the API key was changed in between.")
        _edit(key, await errors.json_body(request, _INVALID))
        touch(key)
        return errors.json_response(_represent(key), 200)

    async def flag(request: Request) -> Response:
        key = find(request)
        setattr(key, _FLAGS[request.url.path.rpartition("/")[2]], request.method == "POST")
        touch(key)
        return Response(status_code=204)

    return errors.service(
        [
            Route("/v1/apikeys", collection, methods=["GET", "POST"]),
            Route("/v1/apikeys/details", details, methods=["GET"]),
            Route("/v1/apikeys/{id}", item, methods=["GET", "PUT", "DELETE"]),
            *(Route(f"/v1/apikeys/{{id}}/{name}", flag, methods=["POST", "DELETE"]) for name in _FLAGS),
        ],
        errors.iam_identity,
    )
