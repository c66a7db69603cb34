# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os

import pytest
from requests.exceptions import ConnectionError as Broken

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _collect
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._collect import (
    Collector,
    Wanted,
    named,
    why_failed,
    why_lost,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import Jobs
from ansible_collections.ibm_quantum.platform.plugins.module_utils._result_file import ResultFile
from ansible_collections.ibm_quantum.platform.plugins.modules import job_info
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import CRN, TOKEN, Module, ibm_error

ID = "d4kq2vl8r0fs73c1u2mg"
DATA = {"results": [{"data": {"c": {"samples": ["0x1", "0x0", "0x1"], "num_bits": 1}}, "metadata": {"by": "größer"}}]}
#: As IBM may write it, and json.dumps would not.
TEXT = json.dumps(DATA, ensure_ascii=False).replace('"results": [', '"results" :\n [')
COUNTS = [{"counts": {"c": {"0": 1, "1": 2}}, "metadata": {"by": "größer"}}]
TRACEBACK = 'Traceback (most recent call last):\n  File "größer.py"\nValueError: the circuit is too deep\n'
PLAIN = {"reply_headers": {"Content-Type": "text/plain; charset=utf-8"}}
NO_CHARSET = {"reply_headers": {"Content-Type": "text/plain"}}
AS_JSON = {"reply_headers": {"Content-Type": "application/json"}}
GONE = {"status": 204}


def job(status="Completed", **changes):
    return {"id": ID, "backend": "ibm_fez", "state": {"status": status}, "status": status, "tags": [], **changes}


PRIVATE = job(private=True)


def reads(ibm, text=TEXT, **answer):
    """IBM is asked for the results."""
    ibm.runtime("GET", f"/v1/jobs/{ID}/results", **{**PLAIN, "reply": text, **answer})


class Collected:
    """What came of one job."""

    def __init__(self, job, wanted, check_mode):
        module = Module(job_info.ARGUMENT_SPEC, check_mode, bearer_token=TOKEN, instance=CRN)
        collector = Collector(module, Jobs(Client(module)))
        self.job = collector.bring(job, wanted)
        self.changed, self.warnings, self.lost = collector.changed, module.warnings, collector.lost


@pytest.fixture
def path(tmp_path):
    return tmp_path / "result.json"


@pytest.fixture
def bring(ibm, path):
    """Brings a job home; ``file`` tells whether with the results in a file, or in which."""

    def call(job, results="decoded", details=(), *, file=False, check_mode=False):
        where = ResultFile(str(path if file is True else file)) if file else None
        return Collected(job, Wanted(results, details, where), check_mode)

    return call


# What is not there


@pytest.mark.parametrize("file", [True, False])
@pytest.mark.parametrize("status", ["Queued", "Running", "Something new"])
def test_of_a_job_that_goes_on_nothing_is_read(bring, path, status, file):
    found = bring(job(status), file=file)
    assert (found.job, found.changed, path.exists()) == (job(status), False, False)


def test_where_nothing_is_wanted_nothing_is_read(bring):
    assert bring(job(), "none").job == job()


@pytest.mark.parametrize("status", ["Cancelled", "Cancelled - Ran too long"])
@pytest.mark.parametrize("results", ["decoded", "raw", "none"])
@pytest.mark.parametrize("private", [True, False])
def test_of_a_cancelled_job_nothing_is_read(bring, path, status, results, private):
    one = job(status, state={"status": "Cancelled"}, private=private)
    found = bring(one, results, file=True)
    assert found.job == {**one, **({} if results == "none" else {"results": []})}
    assert (found.changed, found.warnings, path.exists()) == (False, [], False)


@pytest.mark.parametrize("results", ["decoded", "raw"])
@pytest.mark.parametrize("file", [True, False])
def test_no_results(ibm, bring, path, results, file):
    reads(ibm, None, **GONE)
    found = bring(job(), results, file=file)
    assert found.job == {**job(), "results": []}
    assert (found.changed, found.warnings, path.exists()) == (False, [], False)


# Results


@pytest.mark.parametrize("content", [PLAIN, AS_JSON])
@pytest.mark.parametrize("results, expected", [("decoded", COUNTS), ("raw", DATA)])
def test_results(ibm, bring, content, results, expected):
    reads(ibm, **content)
    found = bring(job(), results)
    assert found.job == {**job(), "results": expected}
    assert (found.changed, found.warnings) == (False, [])


@pytest.mark.parametrize("results, expected", [("decoded", COUNTS), ("raw", DATA)])
def test_results_as_a_text_in_json(ibm, bring, results, expected):
    """IBM's document has them like that."""
    reads(ibm, json.dumps(TEXT), **AS_JSON)
    assert bring(job(), results).job["results"] == expected


@pytest.mark.parametrize("content", [PLAIN, AS_JSON, NO_CHARSET])
@pytest.mark.parametrize("results", ["decoded", "none"])
def test_a_file_holds_them_byte_for_byte(ibm, bring, path, content, results):
    path.write_text("of another job")
    reads(ibm, **content)
    found = bring(job(), results, file=True)
    assert path.read_bytes() == TEXT.encode()
    assert os.stat(path).st_mode & 0o777 == 0o600
    rest = {} if results == "none" else {"results": COUNTS}
    assert (found.job, found.changed) == ({**job(), "result_file": str(path), **rest}, True)


def test_the_second_time_the_file_is_unchanged(ibm, bring, path):
    path.write_text(TEXT)
    reads(ibm)
    found = bring(job(), file=True)
    assert (found.changed, found.job["result_file"], found.job["results"]) == (False, str(path), COUNTS)


def test_results_that_cannot_be_decoded(ibm, bring, path):
    strange = {"__type__": "PrimitiveResult", "__value__": {}}
    reads(ibm, json.dumps(strange))
    found = bring(job(), file=True)
    assert found.job["results"] == strange
    assert json.loads(path.read_text()) == strange
    (warning,) = found.warnings
    assert warning.startswith(f"the results of job {ID} cannot be decoded, so they are returned as they are: ")


@pytest.mark.parametrize("content", [PLAIN, AS_JSON])
@pytest.mark.parametrize("length", [1, len(TEXT) // 2, len(TEXT) - 1])
def test_results_that_are_cut_off_are_asked_for_again(ibm, bring, path, content, length):
    for _turn in range(2):
        reads(ibm, TEXT[:length], **content)
    reads(ibm, **content)
    assert bring(job(), file=True).job["results"] == COUNTS
    assert path.read_bytes() == TEXT.encode()


def test_results_that_are_always_cut_off(ibm, bring, path):
    path.write_text("of another job")
    for _turn in range(_collect._TRIES):
        reads(ibm, TEXT[:-1])
    with pytest.raises(ApiError, match=f"results of job {ID} are not whole JSON.*IBM keeps them: run the task again"):
        bring(job(), file=True)
    assert path.read_text() == "of another job"


def test_results_that_do_not_come(ibm, bring, path):
    for _turn in range(5):
        reads(ibm, fails=Broken("Connection aborted."))
    with pytest.raises(ApiError, match="the connection broke"):
        bring(job(), file=True)
    assert not path.exists()


@pytest.mark.parametrize("one", [job(), PRIVATE])
def test_a_file_that_cannot_be_written_is_noticed_first_so_nothing_is_read(bring, path, one):
    path.mkdir()
    for bad in (path, path / "nowhere" / "result.json"):
        with pytest.raises(OptionError, match=f"'result_file': {bad} cannot be "):
            bring(one, file=bad)


# Failed jobs


@pytest.mark.parametrize("content", [PLAIN, NO_CHARSET, AS_JSON])
@pytest.mark.parametrize("file", [True, False])
def test_a_failed_job(ibm, bring, path, content, file):
    """IBM's document knows JSON only, but what failed has a traceback."""
    reads(ibm, TRACEBACK, **content)
    found = bring(job("Failed"), file=file)
    rest = {"result_file": str(path)} if file else {}
    assert found.job == {**job("Failed"), "results": [], "error_text": TRACEBACK, **rest}
    assert (found.changed, path.exists()) == (file, file)
    assert not file or path.read_bytes() == TRACEBACK.encode()


def test_a_failed_job_without_results_in_the_answer(ibm, bring, path):
    reads(ibm, TRACEBACK)
    found = bring(job("Failed"), "none", file=True)
    assert "results" not in found.job
    assert path.read_bytes() == TRACEBACK.encode()


def test_a_failed_job_that_says_nothing(ibm, bring):
    reads(ibm, None, **GONE)
    assert bring(job("Failed")).job == {**job("Failed"), "results": [], "error_text": ""}


@pytest.mark.parametrize(
    "changes, text",
    [
        ({}, f"job {ID} on ibm_fez ended as Failed."),
        (
            {"state": {"reason": "Too deep.", "reason_code": 1517, "reason_solution": "Make it flat."}},
            f"job {ID} on ibm_fez ended as Failed: Too deep (code 1517). IBM's advice: Make it flat.",
        ),
        ({"error_text": TRACEBACK}, f"job {ID} on ibm_fez ended as Failed: ValueError: the circuit is too deep."),
        ({"error_text": "", "state": {"reason": None}}, f"job {ID} on ibm_fez ended as Failed."),
        ({"error_text": " \n"}, f"job {ID} on ibm_fez ended as Failed."),
        (
            {"status": "Cancelled - Ran too long", "state": {"status": "Cancelled", "reason": "10 s are over"}},
            f"job {ID} on ibm_fez ended as Cancelled - Ran too long: 10 s are over.",
        ),
    ],
)
def test_why_a_job_failed(changes, text):
    assert why_failed({**job("Failed"), **changes}) == text


# Private jobs: IBM deletes their results as it sends them


def test_the_results_of_a_private_job_are_saved_before_anything_else(ibm, bring, path, monkeypatch):
    def decode(text):
        assert path.read_text() == text == TEXT
        return COUNTS

    monkeypatch.setattr(_collect, "decode", decode)
    reads(ibm)
    found = bring(PRIVATE, file=True)
    assert found.job == {**PRIVATE, "result_file": str(path), "results": COUNTS}
    assert (found.changed, found.warnings) == (True, [])


@pytest.mark.parametrize("results", ["decoded", "raw", "none"])
def test_those_of_a_private_job_that_are_in_the_file_already_so_nothing_is_read(bring, path, results):
    path.write_text(TEXT)
    found = bring(PRIVATE, results, file=True)
    rest = {"decoded": {"results": COUNTS}, "raw": {"results": DATA}, "none": {}}[results]
    assert found.job == {**PRIVATE, "result_file": str(path), **rest}
    assert found.changed is False


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"])
def test_a_file_that_holds_no_result_is_none(ibm, bring, path, content):
    """Such as an empty one, made to have the right owner."""
    path.write_bytes(content)
    reads(ibm)
    found = bring(PRIVATE, file=True)
    assert found.job["results"] == COUNTS
    assert path.read_bytes() == TEXT.encode()


@pytest.mark.parametrize("results", ["decoded", "raw"])
def test_of_a_private_job_without_a_file_nothing_is_read(bring, results):
    found = bring(PRIVATE, results)
    assert found.job == PRIVATE
    (warning,) = found.warnings
    assert ID in warning and "deletes them when they are read" in warning


@pytest.mark.parametrize("content", [PLAIN, AS_JSON])
def test_those_of_a_private_job_that_are_cut_off_are_kept(ibm, bring, path, content):
    """They come only once: what there is of them is worth more than another try, which brings nothing."""
    reads(ibm, TEXT[:-9], **content)
    found = bring(PRIVATE, file=True)
    assert path.read_bytes() == TEXT[:-9].encode()
    assert found.job["results"] == TEXT[:-9]
    assert "cannot be decoded" in found.warnings[0]


def test_those_of_a_private_job_that_somebody_read_before(ibm, bring, path):
    reads(ibm, None, **GONE)
    found = bring(PRIVATE, file=True)
    assert found.job == {**PRIVATE, "results": []}
    assert not path.exists()
    assert (found.lost, found.warnings) == ([ID], [])
    assert why_lost(found.lost).startswith(
        f"IBM has no results of the private job {ID} any more: they were read before"
    )


def test_the_answer_with_those_of_a_private_job_is_lost(ibm, bring, path):
    """No remedy may promise what a second run cannot bring."""
    for _turn in range(5):
        reads(ibm, None, fails=Broken("Connection aborted."))
    with pytest.raises(
        ApiError, match="IBM deletes the results of a private job as it sends them, so they may be lost"
    ):
        bring(PRIVATE, file=True)


def test_a_private_job_that_failed(ibm, bring, path):
    reads(ibm, TRACEBACK)
    found = bring(job("Failed", private=True), file=True)
    assert found.job["error_text"] == TRACEBACK == path.read_text()


# Check mode


@pytest.mark.parametrize("before", [None, TEXT])
def test_in_check_mode_of_a_private_job_nothing_is_read(bring, path, before):
    if before:
        path.write_text(before)
    found = bring(PRIVATE, file=True, check_mode=True)
    assert found.changed is (before is None)
    assert path.exists() is (before is not None)
    assert found.job.get("results") == (COUNTS if before else [])


@pytest.mark.parametrize("before", [None, TEXT, "of another job"])
def test_check_mode_tells_whether_the_file_would_change(ibm, bring, path, before):
    if before:
        path.write_text(before)
    reads(ibm)
    found = bring(job(), file=True, check_mode=True)
    assert found.changed is (before != TEXT)
    assert found.job["results"] == COUNTS
    assert (path.read_text() if before else None) == before


def test_check_mode_without_a_file(ibm, bring):
    reads(ibm)
    found = bring(job(), check_mode=True)
    assert (found.job["results"], found.changed) == (COUNTS, False)


# Details, names


def test_details(ibm, bring):
    metrics = {"timestamps": {}, "usage": {"qpu_charge_time_seconds": 2, "status": "complete"}}
    ibm.runtime("GET", f"/v1/jobs/{ID}/metrics", reply=metrics)
    ibm.runtime("GET", f"/v1/jobs/{ID}/logs", reply="größer\n", **PLAIN)
    ibm.runtime("GET", f"/v1/jobs/{ID}", query={"exclude_params": "false"}, reply={**job(), "params": {"x": 1}})
    found = bring(job(), "none", ["metrics", "logs", "params"])
    assert found.job == {**job(), "metrics": metrics, "logs": "größer\n", "params": {"x": 1}}


def test_a_log_whose_charset_is_not_told(ibm, bring):
    """text/plain alone is what IBM's document has; requests takes that for Latin-1."""
    ibm.runtime("GET", f"/v1/jobs/{ID}/logs", reply="größer\n", **NO_CHARSET)
    assert bring(job(), "none", ["logs"]).job["logs"] == "größer\n"


@pytest.mark.parametrize("answer", [{"status": 404, "reply": ibm_error("1291", "No log.")}, {"reply": "", **PLAIN}])
def test_no_log(ibm, bring, answer):
    ibm.runtime("GET", f"/v1/jobs/{ID}/logs", **answer)
    assert bring(job(), "none", ["logs"]).job["logs"] == ""


def test_no_instance(ibm, bring):
    ibm.runtime("GET", f"/v1/jobs/{ID}/logs", status=404, reply=ibm_error("1279", "Instance not found."))
    with pytest.raises(ApiError, match="The instance is not known on this host"):
        bring(job(), "none", ["logs"])


def test_the_log_of_a_job_that_goes_on_so_nothing_is_read(bring):
    assert bring(job("Running"), "none", ["logs"]).job["logs"] == ""


def test_the_params_of_a_private_job(ibm, bring):
    ibm.runtime("GET", f"/v1/jobs/{ID}", query={"exclude_params": "false"}, reply=PRIVATE)
    assert not bring(PRIVATE, "none", ["params"]).job.get("params")


@pytest.mark.parametrize(
    "tags, shown",
    [
        (["a", "ansible-job:bell", "ansible-content:0", "b"], {"name": "bell", "tags": ["a", "b"]}),
        (["ansible-job:sha256:0"], {"tags": []}),
        (["ansible-job:sha256:0", "ansible-job:bell"], {"name": "bell", "tags": []}),
        (["ansible-job:a", "ansible-session:night"], {"name": "a", "session": "night", "tags": []}),
        ([], {"tags": []}),
        (None, {"tags": []}),
    ],
)
def test_names_and_tags(tags, shown):
    assert named({"id": ID, "tags": tags}) == {"id": ID, **shown}
