# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What may leave a host: the declared policy, checked, and the rules that it comes to once its names have addresses.

Nothing here knows a firewall.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import grp
import ipaddress
import pwd
import re
from typing import Any, Callable, Iterable, Mapping, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import endpoints as catalogue
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._hostname import spelt

PROTOCOLS = ("tcp", "udp")
#: What becomes of the rest: rejected; counted; left to the host's own policy, in which the endpoints are opened.
MODES = ("enforce", "audit", "allow")
#: How names become addresses: asked for by a timer; taken from the answers that the host's programs get.
RESOLUTIONS = ("resolve", "dns")
#: Whom the rules hold for, where not for all.
SCOPES = ("users", "groups", "slices")
#: Seconds, unless the option says otherwise.
CONFIRM_TIMEOUT = 60
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}\$?|[0-9]{1,10}")
_SLICE = re.compile(r"[A-Za-z0-9_:.@\\-]{1,240}\.slice")


class Service(NamedTuple):
    """What is asked for at an address."""

    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"


class Destination(NamedTuple):
    """Where traffic may go. ``host`` is a name, a wildcard (``*.example.org``), an address or a network."""

    host: str
    port: int
    protocol: str

    @property
    def is_name(self) -> bool:
        return network(self.host) is None

    @property
    def is_wildcard(self) -> bool:
        return self.host.startswith("*.")

    @property
    def service(self) -> Service:
        return Service(self.port, self.protocol)

    def __str__(self) -> str:
        return f"{self.host} {self.port}/{self.protocol}"


class Policy(NamedTuple):
    """One allowlist as declared. ``dns_servers`` None: those of the host's resolv.conf, followed when they change.

    ``chain``: where mode ``allow`` works in nftables, as ``FAMILY TABLE CHAIN``; None: it is looked for.
    """

    provider: str
    mode: str
    chain: str | None
    resolution: str
    destinations: tuple[Destination, ...]
    users: tuple[str, ...]
    groups: tuple[str, ...]
    slices: tuple[str, ...]
    management_ports: tuple[int, ...]
    dns_servers: tuple[str, ...] | None
    ntp: bool
    refresh_interval: int
    address_lifetime: int

    @property
    def names(self) -> list[str]:
        """The host names to resolve, each once."""
        return list(dict.fromkeys(d.host for d in self.destinations if d.is_name and not d.is_wildcard))

    @property
    def services(self) -> tuple[Service, ...]:
        """The services that are allowed by name."""
        return tuple(sorted({d.service for d in self.destinations if d.is_name}))

    @property
    def keys(self) -> list[str]:
        """What addresses are known under: names, and for dnsmasq's findings the services."""
        return self.names + ([str(service) for service in self.services] if self.resolution == "dns" else [])

    @property
    def scopes(self) -> frozenset[str]:
        """Of :data:`SCOPES`, those that limit whom the rules hold for; none: they hold for the whole host."""
        return frozenset(scope for scope in SCOPES if getattr(self, scope))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; :meth:`from_dict` reads it back."""
        return {**self._asdict(), "destinations": [d._asdict() for d in self.destinations]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Policy:
        """Raises KeyError, TypeError or ValueError for anything that :meth:`as_dict` did not make."""
        servers = data["dns_servers"]
        fields = {
            **data,
            **{field: tuple(data[field]) for field in (*SCOPES, "management_ports")},
            "destinations": tuple(Destination(**d) for d in data["destinations"]),
            "dns_servers": None if servers is None else tuple(servers),
        }
        return cls(**fields)


class Rules(NamedTuple):
    """What a provider enforces: a policy whose names have become addresses.

    ``learnt`` and ``dns_servers`` change as DNS and resolv.conf do; all else changes only with the policy.
    Each destination's host is an address or a network here, never a name. ``services``: those that addresses are learnt
    for, so that their sets are there before an address is.

    ``resolver``: the user id of the dnsmasq that fills the sets, which then alone may ask name servers. It adds each
    address to two sets, the generations 0 and 1, which are emptied in turn: so an address stays for at least the time
    between two sweeps after it was last in an answer, and none is ever taken out that was just given to a client.
    ``filled``: whether there is such a dnsmasq (and ``resolver`` None: DNS is still open to all).

    ``users``, ``groups``: ids. ``slices``: as systemd calls them. With any of the three the rules hold for these only.
    """

    mode: str
    management_ports: tuple[int, ...]
    ntp: bool
    fixed: tuple[Destination, ...]
    learnt: frozenset[Destination]
    dns_servers: frozenset[str]
    services: tuple[Service, ...] = ()
    filled: bool = False
    resolver: int | None = None
    users: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    slices: tuple[str, ...] = ()

    @property
    def sets(self) -> int:
        """How many generations of the learnt sets there are."""
        return 2 if self.filled else 1


def network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that a host stands for, a single address being one of its own; None for a name."""
    try:
        return ipaddress.ip_network(host)
    except ValueError:
        return None


def rules(
    policy: Policy, addresses: Mapping[str, Iterable[str]], dns_servers: Iterable[str], resolver: int | None = None
) -> Rules:
    """Put addresses in the place of names; a name without any adds nothing.

    ``addresses`` has names as keys, and services (``443/tcp``) for what was learnt of no name in particular.
    Raises :class:`FirewallError` for users and groups that this host does not have.
    """
    learnt = {d._replace(host=a) for d in policy.destinations if d.is_name for a in addresses.get(d.host, ())}
    learnt |= {Destination(a, *service) for service in policy.services for a in addresses.get(str(service), ())}
    return Rules(
        mode=policy.mode,
        management_ports=policy.management_ports,
        ntp=policy.ntp,
        fixed=tuple(d for d in policy.destinations if not d.is_name),
        learnt=frozenset(learnt),
        dns_servers=frozenset(dns_servers),
        services=policy.services,
        filled=policy.resolution == "dns",
        resolver=resolver,
        users=tuple(sorted(_id("only_users", name, lambda n: pwd.getpwnam(n).pw_uid) for name in policy.users)),
        groups=tuple(sorted(_id("only_groups", name, lambda n: grp.getgrnam(n).gr_gid) for name in policy.groups)),
        slices=policy.slices,
    )


def declare(
    options: Mapping[str, Any],
    provider: str,
    management_ports: Iterable[int],
    mirrors: Iterable[Destination] = (),
) -> Policy:
    """The policy that the module's options come to.

    ``management_ports`` is for when the option is not given; ``mirrors`` are the host's own package mirrors.
    Raises :class:`FirewallError` that names the option.
    """
    found = [_proxy(f"proxies[{number}]", url) for number, url in enumerate(options["proxies"])]
    if not found:  # with a proxy, only the proxy talks to IBM
        found = [Destination(e.host, e.port, e.protocol) for e in catalogue(options["regions"], options["features"])]
    for number, extra in enumerate(options["endpoints"]):
        option = f"endpoints[{number}]"
        found.append(Destination(_host(option, extra["host"]), _port(option, extra["port"]), extra["protocol"]))
    if options["package_mirrors"]:
        found += mirrors
    times = options["ntp_servers"]
    found += [Destination(_host("ntp_servers", server), 123, "udp") for server in times or ()]
    mode, resolution = options["mode"], options["resolution"]
    wildcard = next((d.host for d in found if d.is_wildcard), None)
    if wildcard and resolution != "dns":
        raise FirewallError(
            f"endpoints: the addresses of the wildcard {wildcard!r} can be learnt with resolution=dns only"
        )
    if options["chain"] is not None and mode != "allow":
        raise FirewallError("chain: says where mode=allow works; leave it out with other modes")
    ports = options["management_ports"]
    servers = options["dns_servers"]
    ntp = mode != "allow" if options["ntp"] is None else options["ntp"]
    policy = Policy(
        provider=provider,
        mode=mode,
        chain=None if options["chain"] is None else " ".join(options["chain"].split()),
        resolution=resolution,
        # Sorted, so that a list in another order is the same policy.
        destinations=tuple(sorted(set(found))),
        users=_names("only_users", options["only_users"]),
        groups=_names("only_groups", options["only_groups"]),
        slices=_names("only_slices", options["only_slices"]),
        management_ports=tuple(
            sorted({_port("management_ports", p) for p in (management_ports if ports is None else ports)})
        ),
        dns_servers=None if servers is None else tuple(sorted({_address("dns_servers", s) for s in servers})),
        ntp=ntp and times is None,
        refresh_interval=_at_least("refresh_interval", options["refresh_interval"], 1),
        address_lifetime=_at_least("address_lifetime", options["address_lifetime"], 0),
    )
    if policy.scopes and mode == "allow":
        raise FirewallError("only_users, only_groups, only_slices: mode=allow opens the endpoints for the whole host")
    if policy.chain is not None and not re.fullmatch(r"(inet|ip6?) [\w./\\-]+ [\w./\\-]+", policy.chain):
        raise FirewallError(f"chain: {options['chain']!r} is not FAMILY TABLE CHAIN, such as 'inet filter output'")
    return policy


def _id(option: str, name: str, look: Callable[[str], int]) -> int:
    try:
        return int(name) if name.isdigit() else look(name)
    except KeyError:
        raise FirewallError(f"{option}: this host has no {name!r}: create it first, or give its number") from None


def _names(option: str, names: Iterable[str]) -> tuple[str, ...]:
    for name in names:
        good = _SLICE if option == "only_slices" else _ACCOUNT
        if not good.fullmatch(name):
            what = "slice of systemd, such as quantum.slice" if good is _SLICE else "account name or number"
            raise FirewallError(f"{option}: {name!r} is no {what}")
    return tuple(sorted(set(names)))


def _proxy(option: str, url: str) -> Destination:
    """Where a proxy listens. The error does not show the URL, which may hold a password."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise FirewallError(f"{option}: give a proxy as http://HOST:PORT")
    return Destination(_host(option, host), _port(option, port), "tcp")


def _host(option: str, host: str) -> str:
    try:
        return spelt(host)
    except ValueError as error:
        raise FirewallError(f"{option}: host {host!r} {error}") from None


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
