# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it: a process of its own, arguments on standard input, JSON out."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._account import CHANNELS
from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import REGIONS
from ansible_collections.ibm_quantum.platform.plugins.modules import account
from ansible_collections.ibm_quantum.platform.tests.unit.invocation import SHOW_INVOCATION

KEY = "the'API\"key\\of-é-44-characters"
PASSWORD = "the-proxy's-pass\\word"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2::"
NAME = "default-ibm-quantum-platform"
ACCOUNT: dict[str, Any] = {
    "token": KEY,
    "instance": CRN,
    "default": True,
    "proxies": {
        "urls": {"https": f"http://user:{PASSWORD}@proxy:3128"},
        "username_ntlm": "user",
        "password_ntlm": PASSWORD,
    },
}
PIECES = ("the'API", 'API\\"key', "44-characters", "proxy's-pass", "pass\\\\word")
ME = pwd.getpwuid(os.geteuid()).pw_name
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


class User:
    """A user with a home; the module runs as this user would run it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / ".qiskit" / "qiskit-ibm.json"
        self.env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self.env["HOME"] = str(home)
        self.output = ""

    def run(self, accounts: Any = None, check: bool = False, **params: Any) -> dict[str, Any]:
        arguments = {
            "accounts": accounts,
            **SHOW_INVOCATION,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **params,
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        done = subprocess.run(
            [sys.executable, "-m", account.__name__],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env=self.env,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.output = done.stdout + done.stderr
        assert "Traceback" not in self.output, self.output
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    def accounts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found


@pytest.fixture
def user(tmp_path: Path) -> User:
    home = tmp_path / "alice"
    home.mkdir()
    home.chmod(0o755)
    return User(home)


def test_onboard_and_offboard_a_user(user: User) -> None:
    foretold = user.run([ACCOUNT], check=True)
    assert foretold["changed"] and list(user.home.iterdir()) == []
    done = user.run([ACCOUNT])
    assert {**done, "diff": None} == {
        "changed": True,
        "users": [
            {
                "user": ME,
                "path": str(user.path),
                "accounts": [NAME],
                "others": [],
                "default": NAME,
                "changed": True,
            }
        ],
        "changed_files": [str(user.path.parent), str(user.path)],
        "diff": None,
        "invocation": done["invocation"],
    }
    assert foretold["changed_files"] == done["changed_files"]
    assert user.accounts()[NAME]["token"] == KEY
    again = user.run([ACCOUNT], users=[ME, ME])
    assert (again["changed"], again["changed_files"], again["diff"]) == (False, [], []) and len(again["users"]) == 1
    assert user.run(state="absent", check=True)["changed"]
    assert user.run(state="absent")["changed"] and list(user.home.iterdir()) == []
    assert not user.run(state="absent")["changed"]


def test_no_secret_in_any_output(user: User) -> None:
    other = {**ACCOUNT, "token": KEY + "2", "name": "b"}
    for accounts in ([ACCOUNT], [ACCOUNT, {**other, "default": False}], [{**ACCOUNT, "token": KEY + "3"}], []):
        for check in (True, False):
            assert not user.run(accounts, check=check).get("failed")
            assert not [piece for piece in PIECES if piece in user.output]
    user.run([ACCOUNT])
    user.path.write_text("not JSON " + KEY)
    assert user.run([ACCOUNT])["failed"] and not [piece for piece in PIECES if piece in user.output]


def test_a_change_of_a_secret_shows_in_the_diff_by_its_hash(user: User) -> None:
    user.run([ACCOUNT])
    proxies = {**ACCOUNT["proxies"], "password_ntlm": "another"}
    (change,) = user.run([{**ACCOUNT, "token": "another-key", "proxies": proxies}])["diff"]
    before, after = (json.loads(change[side])[NAME] for side in ("before", "after"))
    assert {name for name in before if before[name] != after[name]} == {"token", "proxies"}
    assert before["token"].startswith("<secret, sha256:") and after["token"].startswith("<secret, sha256:")
    assert before["instance"] == CRN and before["proxies"]["username_ntlm"] == "user"
    assert before["proxies"]["urls"]["https"].startswith("http://<secret, sha256:")
    assert before["proxies"]["urls"]["https"].endswith(">@proxy:3128")
    assert before["proxies"]["password_ntlm"] != after["proxies"]["password_ntlm"]


def test_a_warning_about_an_account_of_somebody_else(user: User) -> None:
    user.path.parent.mkdir()
    user.path.write_text(json.dumps({"broken": {"token": "x"}}))
    assert "'broken', which is not of this collection, has no channel" in str(user.run([ACCOUNT])["warnings"])


@pytest.mark.parametrize(
    ("accounts", "words"),
    [
        (None, "accounts is missing"),
        ([{"instance": CRN}], "missing required arguments: token"),
        (["the-44-characters"], "dictionary requested"),
        (["token=the'API"], ""),
        ([{"tokne": "the-44-characters", "token": "x"}], "accounts.tokne"),
        ([{"token": "the-44-characters", "proxies": "http://u:44-characters@p"}], "dictionary requested"),
        ([{"token": "the-44-characters", "verify": "perhaps"}], "verify"),
        ([{"token": "the-44-characters", "region": "moon"}], "value of region must be one of: us-east, eu-de"),
        ([{"token": "the-44-characters", "channel": "ibm_quantum"}], "value of channel must be one of"),
        ([{"token": "the-44-characters\n"}], "accounts[0].token has white space"),
        ([{"token": "7-chars"}], "accounts[0].token has fewer than 8 characters"),
        ([{**ACCOUNT, "instance": CRN[:-1]}], "accounts[0].instance: the CRN"),
        ([ACCOUNT, ACCOUNT], "accounts[1].name 'default-ibm-quantum-platform' is on the list twice"),
    ],
)
def test_bad_accounts(user: User, accounts: Any, words: str) -> None:
    result = user.run(accounts)
    if words:
        assert result["failed"] and words in result["msg"]
        assert list(user.home.iterdir()) == []
    assert not [piece for piece in PIECES if piece in user.output]
    assert "accounts" not in result["invocation"]["module_args"]


def test_bad_users(user: User) -> None:
    result = user.run([ACCOUNT], users=[ME, "no-such-user"])
    assert result["failed"] and "users: no user 'no-such-user' on this host: create it" in result["msg"]
    assert list(user.home.iterdir()) == []
    assert user.run([ACCOUNT], users=[])["users"] == []
    assert "value of state must be one of" in user.run([ACCOUNT], state="latest")["msg"]


@as_root
def test_what_fails_for_one_user_is_done_for_the_others(user: User) -> None:
    result = user.run([ACCOUNT], users=["nobody", ME])
    assert result["failed"] and result["changed"]
    assert result["msg"].startswith("nobody: users: ") and "is no home directory of uid" in result["msg"]
    assert [row["user"] for row in result["users"]] == [ME] and user.accounts()[NAME]["token"] == KEY


@pytest.mark.skipif(os.geteuid() == 0, reason="root can be anybody")
def test_others_need_root(user: User) -> None:
    assert "users: only root can work as root: set become: true" in user.run([ACCOUNT], users=["root"])["msg"]


def test_the_same_account_in_the_way(user: User) -> None:
    user.path.parent.mkdir()
    user.path.write_text(json.dumps({NAME: {"channel": "ibm_cloud", "token": "x"}}))
    result = user.run([ACCOUNT])
    assert result["failed"] and result["msg"].startswith(f"{ME}: {user.path} has an account")
    assert user.run([ACCOUNT], overwrite=True)["changed"] and user.accounts()[NAME]["token"] == KEY


def test_a_file_that_cannot_be_written_is_named(user: User) -> None:
    user.path.parent.mkdir()
    user.path.mkdir()
    assert "is no regular file: move it away" in user.run([ACCOUNT])["msg"]
    user.path.rmdir()
    blocked = user.path.parent / "..ibm_quantum.json.ibm_quantum.tmp"
    blocked.mkdir()
    (blocked / "x").touch()
    assert f"{ME}: {blocked}: " in user.run([ACCOUNT])["msg"]


def test_choices_are_those_of_the_engine() -> None:
    options = account.ARGUMENT_SPEC["accounts"]["options"]
    assert options["channel"]["choices"] == list(CHANNELS)
    assert options["region"]["choices"] == list(REGIONS)


def test_examples_name_this_module() -> None:
    import yaml

    for task in yaml.safe_load(account.EXAMPLES):
        params = task["ibm_quantum.platform.account"]
        assert set(params) <= set(account.ARGUMENT_SPEC)
        for row in params.get("accounts", []):
            assert set(row) <= set(account.ARGUMENT_SPEC["accounts"]["options"])
