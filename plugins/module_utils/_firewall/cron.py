# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Cron in the place of systemd: one file in /etc/cron.d, which cron reads within a minute of every change.

What has to run once, or all the time, is a process in a session of its own. A file under /run holds its pid, and
the process holds a lock: so no pid of somebody else is ever taken for ours.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import time
from typing import Iterable, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.command import PATH
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError, Provider
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.scheduler import (
    Resident,
    Scheduler,
    python,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import (
    Content,
    Layout,
    prune,
    read,
    remove,
)

#: Of the file; cron takes no name with a dot in it.
NAME = "ibm-quantum-egress"
SOON = NAME + "-soon"
RESIDENT = NAME + "-dns"
#: To the system's log, where there is one.
_LOG = f"2>&1 | {{ logger -t {NAME} 2>/dev/null || cat >/dev/null; }}"
#: In the background, so that it is the child of init: $1 seconds, $2 its pid file, the rest the command.
_LATER = f'{{ sleep "$1" && rm -f "$2" && shift 2 && "$@" {_LOG}; }} &'
_TIMEOUT = 15


class Cron(Scheduler):
    """See :class:`scheduler.Scheduler`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._file = os.path.join(layout.cron, NAME)

    def files(self, policy: Policy, provider: Provider, resident: Resident | None) -> dict[str, Content]:
        refresh = f"{python()} -I {self._layout.code} refresh {_LOG}"
        load = provider.boot_command(self._layout.ruleset)
        lines = [
            "# Written by the Ansible collection ibm_quantum.platform; changes are overwritten.",
            "SHELL=/bin/sh",
            f"PATH={PATH}",
            'MAILTO=""',
            _entry("@reboot", f"{load} {_LOG}; {refresh}" if load else refresh),
            _entry(every(policy.refresh_interval), refresh),
        ]
        if resident:
            lines += [_entry(when, self._keep_running(resident)) for when in ("@reboot", "* * * * *")]
        return {self._file: "\n".join([*lines, ""]).encode()}

    def paths(self) -> list[str]:
        return [self._file]

    def describe(self) -> str:
        return f"cron, by {self._file}"

    def activate(self, changed: Iterable[str], resident: Resident | None) -> None:
        if resident is None or resident.stale:
            self._end(RESIDENT)
        if resident:
            self._start(["/bin/sh", "-c", self._keep_running(resident)])

    def retire(self, paths: Iterable[str]) -> None:
        if self._file in paths:
            self._end(RESIDENT)

    def deactivate(self) -> None:
        self.cancel(SOON)
        self._end(RESIDENT)

    def forget(self) -> None:
        for name in (SOON, RESIDENT):
            remove(self._pid(name))
        remove(self._lock(RESIDENT))
        prune([self._layout.runtime])

    def run_later(self, seconds: int, name: str, command: Sequence[str]) -> None:
        self.cancel(name)
        path = self._pid(name)
        os.makedirs(self._layout.runtime, mode=0o700, exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            # The lock belongs to the open file, and so to all who inherit it.
            fcntl.flock(file, fcntl.LOCK_EX)
            group = self._start(["/bin/sh", "-c", _LATER, "sh", str(seconds), path, *command], [file.fileno()])
            file.write(f"-{group}")

    def cancel(self, name: str) -> None:
        self._end(name)

    def refresh_soon(self, seconds: float) -> None:
        self.run_later(int(seconds), SOON, [python(), "-I", self._layout.code, "refresh"])

    def _keep_running(self, resident: Resident) -> str:
        """A shell's command that starts a program unless it runs."""
        folder = shlex.quote(self._layout.runtime)
        pid, lock = shlex.quote(self._pid(RESIDENT)), shlex.quote(self._lock(RESIDENT))
        program = shlex.quote(f"echo $$ >{pid}; exec {' '.join(map(shlex.quote, resident.command))}")
        # The program may close what it inherits; but flock, which waits for it, does not.
        return f"mkdir -p -m 700 {folder}; setsid flock -n {lock} sh -c {program} </dev/null >/dev/null 2>&1 &"

    @staticmethod
    def _start(command: Sequence[str], inherited: Sequence[int] = ()) -> int:
        """Run what goes on in the background of a session of its own; the number of its process group."""
        try:
            shell = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"PATH": PATH},
                start_new_session=True,
                pass_fds=inherited,
            )
            shell.wait(_TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FirewallError(f"a process in the background could not be started: {error}", "files") from None
        return shell.pid

    def _end(self, name: str) -> None:
        """End a process of ours, and be back when it has ended; harmless where there is none."""
        held = self._lock(name) if name == RESIDENT else self._pid(name)
        if not os.path.exists(held):
            return
        with open(held, "ab") as file:
            end = time.monotonic() + _TIMEOUT
            while not _free(file.fileno()):
                pid = read(self._pid(name))
                if isinstance(pid, bytes) and pid.strip():
                    # Whose lock it is, is alive: so this number is nobody else's.
                    with contextlib.suppress(ProcessLookupError):
                        _signal(int(pid))
                if time.monotonic() > end:
                    raise FirewallError(f"the process of {held} does not end", "files")
                time.sleep(0.05)
        # The lock stays until forget: one who just waits for it must not hold what nobody else can see.
        remove(self._pid(name))

    def _pid(self, name: str) -> str:
        return os.path.join(self._layout.runtime, name + ".pid")

    def _lock(self, name: str) -> str:
        return os.path.join(self._layout.runtime, name + ".lock")


def every(seconds: int) -> str:
    """The times of cron for an interval: never rarer than asked for, as far as minutes go, and at least once a day."""
    minutes = max(1, -(-seconds // 60))
    if minutes < 60:
        return f"*/{minutes} * * * *"
    hours = minutes // 60
    return f"0 */{hours} * * *" if hours < 24 else "0 0 * * *"


def _entry(when: str, command: str) -> str:
    return f"{when} root " + command.replace("%", r"\%")  # cron's own newline


def _free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signal(pid: int) -> None:
    """``-pid``: the process group."""
    if pid < 0:
        os.killpg(-pid, signal.SIGTERM)
    else:
        os.kill(pid, signal.SIGTERM)
