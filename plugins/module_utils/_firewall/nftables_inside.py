# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""nftables, mode ``allow``: the endpoints are opened inside the chains by which the host already blocks what leaves it.

An accept ends its own base chain only; a packet leaves if every base chain of the hook lets it. So what opens must be
in the very chains that block: sets and a regular chain in their tables, and a jump to it as their first rule.

The ruleset is a script of sh: nft cannot replace a rule that may or may not be there, and when the host boots or its
own rules are reloaded, both can be. It looks for what is there of ours and has nft replace that in one transaction.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import re
from typing import Iterable, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nft import Nft, Objects
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nft_chains import Chains
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nft_table import Table, live
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables import Nftables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Rules
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError, Live

#: Our chain; with an underscore, what our sets and counters begin with.
OWN = "ibm_quantum"
#: What marks our jumps.
COMMENT = "ibm_quantum.platform"

# $@ is how to run nft. Jumps go before the chain that they lead to, and this before the sets that it asks.
_SCRIPT = r"""#!/bin/sh
# Replaces the objects of the Ansible collection ibm_quantum.platform in the tables of others.
[ $# -gt 0 ] || set -- @NFT@
{
for table in @TABLES@; do
    "$@" --handle list table $table 2>/dev/null
done | awk '
    $1 == "table" { table = $2 " " $3 }
    $1 == "chain" { chain = $2 }
    / comment "@COMMENT@" # handle [0-9]+$/ { jumps = jumps "delete rule " table " " chain " handle " $NF "\n" }
    $1 == "chain" && $2 == "@OWN@" { chains = chains "flush chain " table " " $2 "\ndelete chain " table " " $2 "\n" }
    $1 ~ /^(set|counter)$/ && $2 ~ /^@OWN@_/ { sets = sets "delete " $1 " " table " " $2 "\n" }
    END { printf "%s", jumps chains sets }
'
cat <<'END'
@BODY@END
} | "$@" --file -
"""
#: One of our objects in a listing: kind, name and what is inside.
_BLOCK = re.compile(rf"^\t(set|counter|chain) ({OWN}\w*) {{\n(.*?)^\t}}\n", re.MULTILINE | re.DOTALL)


class NftablesInside(Nftables):
    """See :class:`nftables.Nftables`. ``chains``: the base chains to work in, each as ``FAMILY TABLE CHAIN``."""

    def __init__(self, chains: Sequence[str], command: Sequence[str] | None = None) -> None:
        super().__init__(command)
        self._chains = chains
        self._tables = [Table(name, OWN + "_") for name in dict.fromkeys(c.rpartition(" ")[0] for c in chains)]
        self.nothing = self._script("")

    def inspect(self) -> Live | None:
        names = [table.name for table in self._tables]
        # nft lists one table or all of them.
        found = self._nft.objects("table", *names[0].split()) if len(names) == 1 else self._nft.objects("ruleset")
        ours = [(kind, body) for kind, body in _ours(found or []) if f"{body['family']} {body['table']}" in names]
        return live(self._tables, ours) if ours else None

    def render(self, rules: Rules) -> str:
        body = []
        for table in self._tables:
            body += [_add(table, *line.split(" ", 1)) for line in table.sets(rules)]
            body += self._opened(table, [*table.replies(rules), *table.accepts(rules)])
        return self._script("\n".join([*body, ""]))

    def check(self, ruleset: str) -> None:
        self._run(ruleset, "--check")

    def load(self, ruleset: str) -> None:
        self._run(ruleset)

    def save(self) -> str:
        body = []
        for table in self._tables:
            found = _BLOCK.findall(self._nft.list("table", *table.name.split()) or "")
            body += [_add(table, kind, f"{name} {{\n{inside}}}") for kind, name, inside in found if kind != "chain"]
            for rules in (inside.splitlines() for kind, _name, inside in found if kind == "chain"):
                body += self._opened(table, [rule.strip() for rule in rules])
        return self._script("\n".join([*body, ""]))

    def boot_command(self, path: str) -> str:
        return f"/bin/sh {path}"

    def _opened(self, table: Table, rules: Iterable[str]) -> list[str]:
        """Our chain in a table, and what leads to it."""
        chains = [chain for chain in self._chains if chain.rpartition(" ")[0] == table.name]
        return [
            _add(table, "chain", OWN),
            *(_add(table, "rule", f"{OWN} {rule}") for rule in rules),
            # Where there is no such chain this fails, and with it the whole transaction.
            *(f'insert rule {chain} jump {OWN} comment "{COMMENT}"' for chain in chains),
        ]

    def _script(self, body: str) -> str:
        text = _SCRIPT
        for name, value in {
            "NFT": self._nft.path,
            "TABLES": " ".join(f'"{table.name}"' for table in self._tables),
            "COMMENT": COMMENT,
            "OWN": OWN,
            "BODY": body.lstrip("\n"),
        }.items():
            text = text.replace(f"@{name}@", value)
        return text

    def _run(self, ruleset: str, *options: str) -> None:
        try:
            self._nft.execute(["/bin/sh", "-s", "--", *self._nft.command, *options], "--file -", ruleset)
        except FirewallError as error:
            if "No such file or directory" not in str(error):
                raise
            raise FirewallError(
                f"mode=allow: of {', '.join(self._chains)} not all is there, so nothing was opened: have the service "
                "that loads the host's own rules run, or name another chain with the option chain",
                "nothing_blocks",
            ) from None


def _add(table: Table, kind: str, what: str) -> str:
    # Line by line: nft 0.9.8 crashes over a table in braces before the insertion of a rule.
    return f"add {kind} {table.name} {what}"


def find(chain: str | None, nft: Nft | None = None) -> tuple[str, ...]:
    """The chains that block what leaves the host: the one that is named, or all there are.

    Raises :class:`FirewallError` if there is none, or if it is not one that nft alone has in hand.
    """
    nft = nft or Nft()
    chains = Chains([] if nft.missing() else nft.objects("ruleset") or [])
    there = ", ".join(chains.bases) or "none at all"
    if chain is not None and chain not in chains.bases:
        raise FirewallError(f"chain: this host has no chain {chain!r} of the hook output; it has {there}")
    blocking = [name for name in chains.bases if chains.blocks(name)] if chain is None else [chain]
    if not blocking:
        raise FirewallError(
            f"mode=allow: no chain of nftables blocks what leaves this host (of the hook output it has {there}), so "
            "there is nothing to open endpoints in: use mode=enforce, which blocks the rest, or name the chain that "
            "does with the option chain",
            "nothing_blocks",
        )
    for name in blocking:
        owner = chains.owner(name)
        if owner:
            raise FirewallError(f"mode=allow: the chain {name} belongs to {owner}: use provider={owner}", "unsupported")
    return tuple(blocking)


def leftovers(nft: Nft | None = None) -> tuple[str, ...]:
    """The chains in which something of ours is; of a table in which nothing leads to it, our own chain."""
    nft = nft or Nft()
    found = [] if nft.missing() else _ours(nft.objects("ruleset") or [])
    jumps = dict.fromkeys(
        f"{b['family']} {b['table']} {b['chain']}" for kind, b in found if kind == "rule" and b["chain"] != OWN
    )
    led = {chain.rpartition(" ")[0] for chain in jumps}
    tables = dict.fromkeys(f"{body['family']} {body['table']}" for _kind, body in found)
    return (*jumps, *(f"{table} {OWN}" for table in tables if table not in led))


def _ours(objects: Objects) -> Objects:
    """Of a listing, what is ours in the tables of others."""
    return [
        (kind, body)
        for kind, body in objects
        if (kind == "rule" and (body["chain"] == OWN or body.get("comment") == COMMENT))
        or (kind == "chain" and body["name"] == OWN)
        or (kind in ("set", "counter") and body["name"].startswith(OWN + "_"))
    ]
