# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which chains of nftables decide on what leaves a host, which of them block it, and whose they are.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import shutil
from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nft import PATH, Objects
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables import TABLE

_FAMILIES = ("inet", "ip", "ip6")
#: Statements that a packet passes, whatever it is.
_PASSED = {"counter", "log"}
#: The tables of iptables-nft; its chains have the names of hooks in capitals.
_IPTABLES = {"filter", "mangle", "nat", "raw", "security"}


class Chains:
    """What a host has, as :meth:`nft.Nft.objects` lists it. Chains are called ``FAMILY TABLE CHAIN``."""

    def __init__(self, objects: Objects) -> None:
        self._rules: dict[str, list[dict[str, Any]]] = {}
        #: The base chains of the hook output that are not ours.
        self.bases: dict[str, dict[str, Any]] = {}
        for kind, body in objects:
            if kind == "chain":
                name = f"{body['family']} {body['table']} {body['name']}"
                self._rules.setdefault(name, [])
                ours = name.startswith(TABLE + " ")
                if body.get("hook") == "output" and body["family"] in _FAMILIES and not ours:
                    self.bases[name] = body
            elif kind == "rule":
                name = f"{body['family']} {body['table']} {body['chain']}"
                self._rules.setdefault(name, []).append(body)

    def blocks(self, name: str) -> bool:
        """Whether a base chain drops or rejects what it does not accept."""
        return self.bases[name].get("policy") == "drop" or self._ends(name, frozenset())

    def owner(self, name: str) -> str | None:
        """The provider that a chain belongs to, if this is not nftables."""
        family, table, chain = name.split()
        mates = {other: rules for other, rules in self._rules.items() if other.startswith(f"{family} {table} ")}
        if table == "firewalld":
            return "firewalld"
        foreign = any(
            "xt" in statement for rules in mates.values() for rule in rules for statement in rule.get("expr", ())
        )
        named = family != "inet" and table in _IPTABLES and chain == "OUTPUT"
        if foreign or (named and shutil.which("iptables", path=PATH)):
            return "ufw" if any(other.split()[2].startswith("ufw") for other in mates) else "iptables"
        return None

    def _ends(self, name: str, seen: frozenset[str]) -> bool:
        """Whether the last rule of a chain drops or rejects whatever comes to it, if need be in a chain further on."""
        rules = self._rules.get(name)
        if not rules or not rules[-1].get("expr") or name in seen:
            return False
        *before, (verdict, detail) = [next(iter(statement.items())) for statement in rules[-1]["expr"]]
        if any(kind not in _PASSED for kind, _detail in before):
            return False
        if verdict in ("jump", "goto"):
            return self._ends(f"{name.rpartition(' ')[0]} {detail['target']}", seen | {name})
        return verdict in ("drop", "reject")
