# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Names to addresses, by the host's own resolver and by name servers asked directly.

Standard library only; also runs on hosts without Ansible.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from typing import Callable, Iterable, Mapping, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _dns

#: How many names are asked for at the same time.
PARALLEL = 16
#: Seconds after which the names still unanswered count as failed.
DEADLINE = 20.0

RESOLV_CONF = "/etc/resolv.conf"
#: Where local resolvers write the servers that they themselves ask.
UPSTREAMS = ("/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf")

#: :func:`_dns.query`, or what does the same: name, kind, server and timeout to a reply.
Query = Callable[[str, str, str, float], _dns.Reply]


class Answer(NamedTuple):
    """The addresses of one name, sorted; with none there is an ``error`` that says why.

    ``ttl``: for how many seconds they hold, the least that any name server said; None if none was asked directly.
    """

    addresses: tuple[str, ...]
    error: str | None = None
    ttl: float | None = None


def lookup(name: str) -> Answer:
    """Ask the system's resolver for the IPv4 and IPv6 addresses of one name: what programs on this host get.

    Addresses nobody can connect to (0.0.0.0, ::, multicast), as blocking resolvers give, are not taken.
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        return Answer((), str(getattr(error, "strerror", None) or error))
    return _usable({str(entry[4][0]).partition("%")[0] for entry in found}, None)


def _usable(addresses: set[str], ttl: float | None) -> Answer:
    taken = [a for a in map(ipaddress.ip_address, addresses) if not (a.is_unspecified or a.is_multicast)]
    if not taken:
        return Answer((), "the answer is " + ", ".join(sorted(addresses)))
    return Answer(_sorted(map(str, taken)), None, ttl)


def _sorted(addresses: Iterable[str]) -> tuple[str, ...]:
    found = {ipaddress.ip_address(address) for address in addresses}
    return tuple(str(a) for a in sorted(found, key=lambda a: (a.version, int(a))))


class _Server:
    """Asks one name server. One that has not answered to anything by its first timeout is not asked again."""

    def __init__(self, address: str, end: float, query: Query) -> None:
        self._address = address
        self._end = end
        self._query = query
        self._heard = False
        self._gone: str | None = None

    def __call__(self, name: str) -> Answer:
        addresses: set[str] = set()
        ttls: list[int] = []
        errors: list[str] = []
        for kind in _dns.KINDS:
            if self._gone:
                errors.append(self._gone)
                break
            try:
                reply = self._query(name, kind, self._address, min(_dns.TIMEOUT, self._end - time.monotonic()))
            except _dns.DnsError as error:
                errors.append(str(error))
                if not isinstance(error, _dns.NoAnswer):
                    self._heard = True
                elif not self._heard:
                    self._gone = str(error)
                continue
            self._heard = True
            if not reply.exists:
                errors.append("no such name")
                break
            addresses.update(reply.addresses)
            ttls += [] if reply.ttl is None else [reply.ttl]
        if addresses:
            return _usable(addresses, min(ttls, default=None))
        return Answer((), ", ".join(dict.fromkeys(errors)) or "the name has no address")


def resolve(
    names: Iterable[str],
    servers: Iterable[str] = (),
    deadline: float = DEADLINE,
    ask: Callable[[str], Answer] = lookup,
    query: Query = _dns.query,
) -> dict[str, Answer]:
    """All addresses that the host's own resolver and each of the name servers ``servers`` (addresses) give for names.

    Where they differ (split views, answers that rotate) each counts; where some fail, the others do. Each is asked for
    up to :data:`PARALLEL` names at a time. Never raises; never longer than ``deadline`` seconds.
    """
    end = time.monotonic() + deadline
    wanted = list(dict.fromkeys(names))
    sources: dict[str, Callable[[str], Answer]] = {"": ask}
    sources.update((server, _Server(server, end, query)) for server in servers)
    done: queue.SimpleQueue[tuple[str, str, Answer]] = queue.SimpleQueue()

    def work(source: str, todo: queue.SimpleQueue[str]) -> None:
        while time.monotonic() < end:
            try:
                name = todo.get_nowait()
            except queue.Empty:
                return
            done.put((source, name, sources[source](name)))

    answers: dict[str, dict[str, Answer]] = {}
    for name in wanted:
        asked = [""] if _is_address(name) else sources  # an address is not for name servers
        answers[name] = {source: Answer((), f"no answer within {deadline:g} s") for source in asked}
    # Each source has workers of its own: one that is slow must not hold up the others.
    for source in sources:
        todo: queue.SimpleQueue[str] = queue.SimpleQueue()
        its = [name for name in wanted if source in answers[name]]
        for name in its:
            todo.put(name)
        # Daemons: a resolver that hangs must keep neither this call nor the end of the process waiting.
        for _worker in range(min(PARALLEL, len(its))):
            threading.Thread(target=work, args=(source, todo), daemon=True).start()
    for _answer in range(sum(map(len, answers.values()))):
        try:
            source, name, answer = done.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        answers[name][source] = answer
    return {name: _union(answers[name]) for name in wanted}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _union(answers: Mapping[str, Answer]) -> Answer:
    """One answer from those of several sources; ``""`` is the host's own resolver, the others are name servers."""
    addresses = _sorted(address for answer in answers.values() for address in answer.addresses)
    if addresses:
        return Answer(addresses, None, min((a.ttl for a in answers.values() if a.ttl is not None), default=None))
    errors = [f"{source}: {answer.error}" if source else str(answer.error) for source, answer in answers.items()]
    return Answer((), "; ".join(errors))


class Nameservers(NamedTuple):
    """Where DNS queries of this host go. ``hidden``: a local resolver that keeps its servers to itself."""

    servers: tuple[str, ...]
    hidden: str | None = None


def _listed(path: str) -> list[str]:
    """The addresses on the nameserver lines of one file in the format of resolv.conf(5); none if it is absent."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    found = []
    for words in lines:
        if len(words) > 1 and words[0] == "nameserver":
            try:
                found.append(str(ipaddress.ip_address(words[1].partition("%")[0])))
            except ValueError:
                continue
    return found


def nameservers(resolv_conf: str = RESOLV_CONF, upstreams: Iterable[str] = UPSTREAMS) -> Nameservers:
    """The name servers outside this host: those of resolv.conf, or those that the local resolver it names asks."""
    listed = _listed(resolv_conf)
    local = [a for a in listed if ipaddress.ip_address(a).is_loopback]
    servers = [a for a in listed if a not in local]
    if local:
        for path in upstreams:
            servers += [a for a in _listed(path) if not ipaddress.ip_address(a).is_loopback]
    return Nameservers(tuple(dict.fromkeys(servers)), local[0] if local and not servers else None)
