# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One name server, asked directly. Standard library only; also runs on hosts without Ansible.

The host's own resolver says neither how long an answer holds nor what each of several name servers would say. Sources:
RFC 1035 (messages, UDP and TCP), RFC 3596 (AAAA), RFC 2181 (lifetimes), RFC 2308 (what "there is none" looks like).

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import time
from typing import Any, NamedTuple, Tuple

PORT = 53
#: Seconds for one query, with all that it takes.
TIMEOUT = 5.0
#: Seconds after which a datagram counts as lost and is sent again; RFC 1035 section 4.2.1 wants at least 2.
RESEND = 2.0
#: How often an alias whose address is not in the answer is asked for.
DEPTH = 8

#: Record types: RFC 1035 section 3.2.2, RFC 3596 section 2.1.
KINDS = {"A": 1, "AAAA": 28}
_NS, _CNAME, _SOA = 2, 5, 6
_IN = 1
_NO_SUCH_NAME = 3
_RCODES = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}
_RECURSION_DESIRED = 0x0100
#: The labels of a name in lower case; as bytes, because a label may hold anything, dots too.
Name = Tuple[bytes, ...]


class DnsError(Exception):
    """The name server did not say whether the name has addresses; the text says why."""


class NoAnswer(DnsError):
    """Nothing came from the name server at all."""


class _Unusable(Exception):
    """A message that is not a well-formed answer to our question."""


class Reply(NamedTuple):
    """What a name server says of a name. Without addresses there is no ``ttl``.

    ``addresses`` are sorted texts; ``ttl`` is for how many seconds they hold: the least of all records on the way from
    the name to its addresses. ``exists`` is false if there is no such name (NXDOMAIN).
    """

    addresses: tuple[str, ...] = ()
    ttl: int | None = None
    exists: bool = True


class _Record(NamedTuple):
    """``target`` is of CNAME, ``address`` of A and AAAA; what other types hold is not kept."""

    owner: Name
    kind: int
    ttl: int
    target: Name = ()
    address: str = ""


class _Message(NamedTuple):
    """An answer. Where it is ``truncated`` (TC bit) no records are read."""

    rcode: int
    truncated: bool
    answers: list[_Record]
    authority: list[_Record]


def query(name: str, kind: str, server: str, timeout: float = TIMEOUT, port: int = PORT) -> Reply:
    """Ask ``server``, an IPv4 or IPv6 address, for the addresses of a name: ``kind`` A or AAAA.

    Never longer than ``timeout`` seconds. Raises :class:`DnsError`.
    """
    end = time.monotonic() + timeout
    wanted = _labels(name)
    passed = {wanted}
    ttls: list[int] = []
    late = f"no answer within {round(timeout, 1):g} s"
    try:
        # Takes apart an address, and a scope like %eth0; asks nobody.
        found = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except (OSError, ValueError) as error:
        raise DnsError(_text(error, late)) from None
    for _question in range(1 + DEPTH):
        message = _ask(wanted, KINDS[kind], found[0][0], found[0][4], end, late)
        if message.rcode == _NO_SUCH_NAME:  # of the last name in a chain: RFC 2308 section 2.1
            return Reply(exists=False)
        if message.rcode:
            raise DnsError(_RCODES.get(message.rcode, f"RCODE {message.rcode}"))
        asked = wanted
        aliases = {record.owner: record for record in message.answers if record.kind == _CNAME}
        while wanted in aliases:
            alias = aliases[wanted]
            wanted = alias.target
            ttls.append(alias.ttl)
            if wanted in passed:
                raise DnsError("the aliases of the name go in a circle")
            passed.add(wanted)
        records = [r for r in message.answers if r.owner == wanted and r.kind == KINDS[kind]]
        if records:
            addresses = sorted({record.address for record in records})
            return Reply(tuple(addresses), min([*ttls, *(record.ttl for record in records)]))
        denied = any(r.kind == _SOA and wanted[len(wanted) - len(r.owner) :] == r.owner for r in message.authority)
        if wanted == asked and not denied and any(r.kind == _NS for r in message.authority):
            raise DnsError("it only refers to other servers")  # RFC 2308 section 2.2
        if wanted == asked or denied:
            return Reply()
        # An alias of a name that this server knows nothing of, or did not think worth adding.
    raise DnsError(f"the name is an alias of an alias, more than {DEPTH} deep")


def _ask(name: Name, kind: int, family: int, address: Any, end: float, late: str) -> _Message:
    """One question and its answer, by UDP, and by TCP if it does not fit."""
    ident = int.from_bytes(os.urandom(2), "big")
    packet = _question(name, kind, ident)
    strange = ""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            # Connected: the kernel takes a random port, drops what others send, and reports a closed port.
            udp.connect(address)
            send = time.monotonic()
            while True:
                now = time.monotonic()
                if now >= end:
                    raise DnsError(f"{late} but {strange}") if strange else NoAnswer(late)
                if now >= send:
                    udp.send(packet)
                    send = now + RESEND
                udp.settimeout(min(send, end) - now)
                try:
                    message = _read(udp.recv(65535), name, kind, ident)
                    break
                except socket.timeout:
                    continue
                except _Unusable as error:  # perhaps forged: the true one may still come
                    strange = str(error)
    except OSError as error:
        raise NoAnswer(_text(error, late)) from None
    if not message.truncated:
        return message
    try:
        return _read(_over_tcp(packet, family, address, end), name, kind, ident)
    except (OSError, _Unusable) as error:
        raise DnsError(f"by TCP: {_text(error, late)}") from None


def _over_tcp(packet: bytes, family: int, address: Any, end: float) -> bytes:
    """The answer by TCP; two bytes of length go before each message: RFC 1035 section 4.2.2."""
    with socket.socket(family, socket.SOCK_STREAM) as tcp:

        def exactly(size: int) -> bytes:
            data = b""
            while len(data) < size:
                tcp.settimeout(_left(end))
                more = tcp.recv(size - len(data))
                if not more:
                    raise _Unusable("the connection ended early")
                data += more
            return data

        tcp.settimeout(_left(end))
        tcp.connect(address)
        tcp.sendall(struct.pack("!H", len(packet)) + packet)
        return exactly(int.from_bytes(exactly(2), "big"))


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise socket.timeout
    return left


def _text(error: Exception, late: str) -> str:
    if isinstance(error, socket.timeout):
        return late
    return str(getattr(error, "strerror", None) or error)


def _labels(name: str) -> Name:
    """A name as its labels: RFC 1035 section 2.3.4 for how long they may be."""
    try:
        labels = tuple(name.lower().rstrip(".").encode("ascii").split(b"."))
    except UnicodeError:
        labels = ()
    if not all(1 <= len(label) <= 63 for label in labels) or not 1 <= sum(1 + len(label) for label in labels) <= 254:
        raise DnsError("that is no name in DNS")
    return labels


def _question(name: Name, kind: int, ident: int) -> bytes:
    """A query for one name: RFC 1035 sections 4.1.1 and 4.1.2."""
    encoded = b"".join(bytes([len(label)]) + label for label in name) + b"\0"
    return struct.pack("!6H", ident, _RECURSION_DESIRED, 1, 0, 0, 0) + encoded + struct.pack("!2H", kind, _IN)


def _read(packet: bytes, name: Name, kind: int, ident: int) -> _Message:
    """Take an answer to this question apart: RFC 1035 section 4.1. Raises :class:`_Unusable`, nothing else."""
    try:
        got, flags, questions, answers, authorities, _rest = struct.unpack_from("!6H", packet)
        if got != ident or flags & 0xF800 != 0x8000:  # an answer (QR) to a standard query (opcode 0)
            raise _Unusable("something that is no answer to the question")
        rcode, offset = flags & 0x000F, 12
        if not questions and rcode in _RCODES:  # some do not repeat a question that they refuse
            return _Message(rcode, False, [], [])
        asked, offset = _read_name(packet, offset)
        if questions != 1 or (asked, *struct.unpack_from("!2H", packet, offset)) != (name, kind, _IN):
            raise _Unusable("an answer to another question")
        offset += 4
        message = _Message(rcode, bool(flags & 0x0200), [], [])
        if not message.truncated:
            for section, count in ((message.answers, answers), (message.authority, authorities)):
                for _record in range(count):
                    offset = _read_record(packet, offset, section)
    except (IndexError, struct.error):
        raise _Unusable("a message cut short") from None
    return message


def _read_record(packet: bytes, offset: int, section: list[_Record]) -> int:
    """Add the record that begins there (RFC 1035 section 4.1.3); where the next one begins."""
    owner, offset = _read_name(packet, offset)
    kind, group, ttl, size = struct.unpack_from("!2HIH", packet, offset)
    start, end = offset + 10, offset + 10 + size
    if end > len(packet):
        raise IndexError
    if group != _IN:
        return end
    # A lifetime with its highest bit set is none: RFC 2181 section 8.
    record = _Record(owner, kind, 0 if ttl >> 31 else ttl)
    if kind == _CNAME:
        target, after = _read_name(packet, start)
        if after != end:
            raise _Unusable("a malformed alias")
        record = record._replace(target=target)
    elif kind in KINDS.values():
        if size != (4 if kind == KINDS["A"] else 16):
            raise _Unusable("a malformed address")
        record = record._replace(address=str(ipaddress.ip_address(packet[start:end])))
    section.append(record)
    return end


def _read_name(packet: bytes, offset: int) -> tuple[Name, int]:
    """The name that begins there, and where what comes after it begins: RFC 1035 sections 3.1 and 4.1.4."""
    labels: list[bytes] = []
    after, length, jumps = 0, 1, 0
    while True:
        size = packet[offset]
        if size >= 0xC0:
            after = after or offset + 2
            jumps += 1
            if jumps > 127:  # more than a name can have labels to jump to: a circle, or malice
                raise _Unusable("a malformed name")
            offset = (size & 0x3F) << 8 | packet[offset + 1]
        elif size:
            label = packet[offset + 1 : offset + 1 + size]
            length += 1 + size
            if size > 63 or length > 255:
                raise _Unusable("a malformed name")
            if len(label) < size:
                raise IndexError
            labels.append(label.lower())
            offset += 1 + size
        else:
            return tuple(labels), after or offset + 1
