# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader

from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, TOKEN, ibm_error

FEZ = {"name": "ibm_fez", "qubits": 156, "queue_length": 4, "status": {"name": "online"}}
FEZ["processor_type"] = {"family": "Heron", "revision": "2"}
KINGSTON = {**FEZ, "name": "ibm_kingston", "queue_length": 9}
TORINO = {**FEZ, "name": "ibm_torino", "qubits": 133, "queue_length": 0, "status": {"name": "paused"}}
SHERBROOKE = {**FEZ, "name": "ibm_sherbrooke", "qubits": 127, "queue_length": 1, "processor_type": {"family": "Eagle"}}


def backend(*terms, **options):
    given = {"api_key": API_KEY, "instance": CRN, **options}
    return lookup_loader.get("ibm_quantum.platform.backend").run(list(terms), {}, **given)


@pytest.fixture
def listed(ibm):
    ibm.exchange()
    ibm.runtime("GET", "/v1/backends", reply={"devices": [KINGSTON, FEZ, TORINO, SHERBROOKE]})


@pytest.mark.parametrize(
    "terms, options, name",
    [
        ([], {}, "ibm_sherbrooke"),
        ([], {"processor_family": "heron"}, "ibm_fez"),
        ([], {"min_qubits": "128"}, "ibm_fez"),
        ([], {"simulator": "false", "max_queue_length": 2}, "ibm_sherbrooke"),
        (["ibm_kingston", "ibm_fez"], {}, "ibm_fez"),
        ([["ibm_kingston", "ibm_torino"]], {}, "ibm_kingston"),
    ],
)
def test_a_choice(listed, terms, options, name):
    assert backend(*terms, **options) == [name]


def test_the_environment_counts(ibm, monkeypatch):
    monkeypatch.setenv("IQP_API_TOKEN", API_KEY)
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", CRN)
    ibm.exchange()
    ibm.runtime("GET", "/v1/backends", reply={"devices": [FEZ]})
    assert lookup_loader.get("ibm_quantum.platform.backend").run([], {}) == ["ibm_fez"]


@pytest.mark.parametrize(
    "terms, options, text",
    [
        (
            [],
            {"min_qubits": 500},
            "backend: none of the 4 backends fits and is online: min_qubits=500 rules out 4, status=online rules out "
            "1; relax min_qubits=500 for ibm_sherbrooke (Eagle, 127 qubits, queue of 1, online)",
        ),
        (["ibm_torino"], {}, "backend: none of the 1 backends fits and is online: "),
        (["ibm_fez", "ibm_lost"], {}, "backend: the instance has no backend 'ibm_lost', it has: ibm_fez, ibm_kingston"),
    ],
)
def test_no_choice(listed, terms, options, text):
    with pytest.raises(AnsibleError) as caught:
        backend(*terms, **options)
    assert text in str(caught.value)


def test_an_error_of_ibm_is_one_line(ibm):
    ibm.exchange()
    ibm.runtime("GET", "/v1/backends", status=404, reply=ibm_error(1279, "Instance not found."))
    with pytest.raises(AnsibleError, match="backend: GET .*/v1/backends: .*code 1279.*'instance'") as caught:
        backend()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"min_qubits": "many"}, "min_qubits"),
        ({"instance": None}, "backend: 'instance' is needed for the Runtime API"),
        ({"api_key": None}, "backend: no credential: set 'api_key'"),
        ({"timeout": 0}, "backend: 'timeout' must be 1 to 900 seconds"),
    ],
)
def test_bad_options(ibm, options, text):
    with pytest.raises(AnsibleError, match=text) as caught:
        backend(**options)
    assert API_KEY not in str(caught.value) and TOKEN not in str(caught.value)
