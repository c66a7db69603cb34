# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The systemd units of the allowlist: their text, their links, and the few commands they need.

What is enabled is read from the links on disk and written there, as ``systemctl enable`` would: so the steady state
costs no subprocess, and taking everything off again is removing files.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError, Provider
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Content, Layout, Link

BOOT = "ibm-quantum-egress.service"
REFRESH = "ibm-quantum-egress-refresh.service"
TIMER = "ibm-quantum-egress-refresh.timer"
ROLLBACK = "ibm-quantum-egress-rollback-{}"
_TIMEOUT = 60


def python() -> str:
    """The interpreter for units: the stable name of the one that runs this, so that an upgrade keeps it working."""
    stable = "/usr/bin/python3"
    return stable if os.path.realpath(stable) == os.path.realpath(sys.executable) else sys.executable


def units(policy: Policy, provider: Provider, layout: Layout) -> dict[str, Content]:
    """Path to content of every unit file and link."""
    # Follows the provider's own service: started after it, and again whenever it is started, restarted or reloaded,
    # each of which flushes the rules of everyone.
    boot = f"""\
# Written by the Ansible collection ibm_quantum.platform; changes are overwritten.
[Unit]
Description=Egress allowlist of the IBM Quantum Platform
DefaultDependencies=no
RequiresMountsFor={layout.ruleset}
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
After={provider.service}
PartOf={provider.service}
ReloadPropagatedFrom={provider.service}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={provider.boot_command(layout.ruleset)}
ExecReload={provider.boot_command(layout.ruleset)}

[Install]
WantedBy=sysinit.target {provider.service}
"""
    refresh = f"""\
# Written by the Ansible collection ibm_quantum.platform; changes are overwritten.
[Unit]
Description=Refresh the addresses of the IBM Quantum Platform egress allowlist
After={BOOT}

[Service]
Type=oneshot
ExecStart={python()} -I {layout.code} refresh
TimeoutStartSec=180
NoNewPrivileges=yes
ProtectSystem=full
"""
    timer = f"""\
# Written by the Ansible collection ibm_quantum.platform; changes are overwritten.
[Unit]
Description=Refresh the addresses of the IBM Quantum Platform egress allowlist every {policy.refresh_interval} s

[Timer]
OnActiveSec={min(15, policy.refresh_interval)}
OnUnitInactiveSec={policy.refresh_interval}
RandomizedDelaySec={min(30, policy.refresh_interval // 10)}
AccuracySec=1

[Install]
WantedBy=timers.target
"""
    files: dict[str, Content] = {BOOT: boot.encode(), REFRESH: refresh.encode(), TIMER: timer.encode()}
    links = {
        f"sysinit.target.wants/{BOOT}": BOOT,
        f"{provider.service}.wants/{BOOT}": BOOT,
        f"timers.target.wants/{TIMER}": TIMER,
    }
    files.update({link: Link(f"/etc/systemd/system/{unit}") for link, unit in links.items()})
    return {os.path.join(layout.units, name): content for name, content in files.items()}


def running(layout: Layout) -> bool:
    """Whether systemd is this host's init."""
    return os.path.isdir(os.path.join(layout.root, "run/systemd/system"))


def activate(reload: bool) -> None:
    """Have the units in force as they are on disk; ``reload``: their files changed."""
    if reload:
        _run("systemctl", "daemon-reload")
    _run("systemctl", "start", BOOT)
    _run("systemctl", "restart", TIMER)


def deactivate() -> None:
    """Stop the units, before their files go. The rules in force stay."""
    _run("systemctl", "stop", TIMER, REFRESH, BOOT, accept=(0, 5))  # 5: one of them is not known


def forget() -> None:
    """Drop the units from systemd's memory, after their files went."""
    _run("systemctl", "daemon-reload")
    # Remembered as failed, if it last failed; there is nothing to reset otherwise, which is no error here.
    _run("systemctl", "reset-failed", REFRESH, BOOT, accept=(0, 1, 5))


def run_later(seconds: int, unit: str, command: Sequence[str]) -> None:
    """Have systemd run a command once, after some seconds, whatever becomes of this process and its session."""
    _run(
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={unit}",
        f"--on-active={seconds}s",
        "--timer-property=AccuracySec=100ms",  # the default is a minute
        "--description=Roll back an egress allowlist that was not confirmed",
        *command,
    )


def cancel(unit: str) -> None:
    """Take back what :func:`run_later` set up."""
    _run("systemctl", "stop", unit + ".timer", accept=(0, 5))  # 5: it has run already


def _run(*command: str, accept: Sequence[int] = (0,)) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FirewallError(f"{command[0]} could not be run: {error}", "systemd") from None
    if done.returncode not in accept:
        text = (done.stderr or done.stdout).strip()
        raise FirewallError(f"{' '.join(command[:2])} failed: {text}", "systemd")
