# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An allowlist for some users, groups or slices of a host only, by nftables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.lab import network
from tests.lab.firewalls import IAM, Playing, each, everything, refresh
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.picture import changes

SLICE = "quantum-jobs.slice"
CONNECT = """
import socket, sys
for where in sys.argv[1:]:
    try:
        socket.create_connection((where, 443), 5).close()
        print("open")
    except OSError as error:
        print({13: "blocked", 113: "blocked"}.get(error.errno, repr(error)))
"""


def seen(host: Host, *runner: str) -> list[str]:
    """What a program that ``runner`` starts can reach: an allowed name, and what is not allowed."""
    return host.run([*runner, "python3", "-c", CONNECT, IAM, *network.OTHER]).stdout.split()


LIMITED, FREE = ["open", "blocked", "blocked"], ["open", "open", "open"]


def test_only_those_who_are_named_are_limited(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> None:
    playing = Playing(lab, tmp_path)
    before = each(fresh_hosts, everything)

    def run(hosts: list[Host], changed: bool, **options: Any) -> None:
        play, results = playing.module(hosts, **options)
        assert play.returncode == 0, play.output
        assert {result["changed"] for result in results.values()} == {changed}

    for options in ({"only_users": ["bob"]}, {"only_groups": ["bob"]}):
        run(fresh_hosts, True, **options)
        run(fresh_hosts, False, **options)
        for host in fresh_hosts:
            assert seen(host, "runuser", "-u", "bob", "--") == LIMITED, (host, options)
            assert seen(host, "runuser", "-u", "alice", "--") == seen(host) == FREE, (host, options)
    run(fresh_hosts, True, state="absent")
    assert each(fresh_hosts, everything) == before

    # The nft of bullseye is too old, and a slice that nobody started is nowhere.
    _play, results = playing.module(fresh_hosts, only_slices=[SLICE])
    for host in fresh_hosts:
        old = host.suite == "bullseye"
        assert results[host.name].get("msg", "").startswith("only_slices: "), results
        assert ("needs nft 0.9.9" if old else f"systemctl start {SLICE}") in results[host.name]["msg"]
        assert changes(before[host.name], everything(host)) == []

    hosts = [host for host in fresh_hosts if host.suite != "bullseye"]
    inside = ["systemd-run", "--quiet", "--wait", "--pipe", f"--slice={SLICE}"]
    each(hosts, lambda host: host.run(f"systemctl start {SLICE}"))
    run(hosts, True, only_slices=[SLICE])
    for host in hosts:
        assert seen(host, *inside) == LIMITED and seen(host) == FREE, host
        host.reboot()  # the slice is started for the rules
        assert seen(host, *inside) == LIMITED and seen(host) == FREE, host
        # Another control group of the same name is followed by the next refresh.
        host.run(f"systemctl stop {SLICE}; systemctl start {SLICE}")
        assert "loaded again" in refresh(host)
        assert seen(host, *inside) == LIMITED, host
    run(hosts, False, only_slices=[SLICE])
