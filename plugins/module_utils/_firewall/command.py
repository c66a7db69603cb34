# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The host's own tools, run to their end.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
import subprocess
from typing import Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError

#: Where administrators' tools are, also for cron and for users whose PATH lacks them.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT = 120


def complete(
    command: Sequence[str], text: str | None = None, reason: str = "provider_failed", path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in English, with ``text`` as its input; whatever its exit status is, it is for the caller.

    Raises :class:`FirewallError` where it cannot be run, or not within :data:`TIMEOUT` seconds.
    """
    try:
        return subprocess.run(
            command,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env={**os.environ, "LC_ALL": "C", **({"PATH": path} if path else {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FirewallError(f"{command[0]} could not be run: {error}", reason) from None
