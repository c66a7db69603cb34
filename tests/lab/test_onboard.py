# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Onboarding and offboarding on real hosts: what the collection is for, end to end."""

from __future__ import annotations

import re

import pytest

from tests.lab.dns import OTHER_NAME
from tests.lab.host import Host
from tests.lab.lab import Lab, Play
from tests.lab.picture import changes, picture

ONBOARD = "ibm_quantum.platform.onboard"
OFFBOARD = "ibm_quantum.platform.offboard"
RUNTIME = "https://quantum.cloud.ibm.com/api/v1/versions"
OTHER = f"https://{OTHER_NAME}/"


def changed_tasks(play: Play) -> list[tuple[str, str]]:
    """(task, host) of everything that a run changed, or in check mode would change."""
    found, task = [], ""
    for line in play.stdout.splitlines():
        banner = re.match(r"TASK \[(.*)\] \*+$", line)
        if banner:
            task = banner[1]
        change = re.match(r"changed: \[([^\]]+)\]", line)
        if change:
            found.append((task, change[1]))
    return sorted(found)


def curl(host: Host, url: str, *options: str) -> bool:
    argv = ["curl", "-sk", "-o", "/dev/null", "--max-time", "8", *options, url]
    return host.run(argv, check=False, timeout=30).returncode == 0


def assert_untouched(before: dict[str, list[str]], hosts: list[Host]) -> None:
    assert {host.name: changes(before[host.name], picture(host)) for host in hosts} == {host.name: [] for host in hosts}


def assert_good(play: Play) -> None:
    assert play.returncode == 0, play.output


def test_a_fleet_is_onboarded_and_offboarded_without_a_trace(lab: Lab, fresh_hosts: list[Host]) -> None:
    before = {host.name: picture(host) for host in fresh_hosts}
    assert all(curl(host, OTHER) for host in fresh_hosts), "the lab must reach what the allowlist will block"

    predicted = lab.playbook(ONBOARD, "--check", "--diff")
    assert_good(predicted)
    assert_untouched(before, fresh_hosts)
    for text in ("QISKIT_IBM_INSTANCE", "quantum.cloud.ibm.com"):
        assert text in predicted.stdout, "the diff does not show what will be"

    lab.emulator.clear_journal()
    done = lab.playbook(ONBOARD)
    assert_good(done)
    assert changed_tasks(done) == changed_tasks(predicted)
    assert {host for _task, host in changed_tasks(done)} == {host.name for host in fresh_hosts}
    assert sum(row["path"] == "/identity/token" for row in lab.emulator.journal()) <= 1

    for host in fresh_hosts:
        for family in ("-4", "-6"):
            assert curl(host, RUNTIME, family), f"{host} cannot reach an allowed endpoint by {family}"
            assert not curl(host, OTHER, family), f"{host} reaches what is not allowed by {family}"
        shell = host.run(["su", "-l", "root", "-c", "echo $IQP_API_TOKEN $QISKIT_IBM_INSTANCE"]).stdout.split()
        assert shell == [lab.emulator.api_key, lab.emulator.instance]
        assert (
            lab.emulator.api_key
            not in host.run(["su", "-l", "bob", "-c", "env; cat /etc/ibm_quantum/*"], check=False).stdout
        )

    again = lab.playbook(ONBOARD)
    assert_good(again)
    assert again.changed == 0, again.output
    proof = lab.playbook(ONBOARD, "-e", f'{{"verify_blocked_endpoints": [{{"host": "{OTHER_NAME}"}}]}}')
    assert_good(proof)

    assert_good(lab.playbook(OFFBOARD))
    assert_untouched(before, fresh_hosts)
    gone = lab.playbook(OFFBOARD)
    assert_good(gone)
    assert gone.changed == 0, gone.output


def test_a_wrong_key_touches_no_host(lab: Lab, fresh_hosts: list[Host]) -> None:
    before = {host.name: picture(host) for host in fresh_hosts}
    play = lab.playbook(ONBOARD, env={"IQP_API_TOKEN": "x" * 44})
    assert play.returncode != 0
    assert "BXNIM0415E" in play.output
    assert_untouched(before, fresh_hosts)


@pytest.mark.parametrize("variable", ["IQP_API_TOKEN", "QISKIT_IBM_INSTANCE"])
def test_a_missing_setting_is_named_before_any_host_is_touched(
    lab: Lab, fresh_hosts: list[Host], variable: str
) -> None:
    play = lab.playbook(ONBOARD, env={variable: ""})
    assert play.returncode != 0
    assert variable in play.output
    assert not changed_tasks(play)


def test_hosts_that_are_not_trusted_get_a_token_and_no_key(lab: Lab, fresh_hosts: list[Host]) -> None:
    """What somebody left there goes, and what is needed comes: in memory, for as long as the token lives."""
    before = {host.name: picture(host) for host in fresh_hosts}
    key = lab.emulator.api_key
    for host in fresh_hosts:
        host.run("cat >>/home/alice/.bashrc", input=f"alias x=y\nexport IQP_API_TOKEN={key}\nalias z=y\n")
    untrusted = ("-e", '{"ibm_quantum_trust": "untrusted"}')
    done = lab.playbook(ONBOARD, *untrusted)
    assert_good(done)
    for host in fresh_hosts:
        for places in ("/etc /home /root /run /tmp /var", "/proc/[0-9]*/environ"):
            assert host.run(f"grep -rlsaF -e '{key}' {places}", check=False).stdout == "", host
        usage = "https://quantum.cloud.ibm.com/api/v1/instances/usage"
        answer = host.run(["curl", "-s", "-H", "@/run/ibm_quantum/headers", "--max-time", "8", usage]).stdout
        assert "usage_consumed_seconds" in answer, (host, answer)
        login = host.run(["su", "-l", "root", "-c", "echo $QISKIT_IBM_INSTANCE"]).stdout.strip()
        assert login == lab.emulator.instance
    assert lab.playbook(ONBOARD, *untrusted).changed == 0
    assert_good(lab.playbook(OFFBOARD, *untrusted))
    for host in fresh_hosts:
        lines = "alias x=y\nalias z=y\n"
        assert host.run("tail -n 2 /home/alice/.bashrc").stdout == lines
        host.run("sed -i -e '$d' /home/alice/.bashrc && sed -i -e '$d' /home/alice/.bashrc")
        assert host.run("test -e /run/ibm_quantum", check=False).returncode == 1
    assert_untouched(before, fresh_hosts)
