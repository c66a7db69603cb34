# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are not trusted with an API key: a token in memory that leaves by itself, or a key for one use."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.leaks import Finding, ProcessSampler, Scanner, describe
from tests.lab.host import Host
from tests.lab.lab import Lab, Play
from tests.lab.picture import changes, picture
from tests.lab.system import wait_for
from tests.lab.test_leaks import on_host, tree

ROLE = "ibm_quantum.platform.bearer_token"
ONCE = "ibm_quantum.platform one-use: "
USAGE = "https://quantum.cloud.ibm.com/api/v1/instances/usage"
CURL = f"curl -sS --fail --max-time 20 -H @/run/ibm_quantum/headers {USAGE}"
UNITS = "systemctl list-units --all --plain --no-legend 'ibm-quantum-secret-*'; ls /run/systemd/transient | grep secret"
SLEEP = 600  # seconds that a task waits to be killed

#: All that another user of the host could ask for.
LOOK = """
cat /run/ibm_quantum/* /run/ibm_quantum/.* /run/user/*/ibm_quantum/*; ls -la /run/ibm_quantum
cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ
systemctl show 'ibm-quantum-secret-*'; systemctl cat 'ibm-quantum-secret-*'; cat /run/systemd/transient/*
journalctl --no-pager --all --output=verbose
"""


class Fleet:
    """Plays over the lab's hosts, all of whose output is kept."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder, self.printed = lab, folder, ""

    def book(self, role: str, **variables: Any) -> Path:
        path = self.folder / "play.json"
        play = {"hosts": "all", "gather_facts": False, "roles": [{"role": role, "vars": variables}]}
        path.write_text(json.dumps([play]))
        return path

    def play(self, book: str | Path, *args: str) -> Play:
        done = self.lab.playbook(book, *args)
        self.printed += done.output
        return done

    def token(self, *args: str, **variables: Any) -> Play:
        return self.play(self.book(ROLE, **{"bearer_token_owner": "alice", **variables}), *args)

    def forget_tokens(self) -> None:
        """The controller's cache: the next task exchanges the key again."""
        for path in (self.lab.dir / "run").iterdir():
            shutil.rmtree(path)


@pytest.fixture
def fleet(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> Fleet:
    return Fleet(lab, tmp_path)


def good(play: Play, changed: int) -> None:
    assert (play.returncode, play.changed) == (0, changed), play.output[-4000:]


def keys(lab: Lab) -> Scanner:
    """Finds every API key that there ever was."""
    return Scanner(lab.emulator.tokens()["api_keys"])


def tokens(lab: Lab) -> Scanner:
    return Scanner(lab.emulator.tokens()["tokens"])


def gone(host: Host) -> bool:
    return host.run("ls -A /run/ibm_quantum", check=False).stdout == "" and host.run(UNITS, check=False).stdout == ""


def places(findings: list[Finding], host: Host) -> list[str]:
    return sorted({finding.where.replace(str(tree(host)), "") for finding in findings})


def test_the_life_of_a_token(fleet: Fleet, lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> None:
    before = {host.name: picture(host) for host in fresh_hosts}
    with ProcessSampler() as sampler:
        good(fleet.token("--check", "--diff"), 3)
        assert all(gone(host) for host in fresh_hosts)
        good(fleet.token("--diff", "-vvvv"), 3)
        good(fleet.token("--diff"), 0)
        sampler.full_round()
    found = sampler.findings(lab_secrets := Scanner(lab.emulator.secrets()))
    assert not found, describe(found)

    for host in fresh_hosts:
        for name in ("bearer_token", "headers"):
            path = f"/run/ibm_quantum/{name}"
            assert host.run(["stat", "-c", "%a %U", path]).stdout.split() == ["600", "alice"], host
            assert host.run(["stat", "-f", "-c", "%T", path]).stdout.strip() == "tmpfs", host
        usage = json.loads(host.run(["su", "alice", "-c", CURL]).stdout)
        assert usage["instance_id"] == lab.emulator.instance, host
        # root's eyes: the token is where it is meant to be; the key is nowhere, neither now nor on its way
        assert places(on_host(tokens(lab), host), host) == [
            f"/run/ibm_quantum/{n}" for n in ("bearer_token", "headers")
        ]
        assert places(on_host(keys(lab), host), host) == []
        assert host.run("test -e /root/.ansible/tmp", check=False).returncode == 1, "modules went over the disk"
        # another user's
        seen = host.run(["su", "bob", "-c", LOOK], check=False)
        assert "ibm-quantum-secret-headers" in seen.stdout and "Permission denied" in seen.stderr, host
        assert not lab_secrets.data("what bob sees", seen.stdout + seen.stderr), host
        assert host.run(["su", "bob", "-c", CURL], check=False).returncode != 0, host

    # renewed by the play of cron, with another expiry: the timers move with it
    lab.emulator.settings(token_lifetime=60)
    fleet.forget_tokens()
    inventory = tmp_path / "untrusted.json"
    inventory.write_text(json.dumps({"ibm_quantum_trust": "untrusted", "bearer_token_owner": "alice"}))
    old = fresh_hosts[0].run("cat /run/ibm_quantum/bearer_token").stdout
    good(fleet.play("ibm_quantum.platform.renew_tokens"), 0)  # hosts that are trusted have none
    good(fleet.play("ibm_quantum.platform.renew_tokens", "-e", f"@{inventory}"), 3)
    soon = time.time() + 60
    for host in fresh_hosts:
        assert host.run("cat /run/ibm_quantum/bearer_token").stdout not in ("", old), host
        timers = host.run("ls /run/systemd/transient | grep -c 'secret.*timer'").stdout.strip()
        assert timers == "2", f"{timers} timers on {host}"
    for host in fresh_hosts:
        wait_for(f"the token to leave {host}", partial(gone, host), timeout=150)
    assert time.time() > soon - 60
    everything = Scanner(lab.emulator.secrets())
    for host in fresh_hosts:
        assert on_host(everything, host) == [], host

    # what was printed, and exact removal
    lab.emulator.settings(token_lifetime=3600)
    fleet.forget_tokens()
    good(fleet.token(), 3)
    good(fleet.token("--diff", bearer_token_state="absent"), 3)
    good(fleet.token(bearer_token_state="absent"), 0)
    for host in fresh_hosts:
        assert gone(host) and host.run("test -e /run/ibm_quantum", check=False).returncode == 1, host
        assert changes(before[host.name], picture(host)) == [], host
    assert not Scanner(lab.emulator.secrets()).data("what was printed", fleet.printed)


def test_a_reboot_takes_it_off(fleet: Fleet, lab: Lab, fresh_hosts: list[Host]) -> None:
    good(fleet.token(bearer_token_group="daemon"), 3)
    host = fresh_hosts[0]
    assert host.run(["stat", "-c", "%a %U %G", "/run/ibm_quantum/headers"]).stdout.split() == ["640", "alice", "daemon"]
    host.reboot()
    assert gone(host) and on_host(Scanner(lab.emulator.secrets()), host) == []
    # and where nothing would take it off, nothing is written
    host.reboot(systemd=False)
    refused = fleet.token("--limit", host.name)
    assert refused.returncode == 2 and "does not run systemd" in refused.output
    assert host.run("test -e /run/ibm_quantum", check=False).returncode == 1
    good(fleet.token("--limit", host.name, bearer_token_state="absent"), 0)


def succeeds(host: Host, script: str) -> bool:
    return host.run(script, check=False).returncode == 0


def test_a_user_without_root(fleet: Fleet, lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> None:
    as_bob = ("-e", json.dumps({"ansible_user": "bob"}))
    book = fleet.book(ROLE)
    good(fleet.play(book, *as_bob), 3)
    good(fleet.play(book, *as_bob), 0)
    for host in fresh_hosts:
        uid = host.run(["id", "-u", "bob"]).stdout.strip()
        path = f"/run/user/{uid}/ibm_quantum/headers"
        assert host.run(["stat", "-c", "%a %U", path]).stdout.split() == ["600", "bob"], host
        assert host.run(["su", "alice", "-c", f"cat {path}"], check=False).returncode != 0, host
        mine = json.loads(host.ssh(CURL.replace("/run/ibm_quantum/headers", path), user="bob").stdout)
        assert mine["instance_id"] == lab.emulator.instance
        assert places(on_host(keys(lab), host), host) == []
    refused = fleet.token(*as_bob)
    assert refused.returncode == 2 and "owner: only root can give files to somebody else" in refused.output
    # and it leaves by itself: a file that ends while the user's systemd is there
    for host in fresh_hosts:
        host.run("mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/bob")  # loginctl would ask polkit
    short = {"files": [{"name": "short", "content": "not-so-secret"}], "expires_in": 20}
    tasks = [{"ibm_quantum.platform.transient_secret": short}]
    book = tmp_path / "short.json"
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    good(fleet.play(book, *as_bob), 3)
    for host in fresh_hosts:
        short_one = "test ! -e /run/user/*/ibm_quantum/short && test -e /run/user/*/ibm_quantum/headers"
        wait_for(f"the file to leave {host}", partial(succeeds, host, short_one), timeout=120)
    good(fleet.play(fleet.book(ROLE, bearer_token_state="absent"), *as_bob), 3)
    for host in fresh_hosts:
        assert on_host(tokens(lab), host) == [], host


def once(fleet: Fleet, *tasks: dict[str, Any]) -> Path:
    path = fleet.folder / "tasks.json"
    path.write_text(json.dumps(tasks))
    return fleet.book(
        "ibm_quantum.platform.one_use_key",
        one_use_key_tasks=str(path),
        one_use_key_on_host=True,
        one_use_key_owner="alice",
    )


def names(lab: Lab, fleet: Fleet) -> list[str]:
    """The names of the API keys at IAM."""
    book = fleet.folder / "names.json"
    file = fleet.folder / "names.txt"
    tasks = [
        {"ibm_quantum.platform.api_key_info": {}, "register": "found"},
        {
            "ansible.builtin.copy": {
                "content": "{{ found.api_keys | map(attribute='name') | to_json }}",
                "dest": str(file),
            }
        },
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    play["vars"] = {"ansible_python_interpreter": sys.executable}
    book.write_text(json.dumps([play]))
    done = lab.playbook(book)
    assert done.returncode == 0, done.output
    found: list[str] = json.loads(file.read_text())
    return sorted(found)


def test_a_key_for_one_use_and_none_after_it(fleet: Fleet, lab: Lab, fresh_hosts: list[Host]) -> None:
    before = {host.name: picture(host) for host in fresh_hosts}
    at_iam = names(lab, fleet)
    script = "test $(stat -c %a%U {{ one_use_key_path }}) = 600alice && wc -c < {{ one_use_key_path }}"
    use = {"ansible.builtin.shell": script, "register": "size"}
    check = {"ansible.builtin.assert": {"that": "size.stdout | int == 44"}}
    fail = {"ansible.builtin.command": {"argv": ["false"]}}
    for tasks, code in (((use, check), 0), ((use, check, fail), 2)):
        done = fleet.play(once(fleet, *tasks), "-vvv", "--diff")
        assert done.returncode == code, done.output[-4000:]
        assert names(lab, fleet) == at_iam
        for host in fresh_hosts:
            assert gone(host) and places(on_host(keys(lab), host), host) == [], host
            assert changes(before[host.name], picture(host)) == [], host
    assert not keys(lab).data("what was printed", fleet.printed)


def test_a_run_that_is_killed_leaves_nothing_that_one_clean_up_does_not_take(
    fleet: Fleet, lab: Lab, fresh_hosts: list[Host]
) -> None:
    at_work = f"test -e /run/ibm_quantum/one_use_key && pgrep -f '[s]leep {SLEEP}'"
    at_iam = names(lab, fleet)
    book = once(fleet, {"ansible.builtin.command": {"argv": ["sleep", str(SLEEP)]}})
    argv = [*lab.enter(), str(Path(sys.executable).with_name("ansible-playbook")), str(book)]
    with open(fleet.folder / "killed.log", "wb") as log:
        process = subprocess.Popen(argv, env=lab.controller_env(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        for host in fresh_hosts:
            wait_for(f"the tasks on {host}", partial(succeeds, host, at_work), timeout=120)
        assert names(lab, fleet) == sorted([*at_iam, *(ONCE + host.name for host in fresh_hosts)])
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait(30)
    wait_for("the guard to delete the keys", lambda: names(lab, fleet) == at_iam, 120, pause=1)
    # what the hosts still have is of no use, and their own timers would take it: the clean-up is sooner
    assert places(on_host(keys(lab), fresh_hosts[0]), fresh_hosts[0]) == ["/run/ibm_quantum/one_use_key"]
    good(fleet.play("ibm_quantum.platform.clean_up_keys"), 3)
    good(fleet.play("ibm_quantum.platform.clean_up_keys"), 0)
    assert names(lab, fleet) == at_iam
    for host in fresh_hosts:
        assert gone(host) and places(on_host(keys(lab), host), host) == [], host
    everything = (fleet.folder / "killed.log").read_text() + fleet.printed
    assert not keys(lab).data("what was printed", everything)
