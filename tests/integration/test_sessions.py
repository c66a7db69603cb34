# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a session by its name, whatever is lost or killed on the way; workloads, tags and analytics."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import ROOT, Controller
from tests.unit.emulator.client import Client

SESSIONS = "/v1/sessions"


def _made(emulator: EmulatorProcess) -> int:
    """How many sessions were made."""
    rows = emulator.journal(method="POST")
    return len([row for row in rows if row["path"].endswith(SESSIONS)])


def _live(emulator: EmulatorProcess, mode: str = "batch") -> list[dict[str, Any]]:
    """The sessions that have not ended."""
    with Client(emulator) as user:
        query = f"mode={mode}&limit=50&status=pending&status=in_progress"
        rows: list[dict[str, Any]] = user.login().get(f"/api/v1/workloads?{query}").json()["workloads"]
    return rows


def _names(controller: Controller) -> list[Path]:
    return sorted((controller.home / ".local/state/ibm_quantum/sessions").glob("*"))


def _another(controller: Controller, emulator: EmulatorProcess) -> Controller:
    """A user's machine that knows nothing of the first one."""
    folder = controller.folder / "another"
    folder.mkdir()
    return Controller(folder, emulator)


SUBMIT = """
- name: {name}
  ibm_quantum.platform.api:
    method: POST
    path: /v1/jobs
    body:
      program_id: sampler
      backend: ibm_fez
      params: {{version: 2, pubs: [[{circuit!r}, null, 100]]}}
      session_id: "{{{{ {session} }}}}"
      tags: ["ansible-session:nightly", daily]
  register: submitted
"""


def test_the_life_of_a_session(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.settings(hold=True)
    opening = "name: nightly, backend: ibm_fez, max_ttl: 3600"
    steps = {
        "made": f"{{{opening}}}",
        "not accepting": "{name: nightly, state: not_accepting}",
        "opened again": f"{{{opening}, state: open}}",
        "closed": "{name: nightly, state: closed}",
        "another": f"{{{opening}}}",
    }
    text = ""
    for name, options in steps.items():
        for kind, extra in (("predicted", "\n  check_mode: true"), ("", ""), ("again", "")):
            register = f"\n  register: {name}" if name in ("made", "another") and not kind else ""
            text += f"- name: {name} {kind}\n  ibm_quantum.platform.session: {options}{extra}{register}\n"
        if name == "made":
            text += SUBMIT.format(name="submitted", circuit=data.BELL, session="made.session.id")
        if name == "not accepting":
            text += "- name: jobs inside\n  ibm_quantum.platform.session_info: {name: nightly, jobs: true}\n"
            text += SUBMIT.format(name="refused", circuit=data.BELL, session="made.session.id")
            text += "  ignore_errors: true\n"
        if name == "opened again":
            for option in ("mode: dedicated", "backend: ibm_torino", "max_ttl: 60"):
                text += f"- name: other {option[:4]}\n  ibm_quantum.platform.session: {{name: nightly, {option}}}\n"
                text += "  ignore_errors: true\n"
        if name == "closed":
            text += "- name: reopened\n  ibm_quantum.platform.session: {id: '{{ made.session.id }}'}\n"
            text += "  ignore_errors: true\n"
    text += SUBMIT.format(name="in another", circuit=data.BELL, session="another.session.id")
    run = controller.tasks(text, "--diff").succeeded()

    for name in steps:
        predicted, done, again = (run.one(f"{name} {kind}".strip()) for kind in ("predicted", "", "again"))
        assert predicted["changed"] is done["changed"] is True, name
        assert predicted["diff"] == done["diff"], name
        assert again["changed"] is False, name
        assert again["session"]["name"] == "nightly"
        assert again["session"]["id"] == done["session"]["id"], name
        state = done["diff"]["after"]["state"]
        assert again["diff"]["before"] == again["diff"]["after"] == {"state": state}, name
    made, another = run.one("made")["session"], run.one("another")["session"]
    assert "id" not in run.one("made predicted")["session"]
    assert (made["max_ttl"], made["mode"], made["backend_name"]) == (3600, "batch", "ibm_fez")
    (inside,) = run.one("jobs inside")["sessions"]
    assert (inside["accepting_jobs"], inside["state"]) == (False, "open")
    assert [job["id"] for job in inside["jobs"]] == [run.one("submitted")["json"]["id"]]
    assert run.one("refused")["error"]["code"] == "1217"
    for option in ("mode", "back", "max_"):
        assert run.one(f"other {option}")["msg"].startswith(f"'{option}")
        assert "IBM does not change that" in run.one(f"other {option}")["msg"]
    assert "IBM opens none again" in run.one("reopened")["msg"]
    assert run.one("closed")["session"]["state"] == "closed"
    jobs = {job["id"]: job["state"]["status"] for job in emulator.jobs()}
    assert jobs[run.one("submitted")["json"]["id"]] == "Cancelled"
    assert (_made(emulator), [row["id"] for row in _live(emulator)]) == (2, [another["id"]])
    assert [(path.suffix, path.stat().st_mode & 0o777) for path in _names(controller)] == [(".json", 0o600)]

    # another machine finds it by the tag of the job in it; the one that was closed has the tag too
    other = _another(controller, emulator)
    run = other.tasks(
        f"""
        - name: found
          ibm_quantum.platform.session: {{{opening}}}
        - name: read
          ibm_quantum.platform.session_info: {{name: nightly, ids: ["{made["id"]}"]}}
        - name: none of it
          ibm_quantum.platform.session_info: {{ids: ["{made["id"]}", none-of-it]}}
          ignore_errors: true
        - name: closed
          ibm_quantum.platform.session: {{name: nightly, state: closed}}
        """
    ).succeeded()
    assert (run.one("found")["changed"], run.one("found")["session"]["id"]) == (False, another["id"])
    assert [session["id"] for session in run.one("read")["sessions"]] == [another["id"], made["id"]]
    assert "the instance has no session none-of-it" in run.one("none of it")["msg"]
    assert (run.one("closed")["changed"], _live(emulator), _made(emulator)) == (True, [], 2)


def test_lost_answers_and_refusals(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.settings(hold=True)
    emulator.fault("lost_answer", method="POST", path="sessions$")
    emulator.fault("truncated", method="POST", path="sessions$")
    emulator.fault("502", method="POST", path="sessions$")
    emulator.fault("lost_answer", method="PATCH", path="sessions/")
    emulator.fault("lost_answer", method="DELETE", path="/close$")
    text = """
        - name: made
          ibm_quantum.platform.session: {name: nightly, backend: ibm_fez}
          register: made
        - name: without a name
          ibm_quantum.platform.session: {backend: ibm_fez}
          register: nameless
        - name: not made
          ibm_quantum.platform.session: {name: weekly, backend: ibm_fez}
          ignore_errors: true
        - name: made at last
          ibm_quantum.platform.session: {name: weekly, backend: ibm_fez}
    """
    text += SUBMIT.format(name="submitted", circuit=data.BELL, session="made.session.id").replace("\n", "\n        ")
    run = controller.tasks(
        text
        + """
        - name: not accepting
          ibm_quantum.platform.session: {name: nightly, state: not_accepting}
        - name: closed
          ibm_quantum.platform.session: {name: nightly, state: closed}
        - name: on the open plan
          ibm_quantum.platform.session: {instance: "{{ open }}", backend: ibm_fez, mode: dedicated}
          ignore_errors: true
        - name: for partners
          ibm_quantum.platform.session: {backend: ibm_fez, interactive_ttl: 60}
          ignore_errors: true
        - name: no backend
          ibm_quantum.platform.session: {name: monthly}
          ignore_errors: true
        """,
        variables={"open": data.INSTANCE_OPEN},
    ).succeeded()
    assert "It did not take effect: run the task again" in run.one("not made")["msg"]
    for task in ("made", "without a name", "made at last", "not accepting", "closed"):
        assert run.one(task)["changed"] is True, task
    assert len({run.one(task)["session"]["id"] for task in ("made", "without a name", "made at last")}) == 3
    assert "the answer was lost, but the call took effect" in run.text
    assert run.one("closed")["session"]["state"] == "closed"
    left = {run.one(task)["session"]["id"] for task in ("without a name", "made at last")}
    assert {row["id"] for row in _live(emulator)} == left
    assert all(row["fired"] == row["times"] for row in emulator.faults()), emulator.faults()
    assert "has no dedicated sessions: set 'mode: batch' there" in run.one("on the open plan")["msg"]
    assert "'interactive_ttl' and 'active_ttl' are for the Channel Partner plan" in run.one("for partners")["msg"]
    assert "'backend' is needed" in run.one("no backend")["msg"]


#: The module in one process, which can be killed whole.
ALONE = """
import sys
from ansible_collections.ibm_quantum.platform.plugins.modules import session
from tests.unit.scripted import Module
session.run(Module(session.ARGUMENT_SPEC, name=sys.argv[1], backend="ibm_fez"))
"""


def _killed(controller: Controller, emulator: EmulatorProcess, name: str, *faults: dict[str, Any]) -> None:
    """Make a session of that name, and be killed at the last of the faults."""
    for fault in faults:
        emulator.fault(**fault)
    env = {**controller.env, "PYTHONPATH": f"{ROOT}/.ansible/collections:{ROOT}"}
    process = subprocess.Popen([sys.executable, "-c", ALONE, name], env=env, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while emulator.faults()[-1]["fired"] == 0:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait(30)
    emulator.clear_faults()


def test_killed_runs(controller: Controller, emulator: EmulatorProcess) -> None:
    post = {"method": "POST", "path": "sessions$"}
    _killed(controller, emulator, "before", {**post, "drop": "before", "delay": 100})
    assert _live(emulator) == []
    look = {"method": "GET", "path": "workloads$", "after": 1, "delay": 100}
    _killed(controller, emulator, "after", {**post, "drop": "after"}, look)
    (lost,) = _live(emulator)
    run = controller.tasks(
        """
        - name: taken
          ibm_quantum.platform.session: {name: after, backend: ibm_fez}
        - name: taken again
          ibm_quantum.platform.session: {name: after, backend: ibm_fez}
        - name: made
          ibm_quantum.platform.session: {name: before, backend: ibm_fez}
        - name: made again
          ibm_quantum.platform.session: {name: before, backend: ibm_fez}
        """
    ).succeeded()
    assert run.one("taken")["session"]["id"] == run.one("taken again")["session"]["id"] == lost["id"]
    assert run.one("made")["session"]["id"] == run.one("made again")["session"]["id"] != lost["id"]
    changed = [run.one(task)["changed"] for task in ("taken", "taken again", "made", "made again")]
    assert changed == [True, False, True, False]
    assert len(_live(emulator)) == 2


def test_workloads_tags_and_analytics(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.settings(hold=True)
    with Client(emulator) as user:
        user.login()
        for number in range(55):
            user.submit(tags=["many", "ansible-job:many"] if number else ["single"])
    run = controller.tasks(
        """
        - name: all of them
          ibm_quantum.platform.workload_info: {mine: true, tags: [many], limit: 0}
        - name: as many as asked for
          ibm_quantum.platform.workload_info: {sort: oldest, limit: 52}
        - name: some
          ibm_quantum.platform.workload_info: {backend: ibm_torino, mode: batch, status: [canceled], search: emulator}
        - name: between
          ibm_quantum.platform.workload_info:
            created_after: "{{ '%Y-%m-%dT%H:%M:%SZ' | strftime(now - 4 * 3600, utc=true) }}"
            created_before: "{{ '%Y-%m-%d %H:%M:%S+00:00' | strftime(now - 2 * 3600, utc=true) }}"
        - name: no time
          ibm_quantum.platform.workload_info: {created_after: 12 o'clock}
          ignore_errors: true
        - name: tags
          ibm_quantum.platform.tag_info: {search: many}
        - name: own tags
          ibm_quantum.platform.tag_info: {search: many, own: true}
        - name: by user
          ibm_quantum.platform.usage_info: {group_by: user, instances: ["{{ lookup('env', 'QISKIT_IBM_INSTANCE') }}"]}
        - name: account
          ibm_quantum.platform.usage_info: {group_by: account}
        - name: by plan
          ibm_quantum.platform.usage_info: {group_by: plan}
        - name: by date
          ibm_quantum.platform.usage_info: {group_by: date, interval_start: 2020-01-01, backends: [ibm_fez]}
        - name: long ago
          ibm_quantum.platform.usage_info: {group_by: backend, interval_start: 2020-01-01, interval_end: 2020-02-01}
        - name: no group
          ibm_quantum.platform.usage_info: {backends: [ibm_fez]}
          ignore_errors: true
        """,
        variables={"now": int(time.time())},
    ).succeeded()
    whole = run.one("all of them")
    assert (len(whole["workloads"]), whole["total_count"]) == (54, 54)
    assert len({row["id"] for row in whole["workloads"]}) == 54
    some = run.one("as many as asked for")
    assert (len(some["workloads"]), some["total_count"]) == (52, 78)
    created = [row["created"] for row in some["workloads"]]
    assert created == sorted(created)
    rows = run.one("some")["workloads"]
    assert rows and {(row["backend"], row["mode"], row["status"]) for row in rows} == {
        ("ibm_torino", "batch", "canceled")
    }
    assert len(run.one("between")["workloads"]) == 2
    assert "'created_after' must be a date or time of ISO 8601" in run.one("no time")["msg"]
    assert run.one("tags")["tags"] == ["many"]
    assert run.one("own tags")["tags"] == ["ansible-job:many", "many"]

    history = sum(3 + number for number in range(1, 23))
    (mine,) = run.one("by user")["analytics"]["rows"]
    assert (mine["key"], mine["usage_seconds"], mine["jobs"]) == (data.IAM_ID, history, 55 + 23)
    assert (mine["max_queue_time_seconds"], mine["usage_seconds"]) == (60, history)
    (account,) = run.one("account")["analytics"]["rows"]
    assert (account["key"], account["usage_seconds"]) == (data.ACCOUNT_ID, history)
    assert [row["key"] for row in run.one("by plan")["analytics"]["rows"]] == ["flex"]
    dates = run.one("by date")["analytics"]
    assert dates["interval_start"].startswith("2020-01-01T00:00:00")
    assert {row["instance"] for row in dates["rows"]} == {data.INSTANCE_US}
    assert all(row["interval_start"].startswith(row["date"]) for row in dates["rows"])
    assert run.one("long ago")["analytics"]["rows"] == []
    assert "'backends': this selects among analytics; set 'group_by'" in run.one("no group")["msg"]
    assert run.one("by user")["usage"]["usage_consumed_seconds"] == 1834
