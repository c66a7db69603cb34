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
    "chain": None,
    "resolution": "resolve",
    "only_users": [],
    "only_groups": [],
    "only_slices": [],
    "package_mirrors": False,
    "proxies": [],
    "ntp_servers": None,
    "regions": ["us-east"],
    "features": ["rest"],
    "endpoints": [],
    "management_ports": None,
    "dns_servers": None,
    "ntp": True,
    "refresh_interval": 300,
    "address_lifetime": 86400,
}


def declared(options: dict[str, Any], ports: list[int]) -> Policy:
    return declare(options, "nftables", ports)


def extra(host: str, port: int = 443, protocol: str = "tcp") -> dict[str, Any]:
    return {"endpoints": [{"host": host, "port": port, "protocol": protocol}]}


def test_the_catalogue_is_allowed_by_region_and_feature() -> None:
    both = declared({**OPTIONS, "regions": ["us-east", "eu-de"], "features": ["rest", "functions"]}, [22])
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
    assert Destination(stored, 443, "tcp") in declared({**OPTIONS, **extra(host)}, []).destinations


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
        (extra("*.cloud.ibm.com"), "'*.cloud.ibm.com' can be learnt with resolution=dns only"),
        ({"resolution": "dns", **extra("a.*.com")}, "is no wildcard, which stands for the names below a domain"),
        ({"resolution": "dns", **extra("*")}, "is no wildcard, which stands for the names below a domain"),
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
        ({"chain": "inet filter output"}, "chain: says where mode=allow works"),
        ({"mode": "allow", "chain": "output"}, "chain: 'output' is not FAMILY TABLE CHAIN"),
        ({"mode": "allow", "chain": "inet a b; flush ruleset"}, "is not FAMILY TABLE CHAIN"),
        ({"mode": "allow", "only_users": ["alice"]}, "mode=allow opens the endpoints for the whole host"),
        ({"only_users": ["a b"]}, "only_users: 'a b' is no account name or number"),
        ({"only_groups": ["-x"]}, "only_groups: '-x' is no account name or number"),
        ({"only_slices": ["quantum"]}, "only_slices: 'quantum' is no slice of systemd"),
        ({"proxies": ["http://proxy.example"]}, "proxies[0]: give a proxy as http://HOST:PORT"),
        ({"proxies": ["http://me:secret@proxy.example:x"]}, "proxies[0]: give a proxy as http://HOST:PORT"),
        ({"proxies": ["http://a b:1"]}, "proxies[0]: host 'a b' is no host name"),
        ({"ntp_servers": ["a b"]}, "ntp_servers: host 'a b'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(FirewallError) as caught:
        declared({**OPTIONS, **options}, [])
    assert text in str(caught.value) and caught.value.reason == "invalid"


def test_management_ports_default_to_what_was_found() -> None:
    assert declared(OPTIONS, [2222, 22, 22]).management_ports == (22, 2222)
    assert declared({**OPTIONS, "management_ports": []}, [22]).management_ports == ()


def test_order_and_repetition_do_not_matter() -> None:
    one = {"host": "b.example", "port": 1, "protocol": "tcp"}
    two = {"host": "a.example", "port": 1, "protocol": "udp"}
    first = declared({**OPTIONS, "endpoints": [one, two, one], "dns_servers": ["::1", "192.0.2.1"]}, [])
    second = declared({**OPTIONS, "endpoints": [two, one], "dns_servers": ["192.0.2.1", "::1"]}, [])
    assert first == second


def test_a_policy_survives_json() -> None:
    for options in (OPTIONS, {**OPTIONS, **extra("192.0.2.0/24"), "dns_servers": ["192.0.2.53"]}):
        policy = declared(options, [22])
        assert Policy.from_dict(json.loads(json.dumps(policy.as_dict()))) == policy


def test_names_become_addresses() -> None:
    policy = declared({**OPTIONS, **extra("192.0.2.0/24", 80)}, [22])
    got = rules(
        policy, {"iam.cloud.ibm.com": ["192.0.2.1", "2001:db8::1"], "other.example": ["192.0.2.9"]}, ["192.0.2.53"]
    )
    assert got.learnt == {Destination("192.0.2.1", 443, "tcp"), Destination("2001:db8::1", 443, "tcp")}
    assert got.fixed == (Destination("192.0.2.0/24", 80, "tcp"),)
    assert got.dns_servers == {"192.0.2.53"}


def test_with_a_proxy_only_the_proxy_and_the_extra_endpoints_are_allowed() -> None:
    policy = declared(
        {**OPTIONS, **extra("mirror.example", 80), "proxies": ["http://u:p@proxy.example:3128", "10.0.0.1:8080"]}, []
    )
    assert [str(d) for d in policy.destinations] == [
        "10.0.0.1 8080/tcp",
        "mirror.example 80/tcp",
        "proxy.example 3128/tcp",
    ]


def test_time_servers() -> None:
    assert (
        declared({**OPTIONS, "ntp": None}, []).ntp and not declared({**OPTIONS, "ntp": None, "mode": "allow"}, []).ntp
    )
    named = declared({**OPTIONS, "ntp_servers": ["ntp.example"]}, [])
    assert not named.ntp and Destination("ntp.example", 123, "udp") in named.destinations


def test_mirrors_are_allowed_on_request() -> None:
    mirror = Destination("mirror.example", 80, "tcp")
    assert mirror not in declare(OPTIONS, "nftables", [], [mirror]).destinations
    assert mirror in declare({**OPTIONS, "package_mirrors": True}, "nftables", [], [mirror]).destinations


def test_dnsmasq_finds_addresses_of_services() -> None:
    policy = declared({**OPTIONS, **extra("*.example.org", 8443), "resolution": "dns"}, [])
    assert policy.keys == ["iam.cloud.ibm.com", "quantum.cloud.ibm.com", "443/tcp", "8443/tcp"]
    got = rules(policy, {"8443/tcp": ["192.0.2.7"], "443/tcp": []}, [], resolver=7)
    assert got.learnt == {Destination("192.0.2.7", 8443, "tcp")} and got.sets == 2 and got.resolver == 7


def test_accounts_become_numbers() -> None:
    policy = declared(
        {**OPTIONS, "only_users": ["root", "4711"], "only_groups": ["root"], "only_slices": ["q.slice"]}, []
    )
    got = rules(policy, {}, [])
    assert (got.users, got.groups, got.slices) == ((0, 4711), (0,), ("q.slice",))
    with pytest.raises(FirewallError, match="only_users: this host has no 'nobody-here'"):
        rules(declared({**OPTIONS, "only_users": ["nobody-here"]}, []), {}, [])
