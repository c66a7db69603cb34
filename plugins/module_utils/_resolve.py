# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Names to addresses, by the host's own resolver. Standard library only; also runs on hosts without Ansible.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from typing import Callable, Iterable, NamedTuple

#: How many names are asked for at the same time.
PARALLEL = 16
#: Seconds after which the names still unanswered count as failed.
DEADLINE = 20.0

RESOLV_CONF = "/etc/resolv.conf"
#: Where local resolvers write the servers that they themselves ask.
UPSTREAMS = ("/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf")


class Answer(NamedTuple):
    """The addresses of one name, sorted; with none there is an ``error`` that says why."""

    addresses: tuple[str, ...]
    error: str | None = None


def lookup(name: str) -> Answer:
    """Ask the system's resolver for the IPv4 and IPv6 addresses of one name.

    Addresses nobody can connect to (0.0.0.0, ::, multicast), as blocking resolvers give, are not taken.
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Answer((), str(getattr(error, "strerror", None) or error))
    addresses = {str(entry[4][0]).partition("%")[0] for entry in found}
    usable = [a for a in map(ipaddress.ip_address, addresses) if not (a.is_unspecified or a.is_multicast)]
    if not usable:
        return Answer((), "the answer is " + ", ".join(sorted(addresses)))
    return Answer(tuple(str(a) for a in sorted(usable, key=lambda a: (a.version, int(a)))))


def resolve(
    names: Iterable[str],
    deadline: float = DEADLINE,
    ask: Callable[[str], Answer] = lookup,
) -> dict[str, Answer]:
    """Resolve all names, up to :data:`PARALLEL` at a time. Never raises; never longer than ``deadline`` seconds."""
    wanted = list(dict.fromkeys(names))
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
    for name in wanted:
        todo.put(name)

    def work() -> None:
        while True:
            try:
                name = todo.get_nowait()
            except queue.Empty:
                return
            done.put((name, ask(name)))

    # Daemons: a resolver that hangs must keep neither this call nor the end of the process waiting.
    for _worker in range(min(PARALLEL, len(wanted))):
        threading.Thread(target=work, daemon=True).start()
    answers: dict[str, Answer] = {}
    end = time.monotonic() + deadline
    while len(answers) < len(wanted):
        try:
            name, answer = done.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        answers[name] = answer
    return {name: answers.get(name, Answer((), f"no answer within {deadline:g} s")) for name in wanted}


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
