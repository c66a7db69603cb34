# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same promises on every firewall: one row is one firewall in one mode, on all the lab's hosts at once.

The row of nftables in mode enforce is test_firewall.py.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.lab import network
from tests.lab.firewalls import (
    FIREWALLS,
    IAM,
    MODULE,
    NEW_UNTRACKED,
    RUNTIME,
    Firewall,
    Playing,
    each,
    everything,
    foreign,
    held,
    listing,
    own,
    refresh,
)
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.picture import changes
from tests.lab.system import wait_for

#: Seconds until a change is rolled back; the controller waits for a connection for 10.
ROLLBACK = 8
OPTIONS = {"refresh_interval": 900, "confirm_timeout": 60}


ROWS = [
    pytest.param(firewall, mode, id=f"{name}-{mode}")
    for name, firewall in FIREWALLS.items()
    for mode in ("enforce", "allow")
    if (name, mode) != ("nftables", "enforce")
]


@pytest.mark.parametrize(("firewall", "mode"), ROWS)
def test_row(lab: Lab, fresh_hosts: list[Host], tmp_path: Path, firewall: Firewall, mode: str) -> None:
    hosts = [host for host in fresh_hosts if host.suite not in firewall.unfit]
    names = {host.name for host in hosts}
    playing = Playing(lab, tmp_path)
    old, new = lab.dns.names()[IAM], lab.emulator.spare[0]

    def run(*args: str, changed: bool, **options: Any) -> dict[str, dict[str, Any]]:
        play, results = playing.module(hosts, *args, **{"mode": mode, **OPTIONS, **options})
        assert play.returncode == 0, play.output
        assert {name for name, result in results.items() if result["changed"]} == (names if changed else set()), (
            play.output
        )
        return results

    def keeps(*allowed: str, blocked: tuple[str, ...] = network.OTHER) -> None:
        each(hosts, lambda host: held(host, allowed, blocked))
        for host in hosts:
            assert changes(rules[host.name], foreign(host)) == [], host

    def reloaded(host: Host) -> None:
        """By its owner's command; where that flushes our rules, systemd has them back a moment later."""
        loaded = sorted(listing(host))
        host.run(firewall.reload, timeout=120)
        wait_for(f"the rules of {host.name}", lambda: sorted(listing(host)) == loaded, timeout=20)

    each(hosts, lambda host: own(host, firewall, blocks=mode == "allow"))
    before, rules = each(hosts, everything), each(hosts, foreign)
    assert all(rules.values())

    predicted = run("--check", "--diff", changed=True)
    for host in hosts:
        result = predicted[host.name]
        assert result["provider"] == firewall.provider, (host, result)
        assert IAM in result["diff"]["after"] and old[0] in result["diff"]["after"], host
        assert changes(before[host.name], everything(host)) == [], host

    applied = run("--diff", changed=True)
    for host in hosts:
        assert applied[host.name]["diff"]["after"] == predicted[host.name]["diff"]["after"], host
        assert host.ssh("true").returncode == host.ssh("true", ipv6=True).returncode == 0
    keeps(IAM, RUNTIME, *old, blocked=(*network.OTHER, *new))

    each(hosts, reloaded)
    keeps(IAM, *old)
    run("--diff", changed=False)

    each(hosts, lambda host: host.reboot())
    keeps(IAM, *old)

    lab.dns.set(IAM, v4=[new.v4], v6=[new.v6])
    for name, said in each(hosts, refresh).items():
        assert f"+{new.v4}" in said and f"+{new.v6}" in said, (name, said)
    keeps(IAM, *new, *old)

    lab.dns.stop()
    for name, said in each(hosts, refresh).items():
        assert "last good addresses stay" in said, (name, said)
    run("--diff", changed=False)
    keeps(*new, *old)
    lab.dns.start()

    if mode == "enforce":
        locked_out(hosts, playing)
        keeps(IAM, *new, *old)

    run(state="absent", changed=True)
    for host in hosts:
        assert changes(before[host.name], everything(host)) == [], host


def locked_out(hosts: list[Host], playing: Playing) -> None:
    """Rules that keep the controller out leave by themselves, and those of before are back."""
    for host in hosts:
        host.run(["nft", "-f", "-"], input=NEW_UNTRACKED)
    # Sorted, since tables that are loaded again come last in a listing.
    before = {name: sorted(lines) for name, lines in each(hosts, listing).items()}
    play, results = playing.module(hosts, **{**OPTIONS, "management_ports": [2222], "confirm_timeout": ROLLBACK})
    assert play.returncode != 0
    assert {result["reason"] for result in results.values()} <= {"not_confirmed", "rolled_back"}, play.output
    for host in hosts:
        back = partial(lambda host: sorted(listing(host)) == before[host.name], host)
        wait_for(f"{host.name} to roll back", back, timeout=60)
        assert host.ssh("true").returncode == 0
        journal = host.run("journalctl --sync; journalctl -o cat -u 'ibm-quantum-egress-rollback-*'").stdout
        assert "not confirmed in time: rolled back" in journal, host
        host.run("nft delete table inet untracked")


#: What is asked of one host, the reason that it is refused for, and words that name the option and the remedy.
REFUSED: list[tuple[str, dict[str, Any], str | None, tuple[str, ...]]] = [
    ("h3", {"features": ["telepathy"]}, None, ("features", "telepathy", "rest")),
    ("h3", {"endpoints": [{"host": "192.0.2.0/33"}]}, "invalid", ("endpoints[0]", "192.0.2.0/33")),
    ("h3", {"endpoints": [{"host": "192.0.2.1/24"}]}, "invalid", ("endpoints[0]", "has host bits set")),
    ("h3", {"endpoints": [{"host": "a b.example.org"}]}, "invalid", ("endpoints[0]", "a b.example.org")),
    ("h3", {"endpoints": [{"host": "*.example.org"}]}, "invalid", ("*.example.org", "resolution=dns")),
    ("h3", {"provider": "firewalld", "only_users": ["bob"]}, "unsupported", ("only_users", "firewalld", "nftables")),
    (
        "h3",
        {"provider": "nftables", "only_users": ["nobody-here"]},
        "invalid",
        ("only_users", "nobody-here", "create it"),
    ),
    ("h3", {"provider": "nftables", "mode": "allow"}, "nothing_blocks", ("mode", "chain")),
    ("h3", {}, "unsupported", ("firewalld 0.9.3", "too old", "provider=nftables")),
    ("h2", {}, "two_firewalls", ("provider", "firewalld and ufw", "name one")),
    ("h1", {}, "provider_missing", ("nft", "install")),
]


def test_what_cannot_be_is_one_clear_error(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> None:
    none, two, one = fresh_hosts
    own(two, FIREWALLS["firewalld"], blocks=False)
    own(two, FIREWALLS["ufw"], blocks=False)
    own(one, FIREWALLS["firewalld"], blocks=False)
    none.run("for command in nft iptables-restore ipset; do mv /usr/sbin/$command /usr/sbin/$command.away; done")
    before = each(fresh_hosts, everything)
    playing = Playing(lab, tmp_path)

    tasks = [
        {"name": "Refused", MODULE: options, "ignore_errors": True, "when": f"inventory_hostname == '{name}'"}
        for name, options, _reason, _words in REFUSED
    ]
    _play, results = playing.tasks(tasks)
    answers = {host: iter(given) for host, given in results.items()}
    for name, options, reason, words in REFUSED:
        result = next(answers[name])
        assert result["failed"] and "Traceback" not in str(result), (options, result)
        assert result.get("reason") == reason and all(word in result["msg"] for word in words), (options, result)
    _play, results = playing.tasks([{"name": "Refused", MODULE: {}}], hosts=one.name, user="alice")
    assert results[one.name][0]["reason"] == "not_root" and "become" in results[one.name][0]["msg"], results

    for host in fresh_hosts:
        differing = [
            line for line in changes(before[host.name], everything(host)) if "/home/alice/.ansible" not in line
        ]
        assert differing == [], host
