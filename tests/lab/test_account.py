# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role account on real hosts: whose the files are, who can read them, and what users do against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab.host import Host
from tests.lab.lab import Lab, Play

KEY = "Kq'7\"w\\3$HOME`id`#Zz-44-é-characters"
PASSWORD = "the-proxy's-pass\\word"
#: As they are, and as JSON and a repr() have them.
PIECES = (
    "44-é-characters",
    "44-\\u00e9-characters",
    "Kq'7",
    "Kq\\'7",
    "proxy's-pass",
    "proxy\\'s-pass",
    "pass\\\\word",
)
STORED = "44-\\u00e9-characters"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123:4567::"
NAME = "default-ibm-quantum-platform"
ACCOUNTS: list[dict[str, Any]] = [
    {
        "token": KEY,
        "instance": CRN,
        "default": True,
        "proxies": {"urls": {"https": f"http://user:{PASSWORD}@proxy:3128"}},
    },
    {"name": "tries", "token": KEY, "plans_preference": ["open"]},
]
USERS = {"root": "/root", "alice": "/home/alice", "bob": "/home/bob"}
THEIRS = {"mine": {"channel": "ibm_quantum_platform", "token": "bobs-own-key", "is_default_account": True}}

#: Type, mode, owner, link and content of everything in a folder, but for what ansible itself leaves.
TREE = r"""
cd "$1" && find . -path ./.ansible -prune -o -printf '%p %y %m %u %g %l\n' | sort
find . -path ./.ansible -prune -o -type f -exec sha256sum {} + | sort
"""


class Accounts:
    """Plays of the role."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder

    def play(self, *args: str, accounts: Any = None, users: Any = tuple(USERS), **role: Any) -> Play:
        values = {"account_accounts": ACCOUNTS if accounts is None else accounts, **role}
        if users:
            values["account_users"] = list(users)
        book = [
            {
                "hosts": "all",
                "gather_facts": False,
                "roles": [{"role": "ibm_quantum.platform.account"}],
                "vars_files": ["values.json"],
            }
        ]
        (self.folder / "values.json").write_text(json.dumps(values))
        (self.folder / "play.json").write_text(json.dumps(book))
        done = self.lab.playbook(self.folder / "play.json", *args)
        assert not [piece for piece in PIECES if piece in done.output], "a secret is in ansible's output"
        return done


@pytest.fixture
def accounts(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> Accounts:
    return Accounts(lab, tmp_path)


def tree(host: Host, folder: str) -> str:
    return host.run(["sh", "-c", TREE, "sh", folder]).stdout


def homes(host: Host) -> list[str]:
    return [tree(host, home) for home in USERS.values()]


def modes(host: Host, user: str) -> list[str]:
    home = USERS[user]
    paths = [f"{home}/.qiskit{name}" for name in ("", "/qiskit-ibm.json", "/.ibm_quantum.json")]
    return host.run(["stat", "-c", "%a %U %G", *paths]).stdout.splitlines()


def saved(host: Host, user: str) -> dict[str, Any]:
    """The file as a login of the user reads it."""
    done = host.run(["su", "-l", user, "-c", "cat ~/.qiskit/qiskit-ibm.json"])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def as_user(host: Host, user: str, script: str) -> None:
    host.run(["su", "-s", "/bin/sh", "-l", user, "-c", script])


def test_the_whole_life_on_three_systems(accounts: Accounts, fresh_hosts: list[Host]) -> None:
    hosts, names = fresh_hosts, [host.name for host in fresh_hosts]
    before = [homes(host) for host in hosts]

    foretold = accounts.play("--check", "--diff")
    assert foretold.returncode == 0, foretold.output
    assert [foretold.recap[name]["changed"] for name in names] == [1, 1, 1]
    assert [homes(host) for host in hosts] == before

    done = accounts.play("--diff", "-vvvv")
    assert done.returncode == 0, done.output
    # the check of the role's arguments, and one execution of the module for three users
    assert [(done.recap[name]["ok"], done.recap[name]["changed"]) for name in names] == [(2, 1)] * 3
    assert CRN in done.output and '"token": "<secret, sha256:' in done.output

    again = accounts.play("--diff")
    assert (again.returncode, again.changed) == (0, 0), again.output

    for host in hosts:
        for user in USERS:
            found = saved(host, user)
            assert list(found) == [NAME, "tries"] and found[NAME]["token"] == found["tries"]["token"] == KEY, host
            assert found[NAME]["is_default_account"] is True and found[NAME]["instance"] == CRN
            assert found[NAME]["proxies"] == ACCOUNTS[0]["proxies"]
            assert modes(host, user) == [f"{mode} {user} {user}" for mode in (700, 600, 600)], host

    fewer = accounts.play(accounts=ACCOUNTS[1:])
    assert fewer.returncode == 0 and fewer.changed == len(hosts)
    assert [list(saved(host, user)) for host in hosts for user in USERS] == [["tries"]] * 3 * len(hosts)

    foretold = accounts.play("--check", account_state="absent")
    assert foretold.changed == len(hosts) and saved(hosts[0], "bob")
    absent = accounts.play("--diff", account_state="absent")
    assert absent.returncode == 0 and [absent.recap[name]["changed"] for name in names] == [1, 1, 1]
    assert [homes(host) for host in hosts] == before
    assert accounts.play(account_state="absent").changed == 0


def test_another_user_finds_no_secret_anywhere(accounts: Accounts, fresh_hosts: list[Host]) -> None:
    assert accounts.play("-vvvv", users=["alice"]).returncode == 0
    places = "/etc /var /run /tmp /home /root /usr/local"
    search = f"grep -rIlF -e '{STORED}' -e '44-é-characters' {places} 2>/dev/null || true"
    for host in fresh_hosts:
        # Before the searches, whose command lines come into the journal
        journal = host.run("journalctl --no-pager --all --output=verbose").stdout
        assert "ansible" in journal and not [piece for piece in PIECES if piece in journal], host
        assert host.run(search).stdout.split() == ["/home/alice/.qiskit/qiskit-ibm.json"], host
        assert host.run(["su", "bob", "-c", search]).stdout == "", host
        for path in ("", "/qiskit-ibm.json", "/.ibm_quantum.json"):
            read = ["su", "bob", "-c", f"cat /home/alice/.qiskit{path} || ls /home/alice/.qiskit{path}"]
            refused = host.run(read, check=False)
            assert refused.returncode != 0 and refused.stdout == "" and "Permission denied" in refused.stderr, host


def test_what_a_user_saved_is_kept_and_comes_back(accounts: Accounts, fresh_hosts: list[Host]) -> None:
    for host in fresh_hosts:
        as_user(host, "bob", "umask 022; mkdir ~/.qiskit && touch ~/.qiskit/qiskit-ibm.json")
        host.run(
            ["su", "bob", "-c", "cat >/home/bob/.qiskit/qiskit-ibm.json"],
            input=json.dumps(THEIRS, sort_keys=True, indent=4),
        )
    before = [homes(host) for host in fresh_hosts]
    done = accounts.play("--diff")
    assert done.returncode == 0 and "bobs-own-key" not in done.output
    for host in fresh_hosts:
        found = saved(host, "bob")
        assert set(found) == {"mine", NAME, "tries"} and found["mine"]["token"] == "bobs-own-key"
        assert [name for name, entry in found.items() if "is_default_account" in entry] == [NAME]
        assert modes(host, "bob") == [f"{mode} bob bob" for mode in (700, 600, 600)]
        # drift: what bob's own client could do
        as_user(host, "bob", "chmod 644 ~/.qiskit/qiskit-ibm.json && chmod 755 ~/.qiskit")
    assert accounts.play("--check").changed == accounts.play().changed == len(fresh_hosts)
    assert accounts.play().changed == 0
    assert accounts.play(account_state="absent").changed == len(fresh_hosts)
    assert [homes(host) for host in fresh_hosts] == before


def test_a_user_without_root(accounts: Accounts, fresh_hosts: list[Host]) -> None:
    before = [homes(host) for host in fresh_hosts]
    as_bob = ("--extra-vars", json.dumps({"ansible_user": "bob"}))
    refused = accounts.play(*as_bob, users=["bob", "alice"])
    assert refused.returncode == 2 and "users: only root can work as alice: set become: true" in refused.output
    assert [homes(host) for host in fresh_hosts] == before
    assert accounts.play(*as_bob, users=None).changed == len(fresh_hosts)
    assert accounts.play(*as_bob, users=["bob"]).changed == 0
    for host in fresh_hosts:
        assert list(saved(host, "bob")) == [NAME, "tries"]
        assert modes(host, "bob") == [f"{mode} bob bob" for mode in (700, 600, 600)]
    # who wrote them does not matter: root takes them off
    assert accounts.play(users=["bob"], account_state="absent").changed == len(fresh_hosts)
    assert [homes(host) for host in fresh_hosts] == before


#: What bob does, and what the role says to it.
ATTACKS = [
    ("ln -s /etc ~/.qiskit", "bob/.qiskit is no directory"),
    ("ln -s /root ~/.qiskit", "bob/.qiskit is no directory"),
    ("mkdir ~/real && ln -s real ~/.qiskit", "bob/.qiskit is no directory"),
    ("mkdir ~/.qiskit && ln -s /etc/shadow ~/.qiskit/qiskit-ibm.json", "qiskit-ibm.json is no regular file"),
    ("mkdir ~/.qiskit && ln -s /etc/passwd ~/.qiskit/.ibm_quantum.json", ".ibm_quantum.json is a symbolic link"),
    ("mkdir ~/.qiskit && mkfifo ~/.qiskit/qiskit-ibm.json", "qiskit-ibm.json is no regular file"),
    ("mkdir ~/.qiskit && echo '[' >~/.qiskit/qiskit-ibm.json", "qiskit-ibm.json is no JSON object"),
    ("mkdir ~/.qiskit && truncate -s 17M ~/.qiskit/qiskit-ibm.json", "qiskit-ibm.json is larger than 16 MiB"),
]


def test_what_a_user_does_harms_nobody_else(accounts: Accounts, fresh_hosts: list[Host]) -> None:
    host = fresh_hosts[0]
    one = ("--limit", host.name)
    outside = [tree(host, folder) for folder in ("/etc", "/root")]
    for number, (attack, words) in enumerate(ATTACKS):
        as_user(host, "bob", attack)
        theirs = tree(host, "/home/bob")
        rows = [{**ACCOUNTS[0], "token": f"{KEY}-{number}"}]
        done = accounts.play(*one, accounts=rows, users=["bob", "alice"])
        assert done.returncode == 2 and words in done.output and "Traceback" not in done.output, (attack, done.output)
        assert saved(host, "alice")[NAME]["token"] == rows[0]["token"], "what fails for bob is done for alice"
        assert tree(host, "/home/bob") == theirs, attack
        assert [tree(host, folder) for folder in ("/etc", "/root")] == outside, attack
        as_user(host, "bob", "rm -rf ~/.qiskit ~/real")
    assert accounts.play(*one, users=["bob", "alice"]).changed == 1
    assert saved(host, "bob")[NAME]["token"] == KEY


def test_a_link_that_changes_all_the_time(accounts: Accounts, fresh_hosts: list[Host]) -> None:
    """Bob swaps folder and link while root works for him: whenever it hits, only bob's own files are touched."""
    host = fresh_hosts[0]
    outside = [tree(host, folder) for folder in ("/etc", "/root")]
    swap = "ln -sfn /etc .qiskit; rm -f .qiskit; mv real .qiskit; mv .qiskit real"
    loop = f"exec 2>/dev/null; cd /home/bob; mkdir real; while :; do {swap}; done"
    host.run(["systemd-run", "--quiet", "--unit=swap", "--uid=bob", "sh", "-c", loop])
    try:
        for number in range(2):
            rows = [{**ACCOUNTS[0], "token": f"{KEY}-{number}"}]
            done = accounts.play("--limit", host.name, accounts=rows, users=["bob", "alice"])
            assert "Traceback" not in done.output
            assert saved(host, "alice")[NAME]["token"] == rows[0]["token"]
    finally:
        host.run("systemctl stop swap", check=False)
    assert [tree(host, folder) for folder in ("/etc", "/root")] == outside
