# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which firewall a host has, and what keeps it there: the provider and the scheduler that fit.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import shutil
from functools import partial
from typing import Callable

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.command import PATH
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.cron import Cron
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.firewalld import Firewalld
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.iptables import Iptables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables import Nftables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables_inside import NftablesInside
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import (
    FirewallError,
    Place,
    Provider,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.scheduler import Scheduler
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Layout
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.systemd import Systemd, running
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.ufw import Ufw

AUTO = "auto"
_KINDS: tuple[type[Provider], ...] = (Nftables, Firewalld, Ufw, Iptables)
#: As the option calls them.
PROVIDERS = tuple(kind.name for kind in _KINDS)
#: Services whose being active says who owns a host.
_SERVICES = {
    "firewalld": ("firewalld.service",),
    "iptables": ("netfilter-persistent.service", "iptables.service", "ip6tables.service"),
    "nftables": ("nftables.service",),
}


def provider(place: Place) -> Provider:
    """The provider of a place."""
    if place.chains:
        return NftablesInside(place.chains)
    return {kind.name: kind for kind in _KINDS}[place.provider]()


def scheduled(layout: Layout) -> bool:
    """Whether the host has anything that could run ours by itself."""
    return running(layout) or os.path.isdir(layout.cron)


def schedules(layout: Layout) -> list[str]:
    """Every path that any scheduler can have."""
    return [*Systemd(layout).paths(), *Cron(layout).paths()]


def scheduler(layout: Layout) -> Scheduler:
    """Systemd where it runs, else cron. Raises :class:`FirewallError` without either."""
    if running(layout):
        return Systemd(layout)
    if os.path.isdir(layout.cron):
        return Cron(layout)
    raise FirewallError(
        "neither systemd nor a cron that reads /etc/cron.d is on this host: one of them is needed to keep the "
        "addresses fresh and the rules across reboots",
        "no_systemd",
    )


def owner(root: str = "/") -> str:
    """The provider that owns this host: the one whose service is active, read from files.

    Where none is, the first whose commands are there. Raises :class:`FirewallError` where two are active.
    """
    owners = [name for name, services in _SERVICES.items() if any(_active(root, service) for service in services)]
    if _ufw_enabled(root):
        owners.append("ufw")
    if len(owners) > 1:
        names = " and ".join(sorted(owners))
        raise FirewallError(
            f"provider: {names} are both active on this host, and which of them owns it is not to be guessed: name "
            "one, or stop the other",
            "two_firewalls",
        )
    if owners:
        return owners[0]
    if not shutil.which("nft", path=PATH) and all(shutil.which(c, path=PATH) for c in ("iptables-restore", "ipset")):
        return "iptables"
    return "nftables"


def capable(policy: Policy, chosen: Provider) -> None:
    """Raises :class:`FirewallError` for what a provider cannot do, and says which can."""
    wants: list[tuple[str, Callable[[type[Provider]], bool]]] = [
        (f"mode={policy.mode}", lambda kind: policy.mode in kind.modes),
        (f"resolution={policy.resolution}", lambda kind: policy.resolution in kind.resolutions),
    ]
    for scope in sorted(policy.scopes):
        wants.append((f"only_{scope}", partial(_has_scope, scope)))
    if policy.chain is not None:
        wants.append(("chain", lambda kind: issubclass(kind, Nftables)))
    for what, can in wants:
        if not can(type(chosen)):
            able = ", ".join(kind.name for kind in _KINDS if can(kind)) or "none"
            raise FirewallError(f"{what}: the provider {chosen.name} cannot do this; {able} can", "unsupported")


def _has_scope(scope: str, kind: type[Provider]) -> bool:
    return scope in kind.scopes


def _active(root: str, service: str) -> bool:
    # What systemd itself keeps for units that are active; without systemd, nobody's services are.
    return os.path.lexists(os.path.join(root, "run/systemd/units", f"invocation:{service}"))


def _ufw_enabled(root: str) -> bool:
    try:
        with open(os.path.join(root, "etc/ufw/ufw.conf"), encoding="utf-8", errors="replace") as file:
            return re.search(r"(?mi)^\s*ENABLED\s*=\s*[\"']?yes", file.read()) is not None
    except OSError:
        return False
