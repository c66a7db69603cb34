# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a firewall has to offer, so that an allowlist can be put on a host, kept true and taken off again.

A provider owns objects of its own name and touches no others. It turns :class:`policy.Rules` into a *ruleset*: one text
that its own tool loads in one transaction, replacing whatever of these objects was there before.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination, Rules


class FirewallError(Exception):
    """An error for the user: the text says what is wrong and what to do; ``reason`` is for playbooks to branch on."""

    def __init__(self, message: str, reason: str = "invalid") -> None:
        super().__init__(message)
        self.reason = reason


class Live(NamedTuple):
    """What is in force at this moment.

    ``fingerprint`` stands for all but the learnt part and the counters: equal fingerprints, equal rules.
    ``counters``: name to {"packets": int, "bytes": int}.
    """

    fingerprint: str
    learnt: frozenset[Destination]
    dns_servers: frozenset[str]
    counters: dict[str, dict[str, int]]


class Provider(ABC):
    """One kind of firewall. Every method raises :class:`FirewallError` when the host's tool fails."""

    #: As the option would call it.
    name: str
    #: A service of the host whose reload and restart throw our rules away; the boot unit follows it.
    service: str
    #: The ruleset that leaves nothing of ours behind.
    nothing: str

    @abstractmethod
    def missing(self) -> str | None:
        """What this host lacks for the provider to work at all, with the remedy; None if nothing."""

    @abstractmethod
    def inspect(self) -> Live | None:
        """What of ours is in force; None if nothing is. One subprocess at most: every steady-state run does this."""

    @abstractmethod
    def render(self, rules: Rules) -> str:
        """The ruleset of some rules; equal rules give equal text."""

    @abstractmethod
    def check(self, ruleset: str) -> None:
        """Have the host's tool validate a ruleset, changing nothing."""

    @abstractmethod
    def load(self, ruleset: str) -> None:
        """Put a ruleset in force in the place of the one before, in one transaction."""

    @abstractmethod
    def update(self, rules: Rules) -> None:
        """Replace the learnt addresses and the name servers only, in one transaction; counters and rules stay."""

    @abstractmethod
    def save(self) -> str:
        """The ruleset that restores what is in force now, counters included."""

    @abstractmethod
    def boot_command(self, path: str) -> str:
        """The command line, absolute, that loads the ruleset in a file without Python, DNS or network."""
