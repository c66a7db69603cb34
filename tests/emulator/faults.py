# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults to inject: which requests they meet, how often, and what then happens instead of the plain answer."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from tests.emulator.errors import INTERNAL, INVALID_CREDENTIALS, TOO_MANY_REQUESTS, runtime_body

_HTML = {"content-type": "text/html"}
_EDGE = (
    "<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\n"
    "You don't have permission to access this server.<P>\nReference&#32;&#35;18&#46;emulator\n</BODY>\n</HTML>\n"
)
_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_PORTAL = "<html><head><title>Sign in to the network</title></head><body>Please sign in.</body></html>"

#: Faults by name. IBM's edge refuses listed countries with an HTML page, hence edge_403.
PRESETS: dict[str, dict[str, Any]] = {
    "401": {"status": 401, "body": runtime_body(INVALID_CREDENTIALS, "Invalid credentials.", "Check the credentials.")},
    "429": {
        "status": 429,
        "headers": {"retry-after": "1"},
        "body": runtime_body(TOO_MANY_REQUESTS, "Too many requests received: the limit is 5 per minute.", "Slow down."),
    },
    "500": {"status": 500, "body": runtime_body(INTERNAL, "API Internal error.", "Retry the action.")},
    "502": {"status": 502, "headers": _HTML, "body": _GATEWAY},
    "503": {"status": 503, "body": runtime_body(INTERNAL, "Service unavailable: maintenance.", "Try again later.")},
    "504": {"status": 504, "body": ""},
    "edge_403": {"status": 403, "headers": _HTML, "body": _EDGE},
    "captive_portal": {"status": 200, "headers": _HTML, "body": _PORTAL},
    "dropped": {"drop": "before"},
    "lost_answer": {"drop": "after"},
    "truncated": {"drop": "half"},
}

DROPS = ("before", "after", "half")


class InvalidFault(ValueError):
    """The text says what is wrong and what is expected."""


@dataclass
class Fault:
    """One fault. ``times`` 0 means for ever; the first ``after`` matching requests pass untouched."""

    id: int
    method: str
    path: re.Pattern[str] | None
    host: str
    times: int
    after: int
    preset: str
    status: int | None
    headers: dict[str, str]
    body: Any
    delay: float
    drop: str
    seen: int = field(default=0)
    fired: int = field(default=0)

    def matches(self, method: str, path: str, host: str) -> bool:
        if self.method and method != self.method:
            return False
        if self.host and host != self.host:
            return False
        return self.path is None or self.path.search(path) is not None

    @property
    def label(self) -> str:
        """What the journal calls it."""
        parts = [str(self.status)] if self.status is not None else []
        parts += [f"drop {self.drop}"] if self.drop else []
        parts += [f"delay {self.delay:g}"] if self.delay else []
        return self.preset or ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "match": {"method": self.method, "path": self.path.pattern if self.path else "", "host": self.host},
            "times": self.times,
            "after": self.after,
            "fault": self.label,
            "seen": self.seen,
            "fired": self.fired,
        }


class Faults:
    """The faults in force, in the order in which they were posted."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, spec: Any) -> Fault:
        """Take a fault as the control API gets it. Raises :class:`InvalidFault`."""
        _known(spec, "a fault", ("match", "times", "after", "fault"))
        match = _known(spec.get("match", {}), "match", ("method", "path", "host"))
        for name, value in match.items():
            if not isinstance(value, str):
                raise InvalidFault(f"match.{name} must be text, not {value!r}")
        fields = ("preset", "status", "headers", "body", "delay", "drop")
        what = _known(spec.get("fault", {}), "fault", fields)
        preset = str(what.get("preset", ""))
        if preset and preset not in PRESETS:
            raise InvalidFault(f"unknown preset {preset!r}: there are {', '.join(PRESETS)}")
        merged = {**PRESETS.get(preset, {}), **what}
        merged["headers"] = {**PRESETS.get(preset, {}).get("headers", {}), **_headers(what.get("headers", {}))}
        if not set(merged) & {"status", "delay", "drop"}:
            raise InvalidFault("fault needs at least one of preset, status, delay and drop")
        status = merged.get("status")
        if status is not None and (isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599):
            raise InvalidFault(f"fault.status must be from 200 to 599, not {status!r}")
        if status is None and ("body" in merged or merged["headers"]):
            raise InvalidFault("fault.body and fault.headers need fault.status")
        drop = merged.get("drop", "")
        if drop and drop not in DROPS:
            raise InvalidFault(f"fault.drop must be one of {', '.join(DROPS)}, not {drop!r}")
        delay = merged.get("delay", 0)
        if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay <= 600:
            raise InvalidFault(f"fault.delay must be seconds from 0 to 600, not {delay!r}")
        try:
            path = re.compile(match["path"]) if match.get("path") else None
        except re.error as error:
            raise InvalidFault(f"match.path is no regular expression: {error}") from None
        fault = Fault(
            id=next(self._ids),
            method=match.get("method", "").upper(),
            path=path,
            host=match.get("host", "").lower(),
            times=_count(spec, "times", 1),
            after=_count(spec, "after", 0),
            preset=preset,
            status=status,
            headers=merged["headers"],
            body=merged.get("body"),
            delay=float(delay),
            drop=drop,
        )
        self._faults.append(fault)
        return fault

    def take(self, method: str, path: str, host: str) -> Fault | None:
        """The fault that meets this request, if any; counts it."""
        for fault in self._faults:
            if not fault.matches(method, path, host):
                continue
            if fault.times and fault.fired >= fault.times:
                continue
            fault.seen += 1
            if fault.seen <= fault.after:
                continue
            fault.fired += 1
            return fault
        return None

    def rows(self) -> list[dict[str, Any]]:
        return [fault.as_dict() for fault in self._faults]

    def clear(self) -> None:
        self._faults.clear()


def _known(value: Any, name: str, fields: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidFault(f"{name} must be a JSON object")
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise InvalidFault(f"{name} has unknown fields {', '.join(unknown)}: there are {', '.join(fields)}")
    return value


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidFault("fault.headers must be a JSON object")
    return {str(k).lower(): str(v) for k, v in value.items()}


def _count(spec: dict[str, Any], name: str, default: int) -> int:
    value = spec.get(name, default)
    value = 0 if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidFault(f"{name} must be a whole number from 0, not {value!r}")
    return value
