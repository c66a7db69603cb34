# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole onboarding on three real hosts, told as it goes. Run by ``make lab-demo``; needs root on Linux."""

from __future__ import annotations

import sys
import time

from tests.lab import system
from tests.lab.dns import OTHER_NAME
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.picture import picture
from tests.lab.system import LabError

RUNTIME = "https://quantum.cloud.ibm.com/api/v1/versions"
OTHER = f"https://{OTHER_NAME}/"


def main() -> int:
    reason = system.why_not()
    if reason:
        print(f"no lab here: {reason}", file=sys.stderr)
        return 1
    started = time.monotonic()
    try:
        with Lab("demo") as lab:
            say("Three hosts with systemd, sshd and nftables boot on a network with no way out")
            lab.up(hosts=3)
            problems = tell(lab)
    except LabError as exc:
        print(f"FAILED: {exc}", file=sys.stderr)
        return 1
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    say(f"Lab taken down after {time.monotonic() - started:.0f} s")
    return 1 if problems else 0


def tell(lab: Lab) -> list[str]:
    problems: list[str] = []
    before = {host.name: picture(host) for host in lab.hosts}
    for host in lab.hosts:
        print(f"{host.name} ({host.suite}), {host.address}: {reach(host, RUNTIME)}; {reach(host, OTHER)}")

    say("A look ahead, with nothing changed: ansible-playbook ibm_quantum.platform.onboard --check --diff")
    play(lab, problems, "onboard", "--check", "--diff")
    if any(picture(host) != before[host.name] for host in lab.hosts):
        problems.append("the check mode changed a host")

    say("ansible-playbook ibm_quantum.platform.onboard")
    play(lab, problems, "onboard")
    for host in lab.hosts:
        print(f"{host.name}: {reach(host, RUNTIME)}; {reach(host, OTHER)}")
        print(host.run("nft list counters table inet ibm_quantum 2>/dev/null | head -20", check=False).stdout)

    say("The same again")
    if play(lab, problems, "onboard"):
        problems.append("the second run changed something")

    say("ansible-playbook ibm_quantum.platform.offboard")
    play(lab, problems, "offboard")
    for host in lab.hosts:
        if picture(host) != before[host.name]:
            problems.append(f"{host.name} is not as it was")
    if not problems:
        say("Every host is byte for byte as it was")
    return problems


def play(lab: Lab, problems: list[str], name: str, *arguments: str) -> int:
    """Run one of the collection's playbooks, show it, and return how much it changed."""
    done = lab.playbook(f"ibm_quantum.platform.{name}", *arguments)
    print(done.output, flush=True)
    if done.returncode:
        problems.append(f"{name} {' '.join(arguments)} ended with {done.returncode}")
    return done.changed


def reach(host: Host, url: str) -> str:
    """Whether the host can open a connection, in words."""
    done = host.run(["curl", "-sk", "-o", "/dev/null", "--max-time", "5", url], check=False, timeout=30)
    return f"{url.split('/')[2]} {'answers' if done.returncode == 0 else 'is blocked'}"


def say(text: str) -> None:
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
