# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import tag_info
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, Module

OWN = ["ansible-job:nightly", "ansible-content:nightly", "ansible-session:nightly"]


def run(**options):
    return outcome(tag_info.run, Module(tag_info.ARGUMENT_SPEC, api_key=API_KEY, instance=CRN, **options))


@pytest.mark.parametrize("own, expected", [(False, ["nightly"]), (True, [*OWN, "nightly"])])
def test_tags(ibm, own, expected):
    ibm.exchange()
    ibm.runtime("GET", "/v1/tags", query={"type": "job", "search": "night"}, reply={"tags": [*OWN, "nightly"]})
    assert run(search="night", own=own, check_mode=own) == {"changed": False, "tags": expected}


def test_another_answer(ibm):
    ibm.exchange()
    ibm.runtime("GET", "/v1/tags", query={"type": "job", "search": "night"}, reply={})
    assert "the answer has no list of tags. Check 'runtime_url'" in run(search="night")["msg"]


@pytest.mark.parametrize("search", ["", "ab", "a" * 101])
def test_what_ibm_would_not_take(ibm, search):
    assert f"'search' must have 3 to 100 characters, not {len(search)}" in run(search=search)["msg"]
