# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The dnsmasq that fills the sets from the very answers that the host's programs get.

It is one of our own, on a loopback address of its own, and caches nothing: each answer passes through it, and it adds
the addresses to the sets before it passes the answer on. The host's resolv.conf names it and nothing else; what was
there is kept beside its configuration, the very same file or link, and goes back when the allowlist goes.

Its configuration ends with a name made of a digest of the rest. So one query tells whether what runs is what is on
disk.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import hashlib
import os
import pwd
import re
import shutil
import struct
import time
from typing import Callable, Iterator, Mapping, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _dns
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.command import PATH, complete
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy, Service
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError, Provider
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.scheduler import Resident
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import (
    Content,
    Layout,
    remove,
    write,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resolve import RESOLV_CONF, nameservers

#: Where it listens. Nothing else does there, whatever other resolver the host may have.
ADDRESS = "127.0.0.153"
#: What is below it exists in our dnsmasq only; RFC 6761 section 6.4 keeps it out of DNS.
ZONE = "egress.invalid"
#: Seconds that an address stays in the sets at least, however short the policy says: who was told it may use it for
#: half that time (``max-ttl``), and may take a moment for it.
LEAST_LIFETIME = 120
#: Seconds that it may take from its start to its first answer.
PATIENCE = 10.0
#: dnsmasq reads lines of 1024 bytes.
_LINE = 1000
#: Lines of resolv.conf(5) that are about names, not about servers.
_KEPT_WORDS = ("domain", "search", "sortlist", "options")
_REMEDY = "use resolution=resolve"


class Dnsmasq:
    """``query``: as :func:`_dns.query`. Unless said otherwise, methods raise OSError when a file cannot be handled."""

    def __init__(self, layout: Layout, query: Callable[[str, str, str, float], _dns.Reply] = _dns.query) -> None:
        self._layout = layout
        self._query = query
        self._config = layout.path("/etc/ibm_quantum/egress-dnsmasq.conf")
        self._taken = layout.path(RESOLV_CONF)
        self._kept = layout.path("/etc/ibm_quantum/resolv.conf")

    # -- what the host has -------------------------------------------------------------------------------------------

    @property
    def packages(self) -> tuple[str, ...]:
        # Debian's package dnsmasq has a service for the whole network, which would start at once.
        return ("dnsmasq-base",) if os.path.exists(self._layout.path("/etc/debian_version")) else ("dnsmasq",)

    def missing(self) -> str | None:
        """What this host lacks, with the remedy; None if nothing."""
        if shutil.which("dnsmasq", path=PATH):
            return None
        return f"the command dnsmasq is not on this host: install the package {self.packages[0]}"

    def check(self, provider: Provider) -> None:
        """Raises :class:`FirewallError` where this cannot work on this host, before anything is changed."""
        if self._resolved():
            raise FirewallError(
                f"resolution=dns: names are looked up by systemd-resolved on this host, past dnsmasq: {_REMEDY}, or "
                "disable systemd-resolved and have /etc/resolv.conf name the servers",
                "unsupported",
            )
        hindrance = self._hindrance()
        if hindrance:
            raise FirewallError(
                f"resolution=dns: /etc/resolv.conf {hindrance}, so it cannot be made to name dnsmasq: {_REMEDY}",
                "unsupported",
            )
        if not self.missing():
            self._can_fill(provider)

    def _resolved(self) -> bool:
        if {"127.0.0.53", "127.0.0.54"} & {nameservers(self._taken, ()).hidden}:
            return True
        active = self._layout.path("/run/systemd/units/invocation:systemd-resolved.service")
        hosts = [line.split() for line in _lines(self._layout.path("/etc/nsswitch.conf")) if line.startswith("hosts:")]
        return os.path.lexists(active) and any("resolve" in words for words in hosts)

    def _hindrance(self) -> str | None:
        if not os.path.lexists(self._taken):
            return "does not exist"
        if os.path.islink(self._taken):
            return None
        mounts = (line.split() for line in _lines("/proc/self/mountinfo"))
        if any(len(words) > 4 and words[4] == self._taken for words in mounts):
            return "is a mount of its own, as in containers"
        with open(self._taken, "rb") as file, contextlib.suppress(OSError):  # not all file systems have flags
            size = struct.calcsize("l")
            flags = fcntl.ioctl(file, 2 << 30 | size << 16 | 0x6601, bytes(size))  # FS_IOC_GETFLAGS
            if struct.unpack("l", flags)[0] & 0x10:  # FS_IMMUTABLE_FL
                return "is immutable (chattr +i)"
        return None

    def _can_fill(self, provider: Provider) -> None:
        option = provider.learner("example.org", 443, "tcp").partition("=")[0]
        done = complete([self._command, "--version"], reason="unsupported")
        if option not in done.stdout.split():
            version = re.search(r"version (\S+)", done.stdout)
            other = "provider=iptables, " if option == "nftset" else ""
            raise FirewallError(
                f"resolution=dns: dnsmasq {version[1] if version else ''} of this host cannot do {option}, which "
                f"provider={provider.name} takes (nftset came with 2.87): use {other}a newer dnsmasq, or "
                "resolution=resolve",
                "unsupported",
            )

    @property
    def _command(self) -> str:
        # Without it, check mode still wants to say what it would write.
        return shutil.which("dnsmasq", path=PATH) or "/usr/sbin/dnsmasq"

    @staticmethod
    def _account() -> pwd.struct_passwd:
        for name in ("dnsmasq", "nobody"):  # the package's own, else the one that dnsmasq itself would take
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        raise FirewallError("resolution=dns: this host has neither a user dnsmasq nor nobody: create the former")

    def uid(self) -> int:
        """The user that it runs as. Raises :class:`FirewallError` if there is none."""
        return self._account().pw_uid

    # -- the program -------------------------------------------------------------------------------------------------

    def files(self, policy: Policy, provider: Provider, servers: Sequence[str]) -> dict[str, bytes]:
        """Absolute path to content of its configuration. Raises :class:`FirewallError` for what it cannot hold."""
        account = self._account()
        group = []
        with contextlib.suppress(KeyError):
            group.append(f"group={grp.getgrgid(account.pw_gid).gr_name}")
        lines = [
            "# Written by the Ansible collection ibm_quantum.platform; changes are overwritten.",
            f"listen-address={ADDRESS}",
            "bind-interfaces",
            f"user={account.pw_name}",
            *group,
            "pid-file=",
            "log-facility=-",
            "no-hosts",  # the host's programs have read it before they ask
            "no-resolv",
            *(f"server={server}" for server in servers),
            "cache-size=0",  # else what is in the cache would not get into sets that were emptied
            f"max-ttl={lifetime(policy) // 2}",
            "dns-forward-max=1000",
            *_learners(policy, provider),
            f"local=/{ZONE}/",
        ]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
        return {self._config: "\n".join([*lines, f"address=/{digest}.{ZONE}/{ADDRESS}", ""]).encode()}

    def paths(self) -> list[str]:
        """Every path that :meth:`files` can have."""
        return [self._config]

    def resident(self) -> Resident:
        """The program to run."""
        watched = [self._taken]
        origin = os.path.realpath(self.resolv_conf)
        if origin not in (self._taken, self._kept):  # a link, whose target some other program writes
            watched.append(origin)
        return Resident(
            "ibm-quantum-egress-dns",
            "DNS for the egress allowlist of the IBM Quantum Platform",
            [self._command, "--keep-in-foreground", f"--conf-file={self._config}"],
            watched=watched,
        )

    def serves(self, files: Mapping[str, Content]) -> bool:
        """Whether it answers, and as configured in these files."""
        config = files.get(self._config)
        proof = re.search(rb"(?m)^address=/([^/]+)/", config) if isinstance(config, bytes) else None
        if proof is None:
            return False
        try:
            return self._query(proof[1].decode(), "A", ADDRESS, 1.0).addresses == (ADDRESS,)
        except _dns.DnsError:
            return False

    # -- resolv.conf -------------------------------------------------------------------------------------------------

    @property
    def resolv_conf(self) -> str:
        """The resolv.conf that names the host's own servers."""
        if not self.taken() or not os.path.lexists(self._kept):
            return self._taken
        if os.path.islink(self._kept):  # relative to where it was
            target = os.readlink(self._kept)
            return self._layout.path(target) if os.path.isabs(target) else self._beside(target)
        return self._kept

    def _beside(self, target: str) -> str:
        return os.path.normpath(os.path.join(os.path.dirname(self._taken), target))

    def taken(self) -> bool:
        """Whether the host's resolv.conf names this dnsmasq, and nothing else."""
        return nameservers(self._taken, ()) == ((), ADDRESS)

    def take(self, files: Mapping[str, Content]) -> None:
        """Have the host's resolv.conf name this dnsmasq, and keep what was there. Harmless if it does already.

        Raises :class:`FirewallError`, and changes nothing, if dnsmasq does not answer as these files have it.
        """
        end = time.monotonic() + PATIENCE
        while not self.serves(files):
            if time.monotonic() > end:
                raise FirewallError(
                    f"dnsmasq does not answer at {ADDRESS} port 53, so /etc/resolv.conf names the servers of this host "
                    "as before: the journal of ibm-quantum-egress-dns.service says why; perhaps something else listens "
                    "on port 53 of every address",
                    "dnsmasq_failed",
                )
            time.sleep(0.05)
        if self.taken():
            return
        kept = [line for line in _lines(self._taken) if line.split()[:1] and line.split()[0] in _KEPT_WORDS]
        text = [
            "# Written by the Ansible collection ibm_quantum.platform, whose allowlist is filled by this name server.",
            "# The file that was here before is kept as /etc/ibm_quantum/resolv.conf.",
            f"nameserver {ADDRESS}",
            *kept,
        ]
        try:
            remove(self._kept)
            # The file or link itself, with all that belongs to it.
            os.link(self._taken, self._kept, follow_symlinks=False)
            write(self._taken, _encoded(text))
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EPERM, errno.EXDEV, errno.EROFS):
                raise
            raise FirewallError(
                f"/etc/resolv.conf cannot be replaced ({error.strerror}): {_REMEDY}", "unsupported"
            ) from None

    def give_back(self) -> None:
        """Restore the resolv.conf that was there before. Harmless if nothing was taken."""
        if not self.taken():
            if os.path.lexists(self._kept):  # somebody wrote another since, which counts, or a run was killed
                for path in (self._kept, self._taken + ".new"):
                    remove(path)
        elif os.path.lexists(self._kept):
            os.replace(self._kept, self._taken)
        else:
            # Lost; a host needs its DNS nevertheless.
            servers = [line[len("server=") :] for line in _lines(self._config) if line.startswith("server=")]
            lines = [line for line in _lines(self._taken) if not line.startswith(("#", "nameserver"))]
            write(self._taken, _encoded([*(f"nameserver {server}" for server in servers), *lines]))


def lifetime(policy: Policy) -> int:
    """For how many seconds an address stays in the sets after it was last in an answer."""
    return max(policy.address_lifetime, LEAST_LIFETIME)


def _learners(policy: Policy, provider: Provider) -> Iterator[str]:
    """One line for each name: of several that fit a name, dnsmasq takes the most specific one only."""
    services: dict[str, set[Service]] = {}
    wild: dict[str, set[Service]] = {}
    for destination in policy.destinations:
        if destination.is_name:
            name = destination.host[2:] if destination.is_wildcard else destination.host
            services.setdefault(name, set()).add(destination.service)
            if destination.is_wildcard:
                wild.setdefault(name, set()).add(destination.service)
    for name in sorted(services):
        labels = name.split(".")
        for depth in range(1, len(labels)):
            services[name] |= wild.get(".".join(labels[depth:]), set())
        sets = []
        for service in sorted(services[name]):
            option, _separator, rest = provider.learner(name, *service).partition("=/")
            sets.append(rest.partition("/")[2])
        line = f"{option}=/{name}/{','.join(sets)}"
        if len(line) > _LINE:
            raise FirewallError(
                f"endpoints: {len(sets)} ports for {name!r} are more than dnsmasq takes: {_REMEDY}", "unsupported"
            )
        yield line


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode(errors="surrogateescape")


def _lines(path: str) -> list[str]:
    """Those of a text file, without their ends; none if it is not there."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []
