# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import choose
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.cron import Cron
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError, Place
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Layout
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.systemd import Systemd

POLICY = Policy("nftables", "enforce", None, "resolve", (), (), (), (), (22,), None, True, 300, 86400)


def active(root: Path, *services: str, ufw: str = "") -> str:
    for service in services:
        path = root / "run/systemd/units" / f"invocation:{service}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("0123456789abcdef")
    if ufw:
        (root / "etc/ufw").mkdir(parents=True)
        (root / "etc/ufw/ufw.conf").write_text(ufw)
    return str(root)


@pytest.mark.parametrize(
    ("services", "ufw", "owner"),
    [
        (["firewalld.service"], "", "firewalld"),
        (["nftables.service"], "", "nftables"),
        (["netfilter-persistent.service"], "", "iptables"),
        (["iptables.service", "ip6tables.service"], "ENABLED=no\n", "iptables"),
        ([], "# comment\nENABLED=yes\n", "ufw"),
        ([], 'enabled = "yes"\n', "ufw"),
        (["cron.service"], "#ENABLED=yes\n", "nftables"),
    ],
)
def test_the_active_one_owns_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, services: list[str], ufw: str, owner: str
) -> None:
    monkeypatch.setattr(choose.shutil, "which", lambda command, path: None)
    assert choose.owner(active(tmp_path, *services, ufw=ufw)) == owner


def test_without_an_owner_what_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for there, owner in (
        ({"iptables-restore", "ipset"}, "iptables"),
        ({"iptables-restore"}, "nftables"),
        ({"nft", "ipset", "iptables-restore"}, "nftables"),
    ):
        monkeypatch.setattr(choose.shutil, "which", lambda command, path, there=there: command in there or None)
        assert choose.owner(str(tmp_path)) == owner


def test_two_owners_are_not_guessed_between(tmp_path: Path) -> None:
    with pytest.raises(FirewallError, match="provider: firewalld and ufw are both active") as caught:
        choose.owner(active(tmp_path, "firewalld.service", ufw="ENABLED=yes"))
    assert caught.value.reason == "two_firewalls"


@pytest.mark.parametrize(
    ("provider", "changes", "text"),
    [
        ("firewalld", {"users": ("alice",)}, "only_users: the provider firewalld cannot do this; nftables, "),
        ("firewalld", {"resolution": "dns"}, "resolution=dns: the provider firewalld cannot do this; nftables, "),
        (
            "iptables",
            {"mode": "allow", "chain": "inet filter output"},
            "chain: the provider iptables cannot do this; nftables can",
        ),
    ],
)
def test_what_a_provider_cannot_do_is_said(provider: str, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(FirewallError) as caught:
        choose.capable(POLICY._replace(provider=provider, **changes), choose.provider(Place(provider)))
    assert text in str(caught.value) and caught.value.reason == "unsupported"


def test_all_can_do_the_least() -> None:
    for name in choose.PROVIDERS:
        for mode in ("enforce", "allow"):
            choose.capable(POLICY._replace(provider=name, mode=mode), choose.provider(Place(name)))


def test_systemd_before_cron(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    with pytest.raises(FirewallError, match="neither systemd nor a cron") as caught:
        choose.scheduler(layout)
    assert caught.value.reason == "no_systemd" and not choose.scheduled(layout)
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    assert isinstance(choose.scheduler(layout), Cron)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert isinstance(choose.scheduler(layout), Systemd)
