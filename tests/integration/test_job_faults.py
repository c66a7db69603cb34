# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever breaks while a job is submitted, waited for, brought home or cancelled: it runs once, and nothing is lost.

PROMISES is what users may rely on. Each of its cells is a test: of the task as it is with the fault, and of the same
task run again without it. With ``-s`` all messages of failed tasks are printed at the end, in one table.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import signal
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _http, _iam
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import job as job_module
from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.gate import Answer, Exchange, Gate
from tests.integration.playbook import Controller
from tests.integration.playing import Playing
from tests.unit.scripted import Module

# What a task comes to, the first time: it is done, or it fails with a message and is done when it is run again.
NOW, RERUN = "at once", "after a rerun"

PHASES = ("submit", "wait", "result", "cancel")
#: The request in which a phase lies.
REQUEST = {
    "submit": ("POST", r"/v1/jobs$"),
    "wait": ("GET", r"/v1/jobs/[^/]+$"),
    "result": ("GET", r"/v1/jobs/[^/]+/results$"),
    "cancel": ("POST", r"/v1/jobs/[^/]+/cancel$"),
}
NAME, SHOTS = "bell", 20
JOB = {"name": NAME, "backend": "ibm_fez", "circuit": data.BELL, "shots": SHOTS}
_MOST_PAUSES = 400


class World:
    """One user's machine, in this process, with a job in the phase that a test is about. Pauses are cut short."""

    def __init__(self, emulator: EmulatorProcess, gate: Gate, folder: Path, phase: str) -> None:
        self.emulator, self.gate, self.folder, self.phase = emulator, gate, folder, phase
        self.file = folder / "bell.json"
        self.through_gate = False
        self.pauses: list[float] = []
        self.longest_pause, self.pace = 0.01, 1.0
        self.on_pause: Callable[[], None] = lambda: None
        #: How often the fault came in, of those faults that are made here.
        self.met = 0

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        assert len(self.pauses) < _MOST_PAUSES, "the task does not end"
        self.on_pause()
        time.sleep(min(seconds * self.pace, self.longest_pause))

    def run(self, **options: Any) -> dict[str, Any]:
        """The task of the phase, always the same but for the options that are given here."""
        url = self.gate.url if self.through_gate else self.emulator.url
        where = {"api_key": self.emulator.api_key, "instance": self.emulator.instance, "iam_url": self.emulator.url}
        own: dict[str, Any]
        if self.phase == "cancel":
            own = {"name": NAME, "state": "cancelled"}
        else:
            own = {**JOB, "wait": True, "result_file": str(self.file)}
        module = Module(job_module.ARGUMENT_SPEC, **{**where, "runtime_url": f"{url}/api", **own, **options})
        result = outcome(job_module.run, module)
        return {"failed": False, **result, "warnings": module.warnings, "shown": module.shown}

    def prepare(self, **options: Any) -> None:
        """Bring the job to where the phase begins: none, one that waits, or one that has completed."""
        if self.phase == "submit":
            return
        self.emulator.settings(hold=self.phase != "result")
        phase, self.phase = self.phase, "submit"
        made = self.run(wait=False, result_file=None, **options)
        self.phase = phase
        assert made["submitted"] == 1, made
        if phase == "result":
            until(lambda: self.jobs()[0]["status"] == "Completed")
        self.pauses.clear()

    def release(self) -> None:
        """What is kept from running may run."""
        self.emulator.settings(hold=False)

    def heal(self) -> None:
        """The fault is over."""
        self.emulator.clear_faults()
        self.gate.open()
        self.gate.hook = lambda exchange: exchange.send()
        self.on_pause = lambda: None
        self.pauses.clear()
        if self.phase == "wait":
            self.release()

    # What came of it

    def jobs(self) -> list[dict[str, Any]]:
        return [job for job in self.emulator.jobs() if f"ansible-job:{NAME}" in job["tags"]]

    def posts(self) -> int:
        """How many submissions came to IBM's code."""
        rows = [row for row in self.emulator.journal(method="POST", status=200) if row["path"].endswith("/v1/jobs")]
        return sum(row["job_id"] is not None for row in rows)

    def assert_done(self, result: dict[str, Any]) -> None:
        """The task has brought about what it declares, and the job has run once, or as a cancelled one not at all."""
        assert not result["failed"], result["msg"]
        if self.phase == "cancel":
            self.assert_cancelled(result)
        else:
            self.assert_home(result)

    def assert_home(self, result: dict[str, Any]) -> None:
        counts = result["job"]["results"][0]["counts"]["meas"]
        assert set(counts) <= {"00", "11"} and sum(counts.values()) == SHOTS, result
        held = json.loads(self.file.read_text())["results"][0]["data"]["meas"]["samples"]
        assert Counter(format(int(sample, 16), "02b") for sample in held) == counts
        assert self.file.stat().st_mode & 0o777 == 0o600
        assert os.listdir(self.folder) == [self.file.name]
        assert [job["id"] for job in self.jobs()] == [result["job"]["id"]]
        assert [row["job_id"] for row in self.emulator.executions()] == [result["job"]["id"]]

    def assert_cancelled(self, result: dict[str, Any]) -> None:
        assert result["job"]["state"]["status"] == "Cancelled"
        self.release()
        self.emulator.clock(advance=7200)
        assert [job["status"] for job in self.jobs()] == ["Cancelled"]
        assert self.emulator.executions() == []


def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for something that is about to happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


@pytest.fixture
def phase() -> str:
    """For the tests that are of no cell."""
    return "submit"


@pytest.fixture
def world(emulator: EmulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str) -> Iterator[World]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "IQP_API_TOKEN", "QISKIT_IBM_TOKEN", "IBMCLOUD_API_KEY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for folder in ("run", "results"):
        (tmp_path / folder).mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(_iam, "_MEMORY", {})
    monkeypatch.setattr(_http, "_SESSIONS", {})
    emulator.settings(engine="builtin")
    with Gate(emulator.url) as gate:
        made = World(emulator, gate, tmp_path / "results", phase)
        defaults = _http.Http.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "sleep", made.pause)
        yield made


# -- the faults


#: Puts a fault in the way of the phase's request, or of all from there on.
Fault = Callable[[World], None]


def at_ibm(preset: str = "", **fault: Any) -> Fault:
    """The emulator fails once, in the request of the phase."""

    def inject(world: World) -> None:
        method, path = REQUEST[world.phase]
        world.emulator.fault(preset, method=method, path=path, **fault)

    return inject


def from_there_on(preset: str = "", **fault: Any) -> Fault:
    """The emulator fails from the request of the phase on, for jobs at least: the first look at them goes well."""

    def inject(world: World) -> None:
        world.emulator.fault(preset, path="/v1/jobs", after=1, times=0, **fault)

    return inject


def refused(for_long: bool) -> Fault:
    """The port is shut after the first look at the jobs; else it is open again before the second try."""

    def inject(world: World) -> None:
        pauses = 2 if world.phase == "wait" else 1

        def shut(exchange: Exchange) -> Answer | None:
            answer = exchange.send()
            if not world.met:
                world.met += 1
                world.gate.shut()
            return answer

        def opened() -> None:
            if len(world.pauses) == pauses and not for_long:
                world.gate.open()

        world.through_gate, world.gate.hook, world.on_pause = True, shut, opened

    return inject


def changed(change: Callable[[Answer], Answer], for_long: bool) -> Fault:
    """IBM acts, but a gateway changes its answer: to the phase's request, or to all from there on."""

    def inject(world: World) -> None:
        method, path = REQUEST[world.phase]
        seen = 0

        def hook(exchange: Exchange) -> Answer | None:
            nonlocal seen
            seen += 1
            answer = exchange.send()
            meant = exchange.method == method and re.search(path, exchange.path)
            if (seen > 1) if for_long else (meant and not world.met):
                world.met += 1
                return change(answer)
            return answer

        world.through_gate, world.gate.hook = True, hook

    return inject


def cut_off(answer: Answer) -> Answer:
    return answer._replace(body=answer.body[: len(answer.body) // 2])


def gateway_timeout(_answer: Answer) -> Answer:
    return Answer(504, [("Content-Type", "text/html")], b"<html><title>504 Gateway Time-out</title></html>")


def clock(when: str, **change: float) -> Fault:
    """IBM's clock is changed before the task, or right after its first look at the jobs."""

    def inject(world: World) -> None:
        def hook(exchange: Exchange) -> Answer | None:
            answer = exchange.send()
            if not world.met:
                world.met += 1
                world.emulator.clock(**change)
            return answer

        if when == "before":
            world.met += 1
            world.emulator.clock(**change)
        else:
            world.through_gate, world.gate.hook = True, hook

    return inject


class Row(NamedTuple):
    """A line of the matrix. ``cause`` and ``todo`` are in each message; ``options`` are of the task."""

    kind: str
    submit: str
    wait: str
    result: str
    cancel: str
    fault: Fault
    cause: str = ""
    todo: str = ""
    options: dict[str, Any] = {}
    pause: float = 0.01  # how long pauses are at most, where their length matters


ONCE = (NOW, NOW, NOW, NOW)
LONG = (RERUN, RERUN, RERUN, RERUN)
#: For faults that last: few tries, and an end.
SHORT = {"retries": 1, "submit_timeout": 1, "wait_timeout": 2}
SLOW = {**SHORT, "timeout": 1, "retries": 0}

_NETWORK = "run the task again once the network holds"
_EDGE = "try from another network, or set 'proxy'"
_IBM = "run the task again later"
_BROKE = "the connection broke before the answer was complete"

#          kind                             submit wait  result cancel   how, and what a message then says
PROMISES = (
    Row("connection refused", *ONCE, refused(False)),
    Row("connection refused, for long", *LONG, refused(True), "the connection was refused", "check the URL", SHORT),
    Row("reset before IBM acted", *ONCE, at_ibm("dropped")),
    Row("reset before IBM acted, for long", *LONG, from_there_on("dropped"), _BROKE, _NETWORK, SHORT),
    Row("reset after IBM acted", *ONCE, at_ibm("lost_answer")),
    Row("reset after IBM acted, for long", *LONG, from_there_on("lost_answer"), _BROKE, _NETWORK, SHORT),
    Row("timeout, IBM acts late", *ONCE, at_ibm(delay=1.4), options={"timeout": 1}, pause=4),
    Row("timeout, IBM never acts", *LONG, at_ibm(delay=1.4, drop="before", times=0), "no answer within 1 s", "", SLOW),
    Row("429 with Retry-After", *ONCE, at_ibm("429"), pause=4),
    Row("429 with Retry-After, for long", *LONG, from_there_on("429"), "limit is 5 per minute", "", SHORT),
    Row("429 without", *ONCE, at_ibm(status=429)),
    Row("429 without, for long", *LONG, from_there_on(status=429), "limit is 5 per minute", "", SHORT),
    Row("500", *ONCE, at_ibm("500")),
    Row("500, for long", *LONG, from_there_on("500"), "API Internal error", _IBM, SHORT),
    Row("503", *ONCE, at_ibm("503")),
    Row("503, for long", *LONG, from_there_on("503"), "Service unavailable: maintenance", _IBM, SHORT),
    Row("504 of a gateway after IBM acted", *ONCE, changed(gateway_timeout, False)),
    Row("504 of a gateway, for long", *LONG, changed(gateway_timeout, True), "504 Gateway Time-out", _IBM, SHORT),
    Row("HTML 403 of the edge", *LONG, at_ibm("edge_403"), "Access Denied", _EDGE),
    Row("HTML 403 of the edge, for long", *LONG, from_there_on("edge_403"), "Access Denied", _EDGE, SHORT),
    Row("truncated JSON, by the network", *ONCE, at_ibm("truncated")),
    Row("truncated JSON, by the network, for long", *LONG, from_there_on("truncated"), _BROKE, _NETWORK, SHORT),
    Row("truncated JSON, by a proxy", *ONCE, changed(cut_off, False)),
    Row("truncated JSON, by a proxy, for long", *LONG, changed(cut_off, True), "cut off|not whole", "a proxy", SHORT),
    Row("token expired in the middle", *ONCE, clock("middle", advance=3600)),
    Row("every token refused", *LONG, from_there_on("401"), "Invalid credentials", "check 'api_key'", SHORT),
    Row("IBM's clock 1 h fast", *ONCE, clock("before", skew=3600)),
    Row("IBM's clock 1 h slow", *ONCE, clock("before", skew=-3600)),
    Row("IBM's clock 1 h fast, of a sudden", *ONCE, clock("middle", skew=3600)),
    Row("IBM's clock 1 h slow, of a sudden", *ONCE, clock("middle", skew=-3600)),
    # below: what is done with the whole process
    Row("controller killed before IBM acted", *LONG, lambda world: None),
    Row("controller killed after IBM acted", *LONG, lambda world: None),
    Row("two controllers", *ONCE, lambda world: None),
    Row("two controllers, one machine", *ONCE, lambda world: None),
)
BY_KIND = {row.kind: row for row in PROMISES}
IN_PROCESS = [row for row in PROMISES if not row.kind.startswith(("controller", "two"))]

#: How a wait that ends early lets people come back.
COME_BACK = (
    r"[Jj]ob {id} goes on: run .*again, or ibm_quantum\.platform\.job_info "
    r"with 'ids: \[{id}\]', 'wait: true' and 'results: decoded'"
)

_TABLE: list[tuple[str, str, str, str]] = []


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Prints all messages, for people to judge."""
    yield
    for kind, phase, promise, message in _TABLE:
        print(f"\n{kind:42} {phase:7} {promise}" + (f"\n    {message}" if message else ""), end="")
    print()


def assert_of_use(message: str, row: Row, world: World) -> None:
    """A message that a person can act on: it names the cause and what to do, and nothing of our insides."""
    assert re.search(row.cause, message), message
    assert not re.search(r"Traceback|urllib3|requests\.|HTTPConnectionPool| object at 0x|Errno|None", message), message
    assert re.search(r"(GET|POST) \S*/v1/jobs", message), message
    if world.phase == "wait":
        assert re.search(COME_BACK.format(id=world.jobs()[0]["id"]), message), message
    elif world.phase == "submit":
        assert re.search(f"run the task again|{row.todo or 'run the task again'}", message, re.IGNORECASE), message
    else:
        assert re.search(row.todo or "raise '(timeout|retries)'", message, re.IGNORECASE), message


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("row", IN_PROCESS, ids=lambda row: row.kind)
def test_a_cell(world: World, row: Row, phase: str) -> None:
    promise = getattr(row, phase)
    world.longest_pause = row.pause
    world.prepare()
    row.fault(world)

    def is_met() -> bool:
        return bool(world.met) or any(fault["fired"] for fault in world.emulator.faults())

    inner = world.on_pause

    def pause() -> None:
        inner()
        if promise == NOW and is_met() and len(world.pauses) > 1:
            world.release()  # what is waited for comes after the fault

    if phase == "wait":
        world.on_pause = pause
    start = time.monotonic()
    result = world.run(**row.options)
    took = time.monotonic() - start
    assert is_met(), "the fault was not in the way"
    if row.kind == "429 with Retry-After":
        assert 1.0 in world.pauses and took >= 1.0, world.pauses
    if row.kind == "token expired in the middle":
        assert [each["service"] for each in world.emulator.journal(status=401)] == ["runtime"]
        assert len(world.emulator.exchanges()) == 2
    _TABLE.append((row.kind, phase, promise, result.get("msg", "")))
    if promise == NOW:
        assert not result["failed"], result["msg"]
        assert result["changed"] or phase == "wait", result
        assert result["warnings"] == []
    else:
        assert result["failed"], result
        assert_of_use(result["msg"], row, world)
        world.heal()
        result = world.run(**row.options)
    world.heal()
    world.assert_done(result)
    again = world.run(**row.options)
    assert (again["failed"], again["changed"]) == (False, False), again
    world.assert_done(again)


# -- killed controllers, and several


def in_another_process(work: Callable[[], dict[str, Any]], machine: Path, ready: Any = None) -> Controlling:
    """Start work in a process of its own, with real pauses, as on a machine whose memory and locks are ``machine``."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        os.environ["XDG_RUNTIME_DIR"] = str(machine)
        defaults = _http.Http.__init__.__kwdefaults__
        assert defaults is not None
        defaults["sleep"] = time.sleep
        if ready is not None:
            ready.wait(20)
        sender.send(work())

    process = context.Process(target=run, daemon=True)
    process.start()
    sender.close()
    return Controlling(process, receiver)


class Controlling(NamedTuple):
    """A process that runs the task."""

    process: Any
    receiver: Any

    def result(self) -> dict[str, Any]:
        assert self.receiver.poll(30), "the task does not end"
        found: dict[str, Any] = self.receiver.recv()
        self.process.join(10)
        return found

    def kill(self) -> None:
        self.process.kill()
        self.process.join(10)
        assert self.process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_controller(world: World, tmp_path: Path, moment: str, phase: str) -> None:
    promise = getattr(BY_KIND[f"controller killed {moment} IBM acted"], phase)
    method, path = REQUEST[phase]
    there, gone = threading.Event(), threading.Event()

    def hold(exchange: Exchange) -> Answer | None:
        if exchange.method != method or not re.search(path, exchange.path):
            return exchange.send()
        if moment == "after":
            exchange.send()
        there.set()
        gone.wait(20)
        return None

    world.prepare()
    world.through_gate, world.gate.hook = True, hold
    doomed = in_another_process(world.run, tmp_path / "run")
    try:
        assert there.wait(20)
    finally:
        doomed.kill()
        gone.set()
    _TABLE.append((f"controller killed {moment} IBM acted", phase, promise, ""))
    assert promise == RERUN
    assert len(world.jobs()) == (0 if (phase, moment) == ("submit", "before") else 1)
    world.heal()
    world.assert_done(world.run())
    assert world.posts() == 1


def released_when_one_is_gone(world: World, exchange: Exchange) -> Answer:
    """Jobs wait in the queue until that of the later controller is deleted."""
    answer = exchange.send()
    if exchange.method == "DELETE":
        world.release()
    return answer


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("machines", [2, 1], ids=["two machines", "one machine"])
def test_two_controllers(world: World, tmp_path: Path, machines: int, phase: str) -> None:
    kind = "two controllers" if machines == 2 else "two controllers, one machine"
    promise = getattr(BY_KIND[kind], phase)
    world.prepare()
    if (phase, machines) == ("submit", 2):
        world.emulator.settings(hold=True)
    method, path = REQUEST[phase]
    alone = (phase, machines) == ("submit", 1)  # the other one waits for the lock, and comes no further
    both = threading.Barrier(2)
    first = threading.local()

    def together(exchange: Exchange) -> Answer | None:
        """Let neither pass the first request of the phase before the other one is there, too."""
        meant = exchange.method == method and re.search(path, exchange.path)
        if meant and not hasattr(first, "met"):
            first.met = True
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.7 if alone else 10)
            if phase == "wait":
                world.release()
        return released_when_one_is_gone(world, exchange)

    world.through_gate, world.gate.hook = True, together
    ready = multiprocessing.get_context("fork").Barrier(2)
    controllers = []
    for number in (1, 2):
        machine, files = tmp_path / f"run{min(number, machines)}", tmp_path / f"results{number}"
        machine.mkdir(mode=0o700, exist_ok=True)
        files.mkdir()
        own = {} if phase == "cancel" else {"result_file": str(files / world.file.name)}
        controllers.append(in_another_process(partial(world.run, **own), machine, ready))
    results = [controller.result() for controller in controllers]
    _TABLE.append((kind, phase, promise, ""))
    assert promise == NOW and both.broken == alone
    for number, result in enumerate(results, 1):
        world.file = tmp_path / f"results{number}" / world.file.name
        world.folder = world.file.parent
        world.assert_done(result)
        assert result["warnings"] == []
    assert results[0]["job"]["id"] == results[1]["job"]["id"]
    if phase == "submit":
        assert sorted(result["submitted"] for result in results) == [0, 1]
        assert world.posts() == machines


# -- what the matrix has no place for


def test_what_fails_right_after_the_submission(world: World) -> None:
    """IBM took the job, and then cannot be read: the failed task says which job it is, and the next run finds it."""
    world.emulator.fault("503", path="/v1/jobs", after=2, times=0)
    failed = world.run(**SHORT)
    assert failed["failed"] and re.search("run .*again", failed["msg"]), failed
    _TABLE.append(("503, for long, right after", "submit", RERUN, failed["msg"]))
    assert (failed["job"]["id"], failed["submitted"]) == (world.jobs()[0]["id"], 1)
    world.heal()
    world.assert_done(world.run())
    assert world.posts() == 1


@pytest.mark.parametrize("resubmit", ["never", "failed", "always"])
def test_a_limit_right_after_the_submission(world: World, resubmit: str) -> None:
    """IBM limits reading, too: that is no reason to submit what it has just taken."""
    world.emulator.fault("429", path="/v1/jobs", after=2, times=2, headers={"retry-after": "0"})
    result = world.run(retries=1, resubmit=resubmit)
    assert world.posts() == 1
    if result["failed"]:
        world.heal()
        result = world.run()
    else:
        assert (result["changed"], result["submitted"]) == (True, 1)
    world.assert_done(result)


@pytest.mark.parametrize("preset", ["500", "503", "dropped"])
def test_a_submission_that_never_succeeds(world: World, preset: str) -> None:
    """IBM can be read, so that it is certain each time: tried a few times, and said that nothing was submitted."""
    at_ibm(preset, times=0)(world)
    failed = world.run()
    assert failed["failed"] and failed["error"]["outcome_unknown"] is False
    assert re.search("was not submitted: run the task again", failed["msg"]), failed["msg"]
    assert 1 < world.emulator.faults()[0]["fired"] < 10
    assert len([line for line in failed["shown"] if "is not submitted yet, next try in" in line]) > 1
    _TABLE.append((f"{preset}, each time", "submit", RERUN, failed["msg"]))
    world.heal()
    world.assert_done(world.run())


@pytest.mark.parametrize("status", [504, 524])
def test_a_gateway_that_gives_up_before_ibm_does(world: World, status: int) -> None:
    """What these say is a timeout, as our own: IBM may be at it for a while. All is ten times as fast here."""
    world.longest_pause, world.pace = 4, 0.1
    late: list[threading.Timer] = []

    def hook(exchange: Exchange) -> Answer | None:
        if exchange.method != "POST" or late:
            return exchange.send()
        late.append(threading.Timer(1.2, exchange.send))
        late[0].start()
        return Answer(status, [("Content-Type", "text/html")], b"<html><title>Time-out</title></html>")

    world.through_gate, world.gate.hook = True, hook
    result = world.run()
    late[0].join(10)
    if result["failed"]:
        _TABLE.append((f"{status} of a gateway, IBM acts late", "submit", RERUN, result["msg"]))
        result = world.run()
    assert len(world.emulator.executions()) == 1
    world.assert_done(result)


@pytest.mark.parametrize("preset", ["dropped", "lost_answer", "429", "500", "503", "truncated", "fast", "slow"])
def test_several_jobs_are_waited_for(world: World, preset: str) -> None:
    """With one poll for all, which meets the fault."""
    several = {"name": None, "result_file": None, "jobs": [{"name": f"{NAME}-{number}"} for number in range(4)]}
    world.emulator.settings(hold=True)
    made = world.run(**several, wait=False)
    assert made["submitted"] == 4, made
    world.pauses.clear()
    skew = {"fast": 3600, "slow": -3600}.get(preset)
    if not skew:  # four looks for the jobs, and the first poll
        world.emulator.fault(preset, method="GET", path=r"/v1/jobs$", after=4)

    def pause() -> None:
        if skew and len(world.pauses) == 2:
            world.emulator.clock(skew=skew)
        if len(world.pauses) == 3:
            world.release()

    world.on_pause = pause
    result = world.run(**several)
    assert not result["failed"], result["msg"]
    assert skew or world.emulator.faults()[0]["fired"] == 1
    assert [job["id"] for job in result["jobs"]] == [job["id"] for job in made["jobs"]]
    assert [counted(job) for job in result["jobs"]] == [SHOTS] * 4
    assert len(world.emulator.executions()) == 4


@pytest.mark.parametrize("loser", ["the older", "the newer"])
def test_two_controllers_of_which_one_loses_its_answer(world: World, tmp_path: Path, loser: str) -> None:
    """Both come to the same job, the older one; and nobody is told of a job that ran in vain, as none did."""
    world.emulator.settings(hold=True)
    both, lock = threading.Barrier(2), threading.Lock()
    answered: list[Answer] = []

    def hook(exchange: Exchange) -> Answer | None:
        if exchange.method == "POST" and exchange.path == "/api/v1/jobs":
            both.wait(20)  # neither has seen a job
            with lock:
                answer = exchange.send()
                answered.append(answer)
                number = len(answered)
                time.sleep(0.01)  # IBM tells ages in milliseconds
            both.wait(20)
            return None if number == (1 if loser == "the older" else 2) else answer
        if exchange.path.endswith("/cancel") and loser == "the older":
            both.wait(20)  # both have seen both jobs, and take the newer one back
        return released_when_one_is_gone(world, exchange)

    world.through_gate, world.gate.hook = True, hook
    ready = multiprocessing.get_context("fork").Barrier(2)
    controllers = []
    for number in (1, 2):
        (tmp_path / f"run{number}").mkdir(mode=0o700)
        work = partial(world.run, result_file=str(tmp_path / f"{number}.json"))
        controllers.append(in_another_process(work, tmp_path / f"run{number}", ready))
    results = [controller.result() for controller in controllers]
    assert [result["failed"] for result in results] == [False, False], results
    older = json.loads(answered[0].body)["id"]
    assert [result["job"]["id"] for result in results] == [older, older]
    assert [row["job_id"] for row in world.emulator.executions()] == [older]
    assert [result["warnings"] for result in results] == [[], []]


@pytest.mark.parametrize("preset", ["dropped", "lost_answer", "429", "500", "503", "truncated"])
def test_always_is_once_a_run(world: World, preset: str) -> None:
    """What is to be submitted with each run is submitted once by each, whatever is lost on the way."""
    assert not world.run()["failed"]
    at_ibm(preset)(world)
    result = world.run(resubmit="always")
    assert (result["failed"], result["submitted"]) == (False, 1), result
    assert len(world.emulator.executions()) == len(world.jobs()) == world.posts() == 2


# -- private jobs


OF_PRIVATE = r"IBM deletes|which deletes them|deletes .*as it sends"


def private(world: World, **options: Any) -> dict[str, Any]:
    return world.run(private=True, **options)


@pytest.fixture
def completed(world: World) -> World:
    """A private job that has ended, its results at IBM."""
    private(world, wait=False, result_file=None)
    until(lambda: world.jobs()[0]["status"] == "Completed")
    world.phase = "result"
    return world


@pytest.mark.parametrize("preset", ["dropped", "500", "503", "429"])
def test_private_results_that_ibm_has_not_sent(completed: World, preset: str) -> None:
    at_ibm(preset)(completed)
    completed.assert_done(private(completed))
    completed.assert_done(private(completed))
    assert len(completed.emulator.journal(method="GET", status=200)) > 0
    sent = [
        row for row in completed.emulator.journal(status=200) if row["path"].endswith("/results") and not row["fault"]
    ]
    assert len(sent) == 1  # the second run had them in the file


@pytest.mark.parametrize("preset", ["lost_answer", "truncated"])
def test_private_results_that_are_lost_on_their_way(completed: World, preset: str) -> None:
    """They are gone. The task says so, and why; it does not pass as if there had been none."""
    at_ibm(preset)(completed)
    result = private(completed)
    told = " ".join([result.get("msg", ""), *result["warnings"]])
    _TABLE.append((f"private: {preset}", "result", "never", told))
    assert re.search(OF_PRIVATE, told), told
    assert completed.jobs()[0]["id"] in told
    assert not completed.file.exists()
    again = private(completed)
    told = " ".join([again.get("msg", ""), *again["warnings"]])
    assert re.search(OF_PRIVATE, told), told
    assert completed.posts() == 1


def test_private_results_that_are_lost_in_a_bad_network(completed: World) -> None:
    """The task fails, and its message is honest: to run it again will not bring them."""
    completed.emulator.fault("lost_answer", path="/results$", times=0)
    failed = private(completed, retries=1)
    _TABLE.append(("private: lost_answer, for long", "result", "never", failed.get("msg", "")))
    assert failed["failed"]
    assert re.search(OF_PRIVATE, " ".join([failed["msg"], *failed["warnings"]])), failed["msg"]
    completed.heal()
    again = private(completed)
    told = " ".join([again.get("msg", ""), *again["warnings"]])
    assert re.search(OF_PRIVATE, told), told


def test_private_results_of_a_killed_controller(completed: World, tmp_path: Path) -> None:
    """Killed while the answer was on its way: the next run says what became of it."""
    there, gone = threading.Event(), threading.Event()

    def hold(exchange: Exchange) -> Answer | None:
        answer = exchange.send()
        if exchange.path.endswith("/results"):
            there.set()
            gone.wait(20)
        return answer

    completed.through_gate, completed.gate.hook = True, hold
    doomed = in_another_process(lambda: private(completed), tmp_path / "run")
    try:
        assert there.wait(20)
    finally:
        doomed.kill()
        gone.set()
    completed.heal()
    result = private(completed)
    told = " ".join([result.get("msg", ""), *result["warnings"]])
    _TABLE.append(("private: controller killed", "result", "never", told))
    assert re.search(OF_PRIVATE, told), told
    assert os.listdir(completed.folder) == []
    assert completed.posts() == 1


# -- real playbooks


def job_task(task: str, **options: Any) -> str:
    return f"- {{name: {task}, ibm_quantum.platform.job: {json.dumps(options)}}}"


def counted(result: dict[str, Any]) -> int:
    """The shots of a job's counts."""
    return sum(result["results"][0]["counts"]["meas"].values())


@pytest.fixture
def gate(emulator: EmulatorProcess) -> Iterator[Gate]:
    """A gateway for the Runtime API."""
    emulator.settings(engine="builtin")
    with Gate(emulator.url) as made:
        yield made


def through(gate: Gate) -> dict[str, str]:
    return {"IBM_QUANTUM_RUNTIME_URL": f"{gate.url}/api"}


def test_an_interrupted_play(controller: Controller, emulator: EmulatorProcess, gate: Gate) -> None:
    """Ctrl-C leaves the job alone, and what was printed says how to come back to it: each way brings the counts."""
    emulator.settings(hold=True)
    file = controller.home / "bell.json"
    task = job_task("bell", **JOB, wait=True, result_file=str(file))
    with Playing(controller, task, through(gate)) as play:
        until(lambda: "to come back" in play.output)
        os.killpg(play.process.pid, signal.SIGINT)
        play.process.wait(20)
        until(lambda: not play.workers())
        output = play.output
    assert "Traceback" not in output, output
    [job] = emulator.jobs()
    assert (job["status"], emulator.executions()) == ("Queued", [])
    assert not [row for row in emulator.journal() if row["method"] == "DELETE" or row["path"].endswith("/cancel")]
    assert "stopping this run does not stop it" in output

    hint = re.search(r"ibm_quantum\.platform\.job_info with (.*?), to come back", output)
    assert hint, output
    options = ", ".join(re.findall(r"'([^']*)'", hint[1]))
    assert job["id"] in options
    emulator.settings(hold=False)
    run = controller.tasks(
        f"{task}\n- {{name: come back, ibm_quantum.platform.job_info: {{{options}}}}}\n", env=through(gate)
    ).succeeded()
    assert run.one("bell")["submitted"] == 0
    assert (counted(run.one("bell")["job"]), file.exists()) == (SHOTS, True)
    assert len(emulator.executions()) == 1
    assert counted(run.one("come back")["jobs"][0]) == SHOTS


def test_a_wait_is_shown_where_there_is_no_terminal(
    controller: Controller, emulator: EmulatorProcess, gate: Gate
) -> None:
    """As in the log of a CI job, which shows what comes out of a pipe: not only when all is over."""
    emulator.settings(hold=True)
    with Playing(controller, job_task("bell", **JOB, wait=True), through(gate), terminal=False) as play:
        until(emulator.jobs, 30)
        until(lambda: "waiting for job" in play.output, 4)
        until(lambda: "Queued" in play.output, 4)


def test_a_killed_play(controller: Controller, emulator: EmulatorProcess, gate: Gate) -> None:
    """ansible-playbook itself, killed when IBM has the job and before anybody has heard of it."""
    there, gone = threading.Event(), threading.Event()

    def hold(exchange: Exchange) -> Answer | None:
        answer = exchange.send()
        if exchange.method == "POST":
            there.set()
            gone.wait(20)
        return answer

    gate.hook = hold
    task = job_task("bell", **JOB, wait=True)
    with Playing(controller, task, through(gate)) as play:
        try:
            assert there.wait(30), play.output
            play.kill()
        finally:
            gone.set()
    gate.hook = lambda exchange: exchange.send()
    run = controller.tasks(task, env=through(gate)).succeeded()
    assert (counted(run.one("bell")["job"]), run.one("bell")["submitted"]) == (SHOTS, 0)
    assert len(emulator.executions()) == len(emulator.jobs()) == 1


def test_the_rate_limit_is_waited_out(controller: Controller, emulator: EmulatorProcess, gate: Gate) -> None:
    emulator.settings(jobs_per_minute=5)
    taken = 0

    def hook(exchange: Exchange) -> Answer | None:
        nonlocal taken
        answer = exchange.send()
        if exchange.method == "POST" and answer.status == 200:
            taken += 1
            if taken == 5:
                emulator.clock(advance=57.5)  # most of the minute, so that nobody waits for it
        return answer

    gate.hook = hook
    several = [{"name": f"rate-{number}"} for number in range(7)]
    shared = {name: value for name, value in JOB.items() if name != "name"}
    run = controller.tasks(job_task("seven", jobs=several, **shared), env=through(gate)).succeeded()
    result = run.one("seven")
    assert (result["submitted"], len({job["id"] for job in result["jobs"]})) == (7, 7)
    assert [job["name"] for job in result["jobs"]] == [job["name"] for job in several]
    refused = emulator.journal(status=429)
    assert 1 <= len(refused) <= 4  # not asked again before IBM's Retry-After is over
    assert re.search(r"job rate-5 is not submitted yet, next try in \d+ s: .*5 jobs a minute", run.text), run.report
    assert len(emulator.executions()) == len(emulator.jobs()) == 7


def test_a_token_that_expires_while_a_play_waits(controller: Controller, emulator: EmulatorProcess, gate: Gate) -> None:
    emulator.settings(hold=True)
    polls = 0

    def hook(exchange: Exchange) -> Answer | None:
        nonlocal polls
        answer = exchange.send()
        polls += bool(re.search(REQUEST["wait"][1], exchange.path))
        if polls == 2:
            emulator.clock(advance=3600)
            emulator.settings(hold=False)
        return answer

    gate.hook = hook
    run = controller.tasks(job_task("bell", **JOB, wait=True), env=through(gate)).succeeded()
    assert counted(run.one("bell")["job"]) == SHOTS
    assert [row["service"] for row in emulator.journal(status=401)] == ["runtime"]
    assert len(emulator.exchanges()) == 2
    assert not run.one("bell").get("warnings")
    assert not re.search(r"\b401\b|token|credentials|WARNING", run.text), run.text


def test_ten_jobs_are_collected_with_one_poll_for_all(
    controller: Controller, emulator: EmulatorProcess, gate: Gate
) -> None:
    emulator.settings(queue_seconds=1800)
    polls = 0

    def hook(exchange: Exchange) -> Answer | None:
        nonlocal polls
        answer = exchange.send()
        if "pending=true" in exchange.query:
            polls += 1
            if polls == 2:
                emulator.clock(advance=1800)
                until(lambda: all(job["status"] == "Completed" for job in emulator.jobs()))
        return answer

    gate.hook = hook
    shared = {name: value for name, value in JOB.items() if name != "name"}
    several = [{"name": f"ten-{number}"} for number in range(10)]
    collect = (
        "- name: collect\n  ibm_quantum.platform.job_info:\n"
        "    ids: \"{{ ten.jobs | map(attribute='id') }}\"\n    wait: true\n    results: decoded\n"
    )
    submit = job_task("submit", jobs=several, **shared).replace("{name", "{register: ten, name", 1)
    run = controller.tasks(f"{submit}\n{collect}", env=through(gate)).succeeded()
    assert run.one("submit")["submitted"] == 10
    collected = run.one("collect")["jobs"]
    assert [job["name"] for job in collected] == [job["name"] for job in several]
    assert [counted(job) for job in collected] == [SHOTS] * 10
    assert len(emulator.executions()) == 10

    rows = emulator.journal(service="runtime")
    last = max(number for number, row in enumerate(rows) if row["method"] == "POST")
    asked = Counter(re.sub(r"/v1/jobs/[^/]+", "/v1/jobs/ID", row["path"][len("/api") :]) for row in rows[last + 2 :])
    # by their IDs, three polls of which the last finds none, and those that have ended
    assert asked == {"/v1/jobs": 5, "/v1/jobs/ID/results": 10}
