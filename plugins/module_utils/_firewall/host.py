# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the host's own units run: ``refresh`` (the timer) and ``rollback TOKEN`` (a change that nobody confirmed).

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import sys
from typing import Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.allowlist import Allowlist
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError


def main(arguments: Sequence[str] | None = None, allowlist: Allowlist | None = None) -> int:
    """Exit status 0 also without DNS, since keeping the last good addresses is what is wanted then; 1: a failure."""
    arguments = sys.argv[1:] if arguments is None else arguments
    allowlist = allowlist or Allowlist()
    try:
        if list(arguments) == ["refresh"]:
            messages = allowlist.refresh()
        elif len(arguments) == 2 and arguments[0] == "rollback":
            messages = allowlist.roll_back(arguments[1])
        else:
            messages = ["usage: egress.pyz refresh | rollback TOKEN"]
            return 2
    except (FirewallError, OSError) as error:
        messages = [str(error)]
        return 1
    finally:
        sys.stdout.write("\n".join(messages) + "\n")
        sys.stdout.flush()
    return 0
