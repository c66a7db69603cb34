# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find secrets where they must not be: in texts, files, world-readable places, command lines. Standard library only.

``Scanner(secrets)`` looks for each secret as it is and in the forms that encodings give it; ``ProcessSampler`` keeps
what ``ps`` shows while something runs. The tests plant a secret in every place, to prove that it would be found.
"""

from __future__ import annotations

import base64
import contextlib
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any, Iterable, Iterator, NamedTuple
from urllib.parse import quote

#: Where any user of the machine may look.
PUBLIC = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/var/log")
#: Bytes of a file that are read; nothing that Ansible writes comes near.
LARGEST = 64 * 1024 * 1024
#: Different command lines that are kept, a bound on memory.
MOST_COMMANDS = 200_000


class Finding(NamedTuple):
    """A secret that is where it must not be; ``number`` is its place in the scanner's list, never its text."""

    where: str
    number: int
    form: str


def forms(secret: str) -> dict[str, bytes]:
    """A secret's appearances, and parts of it long enough to be as good as the whole."""
    raw = secret.encode()
    found = {
        "raw": raw,
        "url-encoded": quote(secret, safe="").encode(),
        "percent": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "hex": raw.hex().encode(),
        "utf-16": secret.encode("utf-16-le"),
        "reversed": raw[::-1],
    }
    for offset in range(3):  # whatever stands before it shifts its base64
        coded = base64.b64encode(b"\0" * offset + raw)
        inner = coded[(0, 2, 3)[offset] : (offset + len(raw)) * 8 // 6]
        found[f"base64+{offset}"] = inner
        found[f"base64url+{offset}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    if secret.count(".") == 2:  # of a JWT only the header is no secret
        found["payload"], found["signature"] = (part.encode() for part in secret.split(".")[1:])
    elif len(raw) >= 32:
        found["first half"], found["last half"] = raw[: len(raw) // 2], raw[-len(raw) // 2 :]
    return found


class Scanner:
    """Looks for some secrets in bytes and files."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._needles: dict[bytes, tuple[int, str]] = {}
        for number, secret in enumerate(secrets):
            if len(secret) < 12:
                raise ValueError("a secret this short would be found anywhere")
            for name, needle in forms(secret).items():
                self._needles.setdefault(needle, (number, name))
        if not self._needles:
            raise ValueError("no secrets: nothing could be found")

    def data(self, where: str, content: bytes | str) -> list[Finding]:
        """The secrets in a text or in bytes."""
        content = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        return [Finding(where, number, form) for needle, (number, form) in self._needles.items() if needle in content]

    def file(self, path: str | os.PathLike[str]) -> list[Finding]:
        """The secrets in a file's name and content. A file that is gone by now, or no plain file, has none."""
        name = os.fspath(path)
        found = self.data(f"name of {name}", name)
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.lstat(name).st_mode):
                with open(name, "rb") as file:
                    found += self.data(name, file.read(LARGEST))
        return found

    def tree(self, *roots: str | os.PathLike[str], exempt: Iterable[str | os.PathLike[str]] = ()) -> list[Finding]:
        """The secrets in all files below some folders, those folders left out that are ``exempt``."""
        return [finding for path in _files(roots, exempt) for finding in self.file(path)]

    def world_readable(self, *roots: str | os.PathLike[str], since: float = 0.0) -> list[Finding]:
        """The secrets in files that any user can read, changed after ``since`` (seconds since the epoch)."""
        found = []
        for path in _files(roots, ()):
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                if status.st_mode & 0o004 and status.st_mtime >= since - 1:
                    found += self.file(path)
        return found


def _files(roots: Iterable[str | os.PathLike[str]], exempt: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
    """All files below some folders; links are not followed."""
    without = {os.path.abspath(path) for path in exempt}
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if os.path.abspath(os.path.join(folder, name)) not in without]
            yield from (os.path.join(folder, name) for name in names)


def cache_faults(folder: Path, api_keys: Iterable[str]) -> list[str]:
    """What is wrong with a token cache: it may hold tokens, but for its owner only, and never an API key."""
    faults = []
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        faults.append(f"{folder} is not 0700")
    for path in folder.iterdir():
        if stat.S_IMODE(path.stat().st_mode) != 0o600:
            faults.append(f"{path} is not 0600")
    faults += [f"an API key in {finding.where}" for finding in Scanner(api_keys).tree(folder)]
    return faults


class ProcessSampler:
    """Keeps every command line that shows up while it runs, and every process whose environment others can read.

    A context manager. Its thread reads ``proc`` again and again until the block ends.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self.commands: set[bytes] = set()
        self.readable_environments: set[str] = set()
        self._proc = proc
        self._stop = threading.Event()
        self._round = threading.Condition()
        self._rounds = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ProcessSampler:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def full_round(self, timeout: float = 30.0) -> None:
        """Wait until every process that is there now has been looked at. Raises TimeoutError."""
        with self._round:
            wanted = self._rounds + 2  # the round under way may have passed it already
            if not self._round.wait_for(lambda: self._rounds >= wanted, timeout):
                raise TimeoutError("the sampler does not run")

    def findings(self, scanner: Scanner) -> list[Finding]:
        """The secrets in the command lines, one finding for each of them, and the readable environments."""
        found = scanner.data("command lines", b"\n".join(self.commands))
        readable = sorted(self.readable_environments)
        return found + [Finding(f"environment of {name} is readable", -1, "mode") for name in readable]

    def _run(self) -> None:
        while not self._stop.is_set():
            self._look()
            with self._round:
                self._rounds += 1
                self._round.notify_all()
            time.sleep(0.02)  # gives way to what is being watched; an interpreter lives ten times as long

    def _look(self) -> None:
        for name in os.listdir(self._proc):
            if not name.isdigit() or len(self.commands) >= MOST_COMMANDS:
                continue
            with contextlib.suppress(OSError), open(f"{self._proc}/{name}/cmdline", "rb") as file:
                self.commands.add(file.read())
            with contextlib.suppress(OSError):
                if os.stat(f"{self._proc}/{name}/environ").st_mode & 0o004:
                    self.readable_environments.add(name)


def describe(findings: Iterable[Any]) -> str:
    """Findings for an assertion's text."""
    return "\n".join(str(finding) for finding in findings)
