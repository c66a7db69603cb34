# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs and sessions, and how time moves them: queued, running, ended. Nothing of HTTP.

Each backend runs one job at a time, in the order in which jobs came. Time is the emulator's clock, but for its skew.
:meth:`Work.advance` does all that is due; every request, the clock's control and a timer for what comes next call it.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Coroutine

from tests.emulator import engine, programs
from tests.emulator.backends import Backend
from tests.emulator.results import iso

if TYPE_CHECKING:
    from tests.emulator.state import Instance, State

QUEUED, RUNNING, COMPLETED, CANCELLED, FAILED = "Queued", "Running", "Completed", "Cancelled", "Failed"
RAN_TOO_LONG = "Cancelled - Ran too long"
#: IBM's longest job and session, and how long a session stays open for its first job, in seconds.
MAX_COST = 10800
MAX_TTL = 28800
FIRST_JOB = 1800

MAX_TIME_REASON = 1305
SESSION_CLOSED = 1217
_LATEST = 1e12


@dataclass
class Job:
    """A job. Times are seconds since the epoch; ``seconds`` of the QPU are what it will be charged when it runs."""

    instance: str
    user_id: str
    backend: str
    program: str
    params: dict[str, Any] | None
    created: float
    queue_until: float
    run_seconds: float
    seconds: int
    number: int = 0
    tags: list[str] = field(default_factory=list)
    cost: int = MAX_COST
    log_level: str = "warning"
    session_id: str = ""
    private: bool = False
    calibration_id: str = ""
    runtime: str = ""
    caller: str = ""
    hold: bool = False
    blocked: bool = False  # due, but kept from running: it then starts when it is seen that it can
    id: str = ""
    status: str = QUEUED
    ran_too_long: bool = False
    reason: str = ""
    reason_code: int = 0
    reason_solution: str = ""
    started: float = 0.0
    finished: float = 0.0
    charged: int = 0
    executions: int = 0
    outcome: dict[str, Any] | None = None
    result: str | None = None
    logs: list[str] = field(default_factory=list)

    @property
    def pending(self) -> bool:
        return self.status in (QUEUED, RUNNING)

    def log(self, now: float, text: str) -> None:
        self.logs.append(f"{iso(now)} INFO {text}")


@dataclass
class Session:
    """A session (mode dedicated) or batch."""

    instance: str
    user_id: str
    backend: str
    mode: str
    max_ttl: int
    interactive_ttl: int
    created: float
    id: str = ""
    state: str = "open"
    state_reason: str = ""
    accepting_jobs: bool = True
    cancelled: bool = False
    started: float = 0.0
    activated: float = 0.0
    closed: float = 0.0
    idle_since: float = 0.0
    refused_since: float = 0.0  # when it stopped to accept jobs
    timestamps: list[tuple[str, float]] = field(default_factory=list)

    def become(self, state: str, at: float, reason: str = "") -> None:
        self.state, self.state_reason = state, reason
        self.timestamps.append((state, at))
        if state == "active":
            self.activated = self.activated or at
            self.started = self.started or at
        if state == "closed":
            self.closed, self.accepting_jobs = at, False


class Conflict(Exception):
    """The job or session is not in a state for this; the text says in which it is."""


class Work:
    """All jobs and sessions."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.jobs: dict[str, Job] = {}
        self.sessions: dict[str, Session] = {}
        self.failures: list[dict[str, Any]] = []
        self.executions: list[dict[str, Any]] = []
        self._charged: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._free_at: dict[str, float] = {}
        self._stopping: asyncio.Task[None] | None = None
        self._submissions: list[tuple[str, float]] = []

    # Time

    def advance(self) -> None:
        """Do all that is due by the emulator's clock."""
        while self._step():
            pass
        self._wake()

    def _step(self) -> bool:
        """Do what is due now; whether anything was."""
        now, changed = self._state.clock.steady(), False
        for job in list(self.jobs.values()):
            if job.status == RUNNING and job.outcome is not None and now >= job.started + job.run_seconds:
                self._end(job, job.outcome)
                changed = True
        for session in self.sessions.values():
            changed = self._session_step(session, now) or changed
        busy = {job.backend for job in self.jobs.values() if job.status == RUNNING}
        for job in list(self.jobs.values()):
            if job.status == QUEUED and job.backend not in busy and self._may_start(job, now):
                self._start(job, now)
                busy.add(job.backend)
                changed = True
        return changed

    def _may_start(self, job: Job, now: float) -> bool:
        if now < job.queue_until:
            return False
        backend = self._state.backend(job.backend)
        if job.hold or self._state.settings.hold or backend is None or not self._online(backend):
            job.blocked = True
            return False
        return True

    def _online(self, backend: Backend) -> bool:
        changes = self._state.settings.backends.get(backend.name, {})
        return str(changes.get("status", backend.seed.status)) == "online"

    def _start(self, job: Job, now: float) -> None:
        job.status = RUNNING
        # When nobody looked for a while, it started when it could, not now.
        job.started = now if job.blocked else max(job.queue_until, self._free_at.get(job.backend, 0.0))
        job.executions += 1
        row = {"time": job.started, "job_id": job.id, "execution": job.executions}
        row |= {"backend": job.backend, "program": job.program, "instance": job.instance, "tags": list(job.tags)}
        self.executions.append(row)
        job.log(job.started, f"Running {job.program} on {job.backend}.")
        session = self.sessions.get(job.session_id)
        if session and session.state != "active":
            session.become("active", job.started)
        if job.seconds > job.cost:
            text = f"The job ran longer than its maximum execution time of {job.cost} seconds."
            solution = "Raise the maximum execution time, or split the job."
            job.outcome = {"too_long": True, **engine.failure(text, MAX_TIME_REASON, solution)}
        elif self.failures:
            first = self.failures[0]
            first["times"] -= 1
            if not first["times"]:
                self.failures.pop(0)
            job.outcome = engine.failure(first["reason"], first["code"], first["solution"])
        else:
            self._spawn(self._execute(job))

    async def _execute(self, job: Job) -> None:
        settings, params = self._state.settings, job.params or {}
        backend = self._state.backend(job.backend)
        assert backend is not None  # a job runs on a backend that is online
        facts = backend.facts
        task = {
            "program": job.program,
            "params": params,
            "seed": engine.seed_of(params),
            "now": job.started + self._state.clock.skew,
            "native": settings.native_circuits,
            "backend": {
                "name": job.backend,
                "n_qubits": facts["n_qubits"],
                "basis_gates": facts["basis_gates"],
                "supported_instructions": facts.get("supported_instructions") or [],
                "coupling_map": facts["coupling_map"],
            },
        }
        outcome = await self._state.engine.run(task, settings.engine == "builtin")
        if job.status == RUNNING:
            job.outcome = outcome
            self.advance()

    def _end(self, job: Job, outcome: dict[str, Any]) -> None:
        job.finished = job.started + job.run_seconds
        if "error" in outcome:
            job.status = CANCELLED if outcome.get("too_long") else FAILED
            job.ran_too_long = bool(outcome.get("too_long"))
            job.reason, job.reason_code = outcome["error"], outcome["code"]
            job.reason_solution = outcome["solution"]
            job.result = outcome["text"] or job.reason if job.status == FAILED else None
        else:
            job.status, job.result = COMPLETED, outcome["result"]
        self._finish(job, min(job.seconds, job.cost) if job.status != FAILED else 0)

    def _finish(self, job: Job, seconds: int) -> None:
        job.outcome, job.charged = None, seconds
        self._charged[job.instance] = self._charged.get(job.instance, 0) + seconds
        if job.started:
            self._free_at[job.backend] = max(job.finished, self._free_at.get(job.backend, 0.0))
        job.log(job.finished, f"{job.status}{': ' + job.reason if job.reason else '.'}")
        if job.private:
            job.params = None
        session = self.sessions.get(job.session_id)
        if session:
            session.idle_since = job.finished

    def _session_step(self, session: Session, now: float) -> bool:
        if session.state == "closed":
            return False
        mine = self.jobs_of(session)
        if session.activated and now >= session.activated + session.max_ttl:
            session.become("closed", session.activated + session.max_ttl, "The maximum time of the session is over.")
            for job in mine:
                if job.status == QUEUED:
                    self._drop(job, FAILED, session.closed, "The session's maximum time is over.", SESSION_CLOSED)
            return True
        if any(job.pending for job in mine):
            return False
        if not session.accepting_jobs:
            session.become("closed", max(session.idle_since, session.refused_since), "No more jobs to run.")
            return True
        if session.state == "open" and now >= session.created + FIRST_JOB:
            session.become("closed", session.created + FIRST_JOB, "No job came within 30 minutes.")
            return True
        if session.state == "active" and now >= session.idle_since + session.interactive_ttl:
            session.become("inactive", session.idle_since + session.interactive_ttl)
            return True
        return False

    def _wake(self) -> None:
        """Set the timer for whatever comes next."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now = self._state.clock.steady()
        due = [_LATEST]
        for job in self.jobs.values():
            if job.status == RUNNING and job.outcome is not None:
                due.append(job.started + job.run_seconds)
            elif job.status == QUEUED and job.queue_until > now:
                due.append(job.queue_until)
        if min(due) < _LATEST:
            delay = min(max(min(due) - now, 0.005), 3600)
            self._timer = asyncio.get_running_loop().call_later(delay, self.advance)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Forget it all; a job that runs ends unheard, and its worker with it."""
        if self._timer:
            self._timer.cancel()
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            self._stopping = asyncio.get_running_loop().create_task(self._state.engine.stop())

    # Jobs

    def submit(self, job: Job) -> Job:
        self._submissions.append((job.user_id, job.created))
        job.number = len(self._submissions)
        alphabet = "0123456789abcdefghijklmnopqrstuv"
        job.id = "d" + "".join(secrets.choice(alphabet) for _turn in range(19))
        session = self.sessions.get(job.session_id)
        if session and session.state == "active":
            job.queue_until = job.created  # it has the backend
        self.jobs[job.id] = job
        job.log(job.created, "Queued.")
        self.advance()
        return job

    def cancel(self, job: Job) -> None:
        """Raises :class:`Conflict` for a job that has ended."""
        if not job.pending:
            raise Conflict(f"The job is in the state {job.status}.")
        now = self._state.clock.steady()
        used = min(job.seconds, int(now - job.started)) if job.status == RUNNING else 0
        self._drop(job, CANCELLED, now, charged=used)
        self.advance()

    def _drop(self, job: Job, status: str, at: float, reason: str = "", code: int = 0, charged: int = 0) -> None:
        job.status, job.finished, job.reason, job.reason_code = status, at, reason, code
        self._finish(job, charged)

    def delete(self, job: Job) -> None:
        """Raises :class:`Conflict` for a job that has not ended."""
        if job.pending:
            raise Conflict(f"The job is in the state {job.status}.")
        del self.jobs[job.id]

    def submissions(self, user_id: str, since: float) -> list[float]:
        """When a user submitted jobs since a time, also those that are deleted, the oldest first."""
        return [at for user, at in self._submissions if user == user_id and at > since]

    def charged(self, instance: str) -> int:
        """Seconds of QPU time that jobs used, also those that are deleted."""
        return self._charged.get(instance, 0)

    def queue(self, backend: str) -> list[Job]:
        """The jobs that wait for a backend, the next one first."""
        return [job for job in self.jobs.values() if job.backend == backend and job.status == QUEUED]

    def estimate(self, job: Job) -> float | None:
        """When a waiting job will start; None while it, or one that it waits for, is held."""
        running = [each for each in self.jobs.values() if each.status == RUNNING and each.backend == job.backend]
        at = max((each.started + each.run_seconds for each in running), default=0.0)
        for each in self.queue(job.backend):
            if each.hold or self._state.settings.hold:
                return None
            start = max(at, each.queue_until, self._state.clock.steady())
            if each is job:
                return start
            at = start + each.run_seconds
        return None

    # Sessions

    def open(self, instance: Instance, user_id: str, backend: str, mode: str, max_ttl: int) -> Session:
        now = self._state.clock.steady()
        interactive = self._state.settings.interactive_ttl
        session = Session(instance.crn, user_id, backend, mode, min(max_ttl, MAX_TTL), interactive, now)
        session.id = str(uuid.uuid4())
        session.become("open", now)
        self.sessions[session.id] = session
        return session

    def jobs_of(self, session: Session) -> list[Job]:
        return [job for job in self.jobs.values() if job.session_id == session.id]

    def cancel_session(self, session: Session) -> None:
        """Close it now: what waits will not run, what runs goes on to its end."""
        now = self._state.clock.steady()
        for job in self.jobs_of(session):
            if job.status == QUEUED:
                self._drop(job, CANCELLED, now, "The session was closed.")
        session.cancelled = True
        if session.state != "closed":
            session.become("closed", now, "The session was closed.")

    def elapsed(self, session: Session) -> float | None:
        """The use of a closed session in seconds: a batch's QPU time, a dedicated session's time with the backend."""
        if session.state != "closed":
            return None
        if session.mode == "batch":
            return float(sum(job.charged for job in self.jobs_of(session)))
        changes = zip(session.timestamps, session.timestamps[1:])
        return sum(after - before for (status, before), (_next, after) in changes if status == "active")


def reckon(program: str, params: dict[str, Any], fixed: int | None) -> int:
    """Seconds of QPU time for a job: a test's setting, or two and one more for each 4000 shots."""
    return fixed if fixed is not None else 2 + programs.shots(program, params) // 4000
