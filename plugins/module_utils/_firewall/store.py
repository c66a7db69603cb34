# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What lies on the host's disk: where, how it is written, and the addresses learnt so far.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Union

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination, Policy
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError, Place
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resolve import Answer


class Layout:
    """Every path of the allowlist. ``root`` is / but in tests."""

    def __init__(self, root: str = "/") -> None:
        self.root = root
        #: The declared policy.
        self.policy = os.path.join(root, "etc/ibm_quantum/egress.json")
        #: The addresses learnt and what is known of the rules in force.
        self.state = os.path.join(root, "var/lib/ibm_quantum/egress-state.json")
        #: The last good ruleset, which the boot unit loads.
        self.ruleset = os.path.join(root, "var/lib/ibm_quantum/egress.ruleset")
        #: This code, for the timer.
        self.code = os.path.join(root, "usr/local/lib/ibm_quantum/egress.pyz")
        self.units = os.path.join(root, "etc/systemd/system")
        self.cron = os.path.join(root, "etc/cron.d")
        #: Gone after a reboot: the lock, and a change that waits for its confirmation.
        self.runtime = os.path.join(root, "run/ibm_quantum")
        self.lock = os.path.join(self.runtime, "egress.lock")

    def path(self, absolute: str) -> str:
        """An absolute path, below the root."""
        return os.path.join(self.root, absolute.lstrip("/"))

    @property
    def own_directories(self) -> tuple[str, ...]:
        """Directories of the collection's name; removed when they are left empty."""
        return tuple(os.path.dirname(path) for path in (self.policy, self.state, self.code)) + (self.runtime,)


class Link(NamedTuple):
    """A symbolic link, as content of a path."""

    target: str


Content = Union[bytes, Link]


def read(path: str) -> Content | None:
    """What is at a path; None if nothing is."""
    try:
        if os.path.islink(path):
            return Link(os.readlink(path))
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(path: str, content: Content) -> None:
    """Put a file (0644) or link there, atomically. The temporary name is fixed: a killed run's is used again."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    new = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    if isinstance(content, Link):
        os.symlink(content.target, new)
    else:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)  # whatever the umask is
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    os.replace(new, path)


def remove(path: str) -> None:
    """Take a file or link away, and what a killed run may have left of it."""
    for name in (path, path + ".new"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def prune(directories: Iterable[str]) -> None:
    """Remove these directories where they are empty, the deepest first."""
    for directory in sorted(set(directories), key=len, reverse=True):
        with contextlib.suppress(OSError):
            os.rmdir(directory)


def read_json(path: str) -> dict[str, Any] | None:
    """An object from a JSON file; None if there is no file or it holds something else (which the next write heals)."""
    content = read(path)
    if not isinstance(content, bytes):
        return None
    try:
        data = json.loads(content)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def to_json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def read_policy(layout: Layout) -> Policy | None:
    """The policy that this host has; None without one, or with one that this version cannot read."""
    data = read_json(layout.policy)
    try:
        return Policy.from_dict(data) if data is not None else None
    except (KeyError, TypeError, ValueError):
        return None


class State:
    """What the host has learnt. Times are seconds since 1970.

    ``addresses``: name to {address: when it was last in an answer}; a name that never resolved has none.
    ``rules``: a digest of what the rules in force were made from; ``fingerprint``: what the provider then saw.
    ``refreshed``: when the addresses were last looked at.
    ``activated``: whether the run that wrote the files came to its end.
    ``places``: every place that may hold something of ours; the last is the one that is in use.
    ``swept``: when a generation of what dnsmasq fills was last emptied; ``generation``: the one that is next.
    """

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        data = data or {}
        self.addresses: dict[str, dict[str, float]] = dict(data.get("addresses", {}))
        self.dns_servers: list[str] = list(data.get("dns_servers", ()))
        self.rules: str | None = data.get("rules")
        self.fingerprint: str | None = data.get("fingerprint")
        self.refreshed: float = data.get("refreshed", 0.0)
        self.activated: bool = data.get("activated", False)
        self.places = [Place(name, tuple(chains)) for name, chains in data.get("places", ())]
        self.swept: float = data.get("swept", 0.0)
        self.generation: int = data.get("generation", 0)

    @classmethod
    def load(cls, layout: Layout) -> State:
        """An unreadable state counts as none: all of it can be learnt again."""
        try:
            return cls(read_json(layout.state))
        except (TypeError, ValueError, AttributeError):
            return cls()

    def save(self, layout: Layout) -> None:
        write(layout.state, to_json(vars(self)))

    def learn(self, answers: Mapping[str, Answer], lifetime: float, now: float) -> None:
        """Add what DNS answered. An address leaves ``lifetime`` seconds after it was last seen, but only while its name
        resolves: a name without an answer keeps all it has."""
        for name, answer in answers.items():
            known = self.addresses.setdefault(name, {})
            if answer.addresses:
                # Clients may use what they were told for as long as its TTL says.
                keep = max(lifetime, answer.ttl or 0.0)
                kept = {a: seen for a, seen in known.items() if now - seen < keep}
                self.addresses[name] = {**kept, **dict.fromkeys(answer.addresses, now)}

    def see(self, policy: Policy, learnt: Iterable[Destination], now: float) -> None:
        """What dnsmasq has in the sets now, to be loaded again after a reboot."""
        for service in policy.services:
            self.addresses[str(service)] = {d.host: now for d in learnt if d.service == service}

    def forget_all_but(self, keys: Iterable[str]) -> None:
        self.addresses = {key: known for key, known in self.addresses.items() if key in set(keys)}


@contextlib.contextmanager
def locked(layout: Layout, patience: float) -> Iterator[None]:
    """Hold the one lock of playbook, timer and rollback. Raises :class:`FirewallError` after ``patience`` seconds."""
    end = time.monotonic() + patience
    while True:
        os.makedirs(layout.runtime, mode=0o700, exist_ok=True)
        descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever removes the allowlist removes the lock as well: then this is the lock of nothing.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(layout.lock)):
                    break
        except BlockingIOError:
            pass
        os.close(descriptor)
        if time.monotonic() >= end:
            raise FirewallError(
                f"another run has held {layout.lock} for {patience:g} s: wait for it, or end it", "locked"
            )
        time.sleep(0.05)
    try:
        yield
    finally:
        os.close(descriptor)
