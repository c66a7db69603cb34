# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DNS client, against a real server on the loopback device that answers whatever a test wants."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading
import time
from typing import Any, Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _dns
from ansible_collections.ibm_quantum.platform.plugins.module_utils._dns import DnsError, NoAnswer, Reply, query

A, NS, CNAME, SOA, TXT, AAAA = 1, 2, 5, 6, 16, 28
#: Given a question and whether it came by TCP: the datagrams to send, or what to write to the connection.
Handler = Callable[[bytes, bool], Iterable[bytes]]
#: Owner, type, lifetime, and an address or a name.
Record = Any


def name(text: str) -> bytes:
    return b"".join(bytes([len(x)]) + x.encode() for x in text.split(".") if x) + b"\0"


def asked(question: bytes) -> tuple[str, int]:
    """The name and type of a question."""
    labels, offset = [], 12
    while question[offset]:
        labels.append(question[offset + 1 : offset + 1 + question[offset]].decode())
        offset += 1 + question[offset]
    return ".".join(labels), struct.unpack_from("!H", question, offset + 1)[0]


def record(owner: str, kind: int, ttl: int, data: str) -> bytes:
    if kind in (A, AAAA):
        packed = ipaddress.ip_address(data).packed
    else:
        packed = name(data) + (name("admin.example") + bytes(20) if kind == SOA else b"")
    return name(owner) + struct.pack("!2HIH", kind, 1, ttl, len(packed)) + packed


def answer(
    question: bytes, *records: Record, authority: Iterable[Record] = (), rcode: int = 0, flags: int = 0, ident: int = -1
) -> bytes:
    """A message that answers the question, written by hand rather than by the code under test."""
    authority = list(authority)
    number = struct.unpack_from("!H", question)[0] if ident < 0 else ident
    header = struct.pack("!6H", number, 0x8180 | flags | rcode, 1, len(records), len(authority), 0)
    return header + question[12:] + b"".join(record(*r) for r in (*records, *authority))


class NameServer:
    """A DNS server by UDP and TCP on one port; ``questions`` are the names and types asked for, and by what.

    With a dict instead of a handler it knows these names: a list of (type, lifetime, data); others do not exist.
    """

    def __init__(self, handler: Handler | dict[str, list[Any]], host: str = "127.0.0.1") -> None:
        self.handler = self._lookup(handler) if isinstance(handler, dict) else handler
        self.host = host
        self.questions: list[tuple[str, int, str]] = []
        self.idents: list[int] = []
        self.ports: list[int] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._udp, self._tcp = self._pair(family, host)
        self.port = self._udp.getsockname()[1]
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._by_udp, self._by_tcp)]

    @staticmethod
    def _pair(family: int, host: str) -> tuple[socket.socket, socket.socket]:
        for _try in range(20):
            tcp = socket.create_server((host, 0), family=family)
            udp = socket.socket(family, socket.SOCK_DGRAM)
            try:
                udp.bind((host, tcp.getsockname()[1]))
            except OSError:  # somebody has that port by UDP
                tcp.close()
                udp.close()
            else:
                return udp, tcp
        raise RuntimeError("no port is free")

    @staticmethod
    def _lookup(names: dict[str, list[Any]]) -> Handler:
        def handler(question: bytes, _tcp: bool) -> Iterable[bytes]:
            wanted, kind = asked(question)
            known = names.get(wanted)
            if known is None:
                return [answer(question, rcode=3)]
            return [answer(question, *((wanted, *r) for r in known if r[0] in (kind, CNAME)))]

        return handler

    def __enter__(self) -> NameServer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: Any) -> None:
        self._udp.sendto(b"", self._udp.getsockname())  # wakes the thread, which then sees that this is the end
        with contextlib.suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._udp.close()
        self._tcp.close()

    def _note(self, question: bytes, peer: Any, way: str) -> None:
        self.questions.append((*asked(question), way))
        self.idents.append(struct.unpack_from("!H", question)[0])
        self.ports.append(peer[1])

    def _by_udp(self) -> None:
        while True:
            question, peer = self._udp.recvfrom(65535)
            if not question:
                return
            self._note(question, peer, "udp")
            for packet in self.handler(question, False):
                self._udp.sendto(packet, peer)

    def _by_tcp(self) -> None:
        while True:
            try:
                connection, peer = self._tcp.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                question = connection.recv(65535)[2:]
                self._note(question, peer, "tcp")
                for data in self.handler(question, True):
                    connection.sendall(data)

    def ask(self, wanted: str = "a.example", kind: str = "A", timeout: float = 10) -> Reply:
        return query(wanted, kind, self.host, timeout, port=self.port)


def whole(message: bytes) -> bytes:
    """A message as it goes over TCP."""
    return struct.pack("!H", len(message)) + message


def fixed(*records: Record, **options: Any) -> Handler:
    return lambda question, _tcp: [answer(question, *records, **options)]


@pytest.fixture(autouse=True)
def nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is slow must not change how many questions a server sees."""
    monkeypatch.setattr(_dns, "RESEND", 60.0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_addresses_and_how_long_they_hold(host: str) -> None:
    names = {"a.example": [(A, 60, "192.0.2.1"), (A, 50, "192.0.2.2"), (AAAA, 70, "2001:db8::1")]}
    with NameServer(names, host) as server:
        assert server.ask() == Reply(("192.0.2.1", "192.0.2.2"), 50)
        assert server.ask("A.Example.", "AAAA") == Reply(("2001:db8::1",), 70)
        assert server.questions == [("a.example", A, "udp"), ("a.example", AAAA, "udp")]


def test_each_question_has_an_id_and_a_port_of_its_own() -> None:
    with NameServer({"a.example": [(A, 60, "192.0.2.1")]}) as server:
        for _question in range(20):
            server.ask()
        assert len(set(server.idents)) > 10
        assert len(set(server.ports)) > 10


def test_that_there_is_none_is_an_answer() -> None:
    authority = [("example", SOA, 60, "ns.example")]
    with NameServer(fixed(rcode=3, authority=authority)) as server:
        assert server.ask() == Reply((), None, exists=False)
    for options in ({"authority": authority}, {}):
        with NameServer(fixed(**options)) as server:
            assert server.ask() == Reply((), None, exists=True)
    # What belongs to other names, or is of another type or class, is no address of this one.
    other = [("b.example", A, 60, "192.0.2.1"), ("a.example", AAAA, 60, "2001:db8::1"), ("a.example", TXT, 60, "x")]
    with NameServer(fixed(*other)) as server:
        assert server.ask() == Reply()


@pytest.mark.parametrize(("rcode", "text"), [(1, "FORMERR"), (2, "SERVFAIL"), (5, "REFUSED"), (9, "RCODE 9")])
def test_a_failure_is_none(rcode: int, text: str) -> None:
    with NameServer(fixed(rcode=rcode)) as server, pytest.raises(DnsError, match=f"^{text}$") as caught:
        server.ask()
    assert not isinstance(caught.value, NoAnswer)


def test_a_refusal_need_not_repeat_the_question() -> None:
    def handler(question: bytes, _tcp: bool) -> list[bytes]:
        return [question[:2] + struct.pack("!5H", 0x8185, 0, 0, 0, 0)]

    with NameServer(handler) as server, pytest.raises(DnsError, match="REFUSED"):
        server.ask()


def test_a_referral_is_no_answer() -> None:
    with NameServer(fixed(authority=[("example", NS, 60, "ns.example")])) as server, pytest.raises(
        DnsError, match="refers to other servers"
    ):
        server.ask()


def test_aliases_in_one_answer() -> None:
    chain = [
        ("c.example", A, 300, "192.0.2.1"),
        ("a.example", CNAME, 60, "B.example"),
        ("b.example", CNAME, 20, "c.example"),
    ]
    with NameServer(fixed(*chain)) as server:
        assert server.ask() == Reply(("192.0.2.1",), 20)
        assert len(server.questions) == 1


def test_aliases_that_have_to_be_asked_for() -> None:
    names = {
        "a.example": [(CNAME, 60, "b.example")],
        "b.example": [(CNAME, 20, "c.example")],
        "c.example": [(A, 300, "192.0.2.1")],
    }
    with NameServer(names) as server:
        assert server.ask() == Reply(("192.0.2.1",), 20)
        assert server.ask(kind="AAAA") == Reply()
        assert [q[0] for q in server.questions] == ["a.example", "b.example", "c.example"] * 2
        del names["c.example"]
        assert server.ask() == Reply(exists=False)


def test_an_alias_without_addresses_is_not_asked_for_again() -> None:
    authority = [("example", SOA, 60, "ns.example")]
    with NameServer(fixed(("a.example", CNAME, 60, "b.example"), authority=authority)) as server:
        assert server.ask() == Reply()
        assert len(server.questions) == 1


def test_what_a_server_says_of_its_own_zone_is_not_said_of_another() -> None:
    def handler(question: bytes, _tcp: bool) -> list[bytes]:
        if asked(question)[0] == "b.other":
            return [answer(question, ("b.other", A, 60, "192.0.2.1"))]
        return [answer(question, ("a.example", CNAME, 60, "b.other"), authority=[("example", SOA, 60, "ns.example")])]

    with NameServer(handler) as server:
        assert server.ask() == Reply(("192.0.2.1",), 60)


@pytest.mark.parametrize("apart", [False, True])
def test_aliases_in_a_circle(apart: bool) -> None:
    circle = [("a.example", CNAME, 60, "b.example"), ("b.example", CNAME, 60, "a.example")]

    def handler(question: bytes, _tcp: bool) -> list[bytes]:
        return [answer(question, *([r for r in circle if r[0] == asked(question)[0]] if apart else circle))]

    with NameServer(handler) as server, pytest.raises(DnsError, match="in a circle"):
        server.ask()


def test_aliases_without_end() -> None:
    def handler(question: bytes, _tcp: bool) -> list[bytes]:
        wanted = asked(question)[0]
        return [answer(question, (wanted, CNAME, 60, "x" + wanted))]

    with NameServer(handler) as server, pytest.raises(DnsError, match="more than 8 deep"):
        server.ask()
    assert len(server.questions) == 9


def test_what_does_not_fit_comes_by_tcp() -> None:
    records = [("a.example", A, 60, f"192.0.2.{i}") for i in range(200)]

    def handler(question: bytes, tcp: bool) -> list[bytes]:
        if not tcp:
            return [answer(question, *records[:9], flags=0x0200)[:300]]
        message = whole(answer(question, *records))
        return [message[:1], message[1:700], message[700:]]

    with NameServer(handler) as server:
        assert len(server.ask().addresses) == 200
        assert [q[2] for q in server.questions] == ["udp", "tcp"]


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (lambda _q: b"", "ended early"),
        (lambda q: whole(answer(q))[:-3], "ended early"),
        (lambda q: whole(answer(q)[:-3]), "cut short"),
        (lambda q: whole(answer(q, ident=struct.unpack_from("!H", q)[0] ^ 1)), "no answer to the question"),
    ],
)
def test_tcp_that_fails(broken: Callable[[bytes], bytes], text: str) -> None:
    def handler(question: bytes, tcp: bool) -> list[bytes]:
        return [broken(question) if tcp else answer(question, flags=0x0200)]

    with NameServer(handler) as server, pytest.raises(DnsError, match=f"by TCP: .*{text}"):
        server.ask()


@pytest.mark.parametrize("drop", [b"", b"x"])
def test_tcp_that_stalls_or_drips(drop: bytes) -> None:
    over = threading.Event()

    def handler(question: bytes, tcp: bool) -> Iterable[bytes]:
        if not tcp:
            yield answer(question, flags=0x0200)
            return
        yield b"\xff\xff"
        for _drop in range(600):
            if over.wait(0.1):
                return
            yield drop

    with NameServer(handler) as server:
        with pytest.raises(DnsError, match="by TCP: no answer within 0.5 s"):
            server.ask(timeout=0.5)
        over.set()


def test_forged_answers_are_not_listened_to() -> None:
    def handler(question: bytes, _tcp: bool) -> list[bytes]:
        ident = struct.unpack_from("!H", question)[0]
        forged = ("a.example", A, 60, "192.0.2.66")
        other = question.replace(b"\1a\7example", b"\1b\7example")
        return [
            answer(question, forged, ident=ident ^ 1),
            answer(other, forged),
            answer(question[:-4] + struct.pack("!2H", AAAA, 1), forged),
            answer(question[:-4] + struct.pack("!2H", A, 3), forged),
            question,
            answer(question, forged)[:-1],
            b"x",
            answer(question, ("a.example", A, 60, "192.0.2.1")),
        ]

    with NameServer(handler) as server:
        assert server.ask() == Reply(("192.0.2.1",), 60)
    with NameServer(lambda question, tcp: list(handler(question, tcp))[:-1]) as server:
        with pytest.raises(DnsError, match="no answer within 0.5 s but a message cut short") as caught:
            server.ask(timeout=0.5)
        assert not isinstance(caught.value, NoAnswer)


def test_only_who_was_asked_is_listened_to() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        def handler(question: bytes, _tcp: bool) -> list[bytes]:
            packet = answer(question, ("a.example", A, 60, "192.0.2.66"))
            stranger.sendto(packet, ("127.0.0.1", server.ports[-1]))
            return [answer(question, ("a.example", A, 60, "192.0.2.1"))]

        with NameServer(handler) as server:
            assert server.ask() == Reply(("192.0.2.1",), 60)


def test_a_lost_datagram_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dns, "RESEND", 0.1)
    answers: list[list[bytes]] = [[], []]

    def handler(question: bytes, _tcp: bool) -> list[bytes]:
        return answers.pop() if answers else [answer(question, ("a.example", A, 60, "192.0.2.1"))]

    with NameServer(handler) as server:
        assert server.ask() == Reply(("192.0.2.1",), 60)
        assert len(server.questions) >= 3


def test_silence() -> None:
    with NameServer(lambda _question, _tcp: []) as server, pytest.raises(NoAnswer, match="^no answer within 0.3 s$"):
        server.ask(timeout=0.3)


def test_a_stream_of_rubbish_comes_to_an_end() -> None:
    over = threading.Event()

    def handler(_question: bytes, _tcp: bool) -> Iterable[bytes]:
        end = time.monotonic() + 60
        while not over.is_set() and time.monotonic() < end:
            yield b"rubbish"

    with NameServer(handler) as server:
        with pytest.raises(DnsError, match="no answer within 0.3 s"):
            server.ask(timeout=0.3)
        over.set()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_nobody_there(host: str) -> None:
    with NameServer({}, host) as server:
        pass
    with pytest.raises(NoAnswer, match="Connection refused"):
        server.ask()


@pytest.mark.parametrize("server", ["no.address", "", "192.0.2.1.5", "fe80::1%nosuchdevice", "a\0b"])
def test_a_server_is_an_address(server: str) -> None:
    with pytest.raises(DnsError):
        query("a.example", "A", server, 0.5)


@pytest.mark.parametrize("wanted", ["", ".", "a..b", "é.example", "a" * 64, ".".join(["a" * 63] * 4)])
def test_no_name(wanted: str) -> None:
    with pytest.raises(DnsError, match="no name"):
        query(wanted, "A", "127.0.0.1", 0.5)


def test_a_lifetime_beyond_bounds_is_none() -> None:
    with NameServer({"a.example": [(A, 0x80000001, "192.0.2.1")]}) as server:
        assert server.ask().ttl == 0


# -- messages as such ------------------------------------------------------------------------------------------------

IDENT = 0x1234
WANTED = (b"a", b"example")
QUESTION = struct.pack("!6H", IDENT, 0x0100, 1, 0, 0, 0) + name("a.example") + struct.pack("!2H", A, 1)


def read(packet: bytes) -> Any:
    return _dns._read(packet, WANTED, A, IDENT)


def body(rest: bytes, count: int = 1) -> bytes:
    """An answer to the question whose records are these bytes."""
    return struct.pack("!6H", IDENT, 0x8180, 1, count, 0, 0) + QUESTION[12:] + rest


def test_names_may_be_compressed_and_foreign_records_between() -> None:
    alias = b"\xc0\x0c" + struct.pack("!2HIH", CNAME, 1, 9, 4) + b"\1b\xc0\x0e"
    address = struct.pack("!H", 0xC000 | len(QUESTION) + 12) + struct.pack("!2HIH", A, 1, 8, 4) + b"\xc0\0\2\1"
    foreign = b"\xc0\x0c" + struct.pack("!2HIH", A, 3, 8, 4) + b"\xc0\0\2\x66"  # of another class: not for us
    answers = read(body(alias + foreign + address, 3)).answers
    assert [(r.owner, r.target, r.address) for r in answers] == [
        (WANTED, (b"b", b"example"), ""),
        ((b"b", b"example"), (), "192.0.2.1"),
    ]


@pytest.mark.parametrize(
    "rest",
    [
        struct.pack("!H", 0xC000 | len(QUESTION)),  # a name that points to itself
        struct.pack("!2H", 0xC000 | len(QUESTION) + 2, 0xC000 | len(QUESTION)),  # to one that points back
        b"\1x" + struct.pack("!H", 0xC000 | len(QUESTION)),  # and grows on the way
        b"\xff\xff",
        b"\x40" + b"x" * 64 + b"\0",
        b"\x80" + b"x" * 128 + b"\0",
        (b"\x3f" + b"x" * 63) * 4 + b"\0",
        b"\x3fx",
        b"\0",
        b"\0" + struct.pack("!2HIH", A, 1, 0, 5) + bytes(5),
        b"\0" + struct.pack("!2HIH", A, 1, 0, 4) + bytes(3),
        b"\0" + struct.pack("!2HIH", AAAA, 1, 0, 4) + bytes(4),
        b"\0" + struct.pack("!2HIH", CNAME, 1, 0, 3) + bytes(3),
        b"",
    ],
)
def test_malformed_messages(rest: bytes) -> None:
    fill = struct.pack("!2HIH", A, 1, 0, 4) + bytes(4) if rest and rest[0] else b""
    with pytest.raises(_dns._Unusable):
        read(body(rest + fill))


def test_pointers_that_lead_a_long_way_cost_nothing() -> None:
    # As many records as fit, all with a name that goes through thousands of pointers.
    start = len(QUESTION) + 11
    count = 8000
    pointers = b"\xc0\x0c" + b"".join(struct.pack("!H", 0xC000 | start + 2 * i) for i in range(count - 1))
    text = b"\0" + struct.pack("!2HIH", TXT, 1, 0, len(pointers)) + pointers
    last = struct.pack("!H", 0xC000 | start + 2 * (count - 1)) + struct.pack("!2HIH", TXT, 1, 0, 0)
    with pytest.raises(_dns._Unusable, match="malformed name"):
        read(body(text + last * 3000, 3001))


GOOD = answer(QUESTION, ("a.example", CNAME, 60, "b.example"), ("b.example", A, 60, "192.0.2.1"))
rubbish = st.one_of(
    st.binary(max_size=700),
    st.binary(max_size=300).map(lambda rest: body(rest, 3)),
    st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=8)).map(
        lambda change: GOOD[: change[0]] + change[1] + GOOD[change[0] + len(change[1]) :]
    ),
    st.integers(0, len(GOOD) - 1).map(lambda size: GOOD[:size]),
)


@settings(max_examples=500, deadline=None)
@given(rubbish)
def test_no_message_does_harm(packet: bytes) -> None:
    with contextlib.suppress(_dns._Unusable):
        read(packet)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), rubbish), max_size=3), st.booleans())
def test_no_server_does_harm(packets: list[tuple[bool, bytes]], truncated: bool) -> None:
    def handler(question: bytes, tcp: bool) -> list[bytes]:
        found = [question[:2] + packet[2:] if ours else packet for ours, packet in packets]
        if tcp:
            return [whole(packet) for packet in found]
        return [packet for packet in found if packet] + ([answer(question, flags=0x0200)] if truncated else [])

    with NameServer(handler) as server, contextlib.suppress(DnsError):
        for address in server.ask(timeout=0.1).addresses:
            ipaddress.IPv4Address(address)
