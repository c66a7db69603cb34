# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role verify on real hosts: IBM's real names, real firewalls, a resolver that is silent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab import network
from tests.lab.dns import OTHER_NAME
from tests.lab.host import Host
from tests.lab.lab import Lab, Play

ENDPOINTS = 7  # of the default region and features
CUT = """table inet cut {{
  chain egress {{
    type filter hook output priority 0;
    {family} daddr {address} tcp dport 443 {verdict}
  }}
}}
"""


class Verification:
    """Plays of the role with some variables."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder

    def play(self, *args: str, **role: Any) -> Play:
        show = {"ansible.builtin.debug": {"msg": "COUNT={{ verify_result.reachable }}"}}
        book = [{"hosts": "all", "gather_facts": False, "roles": [{"role": "ibm_quantum.platform.verify"}]}]
        book[0]["post_tasks"] = [show]
        book[0]["vars"] = {"verify_timeout": 2, **role}
        (self.folder / "play.json").write_text(json.dumps(book))
        return self.lab.playbook(self.folder / "play.json", *args)


@pytest.fixture
def verification(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> Verification:
    return Verification(lab, tmp_path)


def cut(host: Host, place: network.Address, verdict: str) -> None:
    for family, address in (("ip", place.v4), ("ip6", place.v6)):
        host.run(["nft", "-f", "-"], input=CUT.format(family=family, address=address, verdict=verdict))


def test_the_platform_is_reachable_by_its_real_names(verification: Verification) -> None:
    for args in ((), ("--check",)):
        done = verification.play(*args)
        assert done.returncode == 0 and done.changed == 0, done.output
        assert done.stdout.count(f"COUNT={ENDPOINTS}") == 3
    both = verification.play(verify_regions=["us-east", "eu-de"], verify_features=["rest"])
    assert both.returncode == 0 and both.stdout.count("COUNT=3") == 3, both.output


def test_what_must_be_blocked_is(verification: Verification, fresh_hosts: list[Host]) -> None:
    blocked = {"verify_blocked_endpoints": [{"host": OTHER_NAME}]}
    opened = verification.play(**blocked)
    assert opened.returncode == 2, opened.output
    assert f"{OTHER_NAME}:443 takes connections (tls_wrong_name), but is expected to be blocked" in opened.output
    for host, verdict in zip(fresh_hosts, ("drop", "reject with icmpx type admin-prohibited", "reject with tcp reset")):
        cut(host, network.OTHER, verdict)
    done = verification.play("-v", **blocked)
    assert done.returncode == 0, done.output
    for word in ("blocked", "rejected", "refused"):
        assert f'"diagnosis": "{word}"' in done.stdout
    typo = verification.play(verify_blocked_endpoints=[{"host": "no-such-name.example.test"}])
    assert typo.returncode == 2 and "not proven to be blocked: the name no-such-name" in typo.output


def test_a_cut_endpoint_is_named_with_the_remedy(verification: Verification, fresh_hosts: list[Host]) -> None:
    runtime = network.EMULATOR[1]
    cut(fresh_hosts[0], runtime, "drop")
    done = verification.play()
    assert done.recap["h1"]["failed"] == 1 and done.recap["h2"]["failed"] == done.recap["h3"]["failed"] == 0
    assert "1 of 7 endpoints are not as expected:" in done.output
    assert "quantum.cloud.ibm.com:443 blocked: no answer from quantum.cloud.ibm.com port 443" in done.output


def test_one_family_is_enough(verification: Verification, fresh_hosts: list[Host]) -> None:
    for place in network.EMULATOR[:7]:
        fresh_hosts[0].run(["nft", "-f", "-"], input=CUT.format(family="ip6", address=place.v6, verdict="drop"))
    done = verification.play()
    assert done.returncode == 0 and done.stdout.count(f"COUNT={ENDPOINTS}") == 3, done.output


def test_a_certificate_that_the_host_does_not_trust(verification: Verification) -> None:
    done = verification.play(
        verify_ca_path="/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt", verify_features=["rest"]
    )
    assert done.returncode == 2 and done.output.count("tls_intercepted: the certificate is by ") >= 6, done.output


@pytest.mark.parametrize("silent", [True, False])
def test_dns_is_gone(verification: Verification, lab: Lab, silent: bool) -> None:
    lab.dns.stop(silent=silent)
    try:
        done = verification.play(verify_features=["rest"])
    finally:
        lab.dns.start()
    assert done.returncode == 2 and "iam.cloud.ibm.com:443 dns_timeout: no DNS server answers" in done.output


def test_the_platform_is_down(verification: Verification, lab: Lab) -> None:
    lab.emulator.stop()
    try:
        done = verification.play(verify_features=["rest"])
        assert done.returncode == 2 and "quantum.cloud.ibm.com:443 refused" in done.output
        assert verification.play(verify_features=["rest"], verify_expect="blocked").returncode == 0
    finally:
        lab.emulator.start()
