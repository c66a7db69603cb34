# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The ports that the host is managed through, when nobody names them.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import glob
import os
from typing import Iterable

DEFAULT_PORT = 22
_SSHD_CONFIG = ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf")


def ports(proc: str = "/proc", sshd_config: Iterable[str] = _SSHD_CONFIG) -> list[int]:
    """The server port of the SSH session this runs in; outside of one those that sshd is configured with."""
    session = session_port(proc)
    return [session] if session else sshd_ports(sshd_config)


def session_port(proc: str = "/proc", pid: int | None = None) -> int | None:
    """The port from SSH_CONNECTION of this process or of the nearest ancestor that has it (sudo removes it)."""
    pid = os.getpid() if pid is None else pid
    while pid > 1:
        try:
            with open(f"{proc}/{pid}/environ", "rb") as file:
                environment = file.read().split(b"\0")
            with open(f"{proc}/{pid}/stat", "rb") as file:
                # "pid (command) state ppid ...", where the command may hold anything, also ")".
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return None
        for entry in environment:
            name, _equals, value = entry.partition(b"=")
            words = value.split()  # client address, client port, server address, server port
            if name == b"SSH_CONNECTION" and len(words) == 4 and words[3].isdigit():
                return int(words[3])
        pid = parent
    return None


def sshd_ports(patterns: Iterable[str] = _SSHD_CONFIG) -> list[int]:
    """The Port lines of sshd's configuration; sshd's own default without any."""
    found = set()
    for path in (path for pattern in patterns for path in sorted(glob.glob(pattern))):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = [line.replace("=", " ").split() for line in file]
        except OSError:
            continue
        found |= {int(w[1]) for w in lines if len(w) > 1 and w[0].lower() == "port" and w[1].isdigit()}
    return sorted(found) or [DEFAULT_PORT]
