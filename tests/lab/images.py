# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of the lab's hosts: made once by debootstrap, kept outside the checkout, never written to again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterable, Iterator

from .system import LabError, run, say

#: What a lab has when nothing else is asked for, in the order in which hosts take them.
SUITES = ("bookworm", "trixie", "bullseye")

#: What every host has. A host is as lean as a server of a careful administrator, and lacks nothing that a role uses.
PACKAGES = (
    "acl",
    "ca-certificates",
    "cron",
    "curl",
    "dbus",
    "dnsmasq",
    "firewalld",
    "fish",
    "ipset",
    "iproute2",
    "iptables",
    "libpam-systemd",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "python3-venv",
    "squid",
    "sudo",
    "systemd-sysv",
    "tcsh",
    "ufw",
    "zsh",
)

#: Services that are there for who asks for them: a test enables the one that its host is to have.
IDLE = ("dnsmasq", "firewalld", "squid")

#: An image that no lab has asked for in so many days is removed when another of its suite is built.
KEEP_DAYS = 14

#: Units that have nothing to do in a container, where they would only cost time or leave systemd "degraded".
MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "getty@tty1.service",
    "systemd-firstboot.service",
    "systemd-modules-load.service",
    "systemd-network-generator.service",
)

#: Run inside the new root. Keys, machine id and names are each host's own, so none stay in the image.
FINISH = """\
set -eu
for user in alice bob; do useradd --create-home --shell /bin/bash "$user"; done
echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice
chmod 0440 /etc/sudoers.d/alice
for unit in {masked}; do ln -sf /dev/null "/etc/systemd/system/$unit"; done
systemctl disable {idle}
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\\nStorage=volatile\\n' >/etc/systemd/journald.conf.d/lab.conf
rm -f /etc/ssh/ssh_host_*_key* /etc/resolv.conf /etc/hostname /var/lib/dbus/machine-id
: >/etc/machine-id
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/*.log /var/log/apt /tmp/* /var/tmp/*
""".format(masked=" ".join(MASKED), idle=" ".join(IDLE))


def cache_dir() -> Path:
    own = os.environ.get("IBM_QUANTUM_LAB_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ibm_quantum_lab"


def recipe(suite: str) -> str:
    """A short hash of all that an image is made from: a changed recipe is another image."""
    text = json.dumps([suite, "minbase", PACKAGES, FINISH, os.uname().machine])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def image(suite: str) -> Path:
    """Where the image of a suite is, or will be."""
    return cache_dir() / f"{suite}-{recipe(suite)}"


# --- the mirror: the machine's own, read when it is needed ------------------------------------------------------------


def _sources(etc: Path) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """(URIs, suites, components) of each binary source of apt, from both of its formats."""
    for path in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))]:
        for line in path.read_text().splitlines() if path.is_file() else ():
            found = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line)
            if found:
                yield [found[1]], [found[2]], found[3].split()
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", path.read_text())):
            joined = re.sub(r"\n[ \t]+", " ", stanza)
            fields = {k.strip().lower(): v.split() for k, _sep, v in (x.partition(":") for x in joined.splitlines())}
            if "deb" in fields.get("types", ()) and fields.get("enabled", ["yes"])[0].lower() != "no":
                yield fields.get("uris", []), fields.get("suites", []), fields.get("components", [])


def mirrors(etc: Path = Path("/etc/apt"), os_release: Path = Path("/etc/os-release")) -> list[str]:
    """The addresses from which this machine takes its own release, in apt's order."""
    found = re.search(r"(?m)^VERSION_CODENAME=\"?([\w-]+)", os_release.read_text())
    own = {found[1] if found else "stable", "stable"}
    result: list[str] = []
    for uris, suites, components in _sources(etc):
        if not own.intersection(suites) or "main" not in components:
            continue
        for uri in uris:
            if uri.startswith(("mirror+file:", "mirror:file:")):
                listing = Path(re.sub(r"^mirror[+:]file:(//)?", "", uri))
                more = [line.split()[0] for line in listing.read_text().splitlines() if re.match(r"\s*http", line)]
            else:
                more = [uri] if uri.startswith(("http:", "https:")) else []
            result += [m.rstrip("/") for m in more if m.rstrip("/") not in result]
    return result


def _proxy_env() -> dict[str, str]:
    """apt's proxy, for debootstrap, which fetches by itself."""
    env = dict(os.environ)
    for scheme in ("http", "https"):
        shell = run(["apt-config", "shell", "P", f"Acquire::{scheme}::Proxy"], check=False).stdout
        found = re.match(r"P='(http[^']*)'", shell)
        if found:
            env.setdefault(f"{scheme}_proxy", found[1])
    return env


def mirror_for(suite: str) -> str:
    """The machine's mirror that has a suite. Old suites leave for the archive, which some mirrors carry beside."""
    tried = []
    for mirror in mirrors():
        for base in (mirror, f"{mirror.rsplit('/', 1)[0]}/debian-archive/debian"):
            tried.append(base)
            try:
                with urllib.request.urlopen(f"{base}/dists/{suite}/InRelease", timeout=30) as reply:
                    if reply.status == 200:
                        return base
            except (urllib.error.URLError, OSError):
                continue
    where = ", ".join(tried) or "the apt sources name no mirror of this machine's own release"
    raise LabError(f"no mirror of this machine has the Debian suite {suite} ({where}): leave it out with --suites")


# --- building ---------------------------------------------------------------------------------------------------------


def build(suite: str) -> Path:
    """Make the image of a suite unless it is there; atomic, and safe against others who want the same one now."""
    target = image(suite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{suite}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            os.utime(target)
            return target
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        mirror = mirror_for(suite)
        say(f"lab: building the image of {suite}; a minute or two, once")
        # In namespaces of its own, so that no mount and no process stays, even when we are killed
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
        debootstrap = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(part), mirror]
        try:
            run([*alone, *debootstrap], timeout=1500, env=_proxy_env())
            env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
            run([*alone, "chroot", str(part), "sh", "-c", FINISH], timeout=120, env=env)
        except LabError as exc:
            tail = part / "debootstrap" / "debootstrap.log"
            more = tail.read_text(errors="replace")[-2000:] if tail.is_file() else ""
            raise LabError(f"image of {suite}: {exc}{more}") from None
        os.chmod(part, 0o755)
        os.rename(part, target)
        for old in target.parent.glob(f"{suite}-*"):
            # Not at once: another checkout may still want it
            if time.time() - old.stat().st_mtime > KEEP_DAYS * 86400 and not _in_use(old):
                shutil.rmtree(old, ignore_errors=True)
    return target


def _in_use(path: Path) -> bool:
    """Whether a running host stands on this image (hosts mount in namespaces of their own, so ask every process)."""
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            if str(path) in mounts.read_text():
                return True
        except OSError:
            continue
    return False


def build_all(suites: Iterable[str] = SUITES) -> list[Path]:
    """Make all that are missing, side by side: each waits for the network and for one core in turn."""
    wanted = list(dict.fromkeys(suites))
    for suite in wanted:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", suite):
            raise LabError(f"{suite!r} is no name of a Debian suite, such as {', '.join(SUITES)}")
    with ThreadPoolExecutor(max_workers=len(wanted) or 1) as pool:
        return list(pool.map(build, wanted))
