# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab needs of the machine: packages, commands with a time limit, waiting, processes and control groups."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Callable, Iterable, Mapping, Sequence, TypeVar

T = TypeVar("T")

#: The checkout.
ROOT = Path(__file__).resolve().parents[2]

#: The one list of Debian packages that the lab takes from the machine, and tests in namespaces of their own besides:
#: package -> a command that it brings.
PACKAGES = {
    "ca-certificates": "update-ca-certificates",
    "debootstrap": "debootstrap",
    "dnsmasq-base": "dnsmasq",
    "iproute2": "ip",
    "ipset": "ipset",
    "iptables": "iptables",
    "nftables": "nft",
    "openssh-client": "ssh",
    "openssl": "openssl",
    "systemd-container": "systemd-nspawn",
    "util-linux": "nsenter",
}

#: Administrators' commands live in sbin, which is not in everybody's PATH.
os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"


class LabError(Exception):
    """The lab cannot do what was asked; the text says why and what to do."""


class LabTimeout(LabError):
    """Something took longer than it may."""


def run(
    argv: Sequence[str],
    timeout: float = 60,
    check: bool = True,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    inside: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process group of its own and capture its output; on timeout the whole group is ended.

    ``inside`` is put before it to run it elsewhere.

    Raises LabTimeout and, with ``check``, LabError on a non-zero exit, with the end of the output.
    """
    process = subprocess.Popen(
        [*inside, *argv],
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=None if env is None else dict(env),
        cwd=cwd,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(input, timeout=timeout)
    except BaseException as exc:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        if isinstance(exc, subprocess.TimeoutExpired):
            text = f"{' '.join(argv)}: no end after {timeout} s\n{out[-2000:]}{err[-2000:]}"
            raise LabTimeout(text) from None
        raise
    if check and process.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit status {process.returncode}\n{out[-2000:]}{err[-2000:]}")
    return subprocess.CompletedProcess(list(argv), process.returncode, out, err)


def wait_for(what: str, probe: Callable[[], T], timeout: float = 30, pause: float = 0.05) -> T:
    """Ask ``probe`` until it gives something true, and return that; LabTimeout after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise LabTimeout(f"{what}: still not so after {timeout} s")
        time.sleep(pause)


def missing_packages() -> list[str]:
    return [package for package, command in PACKAGES.items() if not shutil.which(command)]


def install() -> list[str]:
    """Install the packages that are missing, and return their names."""
    missing = missing_packages()
    if not missing:
        return []
    if not shutil.which("apt-get"):
        raise LabError(f"no apt-get here: install by hand what brings {', '.join(PACKAGES[p] for p in missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    run([*apt, "update"], timeout=300, env=env)
    run([*apt, "install", "--no-install-recommends", *missing], timeout=900, env=env)
    return missing


def why_not() -> str | None:
    """Why this machine cannot run a lab at all, or None. Packages are not asked for: they can be installed."""
    if not sys.platform.startswith("linux"):
        return "the lab needs Linux"
    if os.geteuid() != 0:
        return "the lab needs root: it makes network namespaces and boots systemd"
    if not hierarchies() or not all(os.access(path, os.W_OK) for path in hierarchies()):
        return "the lab needs cgroup v2, alone or beside v1, writable at /sys/fs/cgroup"
    if "overlay" not in Path("/proc/filesystems").read_text() and not shutil.which("modprobe"):
        return "the lab needs overlayfs in the kernel"
    if run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], check=False).returncode != 0:
        return "this root may not make namespaces, as in a container without privileges"
    return None


# --- processes -------------------------------------------------------------------------------------------------------


def hierarchies() -> list[Path]:
    """Where control groups are made: the unified hierarchy first and, on a hybrid machine, systemd's own."""
    base = Path("/sys/fs/cgroup")
    if (base / "cgroup.procs").exists():
        return [base]
    if (base / "unified" / "cgroup.procs").exists():
        return [p for p in (base / "unified", base / "systemd") if p.is_dir()]
    return []


class Group:
    """A control group in every hierarchy: the book of all processes of a host or a lab that nobody can forget to keep.

    Whatever was started in it, and all its children, stay in it, also when the state file was never written.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.paths = [h / name for h in hierarchies()]

    def make(self) -> None:
        for path in self.paths:
            path.mkdir(parents=True, exist_ok=True)

    def prefix(self) -> list[str]:
        """Put before a command to run it in this group."""
        # "0" is the writer itself, in both versions of control groups
        script = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; exec "$@"'
        return ["sh", "-c", script, "sh", *(str(p / "cgroup.procs") for p in self.paths), "--"]

    def pids(self) -> list[int]:
        found: set[int] = set()
        for path in self.paths:
            for folder, _folders, _files in os.walk(path):  # which, unlike rglob, bears folders that vanish meanwhile
                with contextlib.suppress(OSError):
                    found.update(int(line) for line in Path(folder, "cgroup.procs").read_text().split())
        return sorted(found - {0})

    def kill(self, timeout: float = 20) -> None:
        """End every process in the group, and remove the group."""

        def ended() -> bool:
            pids = self.pids()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not pids

        if any(path.exists() for path in self.paths):
            wait_for(f"the end of all processes of {self.name}", ended, timeout, pause=0.02)
        for path in self.paths:
            wait_for(f"removal of {path}", partial(_remove_group, path), timeout, pause=0.02)


def _remove_group(top: Path) -> bool:
    if not top.exists():
        return True
    try:
        for folder, _folders, _files in os.walk(top, topdown=False):
            os.rmdir(folder)
    except OSError:  # still busy
        return False
    return True


def spawn(argv: Sequence[str], group: Group, log: Path, env: Mapping[str, str] | None = None) -> int:
    """Start a process that outlives us, in a session and control group of its own; returns its pid."""
    group.make()
    # The shell joins the group before it forks; a background job leads no process group, so setsid keeps its pid
    script = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'
    done = run([*group.prefix(), "sh", "-c", script, "sh", str(log), *argv], timeout=10, env=env, cwd=ROOT)
    return int(done.stdout)


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on (proc(5), "stat"); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def process_state(pid: int) -> str:
    """R, S, T (stopped), Z (ended) ...; nothing when it is gone."""
    return "".join(_stat(pid)[:1])


def started(pid: int) -> str | None:
    """When a process started, in clock ticks after boot, with the boot's id: pid and this name one process for ever."""
    fields = _stat(pid)
    if not fields or fields[0] in "ZX":
        return None
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{fields[19]}"


def alive(pid: int, since: str | None) -> bool:
    return since is not None and started(pid) == since


def sysctl_at_least(name: str, value: int) -> None:
    path = Path("/proc/sys") / name.replace(".", "/")
    if int(path.read_text()) < value:
        path.write_text(f"{value}\n")


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


def lines(items: Iterable[str]) -> str:
    return "".join(f"{item}\n" for item in items)
