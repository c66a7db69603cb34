# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role one_use_key: whatever becomes of the run, no key is left at IAM. With a file on real hosts: tests/lab."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.leaks import Scanner, describe
from tests.integration.playbook import Controller, Run

ONCE = "ibm_quantum.platform one-use: "
ROLE = "ibm_quantum.platform.one_use_key : "  # before the names of its tasks, and of those that it includes
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    with OPENER.open(urllib.request.Request(url, body, headers or {}), timeout=30) as reply:
        return json.loads(reply.read())


class Iam:
    """What IAM holds, seen by another client than the collection's."""

    def __init__(self, emulator: EmulatorProcess) -> None:
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": emulator.api_key}
        token = call(f"{emulator.url}/identity/token", urlencode(form).encode())["access_token"]
        self.url, self.headers = f"{emulator.url}/v1/apikeys", {"Authorization": f"Bearer {token}"}

    def names(self) -> list[str]:
        return sorted(key["name"] for key in call(f"{self.url}?pagesize=100", headers=self.headers)["apikeys"])

    def left(self) -> list[str]:
        return [name for name in self.names() if name.startswith(ONCE)]

    def wait_for(self, wanted: int, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while len(self.left()) != wanted:
            assert time.monotonic() < end, f"{self.left()} instead of {wanted}"
            time.sleep(0.05)

    def make(self, name: str) -> None:
        body = json.dumps({"name": name, "iam_id": data.IAM_ID}).encode()
        call(self.url, body, {**self.headers, "Content-Type": "application/json"})


@pytest.fixture
def iam(emulator: EmulatorProcess) -> Iam:
    return Iam(emulator)


def play(tasks: Path, **variables: Any) -> str:
    role = {"role": "ibm_quantum.platform.one_use_key", "vars": {"one_use_key_tasks": str(tasks), **variables}}
    return json.dumps([{"name": "Once", "hosts": "fleet", "gather_facts": False, "roles": [role]}])


def tasks_file(controller: Controller, *tasks: dict[str, Any]) -> Path:
    path = controller.folder / "tasks.yml"
    path.write_text(json.dumps([{"name": f"task {number}", **task} for number, task in enumerate(tasks, start=1)]))
    return path


USE = {"ibm_quantum.platform.usage_info": {"api_key": "{{ one_use_key_value }}"}}


def keys_made(emulator: EmulatorProcess) -> list[str]:
    """The values of all keys that were made since the emulator started, but for those it starts with."""
    return [key for key in emulator.tokens()["api_keys"] if key not in vars(data).values()]


def assert_no_leak(emulator: EmulatorProcess, controller: Controller, *runs: Run) -> None:
    scanner = Scanner([*keys_made(emulator), emulator.api_key])
    found = scanner.tree(controller.folder)
    for run in runs:
        found += scanner.data("printed", run.stdout + run.stderr)
    assert not found, describe(found)


def test_each_host_has_a_key_of_its_own_for_as_long_as_its_tasks_run(
    controller: Controller, emulator: EmulatorProcess, iam: Iam
) -> None:
    before = iam.names()
    look = {"ibm_quantum.platform.api_key_info": {}, "register": "seen"}
    show = {"ansible.builtin.debug": {"msg": "{{ seen.api_keys | map(attribute='name') | sort }}"}}
    run = controller.run(play(tasks_file(controller, USE, look, show)), "-vvvv", "--diff", hosts=2).succeeded()
    for row in run.rows(ROLE + "task 3", "ok"):
        assert [name for name in row["result"]["msg"] if name.startswith(ONCE)] == [ONCE + "far00", ONCE + "far01"]
    made = [row["result"] for row in run.rows(ROLE + "Make the key", "ok")]
    assert len(made) == 2 and all(result["censored"] for result in made)
    used = {row["token_sha256"] for row in emulator.journal(service="runtime")}
    assert len(used) == 2, "each host has a key, and a token, of its own"
    assert iam.names() == before
    assert_no_leak(emulator, controller, run)
    # the token of the controller's own key is cached, those of the deleted ones are not
    assert len(controller.entries()) == 1


def test_the_key_goes_when_the_tasks_fail(controller: Controller, emulator: EmulatorProcess, iam: Iam) -> None:
    before = iam.names()
    wrong = {"ansible.builtin.command": {"argv": ["false"]}}
    run = controller.run(play(tasks_file(controller, USE, wrong)), hosts=["runner"]).failed()
    assert [row["task"] for row in run.events if row["event"] == "failed"] == [ROLE + "task 2"]
    assert run.one(ROLE + "Delete the key")["changed"]
    assert iam.names() == before and len(controller.entries()) == 1


@pytest.mark.parametrize("hosts", [1, 3])
def test_the_key_goes_when_the_hosts_cannot_be_reached(
    controller: Controller, emulator: EmulatorProcess, iam: Iam, hosts: int
) -> None:
    before = iam.names()
    unreachable: dict[str, Any] = {"ansible.builtin.ping": {}}
    run = controller.run(play(tasks_file(controller, USE, unreachable)), hosts=hosts)
    assert run.rc == 4, run.report
    assert len(run.rows(ROLE + "Make the key", "ok")) == hosts and not run.rows(ROLE + "Delete the key")
    iam.wait_for(0)
    assert iam.names() == before
    Path(controller.folder, "ssh-calls").unlink()  # those were meant


def test_the_key_goes_when_iam_loses_answers(controller: Controller, emulator: EmulatorProcess, iam: Iam) -> None:
    before = iam.names()
    emulator.fault("lost_answer", method="POST", path="/v1/apikeys$")
    emulator.fault("lost_answer", method="DELETE", path="/v1/apikeys/")
    controller.run(play(tasks_file(controller, USE)), hosts=1).succeeded()
    assert iam.names() == before


def test_the_key_goes_when_making_it_fails_for_good(
    controller: Controller, emulator: EmulatorProcess, iam: Iam
) -> None:
    before = iam.names()
    emulator.fault(method="POST", path="/v1/apikeys$", times=None, status=403)
    run = controller.run(play(tasks_file(controller, USE)), hosts=1).failed()
    assert not run.rows(ROLE + "task 1")
    assert iam.names() == before


def start(controller: Controller, tasks: Path, marker: Path) -> subprocess.Popen[bytes]:
    """ansible-playbook, up to the task that waits for ever."""
    book = controller.folder / "killed.json"
    book.write_text(play(tasks))
    inventory = controller._inventory(["runner"], {})
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(book)],
        env={**controller.env, "RECORDER_FILE": str(controller.folder / "killed-record")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not marker.exists():
        assert process.poll() is None and time.monotonic() < end, "the run did not come to its tasks"
        time.sleep(0.05)
    return process


def kill(process: subprocess.Popen[bytes], number: int) -> None:
    """To ansible-playbook, and then to what it left in its session: its workers, not the guard, which has its own."""
    os.kill(process.pid, number)
    process.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_key_goes_when_the_run_is_killed(
    controller: Controller, emulator: EmulatorProcess, iam: Iam, number: int
) -> None:
    before = iam.names()
    marker = controller.folder / "marker"
    wait = {"ansible.builtin.command": {"argv": ["sh", "-c", f"touch {marker}; exec sleep 60"]}}
    process = start(controller, tasks_file(controller, USE, wait), marker)
    assert iam.left() == [ONCE + "runner"]
    kill(process, number)
    iam.wait_for(0)
    assert iam.names() == before
    assert_no_leak(emulator, controller)


def test_what_a_run_left_that_was_killed_with_its_guard(
    controller: Controller, emulator: EmulatorProcess, iam: Iam
) -> None:
    before = iam.names()
    for name in (ONCE + "far00", ONCE + "far00", ONCE + "far01", ONCE + "other"):
        iam.make(name)
    iam.make("mine")
    # the next run of the role, on one of the hosts
    controller.run(play(tasks_file(controller, USE)), hosts=1).succeeded()
    assert iam.left() == [ONCE + "far01", ONCE + "other"]
    # the clean-up run, whose hosts need not be there for IAM to be clean
    inventory = str(controller._inventory(2, {}))
    clean = controller.command("ansible-playbook", "-i", inventory, "ibm_quantum.platform.clean_up_keys")
    assert clean.rc == 4, clean.report
    assert iam.left() == [ONCE + "other"]
    assert iam.names() == sorted([*before, "mine", ONCE + "other"])
    Path(controller.folder, "ssh-calls").unlink()


def test_clean_up_is_idempotent_and_predicted(controller: Controller, emulator: EmulatorProcess, iam: Iam) -> None:
    iam.make(ONCE + "runner")
    inventory = str(controller._inventory(["runner"], {}))
    arguments = ["ansible-playbook", "-i", inventory, "ibm_quantum.platform.clean_up_keys"]
    arguments += ["--limit", "runner", "-e", "ibm_quantum_become=false"]
    foretold = controller.command(*arguments, "--check").succeeded()
    assert foretold.stats["runner"]["changed"] == 1 and iam.left() == [ONCE + "runner"]
    done = controller.command(*arguments).succeeded()
    assert done.stats["runner"]["changed"] == 1 and iam.left() == []
    assert controller.command(*arguments).succeeded().stats["runner"]["changed"] == 0


def test_check_mode_makes_no_key(controller: Controller, emulator: EmulatorProcess, iam: Iam) -> None:
    before = iam.names()
    show = {"ansible.builtin.debug": {"msg": "{{ one_use_key_value }}"}}
    run = controller.run(play(tasks_file(controller, show)), "--check", hosts=1).succeeded()
    assert run.one(ROLE + "task 1")["msg"] == "check mode makes no API key"
    assert iam.names() == before
    assert not emulator.journal(method="POST", service="iam_identity")


@pytest.mark.parametrize("keywords", [{"run_on": "target"}, {"delegate_to": "elsewhere"}, {"async": 30, "poll": 1}])
def test_the_guard_works_in_ansibles_own_process_only(
    controller: Controller, emulator: EmulatorProcess, keywords: dict[str, Any]
) -> None:
    options = {"names": ["x"], **{name: value for name, value in keywords.items() if name == "run_on"}}
    task = {"name": "guard", "ibm_quantum.platform.api_key_guard": options}
    task.update({name: value for name, value in keywords.items() if name != "run_on"})
    run = controller.tasks(json.dumps([task]), hosts=["runner"]).failed()
    assert "neither 'run_on', 'async' nor 'delegate_to'" in run.text
