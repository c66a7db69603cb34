# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host holds: for tests that say "exactly as before"."""

from __future__ import annotations

import difflib

from tests.lab.host import Host

#: Where an onboarding could leave something. Logs, caches and what systemd and Ansible themselves keep are left out.
FOLDERS = "/etc /usr/local /opt /root /home /var/lib /var/spool /srv"
_NOT = (
    r"^/(var/lib/(systemd|dbus|private|ucf)|root/\.ansible|root/\.cache|etc/(resolv\.conf|machine-id|\.updated))(/| |$)"
)

_SCRIPT = f"""
find {FOLDERS} \\( -type f -o -type l -o -type d \\) -printf '%p %y %m %u:%g %l\\n' | grep -vE '{_NOT}' | LC_ALL=C sort
find {FOLDERS} -type f | grep -vE '{_NOT}' | LC_ALL=C sort | xargs -d '\\n' sha256sum
echo RULES; nft list ruleset
test -d /run/systemd/system || exit 0
echo UNITS; systemctl list-unit-files --no-legend --no-pager | grep -v transient | LC_ALL=C sort
echo TIMERS; systemctl list-units --all --type=timer,service --plain --no-legend --no-pager 'ibm-quantum*'
"""


def picture(host: Host) -> list[str]:
    """Files with owner, mode, target and content; ruleset; units: as lines, so that a difference reads well."""
    return host.run(_SCRIPT, timeout=60).stdout.splitlines()


def changes(before: list[str], after: list[str]) -> list[str]:
    """What differs between two pictures, as the lines of a diff."""
    return [
        line for line in difflib.unified_diff(before, after, lineterm="", n=0) if line[:2] not in ("--", "++", "@@")
    ]
