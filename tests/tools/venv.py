# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make or bring up to date the virtual environments under .build/ and the link that makes the checkout importable.

``python3 tests/tools/venv.py run test clients``. The Makefile calls this with the machine's own Python before anything
is installed, hence: standard library only. An environment is left alone while its stamp, which holds its requirements
and its place, still fits.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
#: Installed first, without what they depend on: of IBM's client only the data files are wanted.
DATA = ["tests/emulator/requirements-data.txt"]
RUN = ["requirements.txt", "tests/requirements-run.txt", "tests/emulator/requirements.txt"]
WORKER = ["tests/emulator/requirements-worker.txt"]
TEST = [*RUN, "tests/requirements.txt", "tests/emulator/requirements-conformance.txt"]
#: Environment -> requirement files. ``matrix-2.17`` and the like are TEST with that ansible-core.
VENVS = {
    "run": RUN,
    "test": [*TEST, "tests/requirements-lint.txt"],
    "clients": [*TEST, *WORKER, "tests/clients/requirements.txt"],
    "worker": WORKER,
    "bench": [*TEST, "tests/benchmark/requirements.txt"],
}


def link_collection() -> None:
    """Make the repository importable as ansible_collections.ibm_quantum.platform, wherever it was cloned to."""
    link = ROOT / ".ansible/collections/ansible_collections/ibm_quantum/platform"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to("../../../..", target_is_directory=True)


def requirements(name: str) -> list[list[str]]:
    """The arguments of the ``pip install`` runs that fill an environment, in their order."""
    core = name.partition("matrix-")[2]
    data = [word for file in DATA for word in ("-r", file)]
    rest = [word for file in (TEST if core else VENVS[name]) for word in ("-r", file)]
    return [["--no-deps", *data], [*rest, f"ansible-core=={core}.*"] if core else rest]


def stamp_of(path: Path, python: str, name: str) -> str:
    """What a finished environment was made of; anything else in its stamp means it has to be brought up to date."""
    words = [word for arguments in requirements(name) for word in arguments]
    texts = [(ROOT / word).read_text(encoding="utf-8") if word.endswith(".txt") else word for word in words]
    return f"{path}\n{os.path.realpath(python)}\n{hashlib.sha256(repr(texts).encode()).hexdigest()}\n"


def _logged(command: list[str], log: Path) -> None:
    """Run a command into a log; where it fails show the end of it and raise subprocess.CalledProcessError."""
    with log.open("a") as out:
        status = subprocess.call(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    if status:
        print("\n".join(log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)
        raise subprocess.CalledProcessError(status, command)


def make(name: str, python: str = sys.executable) -> Path:
    """Make .build/venv-NAME with ``python`` where its stamp does not fit, and return its path.

    Raises subprocess.CalledProcessError where venv or pip fail.
    """
    path = BUILD / f"venv-{name}"
    stamp = path / ".stamp"
    wanted = stamp_of(path, python, name)
    found = stamp.read_text() if stamp.exists() else ""
    if found == wanted:
        return path
    log = BUILD / "logs" / f"venv-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    print(f"{path.relative_to(ROOT)}: installing (once) ...", flush=True)
    # A moved checkout or another Python: scripts inside name the old place, so nothing there can be kept.
    moved = bool(found) and found.splitlines()[:2] != wanted.splitlines()[:2]
    if moved or not (path / "bin/pip").exists():
        _logged([python, "-m", "venv", "--clear", str(path)], log)
    for arguments in requirements(name):
        _logged([str(path / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", *arguments], log)
    stamp.write_text(wanted)
    return path


def main(names: list[str]) -> int:
    """Make the named environments; 0, or 1 with one line that names the remedy."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        import ensurepip  # noqa: F401 - only its presence matters: Debian splits it off
        import venv  # noqa: F401
    except ImportError:
        print(
            f"{sys.executable} (Python {version}) cannot make virtual environments."
            f" On Debian and Ubuntu: apt-get install python{version}-venv",
            file=sys.stderr,
        )
        return 1
    link_collection()
    for name in names:
        try:
            make(name)
        except subprocess.CalledProcessError as error:
            print(f".build/venv-{name}: {' '.join(error.cmd[:4])} ... failed: see .build/logs", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
