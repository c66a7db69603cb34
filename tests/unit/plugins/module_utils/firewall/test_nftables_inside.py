# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With the real nft, in a network namespace of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import nft_chains
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nft import Nft
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables import Nftables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables_inside import (
    NftablesInside,
    find,
    leftovers,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination, Rules, Service
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError

HTTPS = Service(443, "tcp")
RULES = Rules(
    mode="allow",
    management_ports=(22,),
    ntp=False,
    fixed=(Destination("192.0.2.0/24", 80, "tcp"), Destination("2001:db8::/32", 80, "tcp")),
    learnt=frozenset({Destination("198.51.100.2", *HTTPS), Destination("2001:db8::7", *HTTPS)}),
    dns_servers=frozenset({"198.51.100.53", "2001:db8::53"}),
    services=(HTTPS,),
)
FOREIGN = """\
table inet filter {
    set known {
        type ipv4_addr
        elements = { 192.0.2.1 }
    }
    counter ibm { }
    chain site {
        ip daddr @known counter accept
    }
    chain output {
        type filter hook output priority filter; policy drop;
        oif "lo" accept comment "ibm_quantum.platforms"
        jump site
    }
    chain last {
        type filter hook output priority 20; policy accept;
        udp dport 9 drop
        counter log prefix "no " reject
    }
    chain input {
        type filter hook input priority filter; policy drop;
        accept
    }
}
table ip old {
    chain rest {
        drop
    }
    chain leaving {
        type filter hook output priority 1; policy accept;
        goto rest
    }
}
table ip6 open {
    chain output {
        type filter hook output priority filter; policy accept;
        tcp dport 25 reject
    }
}
"""
CHAINS = ("inet filter output", "inet filter last", "ip old leaving")
IPTABLES = """\
table ip filter {
    chain OUTPUT {
        type filter hook output priority filter; policy drop;
    }
}
"""


@pytest.fixture
def nft(nft_command: list[str]) -> Nft:
    """A host that blocks what leaves it."""
    nft = Nft(nft_command)
    nft.run("--file", "-", ruleset=FOREIGN)
    return nft


@pytest.fixture
def inside(nft: Nft) -> NftablesInside:
    return NftablesInside(CHAINS, nft.command)


def ruleset(nft: Nft) -> str:
    return nft.run("--stateless", "list", "ruleset")


def foreign(nft: Nft) -> list[str]:
    """What is not ours, in its order."""
    text = re.sub(r"(?ms)^\t(?:set|counter|chain) ibm_quantum\w* \{\n.*?\t\}\n", "", ruleset(nft))
    return [line for line in text.splitlines() if line and 'comment "ibm_quantum.platform"' not in line]


def test_the_chains_that_block_are_found(nft: Nft) -> None:
    assert find(None, nft) == CHAINS
    assert find("ip6 open output", nft) == ("ip6 open output",)
    with pytest.raises(FirewallError, match=r"no chain 'inet filter input' of the hook output; it has inet filter out"):
        find("inet filter input", nft)


def test_where_nothing_blocks_this_is_said(nft_command: list[str]) -> None:
    nft = Nft(nft_command)
    for _turn in range(2):
        with pytest.raises(FirewallError, match="use mode=enforce") as caught:
            find(None, nft)
        assert caught.value.reason == "nothing_blocks"
        # The allowlist of mode enforce is no policy of the host's own.
        nft.run("--file", "-", ruleset=Nftables(nft_command).render(RULES._replace(mode="enforce")))


def test_chains_of_other_firewalls_are_left_to_them(nft_command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    nft = Nft(nft_command)
    nft.run("--file", "-", ruleset=IPTABLES)
    monkeypatch.setattr(nft_chains.shutil, "which", lambda _name, path: None)
    assert find(None, nft) == ("ip filter OUTPUT",)
    monkeypatch.setattr(nft_chains.shutil, "which", lambda _name, path: "/usr/sbin/iptables")
    with pytest.raises(FirewallError, match="provider=iptables"):
        find(None, nft)
    nft.run("add", "chain", "ip", "filter", "ufw-before-output")
    with pytest.raises(FirewallError, match="provider=ufw"):
        find("ip filter OUTPUT", nft)
    nft.run("--file", "-", ruleset="flush ruleset\n" + IPTABLES.replace("ip filter", "inet firewalld"))
    with pytest.raises(FirewallError, match="provider=firewalld") as caught:
        find(None, nft)
    assert caught.value.reason == "unsupported"


def test_it_opens_inside_and_leaves_no_trace(nft: Nft, inside: NftablesInside) -> None:
    before, theirs = ruleset(nft), foreign(nft)
    assert inside.inspect() is None and leftovers(nft) == ()
    inside.load(inside.nothing)
    text = inside.render(RULES)
    inside.check(text)
    assert ruleset(nft) == before
    inside.load(text)
    for _turn in range(2):
        live = inside.inspect()
        assert live is not None
        assert (live.learnt, live.dns_servers) == (RULES.learnt, RULES.dns_servers)
        assert live.counters == {"allowed": {"packets": 0, "bytes": 0}}
        assert foreign(nft) == theirs and leftovers(nft) == CHAINS
        for chain in CHAINS:
            lines = [line.strip() for line in nft.run("list", "chain", *chain.split()).splitlines()]
            hook = next(number for number, line in enumerate(lines) if "hook output" in line)
            assert lines[hook + 1] == 'jump ibm_quantum comment "ibm_quantum.platform"'
            assert sum("ibm_quantum.platform" in line and "jump" in line for line in lines) == 1
        loaded = ruleset(nft)
        inside.load(text)
        assert ruleset(nft) == loaded
    rules = nft.run("list", "chain", "ip", "old", "ibm_quantum")
    assert "ip6" not in rules and "@ibm_quantum_tcp443_v4_0" in rules
    assert "ct state" not in rules and "123" not in rules  # nothing that was not asked for
    inside.load(inside.nothing)
    assert ruleset(nft) == before and inside.inspect() is None


def test_other_rules_replace_all_of_the_former_ones(nft: Nft, inside: NftablesInside) -> None:
    theirs = foreign(nft)
    seen = set()
    for rules in (
        RULES,
        RULES._replace(ntp=True),
        RULES._replace(services=(), learnt=frozenset()),
        RULES._replace(services=(HTTPS, Service(53, "udp")), filled=True, resolver=7),
        RULES._replace(fixed=(Destination("192.0.2.7", *HTTPS),)),
    ):
        inside.load(inside.render(rules))
        live = inside.inspect()
        assert live is not None
        seen.add(live.fingerprint)
        assert foreign(nft) == theirs
        assert ("ibm_quantum_tcp443_v4_1" in ruleset(nft)) == rules.filled
    assert len(seen) == 5
    fewer = NftablesInside(CHAINS[:1], nft.command)
    fewer.load(fewer.render(RULES))
    assert leftovers(nft) == ("inet filter output", "ip old leaving")


def test_an_update_moves_addresses_and_nothing_else(nft: Nft, inside: NftablesInside) -> None:
    inside.load(inside.render(RULES))
    before = inside.inspect()
    moved = RULES._replace(learnt=frozenset({Destination("203.0.113.1", *HTTPS)}), dns_servers=frozenset())
    inside.update(moved)
    assert before is not None
    assert inside.inspect() == before._replace(learnt=moved.learnt, dns_servers=moved.dns_servers)
    # What one of the tables lacks is not learnt.
    nft.run("flush", "set", "ip", "old", "ibm_quantum_tcp443_v4_0")
    assert inside.inspect() == before._replace(learnt=frozenset(), dns_servers=frozenset())


def test_damage_shows(nft: Nft) -> None:
    inside = NftablesInside(["inet filter output"], nft.command)
    inside.load(inside.render(RULES))
    before, theirs = inside.inspect(), foreign(nft)
    listing = nft.run("--handle", "list", "chain", "inet", "filter", "output")
    jump = re.search(r"handle (\d+)$", next(line for line in listing.splitlines() if "jump ibm" in line))
    assert before is not None and jump is not None
    for damage in (
        f"delete rule inet filter output handle {jump[1]}",
        "add rule inet filter ibm_quantum accept",
        "flush chain inet filter ibm_quantum",
    ):
        nft.run(*damage.split())
        live = inside.inspect()
        assert live is None or live.fingerprint != before.fingerprint
        if "delete" in damage:
            assert leftovers(nft) == ("inet filter ibm_quantum",)
        inside.load(inside.render(RULES))
        assert inside.inspect() == before and foreign(nft) == theirs
    # The rules of a host that wants something else first are not fought over.
    nft.run("insert", "rule", "inet", "filter", "output", "udp", "dport", "7", "drop")
    assert inside.inspect() == before


def test_a_save_restores_exactly(nft: Nft, inside: NftablesInside) -> None:
    before = ruleset(nft)
    nothing = inside.save()
    inside.load(inside.render(RULES))
    live, loaded, saved = inside.inspect(), ruleset(nft), inside.save()
    inside.load(inside.render(RULES._replace(ntp=True, learnt=frozenset())))
    inside.load(saved)
    assert inside.inspect() == live and ruleset(nft) == loaded
    inside.load(nothing)
    assert ruleset(nft) == before


def test_the_file_is_loaded_at_boot_without_python(nft: Nft, inside: NftablesInside, tmp_path: Path) -> None:
    path = tmp_path / "egress.ruleset"
    path.write_text(inside.render(RULES).replace(nft.command[0], " ".join(nft.command)))
    command = inside.boot_command(str(path)).split()
    assert command == ["/bin/sh", str(path)]
    for again in ("", FOREIGN):
        if again:  # as nftables.service does
            nft.run("--file", "-", ruleset="flush ruleset\n" + again)
        for _turn in range(2):
            subprocess.run(command, check=True, timeout=30)
        assert leftovers(nft) == CHAINS
        live = inside.inspect()
        assert live is not None and live.learnt == RULES.learnt


def test_without_the_hosts_own_rules_nothing_is_done(nft: Nft, inside: NftablesInside) -> None:
    inside.load(inside.render(RULES))
    for command in ("delete table ip old", "flush ruleset"):
        nft.run(*command.split())
        left = ruleset(nft)
        with pytest.raises(FirewallError, match="inet filter output, .* not all is there") as caught:
            inside.load(inside.render(RULES))
        assert caught.value.reason == "nothing_blocks" and ruleset(nft) == left
    inside.load(inside.nothing)
    assert inside.inspect() is None and ruleset(nft) == ""


def test_dnsmasq_fills_the_sets_of_all_tables(nft: Nft, inside: NftablesInside) -> None:
    line = inside.learner("example.org", 443, "tcp")
    assert line.startswith("nftset=/example.org/4#inet#filter#ibm_quantum_tcp443_v4_0,")
    assert "6#inet#filter#ibm_quantum_tcp443_v6_1" in line and "6#ip#" not in line
    filled = RULES._replace(filled=True, resolver=7)
    inside.load(inside.render(filled))
    inside.sweep(filled, 0)
    live = inside.inspect()
    assert live is not None and live.learnt == RULES.learnt
    inside.sweep(filled, 1)
    live = inside.inspect()
    assert live is not None and live.learnt == frozenset()


def test_a_bad_ruleset_changes_nothing(nft: Nft, inside: NftablesInside) -> None:
    inside.load(inside.render(RULES))
    before = ruleset(nft)
    bad = inside.render(RULES).replace("tcp dport 443", "no such thing")
    for attempt in (inside.check, inside.load):
        with pytest.raises(FirewallError, match="syntax error"):
            attempt(bad)
        assert ruleset(nft) == before
