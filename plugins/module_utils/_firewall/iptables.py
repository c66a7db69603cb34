# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The iptables provider: two chains in the table filter of IPv4 and IPv6, and the ipsets that they look into.

The first rule of OUTPUT jumps to the chain of *whom* the rules hold for, which goes to the chain of *what* may leave.
What may leave RETURNs to OUTPUT, where the rules of others judge it as ever; in mode ``allow`` it is ACCEPTed there.

iptables has no transaction over both families and the sets, so there is an order: the sets get what they lack, each
family's chains are replaced together with the jump in one transaction, and only then the sets lose what is too much.
A packet that passes before and after passes in between; one that passes in neither never does.

The ruleset is a shell script: see :mod:`iptables_script`.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
import shutil
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.command import PATH, complete
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.iptables_script import (
    inspection,
    nothing,
    script,
    sets_unit,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables import cgroup
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import (
    MODES,
    PROTOCOLS,
    RESOLUTIONS,
    SCOPES,
    Destination,
    Rules,
    Service,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import (
    FirewallError,
    Live,
    Provider,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Content, Layout, Link

_UNITS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
#: What restores the rules that an administrator saved, ours among them if they were in force.
_RESTORERS = ("netfilter-persistent.service", "iptables.service")
_SETS = "/etc/systemd/system/ibm-quantum-egress-sets.service"
#: As in nftables; by number, for which every version of iptables has the same name.
_ICMP = {4: (3, 11, 12), 6: (1, 2, 3, 4, 133, 135, 136, 131, 132, 143)}
_DHCP = {4: (68, 67), 6: (546, 547)}
_REJECT = {4: "icmp-admin-prohibited", 6: "icmp6-adm-prohibited"}
_COMMANDS = {4: "iptables", 6: "ip6tables"}
#: The name of a set after the tag: of learnt addresses, of DNS servers, of networks.
_LEARNT = re.compile(r"(tcp|udp)(\d+)_v([46])_([01])")
_MOVING = re.compile(_LEARNT.pattern + r"|dns_v[46]")


class Iptables(Provider):
    """See :class:`provider.Provider`. ``prefix``: put before every command, for tests that run them elsewhere."""

    name = "iptables"
    modes = frozenset(MODES)
    resolutions = frozenset(RESOLUTIONS)
    scopes = frozenset(SCOPES)
    packages: tuple[str, ...] = ("iptables", "ipset")
    #: What the names of our sets begin with, and in capitals those of our chains.
    tag = "ibm_quantum"
    nothing = nothing(tag)

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._prefix = list(prefix)
        self.service = self._service()

    def _service(self) -> str | None:
        for name in _RESTORERS:
            if any(os.path.exists(os.path.join(folder, name)) for folder in _UNITS):
                return name
        return None

    def missing(self) -> str | None:
        wanted = ("iptables-restore", "ip6tables-restore", "ipset")
        lacking = [command for command in wanted if not shutil.which(command, path=PATH)]
        if not lacking:
            return None
        return f"not on this host: {', '.join(lacking)}: install the packages {' and '.join(self.packages)}"

    def inspect(self) -> Live | None:
        seen = self._look()
        sets = _sets(seen)
        ours = {command: self._ours(lines) for command, lines in seen.items() if command != "ipset"}
        if not sets and not any(ours.values()):
            return None
        lasting: dict[str, Any] = {command: [_uncounted(line) for line in lines] for command, lines in ours.items()}
        learnt, servers = set(), set()
        for name, members in sets.items():
            short = name[len(self.tag) + 1 :]
            found = _LEARNT.fullmatch(short)
            if found:
                learnt |= {Destination(_plain(member), int(found[2]), found[1]) for member in members}
            elif _MOVING.fullmatch(short):
                servers |= {_plain(member) for member in members}
            lasting[name] = [] if _MOVING.fullmatch(short) else sorted(members)
        digest = hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()
        return Live(digest, frozenset(learnt), frozenset(servers), _counters(ours))

    def render(self, rules: Rules) -> str:
        members = {**self._contents(rules), **self._networks(rules)}
        return script(self.tag, members, {version: self._chains(rules, version) for version in _COMMANDS})

    def explain(self, rules: Rules) -> str:
        members = [f"{name}: {member}" for name, held in self._networks(rules).items() for member in held]
        chains = [
            f"{command} {line}" for version, command in _COMMANDS.items() for line in self._chains(rules, version)
        ]
        return "\n".join([*members, *chains, ""])

    def check(self, ruleset: str) -> None:
        if " -j ACCEPT\n" in ruleset and not any(_blocks(lines) for lines in self._look().values()):
            raise FirewallError(
                "mode=allow opens the endpoints where the host's own rules block them, and no rule or policy of its "
                "chain OUTPUT blocks anything: use mode=enforce, or block first",
                "nothing_blocks",
            )
        # The very thing, in a network of nobody's. Where this may not be, load says what is wrong.
        if shutil.which("unshare", path=PATH):
            try:
                self._run("unshare", "--net", "/bin/sh", "-s", text=ruleset)
            except FirewallError as error:
                if "unshare: " not in str(error):
                    raise

    def load(self, ruleset: str) -> None:
        self._run("/bin/sh", "-s", text=ruleset)

    def update(self, rules: Rules) -> None:
        there = _sets(self._look())
        more, less = [], []
        for name, members in self._contents(rules).items():
            before = {_plain(member): member for member in there.get(name, ())}
            more += [f"add {name} {member}\n" for member in members if member not in before]
            # What dnsmasq added meanwhile must not be lost.
            if not (rules.filled and _LEARNT.fullmatch(name[len(self.tag) + 1 :])):
                less += [f"del {name} {member}\n" for plain, member in before.items() if plain not in members]
        self._run("ipset", "-exist", "restore", text="".join(more + less))

    def save(self) -> str:
        seen = self._look()
        rules = {}
        for version, command in _COMMANDS.items():
            # After a switch from one kind of tables to the other, the rules in force are still in the other.
            places = [lines for name, lines in seen.items() if name.split("-")[0] == command]
            found = [[_uncounted(line) for line in self._ours(lines) if " OUTPUT " not in line] for lines in places]
            rules[version] = next((lines for lines in found if lines), [])
        return script(self.tag, _sets(seen), rules) if any(rules.values()) else self.nothing

    def boot_command(self, path: str) -> str:
        return f"/bin/sh {path}"

    def files(self, rules: Rules) -> Mapping[str, Content]:
        if self.service not in _RESTORERS or not os.path.isdir("/run/systemd/system"):
            return {}
        return {_SETS: sets_unit(Layout().ruleset).encode(), _wanted(self.service): Link(_SETS)}

    def paths(self) -> Iterable[str]:
        return [_SETS, *map(_wanted, _RESTORERS)]

    def learner(self, name: str, port: int, protocol: str) -> str:
        # dnsmasq offers every address to every set; the kernel keeps those of the set's own family.
        return f"ipset=/{name}/{','.join(self._learnt(Service(port, protocol), v, g) for v in (4, 6) for g in (0, 1))}"

    def sweep(self, rules: Rules, generation: int) -> None:
        names = [self._learnt(service, version, generation) for service in rules.services for version in _COMMANDS]
        self._run("ipset", "restore", text="".join(f"flush {name}\n" for name in names))

    # -- texts -------------------------------------------------------------------------------------------------------

    def _learnt(self, service: Service, version: int, generation: int) -> str:
        return f"{self.tag}_{service.protocol}{service.port}_v{version}_{generation}"

    def _contents(self, rules: Rules) -> dict[str, list[str]]:
        """The sets whose members come and go."""
        sets: dict[str, set[str]] = {f"{self.tag}_dns_v{version}": set() for version in _COMMANDS}
        for service in rules.services:
            for version in _COMMANDS:
                sets.update({self._learnt(service, version, g): set() for g in range(rules.sets)})
        for server in rules.dns_servers:
            sets[f"{self.tag}_dns_v{ipaddress.ip_address(server).version}"].add(server)
        for destination in rules.learnt:
            version = ipaddress.ip_address(destination.host).version
            for generation in range(rules.sets):
                sets[self._learnt(destination.service, version, generation)].add(destination.host)
        return {name: sorted(members) for name, members in sets.items()}

    def _networks(self, rules: Rules) -> dict[str, list[str]]:
        """The sets of fixed addresses and networks. A set cannot hold the network of everything, but its halves."""
        sets: dict[str, set[str]] = {}
        for destination in rules.fixed:
            net = ipaddress.ip_network(destination.host)
            members = [net] if net.prefixlen else list(net.subnets())
            name = f"{self.tag}_{destination.protocol}{destination.port}_n{net.version}"
            sets.setdefault(name, set()).update(map(str, members))
        return {name: sorted(sets[name]) for name in sorted(sets)}

    def _chains(self, rules: Rules, version: int) -> list[str]:
        """The rules of both chains."""
        what = f"{self.tag.upper()}_RULES"
        whom = [f"-m owner --uid-owner {uid} " for uid in rules.users]
        whom += [f"-m owner --gid-owner {gid} " for gid in rules.groups]
        whom += ['-m cgroup --path "{}" '.format(cgroup(name).replace("\\", "\\\\")) for name in rules.slices]
        lines = [f"-A {self.tag.upper()} {match}-g {what}" for match in whom or [""]]
        return lines + [f"-A {what} {rule}" for rule in self._matches(rules, version)]

    def _matches(self, rules: Rules, version: int) -> list[str]:
        """What may leave, in the order of :meth:`Nftables._accepts`, and what becomes of the rest."""
        # With "allow" all but the endpoints and what they need is the host's own affair.
        whole, end = rules.mode != "allow", "-j RETURN" if rules.mode != "allow" else "-j ACCEPT"
        lines = [f"-o lo {end}"] if whole else []
        lines += [f"-p tcp -m tcp --sport {port} ! --syn {end}" for port in rules.management_ports]
        if whole:
            lines.append(f"-m conntrack --ctstate RELATED,ESTABLISHED {end}")
            kind = ("-p icmp -m icmp --icmp-type", "-p ipv6-icmp -m icmp6 --icmpv6-type")[version == 6]
            lines += [f"{kind} {number} {end}" for number in _ICMP[version]]
            lines.append("-p udp -m udp --sport {} --dport {} {}".format(*_DHCP[version], end))
        asker = "" if rules.resolver is None else f"-m owner --uid-owner {rules.resolver} "
        for protocol in PROTOCOLS:
            port = f"-p {protocol} -m {protocol} --dport 53"
            lines.append(f"{port} -m set --match-set {self.tag}_dns_v{version} dst {asker}{end}")
        if rules.ntp:
            lines.append(f"-p udp -m udp --dport 123 {end}")
        chosen = [(s, self._learnt(s, version, g)) for s in rules.services for g in range(rules.sets)]
        for name in self._networks(rules):
            if name.endswith(str(version)):
                protocol, number = re.findall(r"_(tcp|udp)(\d+)_n", name)[0]
                chosen.append((Service(int(number), protocol), name))
        for service, name in chosen:
            match = "-p {1} -m {1} --dport {0} -m set --match-set {2} dst".format(*service, name)
            lines.append(f"{match} -m comment --comment allowed {end}")
        if rules.mode == "enforce":
            lines.append(f"-m comment --comment blocked -j REJECT --reject-with {_REJECT[version]}")
        elif rules.mode == "audit":
            lines.append("-m comment --comment would_block")
        return lines

    # -- the host ----------------------------------------------------------------------------------------------------

    def _ours(self, lines: Sequence[str]) -> list[str]:
        """Of the lines of a table: the rules of our chains, and of OUTPUT the jump with its place, counted from 0."""
        chain = self.tag.upper()
        rules = [line for line in lines if re.match(rf"\[\S+\] -A {chain}(_RULES)? |:{chain}", line)]
        outputs = [line for line in lines if re.match(r"\[\S+\] -A OUTPUT ", line)]
        return rules + [f"{n} {line}" for n, line in enumerate(outputs) if line.endswith(f" -j {chain}")]

    def _look(self) -> dict[str, list[str]]:
        """The lines of every table, by command, and those of our sets under ``ipset``."""
        sections: dict[str, list[str]] = {}
        for line in self._run("/bin/sh", "-s", text=inspection(self.tag)).splitlines():
            if line.startswith("> "):
                sections[line[2:]] = []
            elif sections:
                sections[next(reversed(list(sections)))].append(line)
        return sections

    def _run(self, *command: str, text: str) -> str:
        done = complete([*self._prefix, *command], text, path=PATH)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            said = "\n".join(line for line in lines if not line.startswith("# Warning: "))
            raise FirewallError(f"{self.name} failed: {said}{_remedy(said, text)}", "provider_failed")
        return done.stdout


def _wanted(service: str) -> str:
    """The link that has the unit of the sets started before a service."""
    return f"/etc/systemd/system/{service}.wants/{os.path.basename(_SETS)}"


def _sets(seen: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The members of every set of ours."""
    sets: dict[str, list[str]] = {}
    for verb, name, member, *_rest in map(str.split, seen.get("ipset", ())):
        members = sets.setdefault(name, [])
        if verb == "add":
            members.append(member)
    return sets


def _plain(address: str) -> str:
    """The one spelling of an address that is compared."""
    return str(ipaddress.ip_address(address))


def _uncounted(line: str) -> str:
    return re.sub(r"\[\d+:\d+\] ?", "", line)


def _counters(tables: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
    """The sums over all rules of the same comment."""
    sums = {"allowed": {"packets": 0, "bytes": 0}}
    for line in (line for lines in tables.values() for line in lines):
        found = re.match(r"\[(\d+):(\d+)\] .* --comment \"?(allowed|blocked|would_block)\b", line)
        if found:
            total = sums.setdefault(found[3], {"packets": 0, "bytes": 0})
            total["packets"] += int(found[1])
            total["bytes"] += int(found[2])
    return sums


def _blocks(lines: Sequence[str]) -> bool:
    """Whether a table's OUTPUT, or a chain that it leads to and that is not ours, blocks anything."""
    if any(line.startswith(":OUTPUT DROP") for line in lines):
        return True
    rules = [re.match(r"\[\S+\] -A (\S+) (?:.* )?-[jg] (\S+)", line) for line in lines]
    reached, more = set(), {"OUTPUT"}
    while more:
        reached |= more
        targets = {found[2] for found in rules if found and found[1] in reached and "IBM_QUANTUM" not in found[2]}
        more = targets - reached
    return bool(reached & {"DROP", "REJECT"})


def _remedy(text: str, ruleset: str) -> str:
    if "ermission denied" in text or "not permitted" in text:
        return " (needs root; in a container also the capability CAP_NET_ADMIN)"
    if "Cannot open session to kernel" in text or "initialize iptables table" in text:
        return " (this kernel lacks ip_set, ip_tables or nf_tables: load the modules or boot a kernel that has them)"
    if "-m cgroup" in ruleset and re.search(r"RULE_APPEND failed|line \d+ failed", text):
        return (
            " (with only_slices: each must be there, in control groups v2 and in no container, for a rule to name it)"
        )
    if "is incompatible, use 'nft' tool" in text:
        return " (rules of nft are in this table, which iptables cannot read: use provider=nftables)"
    return ""
