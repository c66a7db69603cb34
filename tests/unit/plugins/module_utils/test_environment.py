# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a scope has, and who may read them; whole runs are in the tests of the module."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _environment as environment
from ansible_collections.ibm_quantum.platform.plugins.module_utils import _scopes as scopes
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import FormatError, Variable
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Manifest
from ansible_collections.ibm_quantum.platform.plugins.module_utils._scopes import (
    NOTHING,
    SHARED,
    Crontab,
    Kernel,
    Scope,
    Service,
    Wish,
)

KEY = "the'API\"key\\of-é-44-characters"
TOKEN: dict[str, Any] = {"name": "IQP_API_TOKEN", "value": KEY, "secret": True}
CRN = {"name": "QISKIT_IBM_INSTANCE", "value": "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2::"}


def variables(*rows: dict[str, Any]) -> list[Variable]:
    return environment.checked([{"secret": False, **row} for row in rows])


def wish(*rows: dict[str, Any], gid: int | None = None, **more: Any) -> Wish:
    return NOTHING._replace(variables=variables(*rows), scopes=frozenset(SHARED), secret_gid=gid, **more)


#: What a bare host gets for a variable, whether it is secret or not.
ALWAYS = {"/etc/ibm_quantum/run", "/etc/profile.d/ibm_quantum.sh"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a host with nothing but /etc."""
    (tmp_path / "etc").mkdir()
    return tmp_path


def paths(scope: Scope, root: Path) -> set[str]:
    return {"/" + os.path.relpath(target.path, root) for target in scope.targets}


def test_the_system_keeps_secrets_apart(root: Path) -> None:
    scope = scopes.system(wish(TOKEN, CRN, gid=1234), str(root))
    files = {"/" + os.path.relpath(target.path, root): target for target in scope.targets}
    holders = {path for path, target in files.items() if "44-characters" in target.text}
    assert holders == {"/etc/ibm_quantum/secrets.env", "/etc/environment.d/61-ibm_quantum-secrets.conf"}
    for path in holders:
        assert (files[path].mode, files[path].gid, CRN["value"] in files[path].text) == (0o640, 1234, False)
    assert files["/etc/environment"].block and files["/etc/environment"].text == f"{CRN['name']}={CRN['value']}\n"
    assert {target.path for target in scope.targets} <= {*scope.known}


def test_without_a_group_only_root_reads_secrets(root: Path) -> None:
    found = [t for t in scopes.system(wish(TOKEN), str(root)).targets if "44-characters" in t.text]
    assert [(os.path.basename(t.path), t.mode, t.gid) for t in found] == [("secrets.env", 0o600, 0)]


def test_files_that_would_be_empty_are_not_made(root: Path) -> None:
    def names(*rows: dict[str, Any]) -> set[str]:
        return paths(scopes.system(wish(*rows), str(root)), root)

    assert names() == set()
    assert names(TOKEN) == ALWAYS | {"/etc/ibm_quantum/secrets.env"}
    public = {"/etc/ibm_quantum/environment", "/etc/environment", "/etc/environment.d/60-ibm_quantum.conf"}
    assert names(CRN) == ALWAYS | public


def test_shells_that_the_host_has_get_their_own_files(root: Path) -> None:
    for folder in ("zsh", "csh/login.d", "fish"):
        (root / "etc" / folder).mkdir(parents=True)
    found = paths(scopes.system(wish(TOKEN), str(root)), root)
    own = {"environment.csh", "environment.fish"}
    assert found > {"/etc/zsh/zprofile", "/etc/csh/login.d/ibm_quantum", "/etc/fish/conf.d/ibm_quantum.fish"}
    assert {os.path.basename(path) for path in found if path.endswith((".csh", ".fish"))} & own == set()
    assert found > {"/etc/ibm_quantum/secrets.csh", "/etc/ibm_quantum/secrets.fish"}
    (root / "etc/csh/login.d").rmdir()
    (root / "etc/csh.login").write_text("")
    assert "/etc/profile.d/ibm_quantum.csh" in paths(scopes.system(wish(TOKEN), str(root)), root)


def test_the_system_refuses_what_pam_cannot_hold_unless_it_is_secret_or_not_for_pam(root: Path) -> None:
    text = {"name": "A", "value": "1\n2"}
    with pytest.raises(FormatError, match="^A: the value has a newline"):
        scopes.system(wish(text), str(root))
    scopes.system(wish({**text, "value": "line one\nline $2 #", "secret": True}), str(root))
    scopes.system(wish({**text, "scopes": ["login", "services"]}), str(root))
    with pytest.raises(FormatError, match="^A: .*newline, .*leave user_services out"):
        scopes.system(wish({**text, "scopes": ["login", "user_services"]}), str(root))
    scopes.system(wish(text)._replace(scopes=frozenset({"login"})), str(root))


def test_a_variable_is_only_where_it_is_wanted(root: Path) -> None:
    service = Service("worker.service", "environment", False)
    rows = [{**TOKEN, "scopes": ["services"]}, CRN]
    scope = scopes.system(wish(*rows, services=[service]), str(root))
    files = {"/" + os.path.relpath(target.path, root): target.text for target in scope.targets}
    assert TOKEN["name"] not in files["/etc/profile.d/ibm_quantum.sh"]
    assert "login.environment" in files["/etc/profile.d/ibm_quantum.sh"]
    drop_in = files["/etc/systemd/system/worker.service.d/60-ibm_quantum.conf"]
    assert "/etc/ibm_quantum/secrets.env" in drop_in and "/etc/ibm_quantum/environment" in drop_in


@pytest.mark.parametrize(("how", "names"), [("credentials", ["IQP_API_TOKEN"]), ("none", [])])
def test_a_service_gets_its_secrets_as_it_wants_them(root: Path, how: str, names: list[str]) -> None:
    scope = scopes.system(wish(TOKEN, CRN, services=[Service("worker.service", how, False)]), str(root))
    (drop_in,) = (target.text for target in scope.targets if target.path.endswith("service.d/60-ibm_quantum.conf"))
    assert "secrets.env" not in drop_in and "EnvironmentFile=" in drop_in
    files = [target for target in scope.targets if "/credentials/" in target.path]
    assert [os.path.basename(file.path) for file in files] == names == re.findall("LoadCredential=(.*?):", drop_in)
    assert all((file.mode, file.text, file.mark) == (0o600, KEY, "") for file in files)


def test_cron_files_and_kernels_lead_to_the_runner(root: Path) -> None:
    cron, kernel = Crontab("/etc/cron.d/x", 0o644, None, None), Kernel("ibm", "IBM", "/usr/bin/python3", "/k")
    scope = scopes.system(wish(TOKEN, crontabs=[cron], kernels=[kernel]), str(root))
    files = {target.path: target for target in scope.targets}
    run = str(root / "etc/ibm_quantum/run")
    assert files["/etc/cron.d/x"].text == f"SHELL={run}\n" and files["/etc/cron.d/x"].top
    assert json.loads(files["/k/ibm/kernel.json"].text)["argv"][:2] == [run, "/usr/bin/python3"]
    assert files[run].mode == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="the files are root's")
def test_the_profile_works_for_who_may_read_secrets_and_for_who_may_not() -> None:
    with tempfile.TemporaryDirectory() as folder:  # other users cannot come to pytest's own
        os.chmod(folder, 0o755)
        os.mkdir(os.path.join(folder, "etc"))
        scope = scopes.system(wish(TOKEN, CRN, gid=4321), folder)
        manifest = Manifest(scope.directory, scope.mode, 0)
        manifest.apply(manifest.plan(scope.targets, {}, scope.known.items()))
        member, other = (login_as(4000, group, f"{folder}/etc/profile.d/ibm_quantum.sh") for group in (4321, 4322))
    assert member.items() >= {TOKEN["name"]: KEY, CRN["name"]: CRN["value"]}.items()
    assert other[CRN["name"]] == CRN["value"] and TOKEN["name"] not in other


def login_as(uid: int, gid: int, profile: str) -> dict[str, str]:
    def become() -> None:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)

    argv = ["sh", "-euc", f". {profile}; env -0"]
    done = subprocess.run(argv, preexec_fn=become, cwd="/", env={}, capture_output=True, timeout=30, check=True)
    assert not done.stderr
    return dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair)


def test_the_system_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.os, "geteuid", lambda: 4321)
    with pytest.raises(OptionError, match="set become: true, or scope: user"):
        environment.located({"scope": "system"}, NOTHING)


@pytest.mark.parametrize("error", [KeyError, RuntimeError])
def test_a_user_that_the_host_does_not_know(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def home() -> Path:
        raise error

    monkeypatch.setattr(environment.Path, "home", home)
    with pytest.raises(OptionError, match="set HOME"):
        environment.user_folders()
