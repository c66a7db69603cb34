# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is expected of endpoints, and whether they are so. Standard library only: hosts import it.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import endpoints
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_environment import host_environment
from ansible_collections.ibm_quantum.platform.plugins.module_utils._probe import (
    Proxy,
    environment_proxy,
    kept_out,
    parse_proxy,
    probe,
    probe_all,
    trust,
)

#: What an endpoint may be expected to be.
EXPECT = ("reachable", "blocked")

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?\Z|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\Z")
_PATH = re.compile(r"/[!-~]*\Z")


class Wish(NamedTuple):
    """An endpoint and what is expected of it."""

    host: str
    port: int
    tls: bool
    path: str
    expect: str
    purpose: str


def wishes(params: dict[str, Any]) -> list[Wish]:
    """The endpoints to probe, IBM's first. Raises :class:`OptionError`."""
    found = [
        Wish(e.host, e.port, True, e.probe, params["expect"], e.purpose)
        for e in endpoints(params["regions"], params["features"])
    ]
    for index, row in enumerate(params["endpoints"]):
        place = f"endpoints[{index}]"
        if not _HOST.match(row["host"]):
            raise OptionError(
                f"{place}.host {row['host']!r} must be a host name or an address, without scheme and port"
            )
        if not 1 <= row["port"] <= 65535:
            raise OptionError(f"{place}.port must be 1 to 65535, not {row['port']}")
        if not _PATH.match(row["path"]):
            raise OptionError(
                f"{place}.path {row['path']!r} must begin with / and have no spaces; percent-encode the rest"
            )
        expect = row["expect"] or params["expect"]
        found.append(Wish(row["host"], row["port"], row["tls"], row["path"], expect, ""))
    if not found:
        raise OptionError("nothing to check: give features or endpoints")
    return found


def proxy_for(wish: Wish, option: str | None, environment: dict[str, str]) -> Proxy | None:
    """The proxy to go through. Raises :class:`OptionError`, without the URL, in which a password may be."""
    try:
        if option is None:
            return environment_proxy(wish.host, wish.port, wish.tls, environment)
        return parse_proxy(option) if option else None
    except ValueError as error:
        where = "HTTPS_PROXY or HTTP_PROXY of the environment" if option is None else "proxy"
        raise OptionError(f"{where} {error}") from None


def judged(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Probe what the module's parameters ask for, all at once.

    Returns the rows of ``_probe.probe``, each with ``expect``, ``purpose`` and ``ok``: whether the endpoint is as
    expected. Raises :class:`OptionError`.
    """
    if not 1 <= params["timeout"] <= 60:
        raise OptionError(f"timeout must be 1 to 60 seconds, not {params['timeout']}")
    todo, environment = wishes(params), host_environment()
    proxies = [proxy_for(wish, params["proxy"], environment) for wish in todo]
    try:
        context = trust(params["ca_path"], environment)
    except OSError as error:  # also ssl.SSLError: a file without certificates
        raise OptionError(
            f"ca_path (or REQUESTS_CA_BUNDLE) must name a PEM file or a folder of CA certificates: {error.strerror}"
        ) from error
    calls = [
        partial(probe, wish.host, wish.port, wish.tls, wish.path, proxy, params["timeout"], context)
        for wish, proxy in zip(todo, proxies)
    ]
    rows = probe_all(calls)
    for wish, row in zip(todo, rows):
        ok = row["reachable"] if wish.expect == "reachable" else kept_out(row)
        row.update(expect=wish.expect, purpose=wish.purpose, ok=ok)
    return rows


def complaint(row: dict[str, Any]) -> str:
    """One line about an endpoint that is not as expected."""
    name = f"{row['host']}:{row['port']}"
    if row["expect"] == "reachable":
        return f"{name} {row['diagnosis']}: {row['remedy']}"
    last = row["stages"]["proxy"] or row["stages"]["tcp"]
    if last and last["ok"]:
        seen = "is reachable" if row["reachable"] else f"takes connections ({row['diagnosis']})"
        return f"{name} {seen}, but is expected to be blocked: look at the firewall's mode and allowlist"
    return f"{name} not proven to be blocked: {row['remedy']}"
