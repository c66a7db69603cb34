# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The nftables provider: everything in the table ``inet ibm_quantum``; nft 0.9.8 (2021) or newer.

Why the chain's policy is accept and its last rule rejects, rather than a policy of drop: a policy cannot reject, and
programs should fail at once with "administratively prohibited" instead of hanging; and whatever is flushed or edited by
hand, the host stays reachable. There is no window in it: the whole table is replaced in one transaction.

Why elements carry no timeouts: expiry is decided where the DNS answers are known (see :mod:`store`). A host whose
timer or DNS has stopped keeps its last good addresses, which a timeout in the kernel would take away.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import shutil
import subprocess
from typing import Any, Iterable, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import (
    PROTOCOLS,
    Destination,
    Rules,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import (
    FirewallError,
    Live,
    Provider,
)

TABLE = "inet ibm_quantum"
#: After the filters of others (priority 0): the counters count what those let through.
PRIORITY = 10
_TIMEOUT = 60
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Without these neither IPv6 nor path MTU discovery works. Echo requests are not among them: they carry data out.
_ICMP = "destination-unreachable, time-exceeded, parameter-problem"
_ICMPV6 = (
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-solicit, "
    "nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld-listener-done, mld2-listener-report"
)
_FAMILIES = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}


class Nftables(Provider):
    """See :class:`provider.Provider`. ``command``: how to run nft, for tests that run it elsewhere."""

    name = "nftables"
    service = "nftables.service"
    # Adding a table that exists is no error, deleting one that does not exist is: hence the first line.
    nothing = f"table {TABLE}\ndelete table {TABLE}\n"

    def __init__(self, command: Sequence[str] | None = None) -> None:
        found = shutil.which("nft", path=_PATH)
        self._command = list(command) if command else [found] if found else []

    def missing(self) -> str | None:
        if self._command:
            return None
        return "the command nft is not on this host: install the package nftables"

    def inspect(self) -> Live | None:
        text = self._list("--json")
        if text is None:
            return None
        elements: dict[str, list[Any]] = {}
        counters: dict[str, dict[str, int]] = {}
        lasting = []
        for item in json.loads(text)["nftables"]:
            (kind, body), *_rest = item.items()
            if kind == "metainfo":
                continue
            body.pop("handle", None)
            if kind == "counter":
                counters[body["name"]] = {key: body.pop(key) for key in ("packets", "bytes")}
            elif kind == "set":
                elements[body["name"]] = body.pop("elem", [])
            lasting.append({kind: body})
        learnt = {
            Destination(_plain(host), port, protocol)
            for protocol in PROTOCOLS
            for version in _FAMILIES
            for host, port in (e["concat"] for e in elements.get(f"{protocol}{version}", ()))
        }
        servers = [_plain(address) for version in _FAMILIES for address in elements.get(f"dns{version}", ())]
        digest = hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()
        return Live(digest, frozenset(learnt), frozenset(servers), counters)

    def render(self, rules: Rules) -> str:
        return "\n".join([self.nothing + f"table {TABLE} {{", *self._sets(rules), *self._chain(rules), "}", ""])

    def check(self, ruleset: str) -> None:
        self._run("--check", "--file", "-", ruleset=ruleset)

    def load(self, ruleset: str) -> None:
        self._run("--file", "-", ruleset=ruleset)

    def update(self, rules: Rules) -> None:
        lines = []
        for name, _type, elements in self._contents(rules):
            lines.append(f"flush set {TABLE} {name}")
            if elements:
                lines.append(f"add element {TABLE} {name} {{ {', '.join(elements)} }}")
        self.load("\n".join(lines) + "\n")

    def save(self) -> str:
        return self.nothing + (self._list() or "")

    def boot_command(self, path: str) -> str:
        # Without nft, check mode still wants to say what it would write.
        return f"{(self._command or ['/usr/sbin/nft'])[0]} --file {path}"

    @staticmethod
    def _contents(rules: Rules) -> list[tuple[str, str, list[str]]]:
        """Name, type and elements of every set."""
        sets = []
        for version, (_ip, kind) in _FAMILIES.items():
            sets.append((f"dns{version}", kind, _ordered(a for a in rules.dns_servers if _version(a) == version)))
        for protocol in PROTOCOLS:
            for version, (_ip, kind) in _FAMILIES.items():
                chosen = [d for d in rules.learnt if d.protocol == protocol and _version(d.host) == version]
                elements = [
                    f"{a} . {p}"
                    for p in sorted({d.port for d in chosen})
                    for a in _ordered(d.host for d in chosen if d.port == p)
                ]
                sets.append((f"{protocol}{version}", f"{kind} . inet_service", elements))
        return sets

    def _sets(self, rules: Rules) -> list[str]:
        lines = []
        for name, kind, elements in self._contents(rules):
            inside = f" elements = {{ {', '.join(elements)} }};" if elements else ""
            lines.append(f"    set {name} {{ type {kind};{inside} }}")
        return lines

    @staticmethod
    def _chain(rules: Rules) -> list[str]:
        verdict = {"enforce": "blocked", "audit": "would_block"}[rules.mode]
        lines = ['oif "lo" accept']
        if rules.management_ports:
            ports = ", ".join(map(str, rules.management_ports))
            # Before anything that asks conntrack: it may know nothing yet of the very session that loads this. Replies
            # only, so the source port opens nothing: whoever begins a connection sends SYN without ACK.
            lines.append(f"tcp sport {{ {ports} }} tcp flags & (fin | syn | rst | ack) != syn accept")
        lines += [
            "ct state established,related accept",
            f"icmp type {{ {_ICMP} }} accept",
            f"icmpv6 type {{ {_ICMPV6} }} accept",
            "udp sport 68 udp dport 67 accept",
            "udp sport 546 udp dport 547 accept",
        ]
        for version, (ip, _kind) in _FAMILIES.items():
            lines += [f"{ip} daddr @dns{version} {protocol} dport 53 accept" for protocol in PROTOCOLS]
        if rules.ntp:
            lines.append("udp dport 123 accept")
        for protocol in PROTOCOLS:
            for version, (ip, _kind) in _FAMILIES.items():
                lines.append(f"{ip} daddr . {protocol} dport @{protocol}{version} counter name allowed accept")
        for host, port, protocol in rules.fixed:
            ip = _FAMILIES[_version(host)][0]
            lines.append(f"{ip} daddr {host} {protocol} dport {port} counter name allowed accept")
        lines.append(f"counter name {verdict}")
        if rules.mode == "enforce":
            lines.append("reject with icmpx type admin-prohibited")
        return [
            "    counter allowed { }",
            f"    counter {verdict} {{ }}",
            "    chain output {",
            f"        type filter hook output priority {PRIORITY}; policy accept;",
            *("        " + line for line in lines),
            "    }",
        ]

    def _list(self, *options: str) -> str | None:
        """The listing of our table; None if there is none."""
        try:
            return self._run(*options, "list", "table", *TABLE.split())
        except FirewallError as error:
            if "Error: No such file or directory" in str(error):
                return None
            raise

    def _run(self, *arguments: str, ruleset: str | None = None) -> str:
        if not self._command:
            raise FirewallError(str(self.missing()), "provider_missing")
        command = [*self._command, *arguments]
        try:
            done = subprocess.run(
                command,
                input=ruleset,
                stdin=subprocess.DEVNULL if ruleset is None else None,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FirewallError(f"nft could not be run: {error}", "provider_failed") from None
        if done.returncode:
            text = (done.stderr or done.stdout).strip()
            raise FirewallError(f"nft {' '.join(arguments)} failed: {text}{_remedy(text)}", "provider_failed")
        return done.stdout


def _version(host: str) -> int:
    return ipaddress.ip_network(host).version


def _plain(address: str) -> str:
    """The one spelling of an address that is compared: nft writes some IPv6 addresses otherwise than Python."""
    return str(ipaddress.ip_address(address))


def _ordered(addresses: Iterable[str]) -> list[str]:
    return [str(a) for a in sorted({ipaddress.ip_address(a) for a in addresses}, key=int)]


def _remedy(text: str) -> str:
    if "Operation not permitted" in text:
        return " (needs root; in a container also the capability CAP_NET_ADMIN)"
    if "not supported" in text or "cache initialization failed" in text:
        return " (this kernel has no nf_tables: load the module nf_tables or boot a kernel that has it)"
    if "JSON support not compiled-in" in text:
        return " (this nft was built without JSON: install the distribution's own package nftables)"
    return ""
