# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The ufw provider: as iptables, beside ufw's own chains.

ufw has no sets and no way to say whom a rule holds for, and its files belong to whoever runs ``ufw allow``. But it
leaves chains and jumps that it does not know where they are: through ``ufw reload``, disable and enable.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import re
import shutil

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.command import PATH
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.iptables import Iptables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.iptables_script import nothing
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError

_SETTINGS = ("/etc/default/ufw", "/etc/ufw/ufw.conf")


class Ufw(Iptables):
    """See :class:`provider.Provider`."""

    name = "ufw"
    packages = ("ufw", "ipset")
    tag = "ufw_ibm_quantum"
    nothing = nothing(tag)

    def _service(self) -> str | None:
        return "ufw.service"

    def missing(self) -> str | None:
        if not shutil.which("ufw", path=PATH):
            return f"the command ufw is not on this host: install the packages {' and '.join(self.packages)}"
        return super().missing()

    def check(self, ruleset: str) -> None:
        # Not a lack (see missing), for then the rules of a host whose ufw was disabled could not be taken off.
        settings = _settings()
        if settings.get("ENABLED") != "yes":
            raise FirewallError(
                "provider: ufw is not enabled on this host: run `ufw enable`, once it allows what has to come in (SSH, "
                "for one), or name another provider",
                "unsupported",
            )
        if settings.get("MANAGE_BUILTINS") == "yes":
            raise FirewallError(
                "provider: with MANAGE_BUILTINS=yes in /etc/default/ufw, every `ufw reload` removes the rules of all "
                "others, these too: set it to no, which is the default",
                "unsupported",
            )
        super().check(ruleset)


def _settings() -> dict[str, str]:
    """What ufw's files set, in lower case; the last one counts, as for the shell that reads them."""
    found: dict[str, str] = {}
    for path in _SETTINGS:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                found.update(re.findall(r"(?m)^\s*(\w+)=[\"']?(\w*)", file.read()))
        except OSError:
            continue
    return {name: value.lower() for name, value in found.items()}
