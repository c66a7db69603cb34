# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What an allowlist comes to on a host's disk: every file and link, but for the state.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
from typing import Callable, Iterable, Mapping

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import archive, choose
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.dnsmasq import Dnsmasq
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy, Rules
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import Place, Provider
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.scheduler import Resident
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import (
    Content,
    Layout,
    read,
    to_json,
)


class Footprint:
    """``make`` gives the provider of a place."""

    def __init__(self, layout: Layout, make: Callable[[Place], Provider], dnsmasq: Dnsmasq) -> None:
        self._layout = layout
        self._make = make
        self._dnsmasq = dnsmasq

    def fleeting(self, policy: Policy, provider: Provider, wanted: Rules) -> dict[str, Content]:
        """The files that follow DNS: path to content."""
        files: dict[str, Content] = {self._layout.path(p): content for p, content in provider.files(wanted).items()}
        if provider.boot_command(self._layout.ruleset):
            files[self._layout.ruleset] = provider.render(wanted).encode()
        if policy.resolution == "dns":
            files.update(self._dnsmasq.files(policy, provider, sorted(wanted.dns_servers)))
        return files

    def files(self, policy: Policy, provider: Provider, wanted: Rules, resident: Resident | None) -> dict[str, Content]:
        """All that there is to be."""
        return {
            **choose.scheduler(self._layout).files(policy, provider, resident),
            **self.fleeting(policy, provider, wanted),
            self._layout.code: archive.build(),
            self._layout.policy: to_json(policy.as_dict()),
        }

    def paths(self) -> list[str]:
        """All that there may be, whatever the policy, and the state."""
        layout = self._layout
        mine = [layout.ruleset, layout.code, layout.policy, layout.state, *self._dnsmasq.paths()]
        for name in choose.PROVIDERS:
            mine += map(layout.path, self._make(Place(name)).paths())
        return [*choose.schedules(layout), *mine]

    def there(self) -> list[str]:
        """What there is."""
        return [path for path in self.paths() if os.path.lexists(path)]

    def stale(self, wanted: Iterable[str]) -> list[str]:
        """What there is but for the state, and is not wanted."""
        kept = {*wanted, self._layout.state}
        return [path for path in self.there() if path not in kept]


def differing(files: Mapping[str, Content]) -> dict[str, Content]:
    """Those that are missing or have other content on disk."""
    return {path: content for path, content in files.items() if read(path) != content}
