# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same egress allowlist made by this collection and by the peers, on a real lab host over SSH, in one run.

Run by ``make bench-firewall`` (root on Linux). Each case is applied to a host as after its first boot, then once more.
Peers can take addresses only, so all are given addresses; what they lack besides (names that are followed, a guard
against being locked out, removal) costs them nothing here.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.lab.host import Host
from tests.lab.lab import Lab

#: Seconds for one ansible-playbook.
LIMIT = 3600
UFW = "ufw allow 22/tcp >/dev/null && ufw --force enable >/dev/null"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.firewall", description=__doc__)
    parser.add_argument("--endpoints", type=int, default=40, help="addresses, half of them IPv6")
    parser.add_argument("--many", type=int, default=1000, help="addresses for this collection's largest case")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ibm-quantum-bench-") as folder, Lab("bench") as lab:
        lab.up(hosts=1, suites=["bookworm"])
        bench = Bench(lab, Path(folder))
        rows = [bench.case("nothing but a connection (`ping`)", [{"ansible.builtin.ping": {}}], options.endpoints)]
        for provider, prepare in (("nftables", ""), ("iptables", ""), ("ufw", UFW)):
            for count in (options.endpoints, options.many):
                name = f"`egress_allowlist`, {provider}"
                rows.append(bench.case(name, [ours(provider, addresses(count))], count, prepare))
        few = addresses(options.endpoints)
        rows.append(bench.case("`ansible.builtin.iptables`", builtin(few), options.endpoints))
        rows.append(bench.case("`community.general.ufw`", ufw(few), options.endpoints, UFW))
    print("\n| case | endpoints | first run, s | ms an endpoint | second run, s |\n|---|---|---|---|---|")
    for row in rows:
        print("| {name} | {count} | {first:.1f} | {each:.0f} | {second:.1f} |".format(**row))
    return 0


def addresses(count: int) -> list[str]:
    """Documentation addresses, of both families in turn."""
    return [f"198.18.{n // 256}.{n % 256}" if n % 2 else f"2001:db8::{n:x}" for n in range(1, count + 1)]


def ours(provider: str, allowed: list[str]) -> dict[str, Any]:
    return {
        "ibm_quantum.platform.egress_allowlist": {
            "provider": provider,
            "features": [],
            "endpoints": [{"host": address} for address in allowed],
        }
    }


def builtin(allowed: list[str]) -> list[dict[str, Any]]:
    """What the rules need besides, then a rule an address, then the rest is rejected: the documentation's way."""
    tasks: list[dict[str, Any]] = []
    for version in ("ipv4", "ipv6"):
        common = {"chain": "OUTPUT", "ip_version": version}
        tasks += [
            {"ansible.builtin.iptables": {**common, "out_interface": "lo", "jump": "ACCEPT"}},
            {"ansible.builtin.iptables": {**common, "ctstate": ["ESTABLISHED", "RELATED"], "jump": "ACCEPT"}},
            {
                "ansible.builtin.iptables": {
                    **common, "protocol": "tcp", "destination": "{{ item }}", "destination_port": "443",
                    "jump": "ACCEPT",
                },
                "loop": [a for a in allowed if (":" in a) == (version == "ipv6")],
            },
            {"ansible.builtin.iptables": {**common, "jump": "REJECT"}},
        ]  # fmt: skip
    return tasks


def ufw(allowed: list[str]) -> list[dict[str, Any]]:
    rule = {"rule": "allow", "direction": "out", "proto": "tcp", "to_ip": "{{ item }}", "to_port": "443"}
    return [
        {"community.general.ufw": rule, "loop": allowed},
        {"community.general.ufw": {"default": "reject", "direction": "outgoing"}},
    ]


class Bench:
    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder

    def case(self, name: str, tasks: list[dict[str, Any]], count: int, prepare: str = "") -> dict[str, Any]:
        """Wall seconds of ansible-playbook for a first and a second run; the second must change nothing."""
        (host,) = self.lab.hosts
        host.reset()
        if prepare:
            host.run(prepare)
        first = self.play(host, tasks, changes=name.find("ping") < 0)
        second = self.play(host, tasks, changes=False)
        print(f"{name}, {count} endpoints: {first:.1f} s, then {second:.1f} s", flush=True)
        return {"name": name, "count": count, "first": first, "second": second, "each": first / count * 1000}

    def play(self, host: Host, tasks: list[dict[str, Any]], changes: bool) -> float:
        path = self.folder / "play.yml"
        path.write_text(json.dumps([{"hosts": host.name, "gather_facts": False, "tasks": tasks}]))
        start = time.perf_counter()
        play = self.lab.playbook(path, timeout=LIMIT)
        seconds = time.perf_counter() - start
        if play.returncode or bool(play.changed) != changes:
            sys.exit(f"not as expected:\n{play.output}")
        return seconds


if __name__ == "__main__":
    sys.exit(main())
