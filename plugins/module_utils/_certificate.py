# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whose an X.509 certificate is, also one that does not hold. Standard library only.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import calendar
import socket
import time
from typing import Any, Iterator

_NAME_PARTS = {b"\x55\x04\x06": "C", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU", b"\x55\x04\x03": "CN"}


def certificate(der: bytes) -> dict[str, Any]:
    """What one says: ``issuer, subject, names, not_before, not_after`` (UTC), ``days_left``; {} if unreadable.

    By hand, because the standard library tells this only of certificates that hold (RFC 5280, section 4.1).
    """
    try:
        fields = list(_der(next(_der(next(_der(der))[1]))[1]))
        if fields[0][0] == 0xA0:  # the version, which may be left out
            fields = fields[1:]
        issuer, validity, subject = (fields[index][1] for index in (2, 3, 4))
        not_before, not_after = (_der_time(tag, value) for tag, value in _der(validity))
        return {
            "issuer": _der_name(issuer),
            "subject": _der_name(subject),
            "names": _der_alternatives([value for tag, value in fields if tag == 0xA3]),
            "not_before": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(not_before)),
            "not_after": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(not_after)),
            "days_left": int((not_after - time.time()) // 86400),
        }
    except (IndexError, ValueError, StopIteration, OverflowError, OSError):
        return {}


def _der(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of DER data, one after the other: tag and content."""
    while data:
        tag, length, start = data[0], data[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        if start + length > len(data):
            raise ValueError("cut off")
        yield tag, data[start : start + length]
        data = data[start + length :]


def _der_name(data: bytes) -> str:
    parts = []
    for _set, pairs in _der(data):
        for _sequence, pair in _der(pairs):
            (_tag, oid), (kind, value) = list(_der(pair))[:2]
            if oid in _NAME_PARTS:
                text = value.decode("utf-16-be" if kind == 0x1E else "utf-8", "replace")
                parts.append(f"{_NAME_PARTS[oid]}={text}")
    return ", ".join(parts)


def _der_alternatives(extensions: list[bytes]) -> list[str]:
    """The DNS names and addresses of the extension subjectAltName."""
    names = []
    for field in extensions:
        for _sequence, extension in _der(next(_der(field))[1]):
            parts = list(_der(extension))
            if parts[0][1] == b"\x55\x1d\x11":
                for tag, value in _der(next(_der(parts[-1][1]))[1]):
                    if tag == 0x82:
                        names.append(value.decode("ascii", "replace"))
                    elif tag == 0x87:
                        names.append(socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value))
    return names


def _der_time(tag: int, value: bytes) -> int:
    """UTCTime (two digits of the year, from 1950) or GeneralizedTime, as seconds."""
    text = value.decode("ascii")
    if tag == 0x17:
        text = ("19" if text[0] >= "5" else "20") + text
    return calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ"))
