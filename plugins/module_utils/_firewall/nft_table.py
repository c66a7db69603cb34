# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What of an allowlist is the same in every table of nftables: sets of addresses, and the rules that accept by them.

Why elements carry no timeouts: expiry is decided where the DNS answers are known (see :mod:`store`). A host whose
timer or DNS has stopped keeps its last good addresses, which a timeout in the kernel would take away.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from typing import Any, Iterable, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nft import Objects
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import (
    PROTOCOLS,
    Destination,
    Rules,
    Service,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import Live

#: IP version to what nft calls its header and its addresses.
KINDS = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}
_VERSIONS = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
#: A set of learnt addresses: protocol, port, IP version, generation.
_LEARNT = re.compile(r"(tcp|udp)(\d+)_v([46])_([01])")
#: All sets whose elements come and go.
_MOVING = re.compile(_LEARNT.pattern + r"$|dns_v[46]$")


class Table(NamedTuple):
    """``name``: family and name. ``prefix``: what the names of our objects in it begin with."""

    name: str
    prefix: str = ""

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions that come by."""
        return _VERSIONS[self.name.split()[0]]

    def sets(self, rules: Rules) -> list[str]:
        """The declarations of all sets and of the counter ``allowed``."""
        sets = self._contents(rules)
        for (service, version), nets in self._networks(rules).items():
            sets.append((self._fixed(service, version), f"{KINDS[version][1]}; flags interval", nets))
        lines = [f"counter {self.prefix}allowed {{ }}"]
        for name, kind, elements in sets:
            inside = f" elements = {{ {', '.join(elements)} }};" if elements else ""
            lines.append(f"set {name} {{ type {kind};{inside} }}")
        return lines

    def replies(self, rules: Rules) -> list[str]:
        """The rules that keep the host's management going."""
        if not rules.management_ports:
            return []
        ports = ", ".join(map(str, rules.management_ports))
        # Replies only, so the source port opens nothing: whoever begins a connection sends SYN without ACK.
        return [f"tcp sport {{ {ports} }} tcp flags & (fin | syn | rst | ack) != syn accept"]

    def accepts(self, rules: Rules) -> list[str]:
        """The rules that let through what the allowlist names."""
        lines = []
        asker = "" if rules.resolver is None else f"meta skuid {rules.resolver} "
        for version in self.versions:
            match = f"{asker}{KINDS[version][0]} daddr @{self.prefix}dns_v{version}"
            lines += [f"{match} {protocol} dport 53 accept" for protocol in PROTOCOLS]
        if rules.ntp:
            lines.append("udp dport 123 accept")
        chosen = [
            (service, version, self._learnt(service, version, generation))
            for service in rules.services
            for version in self.versions
            for generation in range(rules.sets)
        ]
        chosen += [(service, version, self._fixed(service, version)) for service, version in self._networks(rules)]
        for service, version, name in chosen:
            match = f"{KINDS[version][0]} daddr @{name} {service.protocol} dport {service.port}"
            lines.append(f"{match} counter name {self.prefix}allowed accept")
        return lines

    def update(self, rules: Rules) -> str:
        """What has the sets hold the learnt addresses and the name servers of these rules."""
        text = ""
        for name, _type, elements in self._contents(rules):
            if not (rules.filled and self._is_learnt(name)):  # what dnsmasq added meanwhile must not be lost
                text += f"flush set {self.name} {name}\n"
            if elements:
                text += f"add element {self.name} {name} {{ {', '.join(elements)} }}\n"
        return text

    def sweep(self, rules: Rules, generation: int) -> str:
        """What empties one generation of the sets."""
        names = [self._learnt(service, version, generation) for service in rules.services for version in self.versions]
        return "".join(f"flush set {self.name} {name}\n" for name in names)

    def filled(self, service: Service) -> list[str]:
        """The sets of a service as dnsmasq calls them."""
        return [
            f"{version}#{self.name.replace(' ', '#')}#{self._learnt(service, version, generation)}"
            for version in self.versions
            for generation in (0, 1)
        ]

    def _contents(self, rules: Rules) -> list[tuple[str, str, list[str]]]:
        """Name, type and elements of every set whose elements come and go."""
        sets = []
        for version in self.versions:
            servers = _ordered(a for a in rules.dns_servers if _version(a) == version)
            sets.append((f"{self.prefix}dns_v{version}", KINDS[version][1], servers))
        addresses: dict[tuple[Service, int], list[str]] = {}
        for destination in rules.learnt:
            addresses.setdefault((destination.service, _version(destination.host)), []).append(destination.host)
        for service in rules.services:
            for version in self.versions:
                elements = _ordered(addresses.get((service, version), ()))
                for generation in range(rules.sets):
                    sets.append((self._learnt(service, version, generation), KINDS[version][1], elements))
        return sets

    def _networks(self, rules: Rules) -> dict[tuple[Service, int], list[str]]:
        """The fixed addresses and networks of each service and IP version; overlaps are merged, as nft wants it."""
        chosen: dict[tuple[Service, int], list[Any]] = {}
        for destination in rules.fixed:
            net = ipaddress.ip_network(destination.host)
            if net.version in self.versions:
                chosen.setdefault((destination.service, net.version), []).append(net)
        return {key: list(map(str, ipaddress.collapse_addresses(chosen[key]))) for key in sorted(chosen)}

    def _learnt(self, service: Service, version: int, generation: int) -> str:
        return f"{self.prefix}{service.protocol}{service.port}_v{version}_{generation}"

    def _fixed(self, service: Service, version: int) -> str:
        return f"{self.prefix}{service.protocol}{service.port}_n{version}"

    def _is_learnt(self, name: str) -> bool:
        return _LEARNT.fullmatch(name[len(self.prefix) :]) is not None


def live(tables: Iterable[Table], objects: Objects) -> Live:
    """What our objects, as nft lists them, come to.

    Where there are several tables, an address counts as learnt when all of its IP version have it, and packets add up.
    """
    kept = {table.name: table for table in tables}
    counters: dict[str, dict[str, int]] = {}
    learnt: dict[tuple[str, int], set[Destination]] = {}
    servers: dict[tuple[str, int], set[str]] = {}
    lasting = []
    for kind, body in objects:
        table = kept.get(f"{body['family']} {body.get('table')}", Table(""))
        name = body.get("name", "")[len(table.prefix) :]
        if kind == "counter":
            total = counters.setdefault(name, {"packets": 0, "bytes": 0})
            for key in total:
                total[key] += body.pop(key)
        elif kind == "set" and _MOVING.match(name):
            elements = map(_plain, body.pop("elem", []))
            found = _LEARNT.fullmatch(name)
            if found:
                here = learnt.setdefault((table.name, int(found[3])), set())
                here |= {Destination(host, int(found[2]), found[1]) for host in elements}
            else:
                servers.setdefault((table.name, int(name[-1])), set()).update(elements)
        lasting.append({kind: body})
    digest = hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()
    return Live(digest, _everywhere(learnt), _everywhere(servers), counters)


def _everywhere(found: dict[tuple[str, int], set[Any]]) -> frozenset[Any]:
    """Of each IP version, what all tables have."""
    result: set[Any] = set()
    for version in KINDS:
        here = [elements for (_table, of), elements in found.items() if of == version]
        result |= set.intersection(*here) if here else set()
    return frozenset(result)


def _version(host: str) -> int:
    return ipaddress.ip_network(host).version


def _plain(address: str) -> str:
    """The one spelling of an address that is compared: nft writes some IPv6 addresses otherwise than Python."""
    return str(ipaddress.ip_address(address))


def _ordered(addresses: Iterable[str]) -> list[str]:
    return [str(a) for a in sorted({ipaddress.ip_address(a) for a in addresses}, key=int)]
