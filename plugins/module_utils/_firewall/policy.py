# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What may leave a host: the declared policy, checked, and the rules that it comes to once its names have addresses.

Nothing here knows a firewall.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterable, Mapping, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import endpoints as catalogue
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError

PROTOCOLS = ("tcp", "udp")
#: Seconds, unless the option says otherwise.
CONFIRM_TIMEOUT = 60
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class Destination(NamedTuple):
    """Where traffic may go. ``host`` is a name, an address or a network (``192.0.2.0/24``)."""

    host: str
    port: int
    protocol: str

    @property
    def is_name(self) -> bool:
        return network(self.host) is None

    def __str__(self) -> str:
        return f"{self.host} {self.port}/{self.protocol}"


class Policy(NamedTuple):
    """One allowlist as declared. ``dns_servers`` None: those of the host's resolv.conf, followed when they change."""

    mode: str
    destinations: tuple[Destination, ...]
    management_ports: tuple[int, ...]
    dns_servers: tuple[str, ...] | None
    ntp: bool
    refresh_interval: int
    address_lifetime: int

    @property
    def names(self) -> list[str]:
        """The host names to resolve, each once."""
        return list(dict.fromkeys(d.host for d in self.destinations if d.is_name))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; :meth:`from_dict` reads it back."""
        return {**self._asdict(), "destinations": [d._asdict() for d in self.destinations]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Policy:
        """Raises KeyError, TypeError or ValueError for anything that :meth:`as_dict` did not make."""
        servers = data["dns_servers"]
        fields = {
            **data,
            "destinations": tuple(Destination(**d) for d in data["destinations"]),
            "management_ports": tuple(data["management_ports"]),
            "dns_servers": None if servers is None else tuple(servers),
        }
        return cls(**fields)


class Rules(NamedTuple):
    """What a provider enforces: a policy whose names have become addresses.

    ``learnt`` and ``dns_servers`` change as DNS and resolv.conf do; all else changes only with the policy.
    Each destination's host is an address or a network here, never a name.
    """

    mode: str
    management_ports: tuple[int, ...]
    ntp: bool
    fixed: tuple[Destination, ...]
    learnt: frozenset[Destination]
    dns_servers: frozenset[str]


def network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that a host stands for, a single address being one of its own; None for a name."""
    try:
        return ipaddress.ip_network(host)
    except ValueError:
        return None


def rules(policy: Policy, addresses: Mapping[str, Iterable[str]], dns_servers: Iterable[str]) -> Rules:
    """Put addresses in the place of names; a name without any adds nothing."""
    return Rules(
        mode=policy.mode,
        management_ports=policy.management_ports,
        ntp=policy.ntp,
        fixed=tuple(d for d in policy.destinations if not d.is_name),
        learnt=frozenset(
            d._replace(host=address) for d in policy.destinations if d.is_name for address in addresses.get(d.host, ())
        ),
        dns_servers=frozenset(dns_servers),
    )


def declare(options: Mapping[str, Any], management_ports: Iterable[int]) -> Policy:
    """The policy that the module's options come to; ``management_ports`` is for when the option is not given.

    Raises :class:`FirewallError` that names the option.
    """
    found = [Destination(e.host, e.port, e.protocol) for e in catalogue(options["regions"], options["features"])]
    for number, extra in enumerate(options["endpoints"]):
        option = f"endpoints[{number}]"
        found.append(Destination(_host(option, extra["host"]), _port(option, extra["port"]), extra["protocol"]))
    ports = options["management_ports"]
    servers = options["dns_servers"]
    return Policy(
        mode=options["mode"],
        # Sorted, so that a list in another order is the same policy.
        destinations=tuple(sorted(set(found))),
        management_ports=tuple(
            sorted({_port("management_ports", p) for p in (management_ports if ports is None else ports)})
        ),
        dns_servers=None if servers is None else tuple(sorted({_address("dns_servers", s) for s in servers})),
        ntp=options["ntp"],
        refresh_interval=_at_least("refresh_interval", options["refresh_interval"], 1),
        address_lifetime=_at_least("address_lifetime", options["address_lifetime"], 0),
    )


def _host(option: str, host: str) -> str:
    text = host.strip().rstrip(".").lower()
    if "://" in text:
        raise FirewallError(f"{option}: host {host!r} is a URL; give the host name alone")
    if re.fullmatch(r"[0-9./]+|[0-9a-f:./]*:[0-9a-f:./]*", text):
        try:
            net = ipaddress.ip_network(text)
        except ValueError as error:
            raise FirewallError(f"{option}: host {host!r} is no address or network: {error}") from None
        return str(net.network_address) if net.num_addresses == 1 else str(net)
    if "*" in text:
        raise FirewallError(f"{option}: host {host!r} is a wildcard; addresses can be learnt of whole names only")
    if not text.isascii():
        raise FirewallError(f"{option}: host {host!r} must be given in its ASCII form (xn--...)")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise FirewallError(f"{option}: host {host!r} is no host name, address or network")
    return text


def _port(option: str, port: int) -> int:
    if not 1 <= port <= 65535:
        raise FirewallError(f"{option}: port {port} is not between 1 and 65535")
    return port


def _address(option: str, address: str) -> str:
    try:
        return str(ipaddress.ip_address(address.strip()))
    except ValueError:
        raise FirewallError(f"{option}: {address!r} is no IP address") from None


def _at_least(option: str, value: int, least: int) -> int:
    if value < least:
        raise FirewallError(f"{option}: {value} is less than {least} (seconds)")
    return value
