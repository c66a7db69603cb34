# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a declared proxy comes to. That squid reads it so is shown in the lab."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import endpoints
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._squid import (
    PRIVATE_NETWORKS,
    Allowed,
    config,
    declare,
    identity,
    places,
)


def options(**more: Any) -> dict[str, Any]:
    return {
        "port": 3128,
        "listen": [],
        "clients": list(PRIVATE_NETWORKS),
        "regions": ["us-east"],
        "features": ["rest"],
        "endpoints": [],
        **more,
    }


def extra(host: str, port: int = 443, tls: bool | None = None) -> dict[str, Any]:
    return {"host": host, "port": port, "tls": tls}


def rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("http_access")]


def names(text: str, acl: str) -> list[str]:
    return re.findall(rf"^acl {acl} dstdomain -n (\S+)$", text, re.MULTILINE)


def test_exactly_the_catalogue() -> None:
    text = config(declare(options(regions=["us-east", "eu-de"], features=["rest", "cloud", "storage"])))
    listed = endpoints(["us-east", "eu-de"], ["rest", "cloud", "storage"])
    assert names(text, "tunnel_names_443") == sorted(entry.host for entry in listed)
    assert rules(text) == [
        "http_access deny manager",
        "http_access deny !clients",
        "http_access allow CONNECT tunnel_port_443 tunnel_names_443 !inward",
        "http_access deny all",
    ]
    assert "acl clients src 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7\n" in text
    assert "cache deny all\n" in text and not re.search("^cache_dir", text, re.MULTILINE)


def test_no_name_is_looked_up_by_its_address() -> None:
    text = config(declare(options(endpoints=[extra("deb.example", 80), extra("*.x.example", 8443)])))
    assert text.count(" dstdom") == text.count(" dstdomain -n ") + text.count(" dstdom_regex -n ") > 4


def test_ports_are_kept_apart() -> None:
    found = declare(
        options(endpoints=[extra("deb.example", 80), extra("x.example", 8443), extra("y.example", 8080, False)])
    )
    text = config(found)
    assert names(text, "http_names_80") == ["deb.example"] and names(text, "http_names_8080") == ["y.example"]
    assert names(text, "tunnel_names_8443") == ["x.example"] and "x.example" not in names(text, "tunnel_names_443")
    assert rules(text)[2:-1] == [
        "http_access allow !CONNECT plain http_port_80 http_names_80 !inward",
        "http_access allow CONNECT tunnel_port_443 tunnel_names_443 !inward",
        "http_access allow !CONNECT plain http_port_8080 http_names_8080 !inward",
        "http_access allow CONNECT tunnel_port_8443 tunnel_names_8443 !inward",
    ]


def test_what_a_wildcard_covers_is_left_out() -> None:
    rows = [
        extra("*.cloud.ibm.com"),
        extra("*.eu-de.quantum.cloud.ibm.com"),
        extra("cloud.ibm.com"),
        extra("notcloud.ibm.com"),
    ]
    found = declare(options(endpoints=[*rows, extra("cloud.ibm.com", 8443)]))
    assert found.allowed == (
        Allowed("*.cloud.ibm.com", 443, True),
        Allowed("cloud.ibm.com", 443, True),
        Allowed("cloud.ibm.com", 8443, True),
        Allowed("notcloud.ibm.com", 443, True),
    )
    text = config(found)
    assert names(text, "tunnel_names_443") == ["cloud.ibm.com", "notcloud.ibm.com"]
    assert "acl tunnel_below_443 dstdom_regex -n -i \\.cloud\\.ibm\\.com$\n" in text
    assert rules(text)[2:-1] == [
        "http_access allow CONNECT tunnel_port_443 tunnel_names_443 !inward",
        "http_access allow CONNECT tunnel_port_443 tunnel_below_443 !inward",
        "http_access allow CONNECT tunnel_port_8443 tunnel_names_8443 !inward",
    ]


def test_the_identity_stands_for_all_of_it() -> None:
    text = config(declare(options()))
    assert identity(text) and text.count(str(identity(text))) == 1
    assert identity(config(declare(options(clients=list(reversed(PRIVATE_NETWORKS)))))) == identity(text)
    for more in ({"port": 3129}, {"listen": ["10.0.0.1"]}, {"clients": ["10.0.0.0/8"]}, {"endpoints": [extra("x.y")]}):
        assert identity(config(declare(options(**more)))) != identity(text)
    assert identity("X-Cache: MISS from proxy.example") is None


def test_where_it_listens() -> None:
    assert places(config(declare(options()))) == [("::", 3128)]
    both = config(declare(options(port=8080, listen=["fd00::1", "10.0.0.1", "fd00:0::1"])))
    assert "http_port 10.0.0.1:8080\nhttp_port [fd00::1]:8080\n" in both
    assert places(both) == [("10.0.0.1", 8080), ("fd00::1", 8080)]
    assert places("") == []


def test_names_are_taken_as_dns_takes_them() -> None:
    found = declare(options(features=[], endpoints=[extra(" X.Example. "), extra("x.example")]))
    assert found.allowed == (Allowed("x.example", 443, True),)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"features": []}, "nothing to let through: give features or endpoints"),
        ({"clients": []}, "clients is empty"),
        ({"clients": ["10.0.0.0/8", "0.0.0.0/0"]}, "clients[1] '0.0.0.0/0' is the whole Internet"),
        ({"clients": ["::/0"]}, "is the whole Internet"),
        ({"clients": ["10.0.0.1/8"]}, "clients[0] '10.0.0.1/8' is no network"),
        ({"clients": ["all"]}, "clients[0] 'all' is no network"),
        ({"listen": ["gateway"]}, "listen[0] 'gateway' is no address"),
        ({"listen": ["0.0.0.0"]}, "leave listen empty"),
        ({"port": 0}, "port must be 1 to 65535, not 0"),
        ({"endpoints": [extra("x.example", 70000)]}, "endpoints[0].port must be 1 to 65535"),
        ({"endpoints": [extra("https://x.example/")]}, "is a URL; give the host name alone"),
        ({"endpoints": [extra("10.0.0.1")]}, "is an address: the proxy allows names"),
        ({"endpoints": [extra("10.0.0.0/8")]}, "is an address"),
        ({"endpoints": [extra("[::1]")]}, "is an address"),
        ({"endpoints": [extra("x y")]}, "endpoints[0].host 'x y' is no host name"),
        ({"endpoints": [extra("x.example\nhttp_access allow all")]}, "is no host name"),
        ({"endpoints": [extra("")]}, "is no host name"),
        ({"endpoints": [extra("a.*.example")]}, "is no wildcard"),
        ({"endpoints": [extra("*")]}, "is no wildcard"),
        ({"endpoints": [extra("*.com")]}, "would allow a whole top-level domain"),
        ({"endpoints": [extra("é.example")]}, "ASCII form"),
    ],
)
def test_bad_options(more: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        declare(options(**more))
    assert words in str(caught.value)
