# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role firewall on real hosts: systemd, sshd, nft and DNS are all there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.lab import network
from tests.lab.firewalls import IAM, NEW_UNTRACKED, RUNTIME, refresh, wait_until
from tests.lab.host import Host
from tests.lab.lab import Lab, Play

BOOT = "ibm-quantum-egress.service"
TIMER = "ibm-quantum-egress-refresh.timer"
#: Seconds; long enough for a confirmation on a busy machine, short enough to wait for a rollback.
CONFIRM = 30
FOREIGN = (
    "table inet foreign {\n\tchain output {\n\t\ttype filter hook output priority filter; policy accept;\n\t}\n}\n"
)
# Hosts that keep SSH out of connection tracking, so that a forgotten management port is fatal: for every connection, or
# for new ones only.
UNTRACKED = """table inet untracked {
    chain before {
        type filter hook prerouting priority raw; policy accept;
        tcp dport 22 notrack
    }

    chain after {
        type filter hook output priority raw; policy accept;
        tcp sport 22 notrack
    }
}
"""


@pytest.fixture
def hosts(fresh_hosts: list[Host]) -> list[Host]:
    """Hosts with a table of somebody else."""
    for host in fresh_hosts:
        host.run(["nft", "-f", "-"], input=FOREIGN)
    return fresh_hosts


@pytest.fixture
def role(lab: Lab, tmp_path: Path) -> Any:
    """Run the role over all hosts (or ``only`` one) with these variables."""

    def run(*args: str, only: Host | None = None, user: str = "root", **variables: Any) -> Play:
        play = {
            "hosts": only.name if only else "all",
            "gather_facts": False,
            "become": user != "root",
            "remote_user": user,
            "vars": {
                "ansible_user": user,
                "firewall_confirm_timeout": CONFIRM,
                **{f"firewall_{name}": value for name, value in variables.items()},
            },
            "roles": ["ibm_quantum.platform.firewall"],
        }
        path = tmp_path / "play.yml"
        path.write_text(json.dumps([play]))
        return lab.playbook(path, *args)

    return run


def flat(play: Play) -> str:
    """What it printed, however it was wrapped."""
    return re.sub(r"\s+", " ", play.output)


def ok(play: Play) -> Play:
    assert play.returncode == 0, play.output
    return play


def changed(play: Play) -> set[str]:
    return {name for name, counts in ok(play).recap.items() if counts["changed"]}


def connect(host: Host, where: str, port: int = 443) -> str:
    """What a program on the host sees."""
    code = f"""
import socket
try:
    socket.create_connection(({where!r}, {port}), 8).close()
    print("open")
except socket.timeout:
    print("timeout")
except OSError as error:
    print({{13: "blocked", 113: "blocked", 111: "refused"}}.get(error.errno, repr(error)))
"""
    return host.run(["python3", "-c", code]).stdout.strip()


def footprint(host: Host) -> str:
    """Everything that the role could leave behind: files, rules, and what systemd knows."""
    script = (
        "find /etc /usr/local /var/lib /run/ibm_quantum -printf '%y %m %u %g %p %l\\n' 2>/dev/null"
        " | grep -v -e /var/lib/systemd -e /var/lib/private | sort;"
        "find /etc /usr/local -type f -exec sha256sum {} + | sort;"
        "nft list ruleset; systemctl list-units --all --no-legend --plain --full '*ibm-quantum*';"
        "systemctl list-unit-files --no-legend | grep -v transient | sort; systemctl is-system-running"
    )
    return host.run(script).stdout


def table(host: Host) -> str:
    return re.sub(r"packets \d+ bytes \d+", "", host.run("nft list table inet ibm_quantum", check=False).stdout)


def test_from_nothing_to_nothing(lab: Lab, hosts: list[Host], role: Any) -> None:
    before = {host.name: footprint(host) for host in hosts}
    names = set(before)
    predicted = role("--check", "--diff")
    assert changed(predicted) == names and IAM in predicted.stdout and network.EMULATOR[0].v4 in predicted.stdout
    assert {host.name: footprint(host) for host in hosts} == before

    first = ok(role())
    assert changed(first) == names
    for host in hosts:
        for name in (IAM, RUNTIME):
            assert connect(host, name) == "open", host
            for address in lab.dns.names()[name]:
                assert connect(host, address) == "open", (host, address)
        for address in network.OTHER:
            assert connect(host, address) == "blocked", (host, address)
        assert connect(host, IAM, 80) == "blocked"
        assert connect(host, network.CONTROLLER.v4, 22) == "blocked"
        assert host.ssh("true").returncode == host.ssh("true", ipv6=True).returncode == 0
        assert host.run("systemctl is-system-running").stdout == "running\n"

        assert host.run("nft list table inet foreign").stdout == FOREIGN

    again = role("--diff")
    assert changed(again) == set() and again.recap["h1"]["ok"] <= 3

    for host in hosts:
        host.reboot()
        assert connect(host, IAM) == "open" and connect(host, network.OTHER.v4) == "blocked", host
        host.run(["nft", "-f", "-"], input=FOREIGN)
    assert changed(role()) == set()

    assert changed(role("--check", state="absent")) == names
    assert changed(role(state="absent")) == names
    for host in hosts:
        assert footprint(host) == before[host.name], host
    assert changed(role(state="absent")) == set()


def test_a_user_with_sudo(lab: Lab, hosts: list[Host], role: Any) -> None:
    assert changed(role(user="alice", only=hosts[0])) == {"h1"}
    assert "tcp sport 22" in table(hosts[0])
    assert changed(role(user="alice", only=hosts[0])) == set()
    assert connect(hosts[0], IAM) == "open"


def test_addresses_follow_dns_and_outlive_it(lab: Lab, hosts: list[Host], role: Any) -> None:
    ok(role())
    old, new = lab.dns.names()[IAM], lab.emulator.spare[0]
    for host in hosts:
        assert connect(host, new.v4) == "blocked"
    lab.dns.set(IAM, v4=[new.v4], v6=[new.v6])
    for host in hosts:
        assert f"+{new.v4}" in refresh(host), host
        assert [connect(host, address) for address in new] == ["open", "open"]
        assert connect(host, old[0]) == "open"  # it was good a moment ago
    for silent in (False, True):
        lab.dns.stop(silent=silent)
        for host in hosts:
            assert "last good addresses stay" in refresh(host)
            assert connect(host, new.v4) == "open" and connect(host, network.OTHER.v4) == "blocked"
        lab.dns.start()
    lab.dns.stop()
    hosts[0].reboot()
    assert connect(hosts[0], new.v4) == "open" and connect(hosts[0], network.OTHER.v4) == "blocked"
    assert changed(role()) == set()


def test_the_timer_does_it_by_itself(lab: Lab, hosts: list[Host], role: Any) -> None:
    ok(role(refresh_interval=2, address_lifetime=0))
    old, new = lab.dns.names()[IAM], lab.emulator.spare[0]
    lab.dns.set(IAM, v4=[new.v4], v6=[new.v6])
    for host in hosts:
        wait_until(f"{host.name} to follow", "open", connect, host, new.v4, timeout=90)
        wait_until(f"{host.name} to forget", "blocked", connect, host, old[0], timeout=90)
    assert changed(role(refresh_interval=2, address_lifetime=0)) == set()


@pytest.mark.parametrize("action", ["reload", "restart", "stop", "boot"])
def test_the_service_that_flushes_everything(lab: Lab, hosts: list[Host], role: Any, action: str) -> None:
    for host in hosts:
        host.run("systemctl enable --now nftables.service")
    ok(role())
    for host in hosts:
        rules = table(host)
        if action == "boot":
            host.reboot()
        else:
            host.run(f"systemctl {action} nftables.service")
        if action == "stop":
            assert table(host) == "" and "loaded again" in refresh(host), host
        wait_until(f"the rules of {host.name}", rules, table, host, timeout=20)
        host.run("systemctl restart nftables.service")
        wait_until(f"the rules of {host.name}", rules, table, host, timeout=20)
    assert changed(role()) == set()


@pytest.mark.parametrize(("foreign", "seen_as"), [(UNTRACKED, "unreachable"), (NEW_UNTRACKED, "failed")])
def test_a_lock_out_is_rolled_back(lab: Lab, hosts: list[Host], role: Any, foreign: str, seen_as: str) -> None:
    for host in hosts:
        host.run(["nft", "-f", "-"], input=foreign)
    before = {host.name: footprint(host) for host in hosts}
    locked = role(management_ports=[2222], confirm_timeout=25)
    assert locked.returncode != 0
    for host in hosts:
        assert locked.recap[host.name][seen_as] == 1, locked.output
        wait_until(f"{host.name} to roll back", "", table, host, timeout=90)
        assert host.ssh("true").returncode == 0
        journal = host.run("journalctl --sync; journalctl -o cat -u 'ibm-quantum-egress-rollback-*'").stdout
        assert "not confirmed in time: rolled back" in journal
    assert "back by itself within 25 seconds" in flat(locked)
    told = role()
    assert changed(told) == set(before) and "was rolled back by the host" in flat(told)
    for host in hosts:
        assert host.ssh("true").returncode == 0 and connect(host, network.OTHER.v4) == "blocked"
    ok(role(state="absent"))
    assert {host.name: footprint(host) for host in hosts} == before


def test_a_lock_out_leaves_the_allowlist_that_was_there(lab: Lab, hosts: list[Host], role: Any) -> None:
    host = hosts[0]
    ok(role(only=host))
    host.run(["nft", "-f", "-"], input=UNTRACKED)
    rules, files = table(host), host.run("sha256sum /etc/ibm_quantum/* /etc/systemd/system/ibm*").stdout
    assert role(only=host, management_ports=[2222], confirm_timeout=25).returncode != 0
    wait_until("the rollback", rules, table, host, timeout=90)
    assert host.ssh("true").returncode == 0
    assert host.run("sha256sum /etc/ibm_quantum/* /etc/systemd/system/ibm*").stdout == files


def test_power_lost_before_the_confirmation_brings_back_what_was_before(lab: Lab, hosts: list[Host], role: Any) -> None:
    host = hosts[0]
    host.run(["nft", "-f", "-"], input=NEW_UNTRACKED)
    assert role(only=host, management_ports=[2222], confirm_timeout=600).returncode != 0
    assert table(host)
    host.reboot(orderly=False)
    host.run(["nft", "-f", "-"], input=FOREIGN)
    assert table(host) == "" and host.ssh("true").returncode == 0


def test_a_run_killed_in_the_middle_is_finished_by_the_next(lab: Lab, hosts: list[Host], role: Any) -> None:
    host = hosts[1]
    # systemctl that kills the module when it is about to start the units: rules loaded, files written, nothing running.
    host.run(
        "mv /usr/bin/systemctl /usr/bin/systemctl.real; cat >/usr/bin/systemctl; chmod 755 /usr/bin/systemctl",
        input='#!/bin/sh\nif [ "$1" = daemon-reload ]; then kill -9 $PPID; exit 1; fi\nexec systemctl.real "$@"\n',
    )
    assert role(only=host).returncode != 0
    host.run("mv /usr/bin/systemctl.real /usr/bin/systemctl")
    assert changed(role(only=host)) == {"h2"}
    assert host.run(f"systemctl is-active {BOOT} {TIMER}").stdout == "active\nactive\n"
    assert changed(role(only=host)) == set()
    assert connect(host, IAM) == "open" and connect(host, network.OTHER.v4) == "blocked"


def test_audit_lets_through_and_counts(lab: Lab, hosts: list[Host], role: Any) -> None:
    ok(role(mode="audit"))
    for host in hosts:
        assert connect(host, network.OTHER.v4) == "open"
        counter = json.loads(host.run("nft -j list counter inet ibm_quantum would_block").stdout)["nftables"][1]
        assert counter["counter"]["packets"] > 0
    assert changed(role(mode="audit")) == set()


def test_nftables_is_installed_where_it_is_missing(
    lab: Lab, hosts: list[Host], role: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = hosts[0]
    host.run("mv /usr/sbin/nft /usr/sbin/nft.away")
    predicted = role("--check", only=host, provider="nftables")
    assert changed(predicted) == {"h1"} and "install the package nftables" in flat(predicted)
    refused = role(only=host, provider="nftables", install=False)
    assert refused.returncode != 0 and "install the package nftables" in flat(refused)
    # The lab has no package mirror, so the package manager is played.
    (tmp_path / "played_packages.py").write_text(PACKAGES)
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(tmp_path))
    played = "ansible_package_use=ansible.legacy.played_packages"
    assert changed(role("-e", played, only=host, provider="nftables")) == {"h1"}
    assert connect(host, IAM) == "open" and connect(host, network.OTHER.v4) == "blocked"
    assert changed(role(only=host)) == set()


PACKAGES = """#!/usr/bin/python
import os
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({"name": {"type": "list"}, "state": {"type": "str"}})
assert module.params == {"name": ["nftables"], "state": "present"}
os.rename("/usr/sbin/nft.away", "/usr/sbin/nft")
module.exit_json(changed=True)
"""
