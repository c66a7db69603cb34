# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookups and filters in a playbook."""

from __future__ import annotations

import hashlib

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import Controller


def test_lookups_and_filters(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        """
        - name: token
          ibm_quantum.platform.iam_token:
        - name: same token
          ansible.builtin.debug:
            msg: "{{ lookup('ibm_quantum.platform.iam_token') | hash('sha256') }}"
        - name: other account
          ansible.builtin.debug:
            msg: "{{ lookup('ibm_quantum.platform.iam_token', api_key=other) | hash('sha256') }}"
        - name: wrong key
          ansible.builtin.debug:
            msg: "{{ lookup('ibm_quantum.platform.iam_token', api_key=unknown, retries=0) }}"
          ignore_errors: true
        - name: term
          ansible.builtin.debug:
            msg: "{{ lookup('ibm_quantum.platform.iam_token', 'a term') }}"
          ignore_errors: true
        - name: endpoints
          ansible.builtin.debug:
            msg: "{{ query('ibm_quantum.platform.endpoints') | map(attribute='host') }}"
        - name: endpoints of germany
          ansible.builtin.debug:
            msg: "{{ query('ibm_quantum.platform.endpoints', regions=['eu-de'], features=['rest']) }}"
        - name: wrong region
          ansible.builtin.debug:
            msg: "{{ query('ibm_quantum.platform.endpoints', regions=['mars']) }}"
          ignore_errors: true
        - name: crn
          ansible.builtin.debug:
            msg: "{{ crn | ibm_quantum.platform.parse_crn }}"
        - name: short crn
          ansible.builtin.debug:
            msg: "{{ 'crn:v1:bluemix' | ibm_quantum.platform.parse_crn }}"
          ignore_errors: true
        - name: not a text
          ansible.builtin.debug:
            msg: "{{ 42 | ibm_quantum.platform.parse_crn }}"
          ignore_errors: true
        """,
        variables={"crn": data.INSTANCE_DE, "other": data.OTHER_API_KEY, "unknown": data.UNKNOWN_API_KEY},
    ).succeeded()
    issued = [hashlib.sha256(token.encode()).hexdigest() for token in emulator.tokens()["tokens"]]
    assert [run.one("same token")["msg"], run.one("other account")["msg"]] == issued
    assert "BXNIM0415E" in run.one("wrong key")["msg"]
    assert "takes options only" in run.one("term")["msg"]
    assert data.UNKNOWN_API_KEY not in run.text

    hosts = run.one("endpoints")["msg"]
    assert hosts[:2] == ["iam.cloud.ibm.com", "quantum.cloud.ibm.com"]
    assert "eu-de.quantum.cloud.ibm.com" not in hosts
    assert run.one("endpoints of germany")["msg"][1] == {
        "host": "eu-de.quantum.cloud.ibm.com",
        "port": 443,
        "protocol": "tcp",
        "region": "eu-de",
        "feature": "rest",
        "purpose": "Runtime REST API, eu-de",
    }
    assert "mars" in run.one("wrong region")["msg"]
    crn = run.one("crn")["msg"]
    assert (crn["region"], crn["account_id"]) == ("eu-de", data.ACCOUNT_ID)
    assert crn["service_instance"] == data.INSTANCE_DE.split(":")[7]
    assert "has 3 segments instead of 10" in run.one("short crn")["msg"]
    assert "wants a CRN as text, not int" in run.one("not a text")["msg"]


def test_a_backend_is_chosen_alike_by_module_and_lookup(controller: Controller, emulator: EmulatorProcess) -> None:
    queues = {"ibm_fez": 3, "ibm_torino": 3, "ibm_kingston": 4}
    emulator.settings(backends={name: {"queue_length": queue} for name, queue in queues.items()})
    choices = [
        {},  # two with the same queue: the larger one
        {"min_qubits": 150, "processor_family": "heron"},
        {"max_queue_length": 4, "simulator": False},
        {"processor_family": "Nighthawk"},  # offline
        {"processor_family": "Condor", "min_qubits": 1000},
    ]
    run = controller.tasks(
        """
        - name: module
          ibm_quantum.platform.backend_info: "{{ {'least_busy': true} | combine(item) }}"
          loop: "{{ choices }}"
          ignore_errors: true
        - name: lookup
          ansible.builtin.debug:
            msg: "{{ lookup('ibm_quantum.platform.backend', **item) }}"
          loop: "{{ choices }}"
          ignore_errors: true
        - name: of these
          ansible.builtin.debug:
            msg: "{{ lookup('ibm_quantum.platform.backend', 'ibm_kingston', 'ibm_torino') }}"
        """,
        variables={"choices": choices},
    ).succeeded()
    by_module, by_lookup = run.items("module"), run.items("lookup")
    assert [item["backends"][0]["name"] for item in by_module[:3]] == ["ibm_fez"] * 3
    assert [item["msg"] for item in by_lookup[:3]] == ["ibm_fez"] * 3
    for module, lookup in zip(by_module[3:], by_lookup[3:]):
        text = module["msg"].partition("'least_busy': ")[2]
        assert text.startswith("none of the 5 backends fits and is online: ")
        assert f"backend: {text}" in lookup["msg"]
    assert "wait for ibm_miami (Nighthawk, 120 qubits, queue of 1, offline)" in by_lookup[3]["msg"]
    assert "relax several" in by_lookup[4]["msg"]
    assert run.one("of these")["msg"] == "ibm_torino"
