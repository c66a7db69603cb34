# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader


def endpoints(*terms, **options):
    return lookup_loader.get("ibm_quantum.platform.endpoints").run(list(terms), {}, **options)


def test_the_default_is_ibms_list_of_us_east():
    found = endpoints()
    assert {row["region"] for row in found} == {None, "us-east"}
    assert {row["feature"] for row in found} == {"rest", "cloud", "storage"}
    assert found[0] == {
        "host": "iam.cloud.ibm.com",
        "port": 443,
        "protocol": "tcp",
        "region": None,
        "feature": "rest",
        "purpose": "IAM: API key to bearer token",
    }


@pytest.mark.parametrize(
    "options, hosts",
    [
        ({"regions": ["eu-de"], "features": ["rest"]}, ["iam.cloud.ibm.com", "eu-de.quantum.cloud.ibm.com"]),
        ({"features": ["functions"]}, ["qiskit-serverless.quantum.ibm.com"]),
        ({"features": "functions"}, ["qiskit-serverless.quantum.ibm.com"]),
        ({"features": []}, []),
    ],
)
def test_regions_and_features(options, hosts):
    assert [row["host"] for row in endpoints(**options)] == hosts


@pytest.mark.parametrize(
    "terms, options, text",
    [
        ([], {"regions": ["moon"]}, "regions|moon"),
        ([], {"features": ["all"]}, "features|all"),
        (["us-east"], {}, "the lookup endpoints takes options only, such as features=\\['rest'\\]"),
    ],
)
def test_bad_options(terms, options, text):
    with pytest.raises(AnsibleError, match=text):
        endpoints(*terms, **options)
