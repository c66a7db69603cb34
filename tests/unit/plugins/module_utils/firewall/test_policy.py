# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import (
    Destination,
    Policy,
    declare,
    rules,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError

OPTIONS: dict[str, Any] = {
    "mode": "enforce",
    "regions": ["us-east"],
    "features": ["rest"],
    "endpoints": [],
    "management_ports": None,
    "dns_servers": None,
    "ntp": True,
    "refresh_interval": 300,
    "address_lifetime": 86400,
}


def extra(host: str, port: int = 443, protocol: str = "tcp") -> dict[str, Any]:
    return {"endpoints": [{"host": host, "port": port, "protocol": protocol}]}


def test_the_catalogue_is_allowed_by_region_and_feature() -> None:
    both = declare({**OPTIONS, "regions": ["us-east", "eu-de"], "features": ["rest", "functions"]}, [22])
    assert both.names == [
        "eu-de.quantum.cloud.ibm.com",
        "iam.cloud.ibm.com",
        "qiskit-serverless.quantum.ibm.com",
        "quantum.cloud.ibm.com",
    ]
    assert all((d.port, d.protocol) == (443, "tcp") for d in both.destinations)


@pytest.mark.parametrize(
    ("host", "stored"),
    [
        ("Mirror.Example.ORG.", "mirror.example.org"),
        (" x_y.example ", "x_y.example"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_hosts_have_one_spelling(host: str, stored: str) -> None:
    assert Destination(stored, 443, "tcp") in declare({**OPTIONS, **extra(host)}, []).destinations


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (extra("a b"), "endpoints[0]: host 'a b' is no host name"),
        (extra(""), "endpoints[0]: host '' is no host name"),
        (extra("-a.example"), "is no host name"),
        (extra("a..example"), "is no host name"),
        (extra("a" * 64 + ".example"), "is no host name"),
        (extra("a;drop"), "is no host name"),
        (extra("https://example.org/"), "is a URL; give the host name alone"),
        (extra("*.cloud.ibm.com"), "is a wildcard"),
        (extra("bücher.example"), "ASCII form"),
        (extra("10.0.0.0/33"), "is no address or network"),
        (extra("10.0.0.1/8"), "is no address or network"),
        (extra("10.0.0"), "is no address or network"),
        (extra("fd00::g"), "is no host name"),
        (extra("fd00::1::2"), "is no address or network"),
        (extra("a.example", 0), "endpoints[0]: port 0 is not between 1 and 65535"),
        (extra("a.example", 65536), "endpoints[0]: port 65536"),
        ({"management_ports": [22, 0]}, "management_ports: port 0"),
        ({"dns_servers": ["ns.example"]}, "dns_servers: 'ns.example' is no IP address"),
        ({"refresh_interval": 0}, "refresh_interval: 0 is less than 1 (seconds)"),
        ({"address_lifetime": -1}, "address_lifetime: -1 is less than 0 (seconds)"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(FirewallError) as caught:
        declare({**OPTIONS, **options}, [])
    assert text in str(caught.value) and caught.value.reason == "invalid"


def test_management_ports_default_to_what_was_found() -> None:
    assert declare(OPTIONS, [2222, 22, 22]).management_ports == (22, 2222)
    assert declare({**OPTIONS, "management_ports": []}, [22]).management_ports == ()


def test_order_and_repetition_do_not_matter() -> None:
    one = {"host": "b.example", "port": 1, "protocol": "tcp"}
    two = {"host": "a.example", "port": 1, "protocol": "udp"}
    first = declare({**OPTIONS, "endpoints": [one, two, one], "dns_servers": ["::1", "192.0.2.1"]}, [])
    second = declare({**OPTIONS, "endpoints": [two, one], "dns_servers": ["192.0.2.1", "::1"]}, [])
    assert first == second


def test_a_policy_survives_json() -> None:
    for options in (OPTIONS, {**OPTIONS, **extra("192.0.2.0/24"), "dns_servers": ["192.0.2.53"]}):
        policy = declare(options, [22])
        assert Policy.from_dict(json.loads(json.dumps(policy.as_dict()))) == policy


def test_names_become_addresses() -> None:
    policy = declare({**OPTIONS, **extra("192.0.2.0/24", 80)}, [22])
    got = rules(
        policy, {"iam.cloud.ibm.com": ["192.0.2.1", "2001:db8::1"], "other.example": ["192.0.2.9"]}, ["192.0.2.53"]
    )
    assert got.learnt == {Destination("192.0.2.1", 443, "tcp"), Destination("2001:db8::1", 443, "tcp")}
    assert got.fixed == (Destination("192.0.2.0/24", 80, "tcp"),)
    assert got.dns_servers == {"192.0.2.53"}
