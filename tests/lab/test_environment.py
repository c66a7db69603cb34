# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role environment on real hosts, looked at with the eyes of real logins and services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.host import Host
from tests.lab.lab import Lab, Play

KEY = "Kq'7\"w\\3$HOME`id`#Zz-44-é-characters"  # every character that a quoting could get wrong
PIECES = ("44-é-characters", "44-\\u00e9-characters", "Kq'7", "Kq\\'7")
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123:4567::"
TITLE, FOLDER = "it's 100% plain; = é", 'C:\\x "y"'
VARIABLES = [
    {"name": "IQP_API_TOKEN", "value": KEY, "secret": True},
    {"name": "QISKIT_IBM_TOKEN", "value": KEY, "secret": True},
    {"name": "QISKIT_IBM_INSTANCE", "value": CRN},
    {"name": "LAB_TITLE", "value": TITLE},
    {"name": "LAB_FOLDER", "value": FOLDER},
]
PUBLIC = {"QISKIT_IBM_INSTANCE": CRN, "LAB_TITLE": TITLE, "LAB_FOLDER": FOLDER}
SECRET = {"IQP_API_TOKEN": KEY, "QISKIT_IBM_TOKEN": KEY}

#: Type, mode, owner, link and content of everything in a folder, but for what ansible itself leaves.
TREE = r"""
cd "$1" && find . -path ./.ansible -prune -o -printf '%p %y %m %u %g %l\n' | sort
find . -path ./.ansible -prune -o -type f -exec sha256sum {} + | sort
"""


class Onboarding:
    """Plays of the role with some variables."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder

    def play(self, *args: str, variables: Any = None, **role: Any) -> Play:
        values = {"environment_variables": VARIABLES if variables is None else variables, **role}
        book = [
            {
                "hosts": "all",
                "gather_facts": False,
                "roles": [{"role": "ibm_quantum.platform.environment"}],
                "vars_files": ["values.json"],
            }
        ]
        (self.folder / "values.json").write_text(json.dumps(values))
        (self.folder / "play.json").write_text(json.dumps(book))
        done = self.lab.playbook(self.folder / "play.json", *args)
        assert not [piece for piece in PIECES if piece in done.output], "a secret is in ansible's output"
        return done


@pytest.fixture
def onboarding(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> Onboarding:
    for host in fresh_hosts:
        host.run("groupadd --system quantum && usermod -aG quantum alice")
    return Onboarding(lab, tmp_path)


def tree(host: Host, folder: str = "/etc") -> str:
    return host.run(["sh", "-c", TREE, "sh", folder]).stdout


def variables(output: str) -> dict[str, str]:
    """The output of ``env -0``."""
    return dict(pair.split("=", 1) for pair in output.split("\0") if "=" in pair)


def login(host: Host, user: str, shell: str = "/bin/sh") -> dict[str, str]:
    return variables(host.run(["su", "-s", shell, "-l", user, "-c", "env -0"]).stdout)


def test_the_whole_life_on_three_systems(onboarding: Onboarding, fresh_hosts: list[Host]) -> None:
    hosts, names = fresh_hosts, [host.name for host in fresh_hosts]
    before = [tree(host) for host in hosts]

    foretold = onboarding.play("--check", "--diff", environment_secret_group="quantum")
    assert foretold.returncode == 0, foretold.output
    assert [foretold.recap[name]["changed"] for name in names] == [1, 1, 1]
    assert [tree(host) for host in hosts] == before

    done = onboarding.play("--diff", "-vvvv", environment_secret_group="quantum")
    assert done.returncode == 0, done.output
    assert [done.recap[name]["changed"] for name in names] == [1, 1, 1]
    assert CRN in done.output and "IQP_API_TOKEN=<secret, sha256:" in done.output

    again = onboarding.play("--diff", environment_secret_group="quantum")
    assert (again.returncode, again.changed) == (0, 0), again.output

    for host in hosts:
        for shell in ("/bin/sh", "/bin/bash"):
            assert login(host, "root", shell).items() >= {**PUBLIC, **SECRET}.items(), host
            assert login(host, "alice", shell).items() >= {**PUBLIC, **SECRET}.items(), host
            bob = login(host, "bob", shell)
            assert bob.items() >= PUBLIC.items() and not bob.keys() & SECRET.keys(), host

    absent = onboarding.play("--diff", environment_state="absent")
    assert absent.returncode == 0 and [absent.recap[name]["changed"] for name in names] == [1, 1, 1]
    assert [tree(host) for host in hosts] == before
    assert onboarding.play(environment_state="absent").changed == 0


def test_pam_and_services_see_what_they_should(onboarding: Onboarding, fresh_hosts: list[Host]) -> None:
    assert onboarding.play(environment_secret_group="quantum").returncode == 0
    for host in fresh_hosts:
        # No shell profile is read here: what there is comes from PAM
        seen = variables(host.ssh("env -0", user="bob").stdout)
        assert seen.items() >= PUBLIC.items() and not seen.keys() & SECRET.keys(), host
        unit = ["systemd-run", "--quiet", "--wait", "--pipe", "--unit=probe", "--uid=bob"]
        unit += [f"--property=EnvironmentFile=/etc/ibm_quantum/{name}" for name in ("environment", "secrets.env")]
        assert variables(host.run([*unit, "env", "-0"]).stdout).items() >= {**PUBLIC, **SECRET}.items(), host


def test_another_user_finds_no_secret_anywhere(onboarding: Onboarding, fresh_hosts: list[Host]) -> None:
    assert onboarding.play().returncode == 0  # without a group: for root only
    places = "/etc /var /run /tmp /home /root /usr/local"
    search = f"grep -rIlF -e '{PIECES[0]}' {places} 2>/dev/null || true"
    for host in fresh_hosts:
        # Before the searches, whose command lines come into the journal
        journal = host.run("journalctl --no-pager --all --output=verbose").stdout
        assert "ansible" in journal and not [piece for piece in PIECES if piece in journal], host
        found = host.run(search).stdout.split()
        assert sorted(found) == [f"/etc/ibm_quantum/secrets.{kind}" for kind in ("csh", "env", "fish")], host
        for user in ("alice", "bob"):
            assert host.run(["su", user, "-c", search]).stdout == "", host
            refused = host.run(["su", user, "-c", "cat /etc/ibm_quantum/secrets.env"], check=False)
            assert refused.returncode != 0 and "Permission denied" in refused.stderr, host
            assert not login(host, user).keys() & SECRET.keys(), host


def test_what_leaves_the_list_leaves_the_host(onboarding: Onboarding, fresh_hosts: list[Host]) -> None:
    assert onboarding.play().returncode == 0
    fewer = onboarding.play(variables=[VARIABLES[2]])
    assert fewer.returncode == 0 and fewer.changed == len(fresh_hosts)
    for host in fresh_hosts:
        seen = login(host, "root")
        assert seen["QISKIT_IBM_INSTANCE"] == CRN and not seen.keys() & {*SECRET, "LAB_TITLE", "LAB_FOLDER"}
        assert host.run("test -e /etc/ibm_quantum/secrets.env", check=False).returncode == 1


def test_drift_is_repaired(onboarding: Onboarding, fresh_hosts: list[Host]) -> None:
    assert onboarding.play().returncode == 0
    good = [tree(host) for host in fresh_hosts]
    for host in fresh_hosts:
        host.run("cd /etc/ibm_quantum && chmod 644 secrets.env && chown bob secrets.env && echo >/etc/environment")
    assert onboarding.play("--check").changed == len(fresh_hosts)
    assert onboarding.play().changed == len(fresh_hosts)
    for host, text in zip(fresh_hosts, good):
        host.run("sed -i 1d /etc/environment")  # the line that was typed above stays ours no more
        assert tree(host) == text
    assert onboarding.play().changed == 0


def test_a_user_without_root(onboarding: Onboarding, fresh_hosts: list[Host]) -> None:
    before = [(tree(host), tree(host, "/home/bob")) for host in fresh_hosts]
    as_bob = ("--extra-vars", json.dumps({"ansible_user": "bob"}))
    refused = onboarding.play(*as_bob)
    assert refused.returncode == 2 and "set become: true, or scope: user" in refused.output
    done = onboarding.play(*as_bob, "--diff", "-vvvv", environment_scope="user")
    assert done.returncode == 0 and done.changed == len(fresh_hosts), done.output
    assert onboarding.play(*as_bob, environment_scope="user").changed == 0
    for host in fresh_hosts:
        assert login(host, "bob", "/bin/bash").items() >= {**PUBLIC, **SECRET}.items(), host
        assert not login(host, "alice").keys() & {*PUBLIC, *SECRET}
        for path in ("ibm_quantum/environment", "environment.d/60-ibm_quantum.conf"):
            read = ["su", "alice", "-c", f"cat /home/bob/.config/{path}"]
            assert host.run(read, check=False).returncode != 0, host
            host.run(f"grep -q IQP_API_TOKEN /home/bob/.config/{path}")
    assert onboarding.play(*as_bob, environment_scope="user", environment_state="absent").changed == len(fresh_hosts)
    assert [(tree(host), tree(host, "/home/bob")) for host in fresh_hosts] == before


def test_systemd_gives_a_users_services_the_variables(onboarding: Onboarding, fresh_hosts: list[Host]) -> None:
    as_bob = ("--extra-vars", json.dumps({"ansible_user": "bob"}))
    assert onboarding.play(*as_bob, environment_scope="user").returncode == 0
    generator = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"
    for host in fresh_hosts:
        # What the user's manager runs at its start, with a value that it prints as a shell would read it
        text = host.run(["su", "-s", "/bin/bash", "-l", "bob", "-c", f"unset LAB_TITLE; {generator}"]).stdout
        script = "import shlex, sys; print(dict(l.split('=', 1) for l in shlex.split(sys.stdin.read()))['LAB_TITLE'])"
        assert host.run(["python3", "-c", script], input=text).stdout == TITLE + "\n", host
