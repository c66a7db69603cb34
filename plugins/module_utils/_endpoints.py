# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The catalogue of IBM Quantum Platform endpoints, as data. Standard library only: hosts import it too.

Source: IBM's guide "Set up your organisation" (quickstart-steps-org, section "Configure your firewall"); the guides
"Virtual private endpoints" and "Cloud Object Storage endpoints" for the private and the public storage names. IBM
publishes bare host names, every documented URL is https, hence port 443; IBM publishes no address ranges.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Iterable, NamedTuple
from urllib.parse import urlsplit

#: Regions with quantum computers, the default one first.
REGIONS = ("us-east", "eu-de")

#: What a host may want to do, from the least to the most; the key is what options call a feature.
FEATURES: dict[str, str] = {
    "rest": "Token exchange and the Runtime REST API; enough for a host that knows its instance's CRN.",
    "cloud": "Finding instances by name, with IBM Cloud, Global Search, Global Catalog and Resource Controller.",
    "storage": "IBM Cloud Object Storage as IBM lists it; for eu-de that is the name for hosts inside an IBM VPC.",
    "storage_public": "The public object storage name of eu-de, for hosts outside IBM Cloud.",
    "functions": "Qiskit Functions (preview).",
    "private": "The private endpoints, for hosts in an IBM Cloud VPC.",
}

#: IBM's firewall list without the preview and the private names.
DEFAULT_FEATURES = ("rest", "cloud", "storage")

#: The options that choose from the catalogue, as an argument spec; documented in plugins/doc_fragments/endpoints.py.
CATALOGUE_SPEC: dict[str, Any] = {
    "regions": {"type": "list", "elements": "str", "choices": list(REGIONS), "default": list(REGIONS[:1])},
    "features": {"type": "list", "elements": "str", "choices": list(FEATURES), "default": list(DEFAULT_FEATURES)},
}


class Endpoint(NamedTuple):
    """One host name to reach. ``region`` is None where the name serves all regions."""

    host: str
    feature: str
    region: str | None
    purpose: str
    probe: str = "/"  # a path that answers without credentials
    port: int = 443
    protocol: str = "tcp"


CATALOGUE = (
    Endpoint("iam.cloud.ibm.com", "rest", None, "IAM: API key to bearer token", "/identity/keys"),
    Endpoint("quantum.cloud.ibm.com", "rest", "us-east", "Runtime REST API, us-east", "/api/v1/versions"),
    Endpoint("eu-de.quantum.cloud.ibm.com", "rest", "eu-de", "Runtime REST API, eu-de", "/api/v1/versions"),
    Endpoint("cloud.ibm.com", "cloud", None, "IBM Cloud console"),
    Endpoint("api.global-search-tagging.cloud.ibm.com", "cloud", None, "Global Search: list instances"),
    Endpoint("globalcatalog.cloud.ibm.com", "cloud", None, "Global Catalog: plans"),
    Endpoint("resource-controller.cloud.ibm.com", "cloud", None, "Resource Controller: instances"),
    Endpoint("s3.us-east.cloud-object-storage.appdomain.cloud", "storage", "us-east", "object storage, us-east"),
    Endpoint("s3.direct.eu-de.cloud-object-storage.appdomain.cloud", "storage", "eu-de", "object storage, eu-de (VPC)"),
    Endpoint(
        "s3.eu-de.cloud-object-storage.appdomain.cloud", "storage_public", "eu-de", "object storage, eu-de (public)"
    ),
    Endpoint("qiskit-serverless.quantum.ibm.com", "functions", None, "Qiskit Functions"),
    Endpoint("private.iam.cloud.ibm.com", "private", None, "IAM, private endpoint", "/identity/keys"),
    Endpoint(
        "private.us-east.quantum.cloud.ibm.com", "private", "us-east", "Runtime, private, us-east", "/api/v1/versions"
    ),
    Endpoint("private.eu-de.quantum.cloud.ibm.com", "private", "eu-de", "Runtime, private, eu-de", "/api/v1/versions"),
)

IAM_URL = "https://iam.cloud.ibm.com"
PRIVATE_IAM_URL = "https://private.iam.cloud.ibm.com"


class UnknownEndpoint(ValueError):
    """A region or feature that the catalogue does not have; the text names the known ones."""


def endpoints(regions: Iterable[str] = REGIONS[:1], features: Iterable[str] = DEFAULT_FEATURES) -> list[Endpoint]:
    """The endpoints of some regions and features, in the catalogue's order. Raises :class:`UnknownEndpoint`."""
    regions, features = list(regions), list(features)
    for region in regions:
        if region not in REGIONS:
            raise UnknownEndpoint("unknown region {!r}: IBM Quantum has {}".format(region, ", ".join(REGIONS)))
    for feature in features:
        if feature not in FEATURES:
            raise UnknownEndpoint("unknown feature {!r}: choose from {}".format(feature, ", ".join(FEATURES)))
    return [e for e in CATALOGUE if e.feature in features and (e.region is None or e.region in regions)]


def runtime_url(region: str, private: bool = False) -> str:
    """The base URL of the Runtime API of a region, without the version: ``https://HOST/api``."""
    feature = "private" if private else "rest"
    for endpoint in endpoints([region], [feature]):
        if endpoint.region == region:
            return f"https://{endpoint.host}/api"
    raise UnknownEndpoint(f"no Runtime endpoint for region {region!r}")


def runtime_region(url: str) -> str | None:
    """The region that one of IBM's Runtime URLs serves; None for any other URL."""
    host = urlsplit(url).hostname
    for endpoint in CATALOGUE:
        if endpoint.host == host and endpoint.feature in ("rest", "private"):
            return endpoint.region
    return None


def is_ibm_host(host: str | None) -> bool:
    """Whether the catalogue has this host."""
    return any(endpoint.host == host for endpoint in CATALOGUE)
