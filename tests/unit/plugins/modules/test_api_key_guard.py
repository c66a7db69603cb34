# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import api_key_guard
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import ACCOUNT, API_KEY, Module

KEYS = "https://iam.cloud.ibm.com/v1/apikeys"


@pytest.fixture
def guards(monkeypatch):
    """What would be done later, instead of a process that does it."""
    found: list[tuple] = []
    monkeypatch.setattr(api_key_guard, "at_end_of", lambda *args: found.append(args))
    return found


def run(**options):
    module = Module(api_key_guard.ARGUMENT_SPEC, **{"api_key": API_KEY, "names": ["once: h1", "once: h2"], **options})
    return outcome(api_key_guard.run, module)


def test_the_keys_of_the_names_go_and_no_others(ibm, guards):
    ibm.exchange()
    assert run() == {"changed": False, "names": ["once: h1", "once: h2"]}
    ((pid, seconds, work),) = guards
    assert (pid, seconds) == (os.getppid(), 3600)
    rows = [("1", "once: h1"), ("2", "mine"), ("3", "once: h2"), ("4", "once: h1")]
    query = {"pagesize": 100, "iam_id": "IBMid-270007GGGG", "account_id": ACCOUNT}
    ibm.expect("GET", KEYS, query=query, reply={"apikeys": [{"id": number, "name": name} for number, name in rows]})
    ibm.expect("DELETE", f"{KEYS}/1", status=204)
    ibm.expect("DELETE", f"{KEYS}/3", status=409, reply={"errors": [{"code": "BXNIM0439E", "message": "locked"}]})
    ibm.expect("GET", f"{KEYS}/3", reply={"id": "3", "name": "once: h2"})
    ibm.expect("DELETE", f"{KEYS}/4", status=204)
    work()


def test_check_mode_starts_nothing(ibm, guards):
    ibm.exchange()
    assert not run(check_mode=True).get("failed")
    assert guards == []


def test_a_controller_that_is_full(ibm, monkeypatch):
    def full(*_args):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(api_key_guard, "at_end_of", full)
    ibm.exchange()
    assert "no process could be started" in run()["msg"]


@pytest.mark.parametrize("seconds", [59, 86401])
def test_limits(ibm, guards, seconds):
    result = run(expires_in=seconds)
    assert result["failed"] and "'expires_in' must be 60 to 86400 seconds" in result["msg"]
    assert guards == []


def test_elsewhere_it_says_so(ibm):
    module = Module(api_key_guard.ARGUMENT_SPEC, api_key=API_KEY, names=["x"])
    assert "neither 'run_on', 'async' nor 'delegate_to'" in outcome(api_key_guard._elsewhere, module)["msg"]
