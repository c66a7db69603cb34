# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
import requests

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _one_at_a_time
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import session as module_session
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.sessions import (
    BACKEND,
    BODY,
    CLOSED,
    GONE,
    ID,
    NAME,
    OTHER_ID,
    PATH,
    THIRD_ID,
    jobs,
    newest,
    read,
    session,
    tagged,
)
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, RUNTIME, Module, ibm_error

LOST = requests.ConnectionError("Connection aborted.")


def run(**options):
    given = {"api_key": API_KEY, "instance": CRN, "retries": 0, **options}
    module = Module(module_session.ARGUMENT_SPEC, **given)
    return {**outcome(module_session.run, module), "warned": module.warnings}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where names are kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "ibm_quantum" / "sessions"


@pytest.fixture(autouse=True)
def _exchange(ibm, folder, request):
    if "nothing_sent" not in request.node.name:
        ibm.exchange()


def kept(folder):
    """What the only file says."""
    (path,) = folder.glob("*.json")
    return json.loads(path.read_text())


def make(ibm, *, body=None, mode="batch", **answer):
    """What a new session of a name costs, that this machine does not know yet."""
    tagged(ibm)
    newest(ibm, OTHER_ID, mode=mode)
    ibm.runtime("POST", PATH, json=body or BODY, **{"reply": session(), **answer})


@pytest.fixture
def made(ibm, folder):
    """A session that this machine knows by its name."""
    make(ibm)
    result = run(name=NAME, backend=BACKEND)
    assert result["changed"] and result["session"]["id"] == ID
    return result


# Open


def test_made_noted_and_found_again(ibm, folder):
    make(ibm, body={**BODY, "max_ttl": 600}, reply=session(max_ttl=600))
    options = {"name": NAME, "backend": BACKEND, "max_ttl": 600}
    result = run(**options)
    after = {**BODY, "max_ttl": 600, "state": "open"}
    label = "session nightly"
    assert result["diff"] == {"before": {}, "after": after, "before_header": label, "after_header": label}
    assert result["session"] == {**session(max_ttl=600), "name": NAME}
    assert kept(folder) == {
        "url": "https://quantum.cloud.ibm.com/api",
        "instance": CRN,
        "name": NAME,
        "id": ID,
        "max_ttl": 600,
        "intent": None,
    }
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent, folder.parent.parent)} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    read(ibm, session(max_ttl=600))
    again = run(**options)
    assert (again["changed"], again["session"]["id"]) == (False, ID)
    assert again["diff"]["before"] == again["diff"]["after"] == {"state": "open"}


def test_check_mode_predicts_and_writes_nothing(ibm, folder):
    tagged(ibm)
    result = run(name=NAME, backend=BACKEND, mode="dedicated", max_ttl=60, check_mode=True)
    assert (result["changed"], result["diff"]["after"]["state"]) == (True, "open")
    assert result["session"] == {
        "name": NAME,
        "mode": "dedicated",
        "backend_name": BACKEND,
        "max_ttl": 60,
        "state": "open",
    }
    assert not folder.exists()


def test_without_a_name_each_is_new(ibm, folder):
    for made_id in (ID, THIRD_ID):
        newest(ibm, OTHER_ID, mode="session")
        ibm.runtime("POST", PATH, json={**BODY, "mode": "dedicated"}, reply=session(made_id))
        result = run(backend=BACKEND, mode="dedicated")
        assert (result["changed"], result["session"]["id"], "name" in result["session"]) == (True, made_id, False)
    assert not folder.exists()


def test_times_of_partners(ibm):
    times = {"interactive_ttl": 60, "active_ttl": 600}
    make(ibm, body={**BODY, **times}, reply=session(interactive_ttl=60))
    options = {"name": NAME, "backend": BACKEND, **times}
    assert run(**options)["changed"]
    read(ibm, session(interactive_ttl=60))
    assert run(**options)["changed"] is False
    read(ibm, session(interactive_ttl=60))
    assert "'interactive_ttl': the session" in run(**{**options, "interactive_ttl": 70})["msg"]


@pytest.mark.parametrize(
    "options, text",
    [
        (
            {"mode": "dedicated"},
            f"'mode': the session 'nightly' ({ID}) has 'batch', not 'dedicated', and IBM",
        ),
        ({"backend": "ibm_torino"}, f"'backend': the session 'nightly' ({ID}) has 'ibm_fez', not 'ibm_torino'"),
        ({"max_ttl": 60}, f"'max_ttl': the session 'nightly' ({ID}) has 28800, not 60"),
    ],
)
def test_another_session_of_the_name_is_an_error(ibm, made, options, text):
    read(ibm, session())
    assert text in run(name=NAME, **options)["msg"]


def test_ibm_may_give_less_time_and_leave_out_the_backend(ibm, made):
    read(ibm, session(**CLOSED))
    make(ibm, body={**BODY, "max_ttl": 90000}, reply=session(OTHER_ID))
    options = {"name": NAME, "backend": BACKEND, "max_ttl": 90000}
    assert run(**options)["warned"] == ["'max_ttl': IBM gave the session 28800 s, not 90000 s"]
    read(ibm, session(OTHER_ID, backend_name=None))
    result = run(**options)
    assert (result["changed"], result["warned"]) == (False, [])


@pytest.mark.parametrize("old", [session(**CLOSED), None])
def test_a_closed_one_is_gone(ibm, made, folder, old):
    read(ibm, old)
    tagged(ibm)
    newest(ibm, ID)
    ibm.runtime("POST", PATH, json=BODY, reply=session(OTHER_ID))
    assert run(name=NAME, backend=BACKEND)["session"]["id"] == OTHER_ID
    assert kept(folder)["id"] == OTHER_ID


@pytest.mark.parametrize("check_mode", [True, False])
def test_opened_again(ibm, made, check_mode):
    read(ibm, session(accepting_jobs=False))
    if not check_mode:
        ibm.runtime("PATCH", f"{PATH}/{ID}", json={"accepting_jobs": True}, status=204)
        read(ibm, session())
    result = run(name=NAME, check_mode=check_mode)
    assert (result["changed"], result["session"]["accepting_jobs"]) == (True, True)
    assert (result["diff"]["before"], result["diff"]["after"]) == ({"state": "not_accepting"}, {"state": "open"})


def test_by_id(ibm, folder):
    read(ibm, session())
    result = run(id=ID)
    assert (result["changed"], result["session"]) == (False, session())
    assert not folder.exists()
    read(ibm, session())
    assert run(id=ID, name=NAME)["session"]["name"] == NAME
    assert kept(folder)["id"] == ID


@pytest.mark.parametrize("found, text", [(session(**CLOSED), "is closed"), (None, "is not there")])
def test_by_id_none_is_made(ibm, found, text):
    read(ibm, found)
    assert f"'id': the session {ID} {text}, and IBM opens none again" in run(id=ID, backend=BACKEND)["msg"]


def test_a_new_one_needs_a_backend(ibm):
    tagged(ibm)
    assert "'backend' is needed: there is no such session yet" in run(name=NAME)["msg"]


# From another machine


def test_found_by_the_tag_of_its_jobs(ibm, folder):
    tagged(ibm, None, OTHER_ID, OTHER_ID, ID)
    read(ibm, session(OTHER_ID, state="active"))
    read(ibm, session(**CLOSED))
    result = run(name=NAME, backend=BACKEND)
    assert (result["changed"], result["session"]["id"]) == (False, OTHER_ID)
    assert kept(folder)["id"] == OTHER_ID


@pytest.mark.parametrize("state", ["open", "closed"])
def test_several_of_a_name_are_an_error(ibm, state):
    tagged(ibm, OTHER_ID, ID)
    read(ibm, session(OTHER_ID))
    read(ibm, session())
    text = f"'name': there are 2 sessions 'nightly': {OTHER_ID}, {ID}. Give the 'id'"
    assert text in run(name=NAME, state=state)["msg"]


# Not accepting, closed


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    "state, method, path, body, then",
    [
        ("not_accepting", "PATCH", f"{PATH}/{ID}", {"accepting_jobs": False}, {"accepting_jobs": False}),
        ("closed", "DELETE", f"{PATH}/{ID}/close", None, CLOSED),
    ],
)
def test_ended(ibm, made, state, method, path, body, then, check_mode):
    read(ibm, session())
    if not check_mode:
        ibm.runtime(method, path, json=body, status=204)
        read(ibm, session(**then))
    result = run(name=NAME, state=state, check_mode=check_mode)
    assert (result["changed"], result["session"]) == (True, {**session(**then), "name": NAME})
    assert (result["diff"]["before"], result["diff"]["after"]) == ({"state": "open"}, {"state": state})
    read(ibm, session(**then))
    if state == "closed":
        tagged(ibm, ID)  # it is the same that is noted: not read twice
    again = run(name=NAME, state=state)
    assert (again["changed"], again["session"]["id"]) == (False, ID)
    assert again["diff"]["before"] == again["diff"]["after"] == {"state": state}


@pytest.mark.parametrize("state", ["not_accepting", "closed"])
def test_none_is_there_to_be_ended(ibm, state, folder):
    tagged(ibm)
    result = run(name=NAME, state=state)
    assert (result["changed"], result["session"]) == (False, None)
    read(ibm, None)
    assert run(id=ID, state=state)["changed"] is False
    assert not folder.exists()


def test_not_accepting_of_one_that_ibm_says_nothing_of(ibm):
    whole = session()
    del whole["accepting_jobs"], whole["state"]
    read(ibm, whole)
    ibm.runtime("PATCH", f"{PATH}/{ID}", json={"accepting_jobs": False}, status=204)
    read(ibm, None)  # it had no jobs, so it is gone
    result = run(id=ID, state="not_accepting")
    assert (result["changed"], result["session"]) == (True, None)


# Lost answers


@pytest.mark.parametrize(
    "state, method, path, body",
    [
        ("not_accepting", "PATCH", f"{PATH}/{ID}", {"accepting_jobs": False}),
        ("closed", "DELETE", f"{PATH}/{ID}/close", None),
    ],
)
@pytest.mark.parametrize(
    "answer, then, settled",
    [
        ({"fails": LOST}, session(**CLOSED), True),
        ({"fails": LOST}, None, True),
        ({"fails": LOST}, session(), False),
        ({"status": 502, "reply": "<html></html>"}, session(**CLOSED), True),
        (GONE, None, True),
        ({"status": 409, "reply": ibm_error("1200", "It is closed.")}, session(**CLOSED), True),
        ({"status": 409, "reply": ibm_error("1200", "Not now.")}, session(), False),
    ],
)
def test_the_answer_to_a_change_is_lost(ibm, state, method, path, body, answer, then, settled):
    read(ibm, session())
    ibm.runtime(method, path, json=body, **answer)
    read(ibm, then)
    result = run(id=ID, state=state)
    lost = "status" not in answer or answer["status"] == 502
    assert result.get("changed", False) is settled
    if settled:
        assert bool(result["warned"]) is lost
        assert all("the answer was lost, but the call took effect" in text for text in result["warned"])
    else:
        assert ("It did not take effect: run the task again" in result["msg"]) is lost


def test_the_answer_to_a_change_is_lost_and_nothing_can_be_read(ibm):
    read(ibm, session())
    ibm.runtime("DELETE", f"{PATH}/{ID}/close", fails=LOST)
    read(ibm, None, status=500, reply=ibm_error("1", "Out of order."))
    result = run(id=ID, state="closed")
    assert "the connection broke" in result["msg"] and result["error"]["outcome_unknown"] is True


def test_a_change_is_refused(ibm):
    read(ibm, session(accepting_jobs=False))
    ibm.runtime("PATCH", f"{PATH}/{ID}", json={"accepting_jobs": True}, status=400, reply=ibm_error("1217", "Closed."))
    assert run(id=ID)["error"]["code"] == "1217"


@pytest.mark.parametrize("answer", [{"fails": LOST}, {"reply": "<html>Log in</html>"}, {"status": 503, "reply": {}}])
@pytest.mark.parametrize("name", [NAME, None])
def test_the_answer_to_the_making_is_lost(ibm, folder, answer, name):
    if name:
        make(ibm, **answer)
    else:
        newest(ibm, OTHER_ID)
        ibm.runtime("POST", PATH, json=BODY, **answer)
    newest(ibm, ID, OTHER_ID)
    read(ibm, session())
    jobs(ibm, limit=1)
    result = run(name=name, backend=BACKEND)
    assert (result["changed"], result["session"]["id"]) == (True, ID)
    assert "the answer was lost, but the call took effect" in result["warned"][0]
    if name:
        assert (kept(folder)["id"], kept(folder)["intent"]) == (ID, None)


def test_it_was_not_made(ibm, folder, naps):
    make(ibm, fails=LOST)
    for _look in range(3):
        newest(ibm, OTHER_ID)
    result = run(name=NAME, backend=BACKEND)
    assert "It did not take effect: run the task again" in result["msg"]
    assert result["error"]["outcome_unknown"] is False
    assert kept(folder)["intent"]["known"] == [OTHER_ID]
    assert sum(naps) == 3
    # the next run looks once more, and makes it
    newest(ibm, OTHER_ID)
    make(ibm)
    assert run(name=NAME, backend=BACKEND)["session"]["id"] == ID
    assert kept(folder)["intent"] is None


def test_no_answer_came_in_time(ibm, folder):
    make(ibm, fails=requests.ReadTimeout("read timed out"))
    for _look in range(3):
        newest(ibm, OTHER_ID)
    result = run(name=NAME, backend=BACKEND)
    assert "IBM may be at it still" in result["msg"] and result["error"]["outcome_unknown"] is True
    # it came late
    newest(ibm, ID, OTHER_ID)
    read(ibm, session())
    jobs(ibm, limit=1)
    result = run(name=NAME, backend=BACKEND)
    assert (result["changed"], result["session"]["id"]) == (True, ID)


def test_which_it_made_is_not_clear(ibm, folder):
    make(ibm, fails=LOST)
    newest(ibm, ID, THIRD_ID, OTHER_ID)
    for ask in (lambda one: read(ibm, session(one)), lambda one: jobs(ibm, session_id=one, limit=1)):
        ask(ID)
        ask(THIRD_ID)
    result = run(name=NAME, backend=BACKEND)
    assert f"Which session it made is not known, 2 are new: {ID}, {THIRD_ID}" in result["msg"]
    newest(ibm, ID, THIRD_ID, OTHER_ID)
    for ask in (lambda one: read(ibm, session(one)), lambda one: jobs(ibm, session_id=one, limit=1)):
        ask(ID)
        ask(THIRD_ID)
    assert f"and 2 sessions may be it: {ID}, {THIRD_ID}" in run(name=NAME, backend=BACKEND)["msg"]
    read(ibm, session(THIRD_ID))
    assert run(name=NAME, id=THIRD_ID)["changed"] is False
    read(ibm, session(THIRD_ID))
    assert run(name=NAME)["session"]["id"] == THIRD_ID


def test_nothing_can_be_read_after_a_lost_answer(ibm):
    make(ibm, fails=LOST)
    newest(ibm, status=500, reply=ibm_error("1", "Out of order."))
    assert "the connection broke" in run(name=NAME, backend=BACKEND)["msg"]


def test_tasks_make_their_sessions_one_after_the_other_nothing_sent(monkeypatch):
    monkeypatch.setattr(_one_at_a_time, "TIMEOUT", 0.0)
    with _one_at_a_time.one_at_a_time("it", RUNTIME, CRN, "session", "batch", BACKEND):
        result = run(backend=BACKEND)
    assert "another task has been working at a new session on ibm_fez for 0 s" in result["msg"]


def test_tasks_of_one_name_wait_for_each_other_nothing_sent(monkeypatch):
    monkeypatch.setattr(_one_at_a_time, "TIMEOUT", 0.0)
    with _one_at_a_time.one_at_a_time("it", RUNTIME, CRN, "session", NAME):
        result = run(name=NAME, backend=BACKEND)
    assert "another task has been working at the session 'nightly' for 0 s" in result["msg"]


# A killed run


def killed(ibm, monkeypatch, **options):
    """A run that ends as the request has left."""
    tagged(ibm)
    newest(ibm, OTHER_ID)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module_session.SessionTask, "_made", _interrupted(module_session.SessionTask._made))
        run(name=NAME, backend=BACKEND, **options)


def _interrupted(whole):
    def made(task, body):
        def make(*_args):
            raise KeyboardInterrupt

        task.sessions.make = make
        return whole(task, body)

    return made


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_next_run_takes_what_a_killed_one_made(ibm, folder, monkeypatch, check_mode):
    killed(ibm, monkeypatch)
    newest(ibm, ID, OTHER_ID)
    read(ibm, session())
    jobs(ibm, limit=1)
    result = run(name=NAME, backend=BACKEND, check_mode=check_mode)
    assert (result["changed"], result["session"]["id"]) == (True, ID)
    assert (result["diff"]["before"], result["diff"]["after"]) == ({}, {"state": "open"})
    assert kept(folder)["id"] == (None if check_mode else ID)


def test_what_a_killed_run_made_can_be_closed(ibm, folder, monkeypatch):
    killed(ibm, monkeypatch)
    newest(ibm, ID, OTHER_ID)
    read(ibm, session())
    jobs(ibm, limit=1)
    ibm.runtime("DELETE", f"{PATH}/{ID}/close", status=204)
    read(ibm, session(**CLOSED))
    result = run(name=NAME, state="closed")
    assert (result["changed"], result["session"]["state"]) == (True, "closed")


def test_what_is_others_is_not_taken(ibm, folder, monkeypatch):
    killed(ibm, monkeypatch)
    other = [f"22222222-aaaa-4bbb-8ccc-00000000000{number}" for number in range(5)]
    read(ibm, session(other[0]))
    run(name="weekly", id=other[0])
    long_ago = {"id": other[4], "created": "2024-07-04T16:13:56.562Z"}
    rows = [*({"id": one, "created": "when it was made"} for one in other[:4]), long_ago, {"id": OTHER_ID}]
    newest(ibm, reply={"workloads": rows, "total_count": 6})
    read(ibm, session(other[1], **CLOSED))
    read(ibm, None, other[2])
    read(ibm, session(other[3]))
    jobs(ibm, "a-job", session_id=other[3], limit=1)
    make(ibm)
    assert run(name=NAME, backend=BACKEND)["session"]["id"] == ID


# Refusals


@pytest.mark.parametrize(
    "status, options, body, text",
    [
        (
            400,
            {"mode": "dedicated"},
            {"mode": "dedicated"},
            "An instance of the Open plan has no dedicated sessions: set",
        ),
        (
            403,
            {"interactive_ttl": 5},
            {"interactive_ttl": 5},
            "are for the Channel Partner plan: leave them out elsewhere",
        ),
        (400, {}, {}, "Check the options against the message"),
        (404, {"interactive_ttl": 5}, {"interactive_ttl": 5}, "It cannot be (404, code 1300). Check 'instance'"),
    ],
)
def test_ibm_refuses(ibm, folder, status, options, body, text):
    mode = "session" if "mode" in options else "batch"
    make(ibm, body={**BODY, **body}, mode=mode, status=status, reply=ibm_error("1300", "It cannot be."))
    result = run(name=NAME, backend=BACKEND, **options)
    assert "It cannot be" in result["msg"] and text in result["msg"]
    assert (kept(folder)["id"], kept(folder)["intent"]) == (None, None)


def test_the_instance_is_not_of_this_region(ibm):
    read(ibm, None, status=404, reply=ibm_error("1279", "Instance not found"))
    assert "the instance is not known on this host" in run(id=ID, state="closed")["msg"].lower()


def test_a_page_is_no_answer(ibm):
    read(ibm, None, status=404, reply="<html>Not here</html>")
    assert run(id=ID, state="closed")["failed"]


@pytest.mark.parametrize(
    "options, text",
    [
        ({"state": "closed"}, "which session? 'state: closed' needs its 'name' or 'id'"),
        ({"state": "not_accepting"}, "which session? 'state: not_accepting' needs its 'name' or 'id'"),
        ({"name": " "}, "'name' must have 1 to 70 characters"),
        ({"name": "n" * 71}, "'name' must have 1 to 70 characters"),
        ({"id": " "}, "'id' is empty"),
        ({"name": NAME, "max_ttl": 0}, "'max_ttl' must be 1 to 2147483647 seconds, not 0"),
        ({"name": NAME, "interactive_ttl": -1}, "'interactive_ttl' must be 1 to"),
        ({"name": NAME, "active_ttl": 2**31, "interactive_ttl": 1}, "'active_ttl' must be 1 to"),
        ({"name": NAME, "active_ttl": 5}, "'active_ttl' needs 'interactive_ttl'"),
        ({"name": NAME, "instance": None}, "'instance' is needed for the Runtime API"),
    ],
)
def test_nothing_sent_for_what_cannot_be(options, text):
    assert text in run(**options)["msg"]
