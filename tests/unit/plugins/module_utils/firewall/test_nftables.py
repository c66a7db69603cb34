# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Iterator

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables import Nftables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination, Rules
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
    assert (
        "set tcp4 { type ipv4_addr . inet_service; elements = { 198.51.100.2 . 443, 198.51.100.10 . 443 }; }"
        in lines(RULES)
    )


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
def nft() -> Iterator[Nftables]:
    """The real command, in a network namespace of its own."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "nft"))):
        pytest.skip("needs root, util-linux and nftables")
    holder = subprocess.Popen(
        ["unshare", "--net", sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(300)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip("no network namespaces here")
        yield Nftables(["nsenter", "--net", f"--target={holder.pid}", shutil.which("nft") or "nft"])
    finally:
        holder.kill()
        holder.wait(10)


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
