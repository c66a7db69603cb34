# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, with real virtual environments and the real pip, and small wheels made here."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _venv
from ansible_collections.ibm_quantum.platform.plugins.module_utils._pip import Source
from ansible_collections.ibm_quantum.platform.plugins.modules import qiskit_venv
from ansible_collections.ibm_quantum.platform.tests.unit.invocation import SHOW_INVOCATION

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.version_info < _venv.OLDEST, reason="the module makes environments of newer Pythons only"),
]

#: name -> versions, and what each needs
WHEELS: list[tuple[str, str, list[str]]] = [
    ("qiskit", "1.0", ["numpy"]),
    ("qiskit", "2.0", ["numpy"]),
    ("qiskit_ibm_runtime", "0.5", ["qiskit<2", "urllib3", "plotly; extra == 'visualization'"]),
    ("qiskit_ibm_runtime", "0.6", ["qiskit>=1", "plotly; extra == 'visualization'"]),
    ("ipykernel", "7.0", ["tornado>=6"]),
    ("numpy", "2.0", []),
    ("plotly", "5.0", []),
    ("tornado", "6.0", []),
    ("urllib3", "2.0", []),
    ("own", "1.0", []),
]
OLD = {"version": "1.0", "runtime_version": "0.5"}


def wheel(folder: Path, name: str, version: str, needs: list[str]) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        + "Provides-Extra: visualization\n"
        + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            rows.append(f"{file},sha256={digest},{len(text)}")
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")
    return path


class Host:
    """A folder in which environments are made; the module runs as the user of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels = folder, folder / "wheels"
        self.path = folder / "opt/ibm_quantum/qiskit"
        (folder / "opt").mkdir(parents=True)
        (folder / "home").mkdir()
        self.wheels.mkdir()
        for name, version, needs in WHEELS:
            wheel(self.wheels, name, version, needs)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home")}
        self.env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self.output = ""

    def arguments(self, check: bool = False, **params: Any) -> str:
        given = {
            "path": str(self.path),
            "python": sys.executable,
            "find_links": [str(self.wheels)],
            "no_index": True,
            **SHOW_INVOCATION,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **params,
        }
        return json.dumps({"ANSIBLE_MODULE_ARGS": {name: value for name, value in given.items() if value is not None}})

    def start(self, **params: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", qiskit_venv.__name__]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(command, env=self.env, cwd=self.folder, text=True, **pipes)
        assert process.stdin
        process.stdin.write(self.arguments(**params))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, **params: Any) -> dict[str, Any]:
        out, err = self.start(**params).communicate(timeout=240)
        self.output = out + err
        assert "Traceback" not in self.output, self.output
        result: dict[str, Any] = json.loads(out.splitlines()[-1])
        return result

    def make(self, **params: Any) -> dict[str, Any]:
        result = self.run(**params)
        assert result["changed"], self.output
        return result

    def versions(self) -> dict[str, str]:
        found = _venv.installed(str(self.path))
        return {name: version for name, version in found.items() if name not in ("pip", "setuptools", "wheel")}

    def pip(self, *arguments: str) -> None:
        pip = [str(self.path / "bin/python"), "-m", "pip", "-q", "--disable-pip-version-check", *arguments]
        subprocess.run(pip, check=True, timeout=120, env={"PATH": self.env["PATH"], "HOME": self.env["HOME"]})

    def prints(self, code: str) -> str:
        argv = [str(self.path / "bin/python"), "-c", code]
        return subprocess.run(argv, check=True, timeout=60, capture_output=True, text=True).stdout.strip()

    def site(self, name: str) -> Path:
        return next(self.path.glob("lib/python3*/site-packages")) / name

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in (self.folder / "opt").rglob("*"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def test_the_whole_life(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before = host.files()
    foretold = host.make(check=True, **OLD)
    assert foretold["versions"] == {"qiskit": "==1.0", "qiskit-ibm-runtime": "==0.5"}
    assert foretold["reason"] == "there is no virtual environment yet"
    assert host.files() == before

    made = host.make(extra_packages=["ipykernel"], **OLD)
    assert host.versions() == {
        "ipykernel": "7.0",
        "numpy": "2.0",
        "qiskit": "1.0",
        "qiskit-ibm-runtime": "0.5",
        "tornado": "6.0",
        "urllib3": "2.0",
    }
    assert made["versions"].items() >= host.versions().items() and made["python"] == str(host.path / "bin/python")
    assert made["diff"]["before"] == "" and "qiskit 1.0\n" in made["diff"]["after"]
    assert host.prints("import qiskit; print(qiskit.version)") == "1.0"
    assert host.site("qiskit/__pycache__").is_dir()  # its users may not write there

    # The second run starts no process at all
    wanted = _venv.Wanted(str(host.path), sys.executable, ["qiskit==1.0", "qiskit-ibm-runtime==0.5", "ipykernel"])
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", lambda *args, **kwargs: pytest.fail("a process was started"))
        assert not _venv.settle(wanted, Source(no_index=True, find_links=["/nowhere"]), check_mode=False).changed

    # What people installed themselves stays; what is no longer wanted goes, with what only that needed
    host.pip("install", "--no-index", "--find-links", str(host.wheels), "own")
    changes = {"runtime_version": ">=0.6,<1", "version": "2.0"}
    foretold = host.make(check=True, **changes)
    assert foretold["reason"].startswith("missing, or of another version: ") and "ipykernel" in foretold["reason"]
    assert foretold["versions"]["qiskit"] == "==2.0" and "tornado" not in foretold["versions"]
    changed = host.make(**changes)
    assert host.versions() == {"numpy": "2.0", "own": "1.0", "qiskit": "2.0", "qiskit-ibm-runtime": "0.6"}
    assert "-qiskit 1.0" not in changed["diff"]["after"] and not host.run(**changes)["changed"]

    # Other words for what is there already change nothing, and cost nothing from then on
    assert not host.run(check=True, version=">=1")["changed"]
    assert not host.run(version=">=1")["changed"]
    assert not host.run()["changed"]

    assert host.make(check=True, state="absent")["versions"] == {} and host.versions()
    assert host.make(state="absent")["diff"]["after"] == ""
    assert host.files() == before
    assert not host.run(state="absent")["changed"]


def test_repair(host: Host) -> None:
    host.make(**OLD)
    complete = host.versions()
    # A dependency that somebody took away, and a package of which only the name is left
    host.pip("uninstall", "--yes", "numpy")
    assert "numpy" in host.run(check=True, **OLD)["reason"]
    assert host.make(**OLD)["reason"] == "missing, or of another version: numpy"
    assert host.versions() == complete
    shutil.rmtree(host.site("urllib3"))
    assert "is damaged" in host.make(**OLD)["reason"]
    assert host.site("urllib3/__init__.py").exists() and host.versions() == complete
    # Another version of what is asked for
    host.pip("install", "--no-index", "--find-links", str(host.wheels), "--no-deps", "qiskit==2.0")
    assert "qiskit==1.0" in host.make(**OLD)["reason"]
    assert host.versions() == complete and not host.run(**OLD)["changed"]


def test_a_change_that_fails_leaves_all_as_it_was(host: Host, tmp_path: Path) -> None:
    host.make(**OLD)
    inside = host.files()
    failed = host.run(version="9.0")
    assert failed["failed"] and "qiskit==9.0" in failed["msg"]
    assert "choose a version that the index has" in failed["msg"]
    assert "choose versions that go together" in host.run(version="2.0", runtime_version="0.5")["msg"]
    assert host.files() == inside and not host.run(**OLD)["changed"]

    # Made anew with another Python, which fails: the old one is back in its place
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{os.path.realpath(sys.executable)}" "$@"\n')
    python.chmod(0o755)
    other = {**OLD, "python": str(python)}
    assert "not with" in host.make(check=True, **other)["reason"]
    assert host.run(**{**other, "version": "9.0"})["failed"]
    assert host.prints("import qiskit; print(qiskit.version)") == "1.0" and not host.run(**OLD)["changed"]
    host.make(**other)
    assert host.prints("import qiskit; print(qiskit.version)") == "1.0" and not host.run(**other)["changed"]
    assert sorted(os.listdir(host.path.parent)) == ["qiskit"]


def test_killed(host: Host) -> None:
    """Killed while pip waits for its index; pip goes on, and keeps others out until it has ended."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = {
            "find_links": [],
            "no_index": False,
            "index_url": f"https://u:pw-of-index@127.0.0.1:{silent.getsockname()[1]}/",
        }
        process = host.start(**index)
        silent.settimeout(120)
        connection = silent.accept()[0]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        second = host.run(timeout=1)
        assert "another run is at work" in second["msg"]
        assert host.make(check=True)["reason"] == "an earlier run did not come to its end"
        connection.close()
    # Nothing listens any more: the orphan gives up by itself, and its end is what the next run waits for
    assert host.make(timeout=120)["reason"] == "an earlier run did not come to its end"
    assert host.versions()["qiskit"] == "2.0" and not host.run()["changed"]
    assert sorted(os.listdir(host.path.parent)) == ["qiskit"]

    # Killed while another one was in its place
    os.rename(host.path, host.path.parent / ".qiskit.ibm_quantum-old")
    assert host.make()["reason"] == "there is no virtual environment yet" or host.versions()
    assert host.prints("import qiskit; print(qiskit.version)") == "2.0"
    assert sorted(os.listdir(host.path.parent)) == ["qiskit"]
    assert host.make(state="absent") and host.files() == []


def test_hashes(host: Host) -> None:
    def line(name: str, version: str, digest: str = "") -> str:
        file = host.wheels / f"{name}-{version}-py3-none-any.whl"
        return f"{name}=={version} \\\n    --hash=sha256:{digest or hashlib.sha256(file.read_bytes()).hexdigest()}\n"

    text = "# made by pip-compile\n" + "".join(
        line(name, version) for name, version in (("qiskit", "1.0"), ("qiskit_ibm_runtime", "0.6"))
    )
    host.make(requirements=text + line("numpy", "2.0"))
    assert "check the hashes in requirements" in host.run(requirements=f"{text}numpy==2.0\nown==1.0")["msg"]
    assert host.versions() == {"numpy": "2.0", "qiskit": "1.0", "qiskit-ibm-runtime": "0.6"}
    assert not host.run(requirements=text + line("numpy", "2.0"))["changed"]
    changed = text.replace("qiskit==1.0", "qiskit==2.0") + line("numpy", "2.0")
    assert "DO NOT MATCH" in host.run(requirements=changed)["msg"]  # that of another archive
    assert not host.run(requirements=text + line("numpy", "2.0"))["changed"]
    host.make(
        requirements=changed.replace(
            line("qiskit", "1.0").partition("sha256:")[2], line("qiskit", "2.0").partition("sha256:")[2]
        )
    )
    assert host.versions()["qiskit"] == "2.0"


def test_passwords_are_nowhere_to_be_seen(host: Host) -> None:
    before = host.files()
    index = "https://reader:the-index:word@127.0.0.1:1/simple/"
    places = {"index_url": index, "extra_index_urls": [index], "proxy": "http://u:the-proxy-word@127.0.0.1:2"}
    process = host.start(find_links=[], no_index=False, **places)
    lines: set[bytes] = set()
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.add(path.read_bytes())
            except OSError:
                continue
        time.sleep(0.2)
    output = "".join(process.communicate(timeout=60))
    assert [line for line in lines if b"pip" in line and str(host.path).encode() in line]
    assert not [line for line in lines if b"the-index:word" in line or b"the-proxy-word" in line]
    assert "the-index:word" not in output and "the-proxy-word" not in output and "does not reach the index" in output
    assert host.files() == before
