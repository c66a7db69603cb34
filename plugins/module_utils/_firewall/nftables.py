# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The nftables provider: everything in the table ``inet ibm_quantum``; nft 0.9.8 (2021) or newer.

Why the chain's policy is accept and its last rule rejects, rather than a policy of drop: a policy cannot reject, and
programs should fail at once with "administratively prohibited" instead of hanging; and whatever is flushed or edited by
hand, the host stays reachable. There is no window in it: the whole table is replaced in one transaction.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nft import Nft
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nft_table import Table, live
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import (
    MODES,
    RESOLUTIONS,
    SCOPES,
    Rules,
    Service,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import Live, Provider

TABLE = "inet ibm_quantum"
#: After the filters of others (priority 0): the counters count what those let through.
PRIORITY = 10

#: Without these neither IPv6 nor path MTU discovery works. Echo requests are not among them: they carry data out.
_ICMP = "destination-unreachable, time-exceeded, parameter-problem"
_ICMPV6 = (
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-solicit, "
    "nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld-listener-done, mld2-listener-report"
)
#: Mode to the counter of what is not allowed.
_COUNTED = {"enforce": "blocked", "audit": "would_block"}
_ALWAYS = (
    "ct state established,related accept",
    f"icmp type {{ {_ICMP} }} accept",
    "udp sport 68 udp dport 67 accept",
    f"icmpv6 type {{ {_ICMPV6} }} accept",
    "udp sport 546 udp dport 547 accept",
)


class Nftables(Provider):
    """See :class:`provider.Provider`. ``command``: how to run nft, for tests that run it elsewhere."""

    name = "nftables"
    modes = frozenset(MODES)  # "allow" by nftables_inside, to which choose leads
    resolutions = frozenset(RESOLUTIONS)
    scopes = frozenset(SCOPES)
    service = "nftables.service"
    packages = ("nftables",)
    # Adding a table that exists is no error, deleting one that does not exist is: hence the first line.
    nothing = f"table {TABLE}\ndelete table {TABLE}\n"

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._nft = Nft(command)
        self._tables: Sequence[Table] = (Table(TABLE),)

    def missing(self) -> str | None:
        return self._nft.missing()

    def inspect(self) -> Live | None:
        objects = self._nft.objects("table", *TABLE.split())
        return None if objects is None else live(self._tables, objects)

    def render(self, rules: Rules) -> str:
        (table,) = self._tables
        inside = ["    " + line for line in (*table.sets(rules), *self._rules(table, rules))]
        return "\n".join([f"{self.nothing}table {TABLE} {{", *inside, "}", ""])

    def check(self, ruleset: str) -> None:
        self._nft.run("--check", "--file", "-", ruleset=ruleset)

    def load(self, ruleset: str) -> None:
        self._nft.run("--file", "-", ruleset=ruleset)

    def update(self, rules: Rules) -> None:
        self._nft.run("--file", "-", ruleset="".join(table.update(rules) for table in self._tables))

    def save(self) -> str:
        return self.nothing + (self._nft.list("table", *TABLE.split()) or "")

    def boot_command(self, path: str) -> str:
        return f"{self._nft.path} --file {path}"

    def learner(self, name: str, port: int, protocol: str) -> str:
        sets = [filled for table in self._tables for filled in table.filled(Service(port, protocol))]
        return f"nftset=/{name}/{','.join(sets)}"

    def sweep(self, rules: Rules, generation: int) -> None:
        self._nft.run("--file", "-", ruleset="".join(table.sweep(rules, generation) for table in self._tables))

    @staticmethod
    def _rules(table: Table, rules: Rules) -> list[str]:
        if rules.mode not in _COUNTED:
            return []  # nftables_inside does this; here for what is said of a host whose chains are not known
        verdict = _COUNTED[rules.mode]
        # Replies before anything that asks conntrack: it may know nothing yet of the very session that loads this.
        lines = ['oif "lo" accept', *table.replies(rules), *_ALWAYS, *table.accepts(rules), f"counter name {verdict}"]
        if rules.mode == "enforce":
            lines.append("reject with icmpx type admin-prohibited")
        limits = [f"meta skuid {uid} goto limited" for uid in rules.users]
        limits += [f"meta skgid {gid} goto limited" for gid in rules.groups]
        limits += [f'socket cgroupv2 level {len(p.split("/"))} "{p}" goto limited' for p in map(cgroup, rules.slices)]
        hook = f"type filter hook output priority {PRIORITY}; policy accept;"
        chains = {"limited": lines, "output": [hook, *limits]} if limits else {"output": [hook, *lines]}
        text = [f"counter {verdict} {{ }}"]
        for name, inside in chains.items():
            text += [f"chain {name} {{", *("    " + line for line in inside), "}"]
        return text


def cgroup(name: str) -> str:
    """The path of a slice below the root: systemd puts ``a-b.slice`` into ``a.slice``."""
    parts = name[: -len(".slice")].split("-")
    return "/".join("-".join(parts[:depth]) + ".slice" for depth in range(1, len(parts) + 1))
