# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""job, job_info and the playbooks over them: submitted once, waited for, brought home, cancelled, removed."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import ROOT, Controller, Run

BELL = ROOT / "tests/demo/bell.qasm"


@pytest.fixture(autouse=True)
def quick(emulator: EmulatorProcess) -> None:
    """The emulator's own simulator: the same where no worker is installed."""
    emulator.settings(engine="builtin")


def _posts(emulator: EmulatorProcess) -> int:
    rows = emulator.journal(method="POST")
    return sum(row["path"].endswith("/v1/jobs") for row in rows)


def _play(controller: Controller, name: str, *args: str, **variables: Any) -> Run:
    extra = ["-e", json.dumps(variables)] if variables else []
    text = f"- ansible.builtin.import_playbook: ibm_quantum.platform.{name}\n"
    return controller.run(text, *args, *extra, hosts=["localhost"])


def test_a_job_is_submitted_once(controller: Controller, emulator: EmulatorProcess) -> None:
    file = controller.home / "bell.json"
    run = controller.tasks(
        f"""
        - name: predicted
          ibm_quantum.platform.job: &bell
            name: bell
            backend: ibm_fez
            circuit_file: {BELL}
            shots: 1000
            tags: [mine]
            wait: true
            result_file: {file}
            details: [metrics, logs, params]
          check_mode: true
        - name: done
          ibm_quantum.platform.job: *bell
          register: done
        - name: again
          ibm_quantum.platform.job: *bell
        - name: without a name
          ibm_quantum.platform.job: {{backend: ibm_fez, circuit_file: {BELL}, shots: 1000}}
          loop: [1, 2]
        - name: tagged
          ibm_quantum.platform.job: {{name: bell, backend: ibm_fez, circuit_file: {BELL}, shots: 1000, tags: [yours]}}
        - name: another under its name
          ibm_quantum.platform.job: {{name: bell, backend: ibm_fez, circuit_file: {BELL}, shots: 999}}
          ignore_errors: true
        - name: counts
          ansible.builtin.debug:
            msg: "{{{{ done | ibm_quantum.platform.counts }}}}"
        - name: elsewhere
          ibm_quantum.platform.job: {{name: bell, backend: ibm_fez, circuit_file: {BELL}, shots: 1000, run_on: target}}
        - name: absent, predicted
          ibm_quantum.platform.job: {{name: bell, state: absent}}
          check_mode: true
        - name: absent
          ibm_quantum.platform.job: {{name: bell, state: absent}}
        - name: absent again
          ibm_quantum.platform.job: {{name: bell, state: absent}}
        """,
        "--diff",
        hosts=["runner"],
    ).succeeded()
    predicted, done, again = run.one("predicted"), run.one("done"), run.one("again")
    assert predicted["changed"] and done["changed"] and not again["changed"]
    assert predicted["diff"] == done["diff"]
    assert (predicted["submitted"], done["submitted"], again["submitted"]) == (1, 1, 0)
    assert again["job"]["results"] == done["job"]["results"]
    counts = run.one("counts")["msg"]
    assert sum(counts.values()) == 1000
    assert set(counts) == {"00", "11"}
    assert done["job"]["metrics"]["usage"] == {"qpu_charge_time_seconds": 2, "status": "complete"}
    assert done["job"]["params"]["pubs"]
    assert done["job"]["tags"] == ["mine"]
    assert json.loads(file.read_text())["results"][0]["data"]["meas"]["num_bits"] == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first, second = run.items("without a name")
    assert first["job"]["id"] == second["job"]["id"] != done["job"]["id"]
    assert run.one("tagged")["job"]["tags"] == ["yours"]
    assert run.one("tagged")["diff"]["before"] == {"tags": ["mine"]}
    assert "give this one another name" in run.one("another under its name")["msg"]
    assert run.one("elsewhere")["job"]["id"] == done["job"]["id"]
    assert run.one("absent, predicted")["diff"] == run.one("absent")["diff"]
    assert [run.one(f"absent{rest}")["changed"] for rest in (", predicted", "", " again")] == [True, True, False]
    assert _posts(emulator) == len(emulator.executions()) == 2


def test_the_estimator_and_bad_input(controller: Controller, emulator: EmulatorProcess) -> None:
    """What cannot be right is refused before anything is sent; each error names the option and the remedy."""
    bad = {
        "nothing to run": ("{}", "nothing to run"),
        "two circuits": (f"{{circuit_file: {BELL}, circuit: x}}", "give one of 'circuit', 'circuit_file'"),
        "no file": ("{circuit_file: /nonexistent}", "'circuit_file': /nonexistent cannot be read"),
        "version 2": ("{circuit: 'OPENQASM 2.0; qreg q[1];'}", "IBM takes version 3"),
        "no circuit": ("{circuit: hello}", "neither OpenQASM 3 nor QPY"),
        "no observables": (f"{{program_id: estimator, circuit_file: {BELL}}}", "'observables' is needed"),
        "shots for an estimator": (
            f"{{program_id: estimator, circuit_file: {BELL}, shots: 5}}",
            "'shots' has no meaning",
        ),
        "too many tags": (f"{{circuit_file: {BELL}, tags: [a, b, c, d, e, f, g, h]}}", "IBM takes 8"),
        "a long tag": (f"{{circuit_file: {BELL}, tags: ['{'x' * 87}']}}", "'tags': IBM takes tags of 1 to 86"),
        "too long": (f"{{circuit_file: {BELL}, max_execution_time: 10801}}", "'max_execution_time' must be 1 to 10800"),
        "both ways": (f"{{circuit_file: {BELL}, backend: ibm_fez, min_qubits: 5}}", "'min_qubits' chooses a backend"),
        "private": (
            f"{{circuit_file: {BELL}, private: true, wait: true}}",
            "'result_file' is needed for a private job",
        ),
        "no place": (
            f"{{circuit_file: {BELL}, backend: ibm_fez, wait: true, result_file: /nonexistent/x}}",
            "'result_file': /nonexistent/x cannot be written",
        ),
        "a bad element": (f"{{jobs: [{{circuit_file: {BELL}}}, {{shot: 5}}]}}", "'jobs', element 2: shot"),
        "the same twice": (
            f"{{circuit_file: {BELL}, jobs: [{{}}, {{}}]}}",
            "'jobs', elements 1 and 2 are the same job",
        ),
        "a name too long": (f"{{circuit_file: {BELL}, name: {'x' * 75}}}", "'name' must have 1 to 74 characters"),
        "little left": (
            f"{{circuit_file: {BELL}, backend: ibm_fez, require_remaining_seconds: 99999}}",
            "8166 s of QPU time left",
        ),
        "which job": ("{state: absent}", "which job?"),
    }
    tasks = "".join(
        f"- name: {name}\n  ibm_quantum.platform.job: {options}\n  ignore_errors: true\n"
        for name, (options, _message) in bad.items()
    )
    tasks += f"""
- name: estimated
  ibm_quantum.platform.job:
    program_id: estimator
    backend: ibm_fez
    pubs: [{{circuit_file: {BELL}, observables: ZZ, precision: 0.1}}]
    resilience_level: 0
"""
    run = controller.tasks(tasks).succeeded()
    for name, (_options, message) in bad.items():
        result = run.one(name)
        assert result["failed"] and message in result["msg"], f"{name}: {result['msg']}"
        assert "Traceback" not in run.text
    assert run.one("estimated")["job"]["program"] == {"id": "estimator"}
    assert _posts(emulator) == 1


def test_private_results_are_read_once(controller: Controller, emulator: EmulatorProcess) -> None:
    file = controller.home / "private.json"
    run = controller.tasks(
        f"""
        - name: done
          ibm_quantum.platform.job: &private
            {{name: p, backend: ibm_fez, circuit_file: {BELL}, private: true, wait: true, result_file: {file}}}
          loop: [1, 2]
        - name: looked at
          ibm_quantum.platform.job_info: {{name: p, results: decoded, details: [params]}}
        """
    ).succeeded()
    first, second = run.items("done")
    assert first["changed"] and not second["changed"]
    assert first["job"]["results"] == second["job"]["results"] != []
    looked = run.one("looked at")
    assert "params" not in looked["jobs"][0] or looked["jobs"][0]["params"] is None
    assert "deletes them when they are read" in " ".join(looked["warnings"])
    assert sum(row["path"].endswith("/results") for row in emulator.journal()) == 1
    assert file.exists()


def test_failed_jobs_say_why_and_are_submitted_again_if_asked(
    controller: Controller, emulator: EmulatorProcess
) -> None:
    emulator.fail_jobs(reason="The circuit is too deep.", code=1517, solution="Make it shorter.", times=1)
    run = controller.tasks(
        f"""
        - name: failed
          ibm_quantum.platform.job: &job {{name: f, backend: ibm_fez, circuit_file: {BELL}, wait: true}}
          ignore_errors: true
        - name: failed still
          ibm_quantum.platform.job: *job
          ignore_errors: true
        - name: again
          ibm_quantum.platform.job: {{name: f, backend: ibm_fez, circuit_file: {BELL}, wait: true, resubmit: failed}}
        - name: and now it stays
          ibm_quantum.platform.job: {{name: f, backend: ibm_fez, circuit_file: {BELL}, wait: true, resubmit: failed}}
        - name: too long
          ibm_quantum.platform.job:
            {{name: l, backend: ibm_fez, circuit_file: {BELL}, shots: 400000, max_execution_time: 5, wait: true}}
          ignore_errors: true
        """
    ).succeeded()
    for name in ("failed", "failed still"):
        assert (
            "ended as Failed: The circuit is too deep (code 1517). IBM's advice: Make it shorter."
            in run.one(name)["msg"]
        )
    assert "Cancelled - Ran too long" in run.one("too long")["msg"]
    assert run.one("again")["changed"] and not run.one("and now it stays")["changed"]
    assert _posts(emulator) == 3


def test_the_playbook_run_job(controller: Controller, emulator: EmulatorProcess) -> None:
    for _turn in range(2):
        run = _play(controller, "run_job", ibm_quantum_circuit=str(BELL), ibm_quantum_shots=100).succeeded()
        shown = run.one("Show the counts")["msg"]
        assert set(shown["counts"]) == {"00", "11"}
        assert sum(shown["counts"].values()) == 100
    assert run.stats["localhost"]["changed"] == 0
    assert len(emulator.executions()) == 1
    wrong = _play(controller, "run_job").failed()
    assert "ibm_quantum_circuit is the file with the circuit" in wrong.text


def test_the_playbooks_run_batch_and_cancel_all(controller: Controller, emulator: EmulatorProcess) -> None:
    folder = controller.home / "circuits"
    folder.mkdir()
    for name in ("a", "b", "c"):
        Path(folder, f"{name}.qasm").write_text(f"{data.BELL}// {name}\n")
    variables = {"ibm_quantum_circuits": str(folder), "ibm_quantum_shots": 50, "ibm_quantum_tags": ["nightly"]}
    predicted = _play(controller, "run_batch", "--check", **variables).succeeded()
    assert predicted.stats["localhost"]["changed"] == 1
    assert _posts(emulator) == 0

    _play(controller, "run_batch", **variables).succeeded()
    assert sorted(path.name for path in folder.glob("*.json")) == ["a.json", "b.json", "c.json"]
    sessions = {job["session_id"] for job in emulator.jobs()}
    assert len(sessions) == 1
    assert len(emulator.executions()) == 3
    assert _play(controller, "run_batch", **variables).succeeded().stats["localhost"]["changed"] == 0

    Path(folder, "d.qasm").write_text(f"{data.BELL}// d\n")
    emulator.settings(hold=True)
    late = _play(controller, "run_batch", **variables, ibm_quantum_wait_timeout=2).failed()
    assert "still Queued after the 2 s of 'wait_timeout'" in late.text
    assert "goes on" in late.text
    assert _play(controller, "cancel_all").failed().text.count("ibm_quantum_tags must be a list of tags")
    check = _play(controller, "cancel_all", "--check", ibm_quantum_tags=["nightly"]).succeeded()
    done = _play(controller, "cancel_all", ibm_quantum_tags=["nightly"]).succeeded()
    again = _play(controller, "cancel_all", ibm_quantum_tags=["nightly"]).succeeded()
    assert [run.stats["localhost"]["changed"] for run in (check, done, again)] == [1, 1, 0]
    assert [job["status"] for job in emulator.jobs()].count("Cancelled") == 1
    assert len(emulator.executions()) == 3
    closed = [row for row in emulator.journal(method="PATCH") if "/sessions/" in row["path"]]
    assert len(closed) == 2  # each batch that was opened was also let end, the one that took too long as well
