# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module refuses before it starts anything. What it does is in tests/integration/test_qiskit_venv.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _venv
from ansible_collections.ibm_quantum.platform.plugins.module_utils._pip import Source
from ansible_collections.ibm_quantum.platform.plugins.modules import qiskit_venv


class Host:
    """A folder in which no environment will be made."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "opt/qiskit"
        self.env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def run(self, check: bool = False, **params: Any) -> dict[str, Any]:
        given = {"path": str(self.path), "find_links": ["/nowhere"], "no_index": True, "_ansible_check_mode": check}
        done = subprocess.run(
            [sys.executable, "-m", qiskit_venv.__name__],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {**given, **params}}),
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    def files(self) -> list[str]:
        return sorted(str(path) for path in (self.folder / "opt").rglob("*"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "opt").mkdir()
    return Host(tmp_path)


def test_what_is_not_ours_is_refused(host: Host, tmp_path: Path) -> None:
    host.path.mkdir()
    (host.path / "thesis.tex").touch()
    for state in ("present", "absent"):
        refused = host.run(state=state)
        assert "was not made by this collection" in refused["msg"] and (host.path / "thesis.tex").exists()
    shutil.rmtree(host.path)
    (tmp_path / "elsewhere").mkdir()
    host.path.symlink_to(tmp_path / "elsewhere")
    for state in ("present", "absent"):
        assert "is no folder: name another path" in host.run(state=state)["msg"]
    host.path.unlink()
    if os.geteuid() == 0:
        host.path.mkdir()
        os.chown(host.path, 65534, 65534)
        assert "belongs to uid 65534" in host.run()["msg"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"version": "two"}, "version: 'two' is neither a version, such as 2.1.0, nor a range"),
        ({"runtime_version": ">=0.5 --index-url=x"}, "runtime_version: "),
        ({"extra_packages": ["--pre"]}, "extra_packages: '--pre' is no name of a package"),
        ({"extra_packages": ["own @ https://u:secret@host/own.whl"]}, "extra_packages: "),
        ({"requirements": "qiskit>=1"}, "requirements: 'qiskit>=1' does not pin a version"),
        ({"requirements": "requirements.txt"}, "requirements: 'requirements.txt' does not pin"),
        ({"requirements": "# nothing"}, "requirements: no package in it"),
        ({"requirements": "qiskit==1.0", "version": "1.0"}, "excludes version: drop one or the other"),
        ({"path": "opt/x/../qiskit"}, "path: "),
        ({"python": "python3.99"}, "python: no 'python3.99' on this host"),
        ({"python": "/bin/true"}, "is no Python that runs"),
        ({"timeout": 0}, "timeout: 0 is not from 1 to 86400 seconds"),
        ({"find_links": []}, "no_index: true leaves nowhere to install from"),
        ({"index_url": "https://pypi.org/simple"}, "no_index: true excludes index_url"),
        ({"find_links": ["/a b"]}, "find_links: '/a b' is empty or holds a space"),
        ({"proxy": "u:the-secret@proxy:3128"}, "proxy: "),
    ],
)
def test_errors_name_the_option(host: Host, params: dict[str, Any], words: str) -> None:
    before = host.files()
    failed = host.run(**params)
    assert failed["failed"] and words in failed["msg"], failed["msg"]
    assert host.files() == before


@pytest.mark.parametrize(
    ("said", "words"),
    [("[[3, 9], true]", "is Python 3.9 on this host"), ("[[3, 12], false]", "python3.12-venv")],
)
def test_a_python_that_will_not_do(host: Host, tmp_path: Path, said: str, words: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{said}'\n")
    python.chmod(0o755)
    for check in (True, False):
        failed = host.run(python=str(python), check=check)
        assert failed["msg"].startswith(f"python: {python}") and words in failed["msg"]


def test_an_environment_that_is_as_recorded_starts_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by hand here, as the module would leave it."""
    python = os.path.realpath(sys.executable)
    site = host.path / "lib/python3.12/site-packages"
    for name in ("pip-25.0", "qiskit-2.0", "qiskit_ibm_runtime-0.6"):
        (site / f"{name}.dist-info").mkdir(parents=True)
        (site / f"{name}.dist-info/RECORD").touch()
    (site / "qiskit").mkdir()
    (host.path / "bin").mkdir()
    (host.path / "bin/python").symlink_to(python)
    record = {
        "complete": True,
        "asked": ["qiskit", "qiskit-ibm-runtime"],
        "python": python,
        "made": [],
        "packages": {"qiskit": "2.0", "qiskit-ibm-runtime": "0.6"},
        "paths": {"qiskit": "qiskit"},
    }
    (host.path / _venv.RECORD).write_text(json.dumps(record))
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: pytest.fail("a process was started"))
    wanted = _venv.Wanted(str(host.path), sys.executable, ["qiskit", "qiskit-ibm-runtime"])
    outcome = _venv.settle(wanted, Source(), check_mode=False)
    assert not outcome.changed
    assert outcome.after == {"pip": "25.0", "qiskit": "2.0", "qiskit-ibm-runtime": "0.6"}
    # A package of which only the name is left, a Python that is gone, a run that was killed
    (site / "qiskit").rmdir()
    assert "qiskit is missing" in reason(wanted, python)
    (site / "qiskit").mkdir()
    assert "not with" in reason(wanted, "/usr/bin/python3.99")
    (host.path / _venv.RECORD).write_text("{")
    assert reason(wanted, python) == "an earlier run did not come to its end"


def reason(wanted: _venv.Wanted, python: str) -> str:
    return _venv._look(wanted, python).reason
