# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs submitted and collected by this collection, by ``ansible.builtin.uri`` and by IBM's own client, in one run; and
what a wait of half an hour costs. Run by ``make bench-jobs``.

The emulator runs the circuits with Aer, which costs all cases the same. Measured is the whole of each, with its start.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.emulator.testing import EmulatorProcess

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BELL = ROOT / "tests/demo/bell.qasm"
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
LIMIT = 1800  # seconds for one case


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ibm-quantum-bench-") as folder, EmulatorProcess() as emulator:
        bench = Bench(Path(folder), emulator, options.jobs)
        cases = {
            "`job` with a list, `job_info`": lambda: bench.play("list.yml"),
            "`job` in a loop, `job_info`": lambda: bench.play("loop.yml"),
            "IBM's client, a plain script": bench.client,
            "`ansible.builtin.uri` in loops": lambda: bench.play("uri.yml"),
        }
        bench.warm_up()
        rows = {name: bench.measured(case) for name, case in cases.items()}
        first = next(iter(rows.values()))[0]
        print(f"\n{options.jobs} jobs\n\n| case | seconds | ms a job | times the first | CPU s | requests |")
        print("|---|---|---|---|---|---|")
        for name, (seconds, cpu, requests) in rows.items():
            each = seconds / options.jobs * 1000
            print(
                f"| {name} | {seconds:.1f} | {each:.0f} | {seconds / first:.1f} | {cpu:.1f} | {requests} |", flush=True
            )
        seconds, cpu, requests = bench.half_an_hour()
        print(f"\nA wait of 30 emulated minutes: {requests} requests, {cpu:.2f} s of CPU ({seconds:.1f} s in all)")
    return 0


class Bench:
    """One run's surroundings: its own home and token cache, the emulator in IBM's place."""

    def __init__(self, folder: Path, emulator: EmulatorProcess, jobs: int) -> None:
        self.emulator, self.jobs = emulator, jobs
        url = emulator.url
        self.environment = {
            **os.environ,
            **emulator.env(),
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "NO_PROXY": "127.0.0.1",
            "https_proxy": "http://127.0.0.1:9",  # IBM's client must not find a way out
            "QISKIT_IBM_TOKEN": emulator.api_key,
            "QISKIT_IBM_URL": f"{url}/experimental/api/v1",
            "GLOBAL_SEARCH_URL": url,
            "GLOBAL_CATALOG_URL": f"{url}/globalcatalog/api/v1",
        }

    def measured(self, case: object) -> tuple[float, float, int]:
        """Seconds, CPU seconds and requests of a case."""
        assert callable(case)
        self.emulator.clear_journal()
        before, start = _cpu(), time.perf_counter()
        case()
        seconds, cpu = time.perf_counter() - start, _cpu() - before
        assert len(self.emulator.executions()) == self.jobs
        return seconds, cpu, len(self.emulator.journal())

    def warm_up(self) -> None:
        """Have the emulator start its worker, which takes seconds, before anything is measured."""
        self.play("list.yml", item_count=1, circuit_name="warm-up")

    def play(self, playbook: str, **extra: object) -> None:
        variables = {
            "ansible_python_interpreter": sys.executable,
            "circuit": str(BELL),
            "item_count": self.jobs,
            **extra,
        }
        self.run([str(PLAYBOOK), "-i", "localhost,", "-e", "ansible_connection=local"], variables, HERE / playbook)

    def client(self) -> None:
        self.run([sys.executable, str(HERE / "client.py"), str(BELL), str(self.jobs)])

    def run(self, command: list[str], variables: dict[str, object] | None = None, playbook: Path | None = None) -> None:
        if playbook:
            command = [*command, "-e", json.dumps(variables), str(playbook)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=LIMIT, check=False)
        if done.returncode:
            sys.exit(f"{command[-1]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    def half_an_hour(self) -> tuple[float, float, int]:
        """A task that waits for a job which is queued for 30 minutes of the emulator's clock, in this process."""
        sys.path[:0] = [str(ROOT / ".ansible/collections")]
        os.environ.update(self.environment)
        from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
        from ansible_collections.ibm_quantum.platform.plugins.module_utils._jobs import Jobs
        from ansible_collections.ibm_quantum.platform.plugins.module_utils._waiting import Waiter
        from ansible_collections.ibm_quantum.platform.plugins.modules import job
        from ansible_collections.ibm_quantum.platform.tests.unit.scripted import Module

        self.emulator.reset()
        self.emulator.settings(engine="builtin", queue_seconds=1800)
        module = Module(job.ARGUMENT_SPEC, name="late", backend="ibm_fez", circuit_file=str(BELL))
        submitted = job.run(module)["job"]
        self.emulator.clear_journal()
        slept = control = 0.0

        def sleep(seconds: float) -> None:
            nonlocal slept, control
            at = time.process_time()
            self.emulator.clock(advance=seconds)
            slept += seconds
            control += time.process_time() - at

        start, cpu = time.perf_counter(), time.process_time()
        waiter = Waiter(
            Jobs(Client(module)),
            7200,
            lambda _text: None,
            sleep,
            now=lambda: slept,
            wall=lambda: time.time() + slept,
        )
        (ended,) = waiter.wait([submitted]).values()
        assert ended["status"] in ("Completed", "Running") and slept >= 1800
        used = time.process_time() - cpu - control
        return time.perf_counter() - start, used, len(self.emulator.journal())


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
