# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook rotate_api_key: hosts always have a key that works, wherever a run ends, and one key is left.

A host is a home of its own, its Python a script that sets HOME. A thread watches all of them for the whole time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import HEADER, Variable, assignments
from tests.emulator.testing import EmulatorProcess
from tests.integration.leaks import ProcessSampler, Scanner, describe
from tests.integration.playbook import NOWHERE, ROOT, Controller, Run

ROTATE = "ibm_quantum.platform.rotate_api_key"
#: The fleet of the kill test, and how many of its hosts are worked on at once.
HOSTS, FORKS = 20, 10
#: Seconds for a run, and for a test; far above what they need on a machine that has nothing else to do.
LONGEST, PATIENCE = 400.0, 900
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(emulator: EmulatorProcess, method: str, path: str, form: Any = None, bearer: str = "") -> tuple[int, Any]:
    """A call of the emulator: the status and the answer's JSON."""
    data = urllib.parse.urlencode(form).encode() if form else None
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    request = urllib.request.Request(f"{emulator.url}{path}", data, headers, method=method)
    try:
        with _OPENER.open(request, timeout=30) as reply:
            text = reply.read()
            return reply.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, None


def token(emulator: EmulatorProcess, key: str) -> str:
    """A bearer token for a key; empty if IAM does not take it."""
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": key}
    status, reply = call(emulator, "POST", "/identity/token", form)
    return reply["access_token"] if status == 200 else ""


def keys(emulator: EmulatorProcess, key: str) -> dict[str, dict[str, Any]]:
    """All keys of the identity behind a key, by ID."""
    status, reply = call(emulator, "GET", "/v1/apikeys?pagesize=100", bearer=token(emulator, key))
    assert status == 200
    return {row["id"]: row for row in reply["apikeys"]}


class Fleet:
    """Hosts with a home each, the file of their key, and the user's machine that rotates it."""

    def __init__(self, controller: Controller, names: list[str]) -> None:
        self.controller, self.emulator, self.names = controller, controller.emulator, names
        self.file = controller.folder / "fleet.key"
        self.next_file = controller.folder / "fleet.key.next"
        self.file.touch(mode=0o600)
        self.file.write_text(f"{self.emulator.api_key}\n")
        self.homes = {name: controller.folder / "hosts" / name for name in names}
        self.variables: dict[str, dict[str, Any]] = {}
        for name, home in self.homes.items():
            home.mkdir(parents=True)
            self.host(name)
        self.output = ""
        self._runs = 0

    def host(self, name: str, **env: str) -> None:
        """How a host is reached: this machine, with its own HOME and further variables."""
        assignments = " ".join(f"{key}='{value}'" for key, value in {"HOME": str(self.homes[name]), **env}.items())
        script = self.controller.folder / f"python-{name}"
        script.write_text(f'#!/bin/sh\n{assignments} exec {sys.executable} "$@"\n')
        script.chmod(0o700)
        self.variables[name] = {"ansible_connection": "local", "ansible_python_interpreter": str(script)}

    def away(self, name: str) -> None:
        """Nobody answers at this host any more."""
        stub = self.controller.folder / "no-ssh"
        stub.write_text("#!/bin/sh\nexit 255\n")
        stub.chmod(0o700)
        self.variables[name] = {"ansible_host": NOWHERE, "ansible_ssh_executable": str(stub)}

    def rotate(self, *args: str, variables: Any = None, env: Any = None) -> Run:
        """Run the playbook to wherever it gets."""
        self._runs += 1
        inventory = self.controller.folder / f"inventory-{self._runs}.json"
        given = {"ibm_quantum_scope": "user", "ibm_quantum_api_key_file": str(self.file), **(variables or {})}
        given = {name: value for name, value in given.items() if value is not None}
        inventory.write_text(json.dumps({"all": {"hosts": self.variables, "vars": given}}))
        record = self.controller.folder / f"record-{self._runs}"
        environment = {
            **self.controller.env,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "ANSIBLE_CALLBACKS_ENABLED": "recorder,killer",
            "ANSIBLE_FORKS": str(FORKS),
            "ANSIBLE_PIPELINING": "1",  # else a killed run leaves Ansible's own copy of the module with its arguments
            "RECORDER_FILE": str(record),
            **(env or {}),
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), ROTATE, *args]
        process = subprocess.Popen(
            command,
            cwd=self.controller.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(timeout=LONGEST)
        finally:
            _end(process, f"RECORDER_FILE={record}")
        self.output += stdout + stderr
        lines = record.read_text().splitlines() if record.exists() else []
        return Run(process.returncode, stdout, stderr, [json.loads(line) for line in lines])

    def killed(self, *args: str, at: str, after: int = 0) -> None:
        """Run the playbook until it is killed there."""
        run = self.rotate(*args, env={"KILL_AT": at, "KILL_AFTER": str(after)})
        assert run.rc == -signal.SIGKILL, run.report

    def held(self, name: str) -> list[str]:
        """The keys that a host has, without double ones."""
        file = self.homes[name] / ".config" / "ibm_quantum" / "environment"
        found = re.findall(r'^(?:IQP_API_TOKEN|QISKIT_IBM_TOKEN)="([^"]*)"', file.read_text(), re.MULTILINE)
        assert len(found) == 2, f"{name} lacks a variable"
        return sorted(set(found))

    def give(self, key: str) -> None:
        """As a host looks that has a key: without the time that an onboarding takes."""
        for home in self.homes.values():
            folder = home / ".config" / "ibm_quantum"
            folder.mkdir(mode=0o700, parents=True)
            (folder / "environment").touch(mode=0o600)
            variables = [Variable(name, key) for name in ("IQP_API_TOKEN", "QISKIT_IBM_TOKEN")]
            (folder / "environment").write_text(HEADER + assignments(variables))

    @property
    def key(self) -> str:
        """The key in the file."""
        return self.file.read_text().strip()

    def with_key(self, key: str) -> list[str]:
        return [name for name in self.names if self.held(name) == [key]]


def _end(process: subprocess.Popen[str], mark: str) -> None:
    """End what a killed run leaves behind: Ansible's workers have process groups of their own."""
    if process.poll() is None:
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 30
    while True:
        left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _has(pid, mark)]
        if not left:
            return
        assert time.monotonic() < deadline, "processes of a run do not end"
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _has(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


class Watch:
    """Looks, over and over in a thread, whether each host holds a key that IAM takes; a context manager."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.rounds = fleet, 0
        self.faults: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if exc[0] is None:
            assert not self.faults, self.faults
            assert self.rounds > 1

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except Exception as error:  # must not be lost with the thread
                self.faults.append(repr(error))
                return
            self.rounds += 1
            self._stop.wait(0.1)  # gives way to what is being watched

    def _look(self) -> None:
        held = {name: self.fleet.held(name) for name in self.fleet.names}
        taken = {
            key: bool(token(self.fleet.emulator, key)) for key in {key for found in held.values() for key in found}
        }
        for name, found in held.items():
            # What is in the file again after the refusal was there at the time of it
            if not all(taken[key] for key in found) and self.fleet.held(name) == found:
                self.faults.append(f"{name} has a key that does not work")


def _controller(emulator: EmulatorProcess) -> Iterator[Controller]:
    with tempfile.TemporaryDirectory(prefix="iqp-") as name:
        yield Controller(Path(name), emulator)


@pytest.fixture(scope="module")
def big() -> Iterator[Fleet]:
    """A fleet that has its key; each test leaves it with one key that works."""
    with EmulatorProcess() as emulator:
        for controller in _controller(emulator):
            fleet = Fleet(controller, [f"host{number:02d}" for number in range(HOSTS)])
            fleet.give(fleet.key)
            yield fleet


@pytest.fixture
def small(controller: Controller) -> Fleet:
    return Fleet(controller, ["one", "two"])


#: Where a host of scope=user has its key, below ~/.config.
FILES = ("ibm_quantum/environment", "environment.d/60-ibm_quantum.conf")


class Kill(NamedTuple):
    """Where a run is killed, and how far it has come by then."""

    at: str
    after: int
    with_new: range  # how many hosts may have the new key
    old_is_in_file: bool = True
    old_is_disabled: bool = False


ENVIRONMENT = "Set the environment variables"
KILLS = {
    "after the creation": Kill(ENVIRONMENT, 0, range(1)),
    "in the midst of the distribution": Kill(ENVIRONMENT, 5, range(5, HOSTS)),
    "before the check": Kill("Prove that this host works with the new key", 0, range(HOSTS, HOSTS + 1)),
    "between rename and disable": Kill("Disable the old key", 0, range(HOSTS, HOSTS + 1), old_is_in_file=False),
    "between disable and delete": Kill("Delete the old key", 0, range(HOSTS, HOSTS + 1), False, True),
}


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_run_killed_anywhere_is_completed_by_the_next(big: Fleet, kill: Kill) -> None:
    old = big.key
    before = keys(big.emulator, old)
    with Watch(big), ProcessSampler() if kill.after else contextlib.nullcontext() as sampler:
        big.killed("-vvvv", at=kill.at, after=kill.after)
        assert (big.key == old) is kill.old_is_in_file is big.next_file.exists()
        new = (big.next_file if kill.old_is_in_file else big.file).read_text().strip()
        assert new != old and token(big.emulator, new)
        assert len(big.with_key(new)) in kill.with_new and len(big.with_key(new) + big.with_key(old)) == HOSTS
        assert bool(token(big.emulator, old)) is not kill.old_is_disabled
        assert len(keys(big.emulator, new)) == len(before) + 1
        big.rotate("-vvvv").succeeded()
        if sampler:
            sampler.full_round()
    assert big.key == new and not big.next_file.exists() and big.with_key(new) == big.names
    after = keys(big.emulator, new)
    assert len(after) == len(before) and not token(big.emulator, old)
    (gone,), (made,) = before.keys() - after.keys(), after.keys() - before.keys()
    assert after[made]["name"] == before[gone]["name"] and not after[made]["disabled"]

    scanner = Scanner(big.emulator.control("GET", "tokens")["api_keys"])
    folder = big.controller.folder
    found = scanner.data("what was printed", big.output) + (sampler.findings(scanner) if sampler else [])
    assert not found, describe(found)
    places = {finding.where for finding in scanner.tree(folder)}
    hosts = {str(home / ".config" / path) for home in big.homes.values() for path in FILES}
    assert places == {str(big.file), *hosts}
    assert {stat.S_IMODE(os.stat(place).st_mode) for place in places} == {0o600}


def test_a_host_that_cannot_prove_it_stops_the_rotation_and_is_named(controller: Controller) -> None:
    fleet = Fleet(controller, ["one", "two", "three", "four"])
    old = fleet.key
    fleet.give(old)
    fleet.host("two", IAM_URL="http://127.0.0.1:9")  # as if a firewall kept it from IAM
    fleet.away("three")
    run = fleet.rotate()
    assert run.rc != 0
    assert "2 of 4 hosts did not prove that they work with the new API key: two, three. Both keys work" in run.text
    told = " ".join(run.rows("Say what that means", "failed")[0]["result"]["msg"].split())
    assert "127.0.0.1:9 cannot be reached (refused)" in told and "before the old API key is touched: both keys" in told
    assert fleet.key == old and fleet.with_key(old) == ["three"] and len(keys(fleet.emulator, old)) == 3
    new = fleet.next_file.read_text().strip()
    assert token(fleet.emulator, old) and token(fleet.emulator, new)

    for name in ("two", "three"):
        fleet.host(name)
    fleet.rotate().succeeded()
    assert fleet.key == new and fleet.with_key(new) == fleet.names and not token(fleet.emulator, old)


def test_check_mode_predicts_and_touches_nothing(small: Fleet) -> None:
    run = small.rotate("--check", "--diff").succeeded()
    assert {name: row["changed"] for name, row in run.stats.items()} == {"one": 4, "two": 1}
    assert "IQP_API_TOKEN=<secret, sha256:" in run.text and "(rotation of ApiKey-" in run.text
    calls = [row["method"] for row in small.emulator.journal() if "apikeys" in row["path"]]
    assert calls and set(calls) == {"GET"}
    assert small.key == small.emulator.api_key and not small.next_file.exists()
    assert not any(home.exists() and list(home.iterdir()) for home in small.homes.values())


@pytest.mark.parametrize(
    "args, variables, mode, told",
    [
        (["--limit", "one"], {}, 0o600, "Leave --limit out: a host that is left out would be without a working key"),
        ([], {"ibm_quantum_api_key_file": None}, 0o600, "Set ibm_quantum_api_key_file to the absolute path"),
        ([], {"ibm_quantum_api_key_file": "fleet.key"}, 0o600, "Set ibm_quantum_api_key_file to the absolute path"),
        ([], {"ibm_quantum_api_key_file": "/nonexistent"}, 0o600, "/nonexistent must be a file of mode 0600"),
        ([], {}, 0o640, "fleet.key must be a file of mode 0600 that holds the API key"),
    ],
)
def test_what_ends_it_before_anything_is_done(
    small: Fleet, args: list[str], variables: dict[str, Any], mode: int, told: str
) -> None:
    small.file.chmod(mode)
    run = small.rotate(*args, variables=variables)
    assert run.rc != 0 and told in run.text, run.report
    assert not small.emulator.journal(method="POST") and not small.next_file.exists()


def test_a_locked_or_unknown_key_is_not_rotated(small: Fleet) -> None:
    bearer = token(small.emulator, small.key)
    key_id = next(row["id"] for row in keys(small.emulator, small.key).values() if row["name"] == "fleet")
    assert call(small.emulator, "POST", f"/v1/apikeys/{key_id}/lock", bearer=bearer)[0] == 204
    run = small.rotate()
    assert run.rc != 0 and f"The API key {key_id} is locked, so IBM will not delete it: unlock it" in run.text
    small.file.write_text("x" * 44)
    run = small.rotate()
    assert run.rc != 0 and "BXNIM0415E" in run.text and not small.next_file.exists()


def test_the_new_key_is_saved_elsewhere_and_untrusted_hosts_get_none(small: Fleet) -> None:
    old, vault = small.key, small.controller.folder / "vault"
    tasks = small.controller.folder / "save.yml"
    tasks.write_text(
        json.dumps(
            [
                {
                    "name": "Save it",
                    "ansible.builtin.copy": {
                        "content": "{{ ibm_quantum_new_api_key }}",
                        "dest": str(vault),
                        "mode": "0600",
                    },
                    "no_log": True,
                }
            ]
        )
    )
    small.variables["two"]["ibm_quantum_trust"] = "untrusted"
    wanted = {"ibm_quantum_save_tasks": str(tasks), "ibm_quantum_key_name": "fleet of 2026"}
    small.rotate(variables=wanted).succeeded()
    assert vault.read_text() == small.key != old and small.held("one") == [small.key]
    assert not (small.homes["two"] / ".config").exists()
    names = {row["name"] for row in keys(small.emulator, small.key).values()}
    assert "fleet of 2026" in names and "fleet" not in names
    assert not Scanner([small.key]).data("what was printed", small.output)
