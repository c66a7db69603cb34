# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: one bridge in a network namespace of its own, one namespace a host, no way out of any of them.

All labs have the same addresses, since none can see another. Nothing is added to the machine's own namespace.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from pathlib import Path
from typing import Callable, NamedTuple, TypeVar

from .system import lines, run

T = TypeVar("T")

CLONE_NEWNET = 0x40000000


class Address(NamedTuple):
    """One place in the lab, in both families."""

    v4: str
    v6: str


def address(net: int, number: int) -> Address:
    """10.99.NET.NUMBER, and an IPv6 address whose digits look the same."""
    return Address(f"10.99.{net}.{number}", f"fd00:99::{net or ''}{':' if net else ''}{number}")


CONTROLLER = address(0, 1)
DNS = address(0, 53)
#: One for each of IBM's names, and some that no name has yet, so that a name can move.
EMULATOR = tuple(address(0, n) for n in range(80, 100))
#: Answers like the rest, but no allowlist has it.
OTHER = address(0, 200)
MAX_HOSTS = 250


def host_address(number: int) -> Address:
    return address(1, number)


class Namespace:
    """A named network namespace, as ``ip netns`` keeps them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path("/run/netns") / name

    def exists(self) -> bool:
        return self.path.exists()

    def make(self) -> None:
        run(["ip", "netns", "add", self.name])
        self.do(_want_ipv6)

    def delete(self) -> None:
        if self.exists():
            run(["ip", "netns", "delete", self.name])

    def ip(self, *commands: str) -> None:
        run(["ip", "-n", self.name, "-batch", "-"], input=lines(commands))

    def do(self, function: Callable[[], T]) -> T:
        """Call a function in the namespace: a thread may enter one by itself, and what it opens stays in there."""
        result: list[T] = []
        failure: list[BaseException] = []

        def inside() -> None:
            try:
                handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(handle, CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"cannot enter network namespace {self.name}")
                finally:
                    os.close(handle)
                result.append(function())
            except BaseException as exc:  # handed to the caller below
                failure.append(exc)

        thread = threading.Thread(target=inside, name=f"in {self.name}", daemon=True)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return result[0]

    def connect(self, host: str, port: int, timeout: float = 5) -> socket.socket:
        """A TCP connection made in the namespace; the socket works in any thread. Raises OSError."""
        return self.do(lambda: socket.create_connection((host, port), timeout=timeout))


def _want_ipv6() -> None:
    for name, value in (("disable_ipv6", "0"), ("accept_ra", "0")):
        for which in ("all", "default"):
            path = Path(f"/proc/sys/net/ipv6/conf/{which}/{name}")
            if path.read_text().strip() != value:
                path.write_text(value)


def make_lab(namespace: Namespace) -> None:
    """The namespace with the bridge, where the controller, DNS and the emulator live."""
    namespace.make()
    places = [CONTROLLER, DNS, *EMULATOR, OTHER]
    namespace.ip(
        "link set lo up",
        # Without an address of its own it takes the lowest of its ports', another one whenever a host reboots, and the
        # other hosts send to the old one until their neighbour tables know
        "link add br0 address 02:99:00:00:00:01 type bridge forward_delay 0 mcast_snooping 0",
        "link set br0 up",
        *(f"address add {place.v4}/16 dev br0" for place in places),
        # The last one added becomes the source of what the controller sends, hence not the controller's own first
        *(f"address add {place.v6}/64 dev br0 nodad" for place in reversed(places)),
    )


def make_host(lab: Namespace, namespace: Namespace, number: int) -> None:
    """A host's namespace with one interface, eth0, on the lab's bridge."""
    namespace.make()
    place = host_address(number)
    # The same hardware address after every boot: neighbours that remember it stay right
    lab.ip(
        f"link add h{number} type veth peer name eth0 address 02:00:00:99:00:{number:02x} netns {namespace.name}",
        f"link set h{number} master br0 up",
    )
    namespace.ip(
        "link set lo up",
        f"address add {place.v4}/16 dev eth0",
        f"address add {place.v6}/64 dev eth0 nodad",
        "link set eth0 up",
    )


def delete_host(lab: Namespace, namespace: Namespace, number: int) -> None:
    # The namespace alone would take its end of the cable away some time later, after the next one wants the name
    run(["ip", "-n", lab.name, "link", "delete", f"h{number}"], check=False)
    namespace.delete()
