# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for jobs: an emulated hour takes no time, and every request is counted.

``Ibm`` answers the calls of ``Jobs`` by a clock that only pauses move; what HTTP does with errors is scripted.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import NamedTuple

import pytest
from requests.exceptions import ConnectionError as Broken
from requests.exceptions import ReadTimeout, SSLError

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tally
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, answer_error
from ansible_collections.ibm_quantum.platform.plugins.module_utils._http import Reply
from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import Jobs, status
from ansible_collections.ibm_quantum.platform.plugins.module_utils._waiting import Waiter, hint, took_too_long
from ansible_collections.ibm_quantum.platform.plugins.modules import job as module_job
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import (
    API_KEY,
    CRN,
    OTHER_TOKEN,
    Module,
    ibm_error,
    token_reply,
)

START = datetime(2026, 11, 28, 2, 0, tzinfo=timezone.utc).timestamp()
NEVER = float("inf")
HALF_AN_HOUR = 1800.0
NO_QUEUE = {"timestamps": {}, "usage": {"qpu_charge_time_seconds": 0, "status": "pending"}}  # IBM's newest document
INSTANCE_NOT_FOUND = {"status": 404, "reply": ibm_error("1279", "Instance not found.")}


def stamp(at):
    """IBM's form of a time, given in seconds after the start."""
    return datetime.fromtimestamp(START + at, tz=timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Clock:
    """Time that passes only in pauses."""

    def __init__(self):
        self.at = 0.0
        self.pauses = []

    def sleep(self, seconds):
        assert seconds >= 0
        self.pauses.append(seconds)
        self.at += seconds

    def now(self):
        return self.at

    def wall(self):
        return START + self.at


class Life(NamedTuple):
    """When a job starts, ends, is deleted; how it ends; when it was made."""

    starts: float = 0.0
    ends: float = NEVER
    gone: float = NEVER
    how: str = "Completed"
    made: float = -60.0


class Ibm:
    """The client of ``Jobs``, and IBM behind it.

    ``strict`` tells whether created_after leaves out a job of just that time, of which IBM's document says nothing.
    """

    def __init__(self, clock):
        self.clock = clock
        self.lives = {}
        self.hidden = set()  # what the list does not have though it should
        self.strict = True
        self.asked = []
        self.times = []  # when it was asked
        self.metrics = lambda: NO_QUEUE
        self.backend_status = {"reply": {"state": True, "status": "active", "length_queue": 7}}

    def job(self, job_id):
        life, at = self.lives[job_id], self.clock.at
        now = life.how if at >= life.ends else "Running" if at >= life.starts else "Queued"
        found = {"id": job_id, "backend": "ibm_fez", "created": stamp(life.made)}
        return {**found, "state": {"status": now.partition(" - ")[0]}, "status": now}

    def jobs(self):
        return [self.job(job_id) for job_id, life in self.lives.items() if self.clock.at < life.gone]

    def call(self, method, target, *, query=None, **_rest):
        self.asked.append(target)
        self.times.append(self.clock.at)
        assert method == "GET"
        return Reply(200, {}, self._answer(target, query or {}), "")

    def _answer(self, target, query):
        if target == "/v1/jobs":
            return self._page(query)
        if target == "/v1/backends/ibm_fez/status":
            return self._scripted("status", self.backend_status)
        job_id, _slash, rest = target[len("/v1/jobs/") :].partition("/")
        if rest == "metrics":
            return self._scripted("metrics", {"reply": self.metrics()})
        found = {job["id"]: job for job in self.jobs()}
        if job_id not in found:
            text = json.dumps(ibm_error("1291", "Job not found."))
            raise answer_error("GET", target, 404, "Not Found", text)
        return found[job_id]

    @staticmethod
    def _scripted(target, answer):
        if answer["reply"] is None:
            raise answer_error("GET", target, 404, "Not Found", "")
        return answer["reply"]

    def _page(self, query):
        def wanted(job):
            after = query.get("created_after")
            pending = status(job) in ("Queued", "Running")
            return (
                job["id"] not in self.hidden
                and query.get("pending", pending) == pending
                and (not after or job["created"] > after or (job["created"] == after and not self.strict))
            )

        rows = [job for job in self.jobs() if wanted(job)]
        rows.sort(key=lambda job: job["created"], reverse=True)
        first, limit = query.get("offset", 0), query["limit"]
        return {"jobs": rows[first : first + limit], "count": len(rows), "offset": first, "limit": limit}


def waiter(jobs, timeout, clock, shown):
    """A Waiter by the clock, whose lines are kept with the times at which they came."""
    return Waiter(jobs, timeout, lambda text: shown.append((clock.at, text)), clock.sleep, clock.now, clock.wall)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ibm_of(clock):
    return Ibm(clock)


@pytest.fixture
def shown():
    return []


@pytest.fixture
def wait(clock, ibm_of, shown):
    """Waits for jobs of these lives, named d0, d1 and so on."""

    def call(*lives, timeout=7200.0):
        ibm_of.lives = {f"d{number}": life for number, life in enumerate(lives)}
        return waiter(Jobs(ibm_of), timeout, clock, shown).wait(ibm_of.jobs())

    return call


def statuses(found):
    return {job_id: status(job) for job_id, job in found.items()}


# One job


def test_nothing_to_wait_for(wait, clock, ibm_of, shown):
    found = wait(Life(ends=0), Life(ends=0, how="Failed"), Life(ends=0, how="Cancelled - Ran too long"))
    assert statuses(found) == {"d0": "Completed", "d1": "Failed", "d2": "Cancelled"}
    assert (clock.pauses, ibm_of.asked, shown) == ([], [], [])
    assert wait() == {}


@pytest.mark.parametrize("how", ["Completed", "Failed", "Cancelled", "Cancelled - Ran too long"])
def test_one_that_ends(wait, how):
    assert wait(Life(ends=5, how=how))["d0"]["status"] == how


def test_pauses_grow_to_a_minute(wait, clock):
    wait(Life(ends=HALF_AN_HOUR))
    assert clock.pauses[0] <= 1, "most jobs run for seconds"
    assert clock.pauses == sorted(clock.pauses)
    assert max(clock.pauses) == 60
    assert clock.pauses.count(60) > 20


def test_the_end_is_seen_soon(wait, clock):
    for seconds in (2, 10, 60):
        clock.at, clock.pauses[:] = 0.0, []
        wait(Life(ends=seconds))
        assert clock.at - seconds <= 0.6 * seconds + 0.5


def test_when_it_starts_pauses_are_short_again(wait, clock):
    wait(Life(starts=600, ends=660))
    assert clock.at < 720
    times = [sum(clock.pauses[: number + 1]) for number in range(len(clock.pauses))]
    seen = next(number for number, at in enumerate(times) if at >= 600)
    assert clock.pauses[seen] > 50 and clock.pauses[seen + 1] <= 1


def test_a_status_that_is_not_known_goes_on(wait, ibm_of, monkeypatch):
    monkeypatch.setattr(ibm_of, "job", lambda _id: {"id": "d0", "state": {"status": "Paused"}})
    assert statuses(wait(Life(), timeout=60)) == {"d0": "Paused"}


def test_timeout(wait, clock):
    assert statuses(wait(Life(starts=NEVER), timeout=100)) == {"d0": "Queued"}
    assert clock.at == pytest.approx(100), "not a second longer"


def test_one_that_ends_in_the_last_pause(wait):
    assert statuses(wait(Life(ends=100), timeout=100)) == {"d0": "Completed"}


def test_deleted_meanwhile(wait, clock):
    assert wait(Life(starts=NEVER, gone=50)) == {}
    assert clock.at < 100


# How much it asks, in half an hour in the queue


def slips(ibm_of):
    """IBM says all the time that it is a minute till then."""
    return lambda: {"estimated_start_time": stamp(ibm_of.clock.at + 60)}


@pytest.mark.parametrize(
    "metrics",
    [
        pytest.param(lambda _ibm: lambda: NO_QUEUE, id="no estimate"),
        pytest.param(lambda _ibm: lambda: {"position_in_queue": 4}, id="place only"),
        pytest.param(lambda _ibm: lambda: {"estimated_start_time": stamp(HALF_AN_HOUR)}, id="right estimate"),
        pytest.param(lambda _ibm: lambda: {"estimated_start_time": stamp(2 * HALF_AN_HOUR)}, id="late estimate"),
        pytest.param(lambda _ibm: lambda: {"estimated_start_time": stamp(300)}, id="early estimate"),
        pytest.param(lambda _ibm: lambda: {"estimated_start_time": stamp(-300)}, id="estimate in the past"),
        pytest.param(slips, id="estimate that slips"),
        pytest.param(lambda _ibm: lambda: {"estimated_start_time": "soon"}, id="estimate that is no time"),
        pytest.param(lambda _ibm: lambda: None, id="no metrics"),
    ],
)
def test_half_an_hour_in_the_queue_is_at_most_60_requests(wait, ibm_of, metrics):
    ibm_of.metrics = metrics(ibm_of)
    assert statuses(wait(Life(starts=HALF_AN_HOUR, ends=HALF_AN_HOUR + 10))) == {"d0": "Completed"}
    assert sum(at <= HALF_AN_HOUR for at in ibm_of.times) <= 60


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("number", [2, 50, 200])
def test_half_an_hour_of_many_is_no_more(wait, ibm_of, number, strict):
    ibm_of.strict = strict
    lives = [Life(starts=HALF_AN_HOUR - 1, ends=HALF_AN_HOUR, made=-number) for number in range(number)]
    assert set(statuses(wait(*lives)).values()) == {"Completed"}
    assert len(ibm_of.asked) <= 60


@pytest.mark.parametrize("strict", [True, False])
def test_one_poll_for_all(wait, clock, ibm_of, strict):
    ibm_of.strict = strict
    wait(*[Life(starts=100 * number, made=number) for number in range(20)], timeout=600)
    assert len(ibm_of.asked) == len(clock.pauses)
    assert set(ibm_of.asked) == {"/v1/jobs"}


def test_pages(wait, clock, ibm_of):
    ibm_of.strict = False
    found = wait(*[Life(made=number) for number in range(401)], timeout=5)
    assert len(found) == 401
    assert len(ibm_of.asked) == 3 * len(clock.pauses)


def test_those_that_end_one_after_the_other(wait, ibm_of, clock):
    ibm_of.strict = False
    found = wait(Life(ends=NEVER), Life(ends=1), Life(ends=50, how="Failed"), timeout=200)
    assert statuses(found) == {"d0": "Running", "d1": "Completed", "d2": "Failed"}
    assert (ibm_of.asked.count("/v1/jobs/d1"), ibm_of.asked.count("/v1/jobs/d2")) == (1, 1)
    assert len(ibm_of.asked) == len(clock.pauses) + 2


def test_many_that_end_at_once_are_read_with_a_list(wait, ibm_of, clock):
    ibm_of.strict = False
    assert len(wait(*[Life(ends=100)] * 100)) == 100
    assert len(ibm_of.asked) == len(clock.pauses) + 1


def test_one_that_leaves_the_list_without_having_ended(wait, ibm_of, clock):
    """What ends between two pages moves another job to the page that was read already."""
    ibm_of.hidden = {"d1"}
    found = wait(Life(ends=100), Life(starts=50, ends=200), Life(ends=300))
    assert statuses(found) == {"d0": "Completed", "d1": "Completed", "d2": "Completed"}
    assert clock.at >= 300


def test_one_of_many_is_deleted_meanwhile(wait):
    found = wait(Life(ends=100), Life(starts=NEVER, gone=50), Life(ends=100))
    assert statuses(found) == {"d0": "Completed", "d2": "Completed"}


def test_all_are_deleted_meanwhile(wait, clock):
    assert wait(*[Life(starts=NEVER, gone=50)] * 10) == {}
    assert clock.at < 120


def test_timeout_of_many(wait, clock):
    found = wait(Life(ends=10), Life(starts=10), Life(starts=NEVER), timeout=100)
    assert statuses(found) == {"d0": "Completed", "d1": "Running", "d2": "Queued"}
    assert clock.at == pytest.approx(100)


# What is shown


def test_lines_of_one(wait, ibm_of, shown):
    ibm_of.metrics = lambda: {"position_in_queue": 3, "estimated_start_time": stamp(900)}
    wait(Life(starts=900, ends=1000))
    lines = [text for _at, text in shown]
    assert lines == [
        f"waiting for job d0; stopping this run does not stop it: {hint(['d0'])}",
        "job d0 on ibm_fez: Queued, number 3 in the queue, estimated to start at 02:15 UTC",
        "job d0 on ibm_fez: Running",
    ]
    assert shown[0][0] <= 1, "at once"
    assert shown[2][0] - 900 <= 2, "the estimate makes the start be seen soon"


def test_the_length_of_the_queue(wait, shown):
    wait(Life(starts=100, ends=101))
    assert "job d0 on ibm_fez: Queued, 7 jobs wait there" in [text for _at, text in shown]


def test_a_queue_that_moves(wait, ibm_of, shown):
    ibm_of.metrics = lambda: {"position_in_queue": 9 - int(ibm_of.clock.at // 200)}
    wait(Life(starts=900, ends=901))
    places = [text.partition("number ")[2].partition(" ")[0] for _at, text in shown if "number" in text]
    assert places == sorted(set(places), reverse=True) and len(places) >= 4


@pytest.mark.parametrize(
    "text, shown_as",
    [
        ("2026-11-28T02:15:00Z", "02:15"),
        ("2026-11-28T02:15:00.5Z", "02:15"),
        ("2026-11-28T02:15:00.123456Z", "02:15"),
        ("2026-11-28T04:15:00+02:00", "02:15"),
        ("2026-11-28T02:15:00", "02:15"),
        ("soon", None),
        (None, None),
        (7, None),
    ],
)
def test_estimates(wait, ibm_of, shown, text, shown_as):
    ibm_of.metrics = lambda: {"position_in_queue": 1, "estimated_start_time": text}
    wait(Life(starts=900, ends=901))
    rest = f", estimated to start at {shown_as} UTC" if shown_as else ""
    assert shown[1][1] == f"job d0 on ibm_fez: Queued, number 1 in the queue{rest}"


@pytest.mark.parametrize("metrics, length", [(None, None), (NO_QUEUE, None), (NO_QUEUE, {}), ({}, {})])
def test_a_queue_that_nobody_tells_about(wait, ibm_of, shown, metrics, length):
    ibm_of.metrics = lambda: metrics
    ibm_of.backend_status = {"reply": length}
    assert statuses(wait(Life(starts=600, ends=601))) == {"d0": "Completed"}
    assert [text for _at, text in shown][1] == "job d0 on ibm_fez: Queued"


def test_lines_of_many(wait, shown):
    wait(Life(ends=10), Life(starts=30, ends=600), Life(starts=NEVER), timeout=700)
    lines = [text for _at, text in shown]
    assert lines == [
        f"waiting for 3 jobs; stopping this run does not stop them: {hint(['d0', 'd1', 'd2'])}",
        "0 of 3 jobs ended, 1 running, 2 queued",
        "1 of 3 jobs ended, 0 running, 2 queued",
        "1 of 3 jobs ended, 1 running, 1 queued",
        "2 of 3 jobs ended, 0 running, 1 queued",
    ]


def test_how_to_come_back():
    assert hint(["d0"]) == (
        "run the task again, or ibm_quantum.platform.job_info with 'ids: [d0]', 'wait: true' and 'results: decoded', "
        "to come back"
    )
    assert "'ids: [d0, d1, d2]'" in hint(["d0", "d1", "d2"])
    assert hint([f"d{number}" for number in range(11)]) == "run the task again to come back"


def test_took_too_long():
    one = {"id": "d0", "state": {"status": "Queued"}}
    two = [one, {"id": "d1", "state": {"status": "Running"}}, {"id": "d2", "state": {"status": "Completed"}}]
    assert took_too_long([one], 60) == (
        f"job d0 is still Queued after the 60 s of 'wait_timeout'. Job d0 goes on: {hint(['d0'])}."
    )
    assert took_too_long(two, 86400) == (
        f"2 jobs are still Queued and Running after the 86400 s of 'wait_timeout'. 2 jobs go on: {hint(['d0', 'd1'])}."
    )


def test_the_tally(wait, tmp_path, monkeypatch):
    file = tmp_path / "tally"
    file.touch()
    monkeypatch.setenv(_tally.VARIABLE, str(file))
    wait(Life(ends=10), Life(ends=0), Life(ends=20, how="Failed"), Life(starts=NEVER, gone=30), Life(), timeout=60)
    assert _tally.sums(file.read_text().splitlines())["jobs"]["ended"] == {"Completed": 1, "Failed": 1}


# What HTTP brings


@pytest.fixture
def waits(ibm, clock, shown):
    """Waits for jobs of a scripted IBM."""
    ibm.exchange()

    def call(*ids, timeout=3600.0, **options):
        options = {"api_key": API_KEY, "instance": CRN, "retries": 0, **options}
        jobs = Jobs(Client(Module(module_job.ARGUMENT_SPEC, **options)))
        return waiter(jobs, timeout, clock, shown).wait([row(job_id) for job_id in ids])

    return call


def row(job_id="d0", now="Running"):
    return {"id": job_id, "backend": "ibm_fez", "created": stamp(0), "state": {"status": now}, "status": now}


def reads(ibm, job_id="d0", **answer):
    ibm.runtime("GET", f"/v1/jobs/{job_id}", query={"exclude_params": "true"}, **answer)


@pytest.mark.parametrize(
    "lost",
    [
        {"fails": Broken("Connection aborted.")},
        {"fails": Broken("NewConnectionError")},
        {"fails": ReadTimeout()},
        {"status": 500},
        {"status": 502, "reply": "<html>"},
        {"status": 503, "reply": ibm_error("1000", "maintenance")},
        {"status": 524},
        {"status": 505, "reply": ibm_error("1000", "a status that is not repeated at once")},
        {"status": 429, "reply": ibm_error("1202", "too many requests")},
        {"reply": '{"id": "d0", "sta'},
    ],
)
def test_what_mends_by_itself_does_not_end_the_waiting(ibm, waits, shown, lost):
    reads(ibm, **lost)
    reads(ibm, **lost)
    reads(ibm, reply=row(now="Completed"))
    assert statuses(waits("d0")) == {"d0": "Completed"}
    assert len(shown) == 2
    assert all(text.endswith(", job d0 not affected") and "asked again in" in text for _at, text in shown)


@pytest.mark.parametrize("seconds", [90, 121, 1800])
def test_ibm_asks_to_wait(ibm, waits, clock, shown, seconds):
    limited = {"status": 429, "reply": ibm_error("1202", "too many"), "reply_headers": {"Retry-After": str(seconds)}}
    reads(ibm, **limited)
    reads(ibm, reply=row(now="Completed"))
    waits("d0", retries=0)
    assert len(clock.pauses) == 2 and clock.pauses[1] >= seconds
    assert f"asked again in {seconds} s" in shown[0][1]


def test_ibm_asks_to_wait_for_longer_than_the_task_does(ibm, waits, clock):
    reads(ibm, status=503, reply=ibm_error("1000", "maintenance"), reply_headers={"Retry-After": "4000"})
    with pytest.raises(ApiError) as caught:
        waits("d0")
    assert clock.at < 1, "it is said at once"
    assert caught.value.status == 503
    assert caught.value.remedy.endswith(f"Job d0 goes on: {hint(['d0'])}")


def test_an_error_for_several(wait, ibm_of, monkeypatch):
    def forbidden(method, target, **_rest):
        raise answer_error(method, target, 403, "Forbidden", json.dumps(ibm_error("1200", "no")))

    monkeypatch.setattr(ibm_of, "call", forbidden)
    with pytest.raises(ApiError) as caught:
        wait(Life(), Life(), Life(ends=0))
    assert f"2 jobs go on: {hint(['d0', 'd1'])}." in str(caught.value)


def test_what_does_not_mend_in_time(wait, ibm_of, clock, monkeypatch):
    def out_of_order(method, target, **_rest):
        raise answer_error(method, target, 503, "Service Unavailable", "")

    monkeypatch.setattr(ibm_of, "call", out_of_order)
    with pytest.raises(ApiError) as caught:
        wait(Life(), timeout=100)
    assert caught.value.status == 503 and 30 < clock.at <= 100
    assert f"Job d0 goes on: {hint(['d0'])}." in str(caught.value)


@pytest.mark.parametrize(
    "answer, own",
    [
        ({"status": 400, "reply": ibm_error("1300", "bad")}, "Check the options"),
        ({"status": 403, "reply": ibm_error("1200", "no")}, "The identity may not do this on this instance"),
        ({"status": 403, "reply": "<html><title>Blocked</title>"}, "This page does not come from the API"),
        ({"status": 404}, "Check 'instance', 'runtime_url'"),
        (INSTANCE_NOT_FOUND, "The instance is not known on this host"),
        ({"status": 407}, "The proxy wants a user and password"),
        ({"fails": SSLError("CERTIFICATE_VERIFY_FAILED")}, "If a proxy inspects TLS here, set 'ca_path'"),
        ({"reply": [1, 2]}, "Check 'runtime_url'"),
    ],
)
def test_what_does_not_mend(ibm, waits, answer, own):
    reads(ibm, **answer)
    with pytest.raises(ApiError) as caught:
        waits("d0")
    assert caught.value.remedy.startswith(own)
    assert f"Job d0 goes on: {hint(['d0'])}." in str(caught.value)


def test_a_key_that_was_taken_away(ibm, waits):
    reads(ibm, status=401, reply=ibm_error("1201", "Invalid credentials."))
    ibm.exchange(reply=token_reply(OTHER_TOKEN))
    reads(ibm, token=OTHER_TOKEN, status=401, reply=ibm_error("1201", "Invalid credentials."))
    with pytest.raises(ApiError) as caught:
        waits("d0")
    assert caught.value.status == 401
    assert "Check 'api_key'" in caught.value.remedy
    assert f"Job d0 goes on: {hint(['d0'])}." in str(caught.value)
