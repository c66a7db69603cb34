# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The options that all API modules share, and the settings that they come to.

The doc fragment ``api`` describes the same options; a unit test keeps the two in agreement.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any, Mapping, NamedTuple
from urllib.parse import urlsplit

from ansible.module_utils.basic import env_fallback

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _endpoints
from ansible_collections.ibm_quantum.platform.plugins.module_utils._crn import Crn, InvalidCrn, parse_instance
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError

API_KEY_VARIABLES = ("IQP_API_TOKEN", "QISKIT_IBM_TOKEN", "IBMCLOUD_API_KEY")
API_VERSION = "2026-04-15"

#: What modules and lookups share.
CONNECTION_SPEC: dict[str, dict[str, Any]] = {
    "api_key": {"type": "str", "no_log": True, "fallback": (env_fallback, list(API_KEY_VARIABLES))},
    "bearer_token": {"type": "str", "no_log": True},
    "trusted_profile": {"type": "str"},
    "cr_token_file": {"type": "path", "no_log": False},
    "instance": {"type": "str", "fallback": (env_fallback, ["QISKIT_IBM_INSTANCE"])},
    "runtime_url": {"type": "str", "fallback": (env_fallback, ["IBM_QUANTUM_RUNTIME_URL"])},
    "iam_url": {"type": "str", "fallback": (env_fallback, ["IAM_URL"])},
    "api_version": {"type": "str", "default": API_VERSION},
    "private_endpoint": {"type": "bool", "default": False},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "proxy": {"type": "str", "no_log": True},
    "timeout": {"type": "int", "default": 60},
    "retries": {"type": "int", "default": 4},
    "token_cache": {"type": "bool", "default": True, "no_log": False},
}

#: What only modules have: where the call is made from.
_MODULE_SPEC: dict[str, dict[str, Any]] = {
    "run_on": {"type": "str", "choices": ["controller", "target"], "default": "controller"},
}


def argument_spec(**own: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A module's whole argument spec: its own options and the shared ones."""
    return {**CONNECTION_SPEC, **_MODULE_SPEC, **own}


class Settings(NamedTuple):
    """What the shared options come to, checked. URLs have no slash at the end and no version."""

    iam_url: str
    runtime_url: str | None
    instance: Crn | None
    api_version: str
    verify: bool | str
    proxy: str
    timeout: int
    retries: int
    token_cache: bool


def settings(params: Mapping[str, Any]) -> Settings:
    """Check the shared options of a task. Raises :class:`OptionError` before anything is sent."""
    crn = _instance(params["instance"])
    return Settings(
        iam_url=_iam_url(params),
        runtime_url=_runtime_url(params, crn),
        instance=crn,
        api_version=_api_version(params["api_version"]),
        verify=_verify(params),
        proxy=_proxy(params["proxy"]),
        timeout=between(params, "timeout", 1, 900, "seconds"),
        retries=between(params, "retries", 0, 10, "repetitions"),
        token_cache=params["token_cache"],
    )


def credential(params: Mapping[str, Any]) -> tuple[str, str]:
    """Which credential option counts, and its value: the most specific one that was given.

    An API key of the environment gives way to the other two; one written in the task beside them is refused.
    """
    exported = [os.environ[name] for name in API_KEY_VARIABLES if os.environ.get(name)]
    if params["api_key"] == "" and exported:  # a variable set to nothing gives way to the next
        params = {**params, "api_key": exported[0]}
    given = [name for name in ("bearer_token", "trusted_profile", "api_key") if params[name]]
    if "api_key" in given[1:] and params["api_key"] in exported:
        given.remove("api_key")
    if len(given) > 1:
        raise OptionError(f"give one of {_quoted(given)}, not several: they may belong to different identities")
    if not given:
        raise OptionError("no credential: set 'api_key' (or export IQP_API_TOKEN), 'trusted_profile' or 'bearer_token'")
    return given[0], params[given[0]]


def base_url(option: str, value: str) -> str:
    """A URL to put paths behind. Plain http is for this machine only: a credential would cross a network in clear."""
    value = value.strip()
    try:
        parts = urlsplit(value)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:  # a port that is no number, an address that does not end
        host = None
    if not host or parts.scheme not in ("https", "http"):
        raise OptionError(f"{option!r} must be a URL such as https://HOST, not {value.split('@')[-1]!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise OptionError(f"{option!r} must be a URL without user, query and fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise OptionError(f"{option!r} must use https: over http to {host} the credential could be read on its way")
    return value.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _instance(value: str | None) -> Crn | None:
    if not value:
        return None
    try:
        return parse_instance(value)
    except InvalidCrn as exc:
        raise OptionError(f"'instance': {exc}") from None


def _iam_url(params: Mapping[str, Any]) -> str:
    if params["iam_url"]:
        url = base_url("iam_url", params["iam_url"])
        return url[: -len("/identity/token")] if url.endswith("/identity/token") else url
    return _endpoints.PRIVATE_IAM_URL if params["private_endpoint"] else _endpoints.IAM_URL


def _runtime_url(params: Mapping[str, Any], crn: Crn | None) -> str | None:
    if not params["runtime_url"]:
        return _endpoints.runtime_url(crn.region, params["private_endpoint"]) if crn else None
    url = base_url("runtime_url", params["runtime_url"])
    url = url[: -len("/v1")] if url.endswith("/v1") else url
    region = _endpoints.runtime_region(url)
    if crn and region and region != crn.region:
        raise OptionError(
            f"'runtime_url' is the host of {region}, but 'instance' lives in {crn.region}: leave 'runtime_url' out, "
            f"or set it to {_endpoints.runtime_url(crn.region)}"
        )
    if region and not urlsplit(url).path:
        raise OptionError(f"'runtime_url' lacks its path: set it to {url}/api")
    return url


def _api_version(value: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise OptionError(f"'api_version' must be a date such as {API_VERSION}, not {value!r}")
    return value


def _verify(params: Mapping[str, Any]) -> bool | str:
    if not params["ca_path"]:
        return bool(params["validate_certs"])
    if not params["validate_certs"]:
        raise OptionError("'ca_path' has no use with 'validate_certs: false': leave one of them out")
    if not os.path.exists(params["ca_path"]):
        raise OptionError(f"'ca_path': {params['ca_path']} does not exist")
    return str(params["ca_path"])


def _proxy(value: str | None) -> str:
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https", "socks5", "socks5h") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise OptionError("'proxy' must be a URL such as http://host:3128 or http://user:password@host:3128")
    return value


def between(params: Mapping[str, Any], option: str, least: int, most: int, unit: str) -> int:
    """A number of a task within its bounds. Raises OptionError."""
    if not least <= params[option] <= most:
        raise OptionError(f"{option!r} must be {least} to {most} {unit}, not {params[option]}")
    return int(params[option])


def _quoted(names: list[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
