# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The Runtime API's sessions and batches, ``/v1/sessions``, and how one is found by the name that it has here.

A session is a dict as IBM represents it (``JobSession``): id, backend_name, mode (``batch`` or ``dedicated``), state
(``open``, ``active``, ``inactive``, ``closed``), accepting_jobs, max_ttl and times. IBM has neither names nor a list of
them; as workloads they are listed, where a dedicated one has the mode ``session``.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping
from urllib.parse import quote

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tags
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._identity import moment
from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import Job, Jobs
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime, not_there
from ansible_collections.ibm_quantum.platform.plugins.module_utils._session_names import Intent, Names
from ansible_collections.ibm_quantum.platform.plugins.module_utils._workloads import NEWEST_FIRST, PAGE, Workloads

Session = dict  # a session as IBM represents it

_PATH = "/v1/sessions"
#: What a call that HTTP had to repeat is answered when the first one, whose answer was lost, took effect.
_OWN_EFFECT = (404, 409)

#: Of the newest jobs with the tag of a name, and of the sessions that they are in, how many are looked at.
_TAGGED_JOBS, _TAGGED_SESSIONS = 200, 3
#: After a lost answer a session is looked for after these seconds, as IBM may still be at it; after no answer, longer.
_LOOKS, _LATE_LOOKS = (0.0, 1.0, 2.0), (1.0, 4.0, 10.0)
#: How far the clocks of IBM and this machine may be apart, and a request be under way, in seconds.
_NEAR = 3600.0


def is_closed(session: Mapping[str, Any]) -> bool:
    return session.get("state") == "closed"


def accepts_jobs(session: Mapping[str, Any]) -> bool:
    """Whether jobs can be submitted into it. IBM's document does not demand that it says so."""
    return not is_closed(session) and session.get("accepting_jobs") is not False


class Sessions(Runtime):
    """The sessions of one instance. Calls raise ApiError; ``warn`` is told of lost answers that were settled."""

    def __init__(self, client: Client, warn: Callable[[str], None] = lambda _text: None) -> None:
        super().__init__(client)
        self._warn = warn

    # Looking

    def get(self, session_id: str) -> Session:
        """One session. Raises OptionError where there is no such."""
        session = self.peek(session_id)
        if session is None:
            raise OptionError(f"the instance has no session {session_id}: check the ID, and that it is of 'instance'")
        return session

    def peek(self, session_id: str) -> Session | None:
        """One session, also a closed one; None where there is no such."""
        try:
            return self._get(_one(session_id))
        except ApiError as error:
            if not_there(error):
                return None
            raise

    def jobs(self, session_id: str, most: int | None = None) -> list[Job]:
        """The jobs in a session, the newest first."""
        return Jobs(self._client).list({"session_id": session_id}, most)

    def names(self, name: str) -> Names:
        """What this machine knows of a name."""
        url, headers = self._client.resolve(_PATH)
        return Names(url[: -len(_PATH)], headers["Service-CRN"], name)

    def find(self, name: str) -> Session | None:
        """The session of that name: one that is not closed, else the last one that was, None if none is known.

        This machine's own note counts first, then the tag of the jobs, which all controllers see. What they say is
        always verified. Raises OptionError where several are meant.
        """
        noted_id = self.names(name).read().id
        noted = self.peek(noted_id) if noted_id else None
        if noted and not is_closed(noted):
            return noted
        tagged = [session for session in map(self.peek, self._tagged(name, noted_id)) if session]
        alive = [session for session in tagged if not is_closed(session)]
        if len(alive) > 1:
            raise OptionError(
                f"'name': there are {len(alive)} sessions {name!r}: {_ids(alive)}. Give the 'id' of the one that is "
                "meant to the module session, with 'name' if it is to be known by it here"
            )
        return next(iter([*alive, *([noted] if noted else []), *tagged]), None)

    def _tagged(self, name: str, but: str | None) -> list[str]:
        """The IDs of the sessions in which the newest jobs with the tag of a name are."""
        jobs = Jobs(self._client).list({"tags": _tags.SESSION + name}, _TAGGED_JOBS)
        ids = dict.fromkeys(job["session_id"] for job in jobs if job.get("session_id") not in (None, "", but))
        return list(ids)[:_TAGGED_SESSIONS]

    # Making

    def intent(self, mode: str, backend: str) -> Intent:
        """What there is before a session is made, by which it is told from the others after a lost answer."""
        kind = "batch" if mode == "batch" else "session"
        return Intent(kind, backend, time.time(), [row["id"] for row in self._newest(kind, backend)])

    def made_since(self, intent: Intent, others: set[str]) -> list[Session]:
        """The sessions that may have come of an intent: new, alive, without a job, and not known under another name."""
        rows = self._newest(intent.mode, intent.backend)
        ids = [row["id"] for row in rows if row["id"] not in intent.known and _near(row, intent.at)]
        found = [self.peek(session_id) for session_id in ids if session_id not in others]
        return [one for one in found if one and accepts_jobs(one) and not self.jobs(one["id"], most=1)]

    def make(self, body: Mapping[str, Any], intent: Intent, others: Callable[[], set[str]]) -> Session:
        """``POST /v1/sessions``. A lost answer is settled by looking what is new, never by sending it again."""
        try:
            answer = self._client.call("POST", _PATH, json=body).json
            if isinstance(answer, dict) and answer.get("id"):
                return answer
            raise ApiError(
                "the answer has no session",
                method="POST",
                url=_PATH,
                remedy="Check 'runtime_url'",
                outcome_unknown=True,
            )
        except ApiError as error:
            if error.outcome_unknown:
                return self._settle_made(error, intent, others)
            if error.status in (400, 403):
                error.remedy = " ".join([*_hints(body), error.remedy])
            raise

    def _settle_made(self, error: ApiError, intent: Intent, others: Callable[[], set[str]]) -> Session:
        found: list[Session] = []
        for pause in _LATE_LOOKS if error.timed_out else _LOOKS:
            self._client.http.sleep(pause)
            try:
                found = self.made_since(intent, others())
            except ApiError:  # nothing can be read now: what happened to the call itself is what counts
                raise error from None
            if found:
                break
        if len(found) == 1:
            self._warn(f"the answer was lost, but the call took effect: {error.message}")
            return found[0]
        error.outcome_unknown = bool(found) or error.timed_out
        error.remedy = "It did not take effect: run the task again"
        if found:
            error.remedy = (
                f"Which session it made is not known, {len(found)} are new: {_ids(found)}. Give the 'id' of one, with "
                "'name' if it is to have one, and close the others with 'state: closed'"
            )
        elif error.timed_out:
            error.remedy = (
                "IBM may be at it still, so raise 'timeout'. With a 'name', run the task again: it looks first; "
                "without one, look with workload_info"
            )
        raise error

    def _newest(self, kind: str, backend: str) -> list[dict[str, Any]]:
        filters = {"user": "me", "mode": kind, "backend": backend, "sort": NEWEST_FIRST}
        return Workloads(self._client).find(filters, PAGE)[0]

    # Changing

    def accept(self, session_id: str, accepting: bool) -> Session | None:
        """Let a session take jobs, or no more; what waits still runs. What the session is then."""

        def so(now: Session | None) -> bool:
            return accepts_jobs(now or {"state": "closed"}) is accepting

        return self._change("PATCH", _one(session_id), session_id, so, {"accepting_jobs": accepting})

    def close(self, session_id: str) -> Session | None:
        """Close a session: what waits will not run, what runs goes on to its end."""
        return self._change("DELETE", f"{_one(session_id)}/close", session_id, lambda now: not now or is_closed(now))

    def _change(
        self, method: str, path: str, session_id: str, so: Callable[[Session | None], bool], body: Any = None
    ) -> Session | None:
        try:
            # what is sent is the state itself, so it does no harm to send it twice
            self._client.call(method, path, json=body, repeatable=True)
        except ApiError as error:
            if not error.outcome_unknown and error.status not in _OWN_EFFECT:
                raise
            try:
                now = self.peek(session_id)
            except ApiError:  # nothing can be read now: what happened to the call itself is what counts
                raise error from None
            if so(now):
                if error.outcome_unknown:  # else it is what a repeated call was answered
                    self._warn(f"the answer was lost, but the call took effect: {error.message}")
                return now
            if error.outcome_unknown:
                error.outcome_unknown = False
                error.remedy = "It did not take effect: run the task again"
            raise
        return self.peek(session_id)


def resolve(client: Client, name: str) -> str:
    """The ID of the session of that name, which takes jobs. Raises ApiError, and OptionError if there is none."""
    session = Sessions(client).find(name)
    if session is None or not accepts_jobs(session):
        state = "there is none" if session is None else f"{session['id']} is closed"
        if session and not is_closed(session):
            state = f"{session['id']} accepts no jobs"
        raise OptionError(
            f"the session {name!r} cannot take jobs: {state}. The module session with 'state: open' and this 'name' "
            "opens one"
        )
    return str(session["id"])


def _one(session_id: str) -> str:
    return f"{_PATH}/{quote(session_id, safe='')}"


def _ids(sessions: list[Session]) -> str:
    return ", ".join(str(session["id"]) for session in sessions)


def _near(row: Mapping[str, Any], at: float) -> bool:
    """Whether a workload was made at about a time of this machine; also where IBM does not tell it."""
    try:
        return abs(moment(str(row.get("created"))).timestamp() - at) <= _NEAR
    except OptionError:
        return True


def _hints(body: Mapping[str, Any]) -> list[str]:
    """What a refusal may come from, which IBM's own texts need not tell."""
    hints = []
    if body["mode"] == "dedicated":
        hints.append("An instance of the Open plan has no dedicated sessions: set 'mode: batch' there.")
    if "interactive_ttl" in body:
        hints.append("'interactive_ttl' and 'active_ttl' are for the Channel Partner plan: leave them out elsewhere.")
    return hints
