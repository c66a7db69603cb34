# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The command nft; 0.9.8 (2021) or newer.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import Any, Dict, List, Sequence, Tuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.command import PATH, complete
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError

_ABSENT = "No such file or directory"
#: Kinds and bodies, such as ``("chain", {"name": "output", ...})``.
Objects = List[Tuple[str, Dict[str, Any]]]


class Nft:
    """Every method raises :class:`FirewallError` when the command fails. ``command``: how to run it elsewhere."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        found = shutil.which("nft", path=PATH)
        self.command = list(command) if command else [found] if found else []

    @property
    def path(self) -> str:
        """Without nft, check mode still wants to say what it would write."""
        return (self.command or ["/usr/sbin/nft"])[0]

    def missing(self) -> str | None:
        if self.command:
            return None
        return "the command nft is not on this host: install the package nftables"

    def run(self, *arguments: str, ruleset: str | None = None) -> str:
        """What it prints; ``ruleset`` is its input."""
        return self.execute([*self.command, *arguments], " ".join(arguments), ruleset)

    def execute(self, command: Sequence[str], what: str, text: str | None) -> str:
        """:meth:`run` of a command line that has nft in it."""
        if not self.command:
            raise FirewallError(str(self.missing()), "provider_missing")
        done = complete(command, text)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            _slices(said, text or "")
            raise FirewallError(f"nft {what} failed: {said}{_remedy(said)}", "provider_failed")
        return done.stdout

    def list(self, *arguments: str) -> str | None:
        """A listing, such as of ``table inet filter``; None if there is no such thing."""
        try:
            return self.run("list", *arguments)
        except FirewallError as error:
            if f"Error: {_ABSENT}" in str(error):
                return None
            raise

    def objects(self, *arguments: str) -> Objects | None:
        """:meth:`list` as objects, without their handles."""
        try:
            text = self.run("--json", "list", *arguments)
        except FirewallError as error:
            if f"Error: {_ABSENT}" in str(error):
                return None
            raise
        found = [next(iter(item.items())) for item in json.loads(text)["nftables"]]
        for _kind, body in found:
            body.pop("handle", None)
        return [(kind, body) for kind, body in found if kind != "metainfo"]


def _slices(said: str, ruleset: str) -> None:
    """Raises :class:`FirewallError` where the slices in a ruleset are what nft stumbled over."""
    paths = re.findall(r'socket cgroupv2 level \d+ "(\S+)"', ruleset)
    if paths and "cgroupv2 path fails" in said:
        names = " ".join(path.rpartition("/")[2] for path in paths)
        raise FirewallError(
            f"only_slices: not all of {names} are there: nftables knows only slices that are started, so start them "
            f"first (systemctl start {names}); at boot they are",
        )
    if paths and "syntax error" in said:
        raise FirewallError("only_slices: needs nft 0.9.9 or newer, and this host's is older", "unsupported")


def _remedy(text: str) -> str:
    if "Operation not permitted" in text:
        return " (needs root; in a container also the capability CAP_NET_ADMIN)"
    if "not supported" in text or "cache initialization failed" in text:
        return " (this kernel has no nf_tables: load the module nf_tables or boot a kernel that has it)"
    if "JSON support not compiled-in" in text:
        return " (this nft was built without JSON: install the distribution's own package nftables)"
    return ""
