# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Any call of IBM's APIs, made idempotent by saying how to read what is already so.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping, NamedTuple
from urllib.parse import quote

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError, plain
from ansible_collections.ibm_quantum.platform.plugins.module_utils._http import IDEMPOTENT, Reply
from ansible_collections.ibm_quantum.platform.plugins.module_utils._paging import collect, items_name
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resource import covers, diff, find_one, part
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import INSTANCE_NOT_FOUND
from ansible_collections.ibm_quantum.platform.plugins.module_utils._secret_fields import mask

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

#: What a call that HTTP had to repeat is answered when the first one, whose answer was lost, took effect.
_OWN_EFFECT = (404, 409, 412)


class Call(NamedTuple):
    """A task's call; the fields are the options of the module ``api``."""

    method: str
    path: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    body: Any
    expected_status: list[int]
    paginate: bool
    read_only: bool
    current: Mapping[str, Any] | None
    desired: Mapping[str, Any] | None

    @property
    def reads(self) -> bool:
        return self.read_only or self.method in ("GET", "HEAD")


class Outcome(NamedTuple):
    """What came of a call. ``reply`` is None where nothing was sent; then ``found`` is what was there already."""

    changed: bool
    reply: Reply | None
    found: Any
    diff: dict[str, Any] | None
    notice: str = ""


def perform(client: Client, call: Call, check_mode: bool) -> Outcome:
    """Make the call if it is needed. Raises ApiError and OptionError."""
    _check_headers(call)
    if call.reads:
        return Outcome(False, _read(client, call), None, None)
    if call.current is None:
        change = diff({}, {"would send" if check_mode else "sent": mask(call.body)}, f"{call.method} {call.path}")
        return Outcome(True, None if check_mode else _send(client, call, {}), None, change)
    found = _find(client, call)
    change = _difference(call, found)
    if _satisfied(call, found):
        return Outcome(False, None, found, diff(change["before"], change["before"], change["before_header"]))
    # looked at before the check mode ends: a path that cannot be filled in would fail for real too
    _fill(call.path, found, _segment)
    if check_mode:
        return Outcome(True, None, found, change)
    try:
        return Outcome(True, _send(client, call, found or {}), found, change)
    except ApiError as error:
        if error.outcome_unknown or (call.method in IDEMPOTENT and error.status in _OWN_EFFECT):
            return _settle(client, call, error, change)
        raise


def _settle(client: Client, call: Call, error: ApiError, change: dict[str, Any]) -> Outcome:
    """The answer was lost: look whether the call took effect, never send it again unseen."""
    try:
        found = _find(client, call)
    except ApiError:  # nothing can be read now: what happened to the call itself is what counts
        raise error from None
    if _satisfied(call, found):
        return Outcome(True, None, found, change, f"the answer was lost, but the call took effect: {error.message}")
    if error.outcome_unknown:
        error.outcome_unknown = False
        error.remedy = "It did not take effect: run the task again"
    raise error


def _satisfied(call: Call, found: Any) -> bool:
    """Whether what was found is already what the call would make of it."""
    if call.method == "DELETE":
        return found is None or (call.desired is not None and covers(found, call.desired))
    if found is None:
        return False
    if call.method == "POST" and call.desired is None:
        return True  # to create something: that it is there is all that counts
    return covers(found, call.body if call.desired is None else call.desired)


def _difference(call: Call, found: Any) -> dict[str, Any]:
    desired = call.body if call.desired is None else call.desired
    if call.method == "DELETE" and call.desired is None:
        before, after = found, None
    else:
        before, after = part(found, desired), desired
    return diff(mask(before), mask(after), call.path)


def _find(client: Client, call: Call) -> Any:
    """What is already there: the item that matches, or the whole answer; None where there is none."""
    current = call.current or {}
    path = current.get("path") or call.path
    if _PLACEHOLDER.search(path):
        raise OptionError("'current' needs its own 'path' when the path of the call has a placeholder")
    query, match = current.get("query") or {}, current.get("match")
    try:
        answer = collect(lambda q, _body: client.call("GET", path, query=q).json, query, None)
    except ApiError as error:
        if error.status == 404 and error.body.code != INSTANCE_NOT_FOUND:
            return None
        raise
    if not match:
        return answer
    name = current.get("items") or items_name(answer)
    items = answer.get(name) if isinstance(answer, dict) and name else answer
    if not isinstance(items, list):
        raise OptionError(f"the answer of {path} has no list {name or 'to search'!r}: set 'items' in 'current'")
    return find_one(items, match)


def _read(client: Client, call: Call) -> Reply:
    last: list[Reply] = []

    def send(query: Mapping[str, Any], body: Any) -> Any:
        last.append(_send(client, call._replace(query=query, body=body), {}))
        return last[-1].json

    if not call.paginate:
        send(call.query, call.body)
        return last[-1]
    whole = collect(send, call.query, call.body)
    return last[-1]._replace(json=whole)


def _send(client: Client, call: Call, found: Mapping[str, Any]) -> Reply:
    try:
        reply = client.call(
            call.method,
            _fill(call.path, found, _segment),
            query=call.query,
            json=call.body,
            headers={name: _fill(str(value), found) for name, value in call.headers.items()},
            repeatable=True if call.reads else None,
        )
    except ApiError as error:
        if error.reply is not None and error.status in call.expected_status:
            return error.reply
        if error.outcome_unknown and not call.reads and call.current is None:
            error.remedy = "IBM may have carried it out: look before another try, or set 'current' and the module looks"
        raise
    if call.expected_status and reply.status not in call.expected_status:
        raise ApiError(
            f"answered {reply.status}, expected {', '.join(map(str, call.expected_status))}",
            method=call.method,
            url=client.resolve(call.path)[0],
            status=reply.status,
            remedy=plain("add it to O(expected_status) if that is right"),
        )
    return reply


def _fill(text: str, found: Any, encode: Callable[[str], str] = str) -> str:
    """Put fields of what was found in the place of ``{field}``."""

    def value(match: re.Match[str]) -> str:
        field = match[1]
        if not isinstance(found, dict) or found.get(field) in (None, ""):
            raise OptionError(f"nothing was found to take {{{field}}} from: 'current' must find an item that has it")
        return encode(str(found[field]))

    return _PLACEHOLDER.sub(value, text)


def _segment(text: str) -> str:
    """A part of a path: an ID may be a CRN, which has slashes."""
    return quote(text, safe="")


def _check_headers(call: Call) -> None:
    for name in call.headers:
        if name.lower() in ("authorization", "service-crn", "ibm-api-version"):
            raise OptionError(f"'headers' must not set {name}: the options of the module make it")
