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
from typing import Any, Callable, ContextManager, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import (
    archive,
    choose,
    dnsmasq,
    nftables_inside,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.choose import PROVIDERS
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.footprint import Footprint, differing
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.guard import Guard
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy, Rules, rules
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import (
    FirewallError,
    Live,
    Place,
    Provider,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.scheduler import Resident, Scheduler
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import (
    Content,
    Layout,
    State,
    locked,
    prune,
    read_policy,
    remove,
    write,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.words import describe, moves
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resolve import Answer, nameservers, resolve

#: Seconds to wait for another run; longer than any run without DNS takes.
PATIENCE = 60.0
#: Seconds: however short DNS says that its answers hold, it is not asked more often.
SOONEST = 30.0


class Outcome(NamedTuple):
    """What became of one call. ``before`` and ``after`` are texts for people, ``pending`` the token to confirm with.

    ``chains``: those of others that the rules are in, as ``FAMILY TABLE CHAIN``. ``packages``: what check mode lacks.
    """

    changed: bool
    before: str
    after: str
    warnings: list[str]
    endpoints: list[dict[str, Any]]
    dns_servers: list[str]
    counters: dict[str, dict[str, int]]
    pending: str | None = None
    reason: str | None = None
    chains: Sequence[str] = ()
    packages: Sequence[str] = ()


class Allowlist:
    """Everything but the options. ``make`` gives the provider of a place, ``ask`` resolves names with the help of some
    name servers, ``servers`` finds these in a resolv.conf, ``clock`` tells the time."""

    def __init__(
        self,
        layout: Layout | None = None,
        make: Callable[[Place], Provider] = choose.provider,
        ask: Callable[[Iterable[str], Sequence[str]], dict[str, Answer]] = resolve,
        servers: Callable[[str], Any] = nameservers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._layout = layout or Layout()
        self._make = make
        self._guard = Guard(self._layout, make)
        self._dnsmasq = dnsmasq.Dnsmasq(self._layout)
        self._footprint = Footprint(self._layout, make, self._dnsmasq)
        self._ask = ask
        self._servers = servers
        self._clock = clock

    # -- the module's calls ------------------------------------------------------------------------------------------

    def present(self, policy: Policy, confirm_timeout: int, check: bool) -> Outcome:
        """Have this policy in force. With ``check`` nothing is touched. Raises :class:`FirewallError`."""
        self._guard.check(confirm_timeout)
        self._scheduler()
        base = self._make(Place(policy.provider))
        choose.capable(policy, base)
        if policy.resolution == "dns" and not (read_policy(self._layout) == policy and self._dnsmasq.taken()):
            self._dnsmasq.check(base)
        lacking = self._lacking(policy, base)
        if lacking and not check:
            raise lacking
        with self._locked(check):
            warnings = self._unfinished(check)
            declared, state = read_policy(self._layout), State.load(self._layout)
            place = self._place(policy, state, known=declared == policy)
            provider = self._make(place)
            former = [rest for rest in (other.beyond(place) for other in state.places) if rest]
            live = None if lacking else provider.inspect()
            before = self._describe(declared, state, live)
            warnings += self._learn(policy, state, known=declared == policy)

            wanted = self._rules(policy, state, lacking is not None)
            basis = self._basis(provider, wanted)
            reload = not self._in_force(state, live, basis)
            move = live is not None and not reload and not _same_addresses(live, wanted)
            files = self._files(policy, provider, wanted)
            altered = differing(files)
            idle = not state.activated or self._timer_stands_still(policy, state) or self._bypassed(policy, files)
            changed = bool(reload or move or altered or idle or former)
            if reload and live:
                wanted = self._caught_up(policy, state, live)
            first = self._first(wanted)
            if changed and not lacking:
                provider.check(provider.render(first))
                self._check_leaving(former)
            state.rules = basis
            outcome = Outcome(
                changed=changed,
                before=before,
                after=self._text(policy, state, provider),
                warnings=warnings + ([str(lacking)] if lacking else []),
                endpoints=_endpoints(policy, state),
                dns_servers=list(state.dns_servers),
                counters=live.counters if live else {},
                reason=lacking.reason if lacking else None,
                chains=place.chains,
                packages=lacking.packages if lacking else (),
            )
            if check or not changed:
                return outcome
            if reload and policy.mode == "enforce" and confirm_timeout:
                state.places = [place]
                token = self._guard.arm(policy, state, [place, *former], confirm_timeout, archive.build())
                try:
                    provider.load(provider.render(first))
                    self._leave(former)
                except FirewallError:
                    self._guard.roll_back(tell=False)  # some of it may be in force
                    raise
                return outcome._replace(pending=token)
            if reload or former:
                # On disk before the rules are, so that they can be found again should this run be killed.
                state.places, state.activated = [*former, place], False
                state.save(self._layout)
            if reload:
                provider.load(provider.render(first))
            elif move:
                provider.update(wanted)
            self._leave(former)
            state.places = [place]
            if policy.mode == "allow" and not all(state.addresses[name] for name in policy.names):
                # What blocks this host may have blocked its DNS as well, until now.
                warnings[:] = self._learn(policy, state, known=False)
                first = self._first(self._caught_up(policy, state, provider.inspect()))
                provider.update(first)
                after, endpoints = self._text(policy, state, provider), _endpoints(policy, state)
                outcome = outcome._replace(warnings=warnings, after=after, endpoints=endpoints)
            return outcome._replace(counters=self._keep(policy, state, loaded=first))

    def confirm(self, token: str) -> dict[str, dict[str, int]]:
        """Keep the change that waits under this token; the counters are returned."""
        with self._locked(check=False):
            policy, state = self._guard.confirm(token)
            provider = self._make(state.places[-1])
            first = self._first(self._caught_up(policy, state, provider.inspect()))
            # Once more: something else, a reload of the provider's service say, may have taken it out since.
            provider.load(provider.render(first))
            return self._keep(policy, state, loaded=first)

    def absent(self, check: bool) -> Outcome:
        """Take everything of ours off the host. With ``check`` nothing is touched."""
        with self._locked(check):
            declared, state = read_policy(self._layout), State.load(self._layout)
            live = {}
            for place in self._suspects(state):
                provider = self._make(place)
                found = None if provider.missing() else provider.inspect()
                if found:
                    live[place] = found
            paths = self._footprint.there()
            changed = bool(paths or live or self._dnsmasq.taken())
            self._check_leaving(live)
            first = next(iter(live.values()), None)
            outcome = Outcome(changed, self._describe(declared, state, first), "", [], [], [], {})
            if not check:
                self._take_off(list(live), bool(paths))
            return outcome

    # -- the host's own calls ----------------------------------------------------------------------------------------

    def refresh(self) -> list[str]:
        """Ask DNS again and let the rules follow; put them back if they are gone. Returns lines for the journal."""
        policy, state = read_policy(self._layout), State.load(self._layout)
        if policy is None:
            return ["no egress allowlist is declared on this host"]
        messages = []
        if self._astray(policy, state):
            with self._locked(check=False):
                # First of all, or nothing that is asked below would be answered.
                messages += self._follow(policy, {}, astray=True) if self._settled(policy) else []
        # Without the lock: this is what can take long.
        answers = self._ask(policy.names, () if policy.resolution == "dns" else state.dns_servers)
        messages += [f"{name}: {a.error}; its last good addresses stay" for name, a in answers.items() if a.error]
        with self._locked(check=False):
            if not self._settled(policy):
                return ["a change is under way; nothing done"]
            messages += self._follow(policy, answers)
            ttls = [answer.ttl for answer in answers.values() if answer.ttl is not None]
            soon = max(min(ttls), SOONEST) if ttls and policy.resolution == "resolve" else policy.refresh_interval
            if soon < policy.refresh_interval:
                self._scheduler().refresh_soon(soon)
        return messages or ["the addresses are as they were"]

    def _settled(self, policy: Policy) -> bool:
        """Whether the host is to be as this policy has it, and no change waits for its confirmation."""
        if self._guard.overdue():
            self._guard.roll_back()
        return not self._guard.pending() and read_policy(self._layout) == policy

    def _follow(self, policy: Policy, answers: dict[str, Answer], astray: bool = False) -> list[str]:
        """Have the rules of a policy follow what DNS answered, and dnsmasq too if it is ``astray``; what was done."""
        messages = []
        state = State.load(self._layout)
        state.forget_all_but(policy.keys)
        for name in policy.names:
            state.addresses.setdefault(name, {})
        state.learn(answers, policy.address_lifetime, self._clock())
        state.dns_servers = self._upstreams(policy, state)
        provider = self._make(state.places[-1] if state.places else self._place(policy, state, known=False))
        live = provider.inspect()
        if policy.resolution == "dns":
            messages += self._mend(policy, state, provider) if astray else []
            # Nothing is forgotten while DNS does not answer.
            if live is not None and (any(a.addresses for a in answers.values()) or not policy.names):
                live = self._sweep(policy, state, provider, live)
        wanted = self._first(self._caught_up(policy, state, live))
        basis = self._basis(provider, wanted)
        if not self._in_force(state, live, basis):
            provider.check_others(provider.render(wanted))
            provider.load(provider.render(wanted))
            state.rules, state.fingerprint = basis, self._fingerprint(provider)
            messages.append("the rules were not in force as declared: loaded again")
        elif live is not None and not _same_addresses(live, wanted):
            provider.update(wanted)
            messages.append("the addresses changed: " + moves(live, wanted))
        for path, content in differing(self._footprint.fleeting(policy, provider, wanted)).items():
            write(path, content)
        state.refreshed = self._clock()
        state.save(self._layout)
        return messages

    def _sweep(self, policy: Policy, state: State, provider: Provider, live: Live) -> Live | None:
        """Forget what dnsmasq has not seen for a lifetime, or two, when it is time; see :class:`policy.Rules`."""
        if self._clock() - state.swept < dnsmasq.lifetime(policy):
            return live
        if self._in_force(state, live, state.rules or ""):  # else the sets may not even be there
            provider.sweep(self._rules(policy, state), state.generation)
            state.swept, state.generation = self._clock(), 1 - state.generation
        return provider.inspect()

    def _mend(self, policy: Policy, state: State, provider: Provider) -> list[str]:
        """Have dnsmasq run as configured and the host's programs ask it; else let them ask as they did before."""
        files = self._dnsmasq.files(policy, provider, sorted(state.dns_servers))
        if not self._bypassed(policy, files):
            return []
        for path, content in differing({**files}).items():
            write(path, content)
        try:
            if not self._dnsmasq.serves(files):
                self._scheduler().activate((), self._resident(policy, files))
            self._dnsmasq.take(files)
        except FirewallError as error:
            self._dnsmasq.give_back()
            return [str(error)]
        return ["the host did not ask the dnsmasq that fills the rules: now it does"]

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

    def _scheduler(self) -> Scheduler:
        return choose.scheduler(self._layout)

    def _lacking(self, policy: Policy, provider: Provider) -> FirewallError | None:
        """What is not installed."""
        missing = [(provider.missing(), provider.packages)]
        if policy.resolution == "dns":
            missing.append((self._dnsmasq.missing(), self._dnsmasq.packages))
        found = [(text, packages) for text, packages in missing if text]
        if not found:
            return None
        packages = [name for _text, names in found for name in names]
        return FirewallError("; ".join(text for text, _packages in found), "provider_missing", packages)

    def _unfinished(self, check: bool) -> list[str]:
        """See to a change that an earlier run left unconfirmed; what to warn of."""
        if not check:
            self._guard.roll_back()
        note = self._guard.note(keep=check)
        return [note] if note else []

    def _place(self, policy: Policy, state: State, known: bool) -> Place:
        """Where the rules of a policy belong."""
        base = Place(policy.provider)
        if policy.provider != "nftables" or policy.mode != "allow":
            return base
        # Where nothing of ours is left, the host's own chains may be others now.
        if known and state.places and self._make(state.places[-1]).inspect():
            return state.places[-1]
        return Place(policy.provider, nftables_inside.find(policy.chain))

    def _suspects(self, state: State) -> list[Place]:
        """Where something of ours may be."""
        if state.places:
            return state.places
        inside = nftables_inside.leftovers()
        return [*map(Place, PROVIDERS), *([Place("nftables", inside)] if inside else [])]

    def _check_leaving(self, places: Iterable[Place]) -> None:
        for place in places:
            provider = self._make(place)
            if not provider.missing():
                provider.check_others(provider.nothing)

    def _leave(self, places: Iterable[Place]) -> None:
        for place in places:
            provider = self._make(place)
            if not provider.missing():
                provider.load(provider.nothing)

    def _learn(self, policy: Policy, state: State, known: bool) -> list[str]:
        """Resolve what has no addresses yet and find the name servers. In the steady state neither is needed.

        Raises :class:`FirewallError` if to enforce this would close everything; else returns what to warn of.
        """
        enforce = policy.mode == "enforce"
        warnings = []
        if policy.dns_servers is not None:
            state.dns_servers = list(policy.dns_servers)
        elif not (known and state.fingerprint):
            found = self._servers(self._dnsmasq.resolv_conf)
            if found.hidden:
                text = f"dns_servers: resolv.conf names only {found.hidden}, whose own servers are not known: list them"
                if enforce or policy.resolution == "dns":
                    raise FirewallError(text, "dns_servers_unknown")
                warnings.append(text)
            state.dns_servers = list(found.servers)
        if policy.resolution == "dns" and not state.dns_servers:
            raise FirewallError(
                "dns_servers: resolv.conf names none that dnsmasq could ask: list them", "dns_servers_unknown"
            )
        names = policy.names
        state.forget_all_but(policy.keys)
        ask = [n for n in names if n not in state.addresses or not (known or state.addresses[n])]
        direct = () if self._dnsmasq.taken() else state.dns_servers
        answers = self._ask(ask, direct) if ask else {}
        for name in names:
            state.addresses.setdefault(name, {})
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
        return warnings + [f"{n} has no address ({e}): it stays closed until it resolves" for n, e in without.items()]

    def _rules(self, policy: Policy, state: State, lacking: bool = False) -> Rules:
        resolver = self._dnsmasq.uid() if policy.resolution == "dns" and not lacking else None
        return rules(policy, state.addresses, state.dns_servers, resolver)

    def _first(self, wanted: Rules) -> Rules:
        """What these rules have to be before the host asks dnsmasq: it must be answered nevertheless."""
        return wanted if self._dnsmasq.taken() else wanted._replace(resolver=None)

    def _caught_up(self, policy: Policy, state: State, live: Live | None) -> Rules:
        """The rules, with what dnsmasq found until now: whoever got such an address may still be about to use it."""
        if policy.resolution == "dns" and live is not None:
            state.see(policy, live.learnt, self._clock())
        return self._rules(policy, state)

    def _upstreams(self, policy: Policy, state: State) -> list[str]:
        """The name servers as of now."""
        return list(policy.dns_servers or self._servers(self._dnsmasq.resolv_conf).servers) or state.dns_servers

    def _astray(self, policy: Policy, state: State) -> bool:
        """Whether the host's programs do not ask dnsmasq, or dnsmasq not the servers that it should."""
        if policy.resolution != "dns" or not state.places:
            return False
        servers = sorted(self._upstreams(policy, state))
        return self._bypassed(policy, self._dnsmasq.files(policy, self._make(state.places[-1]), servers))

    @staticmethod
    def _skeleton(provider: Provider, wanted: Rules) -> str:
        return provider.render(wanted._replace(learnt=frozenset(), dns_servers=frozenset()))

    def _basis(self, provider: Provider, wanted: Rules) -> str:
        """Stands for all of the rules but their learnt part."""
        return hashlib.sha256(self._skeleton(provider, wanted).encode()).hexdigest()

    @staticmethod
    def _in_force(state: State, live: Live | None, basis: str) -> bool:
        return live is not None and live.fingerprint == state.fingerprint and state.rules == basis

    @staticmethod
    def _fingerprint(provider: Provider) -> str | None:
        live = provider.inspect()
        return live.fingerprint if live else None

    def _timer_stands_still(self, policy: Policy, state: State) -> bool:
        """Seen from when it last ran, so without asking systemd. A host that just came up is given time."""
        limit = 3 * policy.refresh_interval + 300
        return self._clock() - state.refreshed > limit and time.clock_gettime(time.CLOCK_BOOTTIME) > limit

    def _bypassed(self, policy: Policy, files: Mapping[str, Content]) -> bool:
        """Whether the host's programs are not answered by the dnsmasq that fills the sets, as these files have it."""
        return policy.resolution == "dns" and not (self._dnsmasq.taken() and self._dnsmasq.serves(files))

    def _resident(self, policy: Policy, files: Mapping[str, Content] | None = None) -> Resident | None:
        """What is to run all the time; with ``files``, also whether it does and has read them."""
        if policy.resolution != "dns":
            return None
        return self._dnsmasq.resident()._replace(stale=files is not None and not self._dnsmasq.serves(files))

    def _files(self, policy: Policy, provider: Provider, wanted: Rules) -> dict[str, Content]:
        return self._footprint.files(policy, provider, wanted, self._resident(policy))

    def _keep(self, policy: Policy, state: State, loaded: Rules) -> dict[str, dict[str, int]]:
        """Put what is in force on disk and start what keeps it. What a killed run left, ``activated`` false, is redone.

        ``loaded``: the rules that are in force so far.
        """
        provider, scheduler = self._make(state.places[-1]), self._scheduler()
        wanted = self._rules(policy, state)
        wholly = self._files(policy, provider, loaded)
        files = differing(wholly)
        stale = self._footprint.stale(wholly)
        live = provider.inspect()
        state.fingerprint = live.fingerprint if live and loaded == wanted else None
        state.refreshed = self._clock()
        # The scheduler may not have been told of what a killed run wrote.
        untold = files if state.activated else wholly
        state.activated = False
        state.save(self._layout)
        if policy.resolution != "dns":
            self._dnsmasq.give_back()
        scheduler.retire(stale)
        for path in stale:
            remove(path)
        for path, content in files.items():
            write(path, content)
        try:
            scheduler.activate([*untold, *stale], self._resident(policy, wholly))
            if policy.resolution == "dns":
                self._dnsmasq.take(wholly)
        except FirewallError:
            if policy.resolution == "dns":
                # The host keeps its DNS.
                self._dnsmasq.give_back()
                self._reload(policy, provider, self._first(wanted))
            raise
        if loaded != wanted:
            self._reload(policy, provider, self._caught_up(policy, state, provider.inspect()))
            live = provider.inspect()
            state.fingerprint = live.fingerprint if live else None
        state.activated = True
        state.save(self._layout)
        return live.counters if live else {}

    def _reload(self, policy: Policy, provider: Provider, wanted: Rules) -> None:
        """Have these rules in force and on disk."""
        provider.load(provider.render(wanted))
        for path, content in differing(self._footprint.fleeting(policy, provider, wanted)).items():
            write(path, content)

    def _take_off(self, places: Iterable[Place], files: bool) -> None:
        # What runs by itself first, or it would put back what is taken away.
        scheduler = self._scheduler() if choose.scheduled(self._layout) else None
        pending = self._guard.pending()
        if pending:
            self._guard.drop(pending)
        if self._dnsmasq.taken():
            self._leave(places)  # from here on the host asks for itself, which these rules do not let it
        self._dnsmasq.give_back()
        if files and scheduler:
            scheduler.deactivate()
        self._leave(places)
        paths = self._footprint.paths()
        # With units that a provider has of its own, so that systemd forgets these as well.
        schedules = [*choose.schedules(self._layout), *(p for p in paths if p.startswith(self._layout.units))]
        for path in schedules:
            remove(path)
        if files and scheduler:
            scheduler.forget()
        for path in (*paths, *self._guard.paths):
            remove(path)
        remove(self._layout.lock)
        # Of systemd's folders those of links, when we leave them empty: so does `systemctl disable`.
        wants = {os.path.dirname(path) for path in schedules if os.path.dirname(path).endswith(".wants")}
        prune([*self._layout.own_directories, *wants])

    def _describe(self, declared: Policy | None, state: State, live: Live | None) -> str:
        """The host as it is, in the words of :meth:`_text`, plus what is not as declared."""
        if declared is None:
            return "" if live is None else "rules: in force, but nothing is declared\n"
        provider = self._make(state.places[-1] if state.places else Place(declared.provider))
        text = self._text(declared, state, provider)
        wanted = self._rules(declared, state, self._dnsmasq.missing() is not None)
        if live is None:
            text += "not in force\n"
        elif not self._in_force(state, live, self._basis(provider, wanted)):
            text += "in force, but not as declared\n"
        elif not _same_addresses(live, wanted):
            text += "in force with other addresses\n"
        for path in differing(self._files(declared, provider, wanted)):
            text += f"missing or altered: {path}\n"
        if declared.resolution == "dns" and not self._dnsmasq.taken():
            text += "resolv.conf: names other servers\n"
        if not state.activated or self._timer_stands_still(declared, state):
            text += f"not running: {self._scheduler().describe()}\n"
        return text

    def _text(self, policy: Policy, state: State, provider: Provider) -> str:
        rules = self._rules(policy, state, lacking=True)
        return describe(policy, state, provider, rules._replace(learnt=frozenset(), dns_servers=frozenset()))


def _endpoints(policy: Policy, state: State) -> list[dict[str, Any]]:
    known = state.addresses
    return [
        {**d._asdict(), "addresses": sorted(known.get(d.host, [] if d.is_name else [d.host]))}
        for d in policy.destinations
    ]


def _same_addresses(live: Live, wanted: Rules) -> bool:
    # What dnsmasq adds is right in any case.
    same = live.learnt >= wanted.learnt if wanted.filled else live.learnt == wanted.learnt
    return same and live.dns_servers == wanted.dns_servers
