# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A lock between the processes of one user: Ansible's workers would all find nothing, and each create it.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token_cache import default_directory, entry_name

TIMEOUT = 120.0  # seconds to wait for who holds it


@contextmanager
def one_at_a_time(what: str, *parts: str, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Hold the lock of a thing, which ``parts`` tell from others. The kernel frees it when its holder dies.

    Raises OptionError where it cannot be had: who went on without it could create ``what`` twice.
    """
    path = Path(default_directory().parent, "locks", f"{entry_name(*parts)}.lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise OptionError(
            f"{path.parent} cannot be used ({exc.strerror}): {what} must not be made twice, so a lock is needed; "
            "point XDG_RUNTIME_DIR or XDG_CACHE_HOME to a folder of your own"
        ) from None
    try:
        _acquire(descriptor, what, sleep)
        yield
    finally:
        os.close(descriptor)  # frees the lock


def _acquire(descriptor: int, what: str, sleep: Callable[[float], None]) -> None:
    pause, waited = 0.01, 0.0
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waited >= TIMEOUT:
                raise OptionError(f"another task has been working at {what} for {TIMEOUT:.0f} s: try later") from None
        sleep(pause)
        waited += pause
        pause = min(0.2, pause * 1.5)
