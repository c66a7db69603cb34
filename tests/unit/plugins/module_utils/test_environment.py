# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a scope has, and who may read them; whole runs are in the tests of the module."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _environment as environment
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import FormatError, Variable
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Manifest

KEY = "the'API\"key\\of-é-44-characters"
TOKEN: dict[str, Any] = {"name": "IQP_API_TOKEN", "value": KEY, "secret": True}
CRN = {"name": "QISKIT_IBM_INSTANCE", "value": "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2::"}


def variables(*rows: dict[str, Any]) -> list[Variable]:
    return environment.checked([{"secret": False, **row} for row in rows])


def test_the_system_keeps_secrets_apart() -> None:
    scope = environment.system_scope(variables(TOKEN, CRN), 1234)
    files = {target.path: target for target in scope.targets}
    holders = [path for path, target in files.items() if "44-characters" in target.text]
    assert holders == ["/etc/ibm_quantum/secrets.env"]
    secret = files["/etc/ibm_quantum/secrets.env"]
    assert (secret.mode, secret.gid, CRN["value"] in secret.text) == (0o640, 1234, False)
    assert files["/etc/environment"].block and files["/etc/environment"].text == f"{CRN['name']}={CRN['value']}\n"
    assert set(files) == {*scope.known}


def test_without_a_group_only_root_reads_secrets() -> None:
    (secret,) = (t for t in environment.system_scope(variables(TOKEN), None).targets if t.path.endswith("secrets.env"))
    assert (secret.mode, secret.gid) == (0o600, 0)


def test_files_that_would_be_empty_are_not_made() -> None:
    def names(*rows: dict[str, Any]) -> set[str]:
        return {target.path for target in environment.system_scope(variables(*rows), None).targets}

    assert names() == set()
    assert names(TOKEN) == {"/etc/ibm_quantum/secrets.env", "/etc/profile.d/ibm_quantum.sh"}
    assert names(CRN) == {"/etc/ibm_quantum/environment", "/etc/profile.d/ibm_quantum.sh", "/etc/environment"}


def test_the_system_refuses_what_pam_cannot_hold_unless_it_is_secret() -> None:
    with pytest.raises(FormatError, match="^A: the value has a newline"):
        environment.system_scope(variables({"name": "A", "value": "1\n2"}), None)
    environment.system_scope(variables({"name": "A", "value": "line one\nline $2 #", "secret": True}), None)


@pytest.mark.skipif(os.geteuid() != 0, reason="the files are root's")
def test_the_profile_works_for_who_may_read_secrets_and_for_who_may_not() -> None:
    with tempfile.TemporaryDirectory() as folder:  # other users cannot come to pytest's own
        os.chmod(folder, 0o755)
        scope = environment.system_scope(variables(TOKEN, CRN), 4321, folder)
        manifest = Manifest(scope.directory, scope.mode, 0)
        manifest.apply(manifest.plan(scope.targets, {}, scope.known.items()))
        member, other = (login_as(4000, group, f"{folder}/profile.d/ibm_quantum.sh") for group in (4321, 4322))
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
    params: dict[str, Any] = {"state": "present", "variables": [], "scope": "system", "secret_group": None}
    monkeypatch.setattr(environment.os, "geteuid", lambda: 4321)
    with pytest.raises(OptionError, match="set become: true, or scope: user"):
        environment.located(params, environment.declared(params))


@pytest.mark.parametrize("error", [KeyError, RuntimeError])
def test_a_user_that_the_host_does_not_know(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def home() -> Path:
        raise error

    monkeypatch.setattr(environment.Path, "home", home)
    with pytest.raises(OptionError, match="set HOME"):
        environment.user_folders()
