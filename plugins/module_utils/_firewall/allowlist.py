# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The allowlist of one host: compare what is with what is declared, apply, confirm, refresh, take off.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import Any, Callable, ContextManager, Iterable, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import archive, systemd
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.guard import Guard
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables import Nftables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy, Rules, rules
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import (
    FirewallError,
    Live,
    Provider,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import (
    Content,
    Layout,
    State,
    locked,
    prune,
    read,
    read_policy,
    remove,
    to_json,
    write,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resolve import Answer, nameservers, resolve

#: Seconds to wait for another run; longer than any run without DNS takes.
PATIENCE = 60.0


class Outcome(NamedTuple):
    """What became of one call. ``before`` and ``after`` are texts for people, ``pending`` the token to confirm with."""

    changed: bool
    before: str
    after: str
    warnings: list[str]
    endpoints: list[dict[str, Any]]
    dns_servers: list[str]
    counters: dict[str, dict[str, int]]
    pending: str | None = None
    reason: str | None = None


class Allowlist:
    """Everything but the options. ``ask`` resolves names, ``servers`` finds name servers, ``clock`` tells the time."""

    def __init__(
        self,
        layout: Layout | None = None,
        provider: Provider | None = None,
        ask: Callable[[Iterable[str]], dict[str, Answer]] = resolve,
        servers: Callable[[], Any] = nameservers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._layout = layout or Layout()
        self._provider = provider or Nftables()
        self._guard = Guard(self._layout, self._provider)
        self._ask = ask
        self._servers = servers
        self._clock = clock

    # -- the module's calls ------------------------------------------------------------------------------------------

    def present(self, policy: Policy, confirm_timeout: int, check: bool) -> Outcome:
        """Have this policy in force. With ``check`` nothing is touched. Raises :class:`FirewallError`."""
        if not systemd.running(self._layout):
            raise FirewallError(
                "systemd does not run on this host: this version needs it to keep the addresses fresh and the rules "
                "across reboots",
                "no_systemd",
            )
        missing = self._provider.missing()
        if missing and not check:
            raise FirewallError(missing, "provider_missing")
        with self._locked(check):
            warnings = self._unfinished(check)
            declared, state = read_policy(self._layout), State.load(self._layout)
            live = None if missing else self._provider.inspect()
            before = self._describe(declared, state, live)
            warnings += self._learn(policy, state, known=declared == policy)

            wanted = self._rules(policy, state)
            ruleset = self._provider.render(wanted)
            basis = self._basis(wanted)
            reload = not self._in_force(state, live, basis)
            move = live is not None and not reload and not _same_addresses(live, wanted)
            differing = self._differing(self._files(policy, ruleset))
            idle = not state.activated or self._timer_stands_still(policy, state)
            changed = bool(reload or move or differing or idle)
            if changed and not missing:
                self._provider.check(ruleset)
            state.rules = basis
            outcome = Outcome(
                changed=changed,
                before=before,
                after=self._text(policy, state),
                warnings=warnings + ([missing] if missing else []),
                endpoints=[
                    {**d._asdict(), "addresses": sorted(state.addresses.get(d.host, [] if d.is_name else [d.host]))}
                    for d in policy.destinations
                ],
                dns_servers=list(state.dns_servers),
                counters=live.counters if live else {},
                reason="provider_missing" if missing else None,
            )
            if check or not changed:
                return outcome
            if reload and policy.mode == "enforce" and confirm_timeout:
                token = self._guard.arm(policy, state, confirm_timeout, archive.build())
                try:
                    self._provider.load(ruleset)
                except FirewallError:
                    self._guard.drop(token)  # nothing was loaded: nothing to roll back
                    raise
                return outcome._replace(pending=token)
            if reload:
                self._provider.load(ruleset)
            elif move:
                self._provider.update(wanted)
            return outcome._replace(counters=self._keep(policy, state))

    def confirm(self, token: str) -> dict[str, dict[str, int]]:
        """Keep the change that waits under this token; the counters are returned."""
        with self._locked(check=False):
            policy, state = self._guard.confirm(token)
            # Once more: something else, a reload of the provider's service say, may have taken it out since.
            self._provider.load(self._provider.render(self._rules(policy, state)))
            return self._keep(policy, state)

    def absent(self, check: bool) -> Outcome:
        """Take everything of ours off the host. With ``check`` nothing is touched."""
        with self._locked(check):
            declared, state = read_policy(self._layout), State.load(self._layout)
            live = None if self._provider.missing() else self._provider.inspect()
            paths = [path for path in self._paths() if os.path.lexists(path)]
            changed = bool(paths or live)
            outcome = Outcome(changed, self._describe(declared, state, live), "", [], [], [], {})
            if not check:
                self._take_off(live is not None, bool(paths))
            return outcome

    # -- the host's own calls ----------------------------------------------------------------------------------------

    def refresh(self) -> list[str]:
        """Ask DNS again and let the rules follow; put them back if they are gone. Returns lines for the journal."""
        policy = read_policy(self._layout)
        if policy is None:
            return ["no egress allowlist is declared on this host"]
        answers = self._ask(policy.names)  # without the lock: this is what can take long
        servers = self._servers().servers if policy.dns_servers is None else ()
        messages = [f"{name}: {a.error}; its last good addresses stay" for name, a in answers.items() if a.error]
        with self._locked(check=False):
            if self._guard.overdue():
                self._guard.roll_back()
            if self._guard.pending() or read_policy(self._layout) != policy:
                return ["a change is under way; nothing done"]
            state = State.load(self._layout)
            state.forget_all_but(policy.names)
            state.learn(answers, policy.address_lifetime, self._clock())
            if policy.dns_servers is not None:
                state.dns_servers = list(policy.dns_servers)
            elif servers:
                state.dns_servers = list(servers)
            wanted = self._rules(policy, state)
            ruleset = self._provider.render(wanted)
            basis = self._basis(wanted)
            live = self._provider.inspect()
            if not self._in_force(state, live, basis):
                self._provider.load(ruleset)
                state.rules, state.fingerprint = basis, self._fingerprint()
                messages.append("the rules were not in force as declared: loaded again")
            elif live is not None and not _same_addresses(live, wanted):
                self._provider.update(wanted)
                messages.append("the addresses changed: " + _moves(live, wanted))
            if read(self._layout.ruleset) != ruleset.encode():
                write(self._layout.ruleset, ruleset.encode())
            state.refreshed = self._clock()
            state.save(self._layout)
        return messages or ["the addresses are as they were"]

    def roll_back(self, token: str) -> list[str]:
        """Undo the change of this token unless it was confirmed."""
        with self._locked(check=False):
            done = self._guard.roll_back(token)
        return ["not confirmed in time: rolled back" if done else "confirmed or undone before: nothing to roll back"]

    # -- parts -------------------------------------------------------------------------------------------------------

    def _locked(self, check: bool) -> ContextManager[None]:
        # Check mode takes the lock only where that leaves no trace.
        if check and not os.path.exists(self._layout.lock):
            return contextlib.nullcontext()
        return locked(self._layout, PATIENCE)

    def _unfinished(self, check: bool) -> list[str]:
        """See to a change that an earlier run left unconfirmed; what to warn of."""
        if not check:
            self._guard.roll_back()
        note = self._guard.note(keep=check)
        return [note] if note else []

    def _learn(self, policy: Policy, state: State, known: bool) -> list[str]:
        """Resolve what has no addresses yet and find the name servers. In the steady state neither is needed.

        Raises :class:`FirewallError` if to enforce this would close everything; else returns what to warn of.
        """
        enforce = policy.mode == "enforce"
        warnings = []
        names = policy.names
        state.addresses = {n: a for n, a in state.addresses.items() if n in names}
        ask = [n for n in names if n not in state.addresses or not (known or state.addresses[n])]
        answers = self._ask(ask) if ask else {}
        state.learn(answers, policy.address_lifetime, self._clock())
        errors = {n: answer.error for n, answer in answers.items()}
        without = {n: errors.get(n, "as of the last refresh") for n in names if not state.addresses[n]}
        if enforce and without and len(without) == len(names):
            name, error = next(iter(without.items()))
            raise FirewallError(
                f"none of the {len(names)} names of the allowlist has an address ({name}: {error}), so nothing was "
                "changed: see to the DNS of this host, or use mode=audit",
                "no_dns",
            )
        warnings += [f"{n} has no address ({e}): it stays closed until it resolves" for n, e in without.items()]
        if policy.dns_servers is not None:
            state.dns_servers = list(policy.dns_servers)
        elif not (known and state.fingerprint):
            found = self._servers()
            if found.hidden:
                text = f"dns_servers: resolv.conf names only {found.hidden}, whose own servers are not known: list them"
                if enforce:
                    raise FirewallError(text, "dns_servers_unknown")
                warnings.append(text)
            state.dns_servers = list(found.servers)
        return warnings

    @staticmethod
    def _rules(policy: Policy, state: State) -> Rules:
        return rules(policy, state.addresses, state.dns_servers)

    def _skeleton(self, wanted: Rules) -> str:
        return self._provider.render(wanted._replace(learnt=frozenset(), dns_servers=frozenset()))

    def _basis(self, wanted: Rules) -> str:
        """Stands for all of the rules but their learnt part."""
        return hashlib.sha256(self._skeleton(wanted).encode()).hexdigest()

    @staticmethod
    def _in_force(state: State, live: Live | None, basis: str) -> bool:
        return live is not None and live.fingerprint == state.fingerprint and state.rules == basis

    def _fingerprint(self) -> str | None:
        live = self._provider.inspect()
        return live.fingerprint if live else None

    def _timer_stands_still(self, policy: Policy, state: State) -> bool:
        """Seen from when it last ran, so without asking systemd. A host that just came up is given time."""
        limit = 3 * policy.refresh_interval + 300
        return self._clock() - state.refreshed > limit and time.clock_gettime(time.CLOCK_BOOTTIME) > limit

    def _files(self, policy: Policy, ruleset: str) -> dict[str, Content]:
        """Every file and link that the policy comes to, but for the state."""
        return {
            **systemd.units(policy, self._provider, self._layout),
            self._layout.code: archive.build(),
            self._layout.ruleset: ruleset.encode(),
            self._layout.policy: to_json(policy.as_dict()),
        }

    def _paths(self) -> list[str]:
        """All that is ever written."""
        anything = Policy("enforce", (), (), None, False, 1, 0)
        return [*self._files(anything, ""), self._layout.state]

    @staticmethod
    def _differing(files: dict[str, Content]) -> dict[str, Content]:
        return {path: content for path, content in files.items() if read(path) != content}

    def _keep(self, policy: Policy, state: State) -> dict[str, dict[str, int]]:
        """Put what is in force on disk and start the units. What a killed run left, ``activated`` false, is redone."""
        live = self._provider.inspect()
        files = self._differing(self._files(policy, self._provider.render(self._rules(policy, state))))
        state.fingerprint = live.fingerprint if live else None
        state.refreshed = self._clock()
        state.activated = False
        state.save(self._layout)
        for path, content in files.items():
            write(path, content)
        systemd.activate(reload=any(path.startswith(self._layout.units) for path in files))
        state.activated = True
        state.save(self._layout)
        return live.counters if live else {}

    def _take_off(self, rules_in_force: bool, files: bool) -> None:
        # The units first, or they would put back what is taken away.
        has_systemd = systemd.running(self._layout)
        pending = self._guard.pending()
        if pending:
            self._guard.drop(pending)
        if files and has_systemd:
            systemd.deactivate()
        if rules_in_force:
            self._provider.load(self._provider.nothing)
        paths = self._paths()
        units = [path for path in paths if path.startswith(self._layout.units)]
        for path in units:
            remove(path)
        if files and has_systemd:
            systemd.forget()
        for path in (*paths, *self._guard.paths):
            remove(path)
        remove(self._layout.lock)
        # Of systemd's folders those of links, when we leave them empty: so does `systemctl disable`.
        wants = {os.path.dirname(path) for path in units} - {self._layout.units}
        prune([*self._layout.own_directories, *wants])

    # -- texts -------------------------------------------------------------------------------------------------------

    def _describe(self, declared: Policy | None, state: State, live: Live | None) -> str:
        """The host as it is, in the words of :meth:`_text`, plus what is not as declared."""
        if declared is None:
            return "" if live is None else "rules: in force, but nothing is declared\n"
        text = self._text(declared, state)
        wanted = self._rules(declared, state)
        if live is None:
            text += "not in force\n"
        elif not self._in_force(state, live, self._basis(wanted)):
            text += "in force, but not as declared\n"
        elif not _same_addresses(live, wanted):
            text += "in force with other addresses\n"
        for path in self._differing(self._files(declared, self._provider.render(wanted))):
            text += f"missing or altered: {path}\n"
        if not state.activated or self._timer_stands_still(declared, state):
            text += f"not running: {systemd.TIMER}\n"
        return text

    def _text(self, policy: Policy, state: State) -> str:
        """Names, addresses and rules of a policy."""
        followed = " (followed from resolv.conf)" if policy.dns_servers is None else ""
        lines = [
            f"mode: {policy.mode}",
            "management ports: " + (", ".join(map(str, policy.management_ports)) or "none"),
            "DNS servers: " + (", ".join(state.dns_servers) or "none") + followed,
            "NTP: " + ("allowed" if policy.ntp else "blocked"),
            f"refreshed every {policy.refresh_interval} s, addresses kept {policy.address_lifetime} s",
        ]
        for destination in policy.destinations:
            lines.append(f"allowed: {destination}")
            lines += [f"    {address}" for address in sorted(state.addresses.get(destination.host, ()))]
        return "\n".join([*lines, "rules:", self._skeleton(self._rules(policy, state))])


def _same_addresses(live: Live, wanted: Rules) -> bool:
    return live.learnt == wanted.learnt and live.dns_servers == wanted.dns_servers


def _moves(live: Live, wanted: Rules) -> str:
    """The difference in addresses, as +ADDRESS -ADDRESS."""
    before = {d.host for d in live.learnt} | live.dns_servers
    after = {d.host for d in wanted.learnt} | wanted.dns_servers
    return " ".join(["+" + a for a in sorted(after - before)] + ["-" + a for a in sorted(before - after)])
