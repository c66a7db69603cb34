# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API keys of a scripted IAM: what it is asked, and what it answers."""

from __future__ import annotations

from typing import Any

from ansible_collections.ibm_quantum.platform.tests.unit.scripted import ACCOUNT, API_KEY, IAM, Script

URL = f"{IAM}/v1/apikeys"
IAM_ID = "IBMid-270007GGGG"  # that of scripted.TOKEN
VALUE = "Val-0123456789012345678901234567890123456789"  # what the tests' new keys get
ID = "ApiKey-11111111-2222-3333-4444-555555555555"
OTHER_ID = "ApiKey-66666666-7777-8888-9999-000000000000"
AT = f"{URL}/{ID}"
PAGE = {"pagesize": 100, "account_id": ACCOUNT, "iam_id": IAM_ID}


def key(**changes: Any) -> dict[str, Any]:
    """A key as IAM represents it; None takes a field away."""
    whole = {
        "id": ID,
        "entity_tag": "1-a",
        "name": "fleet",
        "iam_id": IAM_ID,
        "account_id": ACCOUNT,
        "locked": False,
        "disabled": False,
        "created_at": "2026-01-02T03:04+0000",
        "modified_at": "2026-01-02T03:04+0000",
        "support_sessions": False,
        "action_when_leaked": "none",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def identity_error(code: str, message: str, details: str = "") -> dict[str, Any]:
    """IAM's ExceptionResponse."""
    error = {"code": "error", "message_code": code, "message": message, "details": details}
    return {"context": {"transaction_id": "trace-1"}, "errors": [error], "trace": "trace-1"}


NOT_FOUND = {"status": 404, "reply": identity_error("BXNIM0415E", "Provided API key could not be found.")}
LOCKED = {"status": 409, "reply": identity_error("BXNIM0105E", "Unable to delete object", "The key is locked.")}
STALE = {"status": 409, "reply": identity_error("BXNIM0417E", "The entity tag does not match.")}


def lists(ibm: Script, *keys: dict[str, Any], **rest: Any) -> None:
    """IAM is asked for all keys of the caller."""
    ibm.cloud("GET", URL, query=PAGE, reply={"apikeys": list(keys)}, **rest)


def details(ibm: Script, value: str, found: dict[str, Any] | None, **rest: Any) -> None:
    """IAM is asked whose key a value is."""
    answer = {"reply": found} if found else NOT_FOUND
    ibm.cloud("GET", f"{URL}/details", headers={"IAM-ApiKey": value}, **answer, **rest)


def own(ibm: Script, found: dict[str, Any] | None = None) -> None:
    """IAM is asked which key the task authenticates with."""
    details(ibm, API_KEY, found or key(id=OTHER_ID, name="mine"))


def gets(ibm: Script, found: dict[str, Any] | None) -> None:
    ibm.cloud("GET", AT, **({"reply": found} if found else NOT_FOUND))


def made(
    ibm: Script, headers: dict[str, Any] | None = None, fields: dict[str, Any] | None = None, **answer: Any
) -> None:
    """IAM is asked to make a key of VALUE."""
    flags = {"Entity-Lock": None, "Entity-Disable": None}
    body = {"name": "fleet", "iam_id": IAM_ID, "account_id": ACCOUNT, "apikey": VALUE, **(fields or {})}
    answer = answer or {"status": 201, "reply": {**key(**(fields or {})), "apikey": VALUE}}
    ibm.cloud("POST", URL, headers={**flags, **(headers or {})}, json=body, **answer)


def puts(ibm: Script, changes: dict[str, Any], tag: str = "1-a", **answer: Any) -> None:
    """IAM is asked to change a key."""
    answer = answer or {"reply": key(**changes, entity_tag="2-a")}
    ibm.cloud("PUT", AT, headers={"If-Match": tag}, json=changes, **answer)
