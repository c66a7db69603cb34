# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd is told, by a systemctl that only notes it; the lab has the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _services as services
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused
from ansible_collections.ibm_quantum.platform.plugins.module_utils._scopes import Service

DROP_IN = "/etc/systemd/system/a.service.d/60-ibm_quantum.conf"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    log = tmp_path / "calls"
    log.write_text("")
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$*" >>{log}\ncase $* in *broken*) echo no such unit; exit 5; esac\n')
    program.chmod(0o755)
    monkeypatch.setattr(services.os, "defpath", str(tmp_path))
    return log


@pytest.mark.parametrize("name", ["worker", "worker.service", "worker@.service", "a-b\\x2dc.service"])
def test_names(name: str) -> None:
    assert services.unit_name(name, "services[0]").endswith(".service")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", ".service", "x\n.service"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(OptionError, match=r"services\[0\].name"):
        services.unit_name(name, "services[0]")


def test_a_drop_in_is_made_known(calls: Path, tmp_path: Path) -> None:
    services.tell([DROP_IN], [Service("a.service", "environment", False)], str(tmp_path))
    assert calls.read_text() == "daemon-reload\n"


def test_who_wants_a_restart_gets_it(calls: Path, tmp_path: Path) -> None:
    wanted = [
        Service("a.service", "none", True),
        Service("b@.service", "none", True),
        Service("c.service", "none", False),
    ]
    services.tell(["/etc/ibm_quantum/secrets.env"], wanted, str(tmp_path))
    assert calls.read_text() == "try-restart a.service\ntry-restart b@*.service\n"


def test_nothing_is_done_without_a_change_or_without_systemd(calls: Path, tmp_path: Path) -> None:
    services.tell([], [Service("a.service", "none", True)], str(tmp_path))
    services.tell([DROP_IN], [Service("a.service", "none", True)], str(tmp_path / "nowhere"))
    assert calls.read_text() == ""


def test_what_systemctl_says_is_passed_on(calls: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="but systemctl try-restart broken.service failed: no such unit. Mend that"):
        services.tell([DROP_IN], [Service("broken.service", "none", True)], str(tmp_path))


@pytest.mark.parametrize(
    ("path", "concerned"),
    [
        (DROP_IN, True),
        ("/etc/ibm_quantum/environment", True),
        ("/etc/ibm_quantum/services.secrets.env", True),
        ("/etc/ibm_quantum/credentials/IQP_API_TOKEN", True),
        ("/etc/ibm_quantum/run", False),
        ("/etc/ibm_quantum/secrets.csh", False),
        ("/etc/environment", False),
        ("/etc/profile.d/ibm_quantum.sh", False),
    ],
)
def test_what_concerns_services(path: str, concerned: bool) -> None:
    assert services.concerns_services(path, "/etc/ibm_quantum") is concerned


def test_a_systemctl_that_does_not_end_is_one_clear_error(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(services, "_TIMEOUT", 0.2)
    with pytest.raises(Refused, match="systemctl daemon-reload failed: no end after"):
        services.tell([DROP_IN], [], str(tmp_path))
