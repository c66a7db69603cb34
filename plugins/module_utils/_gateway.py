# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The proxy of ``_squid`` as a service of a host: a unit and a configuration of its own, beside any other squid.

What is in force the proxy tells itself: its refusals carry the identity of its configuration. So the steady state costs
one request over loopback and no subprocess. Standard library only: hosts import it.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import tempfile
import time
from typing import NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import (
    Content,
    Link,
    prune,
    read,
    remove,
    write,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._squid import (
    STATUS_NAME,
    Proxy,
    config,
    identity,
    places,
)

UNIT = "ibm-quantum-proxy.service"
#: Where distributions have it, for a prediction on a host that does not have it yet.
SQUID = "/usr/sbin/squid"

_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_COMMAND = 60  # seconds for one command
_READY = 30  # seconds for squid to have a configuration in force
_ANSWER = 3  # seconds for it to answer
_QUESTION = f"CONNECT {STATUS_NAME}:443 HTTP/1.1\r\nHost: {STATUS_NAME}:443\r\nConnection: close\r\n\r\n".encode()


class GatewayError(Exception):
    """An error for the user: the text says what is wrong and what to do; ``reason`` is for playbooks to branch on."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Change(NamedTuple):
    """A file or link that differs; None where there is none."""

    path: str
    old: Content | None
    new: Content | None


class Outcome(NamedTuple):
    """What was done, or in check mode would be. ``action`` is a verb of systemctl or empty; ``reason`` is
    ``squid_missing`` where a prediction had to do without squid."""

    changes: list[Change]
    action: str = ""
    reason: str = ""

    @property
    def changed(self) -> bool:
        return bool(self.changes or self.action)


class Gateway:
    """The proxy of this host. ``root`` is / but in tests."""

    def __init__(self, root: str = "/") -> None:
        units = os.path.join(root, "etc/systemd/system")
        self.root = root
        self.config = os.path.join(root, "etc/ibm_quantum/squid.conf")
        self.unit = os.path.join(units, UNIT)
        self.link = os.path.join(units, "multi-user.target.wants", UNIT)

    def present(self, proxy: Proxy, check: bool) -> Outcome:
        """Have the proxy run as declared, now and after a reboot. Raises :class:`GatewayError`, having changed nothing
        or restored what was there."""
        if not os.path.isdir(os.path.join(self.root, "run/systemd/system")):
            raise GatewayError("this host does not run systemd, which the proxy needs", "no_systemd")
        squid = shutil.which("squid", path=_PATH if self.root == "/" else os.environ["PATH"])
        if squid is None and not check:
            raise GatewayError("squid is missing: install the package squid", "squid_missing")
        text, old = config(proxy), read(self.config)
        before = old.decode("utf-8", "replace") if isinstance(old, bytes) else ""
        wanted: dict[str, Content] = {
            self.unit: unit_text(squid or SQUID, self.config).encode(),
            self.link: Link(f"/etc/systemd/system/{UNIT}"),
            self.config: text.encode(),
        }
        now = {path: read(path) for path in wanted}
        changes = [Change(path, now[path], new) for path, new in wanted.items() if now[path] != new]
        running = in_force(places(before)) or in_force(places(text))
        action = self._action(changes, running, identity(text))
        if old != wanted[self.config] and squid:
            _validate(squid, text)
        if action == "start":
            _must_be_free(places(text), ())
        elif old != wanted[self.config]:
            _must_be_free(places(text), places(before))
        if not check:
            self._apply(changes, action, text)
        return Outcome(changes, action, "" if squid else "squid_missing")

    def absent(self, check: bool) -> Outcome:
        """Take the proxy off, and nothing else. Raises :class:`GatewayError`."""
        paths = (self.link, self.unit, self.config)
        changes = [Change(path, read(path), None) for path in paths if read(path) is not None]
        action = "stop" if any(change.path == self.unit for change in changes) else ""
        if changes and not check:
            if action:
                _systemctl("stop", UNIT, accept=(0, 5))  # 5: systemd has not read the unit
            for path in paths:
                remove(path)
            _systemctl("daemon-reload")
            _systemctl("reset-failed", UNIT, accept=(0, 1, 5))  # nothing to forget is no error
            prune([os.path.dirname(self.config)])
        return Outcome(changes, action)

    def _action(self, changes: Sequence[Change], running: str | None, wanted: str | None) -> str:
        """What systemctl has to do for the wanted configuration to be in force."""
        if running is None:
            # It may be there and not answer, in which case it holds the ports and must go first.
            known = os.path.exists(self.unit) and _systemctl("is-active", UNIT, accept=(0, 3, 4)) == "active"
            return "restart" if known else "start"
        if any(change.path == self.unit for change in changes):
            return "restart"
        return "reload" if running != wanted else ""

    def _apply(self, changes: Sequence[Change], action: str, text: str) -> None:
        """Write, act, and wait until it is in force; or put everything back."""
        units = any(change.path != self.config for change in changes)
        try:
            for change in changes:
                if change.new is not None:
                    write(change.path, change.new)
            if units:
                _systemctl("daemon-reload")
            if action:
                _systemctl(action, UNIT)
                _wait_for(text)
        except GatewayError:
            for change in changes:
                if change.old is None:
                    remove(change.path)
                else:
                    write(change.path, change.old)
            had = os.path.exists(self.config)
            if not had:
                _systemctl("stop", UNIT, accept=(0, 5))
            _systemctl("daemon-reload")
            if had:
                _systemctl("restart", UNIT, accept=(0, 1))
            else:
                _systemctl("reset-failed", UNIT, accept=(0, 1, 5))
                prune([os.path.dirname(self.config)])
            raise


def unit_text(squid: str, path: str) -> str:
    """The systemd unit. It starts as root, for the ports, and goes on as the user that squid was built with."""
    return f"""\
# Managed by Ansible, collection ibm_quantum.platform: edits will be overwritten.
[Unit]
Description=Proxy to the IBM Quantum Platform (squid)
Documentation=man:squid(8)
Wants=network-online.target
After=network-online.target nss-lookup.target

[Service]
ExecStart={squid} -N -sYC -f {path}
ExecReload={squid} -k parse -f {path}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
TimeoutStopSec=15
Restart=on-failure
RestartSec=2
LimitNOFILE=16384
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""


def in_force(where: Sequence[tuple[str, int]]) -> str | None:
    """The identity of the configuration that a proxy of this collection works with at these places; None if none
    answers at all of them, or not all alike."""
    found = {_ask(address, port) for address, port in where}
    return found.pop() if len(found) == 1 else None


def _ask(address: str, port: int) -> str | None:
    if address == "::":
        # Squid takes all of IPv4 where the host has no IPv6, else both
        return _ask("127.0.0.1", port)
    answer = b""
    end = time.monotonic() + _ANSWER
    try:
        with socket.create_connection((address, port), _ANSWER) as sock:
            sock.sendall(_QUESTION)
            while len(answer) < 65536 and identity(answer.decode("latin-1")) is None and time.monotonic() < end:
                piece = sock.recv(4096)
                if not piece:
                    break
                answer += piece
    except OSError:
        pass  # nobody there, or somebody who does not speak HTTP
    return identity(answer.decode("latin-1"))


def _must_be_free(wanted: Sequence[tuple[str, int]], ours: Sequence[tuple[str, int]]) -> None:
    """Raise :class:`GatewayError` for a place where the proxy could not listen. ``ours`` it holds already."""
    for address, port in wanted:
        if (address, port) in ours or ("::", port) in ours or (address == "::" and port in [p for _a, p in ours]):
            continue
        try:
            _bind(address, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise GatewayError(
                    f"port {port} is in use by another program: choose another port, or stop that program (a squid of "
                    "its own: systemctl disable --now squid)",
                    "port_taken",
                ) from None
            if error.errno == errno.EADDRNOTAVAIL:
                raise GatewayError(f"listen: {address} is not an address of this host", "invalid") from None
            raise GatewayError(f"the proxy cannot listen on port {port}: {error.strerror}", "invalid") from None


def _bind(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if address == "::":
        try:
            socket.socket(family).close()
        except OSError:
            family, address = socket.AF_INET, "0.0.0.0"  # a host without IPv6
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((address, port))


def _validate(squid: str, text: str) -> None:
    """Have squid read a configuration that is not in force. Raises :class:`GatewayError` with what it says."""
    with tempfile.NamedTemporaryFile("w", prefix="ibm_quantum_", suffix=".conf") as file:
        file.write(text)
        file.flush()
        done = _run([squid, "-k", "parse", "-f", file.name])
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "FATAL" in line or "ERROR" in line]
        said = "; ".join(line.partition("| ")[2] or line for line in lines) or done.stderr.strip()[-300:]
        raise GatewayError(f"squid does not take the configuration, so nothing was changed: {said}", "squid_refuses")


def _wait_for(text: str) -> None:
    end = time.monotonic() + _READY
    while in_force(places(text)) != identity(text):
        if time.monotonic() > end:
            raise GatewayError(
                f"the proxy did not come up within {_READY} s, so what was there before is restored: see "
                f"journalctl -u {UNIT}",
                "not_started",
            )
        time.sleep(0.1)


def _systemctl(*arguments: str, accept: Sequence[int] = (0,)) -> str:
    """Run systemctl; what it prints. Raises :class:`GatewayError`."""
    done = _run(["systemctl", *arguments])
    if done.returncode not in accept:
        raise GatewayError(f"systemctl {' '.join(arguments)} failed: {(done.stderr or done.stdout).strip()}", "systemd")
    return done.stdout.strip()


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GatewayError(f"{command[0]} could not be run: {error}", "systemd") from None
