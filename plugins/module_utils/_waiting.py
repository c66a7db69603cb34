# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Waiting for jobs: few requests, one poll for all, shown as it goes, and never the end of a job.

IBM publishes no advice on polling; its client asks every half second. Here the pauses grow to a minute, and shorten
before the estimated start of a job that is alone.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any, Callable, Iterable, Mapping

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tally
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._identity import moment
from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import QUEUED, Job, Jobs, is_pending, status

#: The longest that a task may wait for jobs or to submit them, in seconds: 30 days.
LONGEST_TIMEOUT = 2592000

_SHORTEST, _LONGEST, _GROWTH = 0.3, 60.0, 1.5  # seconds between two polls
#: Queue position and estimate are a request of their own: asked for at most this often, in seconds.
_LOOK_AT_QUEUE = 120.0
#: So many jobs are named in what is shown.
_NAMED = 10
#: So many of those that ended are read one by one; more with a list.
_ONE_BY_ONE = 5


class Waiter:
    """Waits until jobs have ended, or for ``timeout`` seconds.

    ``show`` gets lines for people. ``sleep``, ``now`` (steady seconds) and ``wall`` (seconds since the epoch) are those
    of the machine.
    """

    def __init__(
        self,
        jobs: Jobs,
        timeout: float,
        show: Callable[[str], None],
        sleep: Callable[[float], None],
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._jobs, self._timeout, self._show = jobs, timeout, show
        self._sleep, self._now, self._wall = sleep, now, wall
        self._queue_known = True
        self._has_places = True  # whether IBM's metrics tell the place in the queue or the start
        self._trusted = True  # whether estimates have been right so far
        self._queue_asked: float | None = None
        self._queue: dict[str, Any] = {}
        self._shown = ""

    def wait(self, found: Iterable[Job]) -> dict[str, Job]:
        """The jobs by their IDs, as they were last seen: those that are still pending took too long.

        Raises ApiError for what waiting does not mend; its remedy says that the jobs go on. A job that somebody deletes
        meanwhile is left out.
        """
        jobs = {job["id"]: job for job in found}
        end = self._now() + self._timeout
        pause = _SHORTEST
        asked: float | None = None  # after an error, for how long to leave IBM alone
        pending = waiting = [job_id for job_id, job in jobs.items() if is_pending(job)]
        while waiting and (left := end - self._now()) > 0:
            self._sleep(min(asked if asked is not None else self._until_start(pause), left))
            pause, asked = min(pause * _GROWTH, _LONGEST), None
            before = {job_id: status(jobs[job_id]) for job_id in waiting}
            try:
                self._poll(jobs, waiting)
            except ApiError as error:
                asked = self._after(error, pause, waiting, end)
            waiting = [job_id for job_id in waiting if job_id in jobs and is_pending(jobs[job_id])]
            if waiting and len(jobs) == 1 and status(jobs[waiting[0]]) != before[waiting[0]]:
                pause = _SHORTEST  # it runs: most do so for seconds
            if waiting and asked is None:
                self._tell(jobs, waiting)
        for job_id in pending:
            _tally.seen(jobs.get(job_id, {}))
        return jobs

    def _after(self, error: ApiError, pause: float, waiting: list[str], end: float) -> float:
        """What a failed poll means: another pause, or the end of the waiting, but never of the job."""
        if not (error.transient or error.status == 429 or (error.status or 0) >= 500):
            error.remedy = ". ".join(filter(None, (error.remedy.rstrip("."), _goes_on(waiting))))
            raise error
        pause = max(pause, error.retry_after or 0.0)
        if self._now() + pause > end:
            error.remedy = _goes_on(waiting)
            raise error
        self._show(f"{error.message}; IBM is asked again in {pause:.0f} s, {_named(waiting)} not affected")
        return pause

    def _poll(self, jobs: dict[str, Job], waiting: list[str]) -> None:
        """Bring jobs up to date: one by its own call, several by the list of those that are pending."""
        ended = waiting
        if len(waiting) > 1:
            oldest = _before(min(str(jobs[job_id].get("created") or "") for job_id in waiting))
            pending = {job["id"]: job for job in self._jobs.list({"pending": True, "created_after": oldest})}
            jobs.update({job_id: pending[job_id] for job_id in waiting if job_id in pending})
            ended = [job_id for job_id in waiting if job_id not in pending]
            if len(ended) > _ONE_BY_ONE:
                rows = self._jobs.list({"created_after": oldest})
                done = {job["id"]: job for job in rows if not is_pending(job)}
                jobs.update({job_id: done[job_id] for job_id in ended if job_id in done})
                ended = [job_id for job_id in ended if job_id not in done]
        for job_id in ended:
            job = self._jobs.get(job_id)
            if job is None:
                jobs.pop(job_id)
            else:
                jobs[job_id] = job

    # What is shown

    def _tell(self, jobs: Mapping[str, Job], waiting: list[str]) -> None:
        if not self._shown:
            them = "it" if len(waiting) == 1 else "them"
            self._show(f"waiting for {_named(waiting)}; stopping this run does not stop {them}: {hint(waiting)}")
        if len(waiting) == 1 and len(jobs) == 1:
            text = self._of_one(jobs[waiting[0]])
        else:
            running = sum(status(jobs[job_id]) != QUEUED for job_id in waiting)
            ended, queued = len(jobs) - len(waiting), len(waiting) - running
            text = f"{ended} of {len(jobs)} jobs ended, {running} running, {queued} queued"
        if text != self._shown:
            self._shown = text
            self._show(text)

    def _of_one(self, job: Job) -> str:
        text = f"job {job['id']} on {job.get('backend')}: {status(job)}"
        if status(job) != QUEUED:
            return text
        self._ask_queue(job)
        if isinstance(self._queue.get("position_in_queue"), int):
            text += f", number {self._queue['position_in_queue']} in the queue"
        elif isinstance(self._queue.get("length_queue"), int):
            text += f", {self._queue['length_queue']} jobs wait there"
        start = _seconds(self._queue.get("estimated_start_time"))
        if start is not None:
            text += f", estimated to start at {datetime.fromtimestamp(start, tz=timezone.utc):%H:%M} UTC"
        return text

    def _ask_queue(self, job: Job) -> None:
        """Position and estimate, where IBM tells them (older documents have them); else how long the queue is."""
        due = self._queue_asked is None or self._now() - self._queue_asked >= _LOOK_AT_QUEUE
        if not (due and self._queue_known):
            return
        self._queue_asked = self._now()
        try:
            if self._has_places:
                self._queue = self._jobs.metrics(job["id"])
                self._has_places = "position_in_queue" in self._queue or "estimated_start_time" in self._queue
            if not self._has_places:
                self._queue = self._jobs.backend_detail(str(job.get("backend")), "status") or {}
        except ApiError:  # it is only for show
            self._queue_known = False

    def _until_start(self, pause: float) -> float:
        """The pause before the next poll: half of the time to the estimated start, but no more than a minute."""
        start = _seconds(self._queue.get("estimated_start_time"))
        if start is None or not self._trusted or not self._shown.count(QUEUED):
            return pause
        left = start - self._wall()
        self._trusted = left > 0  # one that has passed was wrong, and so may be the next
        return min(max(left / 2, _SHORTEST), _LONGEST) if self._trusted else pause


def _seconds(text: Any) -> float | None:
    """One of IBM's times in seconds since the epoch; None where there is none."""
    try:
        return moment(str(text)).timestamp()
    except OptionError:
        return None


def _before(text: str) -> str | None:
    """A second before one of IBM's times: whether created_after leaves out that time itself, IBM does not say."""
    seconds = _seconds(text)
    if seconds is None:
        return None
    return (
        datetime.fromtimestamp(seconds - 1, tz=timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def hint(ids: list[str]) -> str:
    """How to come back to jobs."""
    if len(ids) > _NAMED:
        return "run the task again to come back"
    options = f"'ids: [{', '.join(ids)}]', 'wait: true' and 'results: decoded'"
    return f"run the task again, or ibm_quantum.platform.job_info with {options}, to come back"


def _goes_on(ids: list[str]) -> str:
    verb = "goes on" if len(ids) == 1 else "go on"
    named = _named(ids)
    return f"{named[0].upper()}{named[1:]} {verb}: {hint(ids)}"


def took_too_long(jobs: Iterable[Job], timeout: float) -> str:
    """The error for jobs that have not ended in time."""
    late = [job for job in jobs if is_pending(job)]
    states = " and ".join(sorted({status(job) for job in late}))
    verb = "is" if len(late) == 1 else "are"
    ids = [job["id"] for job in late]
    return f"{_named(ids)} {verb} still {states} after the {timeout:g} s of 'wait_timeout'. {_goes_on(ids)}."


def _named(ids: list[str]) -> str:
    return f"job {ids[0]}" if len(ids) == 1 else f"{len(ids)} jobs"
