# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the collection for tools that want it under ansible_collections/, and what ansible-test needs beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tools.venv import BUILD, ROOT

#: A home folder of its own for ansible-test and the linters, so that the user's stays as it is.
HOME = BUILD / "home"

#: ansible-test fetches get-pip from a server of its own for each environment that it makes. This does the same offline.
GET_PIP = """\
# Made by tests/tools/collection.py: stands for get-pip, which ansible-test would download.
import subprocess
import sys

unwanted = ("--no-setuptools", "--no-wheel")
# A process of its own: ensurepip leaves settings behind in the environment of the one it runs in.
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL)
arguments = [argument for argument in sys.argv[1:] if argument not in unwanted]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install"] + arguments))
"""


def inside(root: Path) -> Path:
    """Where the collection lies below a folder of ANSIBLE_COLLECTIONS_PATH."""
    return root / "ansible_collections/ibm_quantum/platform"


def copy(root: Path) -> None:
    """Copy what git tracks or would track to inside(root).

    ansible-test resolves links, hence the copy; it lists files by git, hence the empty repository.
    """
    target = inside(root)
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for file in filter(None, listed.split("\0")):
        source = ROOT / file
        if source.is_file() or source.is_symlink():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / file, follow_symlinks=False)
    subprocess.run(["git", "init", "-q"], cwd=target, check=True)


def prepare_home(site_packages: Path) -> None:
    """Make HOME with the stand-in for get-pip under the name that the installed ansible-test looks for."""
    cache = HOME / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    text = (site_packages / "ansible_test/_internal/python_requirements.py").read_text(encoding="utf-8")
    for version in re.findall(r"pip='([\d.]+)'", text):
        stub = cache / f"get_pip_{version.replace('.', '_')}.py"
        if not stub.exists():
            stub.write_text(GET_PIP, encoding="utf-8")


def find_python(version: str) -> str | None:
    """The path of a working Python ``X.Y`` with venv, from PATH or the usual pyenv root; None if there is none."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return os.path.realpath(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python{version}")))]
    probe = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        try:
            found = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if found.stdout.strip() == version:
            return str(candidate)
    return None


def link_pythons(versions: list[str]) -> tuple[Path, list[str]]:
    """Link the Pythons found as .build/pythons/pythonX.Y for ansible-test; that folder, and the versions found."""
    folder = BUILD / "pythons"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for version in versions:
        python = find_python(version)
        if python:
            link = folder / f"python{version}"
            link.unlink(missing_ok=True)
            link.symlink_to(python)
            found.append(version)
    return folder, found
