# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The family of variables that IBM's software and its users read, set as one. Standard library only.

Sources: IBM's guide "Set up to use IBM Quantum Platform with REST API" (``IQP_API_TOKEN``); qiskit-ibm-runtime,
accounts/management.py and api/auth.py (``QISKIT_IBM_*``, ``IAM_URL``); requests (proxies, ``REQUESTS_CA_BUNDLE``).

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
from typing import Any, Mapping
from urllib.parse import urlsplit

from ansible_collections.ibm_quantum.platform.plugins.module_utils._crn import InvalidCrn, parse_instance
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import Variable
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError

#: The API key: programs after IBM's guide read the first, IBM's clients the second.
KEY_VARIABLES = ("IQP_API_TOKEN", "QISKIT_IBM_TOKEN")

CHANNELS = ("ibm_quantum_platform", "ibm_cloud")


def family(platform: Mapping[str, Any]) -> list[Variable]:
    """The variables that the option ``platform`` comes to. Raises :class:`OptionError`."""
    variables = []
    if platform["api_key"] is not None:
        key = platform["api_key"].strip()
        if key.startswith("eyJ"):
            raise OptionError(
                "platform.api_key is a bearer token, which lives an hour at most: give the API key it was made from, "
                "or set up the role bearer_token for a host that is to have no key"
            )
        variables += [Variable(name, key, True) for name in KEY_VARIABLES]
    if platform["instance"] is not None:
        try:
            parse_instance(platform["instance"])
        except InvalidCrn as error:
            raise OptionError(f"platform.instance: {error}") from None
        variables.append(Variable("QISKIT_IBM_INSTANCE", platform["instance"].strip()))
    variables.append(Variable("QISKIT_IBM_CHANNEL", platform["channel"]))
    for option, name in (("url", "QISKIT_IBM_URL"), ("iam_url", "IAM_URL")):
        if platform[option] is not None:
            variables.append(Variable(name, _url(option, platform[option]).rstrip("/")))
    if platform["proxy"] is not None:
        proxy = _url("proxy", platform["proxy"])
        secret = "@" in urlsplit(proxy).netloc  # a user, and so a password
        variables += [Variable(name, proxy, secret) for name in ("HTTPS_PROXY", "https_proxy")]
    if platform["no_proxy"]:
        names = ",".join(platform["no_proxy"])
        variables += [Variable(name, names) for name in ("NO_PROXY", "no_proxy")]
    if platform["ca_path"] is not None:
        if not os.path.isabs(platform["ca_path"]):
            raise OptionError(f"platform.ca_path must be an absolute path of the host, not {platform['ca_path']!r}")
        variables.append(Variable("REQUESTS_CA_BUNDLE", platform["ca_path"]))
    return variables


def _url(option: str, value: str) -> str:
    """A URL with a scheme and a host; the text of the error does not repeat it, as it may hold a password."""
    value = value.strip()
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https", "socks5", "socks5h") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise OptionError(f"platform.{option} must be a URL such as https://HOST or http://HOST:3128")
    return value
