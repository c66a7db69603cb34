# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A session as it is declared, against what is at IBM: found by ID or name, made, opened again, closed.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tags
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike
from ansible_collections.ibm_quantum.platform.plugins.module_utils._one_at_a_time import one_at_a_time
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resource import diff
from ansible_collections.ibm_quantum.platform.plugins.module_utils._session_names import Entry, Names
from ansible_collections.ibm_quantum.platform.plugins.module_utils._sessions import (
    Session,
    Sessions,
    accepts_jobs,
    is_closed,
)

OPEN, NOT_ACCEPTING, CLOSED = "open", "not_accepting", "closed"
_TIMES = ("max_ttl", "interactive_ttl", "active_ttl")
#: The longest time that IBM's API takes, in seconds.
_LONGEST = 2**31 - 1
#: Options that a session must agree with, and IBM's names for them. Its active_ttl is what is left of the time.
_COMPARED = {"mode": "mode", "backend": "backend_name", "max_ttl": "max_ttl", "interactive_ttl": "interactive_ttl"}


def check(params: dict[str, Any]) -> None:
    """What cannot be right, whatever there is at IBM."""
    if params["name"] is not None:
        _tags.checked_name("name", params["name"], _tags.LONGEST_SESSION_NAME)
    if params["id"] is not None and not params["id"].strip():
        raise OptionError("'id' is empty: leave it out if there is none")
    if params["state"] != OPEN and not (params["name"] or params["id"]):
        raise OptionError(f"which session? 'state: {params['state']}' needs its 'name' or 'id'")
    for option in _TIMES:
        if params[option] is not None and not 1 <= params[option] <= _LONGEST:
            raise OptionError(f"{option!r} must be 1 to {_LONGEST} seconds, not {params[option]}")
    if params["active_ttl"] and not params["interactive_ttl"]:
        raise OptionError("'active_ttl' needs 'interactive_ttl', as both are for the Channel Partner plan")


class SessionTask:
    """One task's work on one session."""

    def __init__(self, module: ModuleLike) -> None:
        self.params = module.params
        self.check_mode = module.check_mode
        self.warn = module.warn
        self.name: str | None = self.params["name"]
        self.client = Client(module)
        self.sessions = Sessions(self.client, module.warn)
        self.names: Names | None = self.sessions.names(self.name) if self.name is not None else None
        settings = self.client.settings
        self.place = str(settings.runtime_url), str(settings.instance), "session"
        self.entry = Entry()

    def run(self) -> dict[str, Any]:
        """The result. Raises ApiError and OptionError."""
        if self.name is None or self.check_mode:
            return self._run()
        with one_at_a_time(f"the session {self.name!r}", *self.place, self.name):
            return self._run()

    def _run(self) -> dict[str, Any]:
        self.entry = self.names.read() if self.names else Entry()
        adopted = None if self.params["id"] else self._adopted()
        found = adopted or self._found()
        result = self._open(found) if self.params["state"] == OPEN else self._end(found)
        if adopted and not result["changed"]:
            result["changed"] = True
            result["diff"] = diff({}, {"state": _state(adopted)}, f"session {self._label(adopted)}")
        if result["session"] and self.name is not None:
            result["session"] = {**result["session"], "name": self.name}
        return result

    # Finding

    def _adopted(self) -> Session | None:
        """The session that a run made which was killed before it could note its ID."""
        if not self.entry.intent or not self.names:
            return None
        made = self.sessions.made_since(self.entry.intent, self.names.others())
        if len(made) > 1:
            ids = ", ".join(session["id"] for session in made)
            raise OptionError(
                f"'name': a run that made the session {self.name!r} was interrupted, and {len(made)} sessions may be "
                f"it: {ids}. Give the 'id' of one beside 'name', and close the others with 'state: closed'"
            )
        if not made:
            return None
        self._note(made[0])
        return made[0]

    def _found(self) -> Session | None:
        if self.params["id"]:
            session = self.sessions.peek(self.params["id"])
            if self.params["state"] == OPEN and (session is None or is_closed(session)):
                what = "is closed" if session else "is not there"
                raise OptionError(
                    f"'id': the session {self.params['id']} {what}, and IBM opens none again: leave 'id' out to make a "
                    "new one"
                )
        else:
            session = self.sessions.find(self.name) if self.name is not None else None
        if session and not is_closed(session):
            self._note(session)
        return session

    def _note(self, session: Session) -> None:
        """Write down whose name it is; a name that was noted already costs nothing."""
        if self.names and not self.check_mode and (self.entry.id != session["id"] or self.entry.intent):
            self._write(Entry(session["id"]))

    def _write(self, entry: Entry) -> None:
        if self.names:
            self.names.write(entry)
        self.entry = entry

    # Open

    def _open(self, found: Session | None) -> dict[str, Any]:
        if found is None or is_closed(found):
            return self._make()
        self._compare(found)
        if accepts_jobs(found):
            return self._unchanged(found)
        return self._changed(found, OPEN)

    def _compare(self, session: Session) -> None:
        for option, field in _COMPARED.items():
            wanted, present = self.params[option], session.get(field)
            if wanted is None or present is None or wanted == present:
                continue
            if option == "max_ttl" and (self.entry.id, self.entry.max_ttl) == (session["id"], wanted):
                continue  # it is what was asked for when it was made, and IBM gave less
            raise OptionError(
                f"{option!r}: the session {self._label(session)} has {present!r}, not {wanted!r}, and IBM does not "
                "change that: close it with 'state: closed', or give another 'name'"
            )

    def _make(self) -> dict[str, Any]:
        mode, backend = self.params["mode"] or "batch", self.params["backend"]
        if not backend:
            raise OptionError("'backend' is needed: there is no such session yet, and one is made for a backend")
        times = {option: self.params[option] for option in _TIMES if self.params[option] is not None}
        body = {"mode": mode, "backend": backend, **times}
        label = f"session {self.name}" if self.name is not None else "a new session"
        result = {"changed": True, "diff": diff({}, {**body, "state": OPEN}, label)}
        if self.check_mode:
            return {**result, "session": {"mode": mode, "backend_name": backend, **times, "state": OPEN}}
        # alone, so that after a lost answer a new session cannot be another task's
        with one_at_a_time(f"a new session on {backend}", *self.place, mode, backend):
            session = self._made(body)
        if session.get("max_ttl") is not None and times.get("max_ttl", session["max_ttl"]) != session["max_ttl"]:
            self.warn(f"'max_ttl': IBM gave the session {session['max_ttl']} s, not {times['max_ttl']} s")
        return {**result, "session": session}

    def _made(self, body: dict[str, Any]) -> Session:
        before = self.entry._replace(intent=None)
        intent = self.sessions.intent(body["mode"], body["backend"])
        self._write(before._replace(intent=intent))
        try:
            session = self.sessions.make(body, intent, self.names.others if self.names else set)
        except ApiError as error:
            if error.status is not None and 400 <= error.status < 500:
                self._write(before)
            raise
        self._write(Entry(session["id"], body.get("max_ttl")))
        return session

    # Not accepting, closed

    def _end(self, found: Session | None) -> dict[str, Any]:
        state = self.params["state"]
        if found is None or is_closed(found) or (state == NOT_ACCEPTING and not accepts_jobs(found)):
            return self._unchanged(found)
        return self._changed(found, state)

    # Results

    def _unchanged(self, session: Session | None) -> dict[str, Any]:
        shown = {"state": _state(session)} if session else {}
        return {"changed": False, "session": session, "diff": diff(shown, shown, f"session {self._label(session)}")}

    def _changed(self, session: Session, state: str) -> dict[str, Any]:
        change = diff({"state": _state(session)}, {"state": state}, f"session {self._label(session)}")
        if self.check_mode:
            now: Session | None = {**session, "accepting_jobs": state == OPEN}
            if state == CLOSED:
                now = {**session, "accepting_jobs": False, "state": CLOSED}
        elif state == CLOSED:
            now = self.sessions.close(session["id"])
        else:
            now = self.sessions.accept(session["id"], state == OPEN)
        return {"changed": True, "session": now, "diff": change}

    def _label(self, session: Session | None) -> str:
        names = [text for text in (self.name, session["id"] if session else self.params["id"]) if text]
        return f"{names[0]!r} ({names[1]})" if len(names) > 1 else str(names[0])


def _state(session: Session) -> str:
    """A session's state in the words of the option."""
    return CLOSED if is_closed(session) else OPEN if accepts_jobs(session) else NOT_ACCEPTING
