# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How programs of this host get out: the proxies and the CA file that their environment names. Stdlib only.

A process of Ansible need not have that environment: what the role ``environment`` writes counts from the next login on,
and a kept SSH connection has the one of its own login. So the role's files are read as well, and come first.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Iterable, Mapping

#: Variables that say how to get out. Programs read the proxies in either case, so they are compared in lower case.
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_CA = "REQUESTS_CA_BUNDLE"
_ASSIGNMENT = re.compile(r'^([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL)


def files() -> list[str]:
    """Where the role ``environment`` writes: for the host, and for this user."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(config):
        config = os.path.join(os.path.expanduser("~"), ".config")
    system = ["/etc/ibm_quantum/environment", "/etc/ibm_quantum/secrets.env"]
    return [*system, os.path.join(config, "ibm_quantum", "environment")]


def host_environment(process: Mapping[str, str] | None = None, paths: Iterable[str] | None = None) -> dict[str, str]:
    """Name to value of what says how to get out, from this process's environment and, before it, from the files that
    it may read. Values may hold passwords."""
    process = os.environ if process is None else process
    found = {name: value for name, value in process.items() if _wanted(name)}
    for path in files() if paths is None else paths:
        written = {name: value for name, value in _read(path).items() if _wanted(name)}
        again = {name.lower() for name in written}
        found = {name: value for name, value in found.items() if name.lower() not in again}
        found.update(written)
    return found


def ca_bundle(environment: Mapping[str, str]) -> str | None:
    """The file or folder of CA certificates that IBM's own client would trust."""
    return environment.get(_CA) or None


def proxy_url(environment: Mapping[str, str], host: str, port: int, tls: bool) -> str | None:
    """The URL of the proxy for a host as an environment has it; None for the direct way.

    As curl and Python's requests do: the lower case wins, ``all_proxy`` is for what has none of its own, ``no_proxy``
    has names that stand for all names below them as well, with or without a port, networks, and ``*``.
    """
    named: dict[str, str] = {}
    for lower in (False, True):
        named.update({key.lower(): value for key, value in environment.items() if (key == key.lower()) is lower})
    url = named.get("https_proxy" if tls else "http_proxy") or named.get("all_proxy")
    exceptions = [entry.strip().lower() for entry in named.get("no_proxy", "").split(",")]
    if not url or any(_excepted(host.lower().rstrip("."), port, entry) for entry in exceptions if entry):
        return None
    return url


def _excepted(host: str, port: int, entry: str) -> bool:
    """Whether an entry of ``no_proxy`` is for a host."""
    name = entry.lstrip(".")
    if name.endswith(f":{port}") and name.count(":") == 1:
        name = name.rpartition(":")[0]
    if name == "*" or host == name or host.endswith(f".{name}"):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _wanted(name: str) -> bool:
    return name.lower() in _PROXIES or name == _CA


def _read(path: str) -> dict[str, str]:
    """The assignments in a file of the role; none where there is none, or none for this user."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: re.sub(r'\\(["\\$`])', r"\1", value) for name, value in _ASSIGNMENT.findall(text)}
