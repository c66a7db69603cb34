# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Sequence
from xml.etree import ElementTree

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import command, firewalld, firewalld_files
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.firewalld import Firewalld
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination, Rules, Service
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError

RULES = Rules(
    mode="enforce",
    management_ports=(22, 2222),
    ntp=True,
    fixed=(
        Destination("192.0.2.0/25", 80, "tcp"),
        Destination("192.0.2.128/25", 80, "tcp"),
        Destination("203.0.113.1", 80, "tcp"),
        Destination("2001:db8::/32", 53, "udp"),
    ),
    learnt=frozenset({Destination("198.51.100.10", 443, "tcp"), Destination("198.51.100.2", 443, "tcp")}),
    dns_servers=frozenset({"198.51.100.53", "2001:db8::53"}),
    services=(Service(443, "tcp"),),
)
MOVED = RULES._replace(
    learnt=frozenset({Destination("198.51.100.2", 443, "tcp"), Destination("2001:db8::7", 443, "tcp")})
)
POLICY = """\
<?xml version="1.0" encoding="utf-8"?>
<!-- Written by the Ansible collection ibm_quantum.platform. -->
<policy target="CONTINUE" priority="-32768">
  <ingress-zone name="HOST"/>
  <egress-zone name="ANY"/>
  <rule><source-port port="22" protocol="tcp"/><accept/></rule>
  <rule family="ipv4"><icmp-type name="destination-unreachable"/><accept/></rule>
  <rule family="ipv4"><icmp-type name="time-exceeded"/><accept/></rule>
  <rule family="ipv4"><icmp-type name="parameter-problem"/><accept/></rule>
  <rule family="ipv6"><icmp-type name="destination-unreachable"/><accept/></rule>
  <rule family="ipv6"><icmp-type name="time-exceeded"/><accept/></rule>
  <rule family="ipv6"><icmp-type name="parameter-problem"/><accept/></rule>
  <rule family="ipv6"><icmp-type name="packet-too-big"/><accept/></rule>
  <rule family="ipv6"><icmp-type name="router-solicitation"/><accept/></rule>
  <rule family="ipv6"><icmp-type name="neighbour-solicitation"/><accept/></rule>
  <rule family="ipv6"><icmp-type name="neighbour-advertisement"/><accept/></rule>
  <rule family="ipv6"><destination address="ff02::/16"/><protocol value="ipv6-icmp"/><accept/></rule>
  <rule family="ipv4"><source-port port="68" protocol="udp"/><accept/></rule>
  <rule family="ipv6"><source-port port="546" protocol="udp"/><accept/></rule>
  <rule family="ipv4"><destination ipset="ibm-quantum-dns-v4"/><port port="53" protocol="tcp"/><accept/></rule>
  <rule family="ipv4"><destination ipset="ibm-quantum-dns-v4"/><port port="53" protocol="udp"/><accept/></rule>
  <rule family="ipv6"><destination ipset="ibm-quantum-dns-v6"/><port port="53" protocol="tcp"/><accept/></rule>
  <rule family="ipv6"><destination ipset="ibm-quantum-dns-v6"/><port port="53" protocol="udp"/><accept/></rule>
  <rule family="ipv4"><destination ipset="ibm-quantum-tcp443-v4"/><port port="443" protocol="tcp"/><accept/></rule>
  <rule family="ipv6"><destination ipset="ibm-quantum-tcp443-v6"/><port port="443" protocol="tcp"/><accept/></rule>
</policy>
"""
REJECTS = [
    '  <rule priority="32767" family="ipv4"><reject type="icmp-admin-prohibited"/></rule>',
    '  <rule priority="32767" family="ipv6"><reject type="icmp6-adm-prohibited"/></rule>',
]
REJECTED = [
    'rule priority="32767" family="ipv4" reject type="icmp-admin-prohibited"',
    'rule priority="32767" family="ipv6" reject type="icmp6-adm-prohibited"',
]
OWN_POLICY = {"short": {"type": "s", "data": "own"}, "ports": {"type": "a(ss)", "data": [["80", "tcp"]]}}


class Daemon:
    """A firewalld that is played: it reads its files when it is told to reload, and only then."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[str] = []
        self.policy: dict[str, Any] | None = None
        self.sets: dict[str, set[str]] = {}
        self.read: dict[str, str] = {}
        self.fail_reload = 0
        self.version = "1.3.3"
        self.backend = "nftables"
        self.table = True
        #: Kind, name: (at runtime, on disk).
        self.others: dict[tuple[str, str], tuple[Any, Any]] = {
            ("zone", "public"): ({}, {}),
            ("policy", "own"): (OWN_POLICY, OWN_POLICY),
        }
        self.direct: tuple[list[Any], list[Any]] = ([[], [], []], [[], [], []])
        for folder in ("policies", "ipsets"):
            (root / "etc/firewalld" / folder).mkdir(parents=True)
        units = root / "run/systemd/units"
        units.mkdir(parents=True)
        os.symlink("0123", units / "invocation:firewalld.service")

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        words = list(command)
        if words[0] == "nft":
            if not self.table:
                return subprocess.CompletedProcess(words, 1, "", "Error: No such file or directory")
            return subprocess.CompletedProcess(words, 0, json.dumps({"nftables": self.listing()}), "")
        if words[0] == "firewall-offline-cmd":
            copy = Path(words[1].partition("=")[2])
            self.calls.append("validate " + " ".join(sorted(p.name for p in copy.glob("*/*.xml"))))
            return subprocess.CompletedProcess(words, 0, "success\n", "")
        if words[2] == "get-property":
            found = {"version": self.version, "FirewallBackend": self.backend}[words[-1]]
            return subprocess.CompletedProcess(words, 0, json.dumps({"type": "s", "data": found}), "")
        return self.bus(words[5], words[6].rpartition("FirewallD1")[2].strip("."), words[7], words[8:])

    def bus(self, path: str, interface: str, method: str, given: list[str]) -> subprocess.CompletedProcess[str]:
        answer: Any = None
        if method == "reload":
            self.calls.append("reload")
            if self.fail_reload:
                self.fail_reload -= 1
                return subprocess.CompletedProcess([], 1, "", "Call failed: INVALID_IPSET")
            self.reload()
            return subprocess.CompletedProcess([], 0, "", "")
        if method in ("addEntry", "removeEntry"):
            name, entry = given[1:]
            self.calls.append(f"{method} {name} {entry}")
            (self.sets[name].add if method == "addEntry" else self.sets[name].remove)(entry)
            return subprocess.CompletedProcess([], 0, "", "")
        if method == "setPolicySettings":
            assert self.policy is not None
            rules = given[6 : 6 + int(given[5])]
            old = self.policy["rich_rules"]["data"]
            changes = [f"+ {rule}" for rule in rules if rule not in old] + [f"- {r}" for r in old if r not in rules]
            self.calls += changes
            self.policy["rich_rules"]["data"] = list(rules)
            return subprocess.CompletedProcess([], 0, "", "")
        if interface.endswith("direct"):
            runtime, lasting = self.direct
            which = {"getAllChains": 0, "getAllRules": 1, "getAllPassthroughs": 2}
            answer = lasting if method == "getSettings" else runtime[which[method]]
        elif method == "getPolicySettings" and given[1] == "ibm-quantum":
            answer = self.policy
        elif method.startswith("get") and method.endswith(("s", "Names")) and not given and "ettings" not in method:
            kind = {"Z": "zone", "P": "policy", "I": "ipset"}[method[3]]
            answer = [name for of, name in self.others if of == kind]
            if kind == "policy" and self.policy and interface == "policy":
                answer.append("ibm-quantum")
        elif method.endswith("ByName"):
            answer = f"/org/fedoraproject/FirewallD1/config/{method[3:-6].lower()}/{given[1]}"
        else:
            runtime_settings = not interface.startswith("config")
            kind, name = (interface, given[1]) if runtime_settings else (path.split("/")[-2], path.split("/")[-1])
            answer = self.others[kind, name][0 if runtime_settings else 1]
        return subprocess.CompletedProcess([], 0, json.dumps({"type": "?", "data": [answer]}), "")

    def reload(self) -> None:
        found = sorted((self.root / "etc/firewalld").glob("*/ibm-quantum*.xml"))
        texts = {"/" + str(p.relative_to(self.root)): p.read_text() for p in found}
        self.read = {p.name: p.read_text() for p in found}
        policy = texts.get(firewalld_files.POLICY)
        self.sets = {name: set(inside) for name, inside in firewalld_files.entries(texts).items()}
        self.policy = None
        if policy:
            settings = firewalld_files.settings(policy)
            settings["rich_rules"].reverse()  # as it likes
            self.policy = {key: {"type": "?", "data": value} for key, value in settings.items()}

    def listing(self) -> list[Any]:
        items: list[Any] = [{"metainfo": {"version": "1.0.6"}}]
        items += [{"set": {"name": n, "elem": [_as_nft(e) for e in sorted(s)]}} for n, s in self.sets.items()]
        if self.policy:
            chain = "filter_OUT_policy_ibm-quantum"
            items += [{"chain": {"name": "filter_OUTPUT"}}, {"chain": {"name": chain}}]
            items.append({"rule": {"chain": "filter_OUTPUT", "handle": 1, "expr": [{"jump": {"target": chain}}]}})
            for number, rule in enumerate(self.policy["rich_rules"]["data"]):
                steps = [{"match": rule}, {"counter": {"packets": number}}, {rule.split()[-1].split("=")[0]: None}]
                if " reject " in rule:
                    steps[-1] = {"reject": {"type": "icmp"}}
                items.append({"rule": {"chain": f"{chain}_allow", "handle": number, "expr": steps}})
        return items


def _as_nft(entry: str) -> Any:
    address, slash, length = entry.partition("/")
    return {"prefix": {"addr": address, "len": int(length)}} if slash else address


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path)


@pytest.fixture
def provider(daemon: Daemon) -> Firewalld:
    return Firewalld(daemon, str(daemon.root))


def keep(provider: Firewalld, daemon: Daemon, rules: Rules) -> None:
    """What the caller does once rules are confirmed."""
    for path, content in provider.files(rules).items():
        (daemon.root / path.lstrip("/")).write_bytes(content)


def on_disk(daemon: Daemon) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (daemon.root / "etc/firewalld").glob("*/*")}


def test_the_policy_as_it_is_written(provider: Firewalld) -> None:
    rules = RULES._replace(mode="allow", management_ports=(22,), ntp=False, fixed=())
    assert provider.files(rules)["/etc/firewalld/policies/ibm-quantum.xml"].decode() == POLICY


def test_the_mode_decides_the_end_only(provider: Firewalld) -> None:
    enforce, allow = (provider.render(RULES._replace(mode=mode)).splitlines() for mode in ("enforce", "allow"))
    assert enforce[-3:-1] == REJECTS and enforce[:-3] + enforce[-1:] == allow


def test_every_file_is_well_formed_and_comes_back_from_the_ruleset(provider: Firewalld) -> None:
    files = provider.files(RULES)
    assert firewalld_files.parse(provider.render(RULES)) == {path: text.decode() for path, text in files.items()}
    kinds = {path: ElementTree.fromstring(text).get("type") for path, text in files.items()}
    assert kinds == {
        "/etc/firewalld/policies/ibm-quantum.xml": None,
        "/etc/firewalld/ipsets/ibm-quantum-dns-v4.xml": "hash:ip",
        "/etc/firewalld/ipsets/ibm-quantum-dns-v6.xml": "hash:ip",
        "/etc/firewalld/ipsets/ibm-quantum-tcp443-v4.xml": "hash:ip",
        "/etc/firewalld/ipsets/ibm-quantum-tcp443-v6.xml": "hash:ip",
        "/etc/firewalld/ipsets/ibm-quantum-tcp80-n4.xml": "hash:net",
        "/etc/firewalld/ipsets/ibm-quantum-udp53-n6.xml": "hash:net",
    }
    entries = firewalld_files.entries(firewalld_files.parse(provider.render(RULES)))
    assert entries["ibm-quantum-tcp80-n4"] == {"192.0.2.0/24", "203.0.113.1"}  # overlaps and halves are one
    assert entries["ibm-quantum-tcp443-v4"] == {"198.51.100.2", "198.51.100.10"}


def test_equal_rules_give_equal_text(provider: Firewalld) -> None:
    again = RULES._replace(learnt=frozenset(sorted(RULES.learnt, reverse=True)))
    assert provider.render(RULES) == provider.render(again)


def test_rules_as_firewalld_says_them() -> None:
    rules = firewalld_files.settings(POLICY)["rich_rules"]
    assert 'rule source-port port="22" protocol="tcp" accept' in rules
    assert 'rule family="ipv6" destination address="ff02::/16" protocol value="ipv6-icmp" accept' in rules
    assert 'rule family="ipv4" destination ipset="ibm-quantum-tcp443-v4" port port="443" protocol="tcp" accept' in rules


def test_while_it_reloads_nothing_that_shuts_lies_on_disk(provider: Firewalld, daemon: Daemon) -> None:
    assert provider.inspect() is None
    provider.load(provider.render(RULES))
    assert len(daemon.read) == 7 and "reject" not in daemon.read["ibm-quantum.xml"]
    assert daemon.calls == ["reload", *(f"+ {rule}" for rule in REJECTED)]
    assert on_disk(daemon) == {}
    live = provider.inspect()
    assert live is not None and (live.learnt, live.dns_servers) == (RULES.learnt, RULES.dns_servers)


def test_what_was_confirmed_stays_on_disk(provider: Firewalld, daemon: Daemon) -> None:
    provider.load(provider.render(RULES))
    keep(provider, daemon, RULES)
    before = on_disk(daemon)
    del daemon.calls[:]
    provider.load(provider.render(RULES._replace(management_ports=(2200,), services=(), learnt=frozenset())))
    # Never open, never shut: what rejects, with the management ports that were confirmed, until all is in force.
    policy = daemon.read["ibm-quantum.xml"]
    assert all(line in policy for line in REJECTS) and all(f'port="{p}"' in policy for p in (22, 2222, 2200))
    assert sorted(daemon.calls, reverse=True) == [
        "reload",
        *(f'- rule source-port port="{p}" protocol="tcp" accept' for p in (2222, 22)),
    ]
    assert len(daemon.read) == 5 and on_disk(daemon) == before
    provider.load(provider.nothing)
    assert daemon.read == {} and on_disk(daemon) == before and provider.inspect() is None


def test_what_enforced_opens_at_once(provider: Firewalld, daemon: Daemon) -> None:
    keep(provider, daemon, RULES)
    provider.load(provider.render(RULES._replace(mode="allow")))
    assert "reject" not in daemon.read["ibm-quantum.xml"] and daemon.calls == ["reload"]


def test_what_is_in_force_is_not_loaded_again(provider: Firewalld, daemon: Daemon) -> None:
    provider.load(provider.nothing)
    assert daemon.calls == []
    provider.load(provider.render(RULES))
    provider.load(provider.render(RULES))
    assert daemon.calls.count("reload") == 1
    provider.load(provider.render(MOVED))
    assert daemon.calls[3:] == [
        "addEntry ibm-quantum-tcp443-v6 2001:db8::7",
        "removeEntry ibm-quantum-tcp443-v4 198.51.100.10",
    ]


def test_an_update_adds_before_it_removes(provider: Firewalld, daemon: Daemon) -> None:
    provider.load(provider.render(RULES))
    before = provider.inspect()
    provider.update(MOVED._replace(dns_servers=frozenset({"198.51.100.54"})))
    after = provider.inspect()
    assert before is not None and after is not None and before.fingerprint == after.fingerprint
    assert (after.learnt, after.dns_servers) == (MOVED.learnt, frozenset({"198.51.100.54"}))
    order = [call.split()[0] for call in daemon.calls[3:]]
    assert order == ["addEntry"] * 2 + ["removeEntry"] * 3


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.policy["rich_rules"]["data"].append("rule accept"),
        lambda d: d.policy["rich_rules"]["data"].pop(),
        lambda d: d.policy.update(ports={"type": "a(ss)", "data": [["80", "tcp"]]}),
        lambda d: d.policy["target"].update(data="ACCEPT"),
        lambda d: d.sets["ibm-quantum-tcp80-n4"].add("198.51.100.0/24"),
        lambda d: d.sets.pop("ibm-quantum-tcp80-n4"),
    ],
)
def test_what_others_edited_is_loaded_again(provider: Firewalld, daemon: Daemon, edit: Any) -> None:
    provider.load(provider.render(RULES))
    edit(daemon)
    provider.load(provider.render(RULES))
    assert daemon.calls.count("reload") == 2


def test_the_fingerprint_tells_rules_from_addresses_and_counters(provider: Firewalld) -> None:
    seen = set()
    for rules in (RULES, MOVED, RULES._replace(ntp=False), RULES._replace(mode="allow"), RULES._replace(fixed=())):
        provider.load(provider.render(rules))
        live = provider.inspect()
        assert live is not None
        seen.add(live.fingerprint)
    assert len(seen) == 4


def test_a_reload_that_fails_leaves_what_was(provider: Firewalld, daemon: Daemon) -> None:
    provider.load(provider.render(RULES))
    keep(provider, daemon, RULES)
    before, live = on_disk(daemon), provider.inspect()
    daemon.fail_reload = 1
    with pytest.raises(FirewallError, match="INVALID_IPSET"):
        provider.load(provider.render(RULES._replace(ntp=False)))
    assert daemon.calls[-2:] == ["reload"] * 2  # the second with the files of before
    assert (on_disk(daemon), provider.inspect()) == (before, live)
    assert daemon.read == {name: content.decode() for name, content in before.items()}


def test_a_reload_without_effect_is_an_error(
    provider: Firewalld, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    reload = daemon.reload

    def forgetful() -> None:
        reload()
        daemon.sets.clear()

    monkeypatch.setattr(daemon, "reload", forgetful)
    with pytest.raises(FirewallError, match="has other rules") as caught:
        provider.load(provider.render(RULES))
    assert caught.value.reason == "provider_failed" and on_disk(daemon) == {}


def test_files_that_a_killed_run_left_are_none(provider: Firewalld, daemon: Daemon) -> None:
    provider.load(provider.render(RULES))
    for name, text in daemon.read.items():
        (daemon.root / "etc/firewalld" / ("policies" if name == "ibm-quantum.xml" else "ipsets") / name).write_text(
            text
        )
    left = on_disk(daemon)
    assert len(left) == 7 and provider.save() == provider.nothing
    provider.load(provider.nothing)
    assert on_disk(daemon) == {} and daemon.policy is None
    keep(provider, daemon, RULES)
    for path in (daemon.root / "etc/firewalld").glob("*/*"):
        path.write_bytes(left[path.name])
    provider.load(provider.nothing)  # killed before it was told to reload
    assert on_disk(daemon) == {} and daemon.calls.count("reload") == 2


def test_a_save_is_what_lies_on_disk_where_it_is_in_force(provider: Firewalld, daemon: Daemon) -> None:
    keep(provider, daemon, RULES)
    assert provider.save() == provider.nothing  # not loaded
    provider.load(provider.render(RULES))
    assert provider.save() == provider.render(RULES)


def test_firewalld_that_was_stopped_has_nothing_to_take_off(provider: Firewalld, daemon: Daemon) -> None:
    (daemon.root / "run/systemd/units/invocation:firewalld.service").unlink()
    daemon.table = False
    assert provider.inspect() is None
    provider.load(provider.nothing)
    assert daemon.calls == []


def test_a_check_validates_a_copy(provider: Firewalld, daemon: Daemon) -> None:
    (daemon.root / "etc/firewalld/policies/own.xml").write_text("<policy/>")
    (daemon.root / "etc/firewalld/ipsets/ibm-quantum-old.xml").write_text("<ipset/>")
    before = on_disk(daemon)
    provider.check(provider.render(RULES))
    (call,) = daemon.calls
    assert call.startswith("validate ibm-quantum-dns-v4.xml") and call.endswith("own.xml") and "old" not in call
    assert on_disk(daemon) == before


@pytest.mark.parametrize(
    ("kind", "name", "runtime", "lasting", "seen"),
    [
        ("zone", "public", {"interfaces": {"type": "as", "data": ["eth0"]}}, {}, "zone public"),
        ("zone", "public", {}, {"ports": {"type": "a(ss)", "data": [["1", "tcp"]]}}, "zone public"),
        ("policy", "own", OWN_POLICY, {}, "policy own"),
        ("ipset", "set", ["", "", "", "hash:net", {}, ["10.0.0.0/8"]], ["", "", "", "hash:net", {}, []], "ipset set"),
    ],
)
def test_a_reload_that_takes_from_others_is_refused(
    provider: Firewalld, daemon: Daemon, kind: str, name: str, runtime: Any, lasting: Any, seen: str
) -> None:
    daemon.others[kind, name] = (runtime, lasting)
    with pytest.raises(FirewallError, match=f"configuration: {seen}: .*runtime-to-permanent.*--reload") as caught:
        provider.check(provider.render(RULES))
    assert caught.value.reason == "runtime_only" and daemon.calls == []
    provider.load(provider.render(RULES))  # a rollback has to go on
    provider.check_others(provider.render(MOVED))  # no reload
    with pytest.raises(FirewallError, match=seen):
        provider.check_others(provider.nothing)


def test_direct_rules_count_and_order_does_not(provider: Firewalld, daemon: Daemon) -> None:
    both: tuple[Any, Any] = (
        {"services": {"type": "as", "data": ["ssh", "dns"]}},
        {"services": {"type": "as", "data": ["dns", "ssh"]}, "ports": {"type": "a(ss)", "data": []}},
    )
    daemon.others["zone", "public"] = both
    provider.check_others(provider.render(RULES))
    daemon.direct = ([[], [["ipv4", "filter", "INPUT", 0, ["-j", "DROP"]]], []], [[], [], []])
    with pytest.raises(FirewallError, match="direct rules"):
        provider.check_others(provider.render(RULES))


def test_networkmanager_binds_its_interfaces_again(provider: Firewalld, daemon: Daemon) -> None:
    daemon.others["zone", "public"] = ({"interfaces": {"type": "as", "data": ["eth0"]}}, {})
    os.symlink("0123", daemon.root / "run/systemd/units/invocation:NetworkManager.service")
    provider.check_others(provider.render(RULES))


def test_what_an_old_firewalld_or_another_backend_cannot(provider: Firewalld, daemon: Daemon) -> None:
    daemon.version = "0.9.3"
    with pytest.raises(FirewallError, match=r"firewalld 0\.9\.3 is too old.*provider=nftables") as caught:
        provider.check(provider.render(RULES))
    assert caught.value.reason == "unsupported"
    daemon.version, daemon.backend = "2.3.1", "iptables"
    with pytest.raises(FirewallError, match="FirewallBackend=nftables"):
        provider.check(provider.render(RULES))


def test_what_is_missing_is_said(provider: Firewalld, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewalld.shutil, "which", lambda command, path: f"/usr/bin/{command}")
    assert provider.missing() is None
    (daemon.root / "run/systemd/units/invocation:firewalld.service").unlink()
    assert "systemctl enable --now firewalld" in str(provider.missing())
    monkeypatch.setattr(firewalld.shutil, "which", lambda command, path: None)
    assert "install the packages firewalld and nftables" in str(provider.missing())


def test_failures_are_told() -> None:
    def broken(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "Operation not permitted\n")

    with pytest.raises(FirewallError, match=r"^nft --json .* failed: Operation not permitted$"):
        Firewalld(broken).inspect()
    with pytest.raises(FirewallError, match="could not be run"):
        command.complete(["/nonexistent/busctl"])
