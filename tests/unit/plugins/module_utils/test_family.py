# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables the platform's settings come to."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._family import family
from ansible_collections.ibm_quantum.platform.plugins.modules.environment import ARGUMENT_SPEC

KEY = "a-key-of-44-characters"
CRN = f"crn:v1:bluemix:public:quantum-computing:us-east:a/{'0' * 32}:4567::"
NOTHING: dict[str, Any] = {name: option.get("default") for name, option in ARGUMENT_SPEC["platform"]["options"].items()}


def variables(**platform: Any) -> dict[str, tuple[str, bool]]:
    return {v.name: (v.value, v.secret) for v in family({**NOTHING, **platform})}


def test_the_key_has_both_names_and_is_secret() -> None:
    found = variables(api_key=f"{KEY}\n", instance=CRN)
    assert found["IQP_API_TOKEN"] == found["QISKIT_IBM_TOKEN"] == (KEY, True)
    assert found["QISKIT_IBM_INSTANCE"] == (CRN, False)
    assert found["QISKIT_IBM_CHANNEL"] == ("ibm_quantum_platform", False)
    assert len(found) == 4


def test_what_is_not_given_is_not_set() -> None:
    assert set(variables()) == {"QISKIT_IBM_CHANNEL"}


def test_urls_proxies_and_the_ca() -> None:
    found = variables(
        url="https://cloud.example/",
        iam_url="https://iam.example",
        proxy="http://proxy:3128",
        no_proxy=["localhost", "10.0.0.0/8"],
        ca_path="/etc/ca.pem",
    )
    assert found["QISKIT_IBM_URL"] == ("https://cloud.example", False)
    assert found["IAM_URL"] == ("https://iam.example", False)
    assert found["HTTPS_PROXY"] == found["https_proxy"] == ("http://proxy:3128", False)
    assert found["NO_PROXY"] == found["no_proxy"] == ("localhost,10.0.0.0/8", False)
    assert found["REQUESTS_CA_BUNDLE"] == ("/etc/ca.pem", False)


def test_a_proxy_with_a_user_is_secret() -> None:
    assert variables(proxy="http://user:password@proxy:3128")["HTTPS_PROXY"][1]


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ({"api_key": "eyJhbGciOi.eyJhbGciOi.xxx"}, "is a bearer token"),
        ({"instance": KEY}, "platform.instance: not a CRN"),
        ({"url": f"cloud/{KEY}"}, "platform.url must be a URL"),
        ({"proxy": f"{KEY}:3128"}, "platform.proxy must be a URL"),
        ({"ca_path": "ca.pem"}, "platform.ca_path must be an absolute path"),
    ],
)
def test_what_cannot_be_right(platform: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as error:
        variables(**platform)
    assert words in str(error.value) and KEY not in str(error.value)
