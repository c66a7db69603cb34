# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service on a host whose systemctl and squid are played; what the real ones do is shown in the lab."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _gateway
from ansible_collections.ibm_quantum.platform.plugins.module_utils._gateway import UNIT, Gateway, GatewayError, in_force
from ansible_collections.ibm_quantum.platform.plugins.module_utils._squid import Proxy, config, declare, identity
from ansible_collections.ibm_quantum.platform.plugins.modules import egress_proxy
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.servers import Server, closed_port, speak_http

LOCAL = "127.0.0.1"
OPTIONS: dict[str, Any] = {
    "state": "present",
    "listen": [LOCAL],
    "clients": ["10.0.0.0/8"],
    "regions": ["us-east"],
    "features": ["rest"],
    "endpoints": [],
}
# It notes what it is asked. A proxy "starts" in that the test's own server answers with what the file says.
SYSTEMCTL = """#!/bin/sh
echo "$@" >>"{root}/asked"
[ "$1" != is-active ] || {{ cat "{root}/state"; exit 3; }}
[ "$1" != start ] && [ "$1" != restart ] && [ "$1" != reload ] || [ -e "{root}/broken" ] ||
    cp "{root}/etc/ibm_quantum/squid.conf" "{root}/in_force"
[ "$1" != stop ] || rm -f "{root}/in_force"
"""
SQUID = """#!/bin/sh
[ "$1 $2 $3" = "-k parse -f" ] || exit 9
grep -q '^http_access deny all$' "$4" || exit 8
[ ! -e "{root}/refuses" ] || {{ echo '2026/11/22 18:39:49| FATAL: Bungled line 5' >&2; exit 1; }}
"""


class Played:
    """A host below a folder, and what its systemctl was asked for."""

    def __init__(self, root: Path, port: int) -> None:
        self.root, self.port = root, port
        self.gateway = Gateway(str(root))

    def present(self, check: bool = False, **more: Any) -> dict[str, Any]:
        return egress_proxy.run({**OPTIONS, "port": self.port, **more}, self.gateway, check)

    def absent(self, check: bool = False) -> dict[str, Any]:
        return egress_proxy.run({"state": "absent"}, self.gateway, check)

    def asked(self) -> list[str]:
        """Since the last time."""
        path = self.root / "asked"
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return text.splitlines()

    def tree(self) -> list[str]:
        return sorted(str(p.relative_to(self.root)) for p in (self.root / "etc").rglob("*") if not p.is_dir())

    def proxy(self, **more: Any) -> Proxy:
        return declare({**OPTIONS, "port": self.port, **more})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    root, tools = tmp_path / "root", tmp_path / "bin"
    for folder in (tools, root / "etc/systemd/system/multi-user.target.wants", root / "run/systemd/system"):
        folder.mkdir(parents=True)
    for name, text in (("systemctl", SYSTEMCTL), ("squid", SQUID)):
        (tools / name).write_text(text.format(root=root))
        (tools / name).chmod(0o755)
    (root / "state").write_text("inactive\n")
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setattr(_gateway, "_READY", 1)
    played = Played(root, closed_port())

    def ask(address: str, port: int) -> str | None:
        path = root / "in_force"
        text = path.read_text() if path.exists() else ""
        return identity(text) if (address, port) in _gateway.places(text) else None

    monkeypatch.setattr(_gateway, "_ask", ask)
    yield played


FILES = [
    "etc/ibm_quantum/squid.conf",
    f"etc/systemd/system/{UNIT}",
    f"etc/systemd/system/multi-user.target.wants/{UNIT}",
]


def test_from_nothing_to_nothing(host: Played) -> None:
    predicted = host.present(check=True)
    assert predicted["changed"] and predicted["action"] == "start" and host.tree() == [] and host.asked() == []
    first = host.present()
    assert first["diff"] == predicted["diff"] and first["action"] == "start" and host.tree() == FILES
    assert {"host": "iam.cloud.ibm.com", "port": 443, "tls": True} in first["endpoints"]
    assert host.asked() == ["daemon-reload", f"start {UNIT}"]
    again = host.present()
    assert (again["changed"], again["diff"], host.asked()) == (False, [], [])
    assert host.absent(check=True)["changed"] and host.asked() == [] and host.tree() == FILES
    gone = host.absent()
    assert gone["action"] == "stop" and host.asked() == [f"stop {UNIT}", "daemon-reload", f"reset-failed {UNIT}"]
    assert host.tree() == [] and not (host.root / "etc/ibm_quantum").exists()
    assert not host.absent()["changed"] and host.asked() == []


def test_a_folder_that_others_use_stays(host: Played) -> None:
    host.present()
    (host.root / "etc/ibm_quantum/environment").touch()
    host.absent()
    assert host.tree() == ["etc/ibm_quantum/environment"]


def test_rules_are_reloaded_and_a_unit_is_restarted(host: Played) -> None:
    host.present()
    host.asked()
    assert host.present(clients=["10.1.0.0/16"])["action"] == "reload"
    assert host.asked() == [f"reload {UNIT}"]
    unit = Path(host.gateway.unit)
    unit.write_text("edited\n")
    assert host.present(clients=["10.1.0.0/16"])["action"] == "restart"
    assert host.asked() == ["daemon-reload", f"restart {UNIT}"] and "ExecStart=" in unit.read_text()
    (host.root / "in_force").unlink()  # it was stopped
    assert host.present(clients=["10.1.0.0/16"])["action"] == "start"
    assert host.asked() == [f"is-active {UNIT}", f"start {UNIT}"]
    Path(host.gateway.link).unlink()  # it was disabled
    assert host.present(clients=["10.1.0.0/16"])["changed_files"] == [host.gateway.link]


def test_a_run_that_was_killed_is_finished(host: Played) -> None:
    host.present()
    Path(host.gateway.config).write_text(config(host.proxy(clients=["10.1.0.0/16"])))  # written, not in force
    assert host.present(clients=["10.1.0.0/16"])["action"] == "reload"
    assert not host.present(clients=["10.1.0.0/16"])["changed"]


def test_one_that_does_not_answer_is_restarted(host: Played) -> None:
    host.present()
    (host.root / "in_force").unlink()
    (host.root / "state").write_text("active\n")
    with socket.socket() as hanging:  # it still has its port
        hanging.bind((LOCAL, host.port))
        hanging.listen()
        assert host.present()["action"] == "restart"


def refused(work: Callable[..., Any], reason: str, *args: Any, **more: Any) -> str:
    with pytest.raises(GatewayError) as caught:
        work(*args, **more)
    assert caught.value.reason == reason
    return str(caught.value)


def test_a_configuration_that_squid_refuses_changes_nothing(host: Played) -> None:
    (host.root / "refuses").touch()
    for check in (True, False):
        assert "FATAL: Bungled line 5" in refused(host.present, "squid_refuses", check)
    assert host.tree() == [] and host.asked() == []


def test_a_port_that_is_taken(host: Played) -> None:
    with socket.socket() as other:
        other.bind((LOCAL, host.port))
        other.listen()
        for check in (True, False):
            assert f"port {host.port} is in use" in refused(host.present, "port_taken", check)
        assert host.tree() == [] and host.asked() == []
    host.present()
    with socket.socket() as other:
        other.bind((LOCAL, 0))
        other.listen()
        refused(host.present, "port_taken", port=other.getsockname()[1])
    assert not host.present()["changed"]


def test_an_address_of_somebody_else(host: Played) -> None:
    assert "192.0.2.1 is not an address of this host" in refused(host.present, "invalid", listen=["192.0.2.1"])


@pytest.mark.parametrize("before", [True, False])
def test_what_does_not_come_up_is_taken_back(host: Played, before: bool) -> None:
    if before:
        host.present()
    tree = host.tree()
    text = Path(host.gateway.config).read_text() if before else ""
    (host.root / "broken").touch()
    assert f"journalctl -u {UNIT}" in refused(host.present, "not_started", clients=["10.9.0.0/16"])
    assert host.tree() == tree
    if before:
        assert Path(host.gateway.config).read_text() == text and host.asked()[-1] == f"restart {UNIT}"
    else:
        assert not (host.root / "etc/ibm_quantum").exists()


def test_without_squid(host: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gateway.shutil, "which", lambda *_args, **_kwargs: None)
    predicted = host.present(check=True)
    assert predicted["changed"] and predicted["reason"] == "squid_missing" and host.tree() == []
    assert "install the package squid" in refused(host.present, "squid_missing")


def test_without_systemd(host: Played) -> None:
    (host.root / "run/systemd/system").rmdir()
    refused(host.present, "no_systemd")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:
        yield lambda *args: stack.enter_context(Server(*args))


def test_what_is_in_force_the_proxy_tells(serve: Callable[..., Server]) -> None:
    def server(name: str) -> int:
        text = f"HTTP/1.1 403 Forbidden\r\nX-Cache: MISS from {name}\r\n\r\n"
        return serve(speak_http(text.encode())).port

    one, other = "ibm-quantum-proxy-0123456789ab", "ibm-quantum-proxy-ba9876543210"
    first, second, third, foreign = server(one), server(one), server(other), server("proxy.example")
    assert in_force([("::", first)]) == in_force([(LOCAL, first), (LOCAL, second)]) == one
    assert in_force([(LOCAL, first), (LOCAL, third)]) is None
    assert in_force([(LOCAL, foreign)]) is None and in_force([(LOCAL, closed_port())]) is None and in_force([]) is None
