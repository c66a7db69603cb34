# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ufw has in common with iptables is in test_iptables.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import ufw as subject
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.ufw import Ufw


@pytest.mark.parametrize(
    ("defaults", "conf", "says"),
    [
        ("MANAGE_BUILTINS=no\n", "# ENABLED=yes\nENABLED=no\n", "ufw enable"),
        ("MANAGE_BUILTINS=no\n", None, "ufw enable"),
        ('MANAGE_BUILTINS="yes"\n', "ENABLED=yes\n", "MANAGE_BUILTINS"),
        ("MANAGE_BUILTINS=no\nMANAGE_BUILTINS=YES\n", "ENABLED=yes\n", "MANAGE_BUILTINS"),
        ("#MANAGE_BUILTINS=yes\n", "ENABLED=yes\n", None),
        ("IPV6=yes\n", 'ENABLED="YES"\n', None),
    ],
)
def test_a_ufw_that_would_not_keep_the_rules_is_refused(
    defaults: str, conf: str | None, says: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = tmp_path / "default", tmp_path / "ufw.conf"
    paths[0].write_text(defaults)
    if conf is not None:
        paths[1].write_text(conf)
    monkeypatch.setattr(subject, "_SETTINGS", tuple(map(str, paths)))
    provider = Ufw(["true"])  # whatever is validated beyond is valid
    if says is None:
        provider.check("#!/bin/sh\n")
        return
    with pytest.raises(FirewallError, match=says) as caught:
        provider.check("#!/bin/sh\n")
    assert caught.value.reason == "unsupported"
