# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's options; what it does on a host with systemd is shown in tests/lab/test_untrusted.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import API_VERSION
from ansible_collections.ibm_quantum.platform.plugins.module_utils._transient import Place, Store
from ansible_collections.ibm_quantum.platform.plugins.modules import transient_secret
from ansible_collections.ibm_quantum.platform.tests.unit.invocation import SHOW_INVOCATION

SECRET = "the'secret\"with\\of-é-many-characters"


def module(**params: Any) -> Any:
    values = dict.fromkeys(transient_secret.ARGUMENT_SPEC)
    return SimpleNamespace(params={**values, "state": "present", **params}, check_mode=params.pop("check", False))


@pytest.fixture
def armed(tmp_path, monkeypatch):
    """A host with systemd, which only notes what it is asked for."""
    commands: list[tuple[str, ...]] = []
    place = Place(str(tmp_path / "secrets"), 0o711, str(tmp_path / "transient"), False)
    monkeypatch.setattr(transient_secret, "place", lambda present: place)
    monkeypatch.setattr(
        transient_secret, "Store", lambda where, salt: Store(where, salt, lambda *c, **k: commands.append(c))
    )
    return commands


def files(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "content": SECRET} for name in names]


def test_several_files_in_one_execution(armed, tmp_path):
    result = transient_secret.run(module(files=files("a", "b"), expires_in=60))
    assert result["changed"] and result["files"] == result["changed_files"]
    assert [os.path.basename(path) for path in result["files"]] == ["a", "b"]
    assert (tmp_path / "secrets" / "a").read_bytes() == SECRET.encode()
    assert SECRET not in str(result) and SECRET not in str(armed)
    assert all(row["after"].startswith("<secret, sha256:") for row in result["diff"])


def test_check_mode_writes_nothing(armed, tmp_path):
    asked = module(files=files("a"), expires_in=60)
    asked.check_mode = True
    assert transient_secret.run(asked)["changed"]
    assert not armed and not (tmp_path / "secrets").exists()


@pytest.mark.parametrize(
    "params, text",
    [
        ({"files": files("a", "a")}, "files: a name is there twice"),
        ({"files": files("../a")}, "cannot be a name"),
        ({"files": [{"name": "a", "content": None}]}, "files: a: 'content' is missing"),
        ({"files": [{"name": "a", "content": "short"}]}, "less than 8 characters"),
        ({"files": files("a"), "owner": "nobody-of-this-name"}, "owner: no user 'nobody-of-this-name'"),
        ({"files": files("a"), "expires_in": 0}, "expires_in: this is over"),
        ({"files": files("a"), "expires_in": None}, "give one of 'expires' and 'expires_in'"),
    ],
)
def test_what_cannot_be(armed, params, text):
    with pytest.raises(OptionError) as caught:
        transient_secret.run(module(**{"expires_in": 60, **params}))
    assert text in str(caught.value) and SECRET not in str(caught.value)
    assert not armed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask for another group")
def test_groups(armed, tmp_path):
    transient_secret.run(module(files=files("a"), expires_in=60, group="daemon", owner="daemon"))
    assert (tmp_path / "secrets" / "a").stat().st_mode & 0o7777 == 0o640
    with pytest.raises(OptionError, match="group: no group 'nothing-of-this-name'"):
        transient_secret.run(module(files=files("a"), expires_in=60, group="nothing-of-this-name"))


def process(**params: Any) -> tuple[dict[str, Any], str]:
    """The module as Ansible runs it: a process of its own, arguments on standard input, JSON out."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-m", transient_secret.__name__],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {**SHOW_INVOCATION, **params}}),
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = done.stdout + done.stderr
    assert "Traceback" not in output, output
    return json.loads(done.stdout.splitlines()[-1]), output


@pytest.mark.parametrize(
    "params, text",
    [
        ({"files": files("a")}, "give one of 'expires' and 'expires_in'"),
        ({"files": files("a"), "expires": 1, "expires_in": 1}, "give one of 'expires' and 'expires_in'"),
        ({"files": files("a/b"), "expires_in": 60}, "cannot be a name"),
        ({"files": f"name=a content={SECRET}", "expires_in": 60}, ""),
        ({"files": [{"name": "a", "contents": SECRET}], "expires_in": 60}, "contents"),
        ({"files": [SECRET], "expires_in": 60}, ""),
        ({"expires_in": 60}, "missing required arguments: files"),
    ],
)
def test_errors_never_repeat_a_secret(params, text):
    result, output = process(**params)
    assert result["failed"] and text in result["msg"]
    assert not [piece for piece in ("the'secret", "many-characters") if piece in output], output


def test_the_role_asks_for_the_version_that_the_modules_ask_for():
    defaults = Path(__file__).parents[4] / "roles" / "bearer_token" / "defaults" / "main.yml"
    assert yaml.safe_load(defaults.read_text())["bearer_token_api_version"] == API_VERSION
