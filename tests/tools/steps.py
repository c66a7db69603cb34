# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs steps, as many at once as keep two cores busy, and sums them up the way pytest does."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Sequence

#: Lines of a failed step's log that are printed.
TAIL = 60
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)\b")
_CLOSING = re.compile(r"^(?:=+ )?\d+ \w+.* in [\d.]+s")


@dataclass(frozen=True)
class Step:
    """One command with its log.

    ``after``: names of steps to wait for; where one of them did not pass, this one fails unrun. ``prepare`` runs just
    before and may return the command (else ``command`` is it). ``skip`` returns a reason not to run.
    """

    name: str
    command: Sequence[str] = ()
    prepare: Callable[[], Sequence[str]] | None = None
    skip: Callable[[], str | None] = lambda: None
    after: tuple[str, ...] = ()
    timeout: int = 900
    cwd: Path | None = None
    env: dict[str, str] = field(default_factory=dict)
    #: Said beside the result, such as what was not tried.
    remark: str = ""
    #: A step that counts neither as a test nor as a check, only as something to wait for.
    setup: bool = False
    #: How much of a slot it fills: less than 1 where it waits more than it works.
    weight: float = 1


@dataclass
class Result:
    """How a step ended: ``outcome`` is passed, failed or skipped; ``counts`` are its tests by the same words."""

    step: Step
    outcome: str
    seconds: float = 0.0
    note: str = ""
    counts: dict[str, int] = field(default_factory=dict)


def counts_of(text: str, passed: bool) -> dict[str, int]:
    """Add up the closing lines of the pytest runs in a log; a log without any counts as one test."""
    total = {"passed": 0, "failed": 0, "skipped": 0}
    found = False
    for line in text.splitlines():
        if _CLOSING.match(line):
            found = True
            for number, word in _COUNT.findall(line):
                key = {"passed": "passed", "xpassed": "passed", "skipped": "skipped", "xfailed": "skipped"}.get(word)
                total[key or "failed"] += int(number)
    if not found:
        total["passed" if passed else "failed"] = 1
    elif not passed and not total["failed"]:
        total["failed"] = 1
    return total


class Runner:
    """Runs steps at once while their weights fit into ``slots``, a log file for each in ``logs``."""

    def __init__(self, logs: Path, slots: int = 2, stream: bool = False) -> None:
        self.logs, self.slots, self.stream = logs, slots, stream
        self.results: dict[str, Result] = {}
        self._ended: queue.Queue[Result] = queue.Queue()
        self._processes: set[subprocess.Popen[str]] = set()

    def run(self, steps: Sequence[Step]) -> list[Result]:
        """Run them all, each as early as its predecessors and the free slots allow; results in the order given."""
        self.logs.mkdir(parents=True, exist_ok=True)
        waiting = list(steps)
        running: list[Step] = []
        names = {step.name for step in steps}
        try:
            while waiting or running:
                for step in list(waiting):
                    after = [name for name in step.after if name in names]
                    fits = not running or sum(one.weight for one in running) + step.weight <= self.slots
                    if fits and all(name in self.results for name in after):
                        waiting.remove(step)
                        running.append(step)
                        threading.Thread(target=self._thread, args=(step, after), daemon=True).start()
                result = self._ended.get()
                running.remove(result.step)
                self._report(result)
        finally:
            for process in list(self._processes):
                self._end(process)
        return [self.results[step.name] for step in steps]

    def _thread(self, step: Step, after: list[str]) -> None:
        start = time.monotonic()
        try:
            result = self._one(step, after)
        except Exception as error:  # a step that cannot even start must not leave the others waiting for it
            result = Result(step, "failed", note=f"{type(error).__name__}: {error}", counts={"failed": 1})
        result.seconds = time.monotonic() - start
        self._ended.put(result)

    def _one(self, step: Step, after: list[str]) -> Result:
        for name in after:
            if self.results[name].outcome != "passed":
                outcome = self.results[name].outcome
                return Result(step, outcome, note=f"{name} {outcome}: {self.results[name].note}", counts={outcome: 1})
        reason = step.skip()
        if reason:
            return Result(step, "skipped", note=reason, counts={"skipped": 1})
        log = self.logs / f"{step.name}.log"
        with log.open("w", encoding="utf-8") as out:
            command = step.prepare() if step.prepare else step.command
            out.write(f"$ {' '.join(command)}\n")
            out.flush()
            process = subprocess.Popen(
                command,
                cwd=step.cwd,
                env={**os.environ, **step.env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._processes.add(process)
            late = threading.Event()
            timer = threading.Timer(step.timeout, self._expire, [process, late])
            timer.start()
            assert process.stdout is not None
            for line in process.stdout:
                out.write(line)
                out.flush()
                if self.stream:
                    print(line, end="", flush=True)
            status = process.wait()
            timer.cancel()
            self._processes.discard(process)
        note = f"ended after {step.timeout} s" if late.is_set() else "" if status == 0 else f"exit status {status}"
        counts = counts_of(log.read_text(encoding="utf-8"), status == 0)
        return Result(step, "failed" if note else "passed", note=note or step.remark, counts=counts)

    def _report(self, result: Result) -> None:
        self.results[result.step.name] = result
        if result.outcome == "failed" and not self.stream:
            log = self.logs / f"{result.step.name}.log"
            if log.exists():
                print(f"----- {log} (last {TAIL} lines)")
                print("\n".join(log.read_text(encoding="utf-8").splitlines()[-TAIL:]))
                print("-----")
        print(f"{result.outcome:8}{result.step.name:24}{result.seconds:7.1f} s  {result.note}", flush=True)

    def _expire(self, process: subprocess.Popen[str], late: threading.Event) -> None:
        late.set()
        self._end(process)

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        """End a step and all it started: its session is its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            os.killpg(process.pid, signal.SIGKILL)


def summary(results: Sequence[Result], seconds: float) -> tuple[str, bool]:
    """The closing table and whether all is well: nothing failed and something passed."""
    lines = [f"{'step':24}{'result':9}{'tests':>6}{'seconds':>9}"]
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for result in results:
        if not (result.step.setup and result.outcome == "passed"):
            for word, number in result.counts.items():
                total[word] += number
        tests = "" if result.step.setup else str(sum(result.counts.values()))
        lines.append(f"{result.step.name:24}{result.outcome:9}{tests:>6}{result.seconds:9.1f}  {result.note}".rstrip())
    lines += [f"{'all':24}{'':15}{seconds:9.1f}", "", ", ".join(f"{number} {word}" for word, number in total.items())]
    good = not total["failed"] and total["passed"] > 0 and all(result.outcome != "failed" for result in results)
    return "\n".join(lines), good
