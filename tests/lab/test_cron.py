# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The allowlist on a host without systemd: cron keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.lab import network
from tests.lab.firewalls import IAM, NEW_UNTRACKED, RUNTIME, Playing, everything, held, listing, open_to_all
from tests.lab.host import Host
from tests.lab.lab import Lab, Play
from tests.lab.picture import changes
from tests.lab.system import wait_for

#: Seconds: cron looks at its files once a minute.
MINUTE = 75
#: Seconds until a change is rolled back; the controller waits for a connection for 10.
ROLLBACK = 8


@pytest.fixture
def host(fresh_hosts: list[Host]) -> Iterator[Host]:
    one = fresh_hosts[0]
    one.reboot(systemd=False)
    yield one
    one.reset()


def test_cron_does_what_systemd_would(lab: Lab, host: Host, tmp_path: Path) -> None:
    playing = Playing(lab, tmp_path)
    old, new = lab.dns.names()[IAM], lab.emulator.spare[0]

    def run(*args: str, **options: Any) -> tuple[Play, dict[str, Any]]:
        options = {"refresh_interval": 5, "address_lifetime": 0, "confirm_timeout": 60, **options}
        play, results = playing.module([host], *args, **options)
        return play, results[host.name]

    def changed(*args: str, **options: Any) -> bool:
        play, result = run(*args, **options)
        assert play.returncode == 0, play.output
        return bool(result["changed"])

    def follows(address: str) -> None:
        wait_for(f"cron to have {address}", lambda: address in "\n".join(listing(host)), timeout=MINUTE)

    assert host.run("test -e /run/systemd/system", check=False).returncode == 1
    before = everything(host)
    assert changed("--check") and changes(before, everything(host)) == []

    assert changed()
    held(host, [IAM, RUNTIME, *old])
    assert not changed()
    lab.dns.set(IAM, v4=[new.v4], v6=[new.v6])
    follows(new.v4)
    held(host, [IAM, *new], blocked=(*network.OTHER, *old))

    host.reboot()
    follows(new.v4)
    held(host, [IAM, *new], blocked=(*network.OTHER, *old))
    assert not changed()

    host.run(["nft", "-f", "-"], input=NEW_UNTRACKED)
    rules = sorted(listing(host))
    locked, result = run(management_ports=[2222], confirm_timeout=ROLLBACK)
    assert locked.returncode != 0 and result["reason"] in ("not_confirmed", "rolled_back"), locked.output
    wait_for("the rollback", lambda: sorted(listing(host)) == rules, timeout=60)
    assert host.ssh("true").returncode == 0
    play, result = run()
    assert "was rolled back by the host" in str(result["warnings"]), play.output
    host.run("nft delete table inet untracked")

    assert changed(state="absent")
    assert changes(before, everything(host)) == []
    assert host.run("ls -d /run/ibm_quantum", check=False).stdout == ""
    open_to_all(host)
