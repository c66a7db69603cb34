# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Something that is done when another process has ended, however it ended.

A process that is killed cannot clean up, and Ansible runs no ``always`` for a host that it cannot reach any more.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from typing import Callable


def at_end_of(pid: int, seconds: float, work: Callable[[], None]) -> None:
    """Call ``work`` in a process of its own when process ``pid`` has ended, or after so many seconds.

    Returns at once. That process holds nothing of this one open, belongs to no terminal and is not ended by the
    signals that end a group of processes; what ``work`` raises ends it silently. Raises OSError where it cannot be
    started.
    """
    child = os.fork()
    if child:
        if os.waitpid(child, 0)[1]:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return
    code = 1
    try:
        os.setsid()
        if os.fork() == 0:
            _detach()
            _wait(pid, seconds)
            work()
        code = 0
    finally:
        os._exit(code)  # pylint: disable=protected-access  # never back into the code that called


def _detach() -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    # Whoever reads from the process that called waits until every copy of its end is closed. Replaced, not closed: an
    # object that is collected later would close what has been given its number meanwhile.
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            os.fstat(int(name))  # the one that listed them is gone
            os.dup2(null, int(name))


def _wait(pid: int, seconds: float) -> None:
    """Return when the process has ended, or after so many seconds."""
    try:
        descriptor = os.pidfd_open(pid)  # Linux only
    except AttributeError:
        end = time.monotonic() + seconds
        while time.monotonic() < end and _alive(pid):
            time.sleep(0.5)
    except OSError:  # it has ended
        return
    else:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        ended.poll(seconds * 1000)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
