# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ratios in one run: the guide's steps by ``ansible.builtin.uri``, the collection, and bare requests as the limit.

Run by ``make bench``. Every round runs every case once, so that a busy machine slows all of them; medians are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from tests.emulator.testing import EmulatorProcess

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
RUN_LIMIT = 600  # seconds for one ansible-playbook


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--hosts", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ibm-quantum-bench-") as folder, EmulatorProcess() as emulator:
        bench = Bench(Path(folder), emulator, options.items)
        cases = {
            "bare requests, one connection": bench.bare,
            "api, action plugin": lambda: bench.play("api.yml"),
            "api, ordinary module": lambda: bench.play("target.yml"),
            "ansible.builtin.uri": lambda: bench.play("uri.yml"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(1, options.rounds + 1):
            for name, case in cases.items():
                seconds[name].append(case())
                print(f"round {number}: {name}: {seconds[name][-1] * 1000:.1f} ms an item", flush=True)
        report(seconds, options)
        fleet(bench, emulator, options.hosts)
    return 0


class Bench:
    """One run's surroundings: its own home and token cache, the emulator in IBM's place."""

    def __init__(self, folder: Path, emulator: EmulatorProcess, items: int) -> None:
        self.folder = folder
        self.items = items
        self.times = folder / "times"
        self.environment = {
            **os.environ,
            **emulator.env(),
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "task_times",
            "BENCHMARK_TIMES": str(self.times),
            "NO_PROXY": "127.0.0.1",
        }

    def bare(self) -> float:
        """Seconds a GET with requests alone, token at hand: nothing can be faster on one connection."""
        environment = self.environment
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": environment["IQP_API_TOKEN"]}
        with requests.Session() as session:
            session.trust_env = False
            token = session.post(f"{environment['IAM_URL']}/identity/token", data=form, timeout=30).json()
            headers = {
                "Authorization": f"Bearer {token['access_token']}",
                "Service-CRN": environment["QISKIT_IBM_INSTANCE"],
                "IBM-API-Version": "2026-04-15",
            }
            url = f"{environment['IBM_QUANTUM_RUNTIME_URL']}/v1/instances/usage"
            start = time.perf_counter()
            for _turn in range(self.items):
                session.get(url, headers=headers, timeout=30).raise_for_status()
            return (time.perf_counter() - start) / self.items

    def play(self, playbook: str) -> float:
        """Seconds an item of the playbook's task ``Items``, by Ansible's own clock."""
        self.times.unlink(missing_ok=True)
        self.run(playbook, "localhost,", {"item_count": self.items})
        rows = [json.loads(line) for line in self.times.read_text().splitlines()]
        return sum(row["seconds"] for row in rows if row["task"] == "Items") / self.items

    def run(self, playbook: str, inventory: str, extra: dict[str, object]) -> float:
        """Run a playbook on local hosts; returns its wall time in seconds."""
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **extra}
        command = [str(PLAYBOOK), "-i", inventory, "-f", "20", "-e", json.dumps(variables), str(HERE / playbook)]
        start = time.perf_counter()
        process = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=RUN_LIMIT, check=False
        )
        if process.returncode:
            sys.exit(f"{playbook} failed:\n{process.stdout}{process.stderr}")
        return time.perf_counter() - start


def report(seconds: dict[str, list[float]], options: argparse.Namespace) -> None:
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    limit, ours = medians["bare requests, one connection"], medians["api, action plugin"]
    print(f"\n{options.items} items, medians of {options.rounds} rounds\n")
    print("| case | ms an item | times `api` |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value * 1000:.1f} | {value / ours:.2f} |")
    print(f"\n`api` over bare requests: {(ours - limit) * 1000:.1f} ms an item")


def fleet(bench: Bench, emulator: EmulatorProcess, hosts: int) -> None:
    """Token exchanges of a fleet, counted by the emulator: a first playbook, and a second one within the hour."""
    inventory = ",".join(f"h{number}" for number in range(1, hosts + 1)) + ","
    bench.run("forget.yml", "localhost,", {})
    print("\n| playbook | seconds | requests | token exchanges |\n|---|---|---|---|")
    for name in ("first", "second"):
        emulator.clear_journal()
        seconds = bench.run("fleet.yml", inventory, {})
        rows = emulator.journal()
        exchanges = sum(row["path"] == "/identity/token" for row in rows)
        print(f"| {name}, {hosts} hosts x 5 API tasks | {seconds:.1f} | {len(rows)} | {exchanges} |")


if __name__ == "__main__":
    sys.exit(main())
