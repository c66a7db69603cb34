# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _resolve
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resolve import Answer


def answering(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(*_arguments: Any, **_options: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_addresses_are_sorted_and_each_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "2001:db8::1", "198.51.100.10", "198.51.100.2", "198.51.100.2", "fe80::1%eth0")
    assert _resolve.lookup("a") == Answer(("198.51.100.2", "198.51.100.10", "2001:db8::1", "fe80::1"))


@pytest.mark.parametrize("sink", ["0.0.0.0", "::", "224.0.0.1"])
def test_addresses_of_nobody_are_not_taken(monkeypatch: pytest.MonkeyPatch, sink: str) -> None:
    answering(monkeypatch, sink)
    assert _resolve.lookup("a") == Answer((), f"the answer is {sink}")
    answering(monkeypatch, sink, "198.51.100.2")
    assert _resolve.lookup("a").addresses == ("198.51.100.2",)


def test_a_failure_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_arguments: Any, **_options: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert _resolve.lookup("a") == Answer((), "Temporary failure in name resolution")
    monkeypatch.undo()
    assert _resolve.lookup("a" * 70 + ".example").error


def test_many_names_are_asked_together() -> None:
    names = [f"n{i}" for i in range(100)]
    together = threading.Barrier(_resolve.PARALLEL, timeout=30)

    def ask(name: str) -> Answer:
        if int(name[1:]) < _resolve.PARALLEL:
            together.wait()  # passes only if as many are asked at the same time
        return Answer((name,))

    assert _resolve.resolve(names, ask=ask) == {name: Answer((name,)) for name in names}


def test_a_resolver_that_hangs_holds_nothing_up() -> None:
    never = threading.Event()

    def ask(name: str) -> Answer:
        if name == "hangs":
            never.wait(60)
        return Answer(("192.0.2.1",))

    answers = _resolve.resolve(["hangs", "good"], deadline=1, ask=ask)
    never.set()
    assert answers["good"].addresses and answers["hangs"] == Answer((), "no answer within 1 s")
    assert _resolve.resolve([]) == {}


@pytest.mark.parametrize(
    ("text", "upstream", "servers", "hidden"),
    [
        ("nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch x\n", None, ("192.0.2.1", "2001:db8::1"), None),
        ("nameserver 127.0.0.53\n", "nameserver 192.0.2.1\n", ("192.0.2.1",), None),
        ("nameserver 127.0.0.1\n", None, (), "127.0.0.1"),
        ("nameserver 127.0.0.1\n", "nameserver 127.0.0.1\n", (), "127.0.0.1"),
        ("nameserver ::1\nnameserver 192.0.2.1\n", None, ("192.0.2.1",), None),
        ("nameserver fe80::1%eth0\nnameserver\nnameserver x\n# nameserver 192.0.2.9\n", None, ("fe80::1",), None),
        (None, None, (), None),
    ],
)
def test_nameservers(
    tmp_path: Path, text: str | None, upstream: str | None, servers: tuple[str, ...], hidden: str | None
) -> None:
    for name, content in (("resolv.conf", text), ("upstream", upstream)):
        if content is not None:
            (tmp_path / name).write_text(content)
    found = _resolve.nameservers(str(tmp_path / "resolv.conf"), [str(tmp_path / "upstream"), str(tmp_path / "none")])
    assert found == (servers, hidden)
