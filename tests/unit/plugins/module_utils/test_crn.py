# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._crn import InvalidCrn, parse, parse_instance
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import ACCOUNT, API_KEY, CRN


def test_the_parts_of_an_instance():
    crn = parse_instance(f"  {CRN}\n")
    assert str(crn) == CRN
    assert crn == (
        *("v1", "bluemix", "public", "quantum-computing", "us-east"),
        *(f"a/{ACCOUNT}", "11111111-2222-3333-4444-555555555555", "", ""),
    )
    assert crn.account_id == ACCOUNT


@pytest.mark.parametrize(
    "text, account, resource",
    [
        ("crn:v1:bluemix:public:iam::::serviceRole:Manager", "", "Manager"),
        ("crn:v1:bluemix:public:cloudantnosqldb:us-south:s/space:guid:db:a:b", "", "a:b"),
        (f"crn:v1:bluemix:public:iam-identity::a/{ACCOUNT}::profile:Profile-1", ACCOUNT, "Profile-1"),
    ],
)
def test_any_crn(text, account, resource):
    crn = parse(text)
    assert (crn.account_id, crn.resource, str(crn)) == (account, resource, text)


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "not a CRN"),
        ("my-instance", "not a CRN"),
        (CRN[:-2], "has 8 segments instead of 10"),
        (CRN[:-1], "with the two colons at the end"),
        (CRN.replace("quantum-computing", "cloudantnosqldb"), "the service 'cloudantnosqldb', not of"),
        (CRN.replace("us-east", "us-south"), "region 'us-south' is unknown: IBM Quantum has us-east, eu-de"),
        (CRN.replace("us-east", ""), "region '' is unknown"),
        (CRN.replace(f"a/{ACCOUNT}", ""), "names no account"),
        (CRN.replace("11111111-2222-3333-4444-555555555555", ""), "names no instance"),
    ],
)
def test_no_instance(text, why):
    with pytest.raises(InvalidCrn, match=why):
        parse_instance(text)


def test_what_is_no_crn_is_not_repeated():
    with pytest.raises(InvalidCrn) as caught:
        parse_instance(API_KEY)
    assert API_KEY not in str(caught.value)
