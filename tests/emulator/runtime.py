# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Runtime API's reads (and the one write, an instance's limit): /v1/... of the IBM Quantum Compute Service.

Source: IBM's Runtime REST specification 0.45.3 and its changelog; error codes from IBM's registry.
Jobs, sessions and analytics are not emulated: their paths answer a clear 404.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, Awaitable, Callable
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.emulator import data, errors
from tests.emulator.access import Caller, base_url, caller, page_size
from tests.emulator.backends import Backend
from tests.emulator.errors import BAD_REQUEST, INSTANCE_NOT_FOUND, INVALID_CREDENTIALS, NOT_AUTHORISED, Refused
from tests.emulator.state import Instance, State

_VERSIONS = {version for version, _sunset, _status in data.VERSIONS}
_ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_LATER = ("jobs", "sessions", "analytics")
_CURSOR = re.compile(r"w[0-9]{1,9}\Z")
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class Context:
    """What an authorised request is about."""

    def __init__(self, request: Request, who: Caller, instance: Instance) -> None:
        self.request = request
        self.caller = who
        self.instance = instance
        self.query = request.query_params


def _admit(state: State, request: Request) -> Context:
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


def app(state: State) -> Starlette:
    """The ASGI application of the Runtime API, all regions."""

    def endpoint(
        path: str, handler: Callable[[Context], Awaitable[Response] | Response], methods: tuple[str, ...] = ("GET",)
    ) -> Route:
        async def admitted(request: Request) -> Response:
            reply = handler(_admit(state, request))
            return reply if isinstance(reply, Response) else await reply

        return Route(path, admitted, methods=list(methods))

    def changes(backend: Backend) -> dict[str, Any]:
        return state.settings.backends.get(backend.name, {})

    def find(context: Context) -> Backend:
        name = context.request.path_params["id"]
        for backend in state.devices(context.instance):
            if backend.name == name:
                return backend
        raise Refused(
            404, errors.BACKEND_NOT_FOUND, "Backend not found.", "Verify that the correct backend name was specified."
        )

    async def versions(request: Request) -> Response:
        rows = []
        for version, sunset, status in data.VERSIONS:
            rows.append({"version": version, **({"sunset_date": sunset} if sunset else {}), "status": status})
        return errors.json_response({"versions": rows}, 200)

    def backends(context: Context) -> Response:
        fields = context.query.get("fields")
        if fields is not None and fields != "wait_time_seconds":
            raise Refused(400, BAD_REQUEST, "The query parameter 'fields' takes wait_time_seconds only.")
        devices = [b.device(changes(b), fields is not None) for b in state.devices(context.instance)]
        return errors.json_response({"devices": devices}, 200)

    def configuration(context: Context) -> Response:
        return Response(find(context).configuration, media_type="application/json")

    def properties(context: Context) -> Response:
        backend = find(context)
        before = _moment(context, "updated_before")
        if before and before < _parse(json.loads(backend.properties)["last_update_date"]):
            raise Refused(404, errors.BACKEND_NOT_FOUND, "The backend has no properties of before that time.")
        return Response(backend.properties, media_type="application/json")

    def status(context: Context) -> Response:
        backend = find(context)
        return errors.json_response(backend.status(changes(backend)), 200)

    def defaults(context: Context) -> Response:
        backend = find(context)
        raise Refused(404, errors.BACKEND_NOT_FOUND, f"The backend {backend.name} has no default settings.")

    def instance(context: Context) -> Response:
        own = context.instance
        body: dict[str, Any] = {"plan_id": own.plan_id, "backends": [b.name for b in state.devices(own)]}
        if own.limit is not None:
            body.update(instance_limit=own.limit, instance_limit_seconds=str(own.limit))
        if own.allocation is not None:
            body["usage_allocation_seconds"] = str(own.allocation)
        return errors.json_response(body, 200)

    def usage(context: Context) -> Response:
        own, consumed = context.instance, state.consumed(context.instance)
        day = 86400.0
        body: dict[str, Any] = {
            "instance_id": own.crn,
            "plan_id": own.plan_id,
            "usage_consumed_seconds": consumed,
            "usage_period": {"start_time": state.clock.iso(-28 * day), "end_time": state.clock.iso()},
        }
        if own.allocation is not None:
            body["usage_allocation_seconds"] = own.allocation
        if own.limit is not None:
            body.update(usage_limit_seconds=own.limit, usage_limit_reached=consumed >= own.limit)
        return errors.json_response(body, 200)

    def read_limit(context: Context) -> Response:
        limit = context.instance.limit
        return errors.json_response({} if limit is None else {"instance_limit": limit}, 200)

    async def write_limit(context: Context) -> Response:
        body = await errors.json_body(context.request, BAD_REQUEST)
        limit = body.get("instance_limit", False)
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit < 2**31):
            raise Refused(400, BAD_REQUEST, "instance_limit must be null or a whole number of seconds from 1.")
        if limit is not None and limit < state.consumed(context.instance):
            raise Refused(409, BAD_REQUEST, "The usage exceeds the instance limit.")
        context.instance.limit = limit
        return Response(status_code=204)

    async def limit(context: Context) -> Response:
        return await write_limit(context) if context.request.method == "PUT" else read_limit(context)

    def account(context: Context) -> Response:
        wanted, plan = context.request.path_params["id"], context.query.get("plan_id")
        if not _ACCOUNT.match(wanted):
            raise Refused(400, BAD_REQUEST, "The account id has letters, digits, - and _ only; no 'a/' before it.")
        if wanted != context.caller.account_id:
            raise Refused(404, INSTANCE_NOT_FOUND, f"Account {wanted} not found.")
        plans: dict[str, dict[str, Any]] = {}
        for own in state.instances.values():
            if own.account_id != wanted or own.state != "active" or plan not in (None, own.plan_id):
                continue
            row = plans.setdefault(
                own.plan_id,
                {
                    "plan_id": own.plan_id,
                    "subscription_id": f"sub-{own.plan_id[:8]}",
                    "subscription_name": data.PLANS[own.plan_id].display_name,
                    "backends": [],
                    "usage_allocation_seconds": 0,
                    "unallocated_usage_seconds": 0,
                    "max_ttl": 28800,
                },
            )
            row["usage_allocation_seconds"] += own.allocation or 0
            row["backends"] = sorted({*row["backends"], *(b.name for b in state.devices(own))})
        return errors.json_response({"plans": list(plans.values())}, 200)

    def workloads(context: Context) -> Response:
        return errors.json_response(_workload_page(state, context), 200)

    def tags(context: Context) -> Response:
        search = context.query.get("search", "")
        if context.query.get("type") != "job":
            raise Refused(400, BAD_REQUEST, "The query parameter 'type' is required; it takes job.")
        if not 3 <= len(search) <= 100:
            raise Refused(400, BAD_REQUEST, "The query parameter 'search' is required, 3 to 100 characters.")
        known = {tag for row in _own_workloads(state, context) for tag in row["tags"] if search in tag}
        return errors.json_response({"tags": sorted(known)[:8]}, 200)

    async def later(request: Request) -> Response:
        raise Refused(404, errors.NO_SUCH_PATH, "The emulator does not have jobs, sessions and analytics.")

    return errors.service(
        [
            Route("/v1/versions", versions, methods=["GET"]),
            endpoint("/v1/backends", backends),
            endpoint("/v1/backends/{id}/configuration", configuration),
            endpoint("/v1/backends/{id}/properties", properties),
            endpoint("/v1/backends/{id}/status", status),
            endpoint("/v1/backends/{id}/defaults", defaults),
            endpoint("/v1/instance", instance),
            endpoint("/v1/instances/usage", usage),
            endpoint("/v1/instances/configuration", limit, ("GET", "PUT")),
            endpoint("/v1/accounts/{id}", account),
            endpoint("/v1/workloads", workloads),
            endpoint("/v1/tags", tags),
            *(Route(f"/v1/{name}{rest}", later, methods=_ALL) for name in _LATER for rest in ("", "/{rest:path}")),
        ],
        errors.runtime,
    )


def _parse(text: str) -> datetime:
    """An ISO 8601 date and time. Raises ValueError, also for one without a zone."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


def _moment(context: Context, name: str) -> datetime | None:
    text = context.query.get(name)
    try:
        return _parse(text) if text is not None else None
    except ValueError:
        raise Refused(400, BAD_REQUEST, f"The query parameter '{name}' must be a date and time with a zone.") from None


def _own_workloads(state: State, context: Context) -> list[dict[str, Any]]:
    return [row for row in state.workloads if row["instance"] == context.instance.crn]


def _one_of(context: Context, name: str, known: tuple[str, ...]) -> list[str]:
    values = context.query.getlist(name)
    for value in values:
        if value not in known:
            raise Refused(400, BAD_REQUEST, f"The query parameter '{name}' takes {', '.join(known)}.")
    return values


def _workload_page(state: State, context: Context) -> dict[str, Any]:
    """GET /v1/workloads: filters, then one page. The cursors are opaque to clients: an offset in disguise."""
    query = context.query
    limit = page_size(state, context.request, "limit", 10, 50, BAD_REQUEST)
    _one_of(context, "user", ("me",))
    order = _one_of(context, "sort", ("createdAt", "-createdAt"))
    statuses = _one_of(context, "status", ("completed", "canceled", "failed", "pending", "in_progress"))
    modes = _one_of(context, "mode", ("job", "session", "batch"))
    after, before = _moment(context, "created_after"), _moment(context, "created_before")
    backend, search, tags = query.get("backend"), query.get("search"), set(query.getlist("tags"))

    def wanted(row: dict[str, Any]) -> bool:
        created = _parse(row["created"])
        return (
            (not statuses or row["status"] in statuses)
            and (not modes or row["mode"] in modes)
            and (backend is None or row["backend"] == backend)
            and (search is None or search in row["id"] or any(search in tag for tag in row["tags"]))
            and tags <= set(row["tags"])
            and (after is None or created > after)
            and (before is None or created < before)
        )

    rows = [row for row in _own_workloads(state, context) if wanted(row)]
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
