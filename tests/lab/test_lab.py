# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab keeps what it promises; other lab tests build on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import images, network, system
from tests.lab.dns import OTHER_NAME
from tests.lab.host import Host
from tests.lab.lab import Lab, parse_recap, sweep
from tests.lab.system import LabError, LabTimeout

IAM = "iam.cloud.ibm.com"
RUNTIME = "quantum.cloud.ibm.com"
VERSIONS = f"https://{RUNTIME}/api/v1/versions"


def resolve(host: Host, name: str) -> set[str]:
    done = host.run(["getent", "ahosts", name], check=False, timeout=30)
    return {line.split()[0] for line in done.stdout.splitlines()}


# --- without a lab


def test_recap_is_parsed() -> None:
    text = "PLAY RECAP ***\nh1  : ok=2    changed=1    unreachable=0    failed=0    skipped=0    \n\nmore\n"
    assert parse_recap(text) == {"h1": {"ok": 2, "changed": 1, "unreachable": 0, "failed": 0, "skipped": 0}}
    assert parse_recap("ERROR! no such playbook\n") == {}


def test_mirrors_come_from_both_formats_of_apt_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://commented.invalid/debian bookworm main\n"
        "deb-src http://source.invalid/debian bookworm main\n"
        "deb [signed-by=/x arch=amd64] http://one.invalid/debian/ bookworm main contrib # remark\n"
        "deb http://security.invalid/debian-security bookworm-security main\n"
    )
    (tmp_path / "sources.list.d" / "a.sources").write_text(
        "Types: deb\nURIs: http://two.invalid/debian\n  http://three.invalid/debian\n"
        "Suites: bookworm bookworm-updates\n# remark\nComponents: main\n\n"
        "Types: deb\nEnabled: no\nURIs: http://off.invalid/debian\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://vendor.invalid/apt\nSuites: nodistro\nComponents: main\n"
    )
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    assert images.mirrors(tmp_path, release) == [
        "http://one.invalid/debian",
        "http://two.invalid/debian",
        "http://three.invalid/debian",
    ]


def test_a_changed_recipe_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.image("bookworm")
    assert before != images.image("trixie")
    monkeypatch.setattr(images, "PACKAGES", (*images.PACKAGES, "nano"))
    assert images.image("bookworm") != before


@pytest.mark.parametrize("name", ["", "Lab", "a/b", "..", "x" * 21, "-a"])
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="cannot name a lab"):
        Lab(name)


def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    with pytest.raises(LabTimeout, match="no end after"):
        system.run(["sh", "-c", "sleep 60 & sleep 60"], timeout=0.3)


# --- with three hosts


def test_three_suites_are_up_and_whole(lab: Lab, fresh_hosts: list[Host]) -> None:
    assert [host.suite for host in lab.hosts] == ["bookworm", "trixie", "bullseye"]
    codenames = [host.run(". /etc/os-release; echo $VERSION_CODENAME").stdout.strip() for host in lab.hosts]
    assert codenames == ["bookworm", "trixie", "bullseye"]
    assert all(host.run("systemctl is-system-running").stdout == "running\n" for host in lab.hosts)


def test_ssh_reaches_every_host_as_each_user_in_both_families(lab: Lab) -> None:
    for host in lab.hosts:
        assert host.ssh("id -un; hostname").stdout == f"root\n{host.name}\n"
        assert host.ssh("sudo -n id -un", user="alice", ipv6=True).stdout == "root\n"
        refused = host.ssh("sudo -n id -un", user="bob", check=False)
        assert refused.returncode != 0 and "password" in refused.stderr
    keys = [line.split()[2] for line in lab.known_hosts.read_text().splitlines()]
    assert len(set(keys)) == len(lab.hosts), "hosts share a host key"


def test_names_lead_to_the_emulator_in_both_families_and_its_tls_is_trusted(lab: Lab, fresh_hosts: list[Host]) -> None:
    for host in lab.hosts:
        for family, place in (("-4", network.EMULATOR[1].v4), ("-6", network.EMULATOR[1].v6)):
            curl = ["curl", family, "-sS", "-m", "20", "-w", "\\n%{remote_ip} %{http_code}", VERSIONS]
            body, _sep, told = host.run(curl).stdout.rpartition("\n")
            assert told == f"{place} 200"
            assert json.loads(body)
        python = f"import urllib.request as u; print(u.urlopen('{VERSIONS}', timeout=20).status)"
        assert host.run(["python3", "-c", python]).stdout == "200\n"
    assert len(lab.emulator.journal(host=RUNTIME, path="/api/v1/versions", status=200)) >= 3 * len(lab.hosts)


def test_an_address_outside_every_allowlist_answers_too(lab: Lab, fresh_hosts: list[Host]) -> None:
    for host in lab.hosts:
        for family, place in (("-4", network.OTHER.v4), ("-6", network.OTHER.v6)):
            curl = [
                "curl",
                family,
                "-sSk",
                "-m",
                "20",
                "-o",
                "/dev/null",
                "-w",
                "%{remote_ip}",
                f"https://{OTHER_NAME}/",
            ]
            assert host.run(curl).stdout == place


def test_there_is_no_way_out(lab: Lab, fresh_hosts: list[Host]) -> None:
    for where in [host.run for host in lab.hosts] + [lab.run]:
        assert where(["ip", "route", "show", "default"]).stdout == ""
        assert where(["ip", "-6", "route", "show", "default"]).stdout == ""
        for outside in ("192.0.2.1", "2001:db8::1"):
            assert "unreachable" in where(["ip", "route", "get", outside], check=False).stderr


def test_a_reboot_keeps_files_and_loses_the_rules_and_processes(fresh_hosts: list[Host]) -> None:
    for host in fresh_hosts:
        host.run("nft add table inet kept; echo 1 >/root/kept; sync")
        boot = host.run("cat /proc/1/stat | cut -d' ' -f22; readlink /proc/1/ns/net").stdout
        host.reboot()
        assert host.run("nft list ruleset").stdout == ""
        assert host.run("cat /root/kept").stdout == "1\n"
        assert host.run("cat /proc/1/stat | cut -d' ' -f22; readlink /proc/1/ns/net").stdout != boot
        assert host.ssh("true").returncode == 0


def test_enabled_units_come_back_with_a_reboot(fresh_hosts: list[Host]) -> None:
    host = fresh_hosts[0]
    host.run("echo 'table inet kept {}' >>/etc/nftables.conf; systemctl enable nftables.service", timeout=60)
    host.reboot()
    assert "table inet kept" in host.run("nft list ruleset").stdout


def test_a_reset_is_pristine(fresh_hosts: list[Host]) -> None:
    look = "nft list ruleset; find /etc /root /home /opt -newer /etc/hostname | sort; cat /etc/passwd /etc/ssh/*.pub"
    for host in fresh_hosts:
        before = host.run(look).stdout
        host.run("nft add table inet t; useradd -m eve; rm -r /home/bob; echo x >>/etc/profile; touch /root/new")
        assert host.run(look).stdout != before
        host.reset()
        assert host.run(look).stdout == before
        assert host.run("ls -A /home/bob; ls /root/new", check=False).stdout.split()[0].startswith(".")


def test_a_snapshot_is_what_a_reset_goes_back_to(fresh_hosts: list[Host]) -> None:
    host = fresh_hosts[1]
    host.run("echo 1 >/root/a; rm /root/.profile")
    host.snapshot()
    host.run("echo 2 >/root/a; echo 2 >/root/b")
    host.reset()
    assert host.run("cat /root/a; ls -A /root").stdout.split() == ["1", ".bashrc", ".ssh", "a"]
    host.reset(pristine=True)
    assert host.run("ls -A /root").stdout.split() == [".bashrc", ".profile", ".ssh"]


def test_a_name_moves_and_comes_back(lab: Lab, fresh_hosts: list[Host]) -> None:
    old, new = network.EMULATOR[0], lab.emulator.spare[0]
    host = fresh_hosts[2]
    assert resolve(host, IAM) == {old.v4, old.v6}
    lab.dns.set(IAM, v4=[new.v4, old.v4], v6=[new.v6])
    assert resolve(host, IAM) == {new.v4, old.v4, new.v6}
    lab.dns.set(IAM, v4=[new.v4])
    assert resolve(host, IAM) == {new.v4}
    curl = ["curl", "-sS", "-m", "20", "-o", "/dev/null", "-w", "%{remote_ip}", f"https://{IAM}/identity/keys"]
    assert host.run(curl).stdout == new.v4
    lab.dns.set(IAM)
    assert resolve(host, IAM) == set()
    lab.reset()
    assert resolve(host, IAM) == {old.v4, old.v6}


@pytest.mark.parametrize("silent", [False, True])
def test_dns_goes_and_comes_back(lab: Lab, fresh_hosts: list[Host], silent: bool) -> None:
    lab.dns.stop(silent=silent)
    assert not lab.dns.running()
    assert resolve(fresh_hosts[2], IAM) == set()
    lab.dns.start()
    assert all(resolve(host, IAM) == set(network.EMULATOR[0]) for host in fresh_hosts)


def test_the_controller_is_in_the_lab_and_plays_reach_all_hosts(
    lab: Lab, fresh_hosts: list[Host], tmp_path: Path
) -> None:
    assert network.EMULATOR[0].v4 in lab.run(["getent", "ahostsv4", IAM]).stdout
    play = tmp_path / "play.yml"
    play.write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.ping:\n"
        "    - ansible.builtin.copy: {content: x, dest: /root/by-ansible}\n"
    )
    for changed in (len(fresh_hosts), 0):
        done = lab.playbook(play)
        assert done.returncode == 0, done.output
        assert sorted(done.recap) == [host.name for host in fresh_hosts]
        assert done.changed == changed
    # The connection that Ansible keeps open is not in the way of the next play after a reset
    lab.reset()
    assert lab.playbook(play, "--limit", "h1").changed == 1


def test_a_host_that_went_down_by_itself_is_started_again(fresh_hosts: list[Host]) -> None:
    host = fresh_hosts[0]
    host.run("systemctl poweroff", check=False)
    system.wait_for("the power-off", lambda: not host.running())
    with pytest.raises(LabError, match="not running"):
        host.run("true")
    host.reboot()
    assert host.ssh("true").returncode == 0


def test_a_second_lab_does_not_see_the_first(lab: Lab) -> None:
    with Lab(f"{lab.name}-b").up(hosts=1, suites=["bookworm"]) as other:
        assert other.hosts[0].address == lab.hosts[0].address
        keys = [one.hosts[0].ssh("cat /etc/ssh/ssh_host_ed25519_key.pub").stdout for one in (lab, other)]
        assert keys[0] != keys[1]
        with pytest.raises(LabError, match="is up"):
            other.up(hosts=1)
    other.down()
    assert not other.exists()
    assert lab.hosts[0].ssh("true").returncode == 0


def test_what_a_killed_owner_leaves_is_swept(lab: Lab) -> None:
    name = f"{lab.name}-c"
    program = f"""
import os, signal
from tests.lab.lab import Lab
lab = Lab({name!r}).up(hosts=1, suites=["bookworm"], owner=os.getpid())
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=system.ROOT, timeout=300, check=False)
    assert done.returncode == -9
    left = Lab(name)
    assert left.hosts[0].ssh("true").returncode == 0
    sweep()
    assert not left.exists() and not left.group.pids()
    assert not list(left.namespace.path.parent.glob(f"{left.namespace.name}*"))
    assert lab.exists() and os.path.exists(lab.inventory)
