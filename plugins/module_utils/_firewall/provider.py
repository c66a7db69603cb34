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
from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple, Sequence

if TYPE_CHECKING:
    from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination, Rules
    from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Content


class FirewallError(Exception):
    """An error for the user: the text says what is wrong and what to do; ``reason`` is for playbooks to branch on.

    ``packages``: those of the distribution whose lack it is.
    """

    def __init__(self, message: str, reason: str = "invalid", packages: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.packages = tuple(packages)


class Place(NamedTuple):
    """Where rules are: a provider, and for nftables the chains of others that it works in, if it does."""

    provider: str
    chains: tuple[str, ...] = ()

    def beyond(self, other: Place) -> Place | None:
        """What is left of ours here once ``other``, which replaces all that is in its own tables, is in use."""
        if self.provider != other.provider or not (self.chains and other.chains):
            return None if self == other else self
        taken = {chain.rpartition(" ")[0] for chain in other.chains}
        chains = tuple(chain for chain in self.chains if chain.rpartition(" ")[0] not in taken)
        return Place(self.provider, chains) if chains else None


class Live(NamedTuple):
    """What is in force at this moment.

    ``fingerprint`` stands for all but the learnt part and the counters: equal fingerprints, equal rules.
    ``counters``: name to {"packets": int, "bytes": int}; empty where the firewall has none.
    """

    fingerprint: str
    learnt: frozenset[Destination]
    dns_servers: frozenset[str]
    counters: dict[str, dict[str, int]]


class Provider(ABC):
    """One kind of firewall. Every method raises :class:`FirewallError` when the host's tool fails."""

    #: As the option calls it.
    name: str
    #: The modes, the ways from names to addresses and the scopes (see :mod:`policy`) that it can do.
    modes: frozenset[str]
    resolutions: frozenset[str]
    scopes: frozenset[str]
    #: A service of the host whose reload and restart throw our rules away; the boot unit follows it. None if none does.
    service: str | None
    #: The distribution's packages that make it work.
    packages: tuple[str, ...]
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

    def explain(self, rules: Rules) -> str:
        """The rules as they are shown to people, in diffs."""
        return self.render(rules)

    @abstractmethod
    def check(self, ruleset: str) -> None:
        """Have the host's tool validate a ruleset, changing nothing."""

    def check_others(self, ruleset: str) -> None:
        """Raise :class:`FirewallError` where :meth:`load` of this would take from others what is theirs; part of
        :meth:`check`. Nothing is to be raised for a rollback, which is why load does not ask."""
        return

    @abstractmethod
    def load(self, ruleset: str) -> None:
        """Put a ruleset in force in the place of the one before: in one transaction, or in an order in which nothing is
        open or shut in between that is not so before or after. Nothing of it outlives a reboot."""

    @abstractmethod
    def update(self, rules: Rules) -> None:
        """Replace the learnt addresses and the name servers only; counters and rules stay."""

    @abstractmethod
    def save(self) -> str:
        """The ruleset that restores what is in force now."""

    @abstractmethod
    def boot_command(self, path: str) -> str | None:
        """The command line, absolute, that loads the ruleset in a file without Python, DNS or network; to run it twice
        does no harm. None where the firewall loads :meth:`files` by itself."""

    def files(self, rules: Rules) -> Mapping[str, Content]:
        """What the firewall's own service reads when it starts or is reloaded: absolute path to content."""
        return {}

    def paths(self) -> Iterable[str]:
        """Every path that :meth:`files` can have, whatever the rules; those there are, where it depends on them."""
        return ()

    def learner(self, name: str, port: int, protocol: str) -> str:
        """The line of dnsmasq's configuration that has every answer for ``name`` (a host name, which stands for the
        names below it as well) added to the sets of this port and protocol before the client gets it."""
        raise NotImplementedError  # only asked of providers with the resolution ``dns``

    def sweep(self, rules: Rules, generation: int) -> None:
        """Empty one generation (0 or 1) of the sets that dnsmasq fills; see :class:`policy.Rules`."""
        raise NotImplementedError  # likewise
