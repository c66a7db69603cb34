# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import iptables as subject
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.iptables import Iptables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination, Rules, Service
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.ufw import Ufw

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
        }
    ),
    dns_servers=frozenset({"198.51.100.53", "2001:db8::53"}),
    services=(Service(123, "udp"), Service(443, "tcp")),
)
AUDIT = Rules("audit", (), False, (), frozenset(), frozenset())
ALLOW = RULES._replace(mode="allow", ntp=False, fixed=())
LONGEST = Service(65535, "udp")


def part(name: str, rules: Rules) -> list[str]:
    """What one of the functions of a ruleset prints."""
    found = re.search(rf"(?ms)^{name}\(\) \{{ cat <<'END'\n(.*?)^END$", Iptables().render(rules))
    assert found
    return found[1].splitlines()


# --- the text ---------------------------------------------------------------------------------------------------------


def test_sets_and_members() -> None:
    assert part("sets", RULES) == [
        f"create ibm_quantum_{name} maxelem 1048576"
        for name in (
            "dns_v4 hash:ip family inet",
            "dns_v6 hash:ip family inet6",
            "udp123_v4_0 hash:ip family inet",
            "udp123_v6_0 hash:ip family inet6",
            "tcp443_v4_0 hash:ip family inet",
            "tcp443_v6_0 hash:ip family inet6",
            "tcp80_n4 hash:net family inet",
            "udp53_n6 hash:net family inet6",
        )
    ]
    assert part("members", RULES) == [
        "add ibm_quantum_dns_v4 198.51.100.53",
        "add ibm_quantum_dns_v6 2001:db8::53",
        "add ibm_quantum_tcp443_v4_0 198.51.100.10",
        "add ibm_quantum_tcp443_v4_0 198.51.100.2",
        "add ibm_quantum_tcp443_v6_0 2001:db8::7",
        "add ibm_quantum_tcp80_n4 192.0.2.0/24",
        "add ibm_quantum_udp53_n6 2001:db8::/32",
    ]


def test_what_may_leave_returns_and_the_rest_is_rejected() -> None:
    rule = "-A IBM_QUANTUM_RULES "
    assert part("chains4", RULES) == [
        ":IBM_QUANTUM - [0:0]",
        ":IBM_QUANTUM_RULES - [0:0]",
        "-A IBM_QUANTUM -g IBM_QUANTUM_RULES",
        rule + "-o lo -j RETURN",
        rule + "-p tcp -m tcp --sport 22 ! --syn -j RETURN",
        rule + "-p tcp -m tcp --sport 2222 ! --syn -j RETURN",
        rule + "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        rule + "-p icmp -m icmp --icmp-type 3 -j RETURN",
        rule + "-p icmp -m icmp --icmp-type 11 -j RETURN",
        rule + "-p icmp -m icmp --icmp-type 12 -j RETURN",
        rule + "-p udp -m udp --sport 68 --dport 67 -j RETURN",
        rule + "-p tcp -m tcp --dport 53 -m set --match-set ibm_quantum_dns_v4 dst -j RETURN",
        rule + "-p udp -m udp --dport 53 -m set --match-set ibm_quantum_dns_v4 dst -j RETURN",
        rule + "-p udp -m udp --dport 123 -j RETURN",
        rule + "-p udp -m udp --dport 123 -m set --match-set ibm_quantum_udp123_v4_0 dst "
        "-m comment --comment allowed -j RETURN",
        rule + "-p tcp -m tcp --dport 443 -m set --match-set ibm_quantum_tcp443_v4_0 dst "
        "-m comment --comment allowed -j RETURN",
        rule + "-p tcp -m tcp --dport 80 -m set --match-set ibm_quantum_tcp80_n4 dst "
        "-m comment --comment allowed -j RETURN",
        rule + "-m comment --comment blocked -j REJECT --reject-with icmp-admin-prohibited",
    ]
    six = part("chains6", RULES)
    assert six[-1] == rule + "-m comment --comment blocked -j REJECT --reject-with icmp6-adm-prohibited"
    assert six[-2].startswith(rule + "-p udp -m udp --dport 53 -m set --match-set ibm_quantum_udp53_n6 dst")
    assert not any("_v4" in line or "_n4" in line or " icmp " in line for line in six)


def test_audit_counts_and_allow_accepts_the_endpoints_only() -> None:
    for name in ("chains4", "chains6"):
        assert part(name, AUDIT)[-1] == "-A IBM_QUANTUM_RULES -m comment --comment would_block"
        assert not any("REJECT" in line or "--sport 22" in line for line in part(name, AUDIT))
    lines = [line[len("-A IBM_QUANTUM_RULES ") :] for line in part("chains4", ALLOW)[3:]]
    assert lines == [
        "-p tcp -m tcp --sport 22 ! --syn -j ACCEPT",
        "-p tcp -m tcp --sport 2222 ! --syn -j ACCEPT",
        "-p tcp -m tcp --dport 53 -m set --match-set ibm_quantum_dns_v4 dst -j ACCEPT",
        "-p udp -m udp --dport 53 -m set --match-set ibm_quantum_dns_v4 dst -j ACCEPT",
        "-p udp -m udp --dport 123 -m set --match-set ibm_quantum_udp123_v4_0 dst"
        " -m comment --comment allowed -j ACCEPT",
        "-p tcp -m tcp --dport 443 -m set --match-set ibm_quantum_tcp443_v4_0 dst"
        " -m comment --comment allowed -j ACCEPT",
    ]


def test_whom_it_holds_for() -> None:
    limited = RULES._replace(users=(1000,), groups=(100,), slices=("a-b.slice", "x\\x2dy.slice"))
    assert [line for line in part("chains6", limited) if line.startswith("-A IBM_QUANTUM ")] == [
        "-A IBM_QUANTUM -m owner --uid-owner 1000 -g IBM_QUANTUM_RULES",
        "-A IBM_QUANTUM -m owner --gid-owner 100 -g IBM_QUANTUM_RULES",
        '-A IBM_QUANTUM -m cgroup --path "a.slice/a-b.slice" -g IBM_QUANTUM_RULES',
        '-A IBM_QUANTUM -m cgroup --path "x\\\\x2dy.slice" -g IBM_QUANTUM_RULES',
    ]


def test_with_dnsmasq_both_generations_hold_and_only_it_asks() -> None:
    text = Iptables().render(RULES._replace(filled=True, resolver=105))
    for generation in (0, 1):
        assert f"add ibm_quantum_tcp443_v4_{generation} 198.51.100.2\n" in text
        assert f"--match-set ibm_quantum_tcp443_v6_{generation} dst" in text
    asks = [line for line in text.splitlines() if "--dport 53 -m set --match-set ibm_quantum_dns" in line]
    assert len(asks) == 4 and all("-m owner --uid-owner 105 -j RETURN" in line for line in asks)
    assert Iptables().learner("iam.cloud.ibm.com", 443, "tcp") == (
        "ipset=/iam.cloud.ibm.com/ibm_quantum_tcp443_v4_0,ibm_quantum_tcp443_v4_1,"
        "ibm_quantum_tcp443_v6_0,ibm_quantum_tcp443_v6_1"
    )


@pytest.mark.parametrize("kind", [Iptables, Ufw])
def test_names_fit_into_the_kernel(kind: type[Iptables]) -> None:
    fixed = (Destination("2001:db8::/32", *LONGEST), Destination("192.0.2.0/24", *LONGEST))
    text = kind().render(RULES._replace(services=(LONGEST,), learnt=frozenset(), fixed=fixed, filled=True))
    names = set(re.findall(r"(?m)^create (\S+)", text))
    assert len(names) == 8 and max(map(len, names)) <= 31  # a set that is built aside has a name of the same length
    assert max(map(len, re.findall(r"(?m)^:(\S+) -", text))) <= 28
    assert not names & set(re.findall(r"(?m)^create (\S+)", (Ufw if kind is Iptables else Iptables)().render(RULES)))


def test_the_network_of_everything_is_two_halves() -> None:
    members = part(
        "members", AUDIT._replace(fixed=(Destination("0.0.0.0/0", 80, "tcp"), Destination("::/0", 80, "tcp")))
    )
    assert [line.split()[2] for line in members] == ["0.0.0.0/1", "128.0.0.0/1", "8000::/1", "::/1"]


def test_equal_rules_give_equal_text() -> None:
    again = RULES._replace(learnt=frozenset(sorted(RULES.learnt)), fixed=RULES.fixed[::-1])
    assert Iptables().render(again) == Iptables().render(RULES)


# --- the host ---------------------------------------------------------------------------------------------------------


def test_the_service_that_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subject, "_UNITS", (str(tmp_path),))
    assert Iptables().service is None
    for name in ("iptables.service", "netfilter-persistent.service"):
        (tmp_path / name).touch()
        assert Iptables().service == name
        monkeypatch.setattr(subject.os.path, "isdir", lambda path: True)
        files = Iptables().files(RULES)
        assert set(files) <= set(Iptables().paths())
        assert files[f"/etc/systemd/system/{name}.wants/ibm-quantum-egress-sets.service"]
    assert Ufw().service == "ufw.service" and not Ufw().files(RULES)
    assert Iptables().boot_command("/var/lib/x") == "/bin/sh /var/lib/x"


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        subject.shutil, "which", lambda command, path: None if command == "ipset" else "/sbin/" + command
    )
    assert Iptables().missing() == "not on this host: ipset: install the packages iptables and ipset"
    assert Ufw().missing() == "not on this host: ipset: install the packages ufw and ipset"
    monkeypatch.setattr(subject.shutil, "which", lambda command, path: None)
    assert "the command ufw is not on this host" in (Ufw().missing() or "")


def test_failures_say_what_to_do() -> None:
    def said(text: str, ruleset: str = "") -> str:
        with pytest.raises(FirewallError) as caught:
            Iptables(["sh", "-c", 'cat >/dev/null; echo "$0" >&2; exit 4', text]).load(ruleset)
        assert caught.value.reason == "provider_failed"
        return str(caught.value)

    assert "needs root" in said(
        "iptables-save v1.8.9 (nf_tables): Could not fetch: Permission denied (you must be root)"
    )
    assert "load the modules" in said("ipset v7.17: Cannot open session to kernel.")
    assert "provider=nftables" in said("# Table `filter' is incompatible, use 'nft' tool.")
    assert "only_slices" in said("line 6: RULE_APPEND failed (Invalid argument)", "-A X -m cgroup --path y")
    assert "only_slices" not in said("line 6: RULE_APPEND failed (Invalid argument)")
    with pytest.raises(FirewallError, match="could not be run"):
        Iptables(["/nonexistent/nsenter"]).inspect()


def canned(*sections: tuple[str, str]) -> Iptables:
    """One whose host shows these sections."""
    text = "".join(f"> {name}\n{body}" for name, body in sections)
    return Iptables(["sh", "-c", 'cat >/dev/null; printf "%s" "$0"', text])


SAVED = """\
# Warning: iptables-legacy tables present, use iptables-legacy-save to see them
# Generated by iptables-save v1.8.7 on Sun Nov 22 19:03:52 2026
*filter
:OUTPUT ACCEPT [10:20]
:IBM_QUANTUM - [0:0]
:IBM_QUANTUM_RULES - [0:0]
[7:70] -A OUTPUT -j IBM_QUANTUM
[1:2] -A OUTPUT -p tcp -m tcp --dport 9 -j ACCEPT
[7:70] -A IBM_QUANTUM -g IBM_QUANTUM_RULES
[3:30] -A IBM_QUANTUM_RULES -m set --match-set ibm_quantum_tcp443_v4_0 dst -m comment --comment allowed -j RETURN
[1:10] -A IBM_QUANTUM_RULES -m set --match-set ibm_quantum_tcp443_v4_1 dst -m comment --comment "allowed" -j RETURN
[2:20] -A IBM_QUANTUM_RULES -m comment --comment blocked -j REJECT --reject-with icmp-admin-prohibited
COMMIT
"""
SETS = """\
create ibm_quantum_dns_v4 hash:ip family inet hashsize 1024 maxelem 1048576 bucketsize 12 initval 0x1
add ibm_quantum_dns_v4 198.51.100.53
create ibm_quantum_tcp443_v4_0 hash:ip family inet hashsize 1024 maxelem 1048576
add ibm_quantum_tcp443_v4_0 198.51.100.2
create ibm_quantum_tcp80_n4 hash:net family inet hashsize 1024 maxelem 1048576
add ibm_quantum_tcp80_n4 192.0.2.0/24
"""


@pytest.mark.parametrize("command", ["iptables", "iptables-legacy"])
def test_a_listing_is_read(command: str) -> None:
    live = canned((command, SAVED), ("ipset", SETS)).inspect()
    assert live is not None
    assert live.learnt == {Destination("198.51.100.2", 443, "tcp")} and live.dns_servers == {"198.51.100.53"}
    assert live.counters == {"allowed": {"packets": 4, "bytes": 40}, "blocked": {"packets": 2, "bytes": 20}}


def test_counts_and_addresses_are_not_in_the_fingerprint_and_all_else_is() -> None:
    def fingerprint(saved: str = SAVED, sets: str = SETS) -> str:
        live = canned(("iptables", saved), ("ip6tables", ""), ("ipset", sets)).inspect()
        assert live is not None
        return live.fingerprint

    same = fingerprint()
    assert (
        fingerprint(SAVED.replace("[3:30]", "[4:40]").replace("[10:20]", "[11:21]").replace("--dport 9", "--dport 8"))
        == same
    )
    assert fingerprint(sets=SETS.replace("198.51.100.", "203.0.113.").replace("hashsize 1024", "hashsize 64")) == same
    jump, *_rest = re.findall(r"\[7:70\] -A OUTPUT.*\n", SAVED)
    moved = SAVED.replace(jump, "").replace("-j ACCEPT\n", "-j ACCEPT\n" + jump)
    others = [
        fingerprint(SAVED.replace(jump, "")),
        fingerprint(SAVED.replace(jump, jump + jump)),
        fingerprint(moved),
        fingerprint(SAVED.replace("-j REJECT", "-j DROP")),
        fingerprint(sets=SETS.replace("192.0.2.0/24", "192.0.2.0/25")),
        fingerprint(sets=SETS + "create ibm_quantum+dns_v4 hash:ip family inet\n"),
    ]
    assert same not in others and len(set(others)) == len(others)


def test_nothing_of_ours_is_nothing() -> None:
    foreign = re.sub(".*IBM_QUANTUM.*\n", "", SAVED)
    assert canned(("iptables", foreign), ("ip6tables", ""), ("ipset", "")).inspect() is None
    assert canned(("iptables", foreign), ("ipset", "create ibm_quantum_dns_v4 hash:ip family inet\n")).inspect()


@pytest.mark.parametrize(
    ("saved", "blocks"),
    [
        (":OUTPUT ACCEPT [0:0]\n[0:0] -A INPUT -j DROP\n", False),
        (":OUTPUT DROP [0:0]\n", True),
        (":OUTPUT ACCEPT [0:0]\n[0:0] -A OUTPUT -p tcp -j REJECT --reject-with tcp-reset\n", True),
        (
            ":OUTPUT ACCEPT [0:0]\n[0:0] -A OUTPUT -j a\n[0:0] -A a -p udp -g b\n[0:0] -A b -j DROP\n[0:0] -A b -j a\n",
            True,
        ),
        (":OUTPUT ACCEPT [0:0]\n[0:0] -A OUTPUT -j IBM_QUANTUM\n[0:0] -A IBM_QUANTUM -j DROP\n", False),
    ],
)
def test_allow_wants_a_host_that_blocks(saved: str, blocks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject.shutil, "which", lambda command, path: None)
    provider = canned(("iptables", saved), ("ipset", ""))
    provider.check(provider.render(RULES))
    if blocks:
        provider.check(provider.render(ALLOW))
    else:
        with pytest.raises(FirewallError, match="mode=enforce") as caught:
            provider.check(provider.render(ALLOW))
        assert caught.value.reason == "nothing_blocks"


# --- the real commands ------------------------------------------------------------------------------------------------

#: In a network of its own, with an /etc of its own, in which "iptables" is the kind that is wanted.
ALONE = """
mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" &&
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc || exit 1
for command in iptables ip6tables; do
    for end in '' -save -restore; do
        ln -sf "$(command -v $command-$2$end)" /etc/alternatives/$command$end || exit 1
    done
done
echo ready
exec sleep 300
"""


class Alone:
    """A place for the real commands."""

    def __init__(self, prefix: list[str]) -> None:
        self.prefix = prefix

    def run(self, script: str) -> str:
        done = subprocess.run(
            [*self.prefix, "sh", "-ec", script], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (script, done.stderr)
        return done.stdout

    def foreign(self) -> None:
        for command in ("iptables", "ip6tables"):
            self.run(
                f"{command} -N mine; {command} -A mine -j RETURN; {command} -A OUTPUT -p tcp --dport 9 -j DROP;"
                f"{command} -A OUTPUT -j mine; {command} -P FORWARD DROP; {command} -A INPUT -p tcp --dport 8 -j DROP"
            )
        self.run("ipset create foreign hash:ip; ipset add foreign 192.0.2.1")

    def everything(self) -> str:
        script = "for c in iptables ip6tables; do for k in nft legacy; do $c-$k-save; done; done; ipset save"
        return re.sub(r"(?m)^#.*\n|\[\d+:\d+\]", "", self.run(script))

    def outputs(self, command: str = "iptables") -> list[str]:
        return [line for line in self.run(f"{command}-save").splitlines() if line.startswith("-A OUTPUT")]


@pytest.fixture(params=["nft", "legacy"])
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Alone]:
    commands = (
        "unshare",
        "nsenter",
        "ipset",
        f"iptables-{request.param}-restore",
        f"ip6tables-{request.param}-restore",
    )
    lacking = [command for command in commands if not shutil.which(command)]
    if os.geteuid() != 0 or lacking:
        pytest.skip(f"needs root, and {', '.join(lacking) or 'nothing else'}")
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-c", ALONE, "sh", str(tmp_path), request.param],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip("no namespaces, or no overlayfs, here")
        place = Alone(["nsenter", "--net", "--mount", f"--target={holder.pid}"])
        probe = subprocess.run([*place.prefix, "iptables", "-n", "-L"], capture_output=True, text=True, check=False)
        if probe.returncode:
            pytest.skip(f"this kernel has no tables of the kind {request.param}: {probe.stderr.strip()}")
        yield place
    finally:
        holder.kill()
        holder.wait(10)


@pytest.mark.parametrize("kind", [Iptables, Ufw])
@pytest.mark.parametrize("rules", [RULES, AUDIT, ALLOW], ids=["enforce", "audit", "allow"])
def test_what_is_loaded_is_seen_and_goes_without_a_trace(alone: Alone, kind: type[Iptables], rules: Rules) -> None:
    alone.foreign()
    before = alone.everything()
    provider = kind(alone.prefix)
    provider.load(provider.nothing)
    assert provider.inspect() is None
    text = provider.render(rules)
    Iptables.check(provider, text)
    assert alone.everything() == before
    provider.load(text)
    live = provider.inspect()
    assert live is not None and (live.learnt, live.dns_servers) == (rules.learnt, rules.dns_servers)
    last = {"enforce": {"blocked"}, "audit": {"would_block"}, "allow": set()}[rules.mode]
    assert set(live.counters) == {"allowed"} | last
    jump = f"-A OUTPUT -j {kind.tag.upper()}"
    for command in ("iptables", "ip6tables"):
        assert alone.outputs(command) == [jump, "-A OUTPUT -p tcp -m tcp --dport 9 -j DROP", "-A OUTPUT -j mine"]
    provider.load(text)
    assert provider.inspect() == live
    provider.load(provider.nothing)
    provider.load(provider.nothing)
    assert alone.everything() == before


def test_a_ruleset_that_cannot_be_is_refused_beforehand(alone: Alone) -> None:
    provider, before = Iptables(alone.prefix), alone.everything()
    for wrong in (
        provider.render(RULES).replace("--icmp-type 3", "--icmp-type none-such"),
        provider.render(RULES).replace("add ibm_quantum_tcp80_n4 192.0.2.0/24", "add ibm_quantum_tcp80_n4 0.0.0.0/0"),
        provider.render(RULES).replace("--match-set ibm_quantum_dns_v4", "--match-set ibm_quantum_none"),
    ):
        with pytest.raises(FirewallError):
            provider.check(wrong)
    assert alone.everything() == before


def test_a_jump_that_is_not_first_is_put_first_and_extra_ones_go(alone: Alone) -> None:
    provider = Iptables(alone.prefix)
    provider.load(provider.render(RULES))
    good = provider.inspect()
    for spoil in (
        "iptables -I OUTPUT -p tcp --dport 7 -j ACCEPT",
        "iptables -A OUTPUT -j IBM_QUANTUM",
        "ip6tables -D OUTPUT -j IBM_QUANTUM",
        "iptables -F IBM_QUANTUM_RULES",
        "ip6tables -D OUTPUT -j IBM_QUANTUM; ip6tables -F IBM_QUANTUM; ip6tables -X IBM_QUANTUM",
        "ipset flush ibm_quantum_tcp80_n4",
    ):
        alone.run(spoil)
        assert provider.inspect() != good, spoil
        provider.load(provider.render(RULES))
        assert provider.inspect() == good, spoil
    assert alone.outputs() == ["-A OUTPUT -j IBM_QUANTUM", "-A OUTPUT -p tcp -m tcp --dport 7 -j ACCEPT"]


def test_what_a_killed_run_left_is_finished_or_taken_off(alone: Alone) -> None:
    provider = Iptables(alone.prefix)
    left = (
        "ipset create ibm_quantum+dns_v4 hash:ip maxelem 1048576; ipset add ibm_quantum+dns_v4 203.0.113.9;"
        "ipset create ibm_quantum_x hash:ip"
    )
    alone.run(left)
    assert provider.inspect() is not None
    provider.load(provider.render(RULES))
    live = provider.inspect()
    assert live is not None and live.dns_servers == RULES.dns_servers
    assert "+" not in alone.run("ipset list -name") and "ibm_quantum_x" not in alone.run("ipset list -name")
    provider.load(provider.nothing)
    alone.run(left)
    provider.load(provider.nothing)
    assert provider.inspect() is None and "ibm_quantum" not in alone.everything().lower()


def test_an_update_moves_addresses_and_nothing_else(alone: Alone) -> None:
    provider = Iptables(alone.prefix)
    provider.load(provider.render(RULES))
    before = provider.inspect()
    moved = RULES._replace(
        learnt=frozenset({Destination("203.0.113.1", 443, "tcp")}), dns_servers=frozenset({"::1:53"})
    )
    provider.update(moved)
    after = provider.inspect()
    assert before is not None
    assert after == before._replace(learnt=moved.learnt, dns_servers=moved.dns_servers)
    provider.load(provider.render(moved))
    assert provider.inspect() == after


def test_what_dnsmasq_added_stays_until_its_generation_is_swept(alone: Alone) -> None:
    provider, filled = Iptables(alone.prefix), RULES._replace(filled=True)
    provider.load(provider.render(filled))
    found = Destination("203.0.113.1", 443, "tcp")
    alone.run("for g in 0 1; do ipset add ibm_quantum_tcp443_v4_$g 203.0.113.1; done")
    provider.update(filled._replace(learnt=frozenset()))
    live = provider.inspect()
    assert live is not None and live.learnt == RULES.learnt | {found}
    provider.sweep(filled, 0)
    live = provider.inspect()
    assert live is not None and live.learnt == RULES.learnt | {found}
    provider.sweep(filled, 1)
    live = provider.inspect()
    assert live is not None and not live.learnt and live.dns_servers == RULES.dns_servers


@pytest.mark.parametrize("rules", [RULES, AUDIT], ids=["enforce", "audit"])
def test_a_save_restores_exactly(alone: Alone, rules: Rules) -> None:
    provider = Iptables(alone.prefix)
    provider.load(provider.save())
    assert provider.inspect() is None
    provider.load(provider.render(rules))
    live, saved = provider.inspect(), provider.save()
    provider.load(provider.render(RULES._replace(management_ports=(), fixed=(), services=(), learnt=frozenset())))
    assert provider.inspect() != live
    provider.load(saved)
    assert provider.inspect() == live


def test_rules_of_the_other_kind_are_found_restored_and_removed(alone: Alone) -> None:
    provider, before = Iptables(alone.prefix), alone.everything()
    provider.load(provider.render(RULES))
    other = "legacy" if "nf_tables" in alone.run("iptables --version") else "nft"
    switch = "for c in iptables ip6tables; do for e in '' -save -restore; do "
    switch += f"ln -sf $(command -v $c-{other}$e) /etc/alternatives/$c$e; done; done"
    alone.run(switch)
    stale, saved = provider.inspect(), provider.save()
    assert stale is not None and stale.learnt == RULES.learnt
    provider.load(provider.render(RULES))
    live = provider.inspect()
    assert (
        live is not None
        and live != stale
        and f"({other.replace('nft', 'nf_tables')})" in alone.run("iptables --version")
    )
    assert alone.everything().count("-A OUTPUT -j IBM_QUANTUM\n") == 2
    provider.load(saved)
    assert alone.everything().count("-A IBM_QUANTUM_RULES -o lo -j RETURN\n") == 2
    provider.load(provider.nothing)
    assert "IBM_QUANTUM" not in alone.everything() and before.count("IBM_QUANTUM") == 0


def test_rules_that_somebody_saved_can_be_restored_at_boot(alone: Alone) -> None:
    alone.foreign()
    provider = Iptables(alone.prefix)
    provider.load(provider.render(RULES))
    alone.run(
        "mkdir -p /etc/iptables; iptables-save -c >/etc/iptables/rules.v4; ip6tables-save >/etc/iptables/rules.v6"
    )
    provider.load(provider.nothing)
    four, six = alone.run("cat /etc/iptables/rules.v4"), alone.run("cat /etc/iptables/rules.v6")
    assert "IBM_QUANTUM" not in four + six and "-A OUTPUT -j mine" in four and "-A OUTPUT -j mine" in six
    # Saved while in force, and now the host boots: the boot unit's first half, the restore, the boot unit.
    provider.load(provider.render(RULES))
    good = provider.inspect()
    alone.run("iptables-save >/etc/iptables/rules.v4")
    provider.load(provider.nothing.partition("# Rules that somebody")[0])
    ruleset = alone.run("mktemp").strip()
    subprocess.run(
        [*alone.prefix, "tee", ruleset], input=provider.render(RULES), text=True, check=True, capture_output=True
    )
    alone.run(f"sh {ruleset} sets; iptables-restore </etc/iptables/rules.v4; sh {ruleset}; rm {ruleset}")
    assert provider.inspect() == good


def test_a_thousand_networks_in_one_load(alone: Alone) -> None:
    provider = Iptables(alone.prefix)
    many = tuple(Destination(f"10.{n // 256}.{n % 256}.0/24", 443, "tcp") for n in range(0, 2000, 2))
    provider.load(provider.render(RULES._replace(fixed=many)))
    assert alone.run("ipset save ibm_quantum_tcp443_n4").count("\nadd ") == 1000


def test_a_slice_can_be_named_once_it_is_there(alone: Alone) -> None:
    tops = [Path(top) for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") if Path(top, "cgroup.procs").exists()]
    if not tops or not os.access(tops[0], os.W_OK):
        pytest.skip("needs control groups v2, writable")
    provider, top = Iptables(alone.prefix), tops[0] / "ibmqtest.slice"
    text = provider.render(RULES._replace(slices=("ibmqtest.slice",)))
    with pytest.raises(FirewallError, match="only_slices"):
        provider.check(text)
    top.mkdir()
    try:
        try:
            provider.load(text)
        except FirewallError:
            pytest.skip("this machine's control groups are below those of another")
        assert '--path "ibmqtest.slice" -g' in alone.run("iptables-save")
        provider.load(provider.save())
        provider.load(provider.nothing)
    finally:
        top.rmdir()
