# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow over a firewall and an init that are played; the real ones are in tests/integration and tests/lab."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterable, Sequence

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import choose, dnsmasq, store
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.allowlist import SOONEST, Allowlist
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import (
    MODES,
    RESOLUTIONS,
    Destination,
    Policy,
    Rules,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import (
    FirewallError,
    Live,
    Place,
    Provider,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.scheduler import Resident, Scheduler
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Layout
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resolve import Answer, Nameservers

NAME = "a.example"
POLICY = Policy(
    provider="nftables",
    mode="audit",
    chain=None,
    resolution="resolve",
    destinations=(Destination(NAME, 443, "tcp"),),
    users=(),
    groups=(),
    slices=(),
    management_ports=(22,),
    dns_servers=("192.0.2.53",),
    ntp=True,
    refresh_interval=300,
    address_lifetime=1000,
)


class Played(Provider):
    """A firewall whose kernel is a dictionary: what was loaded, and the two generations that dnsmasq fills."""

    modes = frozenset(MODES)
    resolutions = frozenset(RESOLUTIONS)
    scopes: frozenset[str] = frozenset()
    service = None
    packages = ()
    nothing = ""
    broken = False

    def __init__(self, name: str, kernel: dict[str, Any]) -> None:
        self.name = name
        self._kernel = kernel

    def missing(self) -> str | None:
        return None

    def inspect(self) -> Live | None:
        rules = self._kernel.get(self.name)
        if rules is None:
            return None
        learnt = {Destination(*d) for generation in rules["learnt"] for d in generation}
        return Live(rules["fixed"], frozenset(learnt), frozenset(rules["dns"]), {})

    def render(self, rules: Rules) -> str:
        learnt = [sorted(map(list, rules.learnt)) for _generation in range(rules.sets)]
        fixed = repr(rules._replace(learnt=frozenset(), dns_servers=frozenset()))
        return json.dumps({"fixed": fixed, "learnt": learnt, "dns": sorted(rules.dns_servers)})

    def check(self, ruleset: str) -> None:
        pass

    def load(self, ruleset: str) -> None:
        if self.broken and ruleset:
            raise FirewallError("the kernel says no", "provider_failed")
        self._kernel[self.name] = json.loads(ruleset) if ruleset else None

    def update(self, rules: Rules) -> None:
        self.load(self.render(rules))

    def save(self) -> str:
        return json.dumps(self._kernel[self.name]) if self._kernel.get(self.name) else ""

    def boot_command(self, path: str) -> str:
        return f"/bin/load {path}"

    def sweep(self, rules: Rules, generation: int) -> None:
        self._kernel[self.name]["learnt"][generation] = []

    def answered(self, address: str) -> None:
        """As dnsmasq does."""
        for generation in self._kernel[self.name]["learnt"]:
            generation.append([address, 443, "tcp"])


class Init(Scheduler):
    def __init__(self) -> None:
        self.soon: list[float] = []
        self.later: list[Sequence[str]] = []

    def files(self, policy: Policy, provider: Provider, resident: Resident | None) -> dict[str, store.Content]:
        return {}

    def paths(self) -> Iterable[str]:
        return ()

    def describe(self) -> str:
        return "nothing"

    def activate(self, changed: Iterable[str], resident: Resident | None) -> None:
        pass

    def retire(self, paths: Iterable[str]) -> None:
        pass

    def deactivate(self) -> None:
        pass

    def forget(self) -> None:
        pass

    def run_later(self, seconds: int, name: str, command: Sequence[str]) -> None:
        self.later.append(command)

    def cancel(self, name: str) -> None:
        pass

    def refresh_soon(self, seconds: float) -> None:
        self.soon.append(seconds)


class Host:
    """Everything that is played, and the real code over it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernel: dict[str, Any] = {}
        self.init = Init()
        self.now = 10_000.0
        self.answers = {NAME: Answer(("192.0.2.1",))}
        self.providers = {name: Played(name, self.kernel) for name in choose.PROVIDERS}
        self.layout = Layout(str(root))
        for module in ("choose.scheduler", "guard.scheduler"):
            target = f"{choose.__name__.rpartition('.')[0]}.{module}"
            monkeypatch.setattr(target, lambda layout: self.init)
        monkeypatch.setattr(choose, "scheduled", lambda layout: True)
        self.taken = False
        for name, value in {"serves": True, "uid": 7, "missing": None, "check": None}.items():
            monkeypatch.setattr(dnsmasq.Dnsmasq, name, lambda *args, value=value: value)
        monkeypatch.setattr(dnsmasq.Dnsmasq, "taken", lambda *args: self.taken)
        for name, taken in {"take": True, "give_back": False}.items():
            monkeypatch.setattr(dnsmasq.Dnsmasq, name, lambda *args, taken=taken: setattr(self, "taken", taken))
        monkeypatch.setattr(dnsmasq.Dnsmasq, "files", lambda *args: {})

    def allowlist(self) -> Allowlist:
        return Allowlist(
            self.layout,
            lambda place: self.providers[place.provider],
            lambda names, servers: {name: self.answers[name] for name in names},
            lambda path: Nameservers(("192.0.2.53",)),
            lambda: self.now,
        )

    def present(self, policy: Policy, confirm_timeout: int = 0) -> Any:
        return self.allowlist().present(policy, confirm_timeout, check=False)

    def refresh(self, seconds: float) -> list[str]:
        self.now += seconds
        return self.allowlist().refresh()

    def allowed(self, provider: str = "nftables") -> set[str]:
        live = self.providers[provider].inspect()
        return {d.host for d in live.learnt} if live else set()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_an_address_stays_for_its_lifetime(host: Host) -> None:
    assert host.present(POLICY).changed and not host.present(POLICY).changed
    host.answers = {NAME: Answer(("192.0.2.2",))}
    assert host.refresh(300) == ["the addresses changed: +192.0.2.2"]
    assert host.allowed() == {"192.0.2.1", "192.0.2.2"}
    host.refresh(600)
    assert host.allowed() == {"192.0.2.1", "192.0.2.2"}
    assert host.refresh(100) == ["the addresses changed: -192.0.2.1"]
    host.answers = {NAME: Answer((), "no answer")}
    assert host.refresh(10_000) == [f"{NAME}: no answer; its last good addresses stay"]
    assert host.allowed() == {"192.0.2.2"}


def test_a_ttl_longer_than_the_lifetime_counts(host: Host) -> None:
    host.present(POLICY._replace(address_lifetime=0))
    host.answers = {NAME: Answer(("192.0.2.2",), None, 500.0)}
    host.refresh(499)
    assert host.allowed() == {"192.0.2.1", "192.0.2.2"}
    host.refresh(1)
    assert host.allowed() == {"192.0.2.2"}


@pytest.mark.parametrize(("ttl", "soon"), [(60.0, [60.0]), (0.0, [SOONEST]), (300.0, []), (None, [])])
def test_a_short_ttl_calls_for_an_early_refresh(host: Host, ttl: float | None, soon: list[float]) -> None:
    host.present(POLICY)
    host.answers = {NAME: Answer(("192.0.2.1",), None, ttl)}
    host.refresh(10)
    assert host.init.soon == soon


def test_what_dnsmasq_found_stays_for_one_lifetime_and_not_for_three(host: Host) -> None:
    policy = POLICY._replace(
        resolution="dns", destinations=(*POLICY.destinations, Destination("*.b.example", 443, "tcp"))
    )
    host.present(policy)
    start, found = host.now, 5 * 300 + 10
    seen = []
    for _turn in range(20):
        host.refresh(300)
        if host.now - start == 5 * 300:
            host.now += 10
            host.providers["nftables"].answered("203.0.113.9")
        if "203.0.113.9" in host.allowed():
            seen.append(host.now - start - found)
        assert "192.0.2.1" in host.allowed()  # what DNS still answers never leaves
        assert not host.present(policy).changed
    assert policy.address_lifetime <= max(seen) <= 2 * policy.address_lifetime + 300
    assert "203.0.113.9" not in host.allowed()


def test_another_provider_takes_over_and_leaves_nothing(host: Host) -> None:
    host.present(POLICY)
    switched = host.present(POLICY._replace(provider="iptables"))
    assert switched.changed and host.allowed("iptables") == {"192.0.2.1"} and host.kernel["nftables"] is None
    assert not host.present(POLICY._replace(provider="iptables")).changed
    assert host.allowlist().absent(check=False).changed
    assert set(host.kernel.values()) == {None} and not host.allowlist().absent(check=False).changed
    assert [name for _dir, _dirs, names in os.walk(host.layout.root) for name in names] == []


def test_a_run_killed_between_two_providers_is_finished(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.present(POLICY)

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Allowlist, "_leave", killed)
        with pytest.raises(KeyboardInterrupt):
            host.present(POLICY._replace(provider="ufw"))
    assert host.allowed("ufw") and host.allowed("nftables")
    assert host.present(POLICY._replace(provider="iptables")).changed
    assert host.allowed("iptables") and not host.allowed("ufw") and not host.allowed("nftables")


def test_an_unconfirmed_switch_restores_both(host: Host) -> None:
    host.present(POLICY)
    before = dict(host.kernel)
    token = host.present(POLICY._replace(provider="iptables", mode="enforce"), confirm_timeout=30).pending
    assert host.allowed("iptables") and not host.allowed("nftables")
    assert host.init.later[0][-2:] == ["rollback", token]
    assert host.refresh(1) == ["a change is under way; nothing done"]
    assert host.allowlist().roll_back(token) == ["not confirmed in time: rolled back"]
    assert {name: rules for name, rules in host.kernel.items() if rules} == before
    told = host.present(POLICY)
    assert not told.changed and "rolled back by the host" in told.warnings[0]


def test_a_ruleset_that_cannot_be_loaded_leaves_what_was(host: Host) -> None:
    host.present(POLICY)
    before = dict(host.kernel)
    host.providers["iptables"].broken = True
    with pytest.raises(FirewallError, match="the kernel says no"):
        host.present(POLICY._replace(provider="iptables", mode="enforce"), confirm_timeout=30)
    assert {name: rules for name, rules in host.kernel.items() if rules} == before
    assert host.allowlist().refresh() == ["the addresses are as they were"]
    assert host.present(POLICY).warnings == []


def test_places_share_tables() -> None:
    one, two = Place("nftables", ("inet a x", "inet b y")), Place("nftables", ("inet a z",))
    assert one.beyond(two) == Place("nftables", ("inet b y",)) and two.beyond(one) is None
    assert one.beyond(Place("nftables")) == one and Place("ufw").beyond(Place("ufw")) is None
