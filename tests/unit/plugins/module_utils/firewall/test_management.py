# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import management


def process(proc: Path, pid: int, parent: int, environment: bytes) -> None:
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "stat").write_bytes(b"%d (a ) b) S %d 1 1" % (pid, parent))
    (proc / str(pid) / "environ").write_bytes(environment)


def test_the_session_is_found_above_sudo(tmp_path: Path) -> None:
    process(tmp_path, 30, 20, b"A=1\0")
    process(tmp_path, 20, 10, b"SUDO_USER=x\0")
    process(tmp_path, 10, 1, b"A=1\0SSH_CONNECTION=192.0.2.1 50000 192.0.2.2 2222\0")
    assert management.session_port(str(tmp_path), 30) == 2222


@pytest.mark.parametrize("value", [b"", b"a b c", b"192.0.2.1 50000 192.0.2.2 ssh"])
def test_no_session(tmp_path: Path, value: bytes) -> None:
    process(tmp_path, 30, 20, b"SSH_CONNECTION=" + value + b"\0")
    process(tmp_path, 20, 1, b"")
    assert management.session_port(str(tmp_path), 30) is None
    assert management.session_port(str(tmp_path), 40) is None


def test_sshd_ports(tmp_path: Path) -> None:
    main, more = tmp_path / "sshd_config", tmp_path / "more.conf"
    patterns = [str(main), str(tmp_path / "*.conf")]
    assert management.sshd_ports(patterns) == [22]
    main.write_text("#Port 1\nPort 2222\nPermitRootLogin no\n")
    more.write_text("port=443\n")
    assert management.sshd_ports(patterns) == [443, 2222]
    assert management.ports(str(tmp_path / "noproc"), patterns) == [443, 2222]
