# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables import Nftables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination, Rules, Service
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError

RULES = Rules(
    mode="enforce",
    management_ports=(22, 2222),
    ntp=True,
    fixed=(Destination("192.0.2.0/24", 80, "tcp"), Destination("2001:db8::/32", 53, "udp")),
    learnt=frozenset(
        {
            Destination("198.51.100.2", 443, "tcp"),
            Destination("198.51.100.10", 443, "tcp"),
            Destination("2001:db8::7", 443, "tcp"),
            Destination("::ffff:198.51.100.1", 123, "udp"),
        }
    ),
    dns_servers=frozenset({"198.51.100.53", "2001:db8::53"}),
    services=(Service(123, "udp"), Service(443, "tcp")),
)
BARE = Rules("audit", (), False, (), frozenset(), frozenset())


def lines(rules: Rules) -> list[str]:
    return [line.strip() for line in Nftables(["nft"]).render(rules).splitlines()]


def test_the_management_port_comes_before_connection_tracking() -> None:
    text = lines(RULES)
    port = text.index("tcp sport { 22, 2222 } tcp flags & (fin | syn | rst | ack) != syn accept")
    assert port < text.index("ct state established,related accept")
    assert not any(line.startswith("tcp sport") for line in lines(BARE))


def test_the_mode_decides_the_end_of_the_chain() -> None:
    assert lines(RULES)[-4:-2] == ["counter name blocked", "reject with icmpx type admin-prohibited"]
    assert lines(BARE)[-3] == "counter name would_block" and "reject" not in " ".join(lines(BARE))


def test_equal_rules_give_equal_text() -> None:
    again = RULES._replace(
        learnt=frozenset(sorted(RULES.learnt, reverse=True)), dns_servers=frozenset(sorted(RULES.dns_servers))
    )
    assert lines(RULES) == lines(again)
    assert "set tcp443_v4_0 { type ipv4_addr; elements = { 198.51.100.2, 198.51.100.10 }; }" in lines(RULES)


def test_failures_say_what_to_do() -> None:
    for text, remedy in {
        "Error: Operation not permitted": "needs root",
        "netlink: cache initialization failed: Protocol not supported": "no nf_tables",
        "Error: JSON support not compiled-in": "package nftables",
    }.items():
        with pytest.raises(FirewallError, match=remedy):
            Nftables(["sh", "-c", f"echo '{text}' >&2; exit 1", "nft"]).inspect()
    with pytest.raises(FirewallError, match="could not be run"):
        Nftables(["/nonexistent/nft"]).inspect()


@pytest.fixture
def nft(nft_command: list[str]) -> Nftables:
    return Nftables(nft_command)


@pytest.mark.parametrize("rules", [RULES, BARE], ids=["full", "bare"])
def test_what_is_loaded_is_seen(nft: Nftables, rules: Rules) -> None:
    assert nft.inspect() is None
    text = nft.render(rules)
    nft.check(text)
    assert nft.inspect() is None
    nft.load(text)
    live = nft.inspect()
    assert live is not None
    plain = frozenset(d._replace(host=d.host.replace("::ffff:198.51.100.1", "::ffff:c633:6401")) for d in rules.learnt)
    if sys.version_info >= (3, 13):
        plain = rules.learnt
    assert (live.learnt, live.dns_servers) == (plain, rules.dns_servers)
    assert set(live.counters) == {"allowed", "blocked" if rules.mode == "enforce" else "would_block"}
    nft.load(text)
    assert nft.inspect() == live
    nft.load(nft.nothing)
    assert nft.inspect() is None
    nft.load(nft.nothing)


def test_an_update_moves_addresses_and_nothing_else(nft: Nftables) -> None:
    nft.load(nft.render(RULES))
    before = nft.inspect()
    moved = RULES._replace(learnt=frozenset({Destination("203.0.113.1", 443, "tcp")}), dns_servers=frozenset())
    nft.update(moved)
    after = nft.inspect()
    assert before is not None and after is not None
    assert after == before._replace(learnt=moved.learnt, dns_servers=moved.dns_servers)
    nft.load(nft.render(moved))
    assert nft.inspect() == after


def test_the_fingerprint_tells_a_changed_rule(nft: Nftables) -> None:
    seen = set()
    for rules in (
        RULES,
        BARE,
        RULES._replace(ntp=False),
        RULES._replace(management_ports=(22,)),
        RULES._replace(fixed=()),
    ):
        nft.load(nft.render(rules))
        live = nft.inspect()
        assert live is not None
        seen.add(live.fingerprint)
    assert len(seen) == 5


def test_a_save_restores_exactly(nft: Nftables) -> None:
    nft.load(nft.save())
    assert nft.inspect() is None
    nft.load(nft.render(RULES))
    live, saved = nft.inspect(), nft.save()
    nft.load(nft.render(BARE))
    nft.load(saved)
    assert nft.inspect() == live
    nft.load(nft.render(RULES))
    assert nft.inspect() == live


def test_a_bad_ruleset_changes_nothing(nft: Nftables) -> None:
    nft.load(nft.render(RULES))
    live = nft.inspect()
    bad = nft.nothing + "table inet ibm_quantum { chain c { no such thing } }\n"
    for attempt in (nft.check, nft.load):
        with pytest.raises(FirewallError, match="syntax error"):
            attempt(bad)
        assert nft.inspect() == live


DNS = RULES._replace(filled=True, resolver=5)


def test_dnsmasq_fills_sets_of_two_generations(nft: Nftables) -> None:
    assert nft.learner("example.org", 443, "tcp") == "nftset=/example.org/" + ",".join(
        f"{version}#inet#ibm_quantum#tcp443_v{version}_{generation}" for version in (4, 6) for generation in (0, 1)
    )
    nft.load(nft.render(DNS))
    before = nft.inspect()
    found = Destination("203.0.113.9", 443, "tcp")
    for generation in (0, 1):
        nft.load(f"add element inet ibm_quantum tcp443_v4_{generation} {{ {found.host} }}\n")
    nft.update(DNS)  # does not take away what dnsmasq found
    nft.sweep(DNS, 0)
    live = nft.inspect()
    assert before is not None and live is not None
    assert live.learnt == before.learnt | {found} and live.fingerprint == before.fingerprint
    nft.sweep(DNS, 1)
    live = nft.inspect()
    assert live is not None and live.learnt == frozenset()
    assert "meta skuid 5 ip daddr @dns_v4 udp dport 53 accept" in lines(DNS)


def test_a_scope_limits_whom_the_rules_hold_for(nft: Nftables) -> None:
    scoped = RULES._replace(users=(1000,), groups=(7, 8), slices=("a-b.slice",))
    text = lines(scoped)
    hook = text.index("type filter hook output priority 10; policy accept;")
    assert text[hook + 1 : hook + 5] == [
        "meta skuid 1000 goto limited",
        "meta skgid 7 goto limited",
        "meta skgid 8 goto limited",
        'socket cgroupv2 level 2 "a.slice/a-b.slice" goto limited',
    ]
    assert text.index("chain limited {") < hook and "reject with icmpx type admin-prohibited" in text[:hook]
    nft.load(nft.render(scoped._replace(slices=())))
    assert nft.inspect() is not None
    with pytest.raises(
        FirewallError,
        match=r"only_slices: (not all of a-b.slice are there.* \(systemctl start a-b.slice\)|needs nft 0.9.9)",
    ):
        nft.check(nft.render(scoped))


def test_an_nft_that_knows_no_control_groups_is_told_clearly() -> None:
    old = "Error: syntax error, unexpected string, expecting transparent or wildcard or mark"
    with pytest.raises(FirewallError, match="only_slices: needs nft 0.9.9"):
        Nftables(["sh", "-c", f"cat >/dev/null; echo '{old}' >&2; exit 1", "nft"]).check(
            Nftables(["nft"]).render(RULES._replace(slices=("a.slice",)))
        )
