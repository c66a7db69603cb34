# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way out that a host's environment names: written by the one role, read by the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import HEADER, Variable, assignments
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_environment import (
    ca_bundle,
    host_environment,
    proxy_url,
)

URL = "http://p.example:3128"


def test_the_files_come_before_the_process(tmp_path: Path) -> None:
    public, secret, missing = tmp_path / "environment", tmp_path / "secrets.env", tmp_path / "missing"
    password = 'http://u:a"b\\c$d`e\n@p.example:1'
    public.write_text(HEADER + assignments([Variable("NO_PROXY", "new"), Variable("REQUESTS_CA_BUNDLE", "/ca.pem")]))
    secret.write_text(HEADER + assignments([Variable("IQP_API_TOKEN", "x" * 44), Variable("HTTPS_PROXY", password)]))
    process = {"https_proxy": "old", "no_proxy": "old", "http_proxy": "kept", "PATH": "/bin"}
    found = host_environment(process, [str(public), str(secret), str(missing)])
    assert found == {
        "http_proxy": "kept",
        "NO_PROXY": "new",
        "REQUESTS_CA_BUNDLE": "/ca.pem",
        "HTTPS_PROXY": password,
    }
    assert ca_bundle(found) == "/ca.pem" and ca_bundle({}) is None


def test_a_file_that_is_no_text_is_none(tmp_path: Path) -> None:
    (tmp_path / "environment").write_bytes(b'HTTPS_PROXY="\xff"\n')
    assert host_environment({"https_proxy": URL}, [str(tmp_path / "environment")]) == {"https_proxy": URL}


@pytest.mark.parametrize(
    ("environment", "tls", "url"),
    [
        ({}, True, None),
        ({"HTTPS_PROXY": URL}, True, URL),
        ({"HTTPS_PROXY": URL}, False, None),
        ({"HTTP_PROXY": URL}, False, URL),
        ({"HTTPS_PROXY": "other", "https_proxy": URL}, True, URL),
        ({"https_proxy": URL, "HTTPS_PROXY": "other"}, True, URL),
        ({"ALL_PROXY": URL}, True, URL),
        ({"ALL_PROXY": "other", "https_proxy": URL}, True, URL),
    ],
)
def test_which_variable_counts(environment: dict[str, str], tls: bool, url: str | None) -> None:
    assert proxy_url(environment, "x.example", 443, tls) == url


@pytest.mark.parametrize(
    ("host", "entry", "direct"),
    [
        ("x.example", "x.example", True),
        ("x.example", " .x.example , y", True),
        ("a.x.example", "x.example", True),
        ("a.x.example", ".X.Example", True),
        ("A.x.example.", "x.example", True),
        ("ax.example", "x.example", False),
        ("x.example", "*", True),
        ("x.example", "x.example:443", True),
        ("x.example", "x.example:8443", False),
        ("x.example", "", False),
        ("x.example", ",,", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("x.example", "10.0.0.0/8", False),
        ("fd00::1", "fd00::/8", True),
        ("::1", "localhost,::1", True),
        ("10.1.2.3", "fd00::/8", False),
    ],
)
def test_what_goes_round_the_proxy(host: str, entry: str, direct: bool) -> None:
    assert proxy_url({"HTTPS_PROXY": URL, "NO_PROXY": entry}, host, 443, True) == (None if direct else URL)
