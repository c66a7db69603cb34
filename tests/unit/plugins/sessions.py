# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of a scripted Runtime API: what it is asked, and what it answers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.ibm_quantum.platform.tests.unit.scripted import Script, ibm_error

PATH = "/v1/sessions"
ID = "11111111-aaaa-4bbb-8ccc-000000000001"
OTHER_ID = "11111111-aaaa-4bbb-8ccc-000000000002"
THIRD_ID = "11111111-aaaa-4bbb-8ccc-000000000003"
NAME = "nightly"
BACKEND = "ibm_fez"
BODY = {"mode": "batch", "backend": BACKEND}
GONE = {"status": 404, "reply": ibm_error("1300", "Session not found.")}


def session(session_id: str = ID, **changes: Any) -> dict[str, Any]:
    """A session as IBM represents it."""
    return {
        "id": session_id,
        "backend_name": BACKEND,
        "mode": "batch",
        "state": "open",
        "accepting_jobs": True,
        "max_ttl": 28800,
        "active_ttl": 28000,
        **changes,
    }


CLOSED: dict[str, Any] = {"state": "closed", "accepting_jobs": False}


def read(ibm: Script, found: dict[str, Any] | None, session_id: str = ID, **rest: Any) -> None:
    """IBM is asked for a session."""
    answer = {"reply": found} if found else GONE
    ibm.runtime("GET", f"{PATH}/{(found or {}).get('id', session_id)}", **{**answer, **rest})


def created(offset: float = 0.0) -> str:
    """A time in IBM's form, so many seconds from now."""
    when = datetime.now(timezone.utc) + timedelta(seconds=offset)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def newest(ibm: Script, *ids: str, mode: str = "batch", backend: str = BACKEND, **rest: Any) -> None:
    """IBM is asked for the newest sessions of a mode and backend."""
    query = {"limit": 50, "user": "me", "mode": mode, "backend": backend, "sort": "-createdAt"}
    rows = [{"id": one, "created": created()} for one in ids]
    ibm.runtime("GET", "/v1/workloads", query=query, **{"reply": {"workloads": rows, "total_count": len(rows)}, **rest})


def _jobs(ibm: Script, query: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    query = {"sort": "DESC", "limit": 200, "exclude_params": "true", **query}
    reply = {"jobs": rows, "count": len(rows), "offset": 0, "limit": query["limit"]}
    ibm.runtime("GET", "/v1/jobs", query=query, reply=reply)


def tagged(ibm: Script, *ids: str | None, name: str = NAME) -> None:
    """IBM is asked for the jobs with the tag of a name; each is in one of these sessions."""
    rows = [{"id": f"job-{number}", "session_id": one} for number, one in enumerate(ids)]
    _jobs(ibm, {"tags": f"ansible-session:{name}"}, rows)


def jobs(ibm: Script, *ids: str, session_id: str = ID, **query: Any) -> None:
    """IBM is asked for the jobs in a session."""
    _jobs(ibm, {"session_id": session_id, **query}, [{"id": one, "session_id": session_id} for one in ids])
