# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""api_key and api_key_info: the life of a key, whatever is lost or killed on the way, and no value left anywhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.leaks import PUBLIC, ProcessSampler, Scanner, cache_faults, describe
from tests.integration.playbook import Controller
from tests.unit.emulator.client import Client

KEYS = "/v1/apikeys"


def _keys(emulator: EmulatorProcess, name: str = "laptop") -> list[dict[str, Any]]:
    """The keys of that name that IAM has."""
    with Client(emulator) as user:
        listed: list[dict[str, Any]] = user.login().get(f"{KEYS}?pagesize=100").json()["apikeys"]
    return [key for key in listed if key["name"] == name]


def _make(emulator: EmulatorProcess, **fields: Any) -> dict[str, Any]:
    """A key that was made elsewhere."""
    with Client(emulator) as user:
        made: dict[str, Any] = user.login().post(KEYS, json={"iam_id": data.IAM_ID, **fields}).json()
    return made


def _works(emulator: EmulatorProcess, value: str) -> bool:
    with Client(emulator) as user:
        return user.exchange(value).status_code == 200


def _values(emulator: EmulatorProcess) -> list[str]:
    """The values of the keys that were made since the start."""
    return emulator.tokens()["api_keys"][3:]


def _writes(emulator: EmulatorProcess) -> list[tuple[str, str]]:
    rows = [row for row in emulator.journal(service="iam") if row["method"] != "GET"]
    return [(row["method"], row["path"].rpartition("/")[2].partition("-")[0]) for row in rows]


def test_the_life_of_a_key(controller: Controller, emulator: EmulatorProcess) -> None:
    steps = {
        "made": "{name: laptop, description: of mine, expires_at: 2099-01-31T12:00:00+01:00}",
        "changed": "{name: laptop, description: '', expires_at: '', action_when_leaked: disable}",
        "locked": "{name: laptop, locked: true}",
        "described while locked": "{name: laptop, locked: true, description: still mine}",
        "disabled": "{name: laptop, locked: true, disabled: true}",
        "enabled": "{name: laptop, locked: false, disabled: false}",
        "deleted": "{name: laptop, state: absent}",
    }
    text = ""
    for name, options in steps.items():
        for kind, extra in (("predicted", "\n  check_mode: true"), ("", ""), ("again", "")):
            text += f"- name: {name} {kind}\n  ibm_quantum.platform.api_key: {options}{extra}\n"
    run = controller.tasks(text, "--diff").succeeded()
    for name in steps:
        predicted, done, again = (run.one(f"{name} {kind}".strip()) for kind in ("predicted", "", "again"))
        assert again["changed"] is False, name
        if name == "made":
            assert "censored" in done
            assert predicted["api_key"]["expires_at"] == again["api_key"]["expires_at"] == "2099-01-31T11:00+0000"
            assert again["api_key"]["description"] == "of mine"
            continue
        assert predicted["changed"] is done["changed"] is True, name
        assert predicted["diff"] == done["diff"], name
        assert again["diff"]["before"] == done["diff"]["after"], name
    assert run.one("described while locked")["api_key"]["locked"] is True
    assert run.one("changed")["diff"]["before"]["description"] == "of mine"
    assert _writes(emulator) == [
        ("POST", "apikeys"),
        ("PUT", "ApiKey"),
        ("POST", "lock"),
        *(("DELETE", "lock"), ("PUT", "ApiKey"), ("POST", "lock")),
        *(("DELETE", "lock"), ("POST", "disable"), ("POST", "lock")),
        *(("DELETE", "lock"), ("DELETE", "disable")),
        ("DELETE", "ApiKey"),
    ]


def test_a_new_key_is_used_disabled_and_told(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        """
        - name: made
          ibm_quantum.platform.api_key: {name: laptop, expires_in: 3600}
          register: made
        - name: used
          ibm_quantum.platform.usage_info: {api_key: "{{ made.value }}"}
        - name: whose
          ibm_quantum.platform.api_key_info: {value: "{{ made.value }}"}
        - name: not by itself
          ibm_quantum.platform.api_key: {name: laptop, disabled: true, api_key: "{{ made.value }}"}
          ignore_errors: true
        - name: disabled
          ibm_quantum.platform.api_key: {id: "{{ made.api_key.id }}", disabled: true}
        - name: used still
          ibm_quantum.platform.usage_info: {api_key: "{{ made.value }}"}
        - name: forgotten
          ibm_quantum.platform.iam_token: {api_key: "{{ made.value }}", state: absent}
        - name: used no more
          ibm_quantum.platform.usage_info: {api_key: "{{ made.value }}"}
          ignore_errors: true
        - name: deleted
          ibm_quantum.platform.api_key: {id: "{{ made.api_key.id }}", state: absent}
        - name: nobody's
          ibm_quantum.platform.api_key_info: {value: "{{ made.value }}"}
        """
    ).succeeded()
    assert [key["name"] for key in run.one("whose")["api_keys"]] == ["laptop"]
    assert run.one("whose")["api_keys"][0]["iam_id"] == data.IAM_ID
    assert "is the one that this task authenticates with: it is not disabled" in run.one("not by itself")["msg"]
    assert "used still" in [row["task"] for row in run.rows("used still", "ok")]  # its token lives on, as at IBM
    assert run.one("used no more")["error"]["code"] == "BXNIM0462E"
    assert "enable it again" in run.one("used no more")["msg"]
    assert run.one("nobody's")["api_keys"] == []


def test_a_value_in_a_file(controller: Controller, emulator: EmulatorProcess) -> None:
    file = controller.home / "laptop.key"
    options = f"name: laptop, value_file: {file}"
    run = controller.tasks(
        f"""
        - name: predicted
          ibm_quantum.platform.api_key: {{{options}}}
          check_mode: true
        - name: no file yet
          ansible.builtin.debug: {{msg: "{{{{ lookup('ansible.builtin.fileglob', '{file}*') }}}}"}}
        - name: made
          ibm_quantum.platform.api_key: {{{options}}}
        - name: again
          ibm_quantum.platform.api_key: {{{options}}}
        - name: used
          ibm_quantum.platform.usage_info: {{api_key: "{{{{ lookup('ansible.builtin.file', '{file}') }}}}"}}
        - name: of another name
          ibm_quantum.platform.api_key: {{name: desktop, value_file: {file}}}
          ignore_errors: true
        - name: another file
          ibm_quantum.platform.api_key: {{name: laptop, value_file: {file}.other}}
          ignore_errors: true
        - name: cleaned up
          ibm_quantum.platform.api_key: {{value_file: {file}, state: absent}}
        - name: clean already
          ibm_quantum.platform.api_key: {{value_file: {file}, state: absent}}
        """,
        "--diff",
    ).succeeded()
    assert [run.one(task)["changed"] for task in ("predicted", "made", "again", "cleaned up", "clean already")] == [
        *(True, True, False, True, False)
    ]
    assert not run.one("no file yet")["msg"]
    assert "'name' is 'laptop' instead of 'desktop'" in run.one("of another name")["msg"]
    assert "IBM does not tell it again" in run.one("another file")["msg"]
    assert _keys(emulator) == []
    assert not list(controller.home.glob("laptop.key*"))


@pytest.mark.parametrize("hosts", [1, 8])
def test_a_fleet_makes_one_key(controller: Controller, emulator: EmulatorProcess, hosts: int) -> None:
    run = controller.tasks(
        "- name: made\n  ibm_quantum.platform.api_key: {name: laptop}\n", "--forks", "8", hosts=hosts
    ).succeeded()
    assert len(_keys(emulator)) == 1
    results = list(run.results("made").values())
    assert len([result for result in results if "censored" in result]) == 1
    assert len([result for result in results if result.get("changed") is False]) == hosts - 1


def test_names_are_not_unique(controller: Controller, emulator: EmulatorProcess) -> None:
    twins = [_make(emulator, name="laptop")["id"] for _turn in range(2)]
    for number in range(5):
        _make(emulator, name=f"other-{number}")
    emulator.settings(page_size=2)
    run = controller.tasks(
        """
        - name: which
          ibm_quantum.platform.api_key: {name: laptop, description: mine}
          ignore_errors: true
        - name: which to delete
          ibm_quantum.platform.api_key: {name: laptop, state: absent}
          ignore_errors: true
        - name: this one
          ibm_quantum.platform.api_key: {id: "{{ one }}", description: mine}
        - name: list
          ibm_quantum.platform.api_key_info: {name: laptop}
        - name: all
          ibm_quantum.platform.api_key_info: {scope: account}
        - name: both
          ibm_quantum.platform.api_key: {name: laptop, state: absent, duplicates: all}
        - name: none
          ibm_quantum.platform.api_key: {name: laptop, state: absent, duplicates: all}
        """,
        variables={"one": twins[0]},
    ).succeeded()
    for task in ("which", "which to delete"):
        assert all(key_id in run.one(task)["msg"] for key_id in twins)
        assert "2 API keys match" in run.one(task)["msg"]
    assert {key["id"]: key.get("description") for key in run.one("list")["api_keys"]} == {
        twins[0]: "mine",
        twins[1]: None,
    }
    assert len(run.one("all")["api_keys"]) == 9
    assert {key["id"] for key in run.one("both")["api_keys"]} == set(twins)
    assert run.one("none")["changed"] is False
    emulator.settings(page_size=100)
    assert len(_keys(emulator, "other-0")) == 1


def test_locks_and_the_own_key_are_respected(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        """
        - name: made
          ibm_quantum.platform.api_key: {name: laptop, locked: true}
          register: made
        - name: not changed
          ibm_quantum.platform.api_key: {name: laptop, description: x}
          ignore_errors: true
        - name: not deleted
          ibm_quantum.platform.api_key: {name: laptop, state: absent}
          ignore_errors: true
        - name: not the own
          ibm_quantum.platform.api_key: {name: fleet, state: absent}
          ignore_errors: true
        - name: not predicted either
          ibm_quantum.platform.api_key: {name: fleet, state: absent}
          check_mode: true
          ignore_errors: true
        - name: unlocked and deleted
          ibm_quantum.platform.api_key: {name: laptop, state: absent, locked: false}
        - name: another
          ibm_quantum.platform.api_key: {name: laptop}
          register: another
        - name: the own where it is said
          ibm_quantum.platform.api_key: {name: laptop, state: absent, allow_own: true, api_key: "{{ another.value }}"}
        """
    ).succeeded()
    assert "IBM changes no locked key" in run.one("not changed")["msg"]
    assert "IBM deletes no locked key" in run.one("not deleted")["msg"]
    for task in ("not the own", "not predicted either"):
        assert "is the one that this task authenticates with: it is not deleted" in run.one(task)["msg"]
    assert run.one("unlocked and deleted")["changed"]
    assert run.one("the own where it is said")["changed"]
    assert (_keys(emulator), len(_keys(emulator, "fleet"))) == ([], 1)


@pytest.mark.parametrize("with_file", [True, False])
def test_lost_answers(controller: Controller, emulator: EmulatorProcess, with_file: bool) -> None:
    where = f", value_file: {controller.home / 'key'}" if with_file else ""
    emulator.fault("lost_answer", method="POST", path=f"{KEYS}$")
    emulator.fault("truncated", method="POST", path=f"{KEYS}$")
    emulator.fault("502", method="POST", path=f"{KEYS}$")
    for method, part in (("PUT", ""), ("POST", "/lock"), ("DELETE", "/lock"), ("POST", "/disable"), ("DELETE", "")):
        emulator.fault("lost_answer", method=method, path=f"{KEYS}/ApiKey-[^/]*{part}$")
    run = controller.tasks(
        f"""
        - name: made
          ibm_quantum.platform.api_key: {{name: laptop{where}}}
          register: made
        - name: whole answer
          ibm_quantum.platform.api_key: {{name: desktop}}
        - name: not made
          ibm_quantum.platform.api_key: {{name: tablet}}
          ignore_errors: true
        - name: changed
          ibm_quantum.platform.api_key: {{name: laptop, description: d, locked: true, disabled: true}}
        - name: deleted
          ibm_quantum.platform.api_key: {{name: laptop{where}, locked: false, state: absent}}
        """
    ).succeeded()
    assert run.one("not made")["error"]["outcome_unknown"] is False
    assert "It did not take effect: run the task again" in run.one("not made")["msg"]
    changed = run.one("changed")["api_key"]
    assert (changed["description"], changed["locked"], changed["disabled"]) == ("d", True, True)
    assert run.one("deleted")["changed"]
    assert "the answer was lost, but the call took effect" in run.text
    assert [len(_keys(emulator, name)) for name in ("laptop", "desktop", "tablet")] == [0, 1, 0]
    assert all(row["fired"] == 1 for row in emulator.faults()), emulator.faults()
    assert not list(controller.home.glob("key*"))


def test_changed_by_somebody_else_meanwhile(controller: Controller, emulator: EmulatorProcess) -> None:
    _make(emulator, name="laptop")
    stale = {"errors": [{"message_code": "BXNIM0417E", "message": "The entity tag does not match."}]}
    emulator.fault(method="PUT", path=KEYS, status=409, body=stale)
    run = controller.tasks("- name: changed\n  ibm_quantum.platform.api_key: {name: laptop, description: d}\n")
    assert run.succeeded().one("changed")["api_key"]["description"] == "d"
    emulator.fault(method="PUT", path=KEYS, status=409, body=stale, times=2)
    run = controller.tasks("- name: changed\n  ibm_quantum.platform.api_key: {name: laptop, description: e}\n")
    assert run.failed().one("changed")["error"]["code"] == "BXNIM0417E"


def test_limits_and_restrictions(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.fault("429", path=KEYS, times=2, headers={"retry-after": "0"})
    run = controller.tasks(
        """
        - name: made
          ibm_quantum.platform.api_key: {name: laptop}
        - name: nothing named
          ibm_quantum.platform.api_key: {state: absent}
          ignore_errors: true
        - name: two ends
          ibm_quantum.platform.api_key: {name: laptop, expires_in: 60, expires_at: 2099-01-01}
          ignore_errors: true
        """
    ).succeeded()
    assert "censored" in run.one("made")
    assert run.one("nothing named")["msg"] == "one of the following is required: name, id, value_file"
    assert run.one("two ends")["msg"] == "parameters are mutually exclusive: expires_at|expires_in"
    emulator.settings(restrict_create_platform_apikey=True)
    file = controller.home / "key"
    text = f"- name: refused\n  ibm_quantum.platform.api_key: {{name: desktop, value_file: {file}}}\n"
    run = controller.tasks(text).failed()
    assert "restrict_create_platform_apikey" in run.one("refused")["msg"]
    assert not list(controller.home.glob("key*"))


#: Where a run is killed, as faults that stop it there: before IAM has the key, and before the run knows that.
KILLED: dict[str, list[dict[str, Any]]] = {
    "before the key is made": [{"method": "POST", "path": f"{KEYS}$", "drop": "before", "delay": 100}],
    "after the key was made": [
        {"method": "POST", "path": f"{KEYS}$", "drop": "after"},
        {"method": "GET", "path": f"{KEYS}/details$", "delay": 100},
    ],
}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a run and its workers, which Ansible puts into sessions of their own."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    doomed, generation = {process.pid}, {process.pid}
    while generation:
        generation = {pid for pid, parent in parents.items() if parent in generation} - doomed
        doomed |= generation
    for pid in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(30)


@pytest.mark.parametrize("then", ["run again", "clean up"])
@pytest.mark.parametrize("point", KILLED)
def test_a_killed_run(controller: Controller, emulator: EmulatorProcess, point: str, then: str) -> None:
    file = controller.home / "laptop.key"
    pending = file.with_name("laptop.key.new")
    text = f"- name: made\n  ibm_quantum.platform.api_key: {{name: laptop, value_file: {file}}}\n"
    controller.tasks("- name: token\n  ibm_quantum.platform.iam_token:\n").succeeded()
    for fault in KILLED[point]:
        emulator.fault(**fault)
    playbook = controller.folder / "killed.yml"
    playbook.write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n" + "".join(f"    {line}\n" for line in text.splitlines())
    )
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", str(playbook)],
        env=controller.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while emulator.faults()[-1]["fired"] == 0:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        _kill(process)
    emulator.clear_faults()
    made = point.startswith("after")
    assert (pending.exists(), file.exists(), len(_keys(emulator))) == (True, False, made)
    assert pending.stat().st_mode & 0o777 == 0o600
    value = pending.read_text().strip()
    assert _works(emulator, value) is made

    if then == "clean up":
        text = f"- name: gone\n  ibm_quantum.platform.api_key: {{value_file: {file}, state: absent}}\n"
        assert controller.tasks(text).succeeded().one("gone")["changed"]
        assert (_keys(emulator), list(controller.home.glob("laptop*"))) == ([], [])
        return
    assert controller.tasks(text).succeeded().one("made")["changed"]
    assert controller.tasks(text).succeeded().one("made")["changed"] is False
    assert file.read_text().strip() == value
    assert (pending.exists(), len(_keys(emulator)), _works(emulator, value)) == (False, 1, True)


def test_on_a_target_and_async(controller: Controller, emulator: EmulatorProcess) -> None:
    file = controller.home / "key"
    run = controller.tasks(
        f"""
        - name: made there
          ibm_quantum.platform.api_key: {{name: laptop, run_on: target}}
          register: made
        - name: used
          ibm_quantum.platform.usage_info: {{api_key: "{{{{ made.value }}}}"}}
        - name: no secret in async
          ibm_quantum.platform.api_key: {{name: desktop}}
          async: 60
          poll: 1
          ignore_errors: true
        - name: into a file
          ibm_quantum.platform.api_key: {{name: desktop, value_file: {file}}}
          async: 60
          poll: 1
        """,
        hosts=["runner"],
    ).succeeded()
    assert "censored" in run.one("made there")
    assert "async would print the secret that this task returns" in run.one("no secret in async")["msg"]
    assert run.one("into a file")["changed"]
    assert _works(emulator, file.read_text().strip())


LEAKS = """
- name: Keys
  hosts: far00
  gather_facts: false
  tasks:
    - name: made
      ibm_quantum.platform.api_key: {name: laptop}
      register: made
    - name: into a file
      ibm_quantum.platform.api_key: {name: desktop, value_file: "{{ file }}"}
    - name: whose
      ibm_quantum.platform.api_key_info: {value: "{{ made.value }}"}
    - name: refused
      ibm_quantum.platform.api_key: {name: tablet}
      ignore_errors: true
    - name: deleted
      ibm_quantum.platform.api_key: {name: laptop, state: absent}
    - name: wrong option
      ibm_quantum.platform.api_key_info: {value: "{{ made.value }}", id: x}
      ignore_errors: true

- name: Keys on a target
  hosts: runner
  gather_facts: false
  tasks:
    - name: made there
      ibm_quantum.platform.api_key: {name: laptop, run_on: target}
      register: made
    - name: whose there
      ibm_quantum.platform.api_key_info: {value: "{{ made.value }}", run_on: target}
    - name: into a file there
      ibm_quantum.platform.api_key: {name: desktop, value_file: "{{ file }}", run_on: target}
"""


def test_no_value_leaves(controller: Controller, emulator: EmulatorProcess) -> None:
    start = time.time()
    vault = controller.folder / "vault"
    vault.mkdir(mode=0o700)
    # an answer that repeats what was sent cannot be scripted with a value that is not known yet, so it is refused late
    emulator.fault("lost_answer", method="POST", path=f"{KEYS}$", after=2)
    emulator.fault(method="GET", path="details$", after=1, status=403, body={"errors": [{"message": "no"}]})
    env = {
        "ANSIBLE_LOG_PATH": str(controller.folder / "ansible.log"),
        "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(controller.folder / "facts"),
    }
    with ProcessSampler() as sampler:
        run = controller.run(
            LEAKS,
            "-vvvv",
            "--diff",
            hosts=["far00", "runner"],
            variables={"file": str(vault / "key")},
            env=env,
        ).succeeded()
    assert run.one("refused")["error"]["outcome_unknown"] is True
    assert all("censored" in run.one(task) for task in ("made", "made there"))
    values = _values(emulator)
    assert len(values) == 4
    scanner = Scanner([*values, *emulator.tokens()["tokens"]])
    found = [
        *scanner.data("stdout", run.stdout),
        *scanner.data("stderr", run.stderr),
        *scanner.data("results", json.dumps(run.events)),
        *scanner.tree(controller.folder, exempt=[controller.cache, vault]),
        *scanner.world_readable(*PUBLIC, since=start),
        *sampler.findings(scanner),
    ]
    assert not found, describe(found)
    assert not cache_faults(controller.cache, values)
    assert [path.name for path in vault.iterdir()] == ["key"]
    assert scanner.tree(vault), "the search would not find a value where one is"
