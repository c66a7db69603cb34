# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the host does by itself: load the rules when it boots, refresh the addresses, roll a change back in time.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from typing import Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import Provider
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Content

#: The name of the rollback of one change, by its token.
ROLLBACK = "ibm-quantum-egress-rollback-{}"


class Resident(NamedTuple):
    """A program that is to run all the time, in the foreground.

    ``watched``: files whose change calls for a refresh at once, where that can be had. ``stale``: what runs, if it
    does, is not what is to run any more.
    """

    name: str
    description: str
    command: Sequence[str]
    watched: Sequence[str] = ()
    stale: bool = False


class Scheduler(ABC):
    """One kind of init. Every method raises :class:`provider.FirewallError` when the host's tool fails.

    What is to be done lies in files, and is read from them: the steady state costs no subprocess.
    """

    @abstractmethod
    def files(self, policy: Policy, provider: Provider, resident: Resident | None) -> Mapping[str, Content]:
        """Absolute path to content of every file and link."""

    @abstractmethod
    def paths(self) -> Iterable[str]:
        """Every path that :meth:`files` can have, whatever the policy and the provider."""

    @abstractmethod
    def describe(self) -> str:
        """What keeps the addresses fresh, for people."""

    @abstractmethod
    def activate(self, changed: Iterable[str], resident: Resident | None) -> None:
        """Have in force what is on disk; ``changed``: the paths that were just written."""

    @abstractmethod
    def retire(self, paths: Iterable[str]) -> None:
        """Stop what these files, about to go, have running. The rules in force stay."""

    @abstractmethod
    def deactivate(self) -> None:
        """Stop everything, before the files go. The rules in force stay."""

    @abstractmethod
    def forget(self) -> None:
        """After the files went: leave nothing in memory either."""

    @abstractmethod
    def run_later(self, seconds: int, name: str, command: Sequence[str]) -> None:
        """Run a command once, after some seconds, whatever becomes of this process and its session."""

    @abstractmethod
    def cancel(self, name: str) -> None:
        """Take back what :meth:`run_later` set up."""

    @abstractmethod
    def refresh_soon(self, seconds: float) -> None:
        """Refresh once more after some seconds, where that is before the next time and can be had."""


def python() -> str:
    """The interpreter for what runs later: the stable name of the one that runs this, so that an upgrade keeps it."""
    stable = "/usr/bin/python3"
    return stable if os.path.realpath(stable) == os.path.realpath(sys.executable) else sys.executable
