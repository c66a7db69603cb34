# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.module_utils._session_names import Entry, Names
from ansible_collections.ibm_quantum.platform.plugins.modules import session_info
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.sessions import (
    CLOSED,
    ID,
    NAME,
    OTHER_ID,
    THIRD_ID,
    jobs,
    read,
    session,
    tagged,
)
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, RUNTIME, Module


def run(**options):
    return outcome(session_info.run, Module(session_info.ARGUMENT_SPEC, api_key=API_KEY, instance=CRN, **options))


@pytest.fixture(autouse=True)
def _no_state(monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


def test_by_ids(ibm):
    ibm.exchange()
    read(ibm, session())
    read(ibm, session(OTHER_ID, **CLOSED))
    result = run(ids=[ID, OTHER_ID], check_mode=True)
    assert result == {"changed": False, "sessions": [session(), session(OTHER_ID, **CLOSED)]}


def test_one_that_is_not_there(ibm):
    ibm.exchange()
    read(ibm, session())
    read(ibm, None, OTHER_ID)
    assert f"the instance has no session {OTHER_ID}: check the ID" in run(ids=[ID, OTHER_ID])["msg"]
    read(ibm, None, OTHER_ID)
    read(ibm, session())
    assert run(ids=[OTHER_ID, ID], missing="skip")["sessions"] == [session()]


def test_with_jobs(ibm):
    ibm.exchange()
    read(ibm, session())
    jobs(ibm, "job-2", "job-1")
    assert [job["id"] for job in run(ids=[ID], jobs=True)["sessions"][0]["jobs"]] == ["job-2", "job-1"]


def test_by_name(ibm):
    ibm.exchange()
    Names(RUNTIME, CRN, NAME).write(Entry(ID))
    read(ibm, session())
    read(ibm, session())
    assert run(name=NAME, ids=[ID])["sessions"] == [{**session(), "name": NAME}]


def test_the_last_one_of_a_name(ibm):
    ibm.exchange()
    tagged(ibm, OTHER_ID, THIRD_ID)
    read(ibm, session(OTHER_ID, **CLOSED))
    read(ibm, None, THIRD_ID)
    assert run(name=NAME)["sessions"] == [{**session(OTHER_ID, **CLOSED), "name": NAME}]


@pytest.mark.parametrize("missing", ["error", "skip"])
def test_a_name_that_is_not_known(ibm, missing):
    ibm.exchange()
    tagged(ibm)
    result = run(name=NAME, missing=missing)
    if missing == "skip":
        assert result["sessions"] == []
    else:
        assert "'name': no session 'nightly' is known here" in result["msg"]


@pytest.mark.parametrize(
    "options, text", [({"ids": [ID, " "]}, "'ids' has an empty one"), ({"name": ""}, "'name' must have 1 to 70")]
)
def test_what_cannot_be(ibm, options, text):
    assert text in run(**options)["msg"]


def test_one_of_them_is_required():
    assert session_info.CONSTRAINTS == {"required_one_of": [("ids", "name")]}
