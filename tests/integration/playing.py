# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook that runs while the test goes on, to be watched, interrupted and killed."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.integration.playbook import Controller


class Playing:
    """A playbook that runs meanwhile, in a terminal of its own or in a pipe. A context manager that leaves nothing.

    Ansible's workers have sessions of their own, so they are found by what is in their environment.
    """

    def __init__(self, controller: Controller, task: str, env: dict[str, str], terminal: bool = True) -> None:
        book = controller.folder / "background.yml"
        book.write_text(f"- hosts: localhost\n  gather_facts: false\n  tasks:\n    {task}\n")
        self._mark = f"RECORDER_FILE={controller.folder}/background"
        self._lines: list[bytes] = []
        self._out, slave = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", str(book)],
            env={**controller.env, **env, "RECORDER_FILE": self._mark.partition("=")[2]},
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_not_deaf_to_interrupts,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # as all have left it
            while part := os.read(self._out, 65536):
                self._lines.append(part)

    @property
    def output(self) -> str:
        """What was shown so far, in one line."""
        return " ".join(b"".join(self._lines).decode(errors="replace").split())

    def workers(self) -> list[int]:
        """The processes that are left of the run."""
        found = []
        for file in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in file.read_bytes().split(b"\0"):
                    found.append(int(file.parent.name))
        return found

    def kill(self) -> None:
        for _turn in range(100):
            left = self.workers()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            self.process.poll()
            time.sleep(0.01)
        self.process.wait(10)
        self._reader.join(10)

    def __enter__(self) -> Playing:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.kill()
        os.close(self._out)


def _not_deaf_to_interrupts() -> None:
    """What a shell starts in the background ignores them, and so do the tests then, and all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
