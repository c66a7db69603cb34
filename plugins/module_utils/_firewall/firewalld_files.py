# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The files of the firewalld provider: the policy ``ibm-quantum`` from HOST to ANY, and the ipsets ``ibm-quantum-...``.

A ruleset is these files, each after a line ``# PATH``. The formats are those of the manual pages firewalld.policy(5),
firewalld.ipset(5) and firewalld.richlanguage(5).

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any, Iterable, Iterator, Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import PROTOCOLS, Rules, Service

NAME = "ibm-quantum"
ETC = "/etc/firewalld"
POLICY = f"{ETC}/policies/{NAME}.xml"
#: Before the policies of others; lower is not possible.
PRIORITY = -32768
_WRITTEN, _TRIED = "Written by", "Being tried by"
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<!-- {} the Ansible collection ibm_quantum.platform. -->\n'
#: An ipset of learnt addresses: protocol, port, IP version.
LEARNT = re.compile(NAME + r"-(tcp|udp)(\d+)-v([46])")
DNS = re.compile(NAME + r"-dns-v([46])")
#: See nft_table.py; what goes to a multicast address of the link, as listener reports do, stays on the link.
_ICMP = ("destination-unreachable", "time-exceeded", "parameter-problem")
_ICMPV6 = (*_ICMP, "packet-too-big", "router-solicitation", "neighbour-solicitation", "neighbour-advertisement")
#: After all others. Not as target of the policy, which firewalld does not change at runtime.
_REJECTS = [
    f'  <rule priority="32767" family="{family}"><reject type="{kind}"/></rule>'
    for family, kind in (("ipv4", "icmp-admin-prohibited"), ("ipv6", "icmp6-adm-prohibited"))
]


def files(rules: Rules) -> dict[str, bytes]:
    """Absolute path to content; equal rules give equal bytes."""
    texts = {POLICY: _policy(rules)}
    texts.update({f"{ETC}/ipsets/{name}.xml": _ipset(name, v, elements) for name, v, elements in sets(rules)})
    return {path: (_HEAD.format(_WRITTEN) + text).encode() for path, text in texts.items()}


def trial(wanted: Mapping[str, str], confirmed: Mapping[str, bytes]) -> dict[str, bytes]:
    """What may lie on disk while firewalld reloads, for it would outlive a power failure: nothing that could shut
    anybody out. So the rules that reject are there only if they are confirmed, and then with the management ports that
    were confirmed with them."""
    texts = {path: text.replace(_WRITTEN, _TRIED, 1) for path, text in wanted.items()}
    old = confirmed.get(POLICY, b"").decode().splitlines()
    lines = texts[POLICY].splitlines()
    rejects = [line for line in _REJECTS if line in lines]
    ports = [line for line in old if "<source-port" in line and line not in lines]
    lines = [line for line in lines[:-1] if line not in rejects] + ports + [line for line in rejects if line in old]
    texts[POLICY] = "\n".join([*lines, "</policy>", ""])
    return {path: text.encode() for path, text in texts.items()}


def tried(content: bytes) -> bool:
    """Whether this is such a file, which a killed run left."""
    return _TRIED.encode() in content


def text(contents: Mapping[str, bytes]) -> str:
    """Files as a ruleset."""
    return "".join(f"# {path}\n{content.decode()}" for path, content in sorted(contents.items()))


def sets(rules: Rules) -> list[tuple[str, int, list[str]]]:
    """Name, IP version and entries of every ipset."""
    sets = [(f"{NAME}-dns-v{v}", v, _ordered(a for a in rules.dns_servers if _version(a) == v)) for v in (4, 6)]
    for service in rules.services:
        for version in (4, 6):
            hosts = (d.host for d in rules.learnt if d.service == service and _version(d.host) == version)
            sets.append((_named(service, "v", version), version, _ordered(hosts)))
    for service, version in _fixed(rules):
        nets = [ipaddress.ip_network(d.host) for d in rules.fixed if d.service == service]
        chosen: list[Any] = [net for net in nets if net.version == version]
        sets.append((_named(service, "n", version), version, list(map(plain, ipaddress.collapse_addresses(chosen)))))
    return sets


def plain(net: Any) -> str:
    """The one spelling of a network that is compared: one of a single address is an address."""
    return str(net.network_address if net.num_addresses == 1 else net)


def _fixed(rules: Rules) -> list[tuple[Service, int]]:
    return sorted({(d.service, _version(d.host)) for d in rules.fixed})


def _named(service: Service, kind: str, version: int) -> str:
    return f"{NAME}-{service.protocol}{service.port}-{kind}{version}"


def is_moving(name: str) -> bool:
    """Whether the entries of this ipset come and go."""
    return bool(LEARNT.fullmatch(name) or DNS.fullmatch(name))


def _ipset(name: str, version: int, entries: Iterable[str]) -> str:
    kind = "hash:ip" if is_moving(name) else "hash:net"
    family = "inet" if version == 4 else "inet6"
    lines = [f'<ipset type="{kind}">', f'  <option name="family" value="{family}"/>']
    return "\n".join([*lines, *(f"  <entry>{entry}</entry>" for entry in entries), "</ipset>", ""])


def _policy(rules: Rules) -> str:
    lines = [
        f'<policy target="CONTINUE" priority="{PRIORITY}">',
        '  <ingress-zone name="HOST"/>',
        '  <egress-zone name="ANY"/>',
    ]
    for version, *elements in _accepts(rules):
        family = f' family="ipv{version}"' if version else ""
        inside = "".join(
            f"<{tag} {' '.join(k + '=' + quoteattr(v) for k, v in given.items())}/>" for tag, given in elements
        )
        lines.append(f"  <rule{family}>{inside}<accept/></rule>")
    if rules.mode == "enforce":
        lines += _REJECTS
    return "\n".join([*lines, "</policy>", ""])


def _accepts(rules: Rules) -> Iterator[tuple[Any, ...]]:
    """The rules that let through what may leave: IP version (0: both), and elements of firewalld's rich language.

    firewalld itself lets through loopback and established connections, before all policies.
    """

    def port(tag: str, number: int, protocol: str) -> tuple[str, dict[str, str]]:
        return tag, {"port": str(number), "protocol": protocol}

    def to(name: str) -> tuple[str, dict[str, str]]:
        return "destination", {"ipset": name}

    for number in rules.management_ports:
        # For the session that loads this, should connection tracking not know it.
        yield 0, port("source-port", number, "tcp")
    for version, names in ((4, _ICMP), (6, _ICMPV6)):
        for name in names:
            yield version, ("icmp-type", {"name": name})
    yield 6, ("destination", {"address": "ff02::/16"}), ("protocol", {"value": "ipv6-icmp"})
    # DHCP by its client's port, which is root's: a rule cannot ask for both ports.
    yield 4, port("source-port", 68, "udp")
    yield 6, port("source-port", 546, "udp")
    for version in (4, 6):
        for protocol in PROTOCOLS:
            yield version, to(f"{NAME}-dns-v{version}"), port("port", 53, protocol)
    if rules.ntp:
        yield 0, port("port", 123, "udp")
    chosen = [(service, "v", version) for service in rules.services for version in (4, 6)]
    chosen += [(service, "n", version) for service, version in _fixed(rules)]
    for service, kind, version in chosen:
        yield version, to(_named(service, kind, version)), port("port", service.port, service.protocol)


def settings(policy: str) -> dict[str, Any]:
    """What firewalld says at runtime of the policy of this file: its rules as text, sorted."""
    root = ElementTree.fromstring(policy)
    return {
        "target": root.get("target"),
        "priority": int(root.get("priority", 0)),
        "masquerade": False,
        "rich_rules": sorted(map(_rich, root.iter("rule"))),
        "ingress_zones": [zone.get("name") for zone in root.iter("ingress-zone")],
        "egress_zones": [zone.get("name") for zone in root.iter("egress-zone")],
    }


def _rich(rule: ElementTree.Element) -> str:
    """A rule of a policy's file as firewalld writes it elsewhere."""
    parts = [(element.tag, element.attrib) for element in rule.iter()]
    return " ".join(" ".join([tag, *(f'{key}="{value}"' for key, value in given.items())]) for tag, given in parts)


def parse(ruleset: str) -> dict[str, str]:
    """The files of a ruleset: path to text."""
    parts = re.split(rf"(?m)^# ({ETC}/\S+)\n", ruleset)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def entries(files: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The entries of each ipset."""
    return {
        os.path.basename(path)[: -len(".xml")]: frozenset(
            e.text or "" for e in ElementTree.fromstring(text).iter("entry")
        )
        for path, text in files.items()
        if path != POLICY
    }


def _version(host: str) -> int:
    return ipaddress.ip_network(host).version


def _ordered(addresses: Iterable[str]) -> list[str]:
    return [str(a) for a in sorted({ipaddress.ip_address(a) for a in addresses}, key=int)]
