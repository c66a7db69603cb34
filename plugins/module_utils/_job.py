# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A job as it is declared, against what is at IBM: found by its key, submitted once, cancelled, deleted.

IBM makes a job for each POST, and its own client repeats them. Here a job carries its key as a tag. Before anything is
sent, after a lost answer and after a submission, the jobs of that key are looked up: so what was lost is found, and of
two controllers that submitted at the same time, the later one takes its job back.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tags, _tally
from ansible_collections.ibm_quantum.platform.plugins.module_utils._backends import CHOICE_SPEC, choose
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import (
    CANCELLED,
    COMPLETED,
    QUEUED,
    Job,
    Jobs,
    age,
    is_pending,
    status,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike
from ansible_collections.ibm_quantum.platform.plugins.module_utils._one_at_a_time import one_at_a_time
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import between
from ansible_collections.ibm_quantum.platform.plugins.module_utils._program import PUB_SPEC, Program, digest_of
from ansible_collections.ibm_quantum.platform.plugins.module_utils._sessions import Sessions, resolve

#: The options that tell one job from another; with CHOICE_SPEC, those that an element of ``jobs`` may have.
ONE_JOB: dict[str, dict[str, Any]] = {
    "name": {"type": "str"},
    "id": {"type": "str"},
    "program_id": {"type": "str", "default": "sampler"},
    "backend": {"type": "str"},
    "circuit": {"type": "str"},
    "circuit_file": {"type": "path"},
    "pubs": {"type": "list", "elements": "dict", "options": PUB_SPEC},
    "params": {"type": "dict"},
    "shots": {"type": "int"},
    "precision": {"type": "float"},
    "resilience_level": {"type": "int"},
    "options": {"type": "dict"},
    "support_qiskit": {"type": "bool", "default": False},
    "max_execution_time": {"type": "int"},
    "private": {"type": "bool", "default": False},
    "session_id": {"type": "str"},
    "session": {"type": "str"},
    "tags": {"type": "list", "elements": "str"},
    "log_level": {"type": "str", "choices": ["critical", "error", "warning", "info", "debug"]},
    "calibration_id": {"type": "str"},
    "result_file": {"type": "path"},
}

#: IBM's longest job, in seconds of QPU time.
LONGEST = 10800
_LONGEST_SESSION_ID = 36
_LONGEST_CALIBRATION_ID = 100

#: After a lost answer the job is looked for after these seconds, as IBM may still be at it.
_LOOKS = (0.5, 1.0, 2.0, 4.0)
#: After no answer at all, for longer.
_LATE_LOOKS = (1.0, 2.0, 4.0, 8.0, 15.0)
#: How often a submission that certainly failed is tried again.
_TRIES = 3
#: IBM says nothing about when: its limit counts minutes.
_RATE_PAUSE = 15.0
#: IBM's code for too many jobs that wait or run; it goes away as they end.
_TOO_MANY_PENDING = "1012"


class Outcome(NamedTuple):
    """What came of a job: ``job`` is None where there is none, and in check mode where one would be submitted."""

    job: Job | None
    changed: bool
    before: dict[str, Any]
    after: dict[str, Any]
    submitted: bool = False


class _NotSubmitted(Exception):
    """A submission whose answer was lost, and of which is known by now that IBM did not carry it out."""

    def __init__(self, error: ApiError, old: set[str]) -> None:
        super().__init__(str(error))
        self.error, self.old = error, old


class Declared:
    """One job of a task, checked without asking IBM. ``options`` are those of the module ``job``."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.name: str | None = options["name"]
        self.id: str | None = options["id"]
        self.resubmit: str = options["resubmit"]
        if self.name is not None:
            _tags.checked_name("name", self.name, _tags.LONGEST_NAME)
        runs = any(options[name] is not None for name in ("circuit", "circuit_file", "pubs", "params"))
        if options["state"] == "present" and self.id:
            raise OptionError("'id' is for 'state: cancelled' and 'absent': a new job has none before IBM gives it one")
        self.program = Program(options) if runs or options["state"] == "present" else None
        if not (self.id or self.name or self.program):
            raise OptionError("which job? Give its 'id', its 'name', or what was submitted")
        self._check()
        where: Any = options["backend"] or {name: options[name] for name in CHOICE_SPEC if options[name] is not None}
        self.content = digest_of(where, self.program.digest) if self.program else None
        self.key = self.name if self.name is not None else f"sha256:{self.content}" if self.content else ""
        own = [_tags.JOB + self.key] if self.key else []
        if self.name is not None and self.content:
            own.append(_tags.CONTENT + self.content)
        if options["session"]:
            _tags.checked_name("session", options["session"], _tags.LONGEST_SESSION_NAME)
            own.append(_tags.SESSION + options["session"])
        self.tags = _tags.checked(options["tags"] or [], own)

    def _check(self) -> None:
        options = self.options
        if options["max_execution_time"] is not None:
            between(options, "max_execution_time", 1, LONGEST, "seconds")
        for name, longest in (("session_id", _LONGEST_SESSION_ID), ("calibration_id", _LONGEST_CALIBRATION_ID)):
            if options[name] is not None and not 1 <= len(options[name]) <= longest:
                raise OptionError(f"{name!r} must have 1 to {longest} characters")
        if options["session"] and options["session_id"]:
            raise OptionError("give one of 'session', a name, and 'session_id'")
        if self.id and self.name is not None:
            raise OptionError("give one of 'id' and 'name': each says which job is meant")
        chosen = [name for name in CHOICE_SPEC if options[name] is not None]
        if options["backend"] and chosen:
            raise OptionError(f"{chosen[0]!r} chooses a backend, and 'backend' names one: leave one of them out")

    @property
    def runs(self) -> Program:
        """What is to be submitted. Raises OptionError where the task only names a job."""
        if self.program is None:
            raise OptionError("nothing to run: give 'circuit_file', 'circuit', 'pubs' or, for other programs, 'params'")
        return self.program

    @property
    def label(self) -> str:
        """How the job is called before people."""
        return f"job {self.id or self.name}" if self.id or self.name else f"job {self.key[:15]}..."


class JobTask:
    """The work of one task on one job after another."""

    def __init__(
        self, module: ModuleLike, client: Client, submit_timeout: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._module = module
        self._client = client
        self._check_mode = module.check_mode
        self._submit_timeout = submit_timeout
        self._now = now
        self._sleep = client.http.sleep
        self.jobs = Jobs(client)
        # asked for once a task: IDs of sessions by name, backends of sessions by ID
        self._sessions: dict[str, str] = {}
        self._backends: dict[str, str | None] = {}

    # Present

    def present(self, declared: Declared) -> Outcome:
        """The job of that key, submitted if there is none. Raises ApiError and OptionError."""
        end = self._now() + self._submit_timeout
        tries = 0
        before: set[str] | None = None  # the jobs that were there before a submission whose answer was lost
        while True:
            try:
                if self._check_mode:
                    return self._find_or(declared, self._predict)
                with self._lock(declared):
                    return self._find_or(declared, self._submit, before)
            except _NotSubmitted as lost:
                before = lost.old
                error = lost.error
                tries += 1
                if tries > _TRIES:
                    raise error from None
            except ApiError as refused:
                if refused.status != 429 and refused.body.code != _TOO_MANY_PENDING:
                    raise
                error = refused
            full = error.status == 429 or error.body.code == _TOO_MANY_PENDING
            pause = error.retry_after or (_RATE_PAUSE if full else float(2 ** (tries - 1)))
            if self._now() + pause > end:
                error.remedy = (
                    f"Not submitted within the {self._submit_timeout} s of 'submit_timeout': run the task again"
                )
                raise error from None
            self._module.progress(f"{declared.label} is not submitted yet, next try in {pause:.0f} s: {_why(error)}")
            self._sleep(pause)

    def _find_or(
        self, declared: Declared, submit: Callable[[Declared, list[Job]], Outcome], before: set[str] | None = None
    ) -> Outcome:
        known = self.jobs.list({"tags": _tags.JOB + declared.key})
        newest = max(known, key=age, default=None)
        if before is not None and newest and any(job["id"] not in before for job in known):
            job, _ours = self._only_one(declared, before, None, known)
            return Outcome(job, True, {}, self._shown(declared, {}), True)
        if newest is None or declared.resubmit == "always":
            return submit(declared, known)
        if declared.resubmit == "failed" and not is_pending(newest) and status(newest) != COMPLETED:
            return submit(declared, known)
        self._check_content(declared, newest)
        return self._found(declared, newest)

    def _found(self, declared: Declared, job: Job) -> Outcome:
        """A job that is there: its content is what is declared, its tags become so."""
        tags = list(job.get("tags") or [])
        if declared.options["tags"] is None or set(_tags.of_users(tags)) == set(_tags.of_users(declared.tags)):
            return Outcome(job, False, {}, {})
        wanted = _tags.checked(_tags.of_users(declared.tags), _tags.of_ours(tags))
        before, after = {"tags": _tags.of_users(tags)}, {"tags": _tags.of_users(declared.tags)}
        if not self._check_mode:
            self.jobs.tag(job["id"], wanted)
        return Outcome({**job, "tags": wanted}, True, before, after)

    def _check_content(self, declared: Declared, job: Job) -> None:
        tags = list(job.get("tags") or [])
        contents = [tag for tag in tags if tag.startswith(_tags.CONTENT)]
        if declared.name is not None and contents and contents != [_tags.CONTENT + (declared.content or "")]:
            raise OptionError(
                f"'name': there is a job {declared.name!r} ({job['id']}, {status(job)}) of another program, backend or "
                "circuit: give this one another name, delete the other with 'state: absent', or set 'resubmit: always' "
                "(of one that failed, 'failed')"
            )

    def _predict(self, declared: Declared, _known: list[Job]) -> Outcome:
        self._check_budget(declared)
        if declared.options["session"]:  # it may be one that this run, too, only would make
            where = {"session": declared.options["session"]}
        else:
            where = {"backend": self._place(declared.options)[0]}
        return Outcome(None, True, {}, self._shown(declared, {**self._fields(declared), **where}), True)

    def _submit(self, declared: Declared, known: list[Job]) -> Outcome:
        self._check_budget(declared)
        body = self._body(declared)
        old = {job["id"] for job in known}
        mine: str | None = None
        try:
            mine = self.jobs.submit(body)
        except ApiError as error:
            if not error.outcome_unknown:
                raise
            rows = self._settle(declared, old, error)
        else:
            rows = self._rows_with(declared, mine, body)
        job, submitted = self._only_one(declared, old, mine, rows)
        return Outcome(job, True, {}, self._shown(declared, body), submitted)

    def _rows_with(self, declared: Declared, mine: str, body: Mapping[str, Any]) -> list[Job]:
        """The jobs of the key, ours among them. That they cannot be read now is no error: the job is there."""
        try:
            rows = self.jobs.list({"tags": _tags.JOB + declared.key})
            if mine in [job["id"] for job in rows]:
                return rows
            own = self.jobs.get(mine)  # IBM's list does not have it yet
        except ApiError as error:
            self._module.warn(
                f"{declared.label} is submitted as {mine}, but whether somebody else did so at the same time cannot be "
                f"read: {error}"
            )
            return [{"id": mine, "backend": body["backend"], "tags": declared.tags, "status": QUEUED}]
        if own is None:
            raise ApiError(f"IBM took the job {mine} and does not know it any more", remedy="Run the task again")
        return [*rows, own]

    def _settle(self, declared: Declared, old: set[str], error: ApiError) -> list[Job]:
        """The answer was lost: look for the job. The jobs of the key where a new one is there, whoever submitted it.

        Raises _NotSubmitted where there is none, and the error itself where that is not known.
        """
        self._module.progress(f"{declared.label}: the answer to its submission was lost, looking whether it is there")
        for pause in _LATE_LOOKS if error.timed_out else _LOOKS:
            self._sleep(pause)
            try:
                rows = self.jobs.list({"tags": _tags.JOB + declared.key})
            except ApiError:  # nothing can be read now; perhaps at the next look
                continue
            if any(job["id"] not in old for job in rows):
                return rows
            error.outcome_unknown = error.timed_out
        if error.outcome_unknown:
            when = " in some minutes" if error.timed_out else ""
            error.remedy = (
                f"Whether the job was submitted is not known: run the task again{when}, it looks before it submits"
            )
            raise error
        error.remedy = "The job was not submitted: run the task again"
        raise _NotSubmitted(error, old)

    def _only_one(self, declared: Declared, old: set[str], mine: str | None, rows: list[Job]) -> tuple[Job, bool]:
        """The job of the key after a submission, and whether it is ours: who came later takes the own one back."""
        new = sorted((job for job in rows if job["id"] not in old), key=age)
        first = new[0]
        if declared.resubmit == "always":  # each run is to have its own
            if mine is None and len(new) > 1:
                ids = ", ".join(job["id"] for job in new)
                raise OptionError(f"{declared.label}: the answer was lost, and several new jobs have its key: {ids}")
            first = next((job for job in new if job["id"] == mine), first)
            late: list[Job] = []
        else:
            # after a lost answer nobody knows whose they are, but whoever it is takes all but the first back
            late = [job for job in new[1:] if mine in (None, job["id"])]
        for job in late:
            self._take_back(declared, job, first)
        self._check_content(declared, first)
        ours = mine in (None, first["id"])
        if mine is None:
            _tally.submitted(first["id"])
        return first, ours

    def _take_back(self, declared: Declared, own: Job, first: Job) -> None:
        """Somebody else submitted the same job a moment before: ours ends before it runs."""
        waited = status(own) == QUEUED
        if not self.jobs.cancel(own["id"]):  # it had ended; perhaps somebody else took it back as well
            now = self.jobs.get(own["id"])
            waited = waited and (now is None or status(now) == CANCELLED)
        if not waited:
            self._module.warn(
                f"{declared.label} was submitted twice at the same time, and {own['id']} had started before it could "
                f"be cancelled; the one that counts is {first['id']}"
            )
        try:
            self.jobs.delete(own["id"])
        except ApiError:  # it still winds down: without the key nobody takes it for the job
            self.jobs.tag(own["id"], _tags.of_users(declared.tags))

    def _body(self, declared: Declared) -> dict[str, Any]:
        backend, session_id = self._place(declared.options)
        place = {"backend": backend, **({"session_id": session_id} if session_id else {})}
        return {**self._fields(declared), **place, "params": declared.runs.params, "tags": declared.tags}

    def _fields(self, declared: Declared) -> dict[str, Any]:
        """A submission without its place, params and tags."""
        options = declared.options
        fields = {
            "program_id": declared.runs.program_id,
            "cost": options["max_execution_time"],
            "log_level": options["log_level"],
            "calibration_id": options["calibration_id"],
            "private": options["private"] or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _place(self, options: Mapping[str, Any]) -> tuple[str, str | None]:
        """The backend and the session of a job: as named, that of its session, or the least busy one that fits."""
        name, session_id, backend = options["session"], options["session_id"], options["backend"]
        if name:
            if name not in self._sessions:
                self._sessions[name] = resolve(self._client, name)
            session_id = self._sessions[name]
        if backend is None and session_id:
            if session_id not in self._backends:
                self._backends[session_id] = Sessions(self._client).get(session_id)["backend_name"]
            backend = self._backends[session_id]
            if not backend:
                raise OptionError(f"'backend' is needed: IBM does not tell yet which one the session {session_id} has")
        return backend or choose(self.jobs, options)["name"], session_id

    def _check_budget(self, declared: Declared) -> None:
        wanted = declared.options["require_remaining_seconds"]
        if wanted is None:
            return
        left = self.jobs.usage()["usage_remaining_seconds"]
        if left is not None and left < wanted:
            raise OptionError(
                f"'require_remaining_seconds': the instance has {left} s of QPU time left in this period, less than "
                f"{wanted} s: nothing was submitted. Raise the limit of the instance, or wait for the next period"
            )

    def _shown(self, declared: Declared, body: Mapping[str, Any]) -> dict[str, Any]:
        """A submission for a diff: all but the params, of which the digest tells enough."""
        params = {"sha256": declared.runs.digest, "bytes": declared.runs.size}
        return {**body, "params": params, "tags": _tags.of_users(declared.tags)}

    def _lock(self, declared: Declared) -> Any:
        settings = self._client.settings
        return one_at_a_time(declared.label, str(settings.runtime_url), str(settings.instance), declared.key)

    # Cancelled, absent

    def cancelled(self, declared: Declared) -> Outcome:
        """No job of these runs or waits any more. Raises ApiError where that cannot be had."""
        jobs = self._meant(declared)
        pending = [job for job in jobs if is_pending(job)]
        newest = max(jobs, key=age, default=None)
        before = {job["id"]: status(job) for job in pending}
        if not pending or self._check_mode:
            return Outcome(newest, bool(pending), before, dict.fromkeys(before, CANCELLED))
        ended = [self.jobs.cancel(job["id"]) for job in pending]
        now = {job["id"]: self.jobs.get(job["id"]) or job for job in pending}
        after = {job_id: status(job) for job_id, job in now.items()}
        changed = any(ended) or CANCELLED in after.values()
        return Outcome(now.get(newest["id"], newest) if newest else None, changed, before, after if changed else before)

    def absent(self, declared: Declared) -> Outcome:
        """None of these is there any more; those that wait or run are cancelled first."""
        jobs = self._meant(declared)
        before = {job["id"]: status(job) for job in jobs}
        if jobs and not self._check_mode:
            for job in jobs:
                if is_pending(job):
                    self.jobs.cancel(job["id"])
            for job in jobs:
                self._delete(job["id"])
        return Outcome(max(jobs, key=age, default=None), bool(jobs), before, {})

    def _delete(self, job_id: str) -> None:
        """Delete a job; one that was just cancelled may need a moment to end."""
        for pause in (0.5, 1.0, 2.0, 4.0, 8.0, None):
            try:
                return self.jobs.delete(job_id)
            except ApiError as error:
                if pause is None or error.status not in (400, 409):
                    raise
            self._sleep(pause)
        return None

    def _meant(self, declared: Declared) -> list[Job]:
        if declared.id:
            job = self.jobs.get(declared.id)
            return [job] if job else []
        return self.jobs.list({"tags": _tags.JOB + declared.key})


def _why(error: ApiError) -> str:
    if error.status == 429:
        return "IBM takes 5 jobs a minute of a user"
    return error.message
