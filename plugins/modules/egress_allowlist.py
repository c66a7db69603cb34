#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: egress_allowlist
short_description: Allow a host to reach the IBM Quantum Platform and nothing else
version_added: 0.1.0
description:
  - Limits the connections that a host may open to the endpoints of the IBM Quantum Platform, by name, and to the
    endpoints that you add.
  - The names are resolved on the host; a systemd timer, or cron, asks again every O(refresh_interval) seconds and
    lets the rules follow. When DNS does not answer, the last good addresses stay. With O(resolution=dns) the rules
    are filled from the very answers that programs get instead.
  - Allowed besides, always - the loopback interface, connections that are established or related, replies from
    O(management_ports), the ICMP messages that IPv4 and IPv6 cannot do without, and DHCP. DNS is allowed to
    O(dns_servers) only.
  - Works with the firewall that the host has - nftables, firewalld, ufw or iptables - in objects of its own; the
    rules of others are never changed, flushed or reordered. Only what the host itself sends is limited, not what it
    forwards for others, for example for containers on a bridge.
  - Rules that can cut the host off are confirmed over a new connection; without this confirmation the host rolls them
    back by itself after O(confirm_timeout) seconds.
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
requirements:
  - Linux with systemd, or a cron that reads C(/etc/cron.d), on the host
  - C(nft) 0.9.8 or newer, firewalld 0.9 or newer, ufw, or iptables with ipset on the host
  - root on the host
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ibm_quantum.platform.endpoints
attributes:
  check_mode:
    support: full
    details: Names that the host has not resolved before are resolved.
  diff_mode:
    support: full
    details: Shows names, addresses and rules.
  platform:
    support: full
    platforms: linux
options:
  state:
    description:
      - V(present) has the allowlist in force, now and after a reboot.
      - V(absent) removes the rules, the units and every file that this module made.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - With V(enforce) everything else is rejected, and programs fail at once.
      - With V(audit) everything else is let through and counted, see RV(counters).
      - V(allow) is for a host that already blocks what leaves it, by a policy of its own - the endpoints are opened
        in that policy, and nothing is blocked. An accept in one chain of nftables does not override a drop in
        another; so this works inside the chains that block, see O(chain) and RV(chains).
    type: str
    choices: [enforce, audit, allow]
    default: enforce
  provider:
    description:
      - The firewall to work with.
      - V(auto) takes the one that owns the host - firewalld, ufw, iptables (as C(netfilter-persistent) or
        C(iptables.service)) or nftables, whichever is active - and nftables or iptables, whichever is there, where
        none is. It fails where two are active.
    type: str
    choices: [auto, nftables, firewalld, ufw, iptables]
    default: auto
  chain:
    description:
      - With O(mode=allow) and nftables, the chain that blocks, as C(FAMILY TABLE CHAIN), such as V(inet filter output).
      - The default is every chain of the hook output that drops or rejects what it does not accept.
    type: str
  resolution:
    description:
      - How names become addresses.
      - V(resolve) asks DNS now and then. A name that moves is blocked at its new address until it is asked for again.
      - V(dns) has a C(dnsmasq) of its own on the host, which adds each address to the rules before it answers, so
        that no client is ever ahead of them. C(/etc/resolv.conf) then names it, and nobody else may ask name servers.
    type: str
    choices: [resolve, dns]
    default: resolve
  only_users:
    description: The rules hold only for these users, by name or number. Not with O(mode=allow).
    type: list
    elements: str
    default: []
  only_groups:
    description: The rules hold only for processes with one of these as their group. Not with O(mode=allow).
    type: list
    elements: str
    default: []
  only_slices:
    description:
      - The rules hold only for processes in these slices of systemd, such as V(quantum.slice). Not with O(mode=allow).
    type: list
    elements: str
    default: []
  endpoints:
    description: Endpoints to allow besides those of IBM Quantum.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description:
          - A host name, an address, or a network such as V(192.0.2.0/24).
          - With O(resolution=dns) also a wildcard such as V(*.cloud.ibm.com).
        type: str
        required: true
      port:
        description: The port.
        type: int
        default: 443
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
  package_mirrors:
    description: Whether the package mirrors may be reached that the host's own package manager is configured with.
    type: bool
    default: false
  proxies:
    description:
      - The proxies that the host reaches IBM Quantum through, as V(http://HOST:PORT).
      - Then these are allowed in the place of IBM's endpoints; O(endpoints) are still allowed.
    type: list
    elements: str
    default: []
  management_ports:
    description:
      - The TCP ports on which this host is managed. Replies from them are let through before any other rule, so that
        no state of the kernel's connection tracking can cut a session.
      - The default is the port of the SSH connection that the module runs in; without one, the ports that sshd is
        configured with.
    type: list
    elements: int
  dns_servers:
    description:
      - The addresses that DNS queries may go to, with UDP and TCP on port 53.
      - The default is the name servers of C(/etc/resolv.conf), which the refresh follows when they change. Where it
        names a local resolver, the servers that C(systemd-resolved) or C(NetworkManager) asks are taken.
    type: list
    elements: str
  ntp:
    description:
      - Whether time servers may be asked, that is UDP to port 123 of any address.
      - The default is V(true), and V(false) with O(mode=allow).
    type: bool
  ntp_servers:
    description: The time servers that may be asked, by name or address; no others then.
    type: list
    elements: str
  refresh_interval:
    description: Seconds between two looks into DNS.
    type: int
    default: 300
  address_lifetime:
    description: Seconds for which an address stays allowed after DNS last gave it, as long as its name still resolves.
    type: int
    default: 86400
  confirm_timeout:
    description:
      - Seconds after which the host rolls back rules that were not confirmed over a new connection.
      - V(0) applies them without this guard.
    type: int
    default: 60
  confirm:
    description: Used between this module and its action plugin to confirm a change; not to be set in playbooks.
    type: str
notes:
  - What the module leaves on a host, what it guarantees and what it cannot is described in the collection's guide
    C(docs/firewall.md).
"""

EXAMPLES = r"""
- name: Allow the IBM Quantum Platform and a package mirror, nothing else
  ibm_quantum.platform.egress_allowlist:
    regions: [us-east, eu-de]
    endpoints:
      - host: deb.debian.org
        port: 80

- name: Only count what the allowlist would block
  ibm_quantum.platform.egress_allowlist:
    mode: audit
  register: allowlist

- name: Show the packets that would have been blocked
  ansible.builtin.debug:
    var: allowlist.counters.would_block.packets

- name: Open the endpoints in the policy by which the host already blocks what leaves it
  ibm_quantum.platform.egress_allowlist:
    mode: allow

- name: Limit one user of a shared host, and follow names without any delay
  ibm_quantum.platform.egress_allowlist:
    only_users: [quantum]
    resolution: dns
    endpoints:
      - host: "*.cloud.ibm.com"

- name: Let the host reach its proxy only
  ibm_quantum.platform.egress_allowlist:
    proxies: [http://proxy.example.com:3128]

- name: Take the allowlist off
  ibm_quantum.platform.egress_allowlist:
    state: absent
"""

RETURN = r"""
endpoints:
  description: What is allowed, each with the addresses it has at the moment; none where a name does not resolve.
  returned: when O(state=present)
  type: list
  elements: dict
  sample:
    - host: iam.cloud.ibm.com
      port: 443
      protocol: tcp
      addresses: [192.0.2.10, "2001:db8::10"]
management_ports:
  description: The TCP ports whose replies are let through before any other rule.
  returned: when O(state=present)
  type: list
  elements: int
  sample: [22]
dns_servers:
  description: The name servers that may be asked.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [192.0.2.53]
provider:
  description: The firewall that was found or named.
  returned: when O(state=present)
  type: str
  sample: nftables
chains:
  description: With O(mode=allow) and nftables, the chains in which the endpoints are opened.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [inet filter output]
packages:
  description: The packages of the distribution that are missing.
  returned: when RV(reason) is V(provider_missing)
  type: list
  elements: str
  sample: [nftables]
counters:
  description:
    - Packets and bytes since the rules were last loaded - RV(counters.allowed) to the endpoints, and
      RV(counters.blocked) or, with O(mode=audit), RV(counters.would_block) to anywhere else.
  returned: when O(state=present) and not in check mode before the first run
  type: dict
  contains:
    allowed:
      description: What went to the endpoints.
      returned: always
      type: dict
      sample: {packets: 12, bytes: 720}
    blocked:
      description: What was rejected.
      returned: when O(mode=enforce)
      type: dict
      sample: {packets: 0, bytes: 0}
    would_block:
      description: What O(mode=enforce) would have rejected.
      returned: when O(mode=audit)
      type: dict
      sample: {packets: 3, bytes: 180}
reason:
  description:
    - A word for the kind of the problem - V(invalid), V(unsupported), V(not_root), V(no_systemd),
      V(provider_missing), V(provider_failed), V(two_firewalls), V(nothing_blocks), V(runtime_only), V(no_dns),
      V(dns_servers_unknown), V(dnsmasq_failed), V(locked), V(systemd), V(files), V(not_confirmed) or V(rolled_back).
    - V(provider_missing) is also returned in check mode, where the missing package is no failure.
  returned: on failure, and in check mode when packages are missing
  type: str
  sample: provider_missing
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import CATALOGUE_SPEC
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.allowlist import Allowlist, Outcome
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.choose import AUTO, PROVIDERS
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.discovery import declared_here
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import (
    CONFIRM_TIMEOUT,
    MODES,
    PROTOCOLS,
    RESOLUTIONS,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "mode": {"type": "str", "choices": list(MODES), "default": "enforce"},
    "provider": {"type": "str", "choices": [AUTO, *PROVIDERS], "default": AUTO},
    "chain": {"type": "str"},
    "resolution": {"type": "str", "choices": list(RESOLUTIONS), "default": "resolve"},
    "only_users": {"type": "list", "elements": "str", "default": []},
    "only_groups": {"type": "list", "elements": "str", "default": []},
    "only_slices": {"type": "list", "elements": "str", "default": []},
    **CATALOGUE_SPEC,
    "endpoints": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "protocol": {"type": "str", "choices": list(PROTOCOLS), "default": "tcp"},
        },
    },
    "package_mirrors": {"type": "bool", "default": False},
    "proxies": {"type": "list", "elements": "str", "default": []},
    "management_ports": {"type": "list", "elements": "int"},
    "dns_servers": {"type": "list", "elements": "str"},
    "ntp": {"type": "bool"},
    "ntp_servers": {"type": "list", "elements": "str"},
    "refresh_interval": {"type": "int", "default": 300},
    "address_lifetime": {"type": "int", "default": 86400},
    "confirm_timeout": {"type": "int", "default": CONFIRM_TIMEOUT},
    "confirm": {"type": "str"},
}


def run(options: dict[str, Any], allowlist: Allowlist, check: bool) -> tuple[dict[str, Any], Outcome | None]:
    """The module's result without diff, and what came of it. Raises FirewallError."""
    if options["confirm"]:
        return {"changed": True, "counters": allowlist.confirm(options["confirm"])}, None
    if options["state"] == "absent":
        outcome = allowlist.absent(check)
        return {"changed": outcome.changed}, outcome
    policy = declared_here(options)
    outcome = allowlist.present(policy, options["confirm_timeout"], check)
    result: dict[str, Any] = {
        "changed": outcome.changed,
        "provider": policy.provider,
        "chains": list(outcome.chains),
        "endpoints": outcome.endpoints,
        "management_ports": list(policy.management_ports),
        "dns_servers": outcome.dns_servers,
        "counters": outcome.counters,
    }
    if outcome.reason:
        result.update(reason=outcome.reason, packages=list(outcome.packages))
    if outcome.pending:
        result["pending_confirmation"] = {"token": outcome.pending, "seconds": options["confirm_timeout"]}
    return result, outcome


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    if os.geteuid() != 0:
        module.fail_json(msg="this module needs root on the host: set become", reason="not_root")
    try:
        result, outcome = run(module.params, Allowlist(), module.check_mode)
    except FirewallError as error:
        lacking = {"packages": list(error.packages)} if error.packages else {}
        module.fail_json(msg=str(error), reason=error.reason, **lacking)
    except OSError as error:
        module.fail_json(msg=f"a file of the allowlist could not be handled: {error}", reason="files")
    if outcome:
        for warning in outcome.warnings:
            module.warn(warning)
        result["diff"] = {
            "before_header": "egress allowlist",
            "after_header": "egress allowlist",
            "before": outcome.before,
            "after": outcome.after,
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
