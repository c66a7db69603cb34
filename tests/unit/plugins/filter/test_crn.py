# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ibm_quantum.platform.plugins.filter.crn import FilterModule
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import ACCOUNT, API_KEY, CRN

parse_crn = FilterModule().filters()["parse_crn"]


def test_the_parts_by_name():
    assert parse_crn(CRN) == {
        "version": "v1",
        "cname": "bluemix",
        "ctype": "public",
        "service_name": "quantum-computing",
        "region": "us-east",
        "scope": f"a/{ACCOUNT}",
        "account_id": ACCOUNT,
        "service_instance": "11111111-2222-3333-4444-555555555555",
        "resource_type": "",
        "resource": "",
    }


@pytest.mark.parametrize(
    "value, text",
    [
        (API_KEY, "parse_crn: not a CRN"),
        ("crn:v1", "parse_crn: the CRN 'crn:v1' has 2 segments instead of 10"),
        (None, "parse_crn wants a CRN as text, not NoneType"),
        (["crn"], "parse_crn wants a CRN as text, not list"),
    ],
)
def test_what_is_no_crn(value, text):
    with pytest.raises(AnsibleFilterError) as caught:
        parse_crn(value)
    assert text in str(caught.value) and API_KEY not in str(caught.value)
