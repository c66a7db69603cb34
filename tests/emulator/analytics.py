# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Runtime API's analytics, /v1/analytics: use of the account's instances. Times are in milliseconds.

They are reckoned from the workloads: a session or batch counts as one, and its jobs as jobs.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Callable, Iterable

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulator import data
from tests.emulator.access import Context, boolean_parameter, choices, endpoint, parse_time, time_parameter
from tests.emulator.errors import BAD_REQUEST, Refused
from tests.emulator.results import iso
from tests.emulator.state import State
from tests.emulator.workloads import all_rows

#: How long the history's workloads waited; what came since has its own times.
_HISTORY_QUEUE = 60.0
_DEFAULT_DAYS = 28
_GROUPS = ("instance", "backend", "user_id", "plan", "subscription_id")


@dataclass
class Record:
    """One workload. ``usage`` and ``queued`` in milliseconds; ``kind`` is job, session or batch."""

    kind: str
    instance: str
    backend: str
    user_id: str
    plan: str
    subscription_id: str
    created: datetime
    usage: float
    jobs: int
    queued: list[float]


def _records(state: State, context: Context) -> list[Record]:
    """All workloads of the caller's account."""
    found: list[Record] = []
    waits: dict[str, list[float]] = defaultdict(list)
    members: dict[str, int] = defaultdict(int)
    for job in state.work.jobs.values():
        workload = job.session_id or job.id
        members[workload] += 1
        if job.started:
            waits[workload].append((job.started - job.created) * 1000)
    history = {row["id"] for row in state.workloads}
    for row in all_rows(state):
        instance = state.instances.get(row["instance"])
        if instance is None or instance.account_id != context.caller.account_id:
            continue
        known = row["id"] in history
        record = Record(
            kind=row["mode"],
            instance=instance.crn,
            backend=row["backend"],
            user_id=row["user_id"],
            plan=data.PLANS[instance.plan_id].name,
            subscription_id=instance.plan_id,
            created=parse_time(row["created"]),
            usage=row.get("usage", {}).get("qpu_charge_time_seconds", 0) * 1000,
            jobs=1 if known else members[row["id"]],
            queued=[_HISTORY_QUEUE * 1000] if known else waits[row["id"]],
        )
        found.append(record)
    return found


def _measures(records: Iterable[Record]) -> dict[str, float]:
    """The numbers that all analytics answers share."""
    rows = list(records)
    kinds = {
        "sessions": [row.usage for row in rows if row.kind != "job"],
        "batch_sessions": [row.usage for row in rows if row.kind == "batch"],
        "dedicated_sessions": [row.usage for row in rows if row.kind == "session"],
        "individual_jobs": [row.usage for row in rows if row.kind == "job"],
    }
    body: dict[str, float] = {"usage": sum(row.usage for row in rows), "jobs": sum(row.jobs for row in rows)}
    for name, values in kinds.items():
        body |= {name: len(values), f"{name}_usage": sum(values), f"max_{name}_usage": max(values, default=0)}
        body[f"avg_{name}_usage"] = sum(values) / len(values) if values else 0
    waits = [wait for row in rows for wait in row.queued]
    body |= {"queue_time": sum(waits), "max_queue_time": max(waits, default=0)}
    body["avg_queue_time"] = sum(waits) / len(waits) if waits else 0
    return body


def _interval(state: State, context: Context) -> tuple[datetime, datetime]:
    now = datetime.fromtimestamp(state.clock.now(), tz=timezone.utc)
    end = time_parameter(context, "interval_end") or now
    start = time_parameter(context, "interval_start") or end - timedelta(days=_DEFAULT_DAYS)
    if start > end:
        raise Refused(400, BAD_REQUEST, "interval_start must not be after interval_end.")
    return start, end


def _filtered(state: State, context: Context) -> list[Record]:
    start, end = _interval(state, context)
    boolean_parameter(context, "simulators")  # there are none
    filters = {name: set(context.query.getlist(name)) for name in _GROUPS}
    return [
        row
        for row in _records(state, context)
        if start <= row.created <= end
        and all(not wanted or getattr(row, name) in wanted for name, wanted in filters.items())
    ]


def _group(context: Context, known: tuple[str, ...]) -> str:
    groups = choices(context, "group_by", known)
    if not groups:
        raise Refused(400, BAD_REQUEST, f"The query parameter 'group_by' is required: {', '.join(known)}.")
    return groups[-1]


def _split(records: list[Record], key: Callable[[Record], str]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for row in records:
        found[key(row)].append(row)
    return dict(sorted(found.items()))


def routes(state: State) -> list[Route]:
    """All of /v1/analytics."""

    def usage(context: Context) -> Response:
        return JSONResponse(_measures(_filtered(state, context)))

    def grouped(context: Context) -> Response:
        name = _group(context, _GROUPS)
        groups = _split(_filtered(state, context), lambda row: str(getattr(row, name)))
        return JSONResponse({"data": [{"key": key, **_measures(rows)} for key, rows in groups.items()]})

    def by_date(context: Context) -> Response:
        """A row for each instance and day (UTC) that has anything."""
        _group(context, ("instance",))
        start, end = _interval(state, context)
        rows = []
        for instance, records in _split(_filtered(state, context), lambda row: row.instance).items():
            for day, today in _split(records, lambda row: row.created.strftime("%Y-%m-%d")).items():
                first = datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()
                moments = {"interval_start": iso(first), "interval_end": iso(first + 86400)}
                rows.append({"key": instance, **moments, **_measures(today)})
        whole = {"interval_start": iso(start.timestamp()), "interval_end": iso(end.timestamp())}
        return JSONResponse({**whole, "data": rows})

    def filters(context: Context) -> Response:
        """What the account's workloads can be filtered by."""
        wanted = set(context.query.getlist("instance"))
        rows = [row for row in _records(state, context) if not wanted or row.instance in wanted]
        deleted = {crn: instance.state != "active" for crn, instance in state.instances.items()}
        plans = {row.subscription_id: data.PLANS[row.subscription_id].display_name for row in rows}
        body = {
            "backends": [{"name": name} for name in sorted({row.backend for row in rows})],
            "instances": [{"id": crn, "deleted": deleted[crn]} for crn in sorted({row.instance for row in rows})],
            "users": [{"id": user} for user in sorted({row.user_id for row in rows})],
            "plans": [{"name": name} for name in sorted({row.plan for row in rows})],
            "subscriptions": [{"id": plan, "name": name} for plan, name in sorted(plans.items())],
        }
        return JSONResponse(body)

    return [
        endpoint(state, "/v1/analytics/usage", GET=usage),
        endpoint(state, "/v1/analytics/usage_grouped", GET=grouped),
        endpoint(state, "/v1/analytics/usage_grouped_by_date", GET=by_date),
        endpoint(state, "/v1/analytics/filters", GET=filters),
    ]
