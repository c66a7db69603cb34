# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs submitted once. What counts is POST /v1/jobs: each is a job that is billed."""

from __future__ import annotations

import fcntl
import json
import os
from functools import partial
from types import MappingProxyType

import pytest
from requests.exceptions import ConnectionError as Broken
from requests.exceptions import ReadTimeout

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _http, _job, _one_at_a_time, _tally, _waiting
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._job import Declared
from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import Jobs
from ansible_collections.ibm_quantum.platform.plugins.modules import job as module_job
from ansible_collections.ibm_quantum.platform.tests.unit.plugins import jobs
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import (
    API_KEY,
    CRN,
    OTHER_TOKEN,
    RUNTIME,
    Module,
    ibm_error,
)

FLIP = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nbit[1] c;\nx $0;\nc[0] = measure $0;\n'
OTHER_CIRCUIT = FLIP.replace("x $0", "sx $0")
BELL = MappingProxyType({"name": "bell", "backend": "ibm_fez", "circuit": FLIP})
NAMELESS = {"backend": "ibm_fez", "circuit": FLIP}
PARAMS = {"pubs": [[FLIP]], "support_qiskit": False, "version": 2}
ID, OTHER_ID, THIRD_ID = "d4kq2vl8r0fs73c1u2mg", "d4kq2vl8r0fs73c1u2a0", "d4kq2vl8r0fs73c1u2z0"
SESSION_ID = "11111111-aaaa-4bbb-8ccc-000000000001"

TEXT = json.dumps({"results": [{"data": {"c": {"samples": ["0x1", "0x0", "0x1"], "num_bits": 1}}, "metadata": {}}]})
COUNTS = [{"counts": {"c": {"0": 1, "1": 2}}, "metadata": {}}]

NO_JOB = {"status": 404, "reply": ibm_error("1291", "Job not found.")}
LIMITED = {"status": 429, "reply": ibm_error("1202", "Too many requests received.")}
TOO_MANY_PENDING = {"status": 409, "reply": ibm_error("1012", "The user reached the maximum number of jobs.")}
NOT_ENDED = {"status": 400, "reply": ibm_error("1300", "The job cannot be deleted.")}
ENDED_ALREADY = {"status": 409, "reply": ibm_error("1300", "The job cannot be cancelled.")}
#: Answers to a submission from which nobody knows whether it was carried out.
LOST = [
    pytest.param({"fails": Broken("Connection aborted.")}, id="connection broken"),
    pytest.param({"status": 500, "reply": ibm_error("1000", "internal")}, id="500"),
    pytest.param({"status": 503, "reply": "<html>"}, id="503"),
    pytest.param({"reply": '{"id": "d4kq2v'}, id="truncated"),
    pytest.param({"reply": {"backend": "ibm_fez"}}, id="no ID"),
    pytest.param({"reply": "<html>a portal"}, id="another's page"),
]
NO_ANSWER = {"fails": ReadTimeout()}


def digest(**options):
    """The digest of a job's content."""
    return Declared(Module(module_job.ARGUMENT_SPEC, **options).params).content


def tags_of(**options):
    """The tags of this collection that a job has."""
    key, content = options.get("name"), digest(**options)
    return [f"ansible-job:{key}", f"ansible-content:{content}"] if key else [f"ansible-job:sha256:{content}"]


def body(options=BELL, *tags, **changes):
    """What a submission holds."""
    whole = {"program_id": "sampler", "backend": "ibm_fez", "params": PARAMS, "tags": [*tags_of(**options), *tags]}
    return {**whole, **changes}


def job(job_id=ID, status="Queued", *tags, of=BELL, **changes):
    """A job as IBM represents it, submitted with these options."""
    return {
        "id": job_id,
        "backend": "ibm_fez",
        "program": {"id": "sampler"},
        "created": f"2026-11-28T02:00:00.{sorted([OTHER_ID, ID, THIRD_ID]).index(job_id):03}Z",
        "state": {"status": status.partition(" - ")[0]},
        "status": status,
        "tags": [*tags_of(**of), *tags],
        "user_id": "IBMid-270007GGGG",
        "cost": 10800,
        **changes,
    }


def named(found, name="bell", tags=()):
    """A job as the module returns it."""
    return {**found, **({"name": name} if name else {}), "tags": list(tags)}


def lists(ibm, *found, of=BELL, tag=None, **answer):
    """IBM is asked for the jobs of a key."""
    query = {"sort": "DESC", "limit": 200, "exclude_params": "true", "tags": tag or tags_of(**of)[0]}
    reply = {"jobs": list(found), "count": len(found), "offset": 0, "limit": 200}
    ibm.runtime("GET", "/v1/jobs", query=query, **{"reply": reply, **answer})


def settled(ibm, *rows, of=BELL):
    """After a lost answer: the look that finds the job, and the one whether somebody else submitted it, too."""
    for _look in range(1):
        lists(ibm, *rows, of=of)


def posts(ibm, sent=None, job_id=ID, **answer):
    """IBM is asked to run a job."""
    ibm.runtime("POST", "/v1/jobs", json=sent or body(), **(answer or {"reply": {"id": job_id, "backend": "ibm_fez"}}))


def reads(ibm, found, job_id=ID, **answer):
    """IBM is asked for one job."""
    answer = answer or ({"reply": found} if found else NO_JOB)
    path = f"/v1/jobs/{found['id'] if found else job_id}"
    ibm.runtime("GET", path, query={"exclude_params": "true"}, **answer)


def results(ibm, job_id=ID, text=TEXT, **answer):
    answer = {"reply": text, "reply_headers": {"Content-Type": "text/plain; charset=utf-8"}, **answer}
    ibm.runtime("GET", f"/v1/jobs/{job_id}/results", **answer)


def cancels(ibm, job_id=ID, **answer):
    ibm.runtime("POST", f"/v1/jobs/{job_id}/cancel", **(answer or {"status": 204}))


def deletes(ibm, job_id=ID, **answer):
    ibm.runtime("DELETE", f"/v1/jobs/{job_id}", **(answer or {"status": 204}))


def tags(ibm, *wanted, job_id=ID):
    ibm.runtime("PUT", f"/v1/jobs/{job_id}/tags", json={"tags": list(wanted)}, status=204)


def submits(ibm, sent=None, of=BELL, **changes):
    """All of a submission: nothing is there, it is sent, it is there."""
    lists(ibm, of=of)
    posts(ibm, sent)
    lists(ibm, job(of=of, **changes), of=of)


def submissions(ibm):
    """How many jobs were submitted, whatever came of it."""
    return sum((request.method, request.url) == ("POST", f"{RUNTIME}/v1/jobs") for request in ibm.sent)


Task, run, failed = (partial(each, module_job) for each in (jobs.Task, jobs.run, jobs.failed))


@pytest.fixture(autouse=True)
def _clock(naps, monkeypatch):
    """Time passes in pauses only."""

    def now():
        return sum(naps)

    monkeypatch.setattr(_job.JobTask.__init__, "__defaults__", (now,))
    monkeypatch.setattr(_waiting.Waiter.__init__, "__defaults__", (now, now))


# Submitted


def test_submitted(ibm):
    submits(ibm)
    task = run(**BELL)
    assert (task["changed"], task["submitted"], submissions(ibm)) == (True, 1, 1)
    assert task["job"] == named(job())
    assert task.warnings == task.shown == []


def test_the_diff_shows_a_digest_instead_of_params(ibm):
    sent = body(BELL, "nightly", cost=30)
    submits(ibm, sent)
    task = run(**BELL, tags=["nightly"], max_execution_time=30)
    shown = task["diff"]["after"]
    assert task["diff"]["before"] == {}
    assert shown["params"].keys() == {"sha256", "bytes"}
    rest = {"program_id": "sampler", "backend": "ibm_fez", "cost": 30, "tags": ["nightly"]}
    assert shown == {**rest, "params": shown["params"]}
    assert FLIP not in str(task.result) and "measure" not in str(task.result)


def test_submitted_with_everything(ibm):
    options = {
        **BELL,
        "shots": 1000,
        "options": {"twirling": {"enable_gates": True}},
        "support_qiskit": True,
    }
    params = {"pubs": [[FLIP]], "shots": 1000, "options": options["options"], "support_qiskit": True, "version": 2}
    more = {"session_id": SESSION_ID, "log_level": "debug", "calibration_id": "c1", "private": True}
    lists(ibm)
    posts(ibm, body(options, "a", "b", params=params, cost=60, **more))
    lists(ibm, job(of=options, private=True))
    assert run(**options, **more, max_execution_time=60, tags=["a", "b", "a"])["submitted"] == 1


def test_another_program(ibm):
    options = {"name": "bell", "program_id": "executor", "backend": "ibm_fez", "params": {"quantum_program": {}}}
    submits(ibm, body(options, program_id="executor", params=options["params"]), of=options)
    assert run(**options)["changed"]


def test_a_job_without_a_name_is_known_by_what_it_is(ibm):
    submits(ibm, body(NAMELESS), of=NAMELESS)
    task = run(**NAMELESS)
    assert task["job"] == named(job(of=NAMELESS), None)
    assert task["diff"]["before_header"].startswith("job sha256:")


def test_its_key_is_the_same_for_ever():
    """Another one would, with the next version of the collection, submit all jobs again."""
    key = "38aaa16656d762e8bdb2f4d26b44b55bcf762cf80479f63d0e2977a050a7fe09"
    assert tags_of(**NAMELESS) == [f"ansible-job:sha256:{key}"]
    assert digest(**BELL) == key


def test_what_tells_jobs_without_a_name_apart():
    different = [
        NAMELESS,
        {**NAMELESS, "backend": "ibm_torino"},
        {**NAMELESS, "circuit": OTHER_CIRCUIT},
        {**NAMELESS, "shots": 10},
        {"circuit": FLIP},
        {"circuit": FLIP, "min_qubits": 100},
        {"circuit": FLIP, "min_qubits": 101},
        {"circuit": FLIP, "simulator": False},
    ]
    assert len({digest(**options) for options in different}) == len(different)
    same = {"max_execution_time": 5, "private": True, "log_level": "info", "tags": ["a"], "resubmit": "always"}
    assert digest(**NAMELESS, **same) == digest(**NAMELESS)


def test_ibms_list_does_not_have_it_yet(ibm):
    lists(ibm)
    posts(ibm)
    lists(ibm)
    reads(ibm, job(status="Running"))
    task = run(**BELL)
    assert (task["submitted"], task["job"]["state"]["status"]) == (1, "Running")


def test_ibm_took_it_and_does_not_know_it(ibm):
    lists(ibm)
    posts(ibm)
    lists(ibm)
    reads(ibm, None)
    assert f"IBM took the job {ID} and does not know it any more" in failed(**BELL)["msg"]
    assert submissions(ibm) == 1


@pytest.fixture
def looks(monkeypatch):
    """What the list of a key has, look by look, and from then on; it does not matter how often it is asked for."""

    def answer(*found):
        answers = list(found)

        def look(*_arguments, **_options):
            rows = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(rows, Exception):
                raise rows
            return rows

        monkeypatch.setattr(Jobs, "list", look)
        monkeypatch.setattr(Jobs, "get", lambda *_arguments, **_options: (look() or [job()])[0])

    return answer


def error(status, retry_after=None):
    """An error as Jobs raises it, when HTTP has done what it can."""
    return ApiError(
        f"error {status}", method="GET", url="/v1/jobs", status=status, transient=True, retry_after=retry_after
    )


@pytest.mark.parametrize("resubmit", ["never", "always"])
@pytest.mark.parametrize(
    "status, retry_after, then",
    [(500, None, []), (429, None, []), (429, 200.0, [[job()]])],
    ids=["500", "429", "later"],
)
def test_what_became_of_it_cannot_be_read(ibm, looks, resubmit, status, retry_after, then):
    """The job is there and is billed: it must not be submitted again, and who is not told of it does so by hand."""
    looks([], error(status, retry_after=retry_after), *then)
    posts(ibm)
    task = Task(**BELL, resubmit=resubmit, submit_timeout=600)
    assert submissions(ibm) == 1
    assert (task["changed"], ID in str(task.result)) == (True, True)


def test_a_refused_token_is_renewed(ibm):
    ibm.exchange()
    lists(ibm)
    posts(ibm, status=401, reply=ibm_error("1201", "Invalid credentials."))
    ibm.exchange(OTHER_TOKEN)
    ibm.runtime("POST", "/v1/jobs", json=body(), token=OTHER_TOKEN, reply={"id": ID})
    lists(ibm, job(), token=OTHER_TOKEN)
    assert run(**BELL, api_key=API_KEY)["submitted"] == 1


@pytest.mark.parametrize(
    "answer, text",
    [
        ({"status": 400, "reply": ibm_error("1003", "params are bad", solution="Make them good.")}, "Make them good."),
        ({"status": 403, "reply": ibm_error("1200", "no")}, "The identity may not do this on this instance"),
        ({"status": 404, "reply": ibm_error("1007", "Backend not found.")}, "Backend not found (404, code 1007)"),
        ({"status": 409, "reply": ibm_error("1300", "Usage exceeds the limit.")}, "Usage exceeds the limit"),
        ({"status": 302, "reply_headers": {"Location": "/login"}}, "The redirection was not followed"),
    ],
)
def test_refused(ibm, answer, text):
    lists(ibm)
    posts(ibm, **answer)
    task = failed(**BELL)
    assert text in task["msg"]
    assert task["error"]["outcome_unknown"] is False
    assert submissions(ibm) == 1


def test_the_tally(ibm, tmp_path, monkeypatch):
    file = tmp_path / "tally"
    file.touch()
    monkeypatch.setenv(_tally.VARIABLE, str(file))
    usage = {"qpu_charge_time_seconds": 2, "status": "complete"}
    lists(ibm)
    posts(ibm, fails=Broken("Connection aborted."))
    settled(ibm, job())
    reads(ibm, job(status="Completed", usage=usage))
    run(**BELL, wait=True, results="none")
    sums = _tally.sums(file.read_text().splitlines())
    assert sums["jobs"] == {"submitted": 1, "open": 0, "ended": {"Completed": 1}}, "also of a lost answer"
    assert sums["qpu_seconds"] == {"submitted": 2, "total": 2}


def test_one_task_at_a_time(ibm, tmp_path, monkeypatch):
    monkeypatch.setattr(_one_at_a_time, "TIMEOUT", 0.02)
    lists(ibm, job())
    run(**BELL)
    (path,) = (tmp_path / "run").rglob("*.lock")
    with path.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert "another task has been working at job bell" in failed(**BELL)["msg"]
        submits(ibm, body({**BELL, "name": "other"}), of={**BELL, "name": "other"})
        assert run(**{**BELL, "name": "other"})["submitted"] == 1, "other jobs are not in its way"


# There already


@pytest.mark.parametrize("status", ["Queued", "Running", "Cancelled", "Cancelled - Ran too long"])
@pytest.mark.parametrize("of", [BELL, NAMELESS])
def test_there_already(ibm, status, of):
    lists(ibm, job(status=status, of=of), of=of)
    task = run(**of, results="none")
    assert (task["changed"], task["submitted"], submissions(ibm)) == (False, 0, 0)
    assert task["job"]["id"] == ID
    assert task["diff"]["before"] == task["diff"]["after"]


def test_it_has_completed(ibm):
    lists(ibm, job(status="Completed"))
    results(ibm)
    task = run(**BELL)
    assert task["job"] == {**named(job(status="Completed")), "results": COUNTS}
    assert task["changed"] is False


def test_it_has_failed_and_nobody_waits(ibm):
    lists(ibm, job(status="Failed"))
    results(ibm, text="ValueError: deep")
    assert run(**BELL)["job"]["error_text"] == "ValueError: deep"


@pytest.mark.parametrize(
    "change", [{"circuit": OTHER_CIRCUIT}, {"backend": "ibm_torino"}, {"shots": 5}, {"backend": None, "min_qubits": 5}]
)
@pytest.mark.parametrize("status, check_mode", [("Queued", True), ("Completed", False), ("Failed", False)])
def test_another_job_of_that_name(ibm, change, status, check_mode):
    lists(ibm, job(status=status))
    task = failed(**{**BELL, **change}, check_mode=check_mode)
    assert task["msg"].startswith(f"'name': there is a job 'bell' ({ID}, {status}) of another program, backend or")
    assert "resubmit: always" in task["msg"]
    assert submissions(ibm) == 0


def test_one_that_failed_is_submitted_again_with_a_circuit_that_was_mended(ibm):
    options = {**BELL, "circuit": OTHER_CIRCUIT}
    lists(ibm, job(status="Completed"))
    task = failed(**options, resubmit="failed", check_mode=True)
    assert f"there is a job 'bell' ({ID}, Completed) of another program" in task["msg"]
    lists(ibm, job(status="Failed"))
    posts(ibm, body(options, params={**PARAMS, "pubs": [[OTHER_CIRCUIT]]}), THIRD_ID)
    lists(ibm, job(THIRD_ID, of=options), job(status="Failed"))
    assert run(**options, resubmit="failed")["job"]["id"] == THIRD_ID


def test_another_job_of_that_name_is_submitted_if_that_is_wanted(ibm):
    options = {**BELL, "circuit": OTHER_CIRCUIT}
    lists(ibm, job(status="Completed"))
    posts(ibm, body(options, params={**PARAMS, "pubs": [[OTHER_CIRCUIT]]}), THIRD_ID)
    lists(ibm, job(THIRD_ID, of=options), job(status="Completed"))
    task = run(**options, resubmit="always")
    assert (task["job"]["id"], task["submitted"]) == (THIRD_ID, 1)


@pytest.mark.parametrize(
    "resubmit, status, again",
    [
        *[("never", status, False) for status in ("Queued", "Completed", "Failed")],
        *[("failed", status, False) for status in ("Queued", "Running", "Completed")],
        *[("failed", status, True) for status in ("Failed", "Cancelled", "Cancelled - Ran too long")],
        *[("always", status, True) for status in ("Queued", "Running", "Completed", "Failed", "Cancelled")],
    ],
)
@pytest.mark.parametrize("of, order", [(BELL, 1), (NAMELESS, -1)])
def test_the_newest_one_tells_whether_it_is_submitted_again(ibm, resubmit, status, again, of, order):
    other = "Completed" if status in ("Failed", "Cancelled", "Cancelled - Ran too long") else "Failed"
    known = [job(ID, status, of=of), job(OTHER_ID, other, of=of)]
    lists(ibm, *known[::order], of=of)
    if again:
        posts(ibm, body(of), THIRD_ID)
        lists(ibm, *[job(THIRD_ID, of=of), *known][::order], of=of)
    task = run(**of, resubmit=resubmit, results="none")
    assert task["job"]["id"] == (THIRD_ID if again else ID)
    assert submissions(ibm) == again
    assert (task["changed"], task["submitted"]) == (again, int(again))


# Tags


@pytest.mark.parametrize(
    "present, wanted",
    [([], ["b", "a"]), (["a"], ["b", "a"]), (["a", "b"], ["b"]), (["a", "b"], [])],
)
@pytest.mark.parametrize("check_mode, of", [(True, NAMELESS), (False, BELL), (False, NAMELESS)])
def test_tags_are_brought_up_to_date(ibm, present, wanted, check_mode, of):
    lists(ibm, job(ID, "Running", *present, of=of), of=of)
    if not check_mode:
        tags(ibm, *tags_of(**of), *wanted)
    task = run(**of, tags=wanted, check_mode=check_mode)
    assert (task["changed"], task["submitted"], task["job"]["tags"]) == (True, 0, wanted)
    assert (task["diff"]["before"], task["diff"]["after"]) == ({"tags": present}, {"tags": wanted})


@pytest.mark.parametrize("wanted", [None, ["a", "b"], ["b", "a", "b"]])
def test_tags_that_are_as_wanted(ibm, wanted):
    lists(ibm, job(ID, "Running", "a", "b"))
    assert run(**BELL, tags=wanted)["changed"] is False


def test_the_tag_of_a_session_is_kept(ibm):
    lists(ibm, job(ID, "Running", "ansible-session:night", "a"))
    tags(ibm, *tags_of(**BELL), "ansible-session:night", "b")
    task = run(**BELL, tags=["b"])
    assert (task["job"]["tags"], task["job"]["session"]) == (["b"], "night")


# The budget


def usage(ibm, consumed=100, limit=600, **more):
    reply = {"instance_id": CRN, "plan_id": "p", "usage_consumed_seconds": consumed, "usage_limit_seconds": limit}
    ibm.runtime("GET", "/v1/instances/usage", reply={**reply, **more})


@pytest.mark.parametrize("left", [{}, {"limit": None}, {"consumed": 0}])
def test_enough_time_left(ibm, left):
    lists(ibm)
    usage(ibm, **left)
    posts(ibm)
    lists(ibm, job())
    assert run(**BELL, require_remaining_seconds=500)["submitted"] == 1


@pytest.mark.parametrize("left", [{"consumed": 101}, {"consumed": 900}, {"usage_allocation_seconds": 400}])
@pytest.mark.parametrize("check_mode", [True, False])
def test_not_enough_time_left(ibm, left, check_mode):
    lists(ibm)
    usage(ibm, **left)
    task = failed(**BELL, require_remaining_seconds=500, check_mode=check_mode)
    assert task["msg"].startswith("'require_remaining_seconds': the instance has ")
    assert "less than 500 s: nothing was submitted" in task["msg"]
    assert submissions(ibm) == 0


def test_of_a_job_that_is_there_nobody_asks_for_the_budget(ibm):
    lists(ibm, job())
    assert run(**BELL, require_remaining_seconds=500)["changed"] is False


# The backend

FEZ = {"name": "ibm_fez", "qubits": 156, "queue_length": 4, "status": {"name": "online"}}
TORINO = {"name": "ibm_torino", "qubits": 133, "queue_length": 0, "status": {"name": "online"}}
AER = {"name": "aer", "qubits": 30, "queue_length": 0, "status": {"name": "online"}, "is_simulator": True}
FEZ["processor_type"] = TORINO["processor_type"] = {"family": "Heron"}


def backends(ibm, *rows):
    ibm.runtime("GET", "/v1/backends", reply={"devices": list(rows)})


@pytest.mark.parametrize(
    "choice, backend",
    [
        ({}, "ibm_torino"),
        ({"min_qubits": 150}, "ibm_fez"),
        ({"max_queue_length": 2, "processor_family": "heron"}, "ibm_torino"),
        ({"simulator": True}, "aer"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_the_least_busy_backend_that_fits(ibm, choice, backend, check_mode):
    options = {"name": "bell", "circuit": FLIP, **choice}
    lists(ibm)
    backends(ibm, FEZ, TORINO, AER)
    if not check_mode:
        posts(ibm, body(options, backend=backend))
        lists(ibm, job(of=options))
    task = run(**options, check_mode=check_mode)
    assert task["diff"]["after"]["backend"] == backend
    assert submissions(ibm) == (not check_mode)


@pytest.mark.parametrize("name", [{"name": "bell"}, {}])
def test_a_backend_is_chosen_once(ibm, name):
    options = {**name, "circuit": FLIP, "min_qubits": 100}
    lists(ibm, job(of=options), of=options)
    assert run(**options)["changed"] is False


def test_no_backend_fits(ibm):
    lists(ibm)
    backends(ibm, FEZ)
    assert "relax min_qubits=1000 for ibm_fez" in failed(name="bell", circuit=FLIP, min_qubits=1000)["msg"]
    assert submissions(ibm) == 0


# In a session


def session(ibm, found="open", **changes):
    reply = {"id": SESSION_ID, "backend_name": "ibm_torino", "mode": "batch", "state": found, "accepting_jobs": True}
    answer = {"reply": {**reply, **changes}} if found else {"status": 404, "reply": ibm_error("1300", "not found")}
    ibm.runtime("GET", f"/v1/sessions/{SESSION_ID}", **answer)


IN_SESSION = {"name": "bell", "circuit": FLIP, "session": "night"}
TAG = "ansible-session:night"


def test_the_backend_of_a_session(ibm):
    options = {"name": "bell", "circuit": FLIP, "session_id": SESSION_ID}
    lists(ibm)
    session(ibm)
    posts(ibm, body(options, backend="ibm_torino", session_id=SESSION_ID))
    lists(ibm, job(of=options, session_id=SESSION_ID))
    task = run(**options)
    assert (task["job"]["session_id"], "session" in task["job"]) == (SESSION_ID, False)


def test_a_session_of_which_the_backend_is_known_already(ibm):
    lists(ibm)
    posts(ibm, body(session_id=SESSION_ID))
    lists(ibm, job(session_id=SESSION_ID))
    assert run(**BELL, session_id=SESSION_ID)["submitted"] == 1


def test_no_such_session(ibm):
    lists(ibm)
    session(ibm, None)
    assert (
        f"the instance has no session {SESSION_ID}" in failed(name="bell", circuit=FLIP, session_id=SESSION_ID)["msg"]
    )
    assert submissions(ibm) == 0


@pytest.mark.parametrize("backend", [{}, {"backend": "ibm_torino"}])
def test_a_session_by_its_name(ibm, backend):
    options = {**IN_SESSION, **backend}
    lists(ibm)
    lists(ibm, {"id": "x", "session_id": SESSION_ID}, tag=TAG)
    session(ibm)
    if not backend:
        session(ibm)
    posts(ibm, body(options, TAG, backend="ibm_torino", session_id=SESSION_ID))
    lists(ibm, job(ID, "Queued", TAG, of=options, session_id=SESSION_ID))
    task = run(**options)
    assert (task["job"]["session"], task["job"]["session_id"], task["job"]["tags"]) == ("night", SESSION_ID, [])


def test_a_session_of_which_ibm_does_not_tell_the_backend_yet(ibm):
    lists(ibm)
    session(ibm, backend_name=None)
    assert "'backend' is needed: " in failed(name="bell", circuit=FLIP, session_id=SESSION_ID)["msg"]
    assert submissions(ibm) == 0


def test_a_session_is_asked_for_once_a_task(ibm):
    for name in "ab":
        of = {**IN_SESSION, "name": name}
        lists(ibm, of=of)
        if name == "a":
            lists(ibm, {"id": "x", "session_id": SESSION_ID}, tag=TAG)
            session(ibm)
            session(ibm)
        posts(ibm, body(of, TAG, backend="ibm_torino", session_id=SESSION_ID))
        lists(ibm, job(ID, "Queued", TAG, of=of), of=of)
    assert run(circuit=FLIP, session="night", jobs=[{"name": "a"}, {"name": "b"}])["submitted"] == 2


@pytest.mark.parametrize("changes", [{"found": "closed"}, {"accepting_jobs": False}])
def test_a_session_that_takes_no_jobs(ibm, changes):
    lists(ibm)
    lists(ibm, {"id": "x", "session_id": SESSION_ID}, tag=TAG)
    session(ibm, **changes)
    text = failed(**IN_SESSION)["msg"]
    assert text.startswith(f"the session 'night' cannot take jobs: {SESSION_ID} ")
    assert submissions(ibm) == 0


def test_no_session_of_that_name(ibm):
    lists(ibm)
    lists(ibm, tag=TAG)
    assert "the session 'night' cannot take jobs: there is none. The module session" in failed(**IN_SESSION)["msg"]


def test_of_a_job_that_is_there_nobody_asks_for_the_session(ibm):
    lists(ibm, job(ID, "Running", TAG, of=IN_SESSION))
    assert run(**IN_SESSION)["changed"] is False


# Check mode


def test_check_mode_submits_nothing(ibm):
    lists(ibm)
    task = run(**BELL, tags=["a"], wait=True, result_file="/nowhere/x", check_mode=True)
    assert (task["changed"], task["submitted"], "job" in task) == (True, 1, False)
    assert task["diff"]["after"]["tags"] == ["a"]
    assert submissions(ibm) == 0


def test_check_mode_predicts_the_diff(ibm):
    lists(ibm)
    predicted = run(**BELL, tags=["a"], max_execution_time=9, check_mode=True)["diff"]
    submits(ibm, body(BELL, "a", cost=9))
    assert run(**BELL, tags=["a"], max_execution_time=9)["diff"] == predicted


@pytest.mark.parametrize("status, again", [("Failed", True), ("Queued", False)])
def test_check_mode_of_a_job_that_is_there(ibm, status, again):
    lists(ibm, job(status=status))
    task = run(**BELL, resubmit="failed", wait=True, results="none", check_mode=True)
    assert (task["changed"], task["submitted"], "job" in task) == (again, int(again), not again)
    assert task.shown == []


def test_in_check_mode_a_session_need_not_be_there_yet(ibm):
    lists(ibm)
    task = run(**IN_SESSION, check_mode=True)
    assert (task["changed"], task["diff"]["after"]["session"]) == (True, "night")


def test_check_mode_of_several(ibm):
    lists(ibm)
    lists(ibm, job(of={**BELL, "name": "b"}), of={**BELL, "name": "b"})
    task = run(**NAMELESS, jobs=[{"name": "bell"}, {"name": "b"}], check_mode=True)
    assert (task["changed"], task["submitted"], [row["name"] for row in task["jobs"]]) == (True, 1, ["b"])


# Limits of the rate


def test_a_limit_of_the_rate_is_waited_out(ibm, naps):
    lists(ibm)
    posts(ibm, **LIMITED, reply_headers={"Retry-After": "7"})
    submits(ibm)
    task = run(**BELL)
    assert (naps, task["submitted"], submissions(ibm)) == ([7.0], 1, 2)
    (line,) = task.shown
    assert line.startswith("job bell is not submitted yet, next try in 7 s: IBM takes 5 jobs a minute")


def test_a_limit_of_the_rate_that_does_not_say_for_how_long(ibm, naps):
    for _turn in range(3):
        lists(ibm)
        posts(ibm, **LIMITED)
    submits(ibm)
    task = run(**BELL)
    assert 15 <= sum(naps) <= 180, "IBM's limit counts minutes"
    assert (len(naps), len(task.shown), submissions(ibm)) == (3, 3, 4)


def test_a_limit_that_takes_longer_than_http_waits(ibm, naps):
    lists(ibm)
    posts(ibm, **LIMITED, reply_headers={"Retry-After": str(_http.LONGEST_WAIT + 180)})
    submits(ibm)
    assert run(**BELL)["submitted"] == 1
    assert naps == [300.0]


def test_too_many_jobs_that_wait(ibm, naps):
    for _turn in range(2):
        lists(ibm)
        posts(ibm, **TOO_MANY_PENDING)
    submits(ibm)
    task = run(**BELL)
    assert (len(naps), task["submitted"], submissions(ibm)) == (2, 1, 3)
    assert "The user reached the maximum number of jobs" in task.shown[0]


@pytest.mark.parametrize("answer", [LIMITED, TOO_MANY_PENDING])
@pytest.mark.parametrize("timeout, tries", [(0, 1), (10, 1), (40, 3)])
def test_submit_timeout(ibm, naps, answer, timeout, tries):
    for _turn in range(tries):
        lists(ibm)
        posts(ibm, **answer)
    task = failed(**BELL, submit_timeout=timeout)
    assert f"Not submitted within the {timeout} s of 'submit_timeout': run the task again" in task["msg"]
    assert task["error"]["outcome_unknown"] is False
    assert (submissions(ibm), sum(naps) <= timeout) == (tries, True)


def test_somebody_else_submits_it_meanwhile(ibm):
    lists(ibm)
    posts(ibm, **LIMITED)
    lists(ibm, job())
    task = run(**BELL)
    assert (task["changed"], task["submitted"], submissions(ibm)) == (False, 0, 1)


def test_others_are_not_kept_waiting_by_the_limit(ibm, tmp_path, monkeypatch):
    """Who waits for IBM must not hold the lock: another task would give up."""

    def nap(_seconds):
        (path,) = (tmp_path / "run").rglob("*.lock")
        with path.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setitem(_http.Http.__init__.__kwdefaults__, "sleep", nap)
    lists(ibm)
    posts(ibm, **LIMITED)
    submits(ibm)
    assert run(**BELL)["submitted"] == 1


def test_budget_and_backend_are_looked_at_again_before_each_try(ibm):
    options = {"name": "bell", "circuit": FLIP}
    lists(ibm)
    usage(ibm)
    backends(ibm, FEZ)
    posts(ibm, body(options), **LIMITED)
    lists(ibm)
    usage(ibm)
    backends(ibm, TORINO)
    posts(ibm, body(options, backend="ibm_torino"))
    lists(ibm, job(of=options))
    assert run(**options, require_remaining_seconds=1)["submitted"] == 1


# Lost answers


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("looks, of", [(1, BELL), (2, NAMELESS), (4, BELL)])
def test_a_lost_answer_and_the_job_is_there(ibm, naps, lost, looks, of):
    lists(ibm, of=of)
    posts(ibm, body(of), **lost)
    for _turn in range(looks - 1):
        lists(ibm, of=of)
    settled(ibm, job(of=of), of=of)
    task = run(**of)
    assert submissions(ibm) == 1
    assert (task["changed"], task["submitted"], task["job"]["id"]) == (True, 1, ID)
    assert len(naps) == looks
    assert "the answer to its submission was lost" in task.shown[0]


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_answer_and_the_job_is_not_there(ibm, lost):
    lists(ibm)
    posts(ibm, **lost)
    for _look in _job._LOOKS:
        lists(ibm)
    submits(ibm)
    task = run(**BELL)
    assert submissions(ibm) == 2
    assert (task["changed"], task["submitted"], task["job"]["id"]) == (True, 1, ID)


def test_an_answer_that_is_always_lost(ibm):
    for _turn in range(1 + _job._TRIES):
        lists(ibm)
        posts(ibm, status=503)
        for _look in _job._LOOKS:
            lists(ibm)
    task = failed(**BELL)
    assert submissions(ibm) == 1 + _job._TRIES
    assert task["error"]["outcome_unknown"] is False
    assert "The job was not submitted: run the task again" in task["msg"]


@pytest.mark.parametrize("looks", [1, 5])
def test_no_answer_in_time_and_the_job_is_there(ibm, naps, looks):
    lists(ibm)
    posts(ibm, **NO_ANSWER)
    for _turn in range(looks - 1):
        lists(ibm)
    settled(ibm, job(status="Running"))
    task = run(**BELL)
    assert (submissions(ibm), task["submitted"], task["job"]["id"]) == (1, 1, ID)
    assert len(naps) == looks


@pytest.mark.parametrize("late", [NO_ANSWER, {"status": 504}, {"status": 524}], ids=["none", "504", "524"])
def test_no_answer_in_time_and_the_job_is_not_there(ibm, naps, late):
    """IBM may be at it still, also behind a gateway that gave up: only the next run, which looks first, can tell."""
    lists(ibm)
    posts(ibm, **late)
    for _look in _job._LATE_LOOKS:
        lists(ibm)
    task = failed(**BELL)
    assert submissions(ibm) == 1
    assert task["error"]["outcome_unknown"] is True
    assert "Whether the job was submitted is not known: run the task again in some minutes" in task["msg"]
    assert sum(naps) >= 30


@pytest.mark.parametrize("lost", [{"status": 500}, NO_ANSWER])
def test_a_lost_answer_and_looking_fails_at_first(ibm, lost):
    lists(ibm)
    posts(ibm, **lost)
    lists(ibm, status=503)
    lists(ibm, **LIMITED)
    settled(ibm, job())
    task = run(**BELL, retries=0)
    assert (submissions(ibm), task["submitted"]) == (1, 1)


@pytest.mark.parametrize(
    "lost, looks", [({"fails": Broken("Connection aborted.")}, _job._LOOKS), (NO_ANSWER, _job._LATE_LOOKS)]
)
def test_a_lost_answer_and_nothing_can_be_read(ibm, lost, looks):
    lists(ibm)
    posts(ibm, **lost)
    for _look in looks:
        lists(ibm, status=503)
    task = failed(**BELL, retries=0)
    assert submissions(ibm) == 1
    assert task["error"]["outcome_unknown"] is True
    assert "Whether the job was submitted is not known" in task["msg"]


@pytest.mark.parametrize("resubmit, status", [("always", "Completed"), ("always", "Running"), ("failed", "Failed")])
def test_a_lost_answer_of_one_that_is_submitted_again(ibm, resubmit, status):
    """The jobs that were there before are not the lost one."""
    old = job(OTHER_ID, status)
    lists(ibm, old)
    posts(ibm, status=500)
    lists(ibm, old)
    settled(ibm, job(), old)
    task = run(**BELL, resubmit=resubmit)
    assert (submissions(ibm), task["submitted"], task["job"]["id"]) == (1, 1, ID)


@pytest.mark.parametrize("resubmit", ["never", "always"])
def test_a_lost_answer_and_the_job_comes_later_than_all_looks(ibm, looks, resubmit):
    """It is there before the next try: that one must not be made, and the job is this task's."""
    looks([], *[[] for _look in _job._LOOKS], [job()])
    posts(ibm, status=503)
    task = run(**BELL, resubmit=resubmit)
    assert submissions(ibm) == 1
    assert (task["job"]["id"], task["changed"], task["submitted"]) == (ID, True, 1)


def test_a_lost_answer_and_a_list_that_comes_from_several_servers(ibm, looks):
    """One has the job already, the other not yet."""
    looks([], [job()], [], [job()])
    posts(ibm, status=500)
    assert run(**BELL)["job"]["id"] == ID


def test_a_lost_answer_and_somebody_else_has_submitted_it_as_well(ibm):
    """Which is whose is not known: the first counts for both, and the other is taken back."""
    lists(ibm)
    posts(ibm, status=500)
    settled(ibm, job(OTHER_ID), job())
    cancels(ibm)
    deletes(ibm)
    task = run(**BELL)
    assert (submissions(ibm), task["job"]["id"]) == (1, OTHER_ID)


def test_a_lost_answer_and_several_new_jobs_that_all_are_wanted(ibm):
    lists(ibm, job(OTHER_ID, "Completed"))
    posts(ibm, status=500)
    settled(ibm, job(), job(THIRD_ID), job(OTHER_ID, "Completed"))
    text = failed(**BELL, resubmit="always")["msg"]
    assert text == f"job bell: the answer was lost, and several new jobs have its key: {ID}, {THIRD_ID}"
    assert submissions(ibm) == 1


def test_what_certainly_never_left_is_no_lost_answer(ibm, naps):
    """HTTP repeats it: there was no connection."""
    refused = Broken("NewConnectionError: Connection refused")
    lists(ibm)
    posts(ibm, fails=refused)
    posts(ibm, fails=refused)
    posts(ibm)
    lists(ibm, job())
    task = run(**BELL)
    assert (task["submitted"], len(naps), task.shown) == (1, 2, [])


def test_a_limit_of_the_rate_after_a_lost_answer(ibm):
    lists(ibm)
    posts(ibm, status=500)
    for _look in _job._LOOKS:
        lists(ibm)
    lists(ibm)
    posts(ibm, **LIMITED)
    submits(ibm)
    task = run(**BELL)
    assert (submissions(ibm), task["submitted"]) == (3, 1)


# Two controllers


@pytest.mark.parametrize("of", [BELL, NAMELESS])
def test_who_came_later_takes_the_own_job_back(ibm, of):
    lists(ibm, of=of)
    posts(ibm, body(of))
    lists(ibm, job(of=of), job(OTHER_ID, of=of), of=of)
    cancels(ibm)
    deletes(ibm)
    task = run(**of)
    assert (task["job"]["id"], task["submitted"], submissions(ibm)) == (OTHER_ID, 0, 1)
    assert task.warnings == []


def test_who_came_first_does_nothing(ibm):
    lists(ibm)
    posts(ibm)
    lists(ibm, job(THIRD_ID), job())
    task = run(**BELL)
    assert (task["job"]["id"], task["submitted"]) == (ID, 1)


def test_at_the_same_moment_all_controllers_agree_who_was_first(ibm):
    made = {"created": "2026-11-28T02:00:00.000Z"}
    for mine, first in ((ID, OTHER_ID), (OTHER_ID, OTHER_ID)):
        lists(ibm)
        posts(ibm, job_id=mine)
        lists(ibm, job(**made), job(OTHER_ID, **made))
        if mine != first:
            cancels(ibm)
            deletes(ibm)
        assert run(**BELL)["job"]["id"] == first


def test_the_own_job_is_not_in_the_list_yet(ibm):
    lists(ibm)
    posts(ibm)
    lists(ibm, job(OTHER_ID))
    reads(ibm, job())
    cancels(ibm)
    deletes(ibm)
    assert run(**BELL)["job"]["id"] == OTHER_ID


def test_the_own_job_has_started_already(ibm):
    """It is billed. While it winds down it cannot be deleted, so it loses its key."""
    sent = body(BELL, "nightly")
    lists(ibm)
    posts(ibm, sent)
    lists(ibm, job(ID, "Running", "nightly"), job(OTHER_ID, "Queued", "nightly"))
    cancels(ibm)
    deletes(ibm, **NOT_ENDED)
    tags(ibm, "nightly")
    task = run(**BELL, tags=["nightly"])
    assert (task["job"]["id"], task["submitted"]) == (OTHER_ID, 0)
    (warning,) = task.warnings
    assert ID in warning and OTHER_ID in warning and "submitted twice at the same time" in warning


def test_the_own_job_has_ended_already(ibm):
    lists(ibm)
    posts(ibm)
    lists(ibm, job(), job(OTHER_ID))
    cancels(ibm, **ENDED_ALREADY)
    reads(ibm, job(status="Completed"))
    deletes(ibm)
    task = run(**BELL)
    assert (task["job"]["id"], len(task.warnings)) == (OTHER_ID, 1)


def test_the_own_job_was_taken_back_by_the_other(ibm):
    """After a lost answer the other one tidies up, too: that is nothing to warn of."""
    lists(ibm)
    posts(ibm)
    lists(ibm, job(), job(OTHER_ID))
    cancels(ibm, **NO_JOB)
    reads(ibm, None)
    deletes(ibm, **NO_JOB)
    task = run(**BELL)
    assert (task["job"]["id"], task.warnings) == (OTHER_ID, [])


def test_the_other_controller_submitted_something_else_under_that_name(ibm):
    lists(ibm)
    posts(ibm)
    lists(ibm, job(), job(OTHER_ID, of={**BELL, "circuit": OTHER_CIRCUIT}))
    cancels(ibm)
    deletes(ibm)
    task = failed(**BELL)
    assert f"there is a job 'bell' ({OTHER_ID}, Queued) of another program, backend or circuit" in task["msg"]
    assert submissions(ibm) == 1


def test_with_resubmit_always_both_are_wanted(ibm):
    lists(ibm)
    posts(ibm)
    lists(ibm, job(), job(OTHER_ID))
    task = run(**BELL, resubmit="always")
    assert (task["job"]["id"], task["submitted"]) == (ID, 1)


def test_a_failed_one_that_two_submit_again(ibm):
    old = job(OTHER_ID, "Failed", created="2026-11-27T02:00:00.000Z")
    lists(ibm, old)
    posts(ibm, job_id=THIRD_ID)
    lists(ibm, old, job(THIRD_ID), job())
    cancels(ibm, THIRD_ID)
    deletes(ibm, THIRD_ID)
    assert run(**BELL, resubmit="failed")["job"]["id"] == ID


# Cancelled


def test_cancelled_by_its_id(ibm):
    reads(ibm, job(status="Running"))
    cancels(ibm)
    reads(ibm, job(status="Cancelled"))
    task = run(id=ID, state="cancelled")
    assert (task["changed"], task["job"], "submitted" in task) == (True, named(job(status="Cancelled")), False)
    assert (task["diff"]["before"], task["diff"]["after"]) == ({ID: "Running"}, {ID: "Cancelled"})


@pytest.mark.parametrize("state", ["cancelled", "absent"])
def test_one_that_is_not_there(ibm, state):
    reads(ibm, None)
    lists(ibm)
    for which in ({"id": ID}, {"name": "bell"}):
        task = run(**which, state=state)
        assert (task["changed"], "job" in task, task["diff"]["before"]) == (False, False, {})


@pytest.mark.parametrize("which", [{"name": "bell"}, BELL, {**BELL, "circuit": OTHER_CIRCUIT}, NAMELESS])
def test_all_of_the_key_are_cancelled(ibm, which):
    of = NAMELESS if which == NAMELESS else BELL
    lists(ibm, job(THIRD_ID, of=of), job(ID, "Completed", of=of), job(OTHER_ID, "Running", of=of), of=of)
    cancels(ibm, THIRD_ID)
    cancels(ibm, OTHER_ID)
    reads(ibm, job(THIRD_ID, "Cancelled", of=of))
    reads(ibm, job(OTHER_ID, "Cancelled", of=of))
    task = run(**which, state="cancelled")
    assert (task["changed"], task["job"]["id"], task["job"]["status"]) == (True, THIRD_ID, "Cancelled")
    assert task["diff"]["before"] == {THIRD_ID: "Queued", OTHER_ID: "Running"}


@pytest.mark.parametrize("status", ["Completed", "Failed", "Cancelled", "Cancelled - Ran too long"])
def test_one_that_has_ended_stays_as_it_is(ibm, status):
    lists(ibm, job(status=status))
    task = run(name="bell", state="cancelled")
    assert (task["changed"], task["job"]) == (False, named(job(status=status)))


@pytest.mark.parametrize("answer, now", [(ENDED_ALREADY, job(status="Completed")), (NO_JOB, None)])
def test_one_that_ends_meanwhile(ibm, answer, now):
    lists(ibm, job(status="Running"))
    cancels(ibm, **answer)
    reads(ibm, now)
    assert run(name="bell", state="cancelled")["changed"] is False


def test_one_that_winds_down_is_cancelled(ibm):
    """IBM took it (204), and the job says so a moment later."""
    lists(ibm, job(status="Running"))
    cancels(ibm)
    reads(ibm, job(status="Running"))
    assert run(name="bell", state="cancelled")["changed"] is True


def test_a_lost_answer_of_a_cancellation(ibm):
    lists(ibm, job())
    cancels(ibm, fails=Broken("Connection aborted."))
    cancels(ibm, **ENDED_ALREADY)
    reads(ibm, job(status="Cancelled"))
    assert run(name="bell", state="cancelled")["changed"] is True


def test_one_that_may_not_be_cancelled(ibm):
    lists(ibm, job())
    cancels(ibm, status=403, reply=ibm_error("1200", "no"))
    assert failed(name="bell", state="cancelled")["error"]["status"] == 403


@pytest.mark.parametrize("state", ["cancelled", "absent"])
def test_check_mode_cancels_and_deletes_nothing(ibm, state):
    lists(ibm, job(), job(OTHER_ID, "Completed"))
    task = run(name="bell", state=state, check_mode=True)
    assert task["changed"] is True
    after = {"cancelled": {ID: "Cancelled"}, "absent": {}}[state]
    assert task["diff"]["after"] == after


# Absent


def test_deleted(ibm):
    lists(ibm, job(status="Completed"), job(OTHER_ID, "Cancelled - Ran too long"))
    deletes(ibm)
    deletes(ibm, OTHER_ID)
    task = run(name="bell", state="absent")
    assert (task["changed"], task["job"]["id"]) == (True, ID)
    assert task["diff"]["before"] == {ID: "Completed", OTHER_ID: "Cancelled"}
    assert task["diff"]["after"] == {}


def test_deleted_by_its_id(ibm):
    reads(ibm, job(status="Failed"))
    deletes(ibm)
    assert run(id=ID, state="absent")["changed"]


def test_one_that_runs_is_cancelled_first(ibm, naps):
    lists(ibm, job(status="Running"))
    cancels(ibm)
    deletes(ibm, **NOT_ENDED)
    deletes(ibm, status=409, reply=ibm_error("1300", "not yet"))
    deletes(ibm)
    assert run(name="bell", state="absent")["changed"]
    assert len(naps) == 2


def test_one_that_does_not_end(ibm, naps):
    lists(ibm, job(status="Running"))
    cancels(ibm)
    for _turn in range(6):
        deletes(ibm, **NOT_ENDED)
    assert "The job cannot be deleted" in failed(name="bell", state="absent")["msg"]
    assert 10 <= sum(naps) <= 60


@pytest.mark.parametrize("status, cancelled", [("Queued", ENDED_ALREADY), ("Queued", NO_JOB), ("Completed", None)])
def test_one_that_somebody_deletes_meanwhile(ibm, status, cancelled):
    lists(ibm, job(status=status))
    if cancelled:
        cancels(ibm, **cancelled)
    deletes(ibm, **NO_JOB)
    assert run(name="bell", state="absent")["changed"]


def test_one_that_may_not_be_deleted(ibm):
    lists(ibm, job(status="Completed"))
    deletes(ibm, status=404, reply=ibm_error("1279", "Instance not found."))
    assert "The instance is not known on this host" in failed(name="bell", state="absent")["msg"]


# Several jobs


def of_name(name, **changes):
    return {**BELL, "name": name, **changes}


def test_several(ibm):
    shots = {"b": {"shots": 5}}
    for name, job_id in (("a", OTHER_ID), ("b", ID)):
        of = of_name(name, **shots.get(name, {}))
        lists(ibm, of=of)
        posts(ibm, body(of, "nightly", params={**PARAMS, **shots.get(name, {})}), job_id)
        lists(ibm, job(job_id, "Queued", "nightly", of=of), of=of)
    lists(ibm, job(THIRD_ID, "Running", "nightly", of=of_name("c")), of=of_name("c"))
    task = run(
        backend="ibm_fez",
        circuit=FLIP,
        tags=["nightly"],
        jobs=[{"name": "a"}, {"name": "b", "shots": 5}, {"name": "c"}],
    )
    assert (task["changed"], task["submitted"], submissions(ibm), "job" in task) == (True, 2, 2, False)
    assert [(row["id"], row["name"], row["tags"]) for row in task["jobs"]] == [
        (OTHER_ID, "a", ["nightly"]),
        (ID, "b", ["nightly"]),
        (THIRD_ID, "c", ["nightly"]),
    ]
    assert task["diff"]["before"] == {"job a": {}, "job b": {}}
    assert task["diff"]["after"].keys() == {"job a", "job b"}
    assert task["diff"]["after"]["job b"]["params"] != task["diff"]["after"]["job a"]["params"]


@pytest.mark.parametrize(
    "task, element, sent",
    [
        ({"circuit": OTHER_CIRCUIT}, {"circuit": FLIP}, {}),
        ({"circuit": OTHER_CIRCUIT}, {"pubs": [{"circuit": FLIP}]}, {}),
        ({"pubs": [{"circuit": OTHER_CIRCUIT}]}, {"circuit": FLIP}, {}),
        ({"circuit": FLIP, "backend": "ibm_torino"}, {"backend": "ibm_fez"}, {}),
        ({"circuit": FLIP, "backend": None, "min_qubits": 1000}, {"backend": "ibm_fez"}, {}),
        ({"circuit": FLIP, "shots": 7}, {"shots": None}, {}),
        ({"circuit": FLIP, "session": "night"}, {"session_id": SESSION_ID}, {"session_id": SESSION_ID}),
        ({"circuit": FLIP, "max_execution_time": 5}, {"max_execution_time": 9}, {"cost": 9}),
        ({"circuit": FLIP, "private": True}, {"private": False}, {}),
        (
            {"circuit": FLIP, "shots": None},
            {"program_id": "executor", "params": {"x": 1}},
            {"program_id": "executor", "params": {"x": 1}},
        ),
    ],
)
def test_an_element_overrides_the_task(ibm, task, element, sent):
    task = {"backend": "ibm_fez", **task}
    of = {key: value for key, value in {**BELL, **element}.items() if value is not None}
    if "pubs" in element or "params" in element:
        of.pop("circuit")
    lists(ibm, of=of)
    posts(ibm, body({key: value for key, value in of.items() if key not in ("session_id",)}, **sent))
    lists(ibm, job(of=of), of=of)
    assert run(**task, jobs=[{"name": "bell", **element}])["submitted"] == 1


@pytest.mark.parametrize(
    "task, element, backend",
    [
        ({"processor_family": "heron"}, {"min_qubits": 10}, "ibm_torino"),
        ({"simulator": False}, {"max_queue_length": 3}, "ibm_torino"),
        ({"backend": "ibm_fez"}, {"simulator": True}, "aer"),
    ],
)
def test_what_an_element_does_not_set_is_taken_from_the_task(ibm, task, element, backend):
    lists(ibm)
    backends(ibm, FEZ, TORINO, AER, {**AER, "name": "big", "qubits": 1000})
    task = run(circuit=FLIP, **task, jobs=[{"name": "bell", **element}], check_mode=True)
    chosen = task["diff"]["after"]["job bell"]["backend"]
    assert chosen == ("big" if backend == "aer" else backend)


@pytest.mark.parametrize(
    "element, text",
    [
        ({"nmae": "b"}, "nmae"),
        ({"name": "b", "shots": "many"}, "shots"),
        ({"name": "b", "log_level": "loud"}, "log_level"),
        ({"name": "b", "wait": True}, "wait"),
        ({"name": "b", "resubmit": "always"}, "resubmit"),
        ({"name": "b", "pubs": [{"circiut": FLIP}]}, "circiut"),
        ({"name": "b", "circuit": "x"}, "'circuit' is neither OpenQASM 3 nor QPY"),
        ({"name": "b", "circuit_file": "/nowhere/b.qasm"}, "'circuit_file': /nowhere/b.qasm cannot be read"),
        ({"name": "b", "pubs": [{"circuit": FLIP}, {}]}, "'pubs', element 2: give one of"),
        ({"name": "b" * 75}, "'name' must have 1 to 74 characters"),
        ({"name": "b", "tags": ["x" * 87]}, "'tags'"),
        ({"name": "b", "max_execution_time": 0}, "'max_execution_time' must be 1 to 10800 seconds"),
        ({"name": "b", "id": ID}, "'id' is for 'state: cancelled' and 'absent'"),
        ({"name": "b", "program_id": "estimator"}, "'observables' is needed by the estimator"),
    ],
)
def test_a_bad_element_is_named_with_its_number_before_anything_is_sent(ibm, element, text):
    task = failed(**NAMELESS, jobs=[{"name": "a"}, element])
    assert task["msg"].startswith("'jobs', element 2: ")
    assert text in task["msg"]


@pytest.mark.parametrize(
    "options, text",
    [
        ({"jobs": []}, "'jobs' is empty: give at least one job"),
        ({"jobs": [{"name": "a"}], "name": "b"}, "'name' is of one job: write it into the elements of 'jobs'"),
        ({"jobs": [{"name": "a"}], "result_file": "/x"}, "'result_file' is of one job"),
        ({"jobs": [{"name": "a"}], "id": ID}, "'id' is of one job"),
        ({"jobs": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}, "'jobs', elements 1 and 3 are the same job"),
        ({"jobs": [{"name": "a"}, {}, {}]}, "'jobs', elements 2 and 3 are the same job: give them different names"),
        ({"jobs": [{}, {"circuit": FLIP}]}, "'jobs', elements 1 and 2 are the same job"),
        (
            {"jobs": [{"name": "a", "result_file": "/x"}, {"name": "b", "result_file": "/x"}]},
            "'result_file': several jobs would write to /x: give each its own",
        ),
        (
            {"jobs": [{"name": "a", "result_file": "/tmp/x"}, {"name": "b", "result_file": "/tmp/./x"}]},
            "'result_file': several jobs would write to /tmp/",
        ),
        ({"jobs": [{"id": ID}, {"id": ID}], "state": "absent"}, "'jobs', elements 1 and 2 are the same job"),
    ],
)
def test_jobs_that_cannot_be_right(ibm, options, text):
    assert text in failed(**NAMELESS, **options)["msg"]


@pytest.mark.parametrize(
    "second",
    [
        {"status": 400, "reply": ibm_error("1003", "params are bad")},
        {"status": 409, "reply": ibm_error("1300", "Usage exceeds the limit.")},
        NO_ANSWER,
    ],
)
def test_an_error_in_the_middle_returns_those_before(ibm, second):
    lists(ibm, of=of_name("a"))
    posts(ibm, body(of_name("a")))
    lists(ibm, job(of=of_name("a")), of=of_name("a"))
    lists(ibm, of=of_name("b"))
    posts(ibm, body(of_name("b")), **second)
    for _look in _job._LATE_LOOKS if second is NO_ANSWER else ():
        lists(ibm, of=of_name("b"))
    task = failed(**NAMELESS, jobs=[{"name": "a"}, {"name": "b"}, {"name": "c"}], wait=True)
    assert (task["changed"], task["submitted"], submissions(ibm)) == (True, 1, 2)
    assert [row["id"] for row in task["jobs"]] == [ID]
    assert "'jobs', element 2 (job b): " in task["msg"]
    assert task["diff"]["after"].keys() == {"job a"}
    assert task["error"]["outcome_unknown"] is (second is NO_ANSWER)


def test_another_job_of_a_name_in_the_middle_returns_those_before(ibm):
    lists(ibm, job(status="Running", of=of_name("a")), of=of_name("a"))
    lists(ibm, job(OTHER_ID, of=of_name("b", circuit=OTHER_CIRCUIT)), of=of_name("b"))
    task = failed(**NAMELESS, jobs=[{"name": "a"}, {"name": "b"}])
    assert task["msg"].startswith("'jobs', element 2 (job b): 'name': there is a job 'b'")
    assert [row["id"] for row in task["jobs"]] == [ID]
    assert task["changed"] is False


def test_an_error_of_the_first_has_none_before_it(ibm):
    lists(ibm, status=403, reply=ibm_error("1200", "no"))
    task = failed(**NAMELESS, jobs=[{"name": "bell"}, {"name": "b"}])
    assert "'jobs', element 1 (job bell): " in task["msg"]
    assert task.result.get("jobs") == []


@pytest.mark.parametrize("state, call", [("cancelled", cancels), ("absent", deletes)])
def test_several_are_cancelled_or_deleted(ibm, state, call):
    pending = "Queued" if state == "cancelled" else "Completed"
    reads(ibm, job(ID, pending))
    call(ibm)
    if state == "cancelled":
        reads(ibm, job(ID, "Cancelled"))
    reads(ibm, None, OTHER_ID)
    lists(ibm, job(THIRD_ID, "Completed", of=of_name("c")), of=of_name("c"))
    if state == "absent":
        deletes(ibm, THIRD_ID)
    task = run(state=state, jobs=[{"id": ID}, {"id": OTHER_ID}, {"name": "c"}])
    assert task["changed"] and [row["id"] for row in task["jobs"]] == [ID, THIRD_ID]


# Options that cannot be right: nothing is sent


@pytest.mark.parametrize(
    "options, text",
    [
        ({}, "nothing to run"),
        ({"name": "bell"}, "nothing to run"),
        ({"state": "cancelled"}, "which job? Give its 'id', its 'name', or what was submitted"),
        ({"state": "absent", "id": ""}, "which job?"),
        ({**BELL, "id": ID}, "'id' is for 'state: cancelled' and 'absent': a new job has none"),
        ({**BELL, "name": ""}, "'name' must have 1 to 74 characters"),
        ({**BELL, "name": "b" * 75}, "'name' must have 1 to 74 characters"),
        ({**BELL, "name": "sha256:b"}, "'name' must not begin with 'sha256:'"),
        ({**BELL, "max_execution_time": 0}, "'max_execution_time' must be 1 to 10800 seconds, not 0"),
        ({**BELL, "max_execution_time": 10801}, "'max_execution_time' must be 1 to 10800 seconds, not 10801"),
        ({**BELL, "session_id": "s" * 37}, "'session_id' must have 1 to 36 characters"),
        ({**BELL, "session_id": ""}, "'session_id' must have 1 to 36 characters"),
        ({**BELL, "calibration_id": "c" * 101}, "'calibration_id' must have 1 to 100 characters"),
        ({**BELL, "calibration_id": ""}, "'calibration_id' must have 1 to 100 characters"),
        ({**BELL, "session": "s" * 71}, "'session' must have 1 to 70 characters"),
        ({**BELL, "session": "s", "session_id": "s"}, "give one of 'session', a name, and 'session_id'"),
        ({**BELL, "min_qubits": 5}, "'min_qubits' chooses a backend, and 'backend' names one"),
        ({**BELL, "simulator": False}, "'simulator' chooses a backend, and 'backend' names one"),
        ({**BELL, "tags": list("abcdefg")}, "'tags': 7 are too many: IBM takes 8, 2 of them needed"),
        ({**NAMELESS, "tags": list("abcdefgh")}, "'tags': 8 are too many: IBM takes 8, 1 of them needed"),
        ({**BELL, "session": "s", "tags": list("abcdef")}, "'tags': 6 are too many: IBM takes 8, 3 of them needed"),
        ({**BELL, "tags": ["x" * 87]}, "'tags': IBM takes tags of 1 to 86 characters"),
        ({**BELL, "tags": [""]}, "'tags': IBM takes tags of 1 to 86 characters"),
        ({**BELL, "tags": ["ansible-job:x"]}, "begins like the tags by which this collection finds its own jobs"),
        ({**BELL, "submit_timeout": -1}, "'submit_timeout' must be 0 to 2592000 seconds, not -1"),
        ({**BELL, "wait_timeout": 0}, "'wait_timeout' must be 1 to 2592000 seconds, not 0"),
        ({**BELL, "wait_timeout": 2592001}, "'wait_timeout' must be 1 to 2592000 seconds, not 2592001"),
        ({"id": ID, "state": "cancelled", "wait": True}, "'wait' is for 'state: present'"),
        ({**BELL, "private": True, "wait": True}, "'result_file' is needed for a private job"),
        ({**BELL, "circuit": "x"}, "'circuit' is neither OpenQASM 3 nor QPY"),
        ({**BELL, "instance": None}, "'instance' is needed for the Runtime API"),
        ({"name": "bell", "state": "absent", "circuit": "x"}, "'circuit' is neither OpenQASM 3 nor QPY"),
    ],
)
def test_options_that_cannot_be_right(ibm, options, text):
    for check_mode in (True, False):
        assert text in failed(**options, check_mode=check_mode)["msg"]


@pytest.mark.parametrize(
    "options, sent",
    [
        ({"max_execution_time": 1}, {"cost": 1}),
        ({"max_execution_time": 10800}, {"cost": 10800}),
        ({"session_id": "s" * 36}, {"session_id": "s" * 36}),
        ({"calibration_id": "c" * 100}, {"calibration_id": "c" * 100}),
    ],
)
def test_limits_that_are_just_kept(ibm, options, sent):
    submits(ibm, body(**sent))
    assert run(**BELL, **options)["submitted"] == 1


def test_as_many_tags_and_as_long_a_name_as_ibm_takes(ibm):
    of = of_name("n" * 74)
    extra = list("abcdef")
    submits(ibm, body(of, *extra), of=of)
    assert run(**of, tags=extra)["submitted"] == 1
    (sent,) = (json.loads(request.body) for request in ibm.sent if request.method == "POST")
    assert len(sent["tags"]) == 8 and max(map(len, sent["tags"])) == 86


# Waiting, results


def waits(ibm, *after, of=BELL, **changes):
    """A submission, and what the job is when it is looked at then."""
    submits(ibm, body(of, **changes), of=of)
    for found in after:
        reads(ibm, found)


def test_submitted_waited_for_and_brought_home(ibm, naps):
    waits(ibm, job(status="Running"), job(status="Running"), job(status="Completed"))
    results(ibm)
    task = run(**BELL, wait=True)
    assert task["job"] == {**named(job(status="Completed")), "results": COUNTS}
    assert (task["changed"], task["submitted"], len(naps)) == (True, 1, 3)
    assert task.shown[0].startswith(f"waiting for job {ID}; stopping this run does not stop it: ")
    assert task.shown[1:] == [f"job {ID} on ibm_fez: Running"]


@pytest.mark.parametrize("wanted", ["decoded", "raw", "none"])
def test_how_results_are_returned(ibm, wanted):
    waits(ibm, job(status="Completed"))
    if wanted != "none":
        results(ibm)
    expected = {"decoded": COUNTS, "raw": json.loads(TEXT), "none": None}[wanted]
    assert run(**BELL, wait=True, results=wanted)["job"].get("results") == expected


def test_one_that_is_there_is_waited_for_too(ibm):
    lists(ibm, job(status="Running"))
    reads(ibm, job(status="Completed"))
    results(ibm)
    task = run(**BELL, wait=True)
    assert (task["changed"], task["submitted"], task["job"]["results"]) == (False, 0, COUNTS)


@pytest.mark.parametrize(
    "found, text",
    [
        (
            job(status="Failed", state={"status": "Failed", "reason": "Too deep", "reason_code": 1517}),
            f"Job {ID} on ibm_fez ended as Failed: Too deep (code 1517).",
        ),
        (job(status="Cancelled"), f"Job {ID} on ibm_fez ended as Cancelled."),
        (job(status="Cancelled - Ran too long"), f"Job {ID} on ibm_fez ended as Cancelled - Ran too long."),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_one_that_does_not_complete_is_an_error(ibm, found, text, there):
    if there:
        lists(ibm, found)
    else:
        waits(ibm, found)
    if found["status"] == "Failed":
        results(ibm, text="Traceback\nValueError: deep")
    task = failed(**BELL, wait=True)
    assert task["msg"] == text
    assert (task["changed"], task["submitted"]) == (not there, int(not there))
    assert task["job"]["status"] == found["status"]
    assert task["job"].get("error_text") == ("Traceback\nValueError: deep" if found["status"] == "Failed" else None)


def test_one_that_takes_too_long_is_an_error_but_goes_on(ibm, naps):
    lists(ibm, job(status="Running"))
    for _turn in range(5):
        reads(ibm, job(status="Running"))
    task = failed(**BELL, wait=True, wait_timeout=3)
    assert task["msg"].startswith(
        f"Job {ID} is still Running after the 3 s of 'wait_timeout'. Job {ID} goes on: run the task"
    )
    assert task["job"]["id"] == ID
    assert sum(naps) == pytest.approx(3)


def test_waiting_ends_with_an_error_and_the_job_is_told(ibm):
    submits(ibm)
    reads(ibm, job(), status=403, reply=ibm_error("1200", "no"))
    task = failed(**BELL, wait=True)
    assert (task["changed"], task["submitted"], task["job"]["id"]) == (True, 1, ID)
    assert (task["error"]["status"], f"Job {ID} goes on" in task["msg"]) == (403, True)


def test_one_that_somebody_deletes_while_it_is_waited_for(ibm):
    submits(ibm)
    reads(ibm, None)
    task = failed(**BELL, wait=True)
    assert "deleted by somebody else while this task waited" in task["msg"]
    assert "still Queued" not in task["msg"]
    assert (task["changed"], task["submitted"]) == (True, 1)


@pytest.fixture
def three(ibm):
    """Three jobs that are there, and are looked at together."""
    found = [job(OTHER_ID, of=of_name("a")), job(ID, of=of_name("b")), job(THIRD_ID, of=of_name("c"))]
    for one, name in zip(found, "abc"):
        lists(ibm, one, of=of_name(name))
    return {**NAMELESS, "jobs": [{"name": name} for name in "abc"], "wait": True, "results": "none"}


class Looks:
    """Answers all further reading with these jobs, however they are asked for."""

    def __init__(self, monkeypatch, *found):
        self.found = {one["id"]: one for one in found}
        monkeypatch.setattr(Jobs, "get", lambda _jobs, job_id, params=False: self.found.get(job_id))
        true = Jobs.list

        def listed(jobs, filters, most=None):
            if "tags" in filters:
                return true(jobs, filters, most)
            ended = ("Completed", "Failed", "Cancelled")
            wanted = filters.get("pending")
            return [one for one in self.found.values() if wanted is None or (one["status"] not in ended) is wanted]

        monkeypatch.setattr(Jobs, "list", listed)


def test_several_are_waited_for_together(three, monkeypatch):
    Looks(monkeypatch, *[job(one, "Completed") for one in (ID, OTHER_ID, THIRD_ID)])
    task = run(**three)
    assert [(row["id"], row["status"]) for row in task["jobs"]] == [
        (OTHER_ID, "Completed"),
        (ID, "Completed"),
        (THIRD_ID, "Completed"),
    ]


def test_some_of_several_do_not_complete(three, monkeypatch):
    Looks(monkeypatch, job(OTHER_ID, "Failed"), job(ID, "Completed"), job(THIRD_ID, "Running"))
    task = failed(**three, wait_timeout=60)
    assert f"Job {OTHER_ID} on ibm_fez ended as Failed. Job {THIRD_ID} is still Running after the 60 s" in task["msg"]
    assert [row["status"] for row in task["jobs"]] == ["Failed", "Completed", "Running"]


def test_one_of_several_is_deleted_while_they_are_waited_for(three, monkeypatch):
    Looks(monkeypatch, job(OTHER_ID, "Completed"), job(THIRD_ID, "Completed"))
    task = failed(**three)
    assert "deleted by somebody else while this task waited" in task["msg"]
    assert "still Queued" not in task["msg"]
    assert [row["id"] for row in task["jobs"]] == [OTHER_ID, THIRD_ID]


def test_many_that_failed_are_not_all_told(ibm):
    names = [f"n{number}" for number in range(6)]
    for name in names:
        one = job(status="Cancelled", of=of_name(name))
        lists(ibm, {**one, "id": name}, of=of_name(name))
    task = failed(**NAMELESS, jobs=[{"name": name} for name in names], wait=True)
    assert "Job n2 on ibm_fez ended as Cancelled." in task["msg"]
    assert "Job n3" not in task["msg"] and "3 more of the 6 jobs did not complete." in task["msg"]


def test_a_result_file(ibm, tmp_path):
    path = tmp_path / "bell.json"
    for turn in (1, 2):
        if turn == 1:
            waits(ibm, job(status="Completed"))
        else:
            lists(ibm, job(status="Completed"))
        results(ibm)
        task = run(**BELL, wait=True, result_file=str(path))
        assert (task["changed"], task["submitted"]) == (turn == 1, int(turn == 1))
        assert (task["job"]["result_file"], task["job"]["results"]) == (str(path), COUNTS)
        assert (path.read_text(), os.stat(path).st_mode & 0o777) == (TEXT, 0o600)
    os.unlink(path)
    lists(ibm, job(status="Completed"))
    results(ibm)
    assert run(**BELL, result_file=str(path))["changed"] is True, "also without waiting, as it has ended"


def test_a_result_file_that_cannot_be_written_is_noticed_before_qpu_time_is_used(ibm, tmp_path):
    jobs = [{"name": "a", "result_file": str(tmp_path / "a")}, {"name": "b", "result_file": str(tmp_path / "no" / "b")}]
    assert "'result_file': " in failed(**NAMELESS, wait=True, jobs=jobs)["msg"]
    assert not [*tmp_path.glob("a*")]


def test_of_a_job_that_goes_on_no_file_is_written(ibm, tmp_path):
    submits(ibm)
    assert "result_file" not in run(**BELL, result_file=str(tmp_path / "bell.json"))["job"]
    assert not (tmp_path / "bell.json").exists()


PRIVATE = {**BELL, "private": True}


def test_a_private_job(ibm, tmp_path):
    path = tmp_path / "bell.json"
    waits(ibm, job(status="Completed", private=True), private=True)
    results(ibm)
    task = run(**PRIVATE, wait=True, result_file=str(path))
    assert (task["job"]["results"], path.read_text(), task.warnings) == (COUNTS, TEXT, [])
    lists(ibm, job(status="Completed", private=True))
    task = run(**PRIVATE, wait=True, result_file=str(path))
    assert (task["changed"], task["job"]["results"]) == (False, COUNTS), "the second run has them from the file"


def test_a_private_job_does_not_take_an_older_ones_results_for_its_own(ibm, tmp_path):
    """The file is one that every night's job writes, say."""
    path = tmp_path / "bell.json"
    path.write_text(TEXT.replace("0x1", "0x0"))
    waits(ibm, job(status="Completed", private=True), private=True)
    results(ibm)
    task = run(**PRIVATE, wait=True, result_file=str(path))
    assert task["job"]["results"] == COUNTS
    assert path.read_text() == TEXT


def test_a_private_job_without_a_file(ibm):
    lists(ibm, job(status="Completed", private=True))
    task = run(**PRIVATE)
    assert "results" not in task["job"]
    assert "give a file to save them in" in task.warnings[0]


def test_details(ibm):
    lists(ibm, job(status="Running"))
    ibm.runtime("GET", f"/v1/jobs/{ID}/metrics", reply={"usage": {}})
    ibm.runtime("GET", f"/v1/jobs/{ID}", query={"exclude_params": "false"}, reply={**job(), "params": PARAMS})
    found = run(**BELL, details=["metrics", "logs", "params"])["job"]
    assert (found["metrics"], found["logs"], found["params"]) == ({"usage": {}}, "", PARAMS)


def test_results_that_cannot_be_read_and_the_job_is_told(ibm):
    submits(ibm)
    reads(ibm, job(status="Completed"))
    results(ibm, status=403, reply=json.dumps(ibm_error("1200", "no")))
    task = failed(**BELL, wait=True)
    assert (task["job"]["id"], task["job"]["status"], task["submitted"]) == (ID, "Completed", 1)
    assert task["error"]["status"] == 403
