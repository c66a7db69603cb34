# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""An allowlist as the people who own the network want it: text for a firewall, a proxy, a cloud. Standard library only.

Every value is checked in :func:`declare` before any format sees it: hosts, ports and protocols have characters that no
format gives a meaning to, and free text is one printable line. So nothing in a list can become a rule of its own.

Sources of the formats: nft(8); squid's documentation of ``acl`` and ``http_access``; firewalld.policy(5); the EC2 API
reference (IpPermission, IpRange); the IBM Cloud VPC API (POST /v1/network_acls, NetworkACLRulePrototype); RFC 4180.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import json
import re
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence, Union
from xml.sax.saxutils import escape

from ansible_collections.ibm_quantum.platform.plugins.module_utils._hostname import spelt

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

PROTOCOLS = ("tcp", "udp")
#: The keys of an endpoint, in the order in which they are rendered.
KEYS = ("host", "port", "protocol", "region", "feature", "purpose", "addresses")
#: Objects of this name are those of a rendered allowlist; those of the module egress_allowlist have other names.
NFT_TABLE = "inet ibm_quantum_allowlist"
#: AWS: rules of a group times groups of an interface, the most that any quota allows; for IPv4 and IPv6 each.
AWS_RULES = 1000

TITLE = "Allowlist for the IBM Quantum Platform, rendered by ibm_quantum.platform.allowlist."
SNAPSHOT = (
    "The addresses are a snapshot: those that DNS gave when this was rendered. IBM publishes names",
    "and no address ranges, so render it again regularly, or prefer a firewall or proxy that knows names.",
)
DNS_IS_OPEN = "DNS to any server, as the list names none (port 53)"
#: What AWS allows in a description.
_NOT_AWS = re.compile(r"[^a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]")
# Without these neither IPv6 nor path MTU discovery works. Echo requests are not among them: they carry data out.
_ICMP = "destination-unreachable, time-exceeded, parameter-problem"
_ICMPV6 = (
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-solicit,\n"
    "            nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld-listener-done, mld2-listener-report"
)


class RenderError(ValueError):
    """A list or format that cannot be rendered; the text names the endpoint and the remedy."""


class Entry(NamedTuple):
    """One endpoint. ``host``: a name, ``*.`` and a name, an address or a network; ``addresses`` None: not known."""

    host: str
    port: int
    protocol: str
    region: str | None
    feature: str | None
    purpose: str
    addresses: tuple[str, ...] | None

    @property
    def network(self) -> Network | None:
        """The network that the host is, an address being one of its own; None for a name."""
        return None if self.is_wildcard else _network(self.host)

    @property
    def is_wildcard(self) -> bool:
        return self.host.startswith("*.")

    @property
    def place(self) -> str:
        """``host:port/protocol``, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.protocol}"

    @property
    def title(self) -> str:
        """The host and what it is for."""
        return f"{self.host}: {self.purpose}" if self.purpose else self.host

    def as_dict(self) -> dict[str, Any]:
        """By name; without ``addresses`` where they are not known."""
        fields: dict[str, Any] = dict(zip(KEYS, self[:-1]))
        return fields if self.addresses is None else {**fields, "addresses": list(self.addresses)}


def declare(value: Any) -> list[Entry]:
    """Check a list of endpoints: dicts with :data:`KEYS`, of which only ``host`` is required, or host names alone.

    The port is 443 and the protocol tcp unless said otherwise. The order stays; what is there twice is united.
    Raises :class:`RenderError`.
    """
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise RenderError(f"a list of endpoints is wanted, not {type(value).__name__}")
    found: dict[tuple[str, int, str], Entry] = {}
    for number, item in enumerate(value):
        entry = _entry(f"endpoints[{number}]", {"host": item} if isinstance(item, str) else item)
        first = found.setdefault(entry[:3], entry)
        known = {*(first.addresses or ()), *(entry.addresses or ())}
        found[entry[:3]] = first._replace(addresses=_sorted(known) if known else first.addresses)
    return list(found.values())


def _entry(where: str, item: Any) -> Entry:
    if not isinstance(item, Mapping):
        raise RenderError(f"{where}: {item!r} is neither a host name nor a dict such as {{'host': 'cloud.ibm.com'}}")
    unknown = [str(key) for key in item if key not in KEYS]
    if unknown:
        raise RenderError(f"{where}: unknown key {', '.join(unknown)}; an endpoint has {', '.join(KEYS)}")
    if item.get("host") is None:
        raise RenderError(f"{where}: the host is missing")
    host = _host(where, item["host"])
    protocol = item.get("protocol", "tcp")
    if protocol not in PROTOCOLS:
        raise RenderError(f"{where}: protocol {protocol!r} is not one of {', '.join(PROTOCOLS)}")
    addresses = item.get("addresses")
    if addresses is not None:
        if isinstance(addresses, (str, bytes, Mapping)) or not isinstance(addresses, Iterable):
            raise RenderError(f"{where}: addresses must be a list, not {type(addresses).__name__}")
        addresses = _sorted(_address(where, address) for address in addresses)
    return Entry(
        host,
        _port(where, item.get("port", 443)),
        str(protocol),
        _line(where, "region", item.get("region")),
        _line(where, "feature", item.get("feature")),
        _line(where, "purpose", item.get("purpose")) or "",
        addresses,
    )


def _host(where: str, host: Any) -> str:
    if not isinstance(host, str):
        raise RenderError(f"{where}: host {host!r} is not a text")
    if host != host.strip():
        raise RenderError(f"{where}: host {host!r} is no host name, address or network")
    try:
        text = spelt(host)
    except ValueError as error:
        raise RenderError(f"{where}: host {host!r} {error}") from None
    return text if _network(text) is None else _address(where, text)


def _address(where: str, address: Any) -> str:
    """An address or a network in its one spelling."""
    try:
        # numbers and bytes would be taken for packed addresses
        net = ipaddress.ip_network(address if isinstance(address, str) else str(address))
    except ValueError as error:
        raise RenderError(f"{where}: {address!r} is no address or network: {error}") from None
    if net.prefixlen == 0 or net.network_address.is_unspecified or "%" in str(net):
        raise RenderError(f"{where}: {address!r} cannot be allowed: it stands for any host, for none or for one link")
    return str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)


def _port(where: str, port: Any) -> int:
    text = str(port)
    # a template makes text of a number
    if isinstance(port, bool) or not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise RenderError(f"{where}: port {port!r} is not a number between 1 and 65535")
    return int(text)


def _line(where: str, key: str, text: Any) -> str | None:
    """Free text: one printable line, and nothing that a spreadsheet would compute."""
    if text is None:
        return None
    if not isinstance(text, str) or not text.isprintable():
        raise RenderError(f"{where}: {key} {text!r} is not one line of printable text")
    if text[:1] in ("=", "+", "-", "@"):
        raise RenderError(f"{where}: {key} {text!r} must not begin with =, +, - or @: spreadsheets compute such text")
    return str(text)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _order(address: str) -> tuple[int, int, int]:
    net = ipaddress.ip_network(address)
    return net.version, int(net.network_address), net.prefixlen


def _sorted(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(addresses), key=_order))


class Target(NamedTuple):
    """One network to allow, with the entries that it stands for."""

    net: Network
    port: int
    protocol: str
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        return ", ".join(dict.fromkeys(entry.title for entry in self.entries))


def _targets(entries: Iterable[Entry], form: str, collapse: bool = False) -> list[Target]:
    """What a format by address allows, each network, port and protocol once, ordered.

    ``collapse``: networks do not overlap. Raises :class:`RenderError` for entries without addresses.
    """
    wildcards, nameless = [], []
    known: dict[tuple[str, int], list[tuple[Network, Entry]]] = {}
    for entry in entries:
        own = entry.network
        if entry.is_wildcard:
            wildcards.append(entry.host)
        elif own is None and not entry.addresses:
            nameless.append(entry.host)
        nets = [own] if own else [ipaddress.ip_network(address) for address in entry.addresses or ()]
        known.setdefault((entry.protocol, entry.port), []).extend((net, entry) for net in nets)
    if wildcards:
        raise RenderError(
            f"{form} allows addresses, and a wildcard has none: {', '.join(wildcards)}; list whole names, or take one "
            f"of {', '.join(name for name in FORMATS if name not in BY_ADDRESS)}"
        )
    if nameless:
        raise RenderError(
            f"{form} allows addresses, and none are given for {', '.join(dict.fromkeys(nameless))}; take the list from "
            "the lookup ibm_quantum.platform.endpoints with resolve=true, or give the endpoint addresses"
        )
    found = []
    for (protocol, port), pairs in known.items():
        separate = {net for net, _entry in pairs}
        groups: dict[Network, list[Entry]] = {net: [] for net in (_collapsed(separate) if collapse else separate)}
        for net, entry in pairs:
            while net not in groups:
                net = net.supernet()
            groups[net].append(entry)
        found += [Target(net, port, protocol, tuple(inside)) for net, inside in groups.items()]
    return sorted(found, key=lambda target: (target.protocol, target.port, _order(str(target.net))))


def _collapsed(nets: set[Network]) -> set[Network]:
    v4 = [net for net in nets if isinstance(net, ipaddress.IPv4Network)]
    v6 = [net for net in nets if isinstance(net, ipaddress.IPv6Network)]
    return {*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6)}


def _comments(*texts: str | None) -> list[str]:
    """Lines that a ``#`` makes comments. A backslash at an end could join the next line to them."""
    return ["# " + text.replace("\\", "/") for text in texts if text]


def _snapshot(entries: Iterable[Entry]) -> Sequence[str]:
    """What to say about addresses where there are some that a name came to."""
    return SNAPSHOT if any(entry.addresses and entry.network is None for entry in entries) else ()


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def _plain(entries: list[Entry], stamp: str | None) -> str:
    width = max(len(entry.place) for entry in entries)
    lines = _comments(stamp, *_snapshot(entries))
    for entry in entries:
        words = [entry.place.ljust(width), " ".join(entry.addresses or ()), *_comments(entry.purpose)]
        lines.append("  ".join(word for word in words if word).rstrip())
    return "\n".join(lines) + "\n"


def _csv(entries: list[Entry], stamp: str | None) -> str:
    text = io.StringIO()
    writer = csv.writer(text)  # its default dialect is RFC 4180: CRLF, quotes doubled
    writer.writerow(KEYS)
    for entry in entries:
        writer.writerow([*entry[:-1], " ".join(entry.addresses or ())])
    return text.getvalue()


def _as_json(entries: list[Entry], stamp: str | None) -> str:
    return _json([entry.as_dict() for entry in entries])


def _nftables(entries: list[Entry], stamp: str | None) -> str:
    targets = _targets(entries, "nftables", collapse=True)
    sets, rules = [], []
    for protocol in PROTOCOLS:
        for version, family, kind in ((4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr")):
            chosen = [t for t in targets if (t.protocol, t.net.version) == (protocol, version)]
            if not chosen:
                continue
            name = f"{protocol}{version}"
            sets += [
                f"    set {name} {{",
                f"        type {kind} . inet_service",
                "        flags interval",
                "        elements = {",
                *(f"            {_short(t.net)} . {t.port}, {_comments(t.title)[0]}" for t in chosen),
                "        }",
                "    }",
            ]
            rules.append(f"{family} daddr . {protocol} dport @{name} counter accept")
    if not _names_dns(entries):
        rules = [f"# {DNS_IS_OPEN}", "meta l4proto { tcp, udp } th dport 53 accept", *rules]
    chain = [
        "type filter hook output priority 10; policy accept;",
        'oif "lo" accept',
        "# Whatever begins no TCP connection: connection tracking may not know sessions that are older than it.",
        "tcp flags & (fin | syn | rst | ack) != syn accept",
        "ct state established,related accept",
        f"icmp type {{ {_ICMP} }} accept",
        f"icmpv6 type {{\n            {_ICMPV6}\n        }} accept",
        "# DHCP",
        "udp sport 68 udp dport 67 accept",
        "udp sport 546 udp dport 547 accept",
        *rules,
        "counter reject with icmpx type admin-prohibited",
    ]
    head = [
        *_comments(TITLE, stamp, *_snapshot(entries)),
        "# This host may begin connections to the endpoints below only. Load it with: nft -f FILE",
        "",
        f"table {NFT_TABLE}",
        f"delete table {NFT_TABLE}",
        f"table {NFT_TABLE} {{",
    ]
    return "\n".join([*head, *sets, "    chain output {", *("        " + rule for rule in chain), "    }", "}", ""])


def _short(net: Network) -> str:
    return str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)


def _names_dns(entries: Iterable[Entry]) -> bool:
    return any(entry.port == 53 for entry in entries)


def _squid(entries: list[Entry], stamp: str | None) -> str:
    datagrams = [entry.place for entry in entries if entry.protocol != "tcp"]
    if datagrams:
        raise RenderError(f"squid passes on TCP only: leave out {', '.join(datagrams)}")
    lines = [
        *_comments(TITLE, stamp),
        "# Include it in squid.conf behind the rules that deny and before the last one, 'http_access deny all'.",
        "# Who may use the proxy is not said here: deny others before. -n: DNS decides on nothing here.",
    ]
    for port in sorted({entry.port for entry in entries}):
        acls: dict[str, None] = {}
        lines += ["", f"acl ibm_quantum_port_{port} port {port}"]
        for entry in entries:
            if entry.port != port:
                continue
            if entry.network:
                kind, words = "addresses", f"dst -n {entry.host}"
            elif entry.is_wildcard:
                # not dstdomain .NAME, which is NAME itself too
                kind, words = "below", "dstdom_regex -n -i " + entry.host[1:].replace(".", r"\.") + "$"
            else:
                kind, words = "names", f"dstdomain -n {entry.host}"
            acls[f"ibm_quantum_{kind}_{port}"] = None
            lines += [*_comments(entry.purpose), f"acl ibm_quantum_{kind}_{port} {words}"]
        lines += [f"http_access allow ibm_quantum_port_{port} {name}" for name in acls]
    return "\n".join(lines) + "\n"


def _aws_security_group(entries: list[Entry], stamp: str | None) -> str:
    permissions: dict[tuple[str, int], dict[str, Any]] = {}
    count = {4: 0, 6: 0}
    for target in _targets(entries, "aws_security_group"):
        permission = permissions.setdefault(
            (target.protocol, target.port),
            {"IpProtocol": target.protocol, "FromPort": target.port, "ToPort": target.port},
        )
        ranges, cidr = ("IpRanges", "CidrIp") if target.net.version == 4 else ("Ipv6Ranges", "CidrIpv6")
        text = _NOT_AWS.sub("_", target.title)[:255].rstrip()
        permission.setdefault(ranges, []).append({cidr: str(target.net), "Description": text})
        count[target.net.version] += 1
    most = max(count.values())
    if most > AWS_RULES:
        raise RenderError(
            f"aws_security_group: {most} rules for one family of addresses, AWS takes at most {AWS_RULES}"
        )
    return _json(list(permissions.values()))


def _ibm_vpc_acl(entries: list[Entry], stamp: str | None) -> str:
    targets = _targets(entries, "ibm_vpc_acl")
    served = {entry[:3] for target in targets if target.net.version == 4 for entry in target.entries}
    left = [entry.place for entry in entries if entry[:3] not in served]
    if left:
        raise RenderError(
            f"ibm_vpc_acl: IBM Cloud VPC has IPv4 only, and there is no IPv4 address for {', '.join(left)}"
        )
    rules = []
    for number, target in enumerate((t for t in targets if t.net.version == 4), 1):
        net, port = str(target.net), target.port
        slug = re.sub(r"[^a-z0-9]+", "-", target.entries[0].host)
        # Replies go to a port that the system chose; but time servers, for one, are asked from the port that is asked.
        lowest = min(port, 1024) if target.protocol == "udp" else 1024
        rules += [
            _vpc_rule("outbound", f"out-{number}-{slug}", target.protocol, "0.0.0.0/0", (1, 65535), net, (port, port)),
            _vpc_rule(
                "inbound", f"in-{number}-{slug}", target.protocol, net, (port, port), "0.0.0.0/0", (lowest, 65535)
            ),
        ]
    return _json(rules)


def _vpc_rule(
    direction: str,
    name: str,
    protocol: str,
    source: str,
    source_ports: tuple[int, int],
    destination: str,
    destination_ports: tuple[int, int],
) -> dict[str, Any]:
    return {
        "name": name[:63].rstrip("-"),
        "action": "allow",
        "direction": direction,
        "protocol": protocol,
        "source": source,
        "source_port_min": source_ports[0],
        "source_port_max": source_ports[1],
        "destination": destination,
        "destination_port_min": destination_ports[0],
        "destination_port_max": destination_ports[1],
    }


def _firewalld(entries: list[Entry], stamp: str | None) -> str:
    targets = _targets(entries, "firewalld")
    about = [TITLE, stamp, *_snapshot(entries), None if _names_dns(entries) else DNS_IS_OPEN + "."]
    allowed = [f"{_short(t.net)} {t.port}/{t.protocol}: {t.title}" for t in targets]
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<policy target="REJECT">',
        "  <short>IBM Quantum allowlist</short>",
        "  <description>" + escape("\n".join(text for text in [*about, *allowed] if text)) + "</description>",
        '  <ingress-zone name="HOST"/>',
        '  <egress-zone name="ANY"/>',
        # IPv6 does not work without ICMPv6; echoes carry data out. firewalld puts rejecting rules first.
        *_rich("ipv6", '<icmp-type name="echo-request"/>', "<reject/>"),
        *_rich("ipv6", '<icmp-type name="echo-reply"/>', "<reject/>"),
        '  <protocol value="ipv6-icmp"/>',
        '  <port port="67" protocol="udp"/>',
        '  <port port="547" protocol="udp"/>',
    ]
    if not _names_dns(entries):
        lines += [f'  <port port="53" protocol="{protocol}"/>' for protocol in PROTOCOLS]
    for target in targets:
        net = f'<destination address="{_short(target.net)}"/>'
        port = f'<port port="{target.port}" protocol="{target.protocol}"/>'
        lines += _rich(f"ipv{target.net.version}", net, port, "<accept/>")
    return "\n".join([*lines, "</policy>", ""])


def _rich(family: str, *elements: str) -> list[str]:
    return [f'  <rule family="{family}">', *("    " + element for element in elements), "  </rule>"]


#: What an allowlist can be rendered as.
FORMATS: dict[str, Callable[[list[Entry], str | None], str]] = {
    "plain": _plain,
    "csv": _csv,
    "json": _as_json,
    "nftables": _nftables,
    "squid": _squid,
    "aws_security_group": _aws_security_group,
    "ibm_vpc_acl": _ibm_vpc_acl,
    "firewalld": _firewalld,
}
#: Those that need addresses.
BY_ADDRESS = ("nftables", "aws_security_group", "ibm_vpc_acl", "firewalld")
#: Those that can hold a remark.
WITH_COMMENTS = ("plain", "nftables", "squid", "firewalld")


def render(value: Any, form: str = "plain", stamp: str | None = None) -> str:
    """A list of endpoints, see :func:`declare`, as text in one of :data:`FORMATS`. The same list gives the same text.

    ``stamp``: a line for a comment, such as the time. Raises :class:`RenderError`.
    """
    if not isinstance(form, str) or form not in FORMATS:
        raise RenderError(f"unknown format {form!r}: choose from {', '.join(FORMATS)}")
    if stamp is not None and form not in WITH_COMMENTS:
        raise RenderError(f"{form} has no comments, so it takes no stamp; {', '.join(WITH_COMMENTS)} do")
    entries = declare(value)
    if not entries:
        raise RenderError("the list of endpoints is empty: an allowlist of nothing would block everything")
    return FORMATS[form](entries, _line("stamp", "the text", stamp))
