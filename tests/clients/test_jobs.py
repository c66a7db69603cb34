# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lives of jobs as qiskit-ibm-runtime sees them, unmodified: every primitive in every mode, and how jobs end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.clients.client import AER_MARKS, LARGE, SMALL, WITH_SMALL, near, run
from tests.emulator import data
from tests.emulator.testing import EmulatorProcess

pytestmark = AER_MARKS
ARGUMENTS = WITH_SMALL
WRONG_ON_PURPOSE = ["{'colour': 1}"]

#: Of each primitive: its program, itself, a job of it, and what the job's result comes to.
PRIMITIVES = (
    SMALL
    + """
observable = SparsePauliOp.from_list([("ZZ", 1), ("XX", 0.5)]).apply_layout(state.layout)
def program():
    made = QuantumProgram(shots=1000)
    made.append_circuit_item(bell)
    return made
def counts(result):
    return result[0].data.meas.get_counts()
def shots(result):
    found = ["".join(map(str, reversed(row))) for row in result[0]["meas"].astype(int).tolist()]
    return {each: found.count(each) for each in found}
def value(result):
    return [float(result[0].data.evs), float(result[0].data.stds)]
PRIMITIVES = {
    "SamplerV2": ("sampler", SamplerV2, lambda one: one.run([bell], shots=1000), counts),
    "EstimatorV2": ("estimator", EstimatorV2, lambda one: one.run([(state, observable)], precision=0.02), value),
    "Sampler": ("executor", Sampler, lambda one: one.run([bell], shots=1000), counts),
    "Estimator": ("executor", Estimator, lambda one: one.run([(state, observable)]), value),
    "Executor": ("executor", Executor, lambda one: one.run(program()), shots),
}
"""
)


def good(name: str, answer: Any) -> bool:
    """Whether it is what that primitive finds for the Bell state: counts, or a value with its standard error."""
    return abs(answer[0] - 1.5) < 0.2 if name.startswith("Estimator") else near(answer, 1000)


def test_every_primitive_in_every_mode(emulator: EmulatorProcess, tmp_path: Path) -> None:
    """And read once more by a service that knows nothing but the job's id."""
    script = (
        PRIMITIVES
        + """
fresh, found = QiskitRuntimeService(), {}
for mode, opened in (("job", backend), ("batch", Batch(backend, max_time="1h")), ("session", Session(backend))):
    before = mode != "job" and opened.status()
    rows, ids = [], []
    for name, (program_id, kind, start, read) in PRIMITIVES.items():
        job = start(kind(opened))
        answer, again = read(job.result()), fresh.job(job.job_id())
        same = read(again.result()) == answer and again.primitive_id == program_id
        same = same and again.session_id == job.session_id == getattr(opened, "session_id", None)
        same = same and again.usage() == job.usage() == job.usage_estimation["quantum_seconds"]
        same = same and (again.backend().name, again.instance) == (backend.name, backend._instance)
        rows.append([name, answer, same, job.usage()])
        ids.append(job.job_id())
    found[mode] = {"rows": rows}
    if mode == "job":
        continue
    details, kind = opened.details(), type(opened)
    states = [before, opened.status()]
    opened.close()
    states.append(kind.from_id(opened.session_id, fresh).status())
    listed = [job.job_id() for job in fresh.jobs(session_id=opened.session_id)]
    found[mode] |= {"states": states, "details": [details["mode"], details["max_time"]], "usage": opened.usage()}
    found[mode] |= {"listed": listed == ids[::-1], "closed": refused(lambda: SamplerV2(opened).run([bell]))}
print(json.dumps(found))
"""
    )
    found = run(emulator, tmp_path, script)
    for mode, row in found.items():
        assert len(row["rows"]) == 5
        for name, answer, same, usage in row["rows"]:
            assert same and usage > 0, (mode, name)
            assert good(name, answer), (mode, name, answer)
    states = ["Pending", "In progress, accepting new jobs", "Closed"]
    for mode, details in (("batch", ["batch", 3600]), ("session", ["dedicated", 28800])):
        assert (found[mode]["states"], found[mode]["details"], found[mode]["listed"]) == (states, details, True)
        assert found[mode]["closed"][0] == "IBMRuntimeError"
    assert found["batch"]["usage"] == sum(usage for *_rest, usage in found["batch"]["rows"])
    assert found["session"]["usage"] > 0
    assert [job["executions"] for job in emulator.jobs()] == [1] * 15


def test_every_primitive_ends_badly(emulator: EmulatorProcess, tmp_path: Path) -> None:
    """The client's own exception for each end, also from a service that did not submit the job."""
    script = (
        PRIMITIVES
        + """
fresh, found = QiskitRuntimeService(), {}
for name, (_program_id, kind, start, read) in PRIMITIVES.items():
    control("failures", reason="Too deep.", code=1517, times=1)
    failed = start(kind(backend))
    long = start(kind(backend, options={"max_execution_time": 1}))
    private = start(kind(backend, options={"environment": {"private": True, "job_tags": ["secret"]}}))
    row = found[name] = {}
    for end, job in (("failed", failed), ("long", long)):
        again = fresh.job(job.job_id())
        row[end] = [*refused(job.result), job.status(), job.error_message(), job.usage(), job.logs()]
        assert refused(again.result) == row[end][:2] and again.error_message() == row[end][3]
    again = fresh.job(private.job_id())
    row["private"] = [private.private, again.private, again.tags, private.inputs, again.inputs]
    row["once"] = [read(private.result()), private.result(), again.result(), again.status()]
print(json.dumps(found))
"""
    )
    found = run(emulator, tmp_path, script)
    assert len(found) == 5
    for name, row in found.items():
        error, text, status, message, usage, logs = row["failed"]
        assert (error, status, usage) == ("RuntimeJobFailureError", "ERROR", 0), name
        assert "Error code 1517; Too deep." in text and "has failed:" in message and "Failed: Too deep." in logs
        error, text, status, message, usage, logs = row["long"]
        assert (error, status, usage, logs) == ("RuntimeJobMaxTimeoutError", "ERROR", 1, ""), name
        assert "Error code 1305" in text and "ran longer than maximum execution time" in message
        assert row["private"] == [True, True, ["secret"], {}, {}], name
        answer, *later = row["once"]
        assert good(name, answer) and later == [None, None, "DONE"], (name, answer, later)
    assert {job["private"] for job in emulator.jobs() if job["tags"]} == {True}


def test_params_that_do_not_fit(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        LARGE
        + """
def run(params):
    return service._run("sampler", params, {"backend": backend, "instance": None}).result
good = {"pubs": [(bell, None, 10)], "version": 2, "support_qiskit": True}
strange = "OPENQASM 3.0; qubit q; bit[1] c; U(0, 0, 0) q; c[0] = measure q;"
print(json.dumps([refused(run({**good, **wrong})) for wrong in (
    {"pubs": [(strange,)]}, {"options": {"colour": 1}}, {"pubs": [("nonsense",)]},
)]))
"""
    )
    native, option, qasm = run(emulator, tmp_path, script)
    assert {error for error, _text in (native, option, qasm)} == {"RuntimeJobFailureError"}
    assert "Error code 1517" in native[1]
    assert "options.colour" in option[1] and "Error code 1002" in option[1]
    assert "OpenQASM 3" in qasm[1]


def test_jobs_that_wait_and_run(emulator: EmulatorProcess, tmp_path: Path) -> None:
    emulator.settings(run_seconds=300)
    script = (
        PRIMITIVES
        + """
control("settings", billing_seconds=300)
found = {}
for name in ("SamplerV2", "Estimator"):
    _program_id, kind, start, read = PRIMITIVES[name]
    runs, waits = start(kind(backend)), start(kind(backend))
    row = found[name] = {"states": [runs.status(), runs.running(), waits.status(), waits.in_final_state()]}
    row["early"] = [refused(call) for call in (
        lambda: runs.result(timeout=0.1), lambda: waits.wait_for_final_state(0.1, 0.1),
        lambda: service.delete_job(runs.job_id()),
    )]
    row["logs"], row["usage"], row["metrics"] = runs.logs(), runs.usage(), waits.metrics()
    for job in (runs, waits):
        job.cancel()
    again = [service.job(job.job_id()).status() for job in (runs, waits)]
    errors = [[refused(job.result)[0], refused(job.cancel)[0]] for job in (runs, waits)]
    row["cancelled"] = [runs.cancelled(), waits.cancelled(), again, errors]
    last = start(kind(backend))
    control("clock", advance=300)
    last.wait_for_final_state()
    row["billed"] = [last.usage(), last.usage(partial=True), last.metrics()["usage"]["status"]]
    control("clock", advance=300)
    row["billed"] += [last.usage(), last.metrics()["usage"]["status"]]
    service.delete_job(last.job_id())
    row["gone"] = [refused(call)[0] for call in (lambda: service.job(last.job_id()), last.metrics, last.result,
                                                 lambda: service.delete_job(last.job_id()))]
print(json.dumps(found))
"""
    )
    found = run(emulator, tmp_path, script)
    for row in found.values():
        assert row["states"] == ["RUNNING", True, "QUEUED", False]
        timeout, also, delete = row["early"]
        assert timeout[0] == also[0] == "RuntimeJobTimeoutError"
        assert delete[0] == "IBMRuntimeError" and "cannot be deleted" in delete[1]
        assert (row["logs"], row["usage"]) == ("", 0)
        assert row["metrics"]["position_in_queue"] == 1 and "running" not in row["metrics"]["timestamps"]
        assert row["cancelled"] == [True, True, ["CANCELLED"] * 2, [["RuntimeInvalidStateError"] * 2] * 2]
        pending, partial, status, final, complete = row["billed"]
        assert (pending, status, complete) == (0, "pending", "complete") and partial == final > 0
        assert row["gone"] == ["RuntimeJobNotFound", "IBMRuntimeError", "RequestsApiError", "RuntimeJobNotFound"]


def test_sessions_end_before_their_jobs(emulator: EmulatorProcess, tmp_path: Path) -> None:
    emulator.settings(run_seconds=300)
    script = (
        LARGE
        + """
found = {}
for end in ("close", "cancel", "time"):
    opened = Batch(backend, max_time=250 if end == "time" else "1h")
    jobs = [SamplerV2(opened).run([bell], shots=10) for turn in range(2)]
    found[end] = [opened.status()]
    if end == "time":
        control("clock", advance=275)
    else:
        getattr(opened, end)()
    found[end] += [Batch.from_id(opened.session_id, service).status(), [job.status() for job in jobs]]
    found[end] += [refused(lambda: SamplerV2(opened).run([bell]))]
    for job in jobs:
        control("clock", advance=300)
        job.wait_for_final_state()
    found[end] += [opened.status(), [job.status() for job in jobs]]
found["unknown"] = refused(lambda: Session.from_id("nothing", service))
print(json.dumps(found))
"""
    )
    found = run(emulator, tmp_path, script)
    assert found.pop("unknown")[0] == "IBMInputValueError"
    ended = {"close": ["DONE", "DONE"], "cancel": ["DONE", "CANCELLED"], "time": ["DONE", "ERROR"]}
    for end, (before, after, jobs, (error, text), finally_, states) in found.items():
        assert (before, error, finally_) == ("In progress, accepting new jobs", "IBMRuntimeError", "Closed")
        assert after == ("In progress, not accepting new jobs" if end == "close" else "Closed"), end
        assert jobs == ["RUNNING", "QUEUED" if end == "close" else ended[end][1]] and states == ended[end], end
        assert ("1217" if end == "time" else "session is closed") in text


def test_jobs_are_found_again(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = (
        LARGE
        + f"""
job = SamplerV2(backend).run([bell], shots=1000)
counts = job.result()[0].data.meas.get_counts()
OPEN = {data.INSTANCE_OPEN!r}
"""
        + """
found = {"unknown": refused(lambda: service.job("nothing"))}
found["elsewhere"] = refused(lambda: QiskitRuntimeService(instance=OPEN).job(job.job_id()))
os.environ.pop("QISKIT_IBM_INSTANCE")
found["anywhere"] = QiskitRuntimeService().job(job.job_id()).result()[0].data.meas.get_counts() == counts
found["instances"] = [len(service.jobs(instance=crn)) for crn in (None, OPEN, backend._instance)]
print(json.dumps([counts, found]))
"""
    )
    counts, found = run(emulator, tmp_path, script)
    assert near(counts, 1000)
    assert found.pop("unknown")[0] == found.pop("elsewhere")[0] == "RuntimeJobNotFound"
    assert found == {"anywhere": True, "instances": [1, 0, 1]}


def test_jobs_are_found_tagged_cancelled_and_deleted(emulator: EmulatorProcess, tmp_path: Path) -> None:
    emulator.settings(queue_seconds=100000)
    script = (
        LARGE
        + """
from datetime import datetime, timedelta
jobs = []
for number in range(23):
    options = {"environment": {"job_tags": [f"part-{number % 2}"]}}
    jobs.append(SamplerV2(backend, options=options).run([bell], shots=10))
ids = [job.job_id() for job in jobs]
fresh = QiskitRuntimeService()
listed = [job.job_id() for job in fresh.jobs(limit=None)]
hour = timedelta(hours=1)
found = {
    "all": listed == ids[::-1], "oldest": [job.job_id() for job in fresh.jobs(limit=3, descending=False)] == ids[:3],
    "skip": [job.job_id() for job in fresh.jobs(limit=2, skip=20)] == ids[2:0:-1],
    "tagged": len(fresh.jobs(limit=None, job_tags=["part-1"])), "both": len(fresh.jobs(job_tags=["part-0", "part-1"])),
    "pending": len(fresh.jobs(limit=None, pending=True)), "done": len(fresh.jobs(pending=False)),
    "elsewhere": len(fresh.jobs(backend_name="ibm_torino")),
    "program": len(fresh.jobs(limit=None, program_id="sampler")),
    "since": len(fresh.jobs(limit=None, created_after=datetime.now() - hour)),
    "before": len(fresh.jobs(limit=None, created_before=datetime.now() - hour)),
    "state": jobs[0].status(), "metrics": jobs[1].metrics(),
}
job = fresh.job(ids[0])
found["tags"] = job.update_tags(["new"])
found["too many"] = refused(lambda: fresh._get_api_client().update_tags(ids[0], ["a"] * 9))
found["early"] = refused(lambda: fresh.delete_job(ids[0]))
job.cancel()
found["cancelled"] = [fresh.job(ids[0]).status(), refused(job.result)[0]]
fresh.delete_job(ids[0])
found["gone"] = refused(lambda: fresh.job(ids[0]))[0]
print(json.dumps(found))
"""
    )
    found = run(emulator, tmp_path, script)
    assert found["all"] and found["oldest"] and found["skip"]
    assert (found["tagged"], found["both"], found["pending"], found["done"]) == (11, 0, 23, 0)
    assert (found["elsewhere"], found["program"], found["since"], found["before"]) == (0, 23, 23, 0)
    assert (found["state"], found["tags"]) == ("QUEUED", ["new"])
    assert found["metrics"]["position_in_queue"] == 2 and "estimated_start_time" in found["metrics"]
    assert "1204" in found["too many"][1] and "terminal" not in found["cancelled"]
    assert "cannot be deleted" in found["early"][1]
    assert (found["cancelled"], found["gone"]) == (["CANCELLED", "RuntimeInvalidStateError"], "RuntimeJobNotFound")
    assert emulator.executions() == []
