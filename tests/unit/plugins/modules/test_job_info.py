# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from functools import partial

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _waiting
from ansible_collections.ibm_quantum.platform.plugins.modules import job_info
from ansible_collections.ibm_quantum.platform.tests.unit.plugins import jobs
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import ibm_error

TEXT = json.dumps({"results": [{"data": {"c": {"samples": ["0x1", "0x0", "0x1"], "num_bits": 1}}, "metadata": {}}]})
COUNTS = [{"counts": {"c": {"0": 1, "1": 2}}, "metadata": {}}]
NO_JOB = {"status": 404, "reply": ibm_error("1291", "Job not found.")}


def job(job_id="d0", status="Completed", *tags, **changes):
    state = {"status": status.partition(" - ")[0]}
    whole = {"id": job_id, "backend": "ibm_fez", "created": "2026-11-28T02:00:00.000Z", "state": state}
    return {**whole, "status": status, "tags": list(tags), **changes}


def page(*found, count=None, offset=0, limit=200):
    return {"jobs": list(found), "count": len(found) if count is None else count, "offset": offset, "limit": limit}


def lists(ibm, *found, reply=None, **query):
    """IBM is asked for a list."""
    query = {"sort": "DESC", "limit": 200, "exclude_params": "true", **query}
    ibm.runtime("GET", "/v1/jobs", query=query, reply=reply or page(*found))


def reads(ibm, found, job_id="d0", **answer):
    answer = answer or ({"reply": found} if found else NO_JOB)
    path = f"/v1/jobs/{found['id'] if found else job_id}"
    ibm.runtime("GET", path, query={"exclude_params": "true"}, **answer)


def results(ibm, job_id="d0", text=TEXT, **answer):
    answer = {"reply": text, "reply_headers": {"Content-Type": "text/plain; charset=utf-8"}, **answer}
    ibm.runtime("GET", f"/v1/jobs/{job_id}/results", **answer)


Task, run, failed = (partial(each, job_info) for each in (jobs.Task, jobs.run, jobs.failed))


@pytest.fixture(autouse=True)
def _clock(naps, monkeypatch):
    """Time passes in pauses only."""

    def now():
        return sum(naps)

    monkeypatch.setattr(_waiting.Waiter.__init__, "__defaults__", (now, now))


# By their IDs


def test_a_few_are_read_one_by_one_in_the_order_of_ids(ibm):
    reads(ibm, job("d2"))
    reads(ibm, job("d0", "Running", "a", "ansible-job:bell", "ansible-content:0"))
    task = run(ids=["d2", "d0", "d2"])
    assert task.result == {
        "changed": False,
        "jobs": [job("d2"), {**job("d0", "Running", "a"), "name": "bell"}],
    }


def test_many_are_read_with_a_list(ibm):
    ids = [f"d{number}" for number in range(50)]
    lists(ibm, *[job(job_id) for job_id in ["other", *reversed(ids)]])
    assert run(ids=ids).ids == ids


def test_those_that_are_not_in_the_list_are_read_one_by_one(ibm):
    """They are older, or somebody else's."""
    lists(ibm, job("d3"), job("d1"))
    reads(ibm, job("d0"))
    reads(ibm, job("d2"))
    assert run(ids=["d0", "d1", "d2", "d3"]).ids == ["d0", "d1", "d2", "d3"]


def test_more_than_a_page(ibm):
    """One page more than they would fill, and no more though there are thousands."""
    ids = [f"d{number}" for number in range(250)]
    lists(ibm, reply=page(*[job(job_id) for job_id in ids[:200]], count=9000))
    rest = [*map(job, ids[200:]), *[job(f"old{number}") for number in range(150)]]
    lists(ibm, reply=page(*rest, count=9000, offset=200), offset=200)
    assert run(ids=ids).ids == ids


@pytest.mark.parametrize("ids, missing", [(["d0"], "d0"), (["d1", "d0", "d2"], "d0, d2")])
def test_one_that_is_not_there(ibm, ids, missing):
    for job_id in ids:
        reads(ibm, job(job_id) if job_id == "d1" else None, job_id)
    text = failed(ids=ids)["msg"]
    assert text.startswith(f"'ids': the instance has no job {missing}: check the ID and 'instance'")


def test_one_of_many_is_not_there(ibm):
    lists(ibm, *[job(f"d{number}") for number in range(1, 5)])
    reads(ibm, None)
    assert "the instance has no job d0:" in failed(ids=[f"d{number}" for number in range(5)])["msg"]


def test_no_such_instance(ibm):
    reads(ibm, None, status=404, reply=ibm_error("1279", "Instance not found."))
    assert "The instance is not known on this host" in failed(ids=["d0"])["msg"]


def test_no_ids(ibm):
    assert run(ids=[]).result == {"changed": False, "jobs": []}


def test_an_id_is_one_part_of_a_path(ibm):
    ibm.runtime("GET", "/v1/jobs/a%2Fb%3Fc%20d", query={"exclude_params": "true"}, **NO_JOB)
    assert "the instance has no job a/b?c d" in failed(ids=["a/b?c d"])["msg"]


# Lists


@pytest.mark.parametrize(
    "options, query",
    [
        ({}, {}),
        ({"program_id": "sampler"}, {"program": "sampler"}),
        ({"backend": "ibm_fez"}, {"backend": "ibm_fez"}),
        ({"pending": True}, {"pending": "true"}),
        ({"pending": False}, {"pending": "false"}),
        ({"session_id": "s1"}, {"session_id": "s1"}),
        ({"tags": ["a", "b"]}, {"tags": ["a", "b"]}),
        ({"name": "bell"}, {"tags": "ansible-job:bell"}),
        ({"session": "night"}, {"tags": "ansible-session:night"}),
        (
            {"name": "bell", "session": "night", "tags": ["a"]},
            {"tags": ["ansible-session:night", "ansible-job:bell", "a"]},
        ),
        ({"sort": "oldest"}, {"sort": "ASC"}),
        ({"limit": 1}, {"limit": 1}),
        ({"limit": 200}, {"limit": 200}),
        ({"tags": []}, {}),
        ({"check_mode": True}, {}),
    ],
)
def test_filters(ibm, options, query):
    lists(ibm, job("d1"), **query)
    assert run(**options).ids == ["d1"]


@pytest.mark.parametrize("option", ["created_after", "created_before"])
@pytest.mark.parametrize(
    "text, sent",
    [
        ("2026-11-28", "2026-11-28T00:00:00.000Z"),
        ("2026-11-28T12:30:15Z", "2026-11-28T12:30:15.000Z"),
        ("2026-11-28T12:30:15", "2026-11-28T12:30:15.000Z"),
        ("2026-11-28 12:30:15", "2026-11-28T12:30:15.000Z"),
        ("2026-11-28T12:30", "2026-11-28T12:30:00.000Z"),
        ("2026-11-28T12:30Z", "2026-11-28T12:30:00.000Z"),
        ("2026-11-28T12:30:15.562Z", "2026-11-28T12:30:15.562Z"),
        ("2026-11-28T12:30:15+02:00", "2026-11-28T10:30:15.000Z"),
        ("2026-11-28T12:30:15-0500", "2026-11-28T17:30:15.000Z"),
        ("2026-11-28T12:30:15z", "2026-11-28T12:30:15.000Z"),
    ],
)
def test_times_come_to_ibm_in_its_form(ibm, monkeypatch, option, text, sent):
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # without an offset it is UTC, and not the time of this machine
    lists(ibm, job("d1"), **{option: sent})
    assert run(**{option: text}).ids == ["d1"]


@pytest.mark.parametrize("text", ["", "yesterday", "28.11.2026", "2026-13-01", "1764288000", "2026-11-28T25:00:00Z"])
def test_what_is_no_time(ibm, text):
    for option in ("created_after", "created_before"):
        assert failed(**{option: text})["msg"].startswith(f"'{option}' must be a ")


def rows(first, number):
    return [job(f"d{first + at}") for at in range(number)]


@pytest.mark.parametrize("sort, query", [("newest", "DESC"), ("oldest", "ASC")])
def test_all_pages(ibm, sort, query):
    lists(ibm, reply=page(*rows(0, 200), count=450), sort=query)
    lists(ibm, reply=page(*rows(200, 200), count=450, offset=200), sort=query, offset=200)
    lists(ibm, reply=page(*rows(400, 50), count=450, offset=400), sort=query, offset=400)
    assert run(limit=0, sort=sort).ids == [f"d{number}" for number in range(450)]


def test_smaller_pages_than_were_asked_for(ibm):
    lists(ibm, reply=page(*rows(0, 2), count=3, limit=2))
    lists(ibm, reply=page(*rows(2, 1), count=3, limit=2, offset=2), offset=2)
    assert run(limit=0).ids == ["d0", "d1", "d2"]


def test_no_more_pages_than_the_limit_needs(ibm):
    lists(ibm, reply=page(*rows(0, 200), count=5000))
    lists(ibm, reply=page(*rows(200, 200), count=5000, offset=200), offset=200)
    assert run(limit=300).ids == [f"d{number}" for number in range(300)]


@pytest.mark.parametrize("limit", [1, 200])
def test_a_limit_of_up_to_a_page_is_one_request(ibm, limit):
    lists(ibm, reply=page(*rows(0, limit), count=5000, limit=limit), limit=limit)
    assert len(run(limit=limit).ids) == limit


def test_what_is_submitted_between_two_pages_is_no_job_twice(ibm):
    """It moves the last one of a page to the next."""
    lists(ibm, reply=page(*rows(0, 200), count=201))
    lists(ibm, reply=page(*rows(199, 3), count=202, offset=200), offset=200)
    ids = run(limit=0).ids
    assert ids == [f"d{number}" for number in range(202)]


def test_pages_whose_number_is_not_told(ibm):
    """IBM's document does not demand 'count'."""
    first, second = page(*rows(0, 200)), page(*rows(200, 7), offset=200)
    for one in (first, second):
        del one["count"]
    lists(ibm, reply=first)
    lists(ibm, reply=second, offset=200)
    assert len(run(limit=0).ids) == 207


def test_an_empty_list(ibm):
    lists(ibm)
    assert run().result == {"changed": False, "jobs": []}


@pytest.mark.parametrize("reply", [{"error": None}, {"jobs": None}, [1], "<html>a portal</html>"])
def test_something_else_answers(ibm, reply):
    lists(ibm, reply=reply)
    assert "Check 'runtime_url'" in failed()["msg"]


# Options that cannot be right: nothing is sent


@pytest.mark.parametrize(
    "options, text",
    [
        *[
            ({"ids": ["d0"], **option}, f"'ids' names the jobs: leave {next(iter(option))!r} out")
            for option in (
                {"name": "bell"},
                {"tags": ["a"]},
                {"program_id": "sampler"},
                {"backend": "ibm_fez"},
                {"pending": False},
                {"session_id": "s"},
                {"session": "s"},
                {"created_after": "2026-11-28"},
                {"created_before": "2026-11-28"},
            )
        ],
        ({"ids": ["d0", ""]}, "'ids' has an empty element: a job that check mode did not submit has no ID"),
        ({"ids": [" "]}, "'ids' has an empty element"),
        ({"limit": -1}, "'limit' must be 0, for all jobs, or more, not -1"),
        ({"wait_timeout": 0}, "'wait_timeout' must be 1 to 2592000 seconds, not 0"),
        ({"wait_timeout": 2592001}, "'wait_timeout' must be 1 to 2592000 seconds, not 2592001"),
        ({"session": "s", "session_id": "s"}, "give one of 'session', a name, and 'session_id'"),
        ({"session": "s" * 71}, "'session' must have 1 to 70 characters"),
        ({"name": "n" * 75}, "'name' must have 1 to 74 characters"),
        ({"name": ""}, "'name' must have 1 to 74 characters"),
        ({"name": "sha256:0"}, "'name' must not begin with 'sha256:'"),
        ({"result_dir": "/nowhere"}, "'result_dir': /nowhere is not a folder: make it first"),
        ({"instance": None}, "'instance' is needed for the Runtime API"),
    ],
)
def test_options_that_cannot_be_right(ibm, options, text):
    assert text in failed(**options)["msg"]


def test_a_result_dir_that_is_a_file(ibm, tmp_path):
    (tmp_path / "file").touch()
    assert "is not a folder: make it first" in failed(result_dir=str(tmp_path / "file"))["msg"]


# Waiting


def test_one_is_waited_for(ibm, naps):
    reads(ibm, job("d0", "Running"))
    reads(ibm, job("d0", "Running"))
    reads(ibm, job("d0"))
    task = run(ids=["d0"], wait=True)
    assert (task.ids, task["jobs"][0]["status"], len(naps)) == (["d0"], "Completed", 2)
    assert task.shown[0].startswith("waiting for job d0; stopping this run does not stop it: run the task again, or ")


@pytest.mark.parametrize("status", ["Completed", "Failed", "Cancelled", "Cancelled - Ran too long"])
def test_however_they_end_it_is_no_error(ibm, naps, status):
    reads(ibm, job("d0", status))
    assert run(ids=["d0"], wait=True)["jobs"][0]["status"] == status
    assert naps == [], "and for what has ended nobody waits"


def test_several_are_waited_for_together(ibm, naps):
    """How they are polled is the subject of test_waiting.py."""
    lists(ibm, job("d0", "Queued"), job("d1"), job("d2", "Failed"), tags="a")
    reads(ibm, job("d0", "Running"))
    reads(ibm, job("d0"))
    task = run(tags=["a"], wait=True)
    assert [(row["id"], row["status"]) for row in task["jobs"]] == [
        ("d0", "Completed"),
        ("d1", "Completed"),
        ("d2", "Failed"),
    ]
    assert task.shown[1:] == ["2 of 3 jobs ended, 1 running, 0 queued"]
    assert len(naps) == 2


def test_those_that_take_too_long_are_an_error_and_returned(ibm, naps):
    for _turn in range(5):
        reads(ibm, job("d0", "Running"))
    task = failed(ids=["d0"], wait=True, wait_timeout=2, results="decoded")
    assert task["msg"].startswith("Job d0 is still Running after the 2 s of 'wait_timeout'. Job d0 goes on: ")
    assert task["jobs"] == [job("d0", "Running")]
    assert sum(naps) == pytest.approx(2)


def test_one_that_is_deleted_meanwhile_is_left_out(ibm):
    reads(ibm, job("d0", "Running"))
    reads(ibm, None)
    assert run(ids=["d0"], wait=True)["jobs"] == []


def test_an_error_while_it_waits(ibm):
    reads(ibm, job("d0", "Running"))
    reads(ibm, job("d0"), status=403, reply=ibm_error("1200", "no"))
    task = failed(ids=["d0"], wait=True)
    assert (task["error"]["status"], "Job d0 goes on: run the task again" in task["msg"]) == (403, True)


def test_without_wait_nobody_waits(ibm, naps):
    reads(ibm, job("d0", "Running"))
    assert (run(ids=["d0"]).ids, naps) == (["d0"], [])


# Results


@pytest.mark.parametrize("wanted", ["none", "raw", "decoded"])
def test_results(ibm, wanted):
    reads(ibm, job("d0"))
    reads(ibm, job("d1", "Running"))
    reads(ibm, job("d2", "Failed"))
    if wanted != "none":
        results(ibm)
        results(ibm, "d2", "ValueError: deep")
    first, second, third = run(ids=["d0", "d1", "d2"], results=wanted)["jobs"]
    assert first.get("results") == {"none": None, "raw": json.loads(TEXT), "decoded": COUNTS}[wanted]
    assert second == job("d1", "Running")
    assert third.get("error_text") == (None if wanted == "none" else "ValueError: deep")


def test_results_are_not_read_unless_that_is_wanted(ibm):
    reads(ibm, job("d0"))
    assert run(ids=["d0"])["jobs"] == [job("d0")]


def test_a_folder_for_results(ibm, tmp_path):
    for turn in (1, 2):
        reads(ibm, job("d0"))
        reads(ibm, job("d1", "Running"))
        reads(ibm, job("d2", "Cancelled"))
        results(ibm)
        task = run(ids=["d0", "d1", "d2"], result_dir=str(tmp_path))
        assert task["changed"] is (turn == 1)
        assert task["jobs"] == [
            {**job("d0"), "result_file": str(tmp_path / "d0.json")},
            job("d1", "Running"),
            job("d2", "Cancelled"),
        ]
        assert (tmp_path / "d0.json").read_text() == TEXT
        assert [*tmp_path.glob("*.json")] == [tmp_path / "d0.json"]


def test_waited_for_and_saved(ibm, tmp_path):
    reads(ibm, job("d0", "Queued"))
    reads(ibm, job("d0", private=True))
    results(ibm)
    task = run(ids=["d0"], wait=True, result_dir=str(tmp_path), results="decoded")
    assert (task["changed"], task["jobs"][0]["results"]) == (True, COUNTS)
    assert (tmp_path / "d0.json").read_text() == TEXT


def test_private_jobs(ibm, tmp_path):
    found = [job("d0", private=True), job("d1")]
    lists(ibm, *found)
    results(ibm, "d1")
    task = run(results="decoded")
    assert [row.get("results") for row in task["jobs"]] == [None, COUNTS]
    (warning,) = task.warnings
    assert "the private job d0 are left at IBM" in warning
    lists(ibm, *found)
    results(ibm)
    results(ibm, "d1")
    task = run(results="decoded", result_dir=str(tmp_path))
    assert [row["results"] for row in task["jobs"]] == [COUNTS, COUNTS]
    lists(ibm, *found)
    results(ibm, "d1")
    task = run(results="decoded", result_dir=str(tmp_path))
    assert [row["results"] for row in task["jobs"]] == [COUNTS, COUNTS], "the second run has those from the file"
    assert (task["changed"], task.warnings) == (False, [])


def test_check_mode(ibm, tmp_path):
    """It writes no files and does not read the results of private jobs."""
    lists(ibm, job("d0", private=True), job("d1"))
    results(ibm, "d1")
    task = run(results="decoded", result_dir=str(tmp_path), check_mode=True)
    assert task["changed"] is True
    assert task["jobs"][1]["results"] == COUNTS
    assert not [*tmp_path.glob("*.json")]


def test_details(ibm):
    reads(ibm, job("d0"))
    ibm.runtime("GET", "/v1/jobs/d0/metrics", reply={"usage": {}})
    ibm.runtime("GET", "/v1/jobs/d0/logs", reply="line\n", reply_headers={"Content-Type": "text/plain; charset=utf-8"})
    ibm.runtime("GET", "/v1/jobs/d0", query={"exclude_params": "false"}, reply={**job("d0"), "params": {"x": 1}})
    (found,) = run(ids=["d0"], details=["metrics", "logs", "params"])["jobs"]
    assert found == {**job("d0"), "metrics": {"usage": {}}, "logs": "line\n", "params": {"x": 1}}
