# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab: hosts, DNS and the emulator on a network of their own; for the command line and for tests.

Nothing that runs is kept in memory: processes are found by control group, hosts in the state file, names in DNS's own
file. So any process can take a lab over, and ``down`` cleans up after one that was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, Mapping, Sequence

from . import images, network, system
from .dns import Dns, names_at_start
from .emulator import LabEmulator
from .host import Host
from .system import ROOT, Group, LabError, LabTimeout, run, say

GROUP = "ibm_quantum_lab"

#: With the kernel's default of 128, hosts after the 26th exit without a word.
INOTIFY_INSTANCES = 8192


def state_root() -> Path:
    return Path(os.environ.get("IBM_QUANTUM_LAB_STATE") or "/var/lib/ibm_quantum_lab")


@dataclass
class Play:
    """What an ansible-playbook run gave: ``recap`` is host -> ok, changed, unreachable, failed, skipped ..."""

    returncode: int
    stdout: str
    stderr: str
    recap: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        return sum(counts["changed"] for counts in self.recap.values())

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def parse_recap(stdout: str) -> dict[str, dict[str, int]]:
    recap: dict[str, dict[str, int]] = {}
    for line in stdout.rpartition("PLAY RECAP")[2].splitlines()[1:]:
        found = re.match(r"(\S+)\s+: ((?:\w+=\d+\s*)+)$", line)
        if found:
            recap[found[1]] = {k: int(v) for k, v in (x.split("=") for x in found[2].split())}
    return recap


class Lab:
    """``Lab("name").up(3)``; as a context manager it is taken down at the end."""

    def __init__(self, name: str = "lab") -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,19}", name):
            raise LabError(f"{name!r} cannot name a lab: up to 20 of a-z, 0-9 and -")
        self.name = name
        self.dir = state_root() / name
        self.group = Group(f"{GROUP}/{name}")
        self.controller = Group(f"{self.group.name}/controller")
        self.namespace = network.Namespace(f"iqlab-{name}")
        self.dns = Dns(self.namespace, Group(f"{self.group.name}/dns"), self.dir)
        self.emulator = LabEmulator(self.namespace, Group(f"{self.group.name}/emulator"), self.dir)
        self.key = self.dir / "id_ed25519"
        self.known_hosts = self.dir / "known_hosts"
        self.inventory = self.dir / "inventory.json"
        self.hosts: list[Host] = []
        if self._state_file.exists():
            self._take_over(json.loads(self._state_file.read_text()))

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *exc: object) -> None:
        self.down()

    @property
    def ca_file(self) -> Path:
        """The CA that the lab's hosts trust, as real hosts trust IBM's."""
        return self.emulator.ca_dir / "ca.pem"

    # --- state

    @property
    def _state_file(self) -> Path:
        return self.dir / "state.json"

    def _take_over(self, state: dict[str, list[str]]) -> None:
        self.hosts = [Host(self, number, suite) for number, suite in enumerate(state["hosts"], start=1)]

    def _save(self, owner: int | None) -> None:
        state = {
            "hosts": [host.suite for host in self.hosts],
            "owner": None if owner is None else [owner, system.started(owner)],
        }
        part = self._state_file.with_suffix(".part")
        part.write_text(json.dumps(state))
        os.replace(part, self._state_file)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One process at a time makes or ends a lab."""
        state_root().mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(state_root() / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def exists(self) -> bool:
        return self.dir.exists() or bool(self.group.pids()) or self.namespace.exists()

    # --- up and down

    def prepare(self, suites: Sequence[str] = images.SUITES) -> None:
        """What is done once on a machine: its packages, and the images. Raises LabError where it cannot be."""
        reason = system.why_not()
        if reason:
            raise LabError(reason)
        installed = system.install()
        if installed:
            say("lab: installed", *installed)
        images.build_all(suites)

    def up(self, hosts: int = 3, suites: Sequence[str] = images.SUITES, owner: int | None = None) -> Lab:
        """Bring the lab up, all of it or nothing. ``owner`` is a pid without which the lab has no reason to be."""
        if not 1 <= hosts <= network.MAX_HOSTS:
            raise LabError(f"a lab has 1 to {network.MAX_HOSTS} hosts, not {hosts}")
        if not suites:
            raise LabError(f"name at least one suite, such as {images.SUITES[0]}")
        self.prepare(suites)
        with self._lock():
            if self.group.pids():
                raise LabError(f"the lab {self.name} is up: `python -m tests.lab down --name {self.name}` ends it")
            self._clean()
            try:
                self._up(hosts, suites, owner)
            except BaseException:
                say(f"lab: {self.name} did not come up; its logs are in {self.dir} until `down`")
                self._halt()
                raise
        return self

    def _up(self, count: int, suites: Sequence[str], owner: int | None) -> None:
        system.sysctl_at_least("fs.inotify.max_user_instances", INOTIFY_INSTANCES)
        self.dir.mkdir(mode=0o700, parents=True)
        self.hosts = [Host(self, number, suites[(number - 1) % len(suites)]) for number in range(1, count + 1)]
        self._save(owner)
        (self.dir / "run").mkdir(mode=0o700)
        (self.dir / "ssh").mkdir(mode=0o700)
        (self.dir / "resolv.conf").write_text(self.resolv_conf())
        (self.dir / "nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {self.name}", "-f", str(self.key)])
        network.make_lab(self.namespace)
        self.dns.set_all(names_at_start())
        self.dns.start()
        self.emulator.start()
        for host in self.hosts:
            host.seed()
            host.boot()
        self.known_hosts.write_text("".join(host.known_host() for host in self.hosts))
        self.inventory.write_text(json.dumps(self._inventory(), indent=2) + "\n")
        for host in self.hosts:
            host.wait()

    def down(self) -> None:
        """End all that the lab started and remove all that it made; also after a crash, and any number of times."""
        with self._lock():
            self._clean()

    def _halt(self) -> None:
        """End every process and remove the network; what is in the lab's folder stays."""
        self.group.kill()
        for path in self.group.paths:
            with suppress(OSError):  # other labs are in it
                path.parent.rmdir()
        for path in self.namespace.path.parent.glob(f"{self.namespace.name}-h*"):
            # Another lab's name may begin with this one's
            if re.fullmatch(r"-h\d+", path.name[len(self.namespace.name) :]):
                network.Namespace(path.name).delete()
        self.namespace.delete()

    def _clean(self) -> None:
        self._halt()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.hosts = []

    def reset(self) -> None:
        """Everything back to how ``up`` left it: hosts (all at once), names, the emulator, the controller's caches."""
        for path in (self.dir / "run").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not self.emulator.running():
            self.emulator.start()
        self.dns.start()
        nothing: dict[str, list[str]] = {name: [] for name in self.dns.names()}
        self.dns.set_all({**nothing, **names_at_start()})
        self.emulator.reset()
        for host in self.hosts:
            host.rewind()
        for host in self.hosts:
            host.wait()

    # --- the controller

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts) or "none"
        raise LabError(f"no host {name!r} in the lab {self.name}: it has {names}")

    def resolv_conf(self) -> str:
        return f"nameserver {network.DNS.v4}\nnameserver {network.DNS.v6}\noptions timeout:2 attempts:2\n"

    def ssh_options(self) -> list[str]:
        options = {
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": 10,
            "ServerAliveInterval": 5,
            "ServerAliveCountMax": 3,
        }
        return ["-F", "/dev/null", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]

    def _inventory(self) -> dict[str, object]:
        groups: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
        for host in self.hosts:
            groups.setdefault(host.suite, {"hosts": {}})["hosts"][host.name] = {"ansible_host": host.address}
        common = " ".join([*self.ssh_options(), "-o", f"ControlPath={self.dir}/ssh/%h-%p-%r"])
        return {
            "all": {
                "children": groups,
                "vars": {
                    "ansible_user": "root",
                    "ansible_ssh_private_key_file": str(self.key),
                    "ansible_ssh_common_args": common,
                    "ansible_python_interpreter": "/usr/bin/python3",
                },
            }
        }

    def controller_env(self) -> dict[str, str]:
        """The environment of a controller that is used to IBM's real platform: key, instance, and trust in the CA.

        Token caches go to a folder of the lab's own.
        """
        ca = str(self.ca_file)
        return {
            **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_INVENTORY": str(self.inventory),
            "ANSIBLE_NOCOLOR": "1",
            "XDG_RUNTIME_DIR": str(self.dir / "run"),
            **self.emulator.env(),
            "REQUESTS_CA_BUNDLE": ca,
            "SSL_CERT_FILE": ca,
        }

    def enter(self) -> list[str]:
        """Put before a command to run it as the controller: in the lab's network, asking the lab's DNS.

        Its processes belong to the lab, so that ``down`` ends those that stay behind, such as ssh's masters.
        """
        script = 'mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/nsswitch.conf && shift 2 && exec "$@"'
        self.controller.make()
        return [
            *self.controller.prefix(),
            *("nsenter", f"--net={self.namespace.path}", "unshare", "--mount", "--propagation=private", "--"),
            *("sh", "-c", script, "sh", str(self.dir / "resolv.conf"), str(self.dir / "nsswitch.conf")),
        ]

    def run(
        self,
        argv: Sequence[str],
        timeout: float = 60,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the controller. One that takes too long ends with all that the controller runs."""
        try:
            return run(argv, timeout, check, input, env, cwd, inside=self.enter())
        except LabTimeout:
            self.controller.kill()  # Ansible's workers leave the process group
            raise

    def forget_connections(self, host: Host) -> None:
        """End ssh's shared connections to a host that goes away: they would fail whoever uses them next."""
        for path in (self.dir / "ssh").glob(f"{host.address}-*"):
            run(["ssh", "-F", "/dev/null", "-S", str(path), "-O", "exit", "x"], timeout=10, check=False)
            path.unlink(missing_ok=True)

    def playbook(
        self,
        playbook: str | Path,
        *args: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 600,
        cwd: str | Path = ROOT,
    ) -> Play:
        """Run ansible-playbook of this Python's environment over the lab's inventory; a failed play is no exception.

        ``env`` is added to :meth:`controller_env`. Raises LabError after ``timeout`` seconds.
        """
        argv = [str(Path(sys.executable).parent / "ansible-playbook"), str(playbook), *args]
        done = self.run(argv, timeout=timeout, check=False, env={**self.controller_env(), **(env or {})}, cwd=cwd)
        return Play(done.returncode, done.stdout, done.stderr, parse_recap(done.stdout))


def all_labs() -> list[Lab]:
    """The labs of this machine, also those of which only the state or the processes are left."""
    names = {p.name for p in state_root().glob("*") if p.is_dir()}
    for hierarchy in system.hierarchies():
        names |= {p.name for p in (hierarchy / GROUP).glob("*") if p.is_dir()}
    return [Lab(name) for name in sorted(names)]


def sweep() -> None:
    """Take down the labs whose owner is gone."""
    for lab in all_labs():
        try:
            owner = json.loads(lab._state_file.read_text()).get("owner")
        except (OSError, ValueError):
            continue
        if owner and not system.alive(*owner):
            lab.down()
