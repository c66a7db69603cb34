# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""An allowlist in words for people: what --diff and the journal show.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy, Rules
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import Live, Provider
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import State


def describe(policy: Policy, state: State, provider: Provider, lasting: Rules) -> str:
    """Names, addresses and rules of a policy; ``lasting``: the rules without what is learnt."""
    chains = state.places[-1].chains if state.places else ()
    limits = {scope: getattr(policy, scope) for scope in sorted(policy.scopes)}
    followed = " (followed from resolv.conf)" if policy.dns_servers is None else ""
    lines = [
        f"mode: {policy.mode}",
        f"provider: {policy.provider}" + (f", in {', '.join(chains)}" if chains else ""),
        f"names: by {policy.resolution}",
        *(f"only {scope}: {', '.join(names)}" for scope, names in limits.items()),
        "management ports: " + (", ".join(map(str, policy.management_ports)) or "none"),
        "DNS servers: " + (", ".join(state.dns_servers) or "none") + followed,
        "NTP: " + ("allowed" if policy.ntp else "blocked"),
        f"refreshed every {policy.refresh_interval} s, addresses kept {policy.address_lifetime} s",
    ]
    for destination in policy.destinations:
        lines.append(f"allowed: {destination}")
        lines += [f"    {address}" for address in sorted(state.addresses.get(destination.host, ()))]
    return "\n".join([*lines, "rules:", provider.explain(lasting)])


def moves(live: Live, wanted: Rules) -> str:
    """The difference in addresses, as +ADDRESS -ADDRESS."""
    before = {d.host for d in live.learnt} | live.dns_servers
    after = {d.host for d in wanted.learnt} | wanted.dns_servers
    return " ".join(["+" + a for a in sorted(after - before)] + ["-" + a for a in sorted(before - after)])
