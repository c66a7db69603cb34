# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's name server: a real dnsmasq in which IBM's names are the lab's, and that a test can change and stop."""

from __future__ import annotations

import os
import random
import runpy
import signal
import socket
import struct
from pathlib import Path
from typing import Iterable

from .network import DNS, EMULATOR, OTHER, Namespace
from .system import ROOT, Group, LabError, lines, process_state, spawn, wait_for

#: Seconds that an answer may be kept. Short, so that a change is seen at once by who asks again.
TTL = 1

#: A name that is in no allowlist, at an address that no allowlist has.
OTHER_NAME = "other.example.test"

TYPES = {"A": (1, socket.AF_INET), "AAAA": (28, socket.AF_INET6)}


def names_at_start() -> dict[str, list[str]]:
    """IBM's names, each at addresses of its own, as in real life, and one that is not IBM's."""
    catalogue = runpy.run_path(str(ROOT / "plugins/module_utils/_endpoints.py"))["CATALOGUE"]
    if len(catalogue) > len(EMULATOR):
        raise LabError("the catalogue has more names than the lab has addresses: give network.EMULATOR more")
    return {**{entry.host: list(place) for entry, place in zip(catalogue, EMULATOR)}, OTHER_NAME: list(OTHER)}


class Dns:
    """``lab.dns``. Names are kept in a hosts file, so that what is in force survives the process that set it."""

    def __init__(self, namespace: Namespace, group: Group, state: Path) -> None:
        self.namespace = namespace
        self.group = group
        self.log = state / "dns.log"
        self.hosts_file = state / "dns.hosts"

    # --- names

    def names(self) -> dict[str, list[str]]:
        """name -> its addresses, IPv4 before IPv6"""
        found: dict[str, list[str]] = {}
        if self.hosts_file.exists():
            for line in self.hosts_file.read_text().splitlines():
                address, name = line.split()
                found.setdefault(name, []).append(address)
        return found

    def set(self, name: str, v4: Iterable[str] = (), v6: Iterable[str] = ()) -> None:
        """Give a name these addresses and no others; with none it no longer exists. Returns when it is in force."""
        self.set_all({name: [*v4, *v6]})

    def set_all(self, names: dict[str, list[str]]) -> None:
        """The same for several names at once."""
        merged = {**self.names(), **names}
        text = lines(f"{address} {name}" for name, addresses in merged.items() for address in addresses)
        part = self.hosts_file.with_suffix(".part")
        part.write_text(text)
        os.replace(part, self.hosts_file)
        pids = self.group.pids()
        for pid in pids:
            os.kill(pid, signal.SIGHUP)
        if pids and not self._stopped(pids):
            wait_for(f"DNS serving {', '.join(names)}", lambda: all(self._serves(n, names[n]) for n in names))

    def _serves(self, name: str, addresses: list[str]) -> bool:
        try:
            return sorted(self.query(name, "A") + self.query(name, "AAAA")) == sorted(_plain(a) for a in addresses)
        except OSError:
            return False

    # --- the server

    def start(self) -> None:
        """Start answering, or answer again after :meth:`stop`."""
        pids = self.group.pids()
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        if not pids:
            self.hosts_file.touch()
            argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=root"]
            argv += ["--no-resolv", "--no-hosts", "--local=/#/", f"--addn-hosts={self.hosts_file}"]
            argv += [f"--local-ttl={TTL}", "--log-queries", "--log-facility=-", "--bind-interfaces"]
            argv += [f"--listen-address={place}" for place in DNS]
            spawn(["nsenter", f"--net={self.namespace.path}", *argv], self.group, self.log)
        names = self.names()
        first = next(iter(names), "localhost")
        wait_for(f"dnsmasq to answer (see {self.log})", lambda: self._serves(first, names.get(first, [])), timeout=15)

    def stop(self, silent: bool = False) -> None:
        """Take DNS away: nothing listens any more, so asking fails at once; ``silent``: no answer ever comes."""
        if silent:
            pids = self.group.pids()
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            wait_for("dnsmasq to fall silent", lambda: self._stopped(pids))
        else:
            self.group.kill()

    def running(self) -> bool:
        pids = self.group.pids()
        return bool(pids) and not self._stopped(pids)

    def _stopped(self, pids: list[int]) -> bool:
        return any(process_state(pid) == "T" for pid in pids)

    # --- asking

    def query(self, name: str, kind: str = "A", server: str = DNS.v4, timeout: float = 2) -> list[str]:
        """Ask the server from inside the lab, as RFC 1035 has it: the addresses, none if it has none.

        Raises OSError where no answer comes, LabError for an answer that is neither success nor NXDOMAIN.
        """
        number, family = TYPES[kind]
        ident = random.randrange(65536)
        labels = b"".join(bytes([len(x)]) + x.encode() for x in name.rstrip(".").split("."))
        question = struct.pack(">6H", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", number, 1)

        def ask() -> bytes:
            with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(timeout)
                sock.connect((server, 53))
                sock.send(question)
                return sock.recv(4096)

        reply = self.namespace.do(ask)
        got, flags, _unused, count = struct.unpack(">4H", reply[:8])
        if got != ident or flags & 15 not in (0, 3):
            raise LabError(f"DNS: {name} {kind}: unexpected answer, code {flags & 15}")
        found, at = [], len(question)
        for _turn in range(count):
            # A name that is compressed, as all answers of dnsmasq are, takes two bytes
            kind_got, _unused, _unused, size = struct.unpack(">2HIH", reply[at + 2 : at + 12])
            if kind_got == number:
                found.append(socket.inet_ntop(family, reply[at + 12 : at + 12 + size]))
            at += 12 + size
        return found


def _plain(address: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_ntop(family, socket.inet_pton(family, address))
