# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import multiprocessing

import pytest
import requests

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tally
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._http import Http
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, RUNTIME, TOKEN, TOKEN_URL
from ansible_collections.ibm_quantum.platform.tests.unit.wire import closed_port

NOTHING = {
    "calls": {"iam_token": 0, "runtime": 0, "other": 0, "total": 0},
    "jobs": {"submitted": 0, "open": 0, "ended": {}},
    "qpu_seconds": {"submitted": 0, "total": 0},
    "billing_pending": 0,
}


@pytest.fixture
def tally(tmp_path, monkeypatch):
    path = tmp_path / "tally"
    path.touch(mode=0o600)
    monkeypatch.setenv(_tally.VARIABLE, str(path))
    return path


def sums(path):
    return _tally.sums(path.read_text().splitlines())


def job(name, status="Completed", seconds=3, billing="complete"):
    """A JobResponse as IBM sends it."""
    body = {"id": name, "status": status, "state": {"status": status.partition(" - ")[0]}}
    return body if seconds is None else {**body, "usage": {"qpu_charge_time_seconds": seconds, "status": billing}}


@pytest.mark.parametrize(
    "url, service",
    [
        ("https://iam.cloud.ibm.com/identity/token", "iam_token"),
        ("https://private.iam.cloud.ibm.com/identity/token", "iam_token"),
        ("http://127.0.0.1:8080/identity/token", "iam_token"),
        ("https://iam.cloud.ibm.com/v1/apikeys?account_id=a", "other"),
        ("https://iam.cloud.ibm.com/v1/accounts/a/settings/identity", "other"),
        ("https://iam.cloud.ibm.com/identity/keys", "other"),
        ("https://quantum.cloud.ibm.com/api/v1/backends", "runtime"),
        ("https://quantum.cloud.ibm.com:443/api/v1/jobs/1", "runtime"),
        ("https://eu-de.quantum.cloud.ibm.com/api/v1/jobs?limit=1", "runtime"),
        ("https://private.eu-de.quantum.cloud.ibm.com/api/v1/versions", "runtime"),
        ("http://127.0.0.1:8080/api/v1/anything", "runtime"),
        ("http://127.0.0.1:8080/eu-de/api/v1/backends", "runtime"),
        ("https://gateway.example.com/quantum/v1/jobs", "runtime"),
        ("https://gateway.example.com/v1/jobsite", "other"),
        ("https://globalcatalog.cloud.ibm.com/api/v1/x", "other"),
        ("http://127.0.0.1:8080/globalcatalog/api/v1/x", "other"),
        ("http://127.0.0.1:8080/v1/apikeys", "other"),
        ("https://resource-controller.cloud.ibm.com/v2/resource_instances", "other"),
        ("https://[broken", "other"),
    ],
)
def test_services(url, service):
    assert _tally.service_of(url) == service


def test_sums(tally):
    assert sums(tally) == NOTHING
    for url in (TOKEN_URL, f"{RUNTIME}/v1/jobs", f"{RUNTIME}/v1/jobs", "https://cloud.ibm.com/"):
        _tally.sent(url)
    _tally.call("a service of a later version")
    for name in ("a", "b", "b", "c", "d"):
        _tally.submitted(name)
    _tally.seen(job("a", "Queued", None))
    _tally.seen(job("a", "Running", 0, "pending"))
    _tally.seen(job("a", seconds=2, billing="pending"))
    _tally.seen(job("a", seconds=2.5))
    _tally.seen(job("a", "Running", None))  # an answer that was late
    _tally.seen(job("a", seconds=None))  # a list without the usage
    _tally.seen(job("b", "Failed", None))
    _tally.seen(job("c", "Cancelled - Ran too long", 7, "pending"))
    _tally.seen(job("another's", "Completed", 10))
    _tally.seen({"id": "bare", "state": {"status": "Cancelled"}})
    assert sums(tally) == {
        "calls": {"iam_token": 1, "runtime": 2, "other": 2, "total": 5},
        "jobs": {
            "submitted": 4,
            "open": 1,
            "ended": {"Cancelled": 1, "Cancelled - Ran too long": 1, "Completed": 2, "Failed": 1},
        },
        "qpu_seconds": {"submitted": 9.5, "total": 19.5},
        "billing_pending": 1,
    }


def test_whole_seconds_are_a_whole_number(tally):
    for number in range(10):
        _tally.seen(job(f"j{number}", seconds=0.1))
    assert json.dumps(sums(tally)["qpu_seconds"]["total"]) == "1"


@pytest.mark.parametrize(
    "line",
    [
        *("", "no JSON", '{"call": "run', "[1]", "42", "null", '{"call": ["runtime"]}', '{"call": 1}', "[" * 100_000),
        *('{"submitted": null}', '{"ended": {}}', '{"ended": "a"}', '{"ended": "a", "status": 1}', '{"else": 1}'),
    ],
)
def test_damaged_lines_are_left_out(line):
    good = '{"call": "runtime"}'
    assert _tally.sums([line]) == NOTHING
    assert _tally.sums([good, line, good])["calls"]["runtime"] == 2


@pytest.mark.parametrize("seconds", ["7", None, -1, "NaN", float("nan"), float("inf"), 10**400, [], {}])
def test_seconds_that_are_no_number_count_nothing(tally, seconds):
    line = json.dumps({"ended": "a", "status": "Failed", "seconds": seconds, "pending": "yes"})
    assert _tally.sums([line]) == {**NOTHING, "jobs": {"submitted": 0, "open": 0, "ended": {"Failed": 1}}}
    _tally.seen(job("b", seconds=seconds))
    assert sums(tally)["qpu_seconds"]["total"] == 0


@pytest.mark.parametrize("usage", [None, [], "much", {}, {"status": []}])
@pytest.mark.parametrize("state", [None, "Completed", {}, {"status": None}])
def test_odd_jobs_are_no_error(tally, usage, state):
    for status in (None, 1, "Completed"):
        _tally.seen({"id": None, "status": status, "state": state, "usage": usage})
    _tally.seen({})
    assert sums(tally)["qpu_seconds"]["total"] == 0


def test_a_line_is_short_whatever_the_names(tally):
    _tally.submitted("i" * 10_000)
    _tally.seen({**job("i" * 10_000), "status": "Failed - " + "x" * 10_000})
    assert all(len(line) < 400 for line in tally.read_text().splitlines())


def test_a_line_that_was_cut_off_takes_no_other_with_it(tally):
    _tally.call("runtime")
    with tally.open("a") as file:
        file.write('\n{"call": "runt')
    _tally.call("runtime")
    assert sums(tally)["calls"]["runtime"] == 2


@pytest.mark.parametrize("where", [None, "", "gone", "folder", "link"])
def test_without_a_file_nothing_happens(tmp_path, monkeypatch, where):
    monkeypatch.delenv(_tally.VARIABLE, raising=False)
    if where is not None:
        monkeypatch.setenv(_tally.VARIABLE, where and str(tmp_path / where))
    (tmp_path / "folder").mkdir()
    (tmp_path / "aim").touch()
    (tmp_path / "link").symlink_to(tmp_path / "aim")
    before = sorted(tmp_path.iterdir())
    _tally.sent(TOKEN_URL)
    _tally.call("runtime")
    _tally.submitted("a")
    _tally.seen(job("a"))
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "aim").read_text() == ""


# -- what HTTP counts


def test_every_request_that_was_sent_counts(ibm, tally):
    url = f"{RUNTIME}/v1/backends"
    ibm.expect("POST", TOKEN_URL, form={"apikey": API_KEY})
    ibm.expect("GET", url, status=503)
    ibm.expect("GET", url, fails=requests.exceptions.ReadTimeout())
    ibm.expect("GET", url, fails=requests.exceptions.ConnectTimeout())  # nobody got this one
    ibm.expect("GET", url, headers={"Authorization": TOKEN}, reply="cut {", status=200)
    ibm.expect("GET", url, reply={})
    ibm.expect("GET", f"{RUNTIME}/v1/jobs", query={"name": "of-the-query"}, status=404)
    Http().request("POST", TOKEN_URL, form={"apikey": API_KEY})
    Http().request("GET", url, headers={"Authorization": TOKEN})
    with pytest.raises(ApiError):
        Http().request("GET", f"{RUNTIME}/v1/jobs", query={"name": "of-the-query"})
    assert sums(tally)["calls"] == {"iam_token": 1, "runtime": 5, "other": 0, "total": 6}
    for secret in (API_KEY, TOKEN, "of-the-query", "https:"):
        assert secret not in tally.read_text()


def test_redirections_are_requests(ibm, tally):
    ibm.expect("GET", f"{RUNTIME}/v1/a", status=302, reply_headers={"Location": "https://cloud.ibm.com/b"})
    ibm.expect("GET", "https://cloud.ibm.com/b", reply={})
    Http().request("GET", f"{RUNTIME}/v1/a")
    assert sums(tally)["calls"] == {"iam_token": 0, "runtime": 1, "other": 1, "total": 2}


def test_connections_that_were_refused_are_none(tally):
    with pytest.raises(ApiError):
        Http(retries=2).request("GET", f"http://127.0.0.1:{closed_port()}/api/v1/jobs")
    assert sums(tally) == NOTHING


# -- several processes


def _work(number, start):
    start.wait()
    for turn in range(200):
        _tally.call("runtime")
        _tally.submitted(f"job-{number}-{turn}")
        _tally.seen(job(f"job-{number}-{turn}", seconds=1))


def test_nothing_is_lost_when_many_count_at_once(tally):
    context = multiprocessing.get_context("fork")
    start = context.Barrier(6)
    workers = [context.Process(target=_work, args=(number, start)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    found = sums(tally)
    assert found["calls"]["runtime"] == found["jobs"]["submitted"] == 1200
    assert found["jobs"]["ended"] == {"Completed": 1200} and found["qpu_seconds"]["submitted"] == 1200
    assert len(tally.read_text().splitlines()) == 1 + 3 * 1200
