# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Runtime API, /v1/... of the IBM Quantum Compute Service: backends, instance, account; the rest is mounted here.

Source: IBM's Runtime REST specification 0.45.3 and its changelog; error codes from IBM's registry.
"""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.emulator import analytics, data, errors, jobs, sessions, workloads
from tests.emulator.access import Context, endpoint, parse_time, time_parameter
from tests.emulator.backends import Backend
from tests.emulator.errors import BAD_REQUEST, INSTANCE_NOT_FOUND, Refused
from tests.emulator.state import State

_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def app(state: State) -> Starlette:
    """The ASGI application of the Runtime API, all regions."""

    def changes(backend: Backend) -> dict[str, Any]:
        """A test's settings for a backend; the jobs that wait here lengthen its queue."""
        found = state.settings.backends.get(backend.name, {})
        waiting = len(state.work.queue(backend.name))
        return {**found, "queue_length": found.get("queue_length", backend.seed.queue) + waiting}

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
        before = time_parameter(context, "updated_before")
        if before and before < parse_time(json.loads(backend.properties)["last_update_date"]):
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
                    "subscription_id": own.plan_id,
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

    return errors.service(
        [
            Route("/v1/versions", versions, methods=["GET"]),
            endpoint(state, "/v1/backends", GET=backends),
            endpoint(state, "/v1/backends/{id}/configuration", GET=configuration),
            endpoint(state, "/v1/backends/{id}/properties", GET=properties),
            endpoint(state, "/v1/backends/{id}/status", GET=status),
            endpoint(state, "/v1/backends/{id}/defaults", GET=defaults),
            endpoint(state, "/v1/instance", GET=instance),
            endpoint(state, "/v1/instances/usage", GET=usage),
            endpoint(state, "/v1/instances/configuration", GET=read_limit, PUT=write_limit),
            endpoint(state, "/v1/accounts/{id}", GET=account),
            *jobs.routes(state),
            *sessions.routes(state),
            *workloads.routes(state),
            *analytics.routes(state),
        ],
        errors.runtime,
    )
