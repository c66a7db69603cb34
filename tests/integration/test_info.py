# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backend_info and usage_info, in both regions."""

from __future__ import annotations

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import Controller


def test_backend_info(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        """
        - name: all
          ibm_quantum.platform.backend_info:
        - name: operational
          ibm_quantum.platform.backend_info: {operational: true}
        - name: not operational
          ibm_quantum.platform.backend_info: {operational: false}
        - name: simulators
          ibm_quantum.platform.backend_info: {simulator: true}
        - name: large
          ibm_quantum.platform.backend_info: {min_qubits: 150, simulator: false}
        - name: least busy
          ibm_quantum.platform.backend_info: {least_busy: true}
        - name: least busy of the large ones
          ibm_quantum.platform.backend_info: {least_busy: true, min_qubits: 150}
        - name: none is ready
          ibm_quantum.platform.backend_info: {least_busy: true, min_qubits: 100000}
          ignore_errors: true
        - name: details
          ibm_quantum.platform.backend_info:
            name: ibm_fez
            details: [configuration, properties, status, defaults]
            fields: [wait_time_seconds]
        - name: calibration
          ibm_quantum.platform.backend_info:
            name: ibm_fez
            details: [configuration, properties]
            calibration_id: 0123-abc
        - name: unknown
          ibm_quantum.platform.backend_info: {name: ibm_nowhere}
          ignore_errors: true
        - name: wrong detail
          ibm_quantum.platform.backend_info: {details: [colour]}
          ignore_errors: true
        """
    ).succeeded()

    def names(task: str) -> list[str]:
        return sorted(row["name"] for row in run.one(task)["backends"])

    mine = {f"ibm_{seed.snapshot}": seed for seed in data.BACKENDS if seed.region == "us-east"}
    assert names("all") == sorted(mine)
    online = sorted(name for name, seed in mine.items() if seed.status == "online")
    assert names("operational") == online
    assert names("not operational") == sorted(set(mine) - set(online))
    assert names("simulators") == []
    assert {row["qubits"] >= 150 for row in run.one("large")["backends"]} == {True}
    # the shortest queue of all belongs to a paused backend
    assert names("least busy") == ["ibm_torino"]
    assert names("least busy of the large ones") == ["ibm_fez"]
    assert "'least_busy': none of the 5 backends fits and is online" in run.one("none is ready")["msg"]

    (details,) = run.one("details")["backends"]
    assert details["configuration"]["n_qubits"] == details["qubits"] == 156
    assert len(details["properties"]["qubits"]) == 156
    assert details["state"]["state"] is True
    assert details["status"]["name"] == "online"
    assert details["defaults"] is None
    assert "wait_time_seconds" in details
    assert "wait_time_seconds" not in run.one("all")["backends"][0]
    asked = {row["path"].rpartition("/")[2] for row in emulator.journal() if "calibration_id" in row["query"]}
    assert asked == {"configuration", "properties"}

    unknown = run.one("unknown")["msg"]
    assert unknown.startswith("'name': the instance has no backend 'ibm_nowhere', it has: ibm_fez, ibm_kingston")
    wrong = run.one("wrong detail")["msg"]
    assert "value of details must be one or more of: configuration, defaults, properties, status" in wrong


def test_regions_and_usage(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.settings(usage={data.INSTANCE_DE: 35990})
    run = controller.tasks(
        """
        - name: usage
          ibm_quantum.platform.usage_info:
        - name: open plan
          ibm_quantum.platform.usage_info: {instance: "{{ open }}"}
        - name: germany
          ibm_quantum.platform.usage_info: {instance: "{{ de }}", runtime_url: "{{ url }}/eu-de/api"}
        - name: with version and slash
          ibm_quantum.platform.usage_info: {instance: "{{ de }}", runtime_url: "{{ url }}/eu-de/api/v1/"}
        - name: backends of germany
          ibm_quantum.platform.backend_info:
            instance: "{{ de }}"
            runtime_url: "{{ url }}/eu-de/api"
            least_busy: true
        - name: wrong region
          ibm_quantum.platform.usage_info: {instance: "{{ de }}"}
          ignore_errors: true
        - name: no such instance
          ibm_quantum.platform.usage_info: {instance: "{{ unknown }}"}
          ignore_errors: true
        - name: not yours
          ibm_quantum.platform.usage_info: {instance: "{{ other }}"}
          ignore_errors: true
        - name: old version
          ibm_quantum.platform.api: {path: /v1/instance, api_version: "2020-01-01"}
          ignore_errors: true
        - name: later
          ibm_quantum.platform.usage_info: {instance: "", runtime_url: "{{ url }}/api"}
          environment: {QISKIT_IBM_INSTANCE: ""}
          ignore_errors: true
        """,
        variables={
            "de": data.INSTANCE_DE,
            "open": data.INSTANCE_OPEN,
            "unknown": data.UNKNOWN_INSTANCE,
            "other": data.OTHER_INSTANCE,
        },
    ).succeeded()
    usage = run.one("usage")["usage"]
    assert (usage["usage_consumed_seconds"], usage["usage_limit_seconds"]) == (1834, 10000)
    assert usage["usage_remaining_seconds"] == 10000 - 1834
    assert run.one("open plan")["usage"]["usage_remaining_seconds"] == 0
    assert run.one("open plan")["usage"]["usage_limit_reached"] is True
    for task in ("germany", "with version and slash"):
        assert run.one(task)["usage"]["usage_remaining_seconds"] == 10, task
    assert [row["name"] for row in run.one("backends of germany")["backends"]] == ["ibm_brussels"]
    for task in ("wrong region", "no such instance"):
        assert run.one(task)["error"]["code"] == "1279"
        assert "'runtime_url' is the one of the CRN's region" in run.one(task)["msg"]
    assert run.one("not yours")["error"]["code"] == "1200"
    assert "does not exist" in run.one("old version")["msg"]
    assert "'instance' is needed for the Runtime API" in run.one("later")["msg"]
