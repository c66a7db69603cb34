# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Systemd as the host's init: the units of the allowlist, their links, and the few commands they need.

What is enabled is read from the links on disk and written there, as ``systemctl enable`` would: so the steady state
costs no subprocess, and taking everything off again is removing files.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
from typing import Iterable, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.command import complete
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Policy
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError, Provider
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.scheduler import (
    Resident,
    Scheduler,
    python,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Content, Layout, Link

BOOT = "ibm-quantum-egress.service"
REFRESH = "ibm-quantum-egress-refresh.service"
TIMER = "ibm-quantum-egress-refresh.timer"
RESIDENT = "ibm-quantum-egress-dns.service"
#: Watches what :class:`scheduler.Resident` says.
WATCH = "ibm-quantum-egress-dns.path"
#: A refresh before its time, for addresses that DNS says will not last so long.
SOON = "ibm-quantum-egress-soon"
#: The services that a provider may follow.
FOLLOWED = ("nftables.service", "ufw.service", "netfilter-persistent.service", "iptables.service", "firewalld.service")
_HEAD = "# Written by the Ansible collection ibm_quantum.platform; changes are overwritten."
#: However often in a short time: by default systemd refuses the sixth start within 10 seconds.
_ALWAYS = "StartLimitIntervalSec=0"


class Systemd(Scheduler):
    """See :class:`scheduler.Scheduler`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def describe(self) -> str:
        return TIMER

    def paths(self) -> list[str]:
        links = [f"{target}.wants/{BOOT}" for target in ("sysinit.target", *FOLLOWED)]
        links += [f"timers.target.wants/{TIMER}"]
        links += [f"multi-user.target.wants/{unit}" for unit in (RESIDENT, WATCH)]
        return [os.path.join(self._layout.units, name) for name in (BOOT, REFRESH, TIMER, RESIDENT, WATCH, *links)]

    def files(self, policy: Policy, provider: Provider, resident: Resident | None) -> dict[str, Content]:
        # Whether the refresh writes below /etc: resolv.conf, or files that the firewall's own service reads.
        etc = resident or provider.boot_command(self._layout.ruleset) is None
        refresh = f"""\
{_HEAD}
[Unit]
Description=Refresh the addresses of the IBM Quantum Platform egress allowlist
After={BOOT}
{_ALWAYS}

[Service]
Type=oneshot
ExecStart={python()} -I {self._layout.code} refresh
TimeoutStartSec=180
NoNewPrivileges=yes
ProtectSystem={"yes" if etc else "full"}
"""
        timer = f"""\
{_HEAD}
[Unit]
Description=Refresh the addresses of the IBM Quantum Platform egress allowlist every {policy.refresh_interval} s
{_ALWAYS}

[Timer]
OnActiveSec={min(15, policy.refresh_interval)}
OnUnitInactiveSec={policy.refresh_interval}
RandomizedDelaySec={min(30, policy.refresh_interval // 10)}
AccuracySec=1

[Install]
WantedBy=timers.target
"""
        texts = {REFRESH: refresh, TIMER: timer}
        links = {f"timers.target.wants/{TIMER}": TIMER}
        command = provider.boot_command(self._layout.ruleset)
        if command:
            texts[BOOT] = self._boot(policy, provider, command)
            links.update({f"{target}.wants/{BOOT}": BOOT for target in ("sysinit.target", provider.service) if target})
        if resident:
            texts.update({RESIDENT: self._resident(resident), WATCH: self._watch(resident)})
            links.update({f"multi-user.target.wants/{unit}": unit for unit in (RESIDENT, WATCH)})
        files: dict[str, Content] = {name: text.encode() for name, text in texts.items()}
        files.update({link: Link(f"/etc/systemd/system/{unit}") for link, unit in links.items()})
        return {os.path.join(self._layout.units, name): content for name, content in files.items()}

    def _boot(self, policy: Policy, provider: Provider, command: str) -> str:
        # Follows the provider's own service: started after it, and again whenever it is started, restarted or reloaded,
        # each of which flushes the rules of everyone.
        followed = provider.service
        follow = f"After={followed}\nPartOf={followed}\nReloadPropagatedFrom={followed}\n" if followed else ""
        # A slice is there for rules to name it as long as something wants it.
        slices = "".join(f"Wants={name}\nAfter={name}\n" for name in policy.slices)
        return f"""\
{_HEAD}
[Unit]
Description=Egress allowlist of the IBM Quantum Platform
DefaultDependencies=no
RequiresMountsFor={self._layout.ruleset}
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
{_ALWAYS}
{follow}{slices}
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={command}
ExecReload={command}

[Install]
WantedBy=sysinit.target{" " + followed if followed else ""}
"""

    @staticmethod
    def _resident(resident: Resident) -> str:
        return f"""\
{_HEAD}
[Unit]
Description={resident.description}
After={BOOT}
Before=network.target nss-lookup.target
Wants=nss-lookup.target
StartLimitIntervalSec=0

[Service]
ExecStart={" ".join(resident.command)}
Restart=always
RestartSec=200ms

[Install]
WantedBy=multi-user.target
"""

    @staticmethod
    def _watch(resident: Resident) -> str:
        watched = "".join(f"PathChanged={path}\n" for path in resident.watched)
        return f"""\
{_HEAD}
[Unit]
Description={resident.description}: what it depends on

[Path]
{watched}Unit={REFRESH}

[Install]
WantedBy=multi-user.target
"""

    def activate(self, changed: Iterable[str], resident: Resident | None) -> None:
        units = [path for path in changed if path.startswith(self._layout.units)]
        if units:
            _run("systemctl", "daemon-reload")
        if os.path.exists(os.path.join(self._layout.units, BOOT)):
            _run("systemctl", "start", BOOT)
        if resident:
            _run("systemctl", "restart" if resident.stale else "start", RESIDENT)
            _run("systemctl", "restart", WATCH)
        _run("systemctl", "restart", TIMER)

    def retire(self, paths: Iterable[str]) -> None:
        gone = {os.path.join(self._layout.units, unit): unit for unit in (BOOT, RESIDENT, WATCH)}
        units = [gone[path] for path in paths if path in gone]
        if units:
            _run("systemctl", "stop", *units, accept=(0, 5))

    def deactivate(self) -> None:
        # 5: one of them is not known
        _run("systemctl", "stop", TIMER, SOON + ".timer", WATCH, REFRESH, BOOT, RESIDENT, accept=(0, 5))

    def forget(self) -> None:
        _run("systemctl", "daemon-reload")
        # Remembered as failed, if it last failed; there is nothing to reset otherwise, which is no error here.
        _run("systemctl", "reset-failed", REFRESH, BOOT, RESIDENT, WATCH, accept=(0, 1, 5))

    def run_later(self, seconds: int, name: str, command: Sequence[str]) -> None:
        _run(
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={name}",
            f"--on-active={seconds}s",
            "--timer-property=AccuracySec=100ms",  # the default is a minute
            "--description=Egress allowlist of the IBM Quantum Platform",
            *command,
        )

    def cancel(self, name: str) -> None:
        _run("systemctl", "stop", name + ".timer", accept=(0, 5))  # 5: it has run already

    def refresh_soon(self, seconds: float) -> None:
        self.cancel(SOON)
        self.run_later(int(seconds), SOON, ["systemctl", "start", "--no-block", REFRESH])


def running(layout: Layout) -> bool:
    """Whether systemd is this host's init."""
    return os.path.isdir(os.path.join(layout.root, "run/systemd/system"))


def _run(*command: str, accept: Sequence[int] = (0,)) -> None:
    done = complete(command, reason="systemd")
    if done.returncode not in accept:
        text = (done.stderr or done.stdout).strip()
        raise FirewallError(f"{' '.join(command[:2])} failed: {text}", "systemd")
