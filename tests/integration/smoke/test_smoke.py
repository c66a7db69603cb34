# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every supported ansible-core has to do: all API modules, in the worker and as modules, nothing shown."""

from __future__ import annotations

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import Controller


def test_every_api_module(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.settings(engine="builtin", queue_seconds=1.5)
    run = controller.run(
        """
        - name: Hosts that cannot be reached
          hosts: fleet
          gather_facts: false
          become: true
          module_defaults:
            group/ibm_quantum.platform.all: {instance: "{{ us }}"}
            ibm_quantum.platform.backend_info: {min_qubits: 150}
          tasks:
            - name: token
              ibm_quantum.platform.iam_token:
              register: token
            - name: usage
              ibm_quantum.platform.usage_info: {bearer_token: "{{ token.access_token }}"}
            - name: backends
              ibm_quantum.platform.backend_info:
            - name: loop
              ibm_quantum.platform.api: {path: /v1/versions}
              loop: [1, 2, 3]
            - name: environment
              ibm_quantum.platform.usage_info: {instance: "{{ omit }}"}
              environment: {IBM_QUANTUM_RUNTIME_URL: "{{ url }}/nowhere"}
              ignore_errors: true
            - name: change
              ibm_quantum.platform.api:
                method: PUT
                path: /v1/instances/configuration
                body: {instance_limit: 6000}
                current: {}
              check_mode: true
              diff: true
            - name: unknown option
              ibm_quantum.platform.usage_info: {regoin: us-east}
              ignore_errors: true
            - name: as a module
              ibm_quantum.platform.usage_info: {run_on: target}
              delegate_to: runner
            - name: token of a module
              ibm_quantum.platform.iam_token: {run_on: target}
              delegate_to: runner
            - name: batch
              ibm_quantum.platform.session: {name: smoke, backend: ibm_fez}
            - name: job
              ibm_quantum.platform.job: &job
                {name: smoke, session: smoke, circuit: "{{ bell }}", shots: 100, wait: true}
              register: job
            - name: job as a module
              ibm_quantum.platform.job:
                <<: *job
                run_on: target
              delegate_to: runner
            - name: jobs
              ibm_quantum.platform.job_info: {session: smoke, results: decoded}
            - name: sessions
              ibm_quantum.platform.session_info: {name: smoke}
            - name: workloads
              ibm_quantum.platform.workload_info: {mode: batch, mine: true, sort: newest}
            - name: tags
              ibm_quantum.platform.tag_info: {search: smoke, own: true}
            - name: data
              ansible.builtin.debug:
                msg:
                  - "{{ query('ibm_quantum.platform.endpoints', features=['rest']) | length }}"
                  - "{{ us | ibm_quantum.platform.parse_crn }}"
                  - "{{ lookup('ibm_quantum.platform.iam_token') == token.access_token }}"
                  - "{{ job | ibm_quantum.platform.counts }}"
                  - "{{ lookup('ibm_quantum.platform.backend', 'ibm_fez') }}"
        """,
        "-vvv",
        hosts=1,
        variables={"us": data.INSTANCE_US, "bell": data.BELL},
        env={"ANSIBLE_CALLBACKS_ENABLED": "recorder,ibm_quantum.platform.quantum_usage"},
    ).succeeded()
    for task in ("usage", "as a module"):
        assert run.one(task)["usage"]["instance_id"] == data.INSTANCE_US, task
    assert {row["qubits"] >= 150 for row in run.one("backends")["backends"]} == {True}
    assert {item["status"] for item in run.items("loop")} == {200}
    assert run.one("environment")["error"]["status"] == 404
    assert run.one("change")["changed"]
    assert run.one("unknown option")["msg"].startswith(
        "Unsupported parameters for (ibm_quantum.platform.usage_info) module: regoin."
    )
    for task in ("job", "job as a module"):
        assert set(run.one(task)["job"]["results"][0]["counts"]["meas"]) == {"00", "11"}, task
    assert (run.one("job")["submitted"], run.one("job as a module")["submitted"]) == (1, 0)
    assert f"[far00] job {run.one('job')['job']['id']} on ibm_fez: Queued, number 1 in the queue" in run.text
    assert [row["name"] for row in run.one("jobs")["jobs"]] == ["smoke"]
    assert run.one("sessions")["sessions"][0]["id"] == run.one("batch")["session"]["id"]
    assert run.one("workloads")["workloads"][0]["id"] == run.one("batch")["session"]["id"]
    assert "ansible-job:smoke" in run.one("tags")["tags"]
    assert len(emulator.executions()) == 1
    count, crn, same, counts, backend = run.one("data")["msg"]
    assert (sum(counts.values()), backend) == (100, "ibm_fez")
    assert (int(count), crn["region"], str(same)) == (2, "us-east", "True")
    assert "censored" in run.one("token")
    assert "censored" in run.one("token of a module")
    secrets = [emulator.api_key, *emulator.tokens()["tokens"]]
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in run.text]
