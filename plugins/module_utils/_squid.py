# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A proxy that lets through some names and nothing else: what is declared, and the squid.conf that it comes to.

Pure text; standard library only. Source: squid.conf.documented of squid 4 to 6.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import Any, Iterable, Mapping, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import endpoints as catalogue
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._hostname import spelt

#: The networks of RFC 1918 and RFC 4193, which are not routed on the Internet.
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")

#: A name that nothing has; the collection asks for it to learn from the refusal which configuration is in force.
STATUS_NAME = "status.ibm-quantum-proxy.invalid"

_IDENTITY = re.compile(r"ibm-quantum-proxy-[0-9a-f]{12}")

_CONFIG = """\
# Managed by Ansible, collection ibm_quantum.platform: edits will be overwritten.
{ports}
# Who may use it
acl clients src {clients}

# What they may reach. -n: an address is never looked up to see whether it has an allowed name.
acl CONNECT method CONNECT
acl plain proto HTTP
{acls}
# Where no name of the Internet should lead: the gateway itself, and its cloud's metadata
acl inward dst 0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 ::/128 ::1/128 fe80::/10

# In this order: what is not allowed by name is refused before DNS is asked for it.
http_access deny manager
http_access deny !clients
{rules}
http_access deny all

# One line a request in the journal: who, what became of it, method, name, port, address. No path, no header, no body.
acl status dstdomain -n {status}
logformat ibm_quantum %>a %Ss/%03>Hs %rm %>rd:%>rP %<a
access_log syslog:daemon.info logformat=ibm_quantum !status
cache_log /dev/null

# Nothing is kept, and nothing is told about the clients
cache deny all
cache_mem 0 MB
netdb_filename none
via off
forwarded_for delete
httpd_suppress_version_string on

# A name's address is as old as DNS says and no older (the default keeps each for a minute at least)
negative_dns_ttl 1 second
connect_timeout 15 seconds
shutdown_lifetime 3 seconds
pid_filename none
pinger_enable off
visible_hostname {identity}
"""


class Allowed(NamedTuple):
    """A name that may be reached. ``*.example.com`` stands for all names below ``example.com``. ``tls`` False: by plain
    HTTP requests instead of tunnels."""

    host: str
    port: int
    tls: bool

    @property
    def wildcard(self) -> bool:
        return self.host.startswith("*.")

    def covers(self, other: Allowed) -> bool:
        """Whether ``other`` is among the names that this one stands for."""
        alike = self != other and self[1:] == other[1:]
        return alike and self.wildcard and other.host.endswith(self.host[1:])


class Proxy(NamedTuple):
    """One proxy as declared. ``listen``: addresses, none for all of the host."""

    port: int
    listen: tuple[str, ...]
    clients: tuple[str, ...]
    allowed: tuple[Allowed, ...]


def declare(options: Mapping[str, Any]) -> Proxy:
    """The proxy that the options come to. Raises :class:`OptionError`, which names the option."""
    found = [Allowed(e.host, e.port, True) for e in catalogue(options["regions"], options["features"])]
    for index, row in enumerate(options["endpoints"]):
        place = f"endpoints[{index}]"
        host, port = _name(f"{place}.host", row["host"]), _port(f"{place}.port", row["port"])
        found.append(Allowed(host, port, port != 80 if row["tls"] is None else row["tls"]))
    if not found:
        raise OptionError("nothing to let through: give features or endpoints")
    clients = tuple(sorted({_network(f"clients[{i}]", text) for i, text in enumerate(options["clients"])}))
    if not clients:
        raise OptionError("clients is empty: give the networks of the hosts that are to use the proxy")
    return Proxy(
        port=_port("port", options["port"]),
        listen=tuple(sorted({_address(f"listen[{i}]", text) for i, text in enumerate(options["listen"])})),
        clients=clients,
        allowed=_reduced(found),
    )


def config(proxy: Proxy) -> str:
    """The squid.conf of a proxy. Its :func:`identity` stands for all the rest of it, so equal identity, equal rules."""
    ports = "".join(f"http_port {_place(address, proxy.port)}\n" for address in proxy.listen or [""])
    acls, rules = [], []
    for port, tls in sorted({(entry.port, entry.tls) for entry in proxy.allowed}):
        kind = "tunnel" if tls else "http"
        how = f"{'CONNECT' if tls else '!CONNECT plain'} {kind}_port_{port}"
        acls.append(f"acl {kind}_port_{port} port {port}\n")
        entries = [entry for entry in proxy.allowed if (entry.port, entry.tls) == (port, tls)]
        names: dict[str, None] = {}
        for entry in sorted(entries, key=lambda entry: entry.wildcard):
            name = f"{kind}_{'below' if entry.wildcard else 'names'}_{port}"
            names[name] = None
            acls.append(f"acl {name} {_match(entry)}\n")
        rules += [f"http_access allow {how} {name} !inward" for name in names]
    parts = {
        "ports": ports,
        "clients": " ".join(proxy.clients),
        "acls": "".join(acls),
        "rules": "\n".join(rules),
        "status": STATUS_NAME,
    }
    digest = hashlib.sha256(_CONFIG.format(identity="", **parts).encode()).hexdigest()[:12]
    return _CONFIG.format(identity=f"ibm-quantum-proxy-{digest}", **parts)


def identity(text: str) -> str | None:
    """The name that a proxy of this collection goes by, in its squid.conf or in an answer; None in any other text."""
    found = _IDENTITY.search(text)
    return found.group() if found else None


def places(text: str) -> list[tuple[str, int]]:
    """Where the proxy of a squid.conf of :func:`config` listens: addresses (``::`` for all of the host) and port."""
    found = re.findall(r"^http_port (?:\[?([0-9a-fA-F.:]+?)\]?:)?(\d+)$", text, re.MULTILINE)
    return [(address or "::", int(port)) for address, port in found]


def _reduced(found: Iterable[Allowed]) -> tuple[Allowed, ...]:
    """Each once, and none that a wildcard covers."""
    each = sorted(set(found))
    return tuple(e for e in each if not any(other.covers(e) for other in each))


def _match(entry: Allowed) -> str:
    """What of an acl matches a name. Not dstdomain for a wildcard, which would match the domain itself, too."""
    if entry.wildcard:
        return "dstdom_regex -n -i " + entry.host[1:].replace(".", r"\.") + "$"
    return f"dstdomain -n {entry.host}"


def _name(place: str, text: str) -> str:
    if _is_network(text.strip()):
        raise OptionError(f"{place} {text!r} is an address: the proxy allows names, so give the name")
    try:
        host = spelt(text)
    except ValueError as error:
        raise OptionError(f"{place} {text!r} {error}") from None
    if host.startswith("*.") and host.count(".") < 2:
        raise OptionError(f"{place} {text!r} would allow a whole top-level domain: name the domain below it")
    return host


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return False
    return True


def _network(place: str, text: str) -> str:
    try:
        network = ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise OptionError(f"{place} {text!r} is no network such as 10.1.0.0/16: {error}") from None
    if network.prefixlen == 0:
        raise OptionError(f"{place} {text!r} is the whole Internet: give the networks of your own hosts")
    return str(network)


def _address(place: str, text: str) -> str:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise OptionError(f"{place} {text!r} is no address of the host, such as 10.1.0.1") from None
    if address.is_unspecified:
        raise OptionError(f"{place} {text!r} stands for all addresses: leave listen empty for that")
    return str(address)


def _port(place: str, port: int) -> int:
    if not 1 <= port <= 65535:
        raise OptionError(f"{place} must be 1 to 65535, not {port}")
    return port


def _place(address: str, port: int) -> str:
    if not address:
        return str(port)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
