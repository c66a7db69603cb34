# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The policy that the module's options come to on this very host: what they leave open is found out here.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import management, mirrors
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.choose import AUTO, owner
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy, declare


def declared_here(options: Mapping[str, Any]) -> Policy:
    """Raises :class:`provider.FirewallError` that names the option."""
    return declare(
        options,
        owner() if options["provider"] == AUTO else options["provider"],
        () if options["management_ports"] is not None else management.ports(),
        mirrors.destinations() if options["package_mirrors"] else (),
    )
