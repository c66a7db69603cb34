# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback quantum_usage: it counts what the emulator got, from every process of a run, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import Controller, Run

ENABLED = {"ANSIBLE_CALLBACKS_ENABLED": "recorder,ibm_quantum.platform.quantum_usage"}


def used(controller: Controller) -> dict[str, Any]:
    """The sums that the callback wrote."""
    sums: dict[str, Any] = json.loads((controller.folder / "usage.json").read_text())
    return sums


def env(controller: Controller) -> dict[str, str]:
    return {**ENABLED, "IBM_QUANTUM_USAGE_FILE": str(controller.folder / "usage.json")}


def received(emulator: EmulatorProcess) -> dict[str, int]:
    """What the emulator got, in the callback's words."""
    services = Counter(row["service"] for row in emulator.journal())
    token, runtime = services.pop("iam_token", 0), services.pop("runtime", 0)
    other = sum(services.values())
    return {"iam_token": token, "runtime": runtime, "other": other, "total": token + runtime + other}


def block(run: Run) -> list[str]:
    """The lines that the callback showed."""
    lines = run.stdout.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("IBM QUANTUM USAGE")]
    return lines[starts[-1] + 1 :] if starts else []


def leftovers(controller: Controller) -> list[Path]:
    return list(controller.temp.glob("ibm_quantum_tally_*"))


def test_it_counts_what_ibm_gets(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.fault(path="instances/usage", status=503, times=2)
    emulator.fault("lost_answer", method="GET", path="/v1/versions", times=1)
    emulator.fault("truncated", method="GET", path="/v1/backends", times=1)
    run = controller.run(
        """
        - name: Hosts that cannot be reached
          hosts: "{{ 'fleet' if lookup('ibm_quantum.platform.backend') else 'none' }}"  # in the main process
          gather_facts: false
          tasks:
            - name: usage
              ibm_quantum.platform.usage_info: {retries: 5}
            - name: loop
              ibm_quantum.platform.api: {path: /v1/versions}
              loop: [1, 2, 3]
            - name: hidden
              ibm_quantum.platform.iam_token:
              register: token
              no_log: true
            - name: not of Runtime
              ibm_quantum.platform.api: {path: "{{ url }}/v1/apikeys/details", headers: {IAM-ApiKey: "{{ key }}"}}
            - name: own exchange
              ibm_quantum.platform.iam_token: {token_cache: false}
            - name: lookup
              ansible.builtin.debug:
                msg: "{{ lookup('ibm_quantum.platform.backend', processor_family='Heron') }}"
            - name: hidden lookup
              ansible.builtin.debug:
                msg: "{{ lookup('ibm_quantum.platform.iam_token', token_cache=false) }}"
              no_log: true
            - name: as a module of this machine
              ibm_quantum.platform.usage_info: {run_on: target}
              delegate_to: runner
              run_once: true
            - name: refused
              ibm_quantum.platform.api: {path: /v1/jobs/nowhere, retries: 0}
              ignore_errors: true
            - name: nobody is there
              ibm_quantum.platform.usage_info: {runtime_url: "http://127.0.0.1:9/api", retries: 0}
              ignore_errors: true
            - name: nothing is sent
              ibm_quantum.platform.usage_info: {regoin: us-east}
              ignore_errors: true
            - name: the file
              ansible.builtin.debug:
                msg: "{{ lookup('ansible.builtin.file', lookup('ansible.builtin.env', 'IBM_QUANTUM_TALLY')) }}"
              run_once: true
        """,
        "--forks=4",
        hosts=6,
        variables={"key": data.OTHER_API_KEY},
        env=env(controller),
    ).succeeded()
    sums, got = used(controller), received(emulator)
    assert sums["calls"] == got
    # 1 shared; 6 tasks and 6 lookups of their own
    assert got["iam_token"] == 13 and got["other"] == 6
    # lookups of the main process come when Ansible wants them; hosts x (usage, loop, lookup, refused), faults, module
    assert got["runtime"] > 6 * (1 + 3 + 1 + 1) + 4 + 1
    assert block(run)[0] == (
        f"API calls : {got['total']} (IAM exchanges {got['iam_token']}, Runtime {got['runtime']}, "
        f"others {got['other']})"
    )
    assert not [line for line in block(run) if line.startswith(("jobs", "QPU"))]

    text = run.one("the file")["msg"]
    assert text.count("call") == got["total"]
    written = text + (controller.folder / "usage.json").read_text()
    assert not [secret for secret in (*emulator.secrets(), "http", "/v1") if secret in written]
    assert not leftovers(controller)


def test_a_playbook_that_fails_or_uses_nothing(controller: Controller, emulator: EmulatorProcess) -> None:
    usage = "- name: usage\n  ibm_quantum.platform.usage_info:\n"
    run = controller.tasks(f"{usage}- name: stop\n  ansible.builtin.fail:\n", env=env(controller)).failed()
    assert block(run)[0] == "API calls : 2 (IAM exchanges 1, Runtime 1, others 0)"
    assert used(controller)["calls"] == received(emulator)

    # an error that ends Ansible itself: no callback is told of it
    broken = """
        - hosts: fleet
          gather_facts: false
          tasks:
            - ibm_quantum.platform.usage_info:
        - hosts: "{{ nothing_of_this_name }}"
          tasks: []
        """
    run = controller.run(broken, env=env(controller))
    assert run.rc not in (0, 2), run.report
    assert block(run)[0] == "API calls : 1 (IAM exchanges 0, Runtime 1, others 0)"
    assert used(controller)["calls"]["total"] == 1

    run = controller.tasks("- name: nothing\n  ansible.builtin.debug:\n", env=env(controller)).succeeded()
    assert not block(run)
    assert used(controller)["calls"]["total"] == 0

    off = controller.tasks(usage).succeeded()
    assert not block(off)
    assert not leftovers(controller)
