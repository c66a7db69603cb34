# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package index inside the lab: IBM's client and Jupyter's kernel with all they need, as wheels.

They are fetched once on a machine, by its own pip from wherever that takes packages, and kept where the images are.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import http.server
import json
import os
import re
import shutil
import ssl
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.emulator.tls import certificates

from . import images
from .network import CONTROLLER
from .system import Group, LabError, run, say, spawn, wait_for

if TYPE_CHECKING:
    from .lab import Lab

#: Python versions of the hosts that install from here: those of bookworm and trixie.
PYTHONS = ("3.11", "3.13")

#: What hosts may install, with all that it depends on.
PACKAGES = ("qiskit-ibm-runtime>=0.51,<1", "ipykernel>=6.29,<8", "jupyter_client>=8.6,<9")

#: What pip, which weighs conditions by its own Python, may find that the hosts' need not: by themselves.
ALONE = ("exceptiongroup", "typing-extensions")

#: Another version of something, so that a change of versions can be tested.
OLDER = ("qiskit-ibm-runtime==0.50.*",)

#: What manylinux wheels the suites' glibc can load, the newest first.
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")

#: Only while the index is asked for: ``Lab.reset`` takes the name away, and ``start`` gives it back.
NAME = "pypi.example.test"
PORT = 8766

LOGIN = "reader:the-index-password"


def recipe() -> str:
    """A short hash of all that the wheelhouse is made from."""
    text = json.dumps([PYTHONS, PACKAGES, ALONE, OLDER, PLATFORMS, os.uname().machine])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def wheelhouse() -> Path:
    """Where it is, or will be: a folder for each package below ``simple``, as PEP 503 wants it."""
    return images.cache_dir() / f"wheelhouse-{recipe()}"


def build() -> Path:
    """Fetch it unless it is there; atomic, and safe against others who want it now. Raises LabError."""
    target = wheelhouse()
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / ".wheelhouse.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            os.utime(target)
            return target
        say("lab: fetching the wheels of IBM's client (about 130 MB); half a minute or two, once")
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        for python in PYTHONS:
            _download(part, python, *PACKAGES)
        _download(part, PYTHONS[0], "--no-deps", *ALONE, *OLDER)
        for wheel in part.glob("*.whl"):
            folder = part / "simple" / re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower()
            folder.mkdir(parents=True, exist_ok=True)
            wheel.rename(folder / wheel.name)
        os.rename(part, target)
        for old in target.parent.glob("wheelhouse-*"):
            if time.time() - old.stat().st_mtime > images.KEEP_DAYS * 86400:
                shutil.rmtree(old, ignore_errors=True)
    return target


def _download(folder: Path, python: str, *what: str) -> None:
    platforms = [word for name in PLATFORMS for word in ("--platform", f"{name}_{os.uname().machine}")]
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", f"--dest={folder}"]
    try:
        run([*pip, *options, *what], timeout=1200)
    except LabError as exc:
        raise LabError(f"this machine's pip could not fetch the wheels of IBM's client: {exc}") from None


class Index:
    """``Index(lab).start()``: a web server in the lab's network; hosts have no other index.

    It speaks TLS, since pip takes nothing from plain HTTP, with a certificate of the CA that the hosts trust.
    """

    url = f"https://{NAME}:{PORT}/simple/"
    #: The same for whoever gives this user and password.
    locked = f"https://{LOGIN}@{NAME}:{PORT}/locked/simple/"

    def __init__(self, lab: Lab) -> None:
        self.lab, self.log = lab, lab.dir / "index.log"
        self.group = Group(f"{lab.group.name}/index")

    def start(self) -> Index:
        """Serve the wheelhouse, which is made where it is missing. It ends with the lab; twice is no harm."""
        if not self.group.pids():
            ca = self.lab.dir / "index-ca"
            ca.mkdir(mode=0o700, exist_ok=True)
            shutil.copy(self.lab.emulator.ca_dir / "ca-key.pem", ca)
            certificate = certificates(ca, names=[NAME])[1]
            serve = [sys.executable, "-m", "tests.lab.wheelhouse", str(build()), str(certificate)]
            spawn(["nsenter", f"--net={self.lab.namespace.path}", *serve], self.group, self.log)
        wait_for(f"the package index (see {self.log})", self._answers)
        self.lab.dns.set(NAME, v4=[CONTROLLER.v4])
        return self

    def stop(self) -> None:
        """End it; connections are then refused."""
        self.group.kill()

    def _answers(self) -> bool:
        if not self.group.pids():
            raise LabError(f"the package index ended at its start: {self.log.read_text(errors='replace')[-2000:]}")
        try:
            self.lab.namespace.connect(CONTROLLER.v4, PORT, timeout=2).close()
        except OSError:
            return False
        return True


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Folders as lists of links, which is all that a simple index is."""

    def send_head(self) -> Any:
        if self.path.startswith("/locked/"):
            wanted = "Basic " + base64.b64encode(LOGIN.encode()).decode()
            if self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            self.path = self.path[len("/locked") :]
        return super().send_head()


def main(folder: str, certificate: str) -> None:
    """Serve a folder in the namespace that this runs in, until it is ended."""
    server = http.server.ThreadingHTTPServer((CONTROLLER.v4, PORT), partial(_Handler, directory=folder))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    # The handshake is left to the connection's own thread: one client that says nothing must not hold up the others
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
