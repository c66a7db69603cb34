# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run playbooks as a user would, in a world of their own: :class:`Controller`.

HOME, XDG_*, TMPDIR and Ansible's own folders are below one temporary folder; every way out but 127.0.0.1 leads to a
dead proxy; ``ssh`` is a stub that only notes that it was called.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent
from typing import Any, Iterable, Mapping, NamedTuple

import yaml

from tests.emulator.testing import EmulatorProcess

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: Seconds; far above what any run needs.
TIMEOUT = 110.0
#: An address of documentation (RFC 5737): nothing answers there, and the ssh stub keeps everything from trying.
NOWHERE = "192.0.2.1"
#: A host that runs modules with this Python, one that stays local but has no Python, one behind a foreign connection.
HOSTS: dict[str, dict[str, Any]] = {
    "runner": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
    "bare": {"ansible_connection": "local", "ansible_python_interpreter": "/nonexistent/python"},
    "elsewhere": {"ansible_connection": "pretend", "ansible_python_interpreter": sys.executable},
    "localhost": {"ansible_connection": "local", "ansible_python_interpreter": "/nonexistent/python"},
}


class Run(NamedTuple):
    """What came of a playbook."""

    rc: int
    stdout: str
    stderr: str
    events: list[dict[str, Any]]

    @property
    def text(self) -> str:
        """All that was printed, in one line, so that Ansible's line breaks do not matter."""
        return " ".join(f"{self.stdout} {self.stderr}".split())

    def rows(self, task: str, event: str = "") -> list[dict[str, Any]]:
        """The events of a task but its items and retries, or those of one kind."""
        kinds = (event,) if event else ("ok", "failed", "skipped", "unreachable")
        return [row for row in self.events if row["event"] in kinds and row["task"] == task]

    def results(self, task: str) -> dict[str, Any]:
        """What each host returned for a task."""
        return {row["host"]: row["result"] for row in self.rows(task)}

    def one(self, task: str) -> Any:
        """What the only host that ran a task, and did not skip it, returned."""
        found = [row for row in self.rows(task) if row["event"] != "skipped"]
        assert len(found) == 1, f"{task!r} ran {len(found)} times\n{self.report}"
        return found[0]["result"]

    def items(self, task: str) -> list[Any]:
        """What each item of a loop returned."""
        return [row["result"] for row in self.rows(task, "item")]

    @property
    def stats(self) -> dict[str, dict[str, int]]:
        """The recap: host -> ok, changed, failures, unreachable, skipped, rescued, ignored."""
        found = [row["stats"] for row in self.events if row["event"] == "stats"]
        return found[-1] if found else {}

    @property
    def report(self) -> str:
        """The end of what was printed, for a failed assertion."""
        return f"rc {self.rc}\n{self.stdout[-3000:]}\n{self.stderr[-3000:]}"

    def succeeded(self) -> Run:
        assert self.rc == 0, self.report
        return self

    def failed(self) -> Run:
        assert self.rc == 2, self.report
        return self


class Controller:
    """A user's machine below ``folder``, pointed to an emulator. Its files stay from run to run, as the token cache."""

    def __init__(self, folder: Path, emulator: EmulatorProcess, tls: bool = False) -> None:
        self.folder = folder
        self.emulator = emulator
        self.url = emulator.tls_url if tls else emulator.url
        #: Everything that a run may write lies below these.
        self.home, self.runtime, self.temp = folder / "home", folder / "run", folder / "tmp"
        for path in (self.home, self.runtime, self.temp):
            path.mkdir(mode=0o700)
        self._input = folder / "input"
        self._input.mkdir(mode=0o700)
        self._records = folder / "records"
        self._records.mkdir(mode=0o700)
        self._ssh_log, self.commands_log = folder / "ssh-calls", self._records / "commands"
        self._stub = folder / "ssh"
        self._stub.write_text(f'#!/bin/sh\necho called >> "{self._ssh_log}"\nexit 255\n')
        self._stub.chmod(0o700)
        self._runs = 0
        self.env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "TMPDIR": str(self.temp),
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(self.temp / "ansible"),
            "ANSIBLE_REMOTE_TMP": str(self.temp / "remote"),
            "ANSIBLE_ASYNC_DIR": str(self.home / ".ansible_async"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "recorder",
            "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection_plugins"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_TIMEOUT": "2",
            "PRETEND_FILE": str(self.commands_log),
            **{f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https")},
            **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1"),
            **emulator.env(tls=tls),
        }

    @property
    def cache(self) -> Path:
        """Where the token cache lies."""
        return self.runtime / "ibm_quantum" / "tokens"

    def entries(self) -> list[Path]:
        """The cached tokens' files."""
        return sorted(self.cache.glob("*.json"))

    @property
    def ssh_was_called(self) -> bool:
        return self._ssh_log.exists()

    @property
    def commands(self) -> str:
        """The commands that went to the host ``elsewhere``."""
        return self.commands_log.read_text() if self.commands_log.exists() else ""

    def tasks(self, text: str, *args: str, hosts: int | Iterable[str] = ("localhost",), **options: Any) -> Run:
        """Run a play of these tasks; see :meth:`run`. ``play`` has further lines of the play."""
        play = indent(dedent(options.pop("play", "")).strip(), "  ")
        head = f"- name: A play\n  hosts: fleet\n  gather_facts: false\n{play}\n  tasks:\n"
        return self.run(head + indent(dedent(text), "    "), *args, hosts=hosts, **options)

    def run(
        self,
        playbook: str,
        *args: str,
        hosts: int | Iterable[str] = ("localhost",),
        env: Mapping[str, str | None] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> Run:
        """Run a playbook's text. ``hosts``: how many that cannot be reached, or names of :data:`HOSTS`.

        ``env`` changes the environment, None removes; ``variables`` are those of all hosts, ``url`` among them.
        """
        self._runs += 1
        file = self._input / f"playbook-{self._runs}.yml"
        file.write_text(dedent(playbook))
        inventory = self._inventory(hosts, variables or {})
        return self.command("ansible-playbook", "-i", str(inventory), str(file), *args, env=env)

    def adhoc(self, *args: str) -> Run:
        """Run ``ansible`` with these arguments."""
        self._runs += 1
        return self.command("ansible", "-i", str(self._inventory(["localhost"], {})), *args)

    def command(self, name: str, *args: str, env: Mapping[str, str | None] | None = None) -> Run:
        """Run one of Ansible's commands, that of this Python's environment."""
        record = self._records / f"record-{self._runs}"
        full = {**self.env, "RECORDER_FILE": str(record), **(env or {})}
        done = subprocess.run(
            [str(Path(sys.executable).with_name(name)), *args],
            cwd=self._input,
            env={key: value for key, value in full.items() if value is not None},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        lines = record.read_text().splitlines() if record.exists() else []
        return Run(done.returncode, done.stdout, done.stderr, [json.loads(line) for line in lines])

    def _inventory(self, hosts: int | Iterable[str], variables: Mapping[str, Any]) -> Path:
        far = {"ansible_host": NOWHERE, "ansible_ssh_executable": str(self._stub)}
        names = [f"far{number:02d}" for number in range(hosts)] if isinstance(hosts, int) else list(hosts)
        known = {name: HOSTS.get(name, far) for name in names}
        # a delegate must be in the inventory to have its variables, but not in the group that plays name
        extra = {name: values for name, values in HOSTS.items() if name not in known}
        content = {
            "all": {"vars": {"url": self.url, **variables}},
            "fleet": {"hosts": known},
            "others": {"hosts": extra},
        }
        path = self._input / f"inventory-{self._runs}.yml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))
        return path
