# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One managed host: a systemd booted by systemd-nspawn on an overlay over its suite's image.

The overlay's layers, from below: the image, ``seed`` (what makes the host this one: keys, name, trust), any snapshots,
and ``upper``, which takes all that is written. So a reset only has to throw ``upper`` away.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from . import images, network
from .system import Group, LabError, LabTimeout, lines, run, spawn, wait_for

if TYPE_CHECKING:
    from .lab import Lab

BOOT_TIMEOUT = 120
STOP_TIMEOUT = 30

#: The environment of :meth:`Host.run`.
PLAIN_ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}

#: What a host without systemd starts; process 1 is a stub of systemd-nspawn's.
WITHOUT_SYSTEMD = "mkdir -p /run/sshd && cron && exec /usr/sbin/sshd -D"

#: $1 options of the mount, $2 where; the mount is in a namespace of its own and ends with the host.
LAUNCH = 'mount -t overlay overlay -o "$1" "$2" && shift 2 && exec "$@"'


class Host:
    """``lab.hosts[0]``, or ``lab.host("h1")``."""

    def __init__(self, lab: Lab, number: int, suite: str) -> None:
        self.lab = lab
        self.number = number
        self.suite = suite
        self.name = f"h{number}"
        self.address, self.address6 = network.host_address(number)
        self.dir = lab.dir / "hosts" / self.name
        self.group = Group(f"{lab.group.name}/{self.name}")
        self.namespace = network.Namespace(f"{lab.namespace.name}-{self.name}")
        self.systemd = True

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.suite} {self.address}>"

    # --- life

    def boot(self) -> None:
        """Start the host on a new network namespace; :meth:`wait` waits for it."""
        for name in ("upper", "work", "root"):
            (self.dir / name).mkdir(exist_ok=True)
        network.make_host(self.lab.namespace, self.namespace, self.number)
        layers = [*reversed(self.snapshots()), self.dir / "seed", images.image(self.suite)]
        options = f"lowerdir={':'.join(map(str, layers))},upperdir={self.dir / 'upper'},workdir={self.dir / 'work'}"
        root = str(self.dir / "root")
        nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={root}"]
        nspawn += ["--boot"] if self.systemd else ["--as-pid2"]
        nspawn += [f"--machine={self.namespace.name}", f"--hostname={self.name}", "--console=pipe"]
        nspawn += [f"--network-namespace-path={self.namespace.path}", "--capability=CAP_NET_ADMIN"]
        nspawn += ["--resolv-conf=off", "--timezone=off", "--link-journal=no"]
        launch = ["unshare", "--mount", "--propagation=private", "--", "sh", "-c", LAUNCH, "sh", options, root]
        init = [] if self.systemd else ["sh", "-c", WITHOUT_SYSTEMD]
        env = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        spawn([*launch, *nspawn, *init], self.group, self.dir / "console.log", env=env)

    def wait(self) -> None:
        """Return when sshd greets and systemd, if any, has started all; LabError with the reason when it does not."""
        try:
            wait_for(f"sshd of {self.name}", self._greets, BOOT_TIMEOUT)
        except LabError as exc:
            raise LabError(f"{exc}\n{self.console()[-2000:]}") from None
        if not self.systemd:
            return
        state = self.run(["systemctl", "is-system-running", "--wait"], timeout=BOOT_TIMEOUT, check=False).stdout.strip()
        if state != "running":
            failed = self.run("systemctl --no-legend --plain --failed", check=False).stdout
            raise LabError(f"{self.name} ({self.suite}) came up {state or 'not at all'}: {failed}")

    def _greets(self) -> bool:
        if not self.running():
            raise LabError(f"{self.name} ended while it was booting")
        try:
            with self.lab.namespace.connect(self.address, 22, timeout=2) as sock:
                return sock.recv(4) == b"SSH-"
        except OSError:
            return False

    def running(self) -> bool:
        return bool(self.group.pids())

    def console(self) -> str:
        log = self.dir / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def stop(self, orderly: bool = True) -> None:
        """Shut down, or with ``orderly=False`` pull the plug. Network and firewall state end with it; files stay."""
        if orderly and self.running():
            os.kill(self._init(), signal.SIGRTMIN + 3)  # systemd's signal for an orderly power-off
            with contextlib.suppress(LabTimeout):  # then the plug is pulled, as an administrator would
                wait_for(f"{self.name} to shut down", lambda: not self.running(), STOP_TIMEOUT)
        self.lab.forget_connections(self)
        self.group.kill()
        network.delete_host(self.lab.namespace, self.namespace, self.number)

    def reboot(self, orderly: bool = True, systemd: bool | None = None) -> None:
        """Shut down and boot again, with or without ``systemd`` (None: as before; a reset brings it back).

        Only files survive: the kernel's network state is made anew.
        """
        self.stop(orderly)
        self.systemd = self.systemd if systemd is None else systemd
        self.boot()
        self.wait()

    def reset(self, pristine: bool = False) -> None:
        """Back to the last snapshot (``pristine``: to the first boot) in files, processes and firewall, booted."""
        self.rewind(pristine)
        self.wait()

    def rewind(self, pristine: bool = False) -> None:
        """:meth:`reset` without the waiting, for many hosts at once."""
        self.stop(orderly=False)
        for path in [self.dir / "upper", self.dir / "work", *(self.snapshots() if pristine else ())]:
            shutil.rmtree(path, ignore_errors=True)
        self.systemd = True
        self.boot()

    def snapshot(self) -> None:
        """Keep the files as they are now for :meth:`reset`; the host is rebooted for it."""
        self.stop()
        os.rename(self.dir / "upper", self.dir / f"snapshot{len(self.snapshots()) + 1:02}")
        self.boot()
        self.wait()

    def snapshots(self) -> list[Path]:
        return sorted(self.dir.glob("snapshot*"))

    # --- commands

    def run(
        self, command: str | Sequence[str], timeout: float = 60, check: bool = True, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command (a string: by sh) as root in the host, not by the network, so also when that is locked."""
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        return run(argv, timeout, check, input, PLAIN_ENV, inside=self.enter())

    def enter(self) -> list[str]:
        """Put before a command to run it in the host."""
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        return ["nsenter", f"--target={self._init()}", *namespaces, "--"]

    def ssh(
        self,
        command: str,
        user: str = "root",
        timeout: float = 60,
        check: bool = True,
        input: str | None = None,
        ipv6: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command by ssh over a new connection, as the controller would."""
        where = self.address6 if ipv6 else self.address
        argv = ["ssh", *self.lab.ssh_options(), "-o", "ControlPath=none", f"{user}@{where}", command]
        return self.lab.run(argv, timeout=timeout, check=check, input=input)

    def _init(self) -> int:
        """The pid, seen from the machine, of the host's process 1."""
        for pid in self.group.pids():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            found = re.search(r"(?m)^NSpid:\t\d+\t1$", status)
            if found:
                return pid
        raise LabError(f"{self.name} is not running: python -m tests.lab reboot {self.name} starts it")

    # --- what makes it this host

    def seed(self) -> None:
        """Write the host's own layer: names, keys, trust in the lab's CA, and its name server."""
        image = images.image(self.suite)
        self.dir.mkdir(parents=True, exist_ok=True)
        key = self.dir / "ssh_host_ed25519_key"
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key)])
        self._put("etc/ssh/ssh_host_ed25519_key", key.read_text(), 0o600)
        self._put("etc/ssh/ssh_host_ed25519_key.pub", key.with_suffix(".pub").read_text())
        self._put("etc/hostname", f"{self.name}\n")
        self._put("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n::1 localhost ip6-localhost\n")
        self._put("etc/machine-id", uuid.uuid4().hex + "\n", 0o444)
        self._put("etc/resolv.conf", self.lab.resolv_conf())
        for home, uid, gid in _users(image):
            self._put(f"{home}/.ssh/authorized_keys", self.lab.key.with_suffix(".pub").read_text(), 0o600, uid, gid)
        # As update-ca-certificates would do, which takes a second a host
        ca = self.lab.ca_file.read_text()
        bundle = (image / "etc/ssl/certs/ca-certificates.crt").read_text()
        self._put("usr/local/share/ca-certificates/lab.crt", ca)
        self._put("etc/ssl/certs/ca-certificates.crt", f"{bundle.rstrip()}\n{ca}")
        digest = run(["openssl", "x509", "-noout", "-hash", "-in", str(self.lab.ca_file)]).stdout.strip()
        os.symlink("/usr/local/share/ca-certificates/lab.crt", self.dir / "seed/etc/ssl/certs/lab.pem")
        os.symlink("lab.pem", self.dir / f"seed/etc/ssl/certs/{digest}.0")

    def _put(self, name: str, text: str, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """A file of the seed. A folder that is in several layers looks as in the highest one: so copy the image's."""
        seed = self.dir / "seed"
        missing = [p for p in (seed / name).parents if p.is_relative_to(seed) and not p.exists()]
        for folder in reversed(missing):
            folder.mkdir()
            below = images.image(self.suite) / folder.relative_to(seed)
            if below.exists():
                status = below.stat()
                shutil.copystat(below, folder)
                os.chown(folder, status.st_uid, status.st_gid)
            else:
                folder.chmod(0o700 if folder.name == ".ssh" else 0o755)
                os.chown(folder, uid, gid)
        path = seed / name
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, uid, gid)

    def known_host(self) -> str:
        key = " ".join((self.dir / "ssh_host_ed25519_key.pub").read_text().split()[:2])
        return lines(f"{where} {key}" for where in (self.address, self.address6))


def _users(image: Path) -> list[tuple[str, int, int]]:
    """(home without the first slash, uid, gid) of those who log in"""
    found = []
    for line in (image / "etc/passwd").read_text().splitlines():
        user, _unused, uid, gid, _unused, home, _unused = line.split(":")
        if user in ("root", "alice", "bob"):
            found.append((home.lstrip("/"), int(uid), int(gid)))
    return found
