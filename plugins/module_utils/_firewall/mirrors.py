# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The package mirrors that a host's own package manager is configured with.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import configparser
import glob
import os
import re
from typing import Iterable, Iterator
from urllib.parse import urlsplit

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination

#: What lists addresses of mirrors: apt (sources.list(5)), apt's proxies and dnf (dnf.conf(5)), zypper, apk.
_FILES = (
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*.list",
    "etc/apt/sources.list.d/*.sources",
    "etc/apt/mirrors/*",
    "etc/apt/apt.conf",
    "etc/apt/apt.conf.d/*",
    "etc/dnf/dnf.conf",
    "etc/yum.conf",
    "etc/yum.repos.d/*.repo",
    "etc/zypp/repos.d/*.repo",
    "etc/apk/repositories",
)
_PORTS = {"http": 80, "https": 443, "ftp": 21}
_URL = re.compile(r"\b(?:http|https|ftp)://[^\s\"';,]+")


def destinations(root: str = "/") -> list[Destination]:
    """Host and port of every URL in them that is not commented out or disabled; addresses of IPv6 without brackets.

    Mirrors that such a URL leads on to (a mirror list, a redirect) are not known.
    """
    found = {_destination(url) for url in _urls(root)}
    return sorted(d for d in found if d is not None)


def _urls(root: str) -> Iterator[str]:
    for pattern in _FILES:
        for path in sorted(glob.glob(os.path.join(root, pattern))):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    text = file.read()
            except OSError:
                continue
            if path.endswith(".repo"):
                text = "\n".join(_enabled(text))
            for line in text.splitlines():
                if not line.lstrip().startswith(("#", "//", ";")):
                    yield from _URL.findall(line)


def _enabled(text: str) -> Iterable[str]:
    """The values of the sections of a .repo file that are not disabled."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for section in parser.sections():
        if parser.get(section, "enabled", fallback="1") not in ("0", "no", "false"):
            for key in ("baseurl", "mirrorlist", "metalink", "proxy"):
                yield parser.get(section, key, fallback="") or ""


def _destination(url: str) -> Destination | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except ValueError:
        return None
    # A variable of dnf in the name of a host cannot be known here.
    return Destination(host.rstrip("."), port, "tcp") if host and re.fullmatch(r"[a-z0-9_.:-]+", host) else None
