# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IBM Cloud's services around an instance: Resource Controller v2, Global Search v3, Global Catalog v1.

Sources: IBM's platform services SDK and guide "Access instances with platform APIs"; page styles as the real ones:
a relative ``next_url``, a ``search_cursor`` in the body.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, Callable
from urllib.parse import quote, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.emulator import data, errors
from tests.emulator.access import Caller, caller, page_size
from tests.emulator.errors import Refused
from tests.emulator.state import Instance, State

_INVALID = "RC-InvalidParameter"
_NAME = re.compile(r"[\w .:-]{1,180}\Z")
_LISTED = ("active", "provisioning")
_FILTERS: dict[str, Callable[[Instance], str]] = {
    "guid": lambda i: i.guid,
    "name": lambda i: i.name,
    "resource_group_id": lambda i: i.resource_group_id,
    "resource_id": lambda _i: data.SERVICE_ID,
    "resource_plan_id": lambda i: i.plan_id,
    "state": lambda i: i.state,
    "type": lambda _i: "service_instance",
}


def _parameters(value: Any, plan_id: str) -> dict[str, Any]:
    """Check the parameters of a create or change. Raises :class:`Refused` (400)."""
    if not isinstance(value, dict):
        raise Refused(400, _INVALID, "parameters must be an object.")
    unknown = set(value) - {"instance_limit_seconds", "usage_allocation_seconds", "backends"}
    if unknown:
        raise Refused(400, _INVALID, f"parameters has unknown fields: {', '.join(sorted(unknown))}.")
    for name in ("instance_limit_seconds", "usage_allocation_seconds"):
        number = value.get(name)
        if number is not None and not (isinstance(number, str) and number.isdigit()):
            raise Refused(400, _INVALID, f"parameters.{name} must be null or a string of digits.")
    if value.get("usage_allocation_seconds") is not None and plan_id == data.PLAN_PAYG:
        raise Refused(400, _INVALID, "parameters.usage_allocation_seconds does not apply to the pay-as-you-go plan.")
    names = value.get("backends", ["ANY"])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(400, _INVALID, "parameters.backends must be a list of names.")
    return value


def _represent(instance: Instance) -> dict[str, Any]:
    crn, guid = instance.crn, instance.guid
    return {
        "id": crn,
        "guid": guid,
        "crn": crn,
        "url": f"/v2/resource_instances/{quote(crn, safe='')}",
        "name": instance.name,
        "account_id": instance.account_id,
        "resource_group_id": instance.resource_group_id,
        "resource_group_crn": f"crn:v1:bluemix:public:resource-controller::a/{instance.account_id}::resource-group:"
        + instance.resource_group_id,
        "resource_id": data.SERVICE_ID,
        "resource_plan_id": instance.plan_id,
        "region_id": instance.region,
        "target_crn": f"crn:v1:bluemix:public:globalcatalog::::deployment:{instance.plan_id}%3A{instance.region}",
        "type": "service_instance",
        "sub_type": "",
        "state": instance.state,
        "parameters": instance.parameters,
        "extensions": {
            "backends": instance.backends,
            "instance_limit_seconds": instance.limit,
            "usage_allocation_seconds": instance.allocation,
        },
        "allow_cleanup": False,
        "locked": False,
        "last_operation": {"type": "create", "state": "succeeded", "description": None, "async": False},
        "created_at": instance.created_at,
        "updated_at": instance.updated_at,
        "deleted_at": None if instance.state == "active" else instance.updated_at,
    }


def resource_controller(state: State) -> Starlette:
    """The ASGI application of /v2/resource_instances."""

    def admit(request: Request) -> Caller:
        return caller(state, request, "RC-IamUnauthorizedUser", "The bearer token is missing, invalid or expired.")

    def own(who: Caller) -> list[Instance]:
        return [i for i in state.instances.values() if i.account_id == who.account_id]

    def listing(request: Request, who: Caller) -> Response:
        query = request.query_params
        rows = [
            instance
            for instance in own(who)
            if all(pick(instance) == query[name] for name, pick in _FILTERS.items() if name in query)
            and ("state" in query or instance.state in _LISTED)
        ]
        rows.sort(key=lambda instance: instance.crn)
        limit = page_size(state, request, "limit", 100, 100, _INVALID)
        start = query.get("start", "0")
        if not start.isdigit():
            raise Refused(400, _INVALID, "The query parameter 'start' is invalid.")
        page, following = rows[int(start) : int(start) + limit], int(start) + limit
        kept = [(k, v) for k, v in query.multi_items() if k not in ("start", "limit")]
        more = urlencode([*kept, ("start", following), ("limit", limit)])
        body = {
            "rows_count": len(page),
            "next_url": f"/v2/resource_instances?{more}" if following < len(rows) else None,
            "resources": [_represent(instance) for instance in page],
        }
        return errors.json_response(body, 200)

    async def create(request: Request, who: Caller) -> Response:
        body = await errors.json_body(request, _INVALID)
        for name in ("name", "target", "resource_group", "resource_plan_id"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise Refused(400, _INVALID, f"The field '{name}' is required.")
        if not _NAME.match(body["name"]):
            raise Refused(400, _INVALID, "The name takes up to 180 letters, digits, spaces and - _ . : only.")
        plan = data.PLANS.get(body["resource_plan_id"])
        if plan is None or plan.archived:
            raise Refused(400, "RC-PlanNotFound", "The resource plan does not exist.")
        if body["target"] not in plan.regions:
            raise Refused(400, "RC-InvalidTarget", f"The plan {plan.name} exists only in {', '.join(plan.regions)}.")
        if body["resource_group"] != data.RESOURCE_GROUP_ID:
            raise Refused(400, "RC-ResourceGroupNotFound", "The resource group does not exist.")
        now = state.clock.iso()
        instance = Instance(
            data.crn(body["target"], str(uuid.uuid4()), who.account_id),
            body["name"],
            body["resource_plan_id"],
            body["resource_group"],
            now,
            now,
            tags=list(body.get("tags", [])),
        )
        instance.apply(_parameters(body.get("parameters", {}), instance.plan_id))
        state.instances[instance.crn] = instance
        return errors.json_response(_represent(instance), 201)

    async def collection(request: Request) -> Response:
        who = admit(request)
        return await create(request, who) if request.method == "POST" else listing(request, who)

    async def item(request: Request) -> Response:
        who, wanted = admit(request), request.path_params["id"]
        instance = next((i for i in own(who) if wanted in (i.crn, i.guid)), None)
        if instance is None:
            raise Refused(404, "RC-ServiceInstanceNotFound", "The service instance was not found.")
        if request.method == "DELETE":
            instance.state, instance.updated_at = "pending_reclamation", state.clock.iso()
            return Response(status_code=204)
        if request.method == "PATCH":
            body = await errors.json_body(request, _INVALID)
            name, plan_id = body.get("name", instance.name), body.get("resource_plan_id", instance.plan_id)
            if not isinstance(name, str) or not _NAME.match(name):
                raise Refused(400, _INVALID, "The name takes up to 180 letters, digits, spaces and - _ . : only.")
            if plan_id not in data.PLANS:
                raise Refused(400, "RC-PlanNotFound", "The resource plan does not exist.")
            parameters = _parameters(body.get("parameters", instance.parameters), plan_id)
            instance.name, instance.plan_id = name, plan_id
            if "parameters" in body:
                instance.apply(parameters)
            instance.updated_at = state.clock.iso()
        return errors.json_response(_represent(instance), 200)

    return errors.service(
        [
            Route("/v2/resource_instances", collection, methods=["GET", "POST"]),
            Route("/v2/resource_instances/{id:path}", item, methods=["GET", "PATCH", "DELETE"]),
        ],
        errors.resource_controller,
    )


def search(state: State) -> Starlette:
    """The ASGI application of Global Search, as far as clients ask it for quantum instances."""

    async def find(request: Request) -> Response:
        who = caller(state, request, "unauthorized", "The bearer token is missing, invalid or expired.")
        body = await errors.json_body(request, "bad_request")
        cursor, query = body.get("search_cursor", ""), body.get("query", "")
        if not isinstance(cursor, str) or not isinstance(query, str) or not (cursor or query):
            raise Refused(400, "bad_request", "The body needs a query or a search_cursor.")
        start = 0
        if cursor:  # the cursor carries the query, as clients send it alone
            number, _sep, kept = cursor.partition("/")
            if not number.isdigit():
                raise Refused(400, "bad_request", "The search_cursor is invalid.")
            start, query = int(number), query or kept
        limit = page_size(state, request, "limit", 10, 1000, "bad_request")
        rows = [_found(instance) for instance in state.instances.values() if instance.account_id == who.account_id]
        rows = [row for row in rows if row["doc"]["state"] == "ACTIVE" and _matches(query, row)]
        reply: dict[str, Any] = {"items": rows[start : start + limit], "limit": limit}
        if start + limit < len(rows):
            reply["search_cursor"] = f"{start + limit}/{query}"
        return errors.json_response(reply, 200)

    return errors.service(
        [Route("/v3/resources/search", find, methods=["POST"])],
        errors.platform,
    )


def _found(instance: Instance) -> dict[str, Any]:
    return {
        "crn": instance.crn,
        "name": instance.name,
        "service_name": "quantum-computing",
        "service_plan_unique_id": instance.plan_id,
        "region": instance.region,
        "tags": instance.tags,
        "doc": {"state": instance.state.upper(), "extensions": _represent(instance)["extensions"]},
    }


def _matches(query: str, row: dict[str, Any]) -> bool:
    """The part of Lucene's language that is needed: ``field:value`` terms joined by AND. Raises :class:`Refused`."""
    for term in re.split(r"\s+AND\s+", query.strip()):
        name, colon, value = term.partition(":")
        if not colon or name not in ("crn", "name", "service_name", "region"):
            raise Refused(400, "bad_request", f"The emulator does not understand the query term {term!r}.")
        if row[name] != value.strip('"'):
            return False
    return True


def catalog(state: State) -> Starlette:
    """The ASGI application of the Global Catalog: a plan by its id. Public, as the real one is."""

    async def plan(request: Request) -> Response:
        wanted = request.path_params["id"]
        found = data.PLANS.get(wanted)
        if found is None:
            raise Refused(404, "not_found", "The catalog entry was not found.")
        if found.archived:
            raise Refused(403, "forbidden", "You are not authorized to see this catalog entry.")
        body = {
            "id": wanted,
            "name": found.name,
            "kind": "plan",
            "active": True,
            "disabled": False,
            "parent_id": data.SERVICE_ID,
            "geo_tags": list(found.regions),
            "overview_ui": {"en": {"display_name": found.display_name, "description": "", "long_description": ""}},
            "metadata": {"pricing": {"type": found.pricing, "origin": "pricing_catalog"}},
        }
        return errors.json_response(body, 200)

    return errors.service(
        [Route("/{id}", plan, methods=["GET"])],
        errors.platform,
    )
