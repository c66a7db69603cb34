# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _endpoints
from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import UnknownEndpoint, endpoints

GLOBAL = {
    *("iam.cloud.ibm.com", "cloud.ibm.com", "api.global-search-tagging.cloud.ibm.com"),
    *("globalcatalog.cloud.ibm.com", "resource-controller.cloud.ibm.com"),
}


def hosts(*arguments):
    return {endpoint.host for endpoint in endpoints(*arguments)}


def test_the_default_is_ibms_list_of_us_east():
    assert hosts() == GLOBAL | {"quantum.cloud.ibm.com", "s3.us-east.cloud-object-storage.appdomain.cloud"}


@pytest.mark.parametrize(
    "regions, features, expected",
    [
        (["us-east"], ["rest"], {"iam.cloud.ibm.com", "quantum.cloud.ibm.com"}),
        (["eu-de"], ["rest"], {"iam.cloud.ibm.com", "eu-de.quantum.cloud.ibm.com"}),
        (["eu-de"], ["storage"], {"s3.direct.eu-de.cloud-object-storage.appdomain.cloud"}),
        (["us-east", "eu-de"], ["storage_public"], {"s3.eu-de.cloud-object-storage.appdomain.cloud"}),
        (["us-east"], ["storage_public"], set()),
        ([], ["functions"], {"qiskit-serverless.quantum.ibm.com"}),
        (["eu-de"], ["private"], {"private.iam.cloud.ibm.com", "private.eu-de.quantum.cloud.ibm.com"}),
        (["us-east"], [], set()),
    ],
)
def test_regions_and_features(regions, features, expected):
    assert hosts(regions, features) == expected


def test_every_feature_and_region_is_used_and_hosts_are_unique():
    assert {endpoint.feature for endpoint in _endpoints.CATALOGUE} == set(_endpoints.FEATURES)
    assert {endpoint.region for endpoint in _endpoints.CATALOGUE} == {None, *_endpoints.REGIONS}
    assert len({endpoint.host for endpoint in _endpoints.CATALOGUE}) == len(_endpoints.CATALOGUE)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((["us-south"],), "unknown region 'us-south': IBM Quantum has us-east, eu-de"),
        ((["us-east"], ["everything"]), "unknown feature 'everything': choose from rest, cloud"),
    ],
)
def test_unknown_names_are_refused(arguments, text):
    with pytest.raises(UnknownEndpoint, match=text):
        endpoints(*arguments)


@pytest.mark.parametrize(
    "region, private, url",
    [
        ("us-east", False, "https://quantum.cloud.ibm.com/api"),
        ("eu-de", False, "https://eu-de.quantum.cloud.ibm.com/api"),
        ("us-east", True, "https://private.us-east.quantum.cloud.ibm.com/api"),
        ("eu-de", True, "https://private.eu-de.quantum.cloud.ibm.com/api"),
    ],
)
def test_runtime_url_and_back(region, private, url):
    assert _endpoints.runtime_url(region, private) == url
    assert _endpoints.runtime_region(url) == region


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8765/api", "https://iam.cloud.ibm.com", "https://cloud.ibm.com/quantum.cloud.ibm.com"]
)
def test_other_urls_have_no_region(url):
    assert _endpoints.runtime_region(url) is None


@pytest.mark.parametrize(
    "host, known",
    [
        ("iam.cloud.ibm.com", True),
        ("evil-iam.cloud.ibm.com", False),
        ("iam.cloud.ibm.com.evil.test", False),
        (None, False),
    ],
)
def test_ibm_hosts(host, known):
    assert _endpoints.is_ibm_host(host) is known
