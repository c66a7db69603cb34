# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader


def endpoints(*terms, **options):
    return lookup_loader.get("ibm_quantum.platform.endpoints").run(list(terms), {}, **options)


def test_the_default_is_ibms_list_of_us_east():
    found = endpoints()
    assert {row["region"] for row in found} == {None, "us-east"}
    assert {row["feature"] for row in found} == {"rest", "cloud", "storage"}
    assert found[0] == {
        "host": "iam.cloud.ibm.com",
        "port": 443,
        "protocol": "tcp",
        "region": None,
        "feature": "rest",
        "purpose": "IAM: API key to bearer token",
    }


@pytest.mark.parametrize(
    "options, hosts",
    [
        ({"regions": ["eu-de"], "features": ["rest"]}, ["iam.cloud.ibm.com", "eu-de.quantum.cloud.ibm.com"]),
        ({"features": ["functions"]}, ["qiskit-serverless.quantum.ibm.com"]),
        ({"features": "functions"}, ["qiskit-serverless.quantum.ibm.com"]),
        ({"features": []}, []),
    ],
)
def test_regions_and_features(options, hosts):
    assert [row["host"] for row in endpoints(**options)] == hosts


@pytest.mark.parametrize(
    "terms, options, text",
    [
        ([], {"regions": ["moon"]}, "regions|moon"),
        ([], {"features": ["all"]}, "features|all"),
        ([], {"endpoints": ["a b"]}, "endpoints.0.: host 'a b' is no host name"),
        ([], {"endpoints": [{"host": "a.example", "ports": 80}]}, "endpoints.0.: unknown key ports"),
        (["us-east"], {}, "the lookup endpoints takes options only, such as features=\\['rest'\\]"),
    ],
)
def test_bad_options(terms, options, text):
    with pytest.raises(AnsibleError, match=text):
        endpoints(*terms, **options)


ADDED = [
    "mirror.example.com",
    {"host": "192.0.2.0/24", "port": 123, "protocol": "udp", "purpose": "time"},
    "*.cloud.ibm.com",
    {"host": "known.example.com", "addresses": ["198.51.100.2", "198.51.100.1"]},
]


def test_endpoints_are_added():
    found = endpoints(features=["functions"], endpoints=[*ADDED, "Qiskit-Serverless.quantum.ibm.com"])
    assert [row["host"] for row in found] == [
        "qiskit-serverless.quantum.ibm.com",
        *("mirror.example.com", "192.0.2.0/24", "*.cloud.ibm.com", "known.example.com"),
    ]
    assert found[2] == {
        "host": "192.0.2.0/24",
        "port": 123,
        "protocol": "udp",
        "region": None,
        "feature": None,
        "purpose": "time",
    }
    assert [row.get("addresses") for row in found] == [None, None, None, None, ["198.51.100.1", "198.51.100.2"]]


def answer(monkeypatch, answers):
    """Answer for DNS; returns the names that were asked for."""
    asked = []

    def getaddrinfo(name, *args, **options):
        asked.append(name)
        if name not in answers:
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in answers[name]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_addresses_are_had_where_they_are_wanted(monkeypatch):
    answers = {
        "iam.cloud.ibm.com": ["2001:db8::1", "192.0.2.10", "192.0.2.9"],
        "quantum.cloud.ibm.com": ["192.0.2.3"],
        "mirror.example.com": ["192.0.2.4"],
    }
    asked = answer(monkeypatch, answers)
    found = {row["host"]: row["addresses"] for row in endpoints(features=["rest"], endpoints=ADDED, resolve=True)}
    assert found == {
        "iam.cloud.ibm.com": ["192.0.2.9", "192.0.2.10", "2001:db8::1"],
        "quantum.cloud.ibm.com": ["192.0.2.3"],
        "mirror.example.com": ["192.0.2.4"],
        "192.0.2.0/24": ["192.0.2.0/24"],
        "*.cloud.ibm.com": [],
        "known.example.com": ["198.51.100.1", "198.51.100.2"],
    }
    assert sorted(asked) == sorted(answers)


def test_without_the_option_nothing_is_looked_up(monkeypatch):
    asked = answer(monkeypatch, {})
    assert endpoints(endpoints=ADDED, resolve=False)
    assert not asked


def test_names_without_an_address_are_an_error(monkeypatch):
    answer(monkeypatch, {"iam.cloud.ibm.com": ["192.0.2.1"], "mirror.example.com": ["0.0.0.0"]})
    with pytest.raises(AnsibleError) as caught:
        endpoints(features=["rest"], endpoints=ADDED, resolve=True)
    assert (
        "no address for quantum.cloud.ibm.com (Name or service not known), mirror.example.com (the answer is 0.0.0.0): "
        "resolve on a controller whose DNS knows these names" in str(caught.value)
    )
