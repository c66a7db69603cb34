# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that the collection submits and IBM's client reads, and the other way round; the same for sessions."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _http, _iam
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from tests.clients.client import AER_MARKS, SAID, SMALL, WITH_SMALL, run
from tests.emulator.testing import EmulatorProcess
from tests.unit.scripted import Module

pytestmark = AER_MARKS
ARGUMENTS = WITH_SMALL

Task = Callable[..., dict[str, Any]]

HEAD = (
    SMALL
    + SAID
    + """
from pathlib import Path
from qiskit import ClassicalRegister, QuantumRegister, qasm3, qpy
from qiskit.primitives.containers import PrimitiveResult
from qiskit_ibm_runtime import RuntimeDecoder
angle = Parameter("a")
qubits = QuantumRegister(3)
sweep = QuantumCircuit(qubits, ClassicalRegister(2, "low"), ClassicalRegister(1, "high"))
sweep.x(0)  # so that the order of bits shows
sweep.rx(angle, 2)
sweep.measure([0, 1, 2], [0, 1, 2])
sweep = transpile(sweep, backend, seed_transpiler=1)
turn = QuantumCircuit(1)
turn.ry(angle, 0)
turn = transpile(turn, backend, seed_transpiler=1)
def over(circuit, *terms):
    return SparsePauliOp.from_list(terms).apply_layout(circuit.layout)
"""
)


@pytest.fixture
def task(emulator: EmulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task of the collection: the name of a module and its options; the result."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "XDG_CACHE_HOME", "XDG_STATE_HOME", "IBM_QUANTUM_TALLY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in {**emulator.env(), "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setattr(_iam, "_MEMORY", {})
    monkeypatch.setattr(_http, "_SESSIONS", {})

    def call(module_name: str, /, **options: Any) -> dict[str, Any]:
        module = import_module(f"ansible_collections.ibm_quantum.platform.plugins.modules.{module_name}")
        given = Module(module.ARGUMENT_SPEC, **options)
        result = outcome(module.run, given)
        assert not given.warnings, given.warnings
        return result

    return call


def data_of(pubs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in pub.items() if name != "metadata"} for pub in pubs]


CIRCUITS = (
    HEAD
    + """
for name, circuit in (("bell", bell), ("sweep", sweep), ("state", state), ("turn", turn)):
    Path(f"{name}.qasm").write_text(qasm3.dumps(circuit))
    with open(f"{name}.qpy", "wb") as file:
        qpy.dump(circuit, file, version=17)
Path("newer.qpy").write_bytes(b"QISKIT" + bytes([18]) + Path("bell.qpy").read_bytes()[7:])
labels = [over(state, ("ZZ", 1)), over(state, ("ZZ", 1), ("XX", 0.5)), over(turn, ("Z", 1)), over(turn, ("X", 1))]
print(json.dumps([{name: float(factor.real) for name, factor in each.to_list()} for each in labels]))
"""
)
READ = (
    HEAD
    + """
found = {}
for job in service.jobs(limit=None, job_tags=["of-both"]):
    result = service.job(job.job_id()).result()
    saved = json.loads(Path(f"{job.job_id()}.json").read_text(), cls=RuntimeDecoder)
    found[job.job_id()] = [*map(said, (result, saved))] if isinstance(result, PrimitiveResult) else [result, saved]
print(json.dumps(found))
"""
)


def test_what_the_collection_submits_the_client_reads(emulator: EmulatorProcess, tmp_path: Path, task: Task) -> None:
    zz, both, z, x = run(emulator, tmp_path, CIRCUITS)
    (name,) = zz
    angles = [[0.0], [1.0], [3.141592653589793]]
    sampled: list[dict[str, Any]] = [
        {"circuit_file": "sweep.qpy", "parameter_values": angles, "shots": 100},
        {"circuit_file": "sweep.qasm", "parameter_values": {"a": [[0.0, 1.0], [2.0, 3.0]]}},
        {"circuit_file": "sweep.qpy", "parameter_values": [3.141592653589793]},
    ]
    estimated: list[dict[str, Any]] = [
        {"circuit_file": "state.qpy", "observables": name},
        {"circuit_file": "state.qasm", "observables": [zz, both], "precision": 0.02},
        {"circuit_file": "turn.qpy", "observables": [[z], [x]], "parameter_values": angles},
    ]
    for pub in sampled + estimated:
        pub["circuit_file"] = str(tmp_path / pub["circuit_file"])
    jobs: list[dict[str, Any]] = [
        {"name": "text", "circuit": (tmp_path / "bell.qasm").read_text(), "shots": 500},
        {"name": "file", "circuit_file": str(tmp_path / "bell.qpy"), "shots": 500},
        {"name": "sweep", "pubs": sampled, "shots": 50},
        {"name": "value", "program_id": "estimator", "pubs": estimated, "precision": 0.05},
    ]
    same = {"simulator": {"seed_simulator": 7}}  # so that the shots are the same in both forms of results
    common = {"backend": "ibmq_manila", "tags": ["of-both"], "wait": True, "options": same}
    newer = task("job", circuit_file=str(tmp_path / "newer.qpy"), backend="ibmq_manila", wait=True)
    assert newer["failed"] and "QPY of version 18" in newer["msg"] and "version=17" in newer["msg"]
    rows = []
    for qiskit in (True, False):
        named = [{**job, "name": f"{job['name']}-{qiskit}"} for job in jobs]
        result = task("job", jobs=named, support_qiskit=qiskit, **common)
        assert "failed" not in result, result
        rows.append(result["jobs"])
    again = task("job_info", tags=["of-both"], sort="oldest", results="raw", result_dir=str(tmp_path))["jobs"]
    assert [job["id"] for job in again] == [job["id"] for row in rows for job in row]
    read = run(emulator, tmp_path, READ)
    for job in rows[0]:
        assert read[job["id"]] == [data_of(job["results"])] * 2, job["name"]
    for job in again[4:]:
        assert read[job["id"]] == [job["results"]] * 2, job["name"]
    decoded = [[data_of(job["results"]) for job in row] for row in rows]
    assert decoded[0] == decoded[1]
    text, file, sweep, value = decoded[0]
    assert set(text[0]["counts"]["meas"]) == set(file[0]["counts"]["meas"]) == {"00", "11"}
    assert [counts.get("1", 0) for counts in sweep[0]["counts"]["high"]][::2] == [0, 100]
    assert [[sum(counts.values()) for counts in row] for row in sweep[1]["counts"]["low"]] == [[50, 50], [50, 50]]
    assert sweep[2]["counts"] == {"low": {"01": 50}, "high": {"1": 50}}
    assert abs(value[0]["evs"] - 1) < 0.3 and abs(value[1]["evs"][1] - 1.5) < 0.2
    assert value[2]["stds"] == [[0.05] * 3] * 2 and abs(value[2]["evs"][0][2] + 1) < 0.3


SUBMITTED = (
    HEAD
    + """
def decoded(job):
    result = job.result()
    if isinstance(result, PrimitiveResult):
        return said(result)
    return [{"counts": {name: counts(BitArray.from_bool_array(array, order="little")) for name, array in item.items()}}
            for item in result]
angles = [[0.0], [1.0], [3.141592653589793]]
square = np.array([[[0.0], [1.0]], [[2.0], [3.0]]])
pubs = [(sweep, angles), (sweep, square), (sweep.assign_parameters([1.0]),), (bell,)]
zz, both = over(state, ("ZZ", 1)), over(state, ("ZZ", 1), ("XX", 0.5))
z, x = over(turn, ("Z", 1)), over(turn, ("X", 1))
values = [(state, zz), (state, [[zz], [both]]), (turn, [[z], [x]], angles)]
program = QuantumProgram(shots=30)
program.append_circuit_item(sweep, circuit_arguments=np.array(angles))
program.append_circuit_item(bell)
twirling = {"enable_gates": True, "enable_measure": True, "num_randomizations": 4, "shots_per_randomization": 10}
jobs = {
    "SamplerV2": SamplerV2(backend).run(pubs, shots=50),
    "EstimatorV2": EstimatorV2(backend).run(values, precision=0.02),
    "Sampler": Sampler(backend).run(pubs, shots=50),
    "twirled": Sampler(backend, options={"twirling": twirling}).run(pubs, shots=40),
    "Executor": Executor(backend).run(program),
    "Estimator": Estimator(backend).run([(state, zz)]),
    "private": SamplerV2(backend, options={"environment": {"private": True}}).run([bell], shots=50),
}
ids = {name: job.job_id() for name, job in jobs.items()}
answers = {name: decoded(job) for name, job in jobs.items() if name != "private"}
control("failures", reason="Too deep.", code=1517, solution="Cut it.")
failed = SamplerV2(backend).run([bell])
print(json.dumps([ids, answers, failed.job_id(), *refused(failed.result)]))
"""
)
COLLECTED = (
    HEAD
    + """
found = {}
for job in service.jobs(limit=None):
    saved = Path(f"{job.job_id()}.json").read_text()
    if job.status() == "DONE":
        for decoder in job._result_decoders:  # what job.result() does once it has the text
            saved = decoder.decode(saved) if decoder.is_applicable(saved) else saved
    found[job.job_id()] = said(saved) if isinstance(saved, PrimitiveResult) else str(saved)
    if job.private:
        found["left"] = job.result()
print(json.dumps(found))
"""
)


def test_what_the_client_submits_the_collection_reads(emulator: EmulatorProcess, tmp_path: Path, task: Task) -> None:
    ids, answers, failed, _error, text = run(emulator, tmp_path, SUBMITTED)
    wanted = [*ids.values(), failed]
    bring = {"results": "decoded", "result_dir": str(tmp_path), "details": ["metrics", "logs"]}
    result = task("job_info", ids=wanted, wait=True, **bring)
    assert [job["id"] for job in result["jobs"]] == wanted
    jobs = dict(zip([*ids, "failed"], result["jobs"]))
    for name in ("SamplerV2", "EstimatorV2"):
        assert data_of(jobs[name]["results"]) == answers[name]
    for name in ("Sampler", "twirled", "Executor"):
        assert [{"counts": item["counts"]} for item in jobs[name]["results"]] == answers[name]
    assert "tensors" in jobs["Estimator"]["results"][0]  # to make values of them takes the client
    assert sum(jobs["private"]["results"][0]["counts"]["meas"].values()) == 50
    assert jobs["failed"]["results"] == [] and jobs["failed"]["error_text"] == "Too deep."
    assert jobs["failed"]["state"]["reason"] in text and str(jobs["failed"]["state"]["reason_code"]) in text
    assert all(job["metrics"]["timestamps"]["finished"] for job in jobs.values())
    assert "Failed: Too deep." in jobs["failed"]["logs"]
    read = run(emulator, tmp_path, COLLECTED)
    assert read.pop("left") is None and read[ids["private"]] == data_of(jobs["private"]["results"])
    for name in ("SamplerV2", "EstimatorV2", "Sampler", "twirled", "Estimator"):
        assert read[ids[name]] == answers[name], name
    assert read[failed] == "Too deep."


IN_SESSIONS = (
    HEAD
    + """
found = {}
for name, kind in (("ours-batch", Batch), ("ours-dedicated", Session)):
    opened = kind.from_id(os.environ[name.replace("-", "_")], service)
    job = SamplerV2(opened).run([bell], shots=20)
    shots = sum(job.result()[0].data.meas.get_counts().values())
    listed = [each.job_id() for each in service.jobs(session_id=opened.session_id)]
    found[name] = [opened.status(), opened.details()["mode"], opened.details()["max_time"], shots, listed, job.job_id()]
    if kind is Batch:
        opened.close()
theirs = Batch(backend)
found["theirs"] = theirs.session_id
tagged = service.jobs(job_tags=["of-both"])
found["tagged"] = [job.job_id() for job in tagged]
control("settings", queue_seconds=1000)
found["waiting"] = [SamplerV2(backend).run([bell]).job_id() for turn in range(2)]
print(json.dumps(found))
"""
)
AFTERWARDS = (
    HEAD
    + """
opened = {name: kind.from_id(os.environ[name], service) for name, kind in
          (("ours_batch", Batch), ("ours_dedicated", Session), ("theirs", Batch))}
found = {name: [each.status(), refused(lambda: SamplerV2(each).run([bell]))] for name, each in opened.items()}
found["jobs"] = len(service.jobs(session_id=os.environ["theirs"]))
found["cancelled"] = service.job(os.environ["cancelled"]).status()
found["absent"] = refused(lambda: service.job(os.environ["absent"]))
print(json.dumps(found))
"""
)


def test_sessions_and_jobs_in_the_hands_of_both(emulator: EmulatorProcess, tmp_path: Path, task: Task) -> None:
    where = {"backend": "ibmq_manila", "tags": ["of-both"]}
    circuit = 'OPENQASM 3.0; include "stdgates.inc"; bit[1] c; x $0; c[0] = measure $0;'
    ids, jobs = {}, {}
    for mode in ("batch", "dedicated"):
        name = f"ours-{mode}"
        made = task("session", name=name, mode=mode, backend="ibmq_manila", max_ttl=3600)
        ids[f"ours_{mode}"] = made["session"]["id"]
        jobs[name] = task("job", name=name, session=name, circuit=circuit, wait=True, **where)["job"]
        assert jobs[name]["results"][0]["counts"] == {"c": {"1": 4096}}
        assert jobs[name]["session_id"] == made["session"]["id"]
    found = run(emulator, tmp_path, IN_SESSIONS, **ids)
    for mode in ("batch", "dedicated"):
        name = f"ours-{mode}"
        status, mode_there, max_time, shots, listed, theirs = found[name]
        assert (status, mode_there, max_time, shots) == ("In progress, accepting new jobs", mode, 3600, 20)
        assert listed == [theirs, jobs[name]["id"]]
        listed = [job["id"] for job in task("job_info", session_id=ids[f"ours_{mode}"])["jobs"]]
        assert listed == [theirs, jobs[name]["id"]]
    assert set(found["tagged"]) == {job["id"] for job in jobs.values()}
    states = [row["state"] for row in task("session_info", ids=list(ids.values()))["sessions"]]
    assert states[0] == "closed" != states[1]
    assert not task("session", name="ours-batch", state="closed")["changed"]
    assert task("session", name="ours-dedicated", state="closed")["changed"]
    adopted = task("session", id=found["theirs"], name="theirs", backend="ibmq_manila")
    assert (adopted["changed"], adopted["session"]["id"]) == (False, found["theirs"])
    emulator.settings(queue_seconds=0)
    assert "failed" not in task("job", session="theirs", circuit=circuit, wait=True, **where)
    assert task("session", name="theirs", state="not_accepting")["changed"]
    cancelled, absent = found["waiting"]
    assert task("job", id=cancelled, state="cancelled")["job"]["status"] == "Cancelled"
    assert task("job", id=absent, state="absent")["changed"]
    after = run(emulator, tmp_path, AFTERWARDS, theirs=found["theirs"], cancelled=cancelled, absent=absent, **ids)
    for name in ("ours_batch", "ours_dedicated", "theirs"):
        status, (error, text) = after[name]
        assert (status, error) == ("Closed", "IBMRuntimeError") and "session is closed" in text, name
    assert (after["jobs"], after["cancelled"], after["absent"][0]) == (1, "CANCELLED", "RuntimeJobNotFound")
