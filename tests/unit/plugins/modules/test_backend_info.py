# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import backend_info
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, Module, ibm_error

FEZ = {"name": "ibm_fez", "qubits": 156, "queue_length": 4, "status": {"name": "online", "reason": "available"}}
FEZ["processor_type"] = {"family": "Heron", "revision": "2"}
TORINO = {"name": "ibm_torino", "qubits": 133, "queue_length": 0, "status": {"name": "paused", "reason": "calibrating"}}
MANILA = {"name": "fake_manila", "qubits": 5, "queue_length": 9, "status": {"name": "online"}, "is_simulator": True}


def run(**options):
    return outcome(backend_info.run, Module(backend_info.ARGUMENT_SPEC, api_key=API_KEY, instance=CRN, **options))


@pytest.fixture
def listed(ibm):
    def expect(*rows, query=None):
        ibm.exchange()
        ibm.runtime("GET", "/v1/backends", query=query, reply={"devices": list(rows)})

    return expect


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [FEZ, TORINO, MANILA]),
        ({"name": "ibm_torino"}, [TORINO]),
        ({"operational": True}, [FEZ, MANILA]),
        ({"operational": False}, [TORINO]),
        ({"simulator": False}, [FEZ, TORINO]),
        ({"min_qubits": 100}, [FEZ, TORINO]),
        ({"processor_family": "heron"}, [FEZ]),
        ({"processor_family": "Condor"}, []),
        ({"max_queue_length": 4}, [FEZ, TORINO]),
        ({"least_busy": True, "processor_family": "Heron", "max_queue_length": 4}, [FEZ]),
        ({"least_busy": True}, [FEZ]),
        ({"check_mode": True}, [FEZ, TORINO, MANILA]),
    ],
)
def test_filters(listed, options, expected):
    listed(FEZ, TORINO, MANILA)
    assert run(**options) == {"changed": False, "backends": expected}


def test_fields(listed):
    listed({**FEZ, "wait_time_seconds": 60}, query={"fields": "wait_time_seconds"})
    assert run(fields=["wait_time_seconds"])["backends"][0]["wait_time_seconds"] == 60


def test_details(ibm, listed):
    listed(FEZ, MANILA)
    calibration = {"calibration_id": "c1"}
    for path, query, answer in [
        ("ibm_fez/configuration", calibration, {"reply": {"n_qubits": 156}}),
        ("ibm_fez/defaults", {}, {"status": 404, "reply": ibm_error(1011, "none")}),
        ("ibm_fez/properties", calibration, {"reply": {"qubits": []}}),
        ("ibm_fez/status", {}, {"reply": {"state": True, "status": "active"}}),
    ]:
        ibm.runtime("GET", f"/v1/backends/{path}", query=query, **answer)
    details = ["configuration", "defaults", "properties", "status"]
    assert run(name="ibm_fez", details=details, calibration_id="c1")["backends"] == [
        {
            **FEZ,
            "configuration": {"n_qubits": 156},
            "defaults": None,
            "properties": {"qubits": []},
            "state": {"state": True, "status": "active"},
        }
    ]


@pytest.mark.parametrize(
    "options, text",
    [
        ({"name": "ibm_nowhere"}, "'name': the instance has no backend 'ibm_nowhere', it has: ibm_fez, ibm_torino"),
        ({"least_busy": True, "min_qubits": 500}, "'least_busy': none of the 2 backends fits and is online"),
        (
            {"least_busy": True, "max_queue_length": 3},
            "relax max_queue_length=3 for ibm_fez (Heron, 156 qubits, queue of 4",
        ),
    ],
)
def test_no_such_backend(listed, options, text):
    listed(FEZ, TORINO)
    result = run(**options)
    assert result["failed"] and text in result["msg"]


def test_a_crn_on_another_regions_host(ibm):
    ibm.exchange()
    ibm.runtime("GET", "/v1/backends", status=404, reply=ibm_error(1279, f"Instance {CRN} not found"))
    result = run()
    assert result["failed"] and "the instance is not known on this host: check 'instance'" in result["msg"].lower()
