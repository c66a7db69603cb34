# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Confirm or roll back: a change that could cut the host off stays only if somebody comes back to confirm it.

While a change waits it is in force but nothing of it lies on disk: all of it is here, under /run. So the rollback has
nothing but the rules to restore, and a host that is switched off meanwhile comes up as it was before.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Callable, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.choose import scheduler
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import (
    FirewallError,
    Place,
    Provider,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.scheduler import ROLLBACK, python
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import (
    Layout,
    State,
    read,
    read_json,
    remove,
    to_json,
    write,
)

#: Seconds: a new connection has to be made and a module run within it.
LEAST_TIMEOUT = 5
#: Seconds that the rollback may be late.
_GRACE = 60


class Change(NamedTuple):
    """What has to go on disk once it is confirmed."""

    policy: Policy
    state: State


class Guard:
    """The caller holds the lock in every method. ``make`` gives the provider of a place."""

    def __init__(self, layout: Layout, make: Callable[[Place], Provider]) -> None:
        self._layout = layout
        self._make = make
        self._pending = os.path.join(layout.runtime, "egress-pending.json")
        self._code = os.path.join(layout.runtime, "egress.pyz")
        self._note = os.path.join(layout.runtime, "egress-rolled-back")

    @property
    def paths(self) -> tuple[str, ...]:
        return self._pending, self._code, self._note

    @staticmethod
    def check(seconds: int) -> None:
        """Raises :class:`FirewallError` for a time in which nobody can confirm; 0 stands for no guard."""
        if seconds and seconds < LEAST_TIMEOUT:
            raise FirewallError(f"confirm_timeout: {seconds} is neither 0 nor at least {LEAST_TIMEOUT} (seconds)")

    def arm(self, policy: Policy, state: State, places: Sequence[Place], seconds: int, code: bytes) -> str:
        """To be called before the rules are loaded: from here on the host returns to what it has now by itself.

        ``places``: all that are about to change. Returns the token that :meth:`confirm` wants within ``seconds``.
        """
        token = secrets.token_hex(8)
        before = [[*place, self._make(place).save()] for place in places]
        write(self._code, code)
        change = {
            "token": token,
            "overdue": _uptime() + seconds + _GRACE,
            "before": before,
            "policy": policy.as_dict(),
            "state": vars(state),
        }
        write(self._pending, to_json(change))
        command = [python(), "-I", self._code, "rollback", token]
        try:
            scheduler(self._layout).run_later(seconds, ROLLBACK.format(token), command)
        except FirewallError:
            self._clear()
            raise
        return token

    def pending(self) -> str | None:
        """The token of the change that waits, if one does."""
        data = read_json(self._pending)
        return None if data is None else str(data.get("token"))

    def overdue(self) -> bool:
        """Whether a change waits longer than it may: the run was killed before the rollback was set up, say."""
        data = read_json(self._pending)
        return data is not None and _uptime() > data.get("overdue", 0)

    def confirm(self, token: str) -> Change:
        """End the wait: the change stays."""
        data = read_json(self._pending)
        if data is None or data.get("token") != token:
            raise FirewallError(
                "the confirmation came too late: the host has rolled the change back (option confirm_timeout)",
                "rolled_back",
            )
        change = Change(Policy.from_dict(data["policy"]), State(data["state"]))
        self.drop(token)
        return change

    def drop(self, token: str) -> None:
        """End the wait, whatever becomes of the change."""
        self._clear()
        scheduler(self._layout).cancel(ROLLBACK.format(token))

    def roll_back(self, token: str | None = None, tell: bool = True) -> bool:
        """Undo the change that waits (only the one of this token, if given). Returns whether there was one.

        ``tell``: the next run is to say so.
        """
        data = read_json(self._pending)
        if data is None or token not in (None, data.get("token")):
            return False
        for name, chains, before in data.get("before", ()):
            provider = self._make(Place(name, tuple(chains)))
            try:
                provider.load(before)
            except FirewallError:
                # Better open than shut: what cannot be restored must not keep its owner out.
                provider.load(provider.nothing)
        self._clear()
        if tell:
            write(self._note, b"an egress allowlist was not confirmed in time and was rolled back by the host\n")
        if token is None:  # else this is what the timer started
            scheduler(self._layout).cancel(ROLLBACK.format(data.get("token")))
        return True

    def note(self, keep: bool) -> str | None:
        """What the last rollback left to be told; once, unless it is to be kept."""
        text = read(self._note)
        if not isinstance(text, bytes):
            return None
        if not keep:
            remove(self._note)
        return text.decode().strip()

    def _clear(self) -> None:
        # The pending file first: without it the timer's rollback does nothing.
        for path in (self._pending, self._code):
            remove(path)


def _uptime() -> float:
    """A clock that nobody sets; what it counts from ends with /run."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
