# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it: a process of its own, arguments on standard input, JSON out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.modules import environment
from ansible_collections.ibm_quantum.platform.tests.unit.invocation import SHOW_INVOCATION

KEY = "the'API\"key\\of-é-44-characters"
TOKEN: dict[str, Any] = {"name": "IQP_API_TOKEN", "value": KEY, "secret": True}
CRN = {"name": "QISKIT_IBM_INSTANCE", "value": "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2::"}


class User:
    """A user with a home; the module runs as this user would run it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        self.env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self.env["HOME"] = str(home)
        self.output = ""

    def run(self, variables: Any = None, check: bool = False, **params: Any) -> dict[str, Any]:
        arguments = {
            "scope": "user",
            "variables": variables,
            **SHOW_INVOCATION,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **params,
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        done = subprocess.run(
            [sys.executable, "-m", environment.__name__],
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

    def tree(self) -> dict[str, Any]:
        return {
            str(path.relative_to(self.home)): (oct(path.lstat().st_mode), path.read_bytes() if path.is_file() else None)
            for path in sorted(self.home.rglob("*"))
        }

    def login(self, shell: str = "sh") -> dict[str, str]:
        argv = [shell, "-lc", "env -0"]
        done = subprocess.run(argv, env=self.env, capture_output=True, timeout=30, check=True)
        return dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair)


@pytest.fixture
def user(tmp_path: Path) -> User:
    home = tmp_path / "alice"
    home.mkdir()
    home.chmod(0o755)
    return User(home)


def test_onboard_and_offboard_a_user(user: User) -> None:
    (user.home / ".profile").write_text("alias x=y")
    (user.home / ".bash_profile").write_text(". ~/.profile\n")
    before = user.tree()
    config = user.home / ".config"
    files = [config / "ibm_quantum/environment", config / "ibm_quantum/run"]
    files += [config / "environment.d/60-ibm_quantum.conf"]
    files += [user.home / ".profile", user.home / ".bash_profile"]

    foretold = user.run([TOKEN, CRN], check=True)
    assert foretold["changed"] and user.tree() == before
    result = user.run([TOKEN, CRN])
    assert result["changed"] and result["changed_files"] == foretold["changed_files"] == [str(path) for path in files]
    assert result["files"] == [str(path) for path in files]
    assert result["variables"] == [{"name": TOKEN["name"], "secret": True}, {**CRN, "secret": False}]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o700, 0o600, 0o644, 0o644]
    assert (config / "ibm_quantum").stat().st_mode & 0o777 == 0o700
    for shell in ("sh", "bash"):
        assert user.login(shell).items() >= {TOKEN["name"]: KEY, CRN["name"]: CRN["value"]}.items()

    again = user.run([TOKEN, CRN])
    assert (again["changed"], again["changed_files"], again["diff"]) == (False, [], [])

    fewer = user.run([CRN])
    assert fewer["changed"] and TOKEN["name"] not in user.login()
    assert user.run(state="absent", check=True)["changed"]
    assert user.run(state="absent")["changed"]
    assert user.tree() == before
    assert not user.run(state="absent")["changed"]


def test_an_empty_list_removes_all(user: User) -> None:
    before = user.tree()
    user.run([TOKEN])
    result = user.run([])
    assert result["changed"] and result["files"] == [] and user.tree() == before


def test_no_secret_in_any_output(user: User) -> None:
    fragments = ("the'API", 'API\\"key', "44-characters")
    runs: list[Any] = [[TOKEN, CRN], [{**TOKEN, "value": KEY + "2"}, CRN], [CRN], []]
    for variables in runs:
        for check in (True, False):
            assert not user.run(variables, check=check).get("failed")
            assert not [fragment for fragment in fragments if fragment in user.output]
    assert CRN["value"] in json.dumps(user.run([CRN]))


def test_a_change_of_a_secret_shows_in_the_diff_by_its_hash(user: User) -> None:
    user.run([TOKEN])
    row = user.run([{**TOKEN, "value": "another-key"}])["diff"][0]
    assert row["before"] != row["after"]
    for text in (row["before"], row["after"]):
        assert text.splitlines()[1].startswith("IQP_API_TOKEN=<secret, sha256:")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (None, "variables is missing"),
        (["IQP_API_TOKEN=the-44-characters"], "missing required arguments: name, value"),
        (["the-44-characters"], "dictionary requested"),
        ([{"name": "A", "valeu": "the-44-characters", "value": "x"}], "variables.valeu"),
        ([{"name": "A", "value": "the-44-characters", "secret": "perhaps"}], "secret"),
        ([{"name": "A-B", "value": "the-44-characters", "secret": True}], "variables[0].name 'A-B'"),
        ([{"name": "A", "value": ""}], "variables[0].value of A is empty"),
        ([{"name": "A", "value": "", "secret": True}], "variables[0].value of A is empty"),
        (
            [CRN, {"name": "A", "value": "the-44-characters\x1b", "secret": True}],
            "variables[1].value of A has a control",
        ),
        ([{"name": "A", "value": "7 chars", "secret": True}], "fewer than 8 characters"),
        ([CRN, TOKEN, CRN], "variables[2].name QISKIT_IBM_INSTANCE is on the list twice"),
        ([{"name": "P", "value": f"http://u:{KEY}@p"}, TOKEN], "the value of P holds the secret of IQP_API_TOKEN"),
    ],
)
def test_bad_variables(user: User, variables: Any, words: str) -> None:
    result = user.run(variables)
    assert result["failed"] and words in result["msg"]
    assert "44-characters" not in user.output and "variables" not in result["invocation"]["module_args"]
    assert user.tree() == {}


def test_other_bad_options(user: User) -> None:
    assert "secret_group is for scope=system" in user.run([TOKEN], secret_group="users")["msg"]
    group = user.run([TOKEN], scope="system", secret_group="no-such-group", check=True)["msg"]
    assert "secret_group: no group 'no-such-group' on this host: create it" in group
    assert "value of state must be one of" in user.run([TOKEN], state="latest")["msg"]
    assert "value of scope must be one of" in user.run([TOKEN], scope="host")["msg"]
    user.env["HOME"] = str(user.home / "nowhere")
    assert "set HOME" in user.run([TOKEN])["msg"]


SECRET_IN_PAM = {**TOKEN, "scopes": ["pam"]}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"variables": [SECRET_IN_PAM], "scope": "system"}, "use login, services, cron or kernels"),
        ({"variables": [{**TOKEN, "scopes": ["user_services"]}], "scope": "system"}, "set secret_group"),
        ({"variables": [{**CRN, "scopes": ["services"]}], "scope": "system"}, "services name none"),
        ({"variables": [{**CRN, "scopes": ["cron"]}], "scope": "system"}, "cron_files and cron_users name none"),
        ({"variables": [{**CRN, "scopes": ["pam"]}], "scope": "system", "scopes": ["login"]}, "not among scopes"),
        ({"variables": [{**CRN, "scopes": ["pam"]}]}, "use login or user_services"),
        ({"variables": [TOKEN], "services": [{"name": "x"}]}, "services is for scope=system"),
        ({"variables": [TOKEN], "cron_users": ["root"]}, "~/.config/ibm_quantum/run runs any command"),
        ({"variables": [TOKEN], "platform": {"api_key": "x" * 44}}, "IQP_API_TOKEN is set by platform, too"),
        ({"platform": {"instance": "mine"}}, "platform.instance: not a CRN"),
        ({"variables": [TOKEN], "scope": "system", "services": [{"name": "a/b"}]}, "services[0].name"),
        (
            {"variables": [TOKEN], "scope": "system", "cron_files": ["/etc/passwd"]},
            "cron_files: /etc/passwd is neither",
        ),
        ({"variables": [TOKEN], "scope": "system", "cron_files": ["/etc/cron.d/none"]}, "does not exist: create it"),
        ({"variables": [TOKEN], "kernels": [{"name": "A/B", "python": "/p"}]}, "kernels[0].name"),
        (
            {"variables": [TOKEN], "kernels": [{"name": "k", "python": "python3"}]},
            "kernels[0].python must be an absolute",
        ),
    ],
)
def test_bad_scopes(user: User, params: dict[str, Any], words: str) -> None:
    result = user.run(check=True, **params)
    assert result["failed"] and words in result["msg"]
    assert "44-characters" not in user.output and user.tree() == {}


def test_the_family_and_a_kernel(user: User) -> None:
    platform = {"api_key": KEY, "instance": CRN["value"].replace("a/1:", f"a/{'0' * 32}:")}
    before = user.tree()
    result = user.run(platform=platform, kernels=[{"name": "ibm", "python": sys.executable}])
    assert KEY not in user.output and user.login().items() >= {TOKEN["name"]: KEY, "QISKIT_IBM_TOKEN": KEY}.items()
    kernel = json.loads((user.home / ".local/share/jupyter/kernels/ibm/kernel.json").read_text())
    argv = [kernel["argv"][0], sys.executable, "-c", "import os; print(os.environ['QISKIT_IBM_TOKEN'])"]
    assert subprocess.run(argv, env={}, capture_output=True, text=True, check=True).stdout == f"{KEY}\n"
    assert kernel["display_name"] in "".join(row["after"] for row in result["diff"])
    assert user.run(state="absent")["changed"] and user.tree() == before


def test_leftovers_are_reported_and_removed(user: User) -> None:
    (user.home / ".profile").write_text("alias x=y\nexport IQP_API_TOKEN=some-old-key\n")
    user.env["HOME"] = str(user.home)
    result = user.run([TOKEN])
    assert [row["line"] for row in result["leftovers"]] == [2] and len(result["conflicts"]) == 1
    assert "another API key" in str(result["warnings"][0]) and "some-old-key" not in user.output
    assert user.run([TOKEN], leftovers="ignore")["leftovers"] == []
    foretold = user.run([TOKEN], leftovers="remove", check=True)
    assert foretold["changed"] and "some-old-key" in (user.home / ".profile").read_text()
    gone = user.run([TOKEN], leftovers="remove")
    assert gone["changed"] and gone["leftovers"] == [] and "some-old-key" not in user.output
    assert not user.run([TOKEN], leftovers="remove")["changed"]
    user.run(state="absent")
    assert (user.home / ".profile").read_text() == "alias x=y\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_home_of_somebody_else_is_refused(user: User) -> None:
    os.chown(user.home, 4321, 4321)
    assert "belongs to uid 4321" in user.run([TOKEN])["msg"]


def test_what_the_host_has_in_the_way_is_named(user: User) -> None:
    (user.home / ".config" / "ibm_quantum").mkdir(parents=True)
    (user.home / ".config" / "ibm_quantum" / "environment").write_text("MINE=1\n")
    assert "move it away" in user.run([TOKEN])["msg"]
    shutil.rmtree(user.home / ".config")
    (user.home / ".config").write_text("")
    assert ".config is no directory" in user.run([TOKEN])["msg"]


def test_links_of_the_user_are_followed(user: User) -> None:
    (user.home / "dotfiles").mkdir(mode=0o755)
    (user.home / "dotfiles" / "profile").write_text("alias x=y\n")
    (user.home / ".profile").symlink_to("dotfiles/profile")
    (user.home / ".zprofile").symlink_to("dotfiles/profile")
    before = user.tree()
    result = user.run([TOKEN])
    assert result["files"][3:] == [str(user.home / "dotfiles" / "profile")]
    assert (user.home / ".profile").is_symlink() and user.login()[TOKEN["name"]] == KEY
    user.run(state="absent")
    assert user.tree() == before


def test_xdg_config_home(user: User) -> None:
    user.env["XDG_CONFIG_HOME"] = str(user.home / "it's here")
    result = user.run([TOKEN])
    assert result["files"][0] == str(user.home / "it's here" / "ibm_quantum" / "environment")
    assert user.login()[TOKEN["name"]] == KEY and not (user.home / ".config").exists()
    user.env["XDG_CONFIG_HOME"] = "relative"
    assert user.run([TOKEN])["files"][0] == str(user.home / ".config" / "ibm_quantum" / "environment")


def test_the_documented_options_are_those_of_the_spec() -> None:
    import yaml

    options = yaml.safe_load(environment.DOCUMENTATION)["options"]
    assert set(options) == set(environment.ARGUMENT_SPEC)
    assert set(options["variables"]["suboptions"]) == set(environment.ARGUMENT_SPEC["variables"]["options"])


def test_examples_name_this_module() -> None:
    import yaml

    for task in yaml.safe_load(environment.EXAMPLES):
        params = task["ibm_quantum.platform.environment"]
        assert set(params) <= set(environment.ARGUMENT_SPEC)
