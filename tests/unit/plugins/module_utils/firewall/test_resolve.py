# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _dns, _resolve
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resolve import Answer
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.module_utils.test_dns import (
    AAAA,
    CNAME,
    A,
    NameServer,
    answer,
    asked,
    fixed,
)


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
    assert _resolve.lookup("a\0b").error


def test_many_names_are_asked_together() -> None:
    names = [f"n{i}" for i in range(100)]
    together = threading.Barrier(_resolve.PARALLEL, timeout=30)

    def ask(name: str) -> Answer:
        if int(name[1:]) < _resolve.PARALLEL:
            together.wait()  # passes only if as many are asked at the same time
        return Answer((f"192.0.2.{name[1:]}",))

    assert _resolve.resolve(names, ask=ask) == {f"n{i}": Answer((f"192.0.2.{i}",)) for i in range(100)}


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


# -- name servers asked directly -------------------------------------------------------------------------------------


class Servers:
    """Gives name servers on ports of their own the addresses 192.0.2.1, .2 and so on, in the eyes of resolve()."""

    def __init__(self, *servers: NameServer) -> None:
        self.addresses = [f"192.0.2.{number + 1}" for number in range(len(servers))]
        self._servers = dict(zip(self.addresses, servers))
        #: Servers and names not to be waited for as long as usual.
        self.timeouts: dict[str, float] = {}

    def query(self, name: str, kind: str, server: str, timeout: float) -> _dns.Reply:
        it = self._servers[server]
        timeout = min(timeout, self.timeouts.get(server, timeout), self.timeouts.get(name, timeout))
        return _dns.query(name, kind, it.host, timeout, port=it.port)

    def resolve(self, *names: str, ask: Any, deadline: float = 20) -> dict[str, Answer]:
        return _resolve.resolve(names, self.addresses, deadline, ask, self.query)


def nothing(_name: str) -> Answer:
    return Answer((), "Name or service not known")


def silent(_question: bytes, _tcp: bool) -> list[bytes]:
    return []


def test_servers_that_differ_all_count() -> None:
    here = {"a.example": [(A, 60, "198.51.100.10"), (AAAA, 50, "2001:db8::1")], "only.here": [(A, 9, "198.51.100.1")]}
    there = {"a.example": [(A, 40, "198.51.100.9"), (A, 40, "198.51.100.10")], "b.example": [(CNAME, 7, "c.example")]}
    there["c.example"] = [(A, 60, "198.51.100.3")]
    with NameServer(here) as one, NameServer(there) as two:
        found = Servers(one, two).resolve(
            *("a.example", "only.here", "b.example"), ask=lambda _name: Answer(("203.0.113.1",))
        )
    assert found == {
        "a.example": Answer(("198.51.100.9", "198.51.100.10", "203.0.113.1", "2001:db8::1"), None, 40),
        "only.here": Answer(("198.51.100.1", "203.0.113.1"), None, 9),
        "b.example": Answer(("198.51.100.3", "203.0.113.1"), None, 7),
    }


def test_without_servers_no_lifetime_is_known() -> None:
    assert _resolve.resolve(["a"], ask=lambda _name: Answer(("192.0.2.1",))) == {"a": Answer(("192.0.2.1",))}
    assert _resolve.resolve(["a"], ask=nothing) == {"a": Answer((), "Name or service not known")}


def test_the_servers_may_know_what_the_host_does_not_and_the_other_way_round() -> None:
    with NameServer({"public": [(A, 60, "198.51.100.1"), (AAAA, 70, "2001:db8::1")]}) as one:
        found = Servers(one).resolve(
            *("public", "hosts-file"), ask=lambda n: Answer(("192.0.2.5",)) if n == "hosts-file" else nothing(n)
        )
    assert found == {"public": Answer(("198.51.100.1", "2001:db8::1"), None, 60), "hosts-file": Answer(("192.0.2.5",))}


@pytest.mark.parametrize("sink", ["0.0.0.0", "224.0.0.1"])
def test_addresses_of_nobody_are_not_taken_from_servers(sink: str) -> None:
    with NameServer({"a": [(A, 60, sink)]}) as blocking, NameServer({"a": [(A, 90, "198.51.100.1")]}) as good:
        assert Servers(blocking, good).resolve("a", ask=nothing) == {"a": Answer(("198.51.100.1",), None, 90)}
        found = Servers(blocking).resolve("a", ask=nothing)
    assert found == {"a": Answer((), f"Name or service not known; 192.0.2.1: the answer is {sink}")}


def test_one_family_that_fails_does_not_take_the_other_along() -> None:
    def handler(question: bytes, _tcp: bool) -> list[bytes]:
        if asked(question)[1] == A:
            return [answer(question, rcode=2)]
        return [answer(question, ("a", AAAA, 60, "2001:db8::1"))]

    with NameServer(handler) as server:
        assert Servers(server).resolve("a", ask=nothing) == {"a": Answer(("2001:db8::1",), None, 60)}


def test_the_error_says_what_each_said() -> None:
    with NameServer({}) as none, NameServer(fixed(rcode=2)) as broken, NameServer({"a": []}) as empty:
        with NameServer({}) as closed:
            pass
        found = Servers(none, broken, empty, closed).resolve("a", ask=nothing)
    assert found["a"].error == (
        "Name or service not known; 192.0.2.1: no such name; 192.0.2.2: SERVFAIL; "
        "192.0.2.3: the name has no address; 192.0.2.4: Connection refused"
    )
    assert _resolve.resolve(["a"], ["fe80::1%nosuchdevice"], ask=nothing)["a"].error


def test_a_dead_server_is_given_up_and_holds_nothing_up() -> None:
    names = [f"n{i}" for i in range(100)]
    with NameServer(silent) as dead, NameServer({name: [(A, 60, "198.51.100.1")] for name in names}) as good:
        servers = Servers(dead, good)
        servers.timeouts["192.0.2.1"] = 0.5
        found = servers.resolve(*names, ask=nothing, deadline=60)
        asked_for = {question[0] for question in dead.questions}
    assert found == {name: Answer(("198.51.100.1",), None, 60) for name in names}
    assert len(asked_for) <= _resolve.PARALLEL


def test_a_server_that_does_answer_is_not_given_up_for_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_resolve, "PARALLEL", 1)  # one after the other

    def handler(question: bytes, _tcp: bool) -> list[bytes]:
        wanted, kind = asked(question)
        if wanted == "lost":
            return []
        return [answer(question, *([(wanted, A, 60, "198.51.100.1")] if kind == A else []))]

    with NameServer(handler) as server:
        servers = Servers(server)
        servers.timeouts["lost"] = 0.5
        found = servers.resolve("first", "lost", "last", ask=nothing)
    assert found.pop("lost").error == "Name or service not known; 192.0.2.1: no answer within 0.5 s"
    assert all(one.addresses for one in found.values())


def test_silence_ends_at_the_deadline() -> None:
    with NameServer(silent) as dead:
        found = Servers(dead).resolve("a", "b", ask=nothing, deadline=0.5)
    assert set(found) == {"a", "b"}
    assert all("; 192.0.2.1: no answer within " in str(one.error) for one in found.values())


def test_nobody_is_asked_after_the_deadline() -> None:
    asked_for: list[str] = []
    may_end, ended = threading.Event(), threading.Event()

    def ask(name: str) -> Answer:
        asked_for.append(name)
        may_end.wait(60)
        ended.set()
        return Answer(())

    names = [f"n{i}" for i in range(_resolve.PARALLEL + 5)]
    _resolve.resolve(names, deadline=0.3, ask=ask)
    before = [thread for thread in threading.enumerate() if thread.daemon]
    may_end.set()
    assert ended.wait(30)
    for thread in before:
        thread.join(0.5)
    assert 0 < len(asked_for) <= _resolve.PARALLEL


def test_an_address_is_not_asked_for() -> None:
    with NameServer({}) as server:
        found = Servers(server).resolve("192.0.2.7", "2001:db8::7", ask=lambda name: Answer((name,)))
        assert server.questions == []
    assert found == {"192.0.2.7": Answer(("192.0.2.7",)), "2001:db8::7": Answer(("2001:db8::7",))}


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
